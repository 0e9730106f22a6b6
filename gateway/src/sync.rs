//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. No holder here can leave the data broken, so one that panicked does not matter.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
