//! The light barriers of a portal: when something stood in them, and whether their silence says anything.
//!
//! ```text
//! GPI event ─▶ edges, in order of time ─▶ runs (runs.rs) ─▶ what they say of a passage (story.rs)
//!                      passages that they did not see ─▶ whether they work
//! ```
//! A beam that was broken is evidence of something; that none was is evidence only while they work. A beam works
//! once it has been heard since its reader connected, less so with each load that passed it unseen, and again with
//! the next word of it. Nothing passes because a beam was broken: what passes is said of tags, by their reads.
//! Everything kept is bounded. Never looks at a clock.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod runs;
pub(in crate::clean) mod story;

use crate::clean::rows::{maybe_micros, micros};
use crate::domain::time::Timestamp;

/// So many changes are remembered, for so long: what stands near the door is judged that late.
const MOST: usize = 96;
const LASTS: Duration = Duration::from_secs(120);
/// How likely a beam works that was just heard, and at most.
const HEARD: f32 = 0.9;
const SURELY: f32 = 0.99;
/// Of those that pass as surely as can be told, so many pass a beam that works and do not break it: the load is above
/// or below it, or nothing passed after all. Assumed.
const UNSEEN: f32 = 0.06;
/// An answer takes no longer than this.
const ON_ITS_WAY: Duration = Duration::from_millis(250);
/// What passes within this of one another is one load.
const LOAD: Duration = Duration::from_secs(5);
/// A passage's moment is known to about this.
const NEAR: Duration = Duration::from_secs(2);

/// Of both sides, where they are told apart: outside, inside.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(in crate::clean) struct Beams {
    /// In order of time.
    edges: VecDeque<Edge>,
    /// Whether each was broken before the first of them,
    before: [bool; 2],
    /// and what came before that is forgotten.
    #[serde(with = "micros")]
    since: Timestamp,
    /// How likely each works.
    works: [f32; 2],
    /// Since when each has been heard on this connection.
    #[serde(with = "both")]
    heard_since: [Option<Timestamp>; 2],
    /// The last load that passed, seen or not.
    #[serde(with = "maybe_micros", default)]
    passed: Option<Timestamp>,
}

/// A beam of a side was broken, or is free again.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Edge {
    #[serde(with = "micros")]
    pub at: Timestamp,
    pub inside: bool,
    pub broken: bool,
}

impl Beams {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A word of a beam. `live`: the reader says it as it happens, and not what it held.
    pub fn note(&mut self, at: Timestamp, inside: bool, broken: bool, live: bool) {
        if live {
            let side = usize::from(inside);
            self.works[side] = self.works[side].max(HEARD);
            self.heard_since[side].get_or_insert(at);
            // Our clock was set back.
            if at + LASTS < self.since {
                (self.edges, self.since, self.passed) = (VecDeque::new(), at, None);
            }
        }
        self.put(Edge { at, inside, broken });
    }

    /// How a beam stands, as its reader answered: what changed while nobody listened was told to nobody. What it told
    /// just before is newer than an answer that was on its way.
    pub fn stands(&mut self, at: Timestamp, inside: bool, broken: bool) {
        let last = self.edges.iter().rfind(|edge| edge.inside == inside);
        let known = last.map_or(self.before[usize::from(inside)], |edge| edge.broken);
        if known != broken && last.is_none_or(|edge| edge.at + ON_ITS_WAY < at) {
            self.put(Edge { at, inside, broken });
        }
    }

    fn put(&mut self, edge: Edge) {
        let at = edge.at;
        if at < self.since || self.edges.contains(&edge) {
            return;
        }
        let place = self.edges.partition_point(|other| other.at <= at);
        self.edges.insert(place, edge);
        let newest = self.edges.back().map_or(at, |edge| edge.at);
        while let Some(first) = self.edges.front().copied() {
            if self.edges.len() <= MOST && newest.since(first.at) <= LASTS {
                break;
            }
            self.edges.pop_front();
            (self.before[usize::from(first.inside)], self.since) = (first.broken, first.at);
        }
    }

    /// The connection to their reader is gone, or it tells what it held: that nothing is heard says nothing.
    pub fn lost(&mut self) {
        (self.works, self.heard_since) = ([0.0; 2], [None; 2]);
    }

    /// Something passed then, as its reads say surely enough. Once a load, for its tags are one piece of news.
    pub fn passed(&mut self, at: Timestamp, has: [bool; 2]) {
        let apart = |other: Timestamp| at.micros_after(other).unsigned_abs() > LOAD.as_micros() as u64;
        if !self.passed.is_none_or(apart) {
            return;
        }
        self.passed = Some(at);
        let seen =
            self.near(at).fold([false; 2], |seen, run| [0, 1].map(|side| seen[side] || run.broke[side]));
        for side in [0, 1] {
            let silent_there = !seen[side] && self.hears(side, at) && has[side];
            let works = self.works[side];
            if silent_there {
                self.works[side] = works * UNSEEN / (works * UNSEEN + 1.0 - works);
            } else if seen[side] && works > 0.0 {
                self.works[side] = SURELY;
            }
        }
    }

    /// Whether a side's beam would have been heard then.
    fn hears(&self, side: usize, at: Timestamp) -> bool {
        at >= self.since && self.heard_since[side].is_some_and(|since| since <= at)
    }
}

mod both {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::domain::time::Timestamp;

    pub fn serialize<S: Serializer>(both: &[Option<Timestamp>; 2], to: S) -> Result<S::Ok, S::Error> {
        both.map(|at| at.map(Timestamp::as_micros)).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[Option<Timestamp>; 2], D::Error> {
        Ok(<[Option<i64>; 2]>::deserialize(from)?.map(|at| at.map(Timestamp::from_micros)))
    }
}

#[cfg(test)]
mod tests;
