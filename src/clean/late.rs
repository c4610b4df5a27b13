//! Fixes that come after newer ones, and the visits to fences that they reveal.
//!
//! ```text
//! in order   ──●────●───────────(gap)──────────●────●──▶
//! late                   ○  ○ ○ ○  ○                      what lay in the gap, in whatever order it comes
//! ```
//! A few of the fixes that came in order are kept, those beside late ones that wait and beside long gaps longest. A late fix counts where it falls
//! between two that really followed one another; it waits until no more have come for a while. Then all of them go with
//! their neighbours through the fences once more ([`replay`]), and what was not told before ([`told`]) is told once, with
//! its own times.
//!
//! Bounded: a tracker keeps [`KEPT`] fixes, and while a burst lasts [`WAITING`] late ones, of which those that say the
//! same as their neighbours are merged. Where none can be, the part that the burst has left behind is judged and goes.
//! Never moves what is last known, but where the way leads up to the newest fix:
//! what late fixes say of the fences there holds now.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fence_index::FenceIndex;
use super::geofence::{just_side, side};
use super::place::{self, Place};
use super::rows::{maybe_micros, micros};
use crate::config::TrackerRules;
use crate::domain::geodesy::Path;
use crate::domain::ids::SourceId;
use crate::domain::readings::Fix;
use crate::domain::time::Timestamp;
pub(super) use replay::{Now, Revealed, Stayed, plausible};
use told::{Told, Visit};

mod replay;
mod told;

/// Fixes in order that are kept, and how many of the newest of them all are.
const KEPT: usize = 5;
const NEWEST: usize = 3;
/// Late fixes of a tracker that wait, at most: with the one that comes, what a doubling of room holds.
const WAITING: usize = 127;
/// Metres; further than 255 of them is as far.
const STRAY_M: f64 = 16.0;
/// So long after the last one they are judged, or after their source has caught up.
pub(super) const SETTLES: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Late {
    /// Oldest first.
    kept: Vec<Place>,
    pub told: Told,
    waiting: Option<Box<Waiting>>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Waiting {
    #[serde(with = "micros")]
    due: Timestamp,
    /// The connection that the last of them came by.
    via: SourceId,
    /// Oldest first.
    #[serde(with = "place::rows")]
    places: Vec<Place>,
    /// How far the fixes that each of them stands for lie from it at most, in [`STRAY_M`].
    #[serde(default)]
    strays: Vec<u8>,
    /// No more of them can be merged: the time of the one that came last.
    #[serde(with = "maybe_micros", default, skip_serializing_if = "Option::is_none")]
    full_by: Option<Timestamp>,
}

/// As the tracker's row holds it.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct LateRow {
    #[serde(
        rename = "k",
        alias = "kept",
        with = "place::rows",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    kept: Vec<Place>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    visits: Vec<Visit>,
    #[serde(rename = "f", alias = "floor")]
    #[serde(with = "maybe_micros", default, skip_serializing_if = "Option::is_none")]
    floor: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting: Option<Box<Waiting>>,
}

impl Late {
    /// A fix in order.
    pub fn accepted(&mut self, fix: &Fix, rules: &TrackerRules) {
        self.kept.reserve_exact(KEPT + 1 - self.kept.len().min(KEPT));
        self.kept.push(Place::of(fix));
        if self.kept.len() <= KEPT {
            return;
        }
        if fix.observed_at.since(self.kept[0].at) > rules.late_within {
            if self.kept[0].has_more_after() {
                return self.drop_kept(0);
            }
            // It was the one before the next, and still is: of what lies between, the end is not too old.
            self.kept.remove(0);
            return self.told.raise_floor(Some(fix.observed_at - rules.late_within));
        }
        let awaited = self.awaited();
        let spans = (0..KEPT - NEWEST + 1).map(|at| {
            let before = at.checked_sub(1).map_or(self.kept[at].at, |before| self.kept[before].at);
            // What lies beside late fixes that wait is of use still.
            let is_used = awaited.contains(&at) || awaited.contains(&(at + 1));
            (is_used, self.kept[at + 1].at.since(before))
        });
        let shortest = (0..).zip(spans).min_by_key(|(_, span)| *span).map_or(0, |(at, _)| at);
        self.drop_kept(shortest);
    }

