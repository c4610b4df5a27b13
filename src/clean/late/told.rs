//! Which visits of a tracker were told and are over, so that late fixes tell none of them again.
//!
//! Bounded: [`REMEMBERED`] of them, and [`IN_A_BURST`] while late fixes wait, which may come newest first. Where there is no
//! room, those go of which late fixes can say nothing any more; then the two oldest of one fence become one, since ever: of that fence nothing is told any more that is older than the
//! end of the second. Where each is of another fence, the oldest goes, and of no fence anything is told that is older than
//! its end.

use serde::{Deserialize, Deserializer, Serialize};

use crate::clean::rows::{maybe_micros, micros};
use crate::domain::ids::{Digest, FenceId};
use crate::domain::time::Timestamp;

const REMEMBERED: usize = 6;
/// 3 KiB.
const IN_A_BURST: usize = 100;

#[derive(Default)]
pub(in crate::clean) struct Told {
    pub(super) visits: Vec<Visit>,
    /// Of what is older nothing is told.
    pub(super) floor: Option<Timestamp>,
    /// Late fixes wait.
    pub(super) bursts: bool,
}

/// A visit that was told; of one that was inferred, between which two fixes it must have been.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Visit {
    /// Of its name: 8 bytes.
    #[serde(deserialize_with = "of_name_or_digest")]
    fence: Digest,
    /// Without one: since ever, and what may have been told so long ago was.
    #[serde(with = "maybe_micros", default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[serde(with = "micros")]
    to: Timestamp,
}

impl Visit {
    fn covers(&self, fence: Digest, at: Timestamp) -> bool {
        self.fence == fence && self.from.is_some_and(|from| from <= at) && at < self.to
    }
}

/// What is remembered of a time in a fence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::clean) enum Memory {
    /// It was not told.
    New,
    /// It, or a part of it, was told.
    Told,
    /// It is so long ago that it may have been.
    Forgotten,
}

impl Told {
    /// A visit was told, and is over.
    pub fn tell(&mut self, fence: &FenceId, (from, to): (Timestamp, Timestamp)) {
        if self.visits.len() >= if self.bursts { IN_A_BURST } else { REMEMBERED } {
            self.make_room();
        }
        self.visits.reserve_exact(1);
        self.visits.push(Visit { fence: digest(fence), from: Some(from), to });
    }

    /// Those of which nothing more is heard go first.
    pub fn make_room_for_one(&mut self, may_hear_of: impl Fn((Timestamp, Timestamp)) -> bool) {
        if !self.bursts && self.visits.len() >= REMEMBERED {
            self.forget_one(may_hear_of);
        }
    }

    fn forget_one(&mut self, may_hear_of: impl Fn((Timestamp, Timestamp)) -> bool) -> bool {
        let is_of_use = |visit: &Visit| may_hear_of((visit.from.unwrap_or(Timestamp::MIN), visit.to));
        let oldest = (0..self.visits.len()).filter(|nth| !is_of_use(&self.visits[*nth]));
        let Some(nth) = oldest.min_by_key(|nth| self.visits[*nth].to) else { return false };
        self.visits.remove(nth);
        true
    }

    /// No more late fixes wait.
    pub fn settle(&mut self, may_hear_of: impl Fn((Timestamp, Timestamp)) -> bool) {
        self.bursts = false;
        while self.visits.len() > REMEMBERED {
            if !self.forget_one(&may_hear_of) {
                self.make_room();
            }
        }
        self.visits.shrink_to_fit();
    }

    /// One of them began earlier: the tracker was there from then to when that one was told to begin. Whether there is one.
    pub fn began_earlier(&mut self, fence: &FenceId, (from, to): (Timestamp, Timestamp)) -> bool {
        let fence = digest(fence);
        let told = self.visits.iter_mut().find(|visit| visit.fence == fence && visit.from == Some(to));
        told.map(|visit| visit.from = Some(from)).is_some()
    }

    /// The visit that it was in at a time ended then, and not when it was told to.
    pub fn ended(&mut self, fence: &FenceId, at: Timestamp, then: Timestamp) {
        let fence = digest(fence);
        if let Some(visit) = self.visits.iter_mut().find(|visit| visit.covers(fence, at)) {
            visit.to = then;
        }
    }

    fn make_room(&mut self) {
        self.visits.sort_by_key(|visit| visit.to);
        let later = |nth: usize| {
            (nth + 1..self.visits.len()).find(|at| self.visits[*at].fence == self.visits[nth].fence)
        };
        match (0..self.visits.len()).find_map(|nth| Some((nth, later(nth)?))) {
            Some((older, later)) => {
                self.visits[later].from = None;
                self.visits.remove(older);
            }
            None => {
                let oldest = self.visits.remove(0);
                self.raise_floor(Some(oldest.to));
            }
        }
    }

    pub fn raise_floor(&mut self, to: Option<Timestamp>) {
        self.floor = self.floor.max(to);
    }

