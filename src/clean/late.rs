//! Fixes that come after newer ones, and the visits to fences that they reveal.
//!
//! ```text
//! in order   ──●────●───────────(gap)──────────●────●──▶
//! late                   ○  ○ ○ ○  ○                      what lay in the gap, in whatever order it comes
//! ```
//! A few of the fixes that came in order are kept, those beside long gaps longest. A late fix counts where it falls
//! between two that really followed one another; it waits until no more have come for a while. Then the fixes of
//! each gap are judged together, and a visit that has both its ends there is told once, with its own times. What was
//! told before is remembered as far back as that matters; of what lies further back nothing is told.
//!
//! Bounded: a tracker keeps [`KEPT`] fixes and [`VISITS`] visits, and while a burst lasts [`WAITING`] fixes, of which
//! those that say the same as their neighbours are merged. Never moves what is last known.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fence_index::FenceIndex;
use super::geofence::{Change, FenceState, side};
use super::place::{self, Place};
use super::rows::micros;
use crate::config::{FenceConfig, TrackerRules};
use crate::domain::ids::{DeviceId, FenceId, SourceId};
use crate::domain::readings::Fix;
use crate::domain::sightings::FenceChange;
use crate::domain::time::Timestamp;

/// Fixes in order that are kept, and how many of the newest of them all are.
const KEPT: usize = 5;
const NEWEST: usize = 3;
/// Visits that are over and may be met again.
const VISITS: usize = 4;
/// Late fixes of a tracker that wait, at most.
const WAITING: usize = 64;
/// So long after the last one they are judged.
const SETTLES: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Late {
    /// Oldest first.
    kept: Vec<Place>,
    visits: Vec<Visit>,
    /// Of what is older nothing is told.
    floor: Option<Timestamp>,
    waiting: Option<Box<Waiting>>,
}

/// A visit that was told and is over.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Visit {
    fence: FenceId,
    #[serde(with = "micros")]
    from: Timestamp,
    #[serde(with = "micros")]
    to: Timestamp,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Waiting {
    #[serde(with = "micros")]
    due: Timestamp,
    /// The connection that the last of them came by.
    via: SourceId,
    /// Oldest first.
    #[serde(with = "place::hex_rows")]
    places: Vec<Place>,
}

