//! Fixes that come after newer ones, and the visits to fences that they reveal.
//!
//! ```text
//! in order   ──●────●───────────(gap)──────────●────●──▶
//! late                   ○  ○ ○ ○  ○                      what lay in the gap, in whatever order it comes
//! ```
//! A few of the fixes that came in order are kept ([`kept`]), those beside late ones that wait and beside silences longest. A
//! late fix counts where it falls between two that really followed one another; it waits until no more have come for a
//! while. Then all of them go with their neighbours through the fences once more ([`replay`]), and what was not told before
//! ([`told`]) is told once, with its own times.
//!
//! Bounded: while a burst lasts a tracker keeps [`WAITING`] late ones, of which those that say the
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
use crate::domain::ids::{FenceId, SourceId};
use crate::domain::readings::Fix;
use crate::domain::time::Timestamp;
use kept::Kept;
pub(super) use kept::SILENCE;
pub(super) use replay::{Now, Revealed, Stayed, plausible};
use told::{Told, Visit};

mod kept;
mod replay;
mod told;

/// Late fixes of a tracker that wait, at most: with the one that comes, what a doubling of room holds.
const WAITING: usize = 127;
/// Metres; further than 255 of them is as far.
const STRAY_M: f64 = 16.0;
/// So long after the last one they are judged, or after their source has caught up.
pub(super) const SETTLES: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Late {
    kept: Kept,
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
        let waiting = self.waiting.as_ref().map_or(&[][..], |waiting| &waiting.places);
        let floor = self.kept.push(Place::of(fix), waiting, rules);
        self.told.raise_floor(floor);
    }

    /// A visit that was told by fixes in order is over.
    pub fn told_in_order(&mut self, fence: &FenceId, span: (Timestamp, Timestamp)) {
        let kept = &self.kept;
        self.told.make_room_for_one(|span| kept.may_hear_of(span));
        self.told.tell(fence, span);
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
        let Some(newest) = self.kept.places().last().copied() else { return false };
        let too_old = newest.at.since(place.at) > rules.late_within || self.told.is_below_floor(place.at);
        if too_old || self.kept.gap(place.at).is_none() {
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

    /// Fixes in order that are kept, oldest first.
    pub fn kept(&self) -> &[Place] {
        self.kept.places()
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
            kept: self.kept.places().to_vec(),
            visits: self.told.visits.clone(),
            floor: self.told.floor,
            waiting: self.waiting.clone(),
        }
    }

    pub fn restore(row: LateRow) -> Self {
        let told = Told { visits: row.visits, floor: row.floor, bursts: row.waiting.is_some() };
        Self { kept: Kept::restore(row.kept), told, waiting: row.waiting }
    }
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
    fn merge_one(&mut self, kept: &Kept, rules: &TrackerRules) -> bool {
        let far_m = |at: usize| {
            let [before, here] = [&self.places[at], &self.places[at + 1]];
            let [to_before, to_here] = [at, at + 1].map(|at| STRAY_M * f64::from(self.strays[at]));
            to_before.max(before.position().distance_m(here.position()) + to_here)
        };
        let found = self.places.array_windows().enumerate().filter_map(|(at, [before, here, next])| {
            let [a, b, c] = [before, here, next].map(|place| (place.inside, kept.until(place.at)));
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
        let (kept, rules) = (Kept::restore([0, 50, 100].map(place).to_vec()), TrackerRules::default());
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
        let accepts = |late: &mut Late, seconds: &[i64]| {
            seconds.iter().for_each(|second| late.accepted(&fix(*second), &rules));
        };
        let arrives = |late: &mut Late, second: i64| {
            late.arrived(&fix(second), &"broker".into(), Timestamp::from_secs(3100), &rules, &fences)
        };
        accepts(&mut late, &[0, 100, 3000, 3002, 3004]);
        assert!(arrives(&mut late, 50) && arrives(&mut late, 1500));
        accepts(&mut late, &[3006, 3008, 3010, 3012]);
        assert!(arrives(&mut late, 60) && arrives(&mut late, 40) && arrives(&mut late, 1600));
        assert!(!arrives(&mut late, 3005), "beside nothing that waits");
        // Of so many gaps that late ones wait in, the oldest.
        for second in (3100..5000).step_by(100) {
            accepts(&mut late, &[second]);
            assert!(arrives(&mut late, second - 50));
        }
        assert!(!arrives(&mut late, 30) && late.kept().len() < 10, "{:?}", late.kept());
    }

    #[test]
    fn the_furthest_of_a_drive_there_and_back_is_not_merged() {
        let drives = |second: i64| {
            Place::of(&Fix {
                position: Position { lat: 50.0 + 0.001 * (50 - (second - 50).abs()) as f64, lon: 8.0 },
                ..place(second).fix(&"truck".into())
            })
        };
        let (kept, rules) = (Kept::restore([-1, 1000].map(place).to_vec()), TrackerRules::default());
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