    pub fn is_below_floor(&self, at: Timestamp) -> bool {
        self.floor.is_some_and(|floor| at < floor)
    }

    /// Whether a visit then, or some time then, was told already; by another visit than the one at the time `but`.
    pub fn memory(&self, fence: &FenceId, span: (Timestamp, Timestamp), but: Option<Timestamp>) -> Memory {
        let fence = digest(fence);
        let counts = |visit: &&Visit| but.is_none_or(|at| !visit.covers(fence, at));
        let mut met = self.meeting(fence, span).filter(counts).peekable();
        if met.peek().is_none() {
            return if self.is_below_floor(span.0) { Memory::Forgotten } else { Memory::New };
        }
        if met.any(|visit| visit.from.is_some()) { Memory::Told } else { Memory::Forgotten }
    }

    /// Whether a visit of that fence is known to have been told that may be this one, however long ago it is.
    pub fn has(&self, fence: &FenceId, span: (Timestamp, Timestamp)) -> bool {
        self.meeting(digest(fence), span).next().is_some()
    }

    fn meeting(&self, fence: Digest, (from, to): (Timestamp, Timestamp)) -> impl Iterator<Item = &Visit> {
        let meets = move |visit: &&Visit| {
            visit.fence == fence && from < visit.to && visit.from.is_none_or(|begun| begun < to)
        };
        self.visits.iter().filter(meets)
    }

    /// From when to when it was inside then, by a visit that was told.
    pub fn inside(&self, fence: &FenceId, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let fence = digest(fence);
        let visit = self.visits.iter().find(|visit| visit.covers(fence, at))?;
        Some((visit.from?, visit.to))
    }
}

fn digest(fence: &FenceId) -> Digest {
    Digest::of(fence.as_str().as_bytes())
}

/// The first builds wrote the name.
fn of_name_or_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Fence {
        Name(FenceId),
        Digest(Digest),
    }
    Ok(match Fence::deserialize(deserializer)? {
        Fence::Name(name) => digest(&name),
        Fence::Digest(digest) => digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    fn told(visits: &[(&str, i64, i64)]) -> Told {
        let mut told = Told::default();
        visits.iter().for_each(|(fence, from, to)| told.tell(&FenceId::from(*fence), (at(*from), at(*to))));
        told
    }

    #[test]
    fn many_visits_to_one_fence_forget_nothing_of_another() {
        let mut visits = vec![("yard", 0, 10)];
        visits.extend((1..20).map(|nth| ("dock", nth * 100, nth * 100 + 10)));
        let told = told(&visits);
        let memory = |fence: &str, from, to| told.memory(&fence.into(), (at(from), at(to)), None);
        assert_eq!(memory("yard", 5, 20), Memory::Told);
        assert_eq!(memory("yard", 10, 20), Memory::New, "it touches the other, and is none of it");
        assert_eq!(memory("dock", 1900, 1950), Memory::Told);
        assert_eq!(memory("dock", 1850, 1890), Memory::New);
        assert_eq!(memory("dock", 250, 290), Memory::Forgotten, "between two that became one");
        assert_eq!(told.inside(&"dock".into(), at(1905)), Some((at(1900), at(1910))));
        assert_eq!(told.inside(&"dock".into(), at(250)), None);
        assert!(told.visits.len() <= REMEMBERED && told.floor.is_none());
    }

    #[test]
    fn a_visit_that_is_found_to_have_begun_earlier_is_the_same_one() {
        let mut told = told(&[("yard", 100, 110), ("dock", 300, 310)]);
        assert!(told.began_earlier(&"yard".into(), (at(50), at(100))));
        assert!(!told.began_earlier(&"yard".into(), (at(20), at(49))), "another, before it");
        assert!(!told.began_earlier(&"yard".into(), (at(200), at(300))));
        let memory = |fence: &str, from, to| told.memory(&fence.into(), (at(from), at(to)), None);
        assert_eq!((memory("yard", 60, 90), memory("yard", 20, 49)), (Memory::Told, Memory::New));
    }

    #[test]
    fn where_each_is_of_another_fence_the_oldest_goes() {
        let names: Vec<String> = (0..=REMEMBERED).map(|nth| format!("stop {nth}")).collect();
        let visits: Vec<_> =
            (0..).zip(&names).map(|(nth, name)| (name.as_str(), nth * 100, nth * 100 + 10)).collect();
        let told = told(&visits);
        assert_eq!(told.memory(&"elsewhere".into(), (at(5), at(50)), None), Memory::Forgotten);
        assert_eq!(told.memory(&"elsewhere".into(), (at(10), at(50)), None), Memory::New);
    }

    #[test]
    fn rows_of_the_first_builds_name_the_fence() {
        let row = r#"{"fence":"yard","from":0,"to":10000000}"#;
        let visit: Visit = serde_json::from_str(row).unwrap();
        let again: Visit = serde_json::from_str(&serde_json::to_string(&visit).unwrap()).unwrap();
        assert_eq!((&visit, visit.fence), (&again, digest(&"yard".into())));
    }
}
