//! The way this crate takes a lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, also one that a panic left behind: no critical section here leaves its data half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