/// As the tracker's row holds it.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct LateRow {
    #[serde(with = "place::hex_rows", default, skip_serializing_if = "Vec::is_empty")]
    kept: Vec<Place>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    visits: Vec<Visit>,
    #[serde(with = "super::rows::maybe_micros", default, skip_serializing_if = "Option::is_none")]
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
            return self.drop_kept(0);
        }
        let spans = (0..KEPT - NEWEST + 1).map(|at| {
            let before = at.checked_sub(1).map_or(self.kept[at].at, |before| self.kept[before].at);
            self.kept[at + 1].at.since(before)
        });
        let shortest = (0..).zip(spans).min_by_key(|(_, span)| *span).map_or(0, |(at, _)| at);
        self.drop_kept(shortest);
    }

    fn drop_kept(&mut self, at: usize) {
        self.kept.remove(at);
        match at.checked_sub(1) {
            Some(before) => self.kept[before].has_more_after = true,
            None => self.floor = self.floor.max(self.kept.first().map(|first| first.at)),
        }
    }

    /// A visit was told, and is over.
    pub fn told(&mut self, fence: FenceId, from: Timestamp, to: Timestamp) {
        if self.visits.len() >= VISITS {
            let oldest = (0..).zip(&self.visits).min_by_key(|(_, visit)| visit.to).map_or(0, |(at, _)| at);
            self.floor = self.floor.max(Some(self.visits.swap_remove(oldest).to));
        }
        self.visits.reserve_exact(1);
        self.visits.push(Visit { fence, from, to });
    }

    /// Whether a visit then was told already.
    pub fn was_told(&self, fence: &FenceId, from: Timestamp, to: Timestamp) -> bool {
        self.visits.iter().any(|visit| visit.fence == *fence && visit.from < to && from < visit.to)
    }

    /// A late fix waits for others, where it may reveal anything.
    pub fn arrived(
        &mut self,
        fix: &Fix,
        via: &SourceId,
        received: Timestamp,
        rules: &TrackerRules,
        fences: &FenceIndex,
    ) {
        let mut place = Place::of(fix);
        let Some(newest) = self.kept.last().copied() else { return };
        let too_old = newest.at.since(place.at) > rules.late_within;
        if too_old || self.floor.is_some_and(|floor| place.at < floor) || self.gap(place.at).is_none() {
            return;
        }
        place.inside = inside_of(fix, rules, fences);
        let waiting = self.waiting.get_or_insert_with(|| {
            Box::new(Waiting { due: Timestamp::MIN, via: via.clone(), places: Vec::new() })
        });
        waiting.due = waiting.due.max(received + SETTLES);
        waiting.via = via.clone();
        let at = waiting.places.partition_point(|other| other.at <= place.at);
        waiting.places.insert(at, place);
        if waiting.places.len() > WAITING && !merge_one(&mut waiting.places) {
            // So many comings and goings: what is there is judged now.
            waiting.due = received;
        }
    }

    /// Which of the gaps between kept fixes a time lies in, by the number of those before it.
    fn gap(&self, at: Timestamp) -> Option<usize> {
        let after = self.kept.partition_point(|kept| kept.at <= at);
        let is_real = after == 0 || !self.kept[after - 1].has_more_after;
        (is_real && after < self.kept.len()).then_some(after)
    }

    /// When the waiting ones are judged, and by which connection they came.
    pub fn due(&self) -> Option<(Timestamp, &SourceId)> {
        self.waiting.as_ref().map(|waiting| (waiting.due, &waiting.via))
    }

    /// Judges what waits: the visits that it reveals, oldest first.
    pub fn settle(
        &mut self,
        device: &DeviceId,
        states: &[FenceState],
        rules: &TrackerRules,
        fences: &FenceIndex,
    ) -> Vec<Change> {
        let Some(waiting) = self.waiting.take() else { return Vec::new() };
        let mut revealed: Vec<(Place, Place, FenceId)> = Vec::new();
        let gaps = waiting.places.chunk_by(|a, b| self.gap(a.at) == self.gap(b.at));
        for places in gaps {
            let Some(after) = self.gap(places[0].at) else { continue };
            let way = self.around(after, places, rules);
            for fence in fences_of(places, rules, fences) {
                for (entered, exited) in visits(&way, fence, rules, |at| self.is_inside(states, fence, at)) {
                    let open = states.iter().find(|state| state.fence == fence.name);
                    let is_open = open.and_then(FenceState::since).is_some_and(|since| exited.at > since);
                    if !is_open && !self.was_told(&fence.name, entered.at, exited.at) {
                        revealed.push((entered, exited, fence.name.clone()));
                    }
                }
            }
        }
        revealed.sort_by(|a, b| (a.0.at, &a.2).cmp(&(b.0.at, &b.2)));
        let mut changes = Vec::new();
        for (entered, exited, fence) in revealed {
            let visit = Some((entered.at, exited.at));
            for (change, place) in [(FenceChange::Entered, entered), (FenceChange::Exited, exited)] {
                changes.push(Change {
                    fence: fence.clone(),
                    change,
                    fix: place.fix(device),
                    inferred: false,
                    visit,
                });
            }
            self.told(fence, entered.at, exited.at);
        }
        changes
    }

    /// The late ones of a gap with what came in order before and after it.
    fn around(&self, after: usize, late: &[Place], rules: &TrackerRules) -> Vec<Place> {
        let real = |pair: &[Place]| !pair[0].has_more_after;
        let before = self.kept[..after].windows(2).rev().take_while(|pair| real(pair)).count() + 1;
        let begins = after.saturating_sub(before);
        let later = self.kept[after..].windows(2).take_while(|pair| real(pair)).count() + 1;
        let ends = (after + later).min(self.kept.len());
        let way = [&self.kept[begins..after], late, &self.kept[after..ends]].concat();
        // As with those in order: what nothing beside it can be reached from is no position.
        let reaches = |at: usize, other: usize| {
            way.get(other).is_some_and(|other| way[at].speed_to(other) <= rules.max_speed_mps)
        };
        let is_late = |at: usize| (after - begins..after - begins + late.len()).contains(&at);
        let is_plausible = |at: usize| {
            !is_late(at) || reaches(at, at + 1) || at.checked_sub(1).is_some_and(|before| reaches(at, before))
        };
        (0..way.len()).filter(|at| is_plausible(*at)).map(|at| way[at]).collect()
    }

    /// Whether it was told to be inside then.
    fn is_inside(&self, states: &[FenceState], fence: &FenceConfig, at: Timestamp) -> bool {
        let open = states.iter().find(|state| state.fence == fence.name);
        open.is_some_and(|state| state.is_inside_at(at))
            || self.was_told(&fence.name, at, at + Duration::from_micros(1))
    }

    pub fn row(&self) -> LateRow {
        LateRow {
            kept: self.kept.clone(),
            visits: self.visits.clone(),
            floor: self.floor,
            waiting: self.waiting.clone(),
        }
    }

    pub fn restore(row: LateRow) -> Self {
        Self { kept: row.kept, visits: row.visits, floor: row.floor, waiting: row.waiting }
    }
}

