//! How many reconciliations run at the same time, fairly: no namespace may take all places.
//!
//! A tenant whose thousand objects each hang until their time is up must not hold up another's only one. So a
//! reconciliation first waits for one of its namespace's places, and then for one of all.
//!
//! Neither must what is short wait for what is long. To carry a new object out takes twenty requests, and to tell in its
//! status that its pod runs two: behind a thousand new ones the first would be told to be ready when the last had begun.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::lock::lock;

/// A namespace may have one of so many places.
const SHARE: usize = 4;

/// What is to be done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// All of it: it is new.
    Create,
    /// What has changed.
    Keep,
    /// Its end.
    End,
}

/// The places for each kind of work. Those that are deleted have their own, and new ones may have three quarters of the
/// others.
#[derive(Debug)]
pub struct Places {
    create: Fair,
    all: Fair,
    end: Fair,
}

impl Places {
    /// So many, and as many for those that are deleted.
    pub fn new(places: usize) -> Self {
        let create = Fair::new((places - places / SHARE).max(1));
        Self { create, all: Fair::new(places), end: Fair::new(places) }
    }

    /// Waits for a place for an object of a namespace.
    pub async fn place(&self, work: Work, namespace: &str) -> Place<'_> {
        match work {
            Work::Create => {
                let leave = self.create.place(namespace).await;
                let mut place = self.all.place(namespace).await;
                place.leave = Some(Box::new(leave));
                place
            }
            Work::Keep => self.all.place(namespace).await,
            Work::End => self.end.place(namespace).await,
        }
    }
}

/// Places that are given fairly. It keeps something of a namespace only while one of its objects is or wants to be reconciled.
#[derive(Debug)]
pub struct Fair {
    all: Arc<Semaphore>,
    share: usize,
    namespaces: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A place. It is free again when this goes.
#[derive(Debug)]
pub struct Place<'a> {
    fair: &'a Fair,
    namespace: String,
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
    /// A place among those of its kind, where they may not have all.
    leave: Option<Box<Self>>,
}

impl Fair {
    /// So many places, of which a namespace may have a quarter, but one at least.
    pub fn new(places: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(places)),
            share: (places / SHARE).max(1),
            namespaces: Mutex::default(),
        }
    }

    /// Waits for a place for an object of a namespace. Those of one namespace come in the order in which they ask.
    pub async fn place(&self, namespace: &str) -> Place<'_> {
        let mut place = Place { fair: self, namespace: namespace.to_owned(), permits: None, leave: None };
        place.take().await;
        place
    }
}

impl Place<'_> {
    /// Leaves the place to others while something is waited for, and waits for one again.
    pub async fn without<T>(&mut self, wait: impl Future<Output = T>) -> T {
        self.permits = None;
        let done = wait.await;
        self.take().await;
        done
    }

    async fn take(&mut self) {
        let own = {
            let mut namespaces = lock(&self.fair.namespaces);
            let own = namespaces.entry(self.namespace.clone());
            Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(self.fair.share))))
        };
        // Neither semaphore is ever closed, so both always give a permit.
        if let Ok(own) = own.acquire_owned().await
            && let Ok(one) = Arc::clone(&self.fair.all).acquire_owned().await
        {
            self.permits = Some((own, one));
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.permits = None;
        let mut namespaces = lock(&self.fair.namespaces);
        // Ours in the map alone, and all of its places free: nobody has one or waits for one.
        let idle = namespaces
            .get(&self.namespace)
            .is_some_and(|own| Arc::strong_count(own) == 1 && own.available_permits() == self.fair.share);
        if idle {
            namespaces.remove(&self.namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// What is there at once.
    fn now<T>(mut waiting: Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    fn try_place<'a>(fair: &'a Fair, namespace: &'a str) -> Option<Place<'a>> {
        now(Box::pin(fair.place(namespace)))
    }

    #[test]
    fn one_namespace_gets_its_share_and_leaves_the_rest_to_others() {
        let fair = Fair::new(8);
        let held: Vec<_> = (0..8).filter_map(|_| try_place(&fair, "noisy")).collect();
        assert_eq!(held.len(), 2);
        assert!(try_place(&fair, "quiet").is_some());
        drop(held);
        assert!(try_place(&fair, "noisy").is_some());
    }

    #[test]
    fn what_is_short_does_not_wait_for_what_is_long() {
        let places = Places::new(16);
        let take = |work, namespace| now(Box::pin(places.place(work, namespace)));
        let names: Vec<String> = (0..5).map(|index| format!("tenant-{index}")).collect();
        let fill = |work| -> Vec<_> {
            let all = names.iter().flat_map(|name| (0..5).map(move |_| name));
            all.filter_map(|name| take(work, name)).collect()
        };
        let new = fill(Work::Create);
        assert_eq!(new.len(), 12);
        assert!(take(Work::Keep, "tenant-0").is_some(), "not even its own new ones hold one up");
        assert_eq!(fill(Work::Keep).len(), 4);
        assert_eq!(fill(Work::End).len(), 16);
        drop(new);
        assert_eq!(fill(Work::Keep).len(), 16, "who runs may have all places");
    }

    #[test]
    fn all_namespaces_together_get_all_places_and_no_more() {
        let fair = Fair::new(4);
        let names: Vec<String> = (0..6).map(|index| format!("tenant-{index}")).collect();
        let held: Vec<_> = names.iter().filter_map(|name| try_place(&fair, name)).collect();
        assert_eq!(held.len(), 4);
    }

    #[test]
    fn who_waits_for_something_leaves_the_place_to_others() {
        let fair = Fair::new(4);
        let mut held = try_place(&fair, "a").unwrap();
        assert!(try_place(&fair, "a").is_none());
        {
            let mut away = Box::pin(held.without(std::future::pending::<()>()));
            assert!(away.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(try_place(&fair, "a").is_some());
        }
        let mut back = Box::pin(held.without(std::future::ready(7)));
        assert_eq!(back.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(7));
        assert!(try_place(&fair, "a").is_none());
    }

    #[test]
    fn a_namespace_without_work_leaves_nothing_behind() {
        let fair = Fair::new(4);
        drop((try_place(&fair, "a"), try_place(&fair, "b")));
        assert!(lock(&fair.namespaces).is_empty());
        let held = try_place(&fair, "a");
        drop(try_place(&fair, "a"));
        assert_eq!(lock(&fair.namespaces).len(), 1, "who gave up waiting takes nothing from who has a place");
        drop(held);
        assert!(lock(&fair.namespaces).is_empty());
    }
}
