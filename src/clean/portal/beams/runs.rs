//! What went through the beams: from when the first of them is broken until none is.
//!
//! ```text
//! free ─▶ outer ─▶ both ─▶ inner ─▶ free        four steps inward; the other way round, four outward
//! ```
//! Two beams are a quadrature encoder: whatever stops, goes back a little or has a gap in it takes steps back and
//! forth, and what has turned back has taken none in the end. Whoever fits between the beams breaks one after the
//! other: two such runs soon after one another are one.

use super::{Beams, Edge, NEAR};
use crate::domain::time::Timestamp;

/// What is in the beams for longer than this stands there.
const STANDS_US: i64 = 30_000_000;
/// Somebody is from one beam at the other within this.
const BETWEEN_US: i64 = 2_000_000;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Run {
    pub from: Timestamp,
    /// None while something is still in them.
    pub until: Option<Timestamp>,
    /// Inward, less those outward.
    pub steps: i32,
    /// Which were broken at all: outer, inner.
    pub broke: [bool; 2],
    /// Both changed at the same moment: which of them first, nobody knows.
    pub at_once: bool,
}

impl Run {
    pub fn is_near(&self, at: Timestamp) -> bool {
        at + NEAR >= self.from && self.until.is_none_or(|until| until + NEAR >= at)
    }

    /// Whether something just stands in them then.
    pub fn stands(&self, at: Timestamp) -> bool {
        at.micros_after(self.from) > STANDS_US
            && self.until.is_none_or(|until| until.micros_after(self.from) > STANDS_US)
    }
}

impl Beams {
    /// Runs that a passage at about that time may have been, in order of time.
    pub(super) fn near(&self, at: Timestamp) -> impl Iterator<Item = Run> {
        self.runs().into_iter().filter(move |run| run.is_near(at))
    }

    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut state = self.before;
        let new = |at, broke| Run { from: at, until: None, steps: 0, broke, at_once: false };
        let mut open = (state != [false; 2]).then(|| new(self.since, state));
        let mut last: Option<Edge> = None;
        for edge in &self.edges {
            let side = usize::from(edge.inside);
            if state[side] == edge.broken {
                continue;
            }
            let mut run = open.take().unwrap_or_else(|| new(edge.at, [false; 2]));
            let before = turn(state);
            state[side] = edge.broken;
            run.steps += if (turn(state) - before).rem_euclid(4) == 1 { 1 } else { -1 };
            run.broke[side] |= edge.broken;
            run.at_once |= last.is_some_and(|last| last.at == edge.at && last.inside != edge.inside);
            if state == [false; 2] {
                runs.push(Run { until: Some(edge.at), ..run });
            } else {
                open = Some(run);
            }
            last = Some(*edge);
        }
        runs.extend(open);
        joined(runs)
    }

    /// When each beam was broken, of those times that are near: side, from, until.
    pub(super) fn broken(&self, at: Timestamp) -> Vec<(bool, Timestamp, Option<Timestamp>)> {
        let mut found = Vec::new();
        for inside in [false, true] {
            let mut from = self.before[usize::from(inside)].then_some(self.since);
            for edge in self.edges.iter().filter(|edge| edge.inside == inside) {
                match (from, edge.broken) {
                    (None, true) => from = Some(edge.at),
                    (Some(began), false) => {
                        found.push((inside, began, Some(edge.at)));
                        from = None;
                    }
                    _ => {}
                }
            }
            found.extend(from.map(|began| (inside, began, None)));
        }
        found.retain(|(_, from, until)| at + NEAR >= *from && until.is_none_or(|until| until + NEAR >= at));
        found.sort_by_key(|(inside, from, _)| (*from, *inside));
        found
    }
}

/// Runs through one beam each, soon after one another, are one through both; those that are closest first, for who is
/// past a beam is at the other one sooner than the next who comes.
fn joined(mut runs: Vec<Run>) -> Vec<Run> {
    let gap = |pair: &[Run]| {
        let gap = pair[1].from.micros_after(pair[0].until?);
        let other_one = pair[0].broke.map(|broke| !broke) == pair[1].broke;
        (other_one && gap <= BETWEEN_US).then_some(gap)
    };
    loop {
        let gaps = runs.windows(2).enumerate().filter_map(|(nth, pair)| Some((gap(pair)?, nth)));
        let Some((_, nth)) = gaps.min() else { return runs };
        let (first, then) = (runs[nth], runs.remove(nth + 1));
        let way = if first.broke[0] { 1 } else { -1 };
        // The last step of it is still to come where something stands in the second.
        let steps = way * if then.until.is_some() { 4 } else { 3 };
        runs[nth] = Run { until: then.until, steps, broke: [true; 2], ..first };
    }
}

/// How far around: free, outer, both, inner.
fn turn(state: [bool; 2]) -> i32 {
    match state {
        [false, false] => 0,
        [true, false] => 1,
        [true, true] => 2,
        [false, true] => 3,
    }
}
