//! What passed a portal lately: loads move as one, so that of a tag that was hardly heard those that were heard
//! well while it was there tell which way it went.
//!
//! Only passages that a tag's own reads told are noted, so that none is told by hearsay of hearsay. Bounded.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clean::rows::micros;
use crate::domain::sightings::Direction;
use crate::domain::time::Timestamp;

/// So many are remembered, for so long: whoever passed with them falls silent within that.
const MOST: usize = 64;
const LASTS: Duration = Duration::from_secs(40);
/// One load is through the door within this.
const TOGETHER: Duration = Duration::from_millis(2500);

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(in crate::clean) struct Companions {
    passed: VecDeque<Companion>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Companion {
    #[serde(with = "micros")]
    at: Timestamp,
    /// Since when it was heard.
    #[serde(with = "micros")]
    since: Timestamp,
    inward: bool,
    /// How many steps after the side that it left the side to which it came heard it best, where both did.
    #[serde(default)]
    later: Option<i64>,
}

/// Those that passed one way together: when, since when they were heard, and how many they were.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Together {
    pub at: Timestamp,
    pub since: Timestamp,
    pub count: usize,
    /// The longest that any of them was heard best on one side before the other, in steps.
    pub later: i64,
}

impl Companions {
    pub fn is_empty(&self) -> bool {
        self.passed.is_empty()
    }

    pub fn note(&mut self, at: Timestamp, since: Timestamp, direction: Direction, later: Option<i64>) {
        while self.passed.front().is_some_and(|first| self.passed.len() == MOST || at.since(first.at) > LASTS)
        {
            self.passed.pop_front();
        }
        self.passed.push_back(Companion { at, since, inward: direction == Direction::In, later });
    }

    /// Those that passed that way together, at about a moment.
    pub(super) fn together(&self, direction: Direction, about: Timestamp) -> Option<Together> {
        let near =
            |one: &&Companion| about.micros_after(one.at).unsigned_abs() <= TOGETHER.as_micros() as u64;
        let inward = direction == Direction::In;
        let mut found: Option<Together> = None;
        for one in self.passed.iter().filter(|one| one.inward == inward).filter(near) {
            let so_far = found.unwrap_or(Together { at: one.at, since: one.since, count: 0, later: 0 });
            let later = so_far.later.max(one.later.unwrap_or(0));
            found = Some(Together {
                later,
                since: so_far.since.min(one.since),
                count: so_far.count + 1,
                ..so_far
            });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    #[test]
    fn those_that_passed_the_same_way_at_the_same_time_are_together() {
        let mut companions = Companions::default();
        for (second, since) in [(100, 95), (101, 93), (102, 99), (120, 110)] {
            companions.note(at(second), at(since), Direction::In, Some(second - 95));
        }
        companions.note(at(101), at(90), Direction::Out, None);
        let they = companions.together(Direction::In, at(101)).unwrap();
        assert_eq!((they.count, they.since, they.later), (3, at(93), 7));
        assert_eq!(companions.together(Direction::Out, at(101)).map(|they| they.count), Some(1));
        assert_eq!(companions.together(Direction::In, at(110)), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut companions = Companions::default();
        (0..1000).for_each(|_| companions.note(at(5), at(1), Direction::Out, None));
        assert_eq!(companions.passed.len(), MOST);
        companions.note(at(500), at(490), Direction::Out, None);
        assert_eq!(companions.passed.len(), 1);
        assert!(companions.together(Direction::Out, at(5)).is_none());
    }
}