    /// Gaps that late fixes wait in.
    fn awaited(&self) -> Vec<usize> {
        let waiting = self.waiting.iter().flat_map(|waiting| &waiting.places);
        let mut gaps: Vec<usize> = waiting.filter_map(|place| self.gap(place.at)).collect();
        gaps.dedup();
        gaps
    }

    fn drop_kept(&mut self, at: usize) {
        self.kept.remove(at);
        match at.checked_sub(1) {
            Some(before) => self.kept[before].note_more_after(),
            // What waits was still within what is kept when it came.
            None => {
                let waits = self.waiting.as_ref().and_then(|waiting| waiting.places.first());
                self.told.raise_floor(self.kept.first().into_iter().chain(waits).map(|place| place.at).min());
            }
        }
    }

    /// A late fix waits for others. `false` where it can reveal nothing: it is too old, or lies where more came in order
    /// than is remembered.
    pub fn arrived(
        &mut self,
        fix: &Fix,
        via: &SourceId,
        received: Timestamp,
        rules: &TrackerRules,
        fences: &FenceIndex,
    ) -> bool {
        let mut place = Place::of(fix);
        let Some(newest) = self.kept.last().copied() else { return false };
        let too_old = newest.at.since(place.at) > rules.late_within || self.told.is_below_floor(place.at);
        if too_old || self.gap(place.at).is_none() {
            return false;
        }
        place.inside = inside_of(fix, rules, fences);
        let waiting = self.waiting.get_or_insert_with(|| {
            let (due, via) = (Timestamp::MIN, via.clone());
            Box::new(Waiting { due, via, places: Vec::new(), strays: Vec::new(), full_by: None })
        });
        self.told.bursts = true;
        waiting.due = waiting.due.max(received + SETTLES);
        waiting.via = via.clone();
        let at = waiting.places.partition_point(|other| other.at <= place.at);
        // Rows of the first builds have none.
        waiting.strays.resize(waiting.places.len(), 0);
        waiting.places.insert(at, place);
        waiting.strays.insert(at, 0);
        if waiting.places.len() > WAITING && !waiting.merge_one(&self.kept, rules) {
            // So many comings and goings: what is there is judged now.
            (waiting.full_by, waiting.due) = (Some(place.at), received);
        }
        true
    }

    /// Which of the gaps between kept fixes a time lies in, by the number of those before it.
    fn gap(&self, at: Timestamp) -> Option<usize> {
        let after = after(&self.kept, at);
        let is_real = after == 0 || !self.kept[after - 1].has_more_after();
        (is_real && after < self.kept.len()).then_some(after)
    }

    /// Fixes in order that are kept, oldest first.
    pub fn kept(&self) -> &[Place] {
        &self.kept
    }

    /// When the waiting ones are judged, and by which connection they came.
    pub fn due(&self) -> Option<(Timestamp, &SourceId)> {
        self.waiting.as_ref().map(|waiting| (waiting.due, &waiting.via))
    }

    /// No more of them may wait.
    pub fn is_full(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.full_by.is_some())
    }

    pub fn row(&self) -> LateRow {
        LateRow {
            kept: self.kept.clone(),
            visits: self.told.visits.clone(),
            floor: self.told.floor,
            waiting: self.waiting.clone(),
        }
    }

    pub fn restore(row: LateRow) -> Self {
        let told = Told { visits: row.visits, floor: row.floor, bursts: row.waiting.is_some() };
        Self { kept: row.kept, told, waiting: row.waiting }
    }
}

fn after(kept: &[Place], at: Timestamp) -> usize {
    kept.partition_point(|kept| kept.at <= at)
}

/// A number for the fences that a fix is inside of, or says nothing of.
fn inside_of(fix: &Fix, rules: &TrackerRules, fences: &FenceIndex) -> u32 {
    let mut number: u32 = 0;
    for fence in fences.along(&Path::point(fix.position)) {
        let said = match side(fence, fix, rules) {
            Some(true) => 3,
            None if just_side(fence, fix) == Some(true) => 5,
            None => 7,
            Some(false) => continue,
        };
        let letters = fence.name.as_str().bytes();
        number = letters.fold(number.wrapping_mul(31).wrapping_add(said), |sum, letter| {
            sum.wrapping_mul(16_777_619) ^ u32::from(letter)
        });
    }
    number
}