/// A number for the fences that a fix is inside of, or says nothing of.
fn inside_of(fix: &Fix, rules: &TrackerRules, fences: &FenceIndex) -> u32 {
    let mut number: u32 = 0;
    for fence in fences.along(None, fix.position) {
        let said = match side(fence, fix, rules) {
            Some(true) => 3,
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

/// Merges a fix with the one before it, where both and the one after say the same of all fences.
fn merge_one(places: &mut Vec<Place>) -> bool {
    let same = places.windows(3).position(|at| at[0].inside == at[1].inside && at[1].inside == at[2].inside);
    let Some(at) = same else { return false };
    let merged = places.remove(at + 1);
    places[at].count = places[at].count.saturating_add(merged.count);
    true
}

/// Fences that any of them is in, by name.
fn fences_of<'a>(places: &[Place], rules: &TrackerRules, fences: &'a FenceIndex) -> Vec<&'a FenceConfig> {
    let nobody = DeviceId::new("");
    let mut found: Vec<&FenceConfig> = Vec::new();
    for place in places.iter().filter(|place| place.inside != 0) {
        let fix = place.fix(&nobody);
        found.extend(fences.along(None, fix.position).filter(|fence| side(fence, &fix, rules) == Some(true)));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

/// Visits with both ends on the way, confirmed at both by as many fixes in a row as the fence wants; the last one of
/// the way confirms its end by itself, since more have followed it.
fn visits(
    way: &[Place],
    fence: &FenceConfig,
    rules: &TrackerRules,
    was_inside: impl Fn(Timestamp) -> bool,
) -> Vec<(Place, Place)> {
    let nobody = DeviceId::new("");
    let mut found = Vec::new();
    let mut inside = way.first().is_some_and(|first| was_inside(first.at));
    let mut entered: Option<Place> = None;
    let mut pending: Option<(Place, u32)> = None;
    for (number, place) in way.iter().enumerate() {
        let Some(said) = side(fence, &place.fix(&nobody), rules) else { continue };
        if said == inside {
            pending = None;
            continue;
        }
        let (first, count) = pending.unwrap_or((*place, 0));
        let count = count + u32::from(place.count);
        let is_last = number + 1 == way.len() && !said;
        if count < fence.confirmations && !is_last {
            pending = Some((first, count));
            continue;
        }
        (inside, pending) = (said, None);
        match entered.take() {
            Some(entered) => found.push((entered, first)),
            None => entered = said.then_some(first),
        }
    }
    found
}
