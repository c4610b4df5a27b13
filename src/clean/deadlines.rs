//! What falls due when: a heap, so that a deadline costs the same however many others there are.
//!
//! A subject that is touched moves its deadline without touching the heap: what comes out too early is
//! put back by its owner (lazy deletion). Never looks at a clock: the owner says how far time has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::domain::time::Timestamp;

/// Index of a subject in its owner's slab.
pub(super) type Slot = u32;

#[derive(Default)]
pub(super) struct Deadlines(BinaryHeap<Reverse<(Timestamp, Slot)>>);

impl Deadlines {
    pub fn push(&mut self, at: Timestamp, slot: Slot) {
        self.0.push(Reverse((at, slot)));
    }

    /// The earliest, which may turn out to have moved on.
    pub fn next(&self) -> Option<Timestamp> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes all slots that share the earliest time, where that is not after `until`. Their order among
    /// themselves means nothing: the owner sorts them by name.
    pub fn pop_due(&mut self, until: Timestamp, slots: &mut Vec<Slot>) -> Option<Timestamp> {
        let at = self.next().filter(|at| *at <= until)?;
        while self.next() == Some(at) {
            slots.extend(self.0.pop().map(|Reverse((_, slot))| slot));
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_out_by_time_and_nothing_else_does() {
        let mut deadlines = Deadlines::default();
        for (at, slot) in [(30, 3), (10, 1), (20, 2), (10, 4)] {
            deadlines.push(Timestamp::from_secs(at), slot);
        }
        let mut slots = Vec::new();
        assert_eq!(deadlines.pop_due(Timestamp::from_secs(9), &mut slots), None);
        assert_eq!(deadlines.pop_due(Timestamp::from_secs(20), &mut slots), Some(Timestamp::from_secs(10)));
        slots.sort_unstable();
        assert_eq!(slots, [1, 4]);
        assert_eq!(deadlines.next(), Some(Timestamp::from_secs(20)));
    }
}
