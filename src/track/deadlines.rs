//! Deadlines by key, popped in (time, key) order. A key has at most one; setting it again moves it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::time::Timestamp;

#[derive(Debug)]
pub(super) struct Deadlines<K> {
    at: BTreeMap<K, Timestamp>,
    order: BTreeSet<(Timestamp, K)>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { at: BTreeMap::new(), order: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Deadlines<K> {
    /// `None` removes.
    pub fn set(&mut self, key: K, at: Option<Timestamp>) {
        if self.at.get(&key).copied() == at {
            return;
        }
        if let Some(before) = self.at.remove(&key) {
            self.order.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            self.order.insert((at, key.clone()));
            self.at.insert(key, at);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub fn first(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The earliest that is not after `now`.
    pub fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, K)> {
        if self.first()? > now {
            return None;
        }
        let (at, key) = self.order.pop_first()?;
        self.at.remove(&key);
        Some((at, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pops_by_time_then_key_and_only_what_is_due() {
        let mut deadlines = Deadlines::default();
        for (key, secs) in [("b", 2), ("a", 2), ("c", 1), ("d", 9), ("c", 3)] {
            deadlines.set(key, Some(Timestamp::from_secs(secs)));
        }
        deadlines.set("b", None);
        let now = Timestamp::from_secs(5);
        let popped: Vec<_> = std::iter::from_fn(|| deadlines.pop(now)).collect();
        assert_eq!(popped, [(Timestamp::from_secs(2), "a"), (Timestamp::from_secs(3), "c")]);
        assert_eq!(deadlines.first(), Some(Timestamp::from_secs(9)));
    }
}