impl Waiting {
    /// Merges a fix with the one before it, where both and the one after say the same of all fences, and nothing that came
    /// in order lies between. Of all such it is the one that lies nearest to where the two others have it at its time: without
    /// the places where it turned and stood nobody could say that it left. Nor without those furthest away, of a drive there
    /// and back.
    fn merge_one(&mut self, kept: &[Place], rules: &TrackerRules) -> bool {
        let far_m = |at: usize| {
            let [before, here] = [&self.places[at], &self.places[at + 1]];
            let [to_before, to_here] = [at, at + 1].map(|at| STRAY_M * f64::from(self.strays[at]));
            to_before.max(before.position().distance_m(here.position()) + to_here)
        };
        let found = self.places.array_windows().enumerate().filter_map(|(at, [before, here, next])| {
            let [a, b, c] = [before, here, next].map(|place| (place.inside, after(kept, place.at)));
            let is_alike = a == b && b == c;
            let goes_m = before.position().distance_m(next.position());
            (is_alike && far_m(at) <= goes_m + rules.trip_after_m).then(|| (at, here.beside_m(before, next)))
        });
        let Some((at, _)) = found.min_by(|(_, a), (_, b)| a.total_cmp(b)) else { return false };
        self.strays[at] = (far_m(at) / STRAY_M).ceil().min(u8::MAX.into()) as u8;
        self.strays.remove(at + 1);
        let merged = self.places.remove(at + 1);
        self.places[at].count = self.places[at].count.saturating_add(merged.count);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::geodesy::Position;
    use crate::domain::ids::Digest;

    fn place(second: i64) -> Place {
        let (at, position) = (Timestamp::from_secs(second), Position { lat: 50.0, lon: 8.0 });
        Place::of(&Fix::bare("truck".into(), at, position, Digest(0)))
    }

    fn waiting(places: &[Place]) -> Waiting {
        let (due, via, places) = (Timestamp::MIN, "broker".into(), places.to_vec());
        Waiting { due, via, strays: vec![0; places.len()], places, full_by: None }
    }

    #[test]
    fn nothing_is_merged_over_what_came_in_order() {
        let (kept, rules) = ([place(0), place(50), place(100)], TrackerRules::default());
        assert!(!waiting(&[49, 51, 52].map(place)).merge_one(&kept, &rules));
        let mut some = waiting(&[49, 51, 52, 53].map(place));
        assert!(some.merge_one(&kept, &rules));
        assert_eq!(some.places.iter().map(|place| place.count).collect::<Vec<_>>(), [1, 2, 1]);
    }

    /// Newer fixes in order come while a burst goes on.
    #[test]
    fn what_waits_is_not_forgotten_for_want_of_room() {
        let (rules, fences) = (TrackerRules::default(), FenceIndex::default());
        let fix = |second: i64| place(second).fix(&"truck".into());
        let mut late = Late::default();
        [0, 100, 3000, 3002, 3004].iter().for_each(|second| late.accepted(&fix(*second), &rules));
        let arrives = |late: &mut Late, second: i64| {
            late.arrived(&fix(second), &"broker".into(), Timestamp::from_secs(3100), &rules, &fences)
        };
        assert!(arrives(&mut late, 50) && arrives(&mut late, 1500));
        late.accepted(&fix(3006), &rules);
        assert_eq!(late.kept()[0].at, Timestamp::from_secs(100), "no other stands beside nothing that waits");
        assert!(arrives(&mut late, 60));
        assert!(!arrives(&mut late, 40), "older than all that is left");
    }

    #[test]
    fn the_furthest_of_a_drive_there_and_back_is_not_merged() {
        let drives = |second: i64| {
            Place::of(&Fix {
                position: Position { lat: 50.0 + 0.001 * (50 - (second - 50).abs()) as f64, lon: 8.0 },
                ..place(second).fix(&"truck".into())
            })
        };
        let (kept, rules) = ([place(-1), place(1000)], TrackerRules::default());
        let mut burst = waiting(&[]);
        for second in 0..=100 {
            burst.places.push(drives(second));
            burst.strays.push(0);
            while burst.places.len() > 4 && burst.merge_one(&kept, &rules) {}
        }
        let north = |place: &Place| place.position().lat;
        let furthest = burst.places.iter().map(north).fold(0.0, f64::max);
        assert!(furthest > 50.048, "{furthest}");
        assert!(burst.places.len() < 10, "{}", burst.places.len());
        assert_eq!(burst.places.iter().map(|place| u32::from(place.count)).sum::<u32>(), 101);
    }
}
