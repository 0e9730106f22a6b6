//! Those who wait for one kind of work. Their namespaces take turns, so that nobody waits for all that another tenant has.

use std::collections::{HashMap, VecDeque};

use crate::key::Key;

/// Those who wait. Of a namespace nothing is kept when none of its objects waits.
#[derive(Debug, Default)]
pub struct Lane {
    /// The namespaces of which objects wait, those whose turn it is first.
    turns: VecDeque<String>,
    objects: HashMap<String, VecDeque<Key>>,
}

impl Lane {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// One more waits, behind the others of its namespace.
    pub fn push(&mut self, key: Key) {
        let objects = self.objects.entry(key.namespace.clone()).or_default();
        if objects.is_empty() {
            self.turns.push_back(key.namespace.clone());
        }
        objects.push_back(key);
    }

    /// Takes out whose turn it is among the namespaces that may have one.
    pub fn pop(&mut self, may: impl Fn(&str) -> bool) -> Option<Key> {
        let turn = self.turns.iter().position(|namespace| may(namespace))?;
        let namespace = self.turns.remove(turn)?;
        let objects = self.objects.get_mut(&namespace)?;
        let key = objects.pop_front();
        if objects.is_empty() {
            self.objects.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(lane: &mut Lane, may: impl Fn(&str) -> bool) -> Vec<String> {
        std::iter::from_fn(|| lane.pop(&may)).map(|key| key.to_string()).collect()
    }

    #[test]
    fn namespaces_take_turns_and_objects_of_one_come_in_their_order() {
        let mut lane = Lane::default();
        for (namespace, name) in [("noisy", "1"), ("noisy", "2"), ("noisy", "3"), ("quiet", "1")] {
            lane.push(Key::new(namespace, name));
        }
        assert_eq!(names(&mut lane, |_| true), ["noisy/1", "quiet/1", "noisy/2", "noisy/3"]);
        assert!(lane.is_empty() && lane.objects.is_empty());
    }

    #[test]
    fn who_may_not_have_a_turn_keeps_it_for_later() {
        let mut lane = Lane::default();
        for namespace in ["full", "a", "b"] {
            lane.push(Key::new(namespace, "x"));
        }
        assert_eq!(names(&mut lane, |namespace| namespace != "full"), ["a/x", "b/x"]);
        assert_eq!(names(&mut lane, |_| true), ["full/x"]);
    }
}
