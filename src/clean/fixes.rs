//! One tracker: its messages known again, its clock, its impossible fixes set aside, its fences.
//!
//! A message delivered again is recognised before anything else looks at it. What is older than the
//! newest accepted fix, or was retained by the broker, is *late*: kept, and moves nothing. Never looks
//! at a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::clock::{ClockFault, ClockRules, TrackerClock};
use super::fence_index::FenceIndex;
use super::geofence::{self, Change, FenceState, Way, steering};
use super::late::{Late, Now, Revealed};
use super::motion::{self, Held, Moment, Moves};
use super::redelivery::Seen;
use super::rows::{exact, exact_fix, maybe_exact, micros};
use super::{CLOCK_AHEAD, DUPLICATE, IMPOSSIBLE_JUMP, INACCURATE, NO_FIX, NULL_ISLAND, TOO_OLD};
use crate::config::TrackerRules;
use crate::domain::geodesy::Position;
use crate::domain::ids::{DeviceId, Digest, FenceId, SourceId};
use crate::domain::readings::{Fix, Vitals};
use crate::domain::sightings::FenceChange;
use crate::domain::time::Timestamp;
pub(super) use row::TrackerRow;

mod row;

/// What trackers without a position send; nothing that we track is within 11 m of it.
const NULL_ISLAND_DEG: f64 = 1e-4;
/// That a tracker lives is said no more often than this.
const SAY_ALIVE: Duration = Duration::from_secs(60);
/// Why a position may be none.
const REFUSALS: [&str; 6] = [CLOCK_AHEAD, IMPOSSIBLE_JUMP, INACCURATE, NO_FIX, NULL_ISLAND, TOO_OLD];

pub(super) struct Tracker {
    pub seen: Seen,
    clock: TrackerClock,
    last: Option<Last>,
    /// The newest of the fixes that agree with one another, and not with the last accepted. Apart, because
    /// nearly every tracker has none.
    jump: Option<Box<Jump>>,
    states: Vec<FenceState>,
    pub late: Late,
    /// Whether it moves, since its first fix.
    moves: Option<Moves>,
    /// What it may have done where it could not be heard; nothing of its motion is told meanwhile.
    held: Option<Box<Held>>,
    /// The connection that its last fix in order came by.
    via: Option<SourceId>,
    /// When it is looked at whether its trip is over.
    pub looked_at: Option<Timestamp>,
    /// When its newest message came, by our clock.
    heard: Timestamp,
    /// The time of which it was last said that it lives.
    alive: Option<Timestamp>,
    /// When it last said something of itself without a fix.
    word: Option<Timestamp>,
    /// Why its last position was none, where it was.
    refused: Option<&'static str>,
    pub dirty: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Jump {
    count: u32,
    #[serde(with = "exact_fix")]
    newest: Fix,
}

/// What is left of the last accepted fix, to the bit.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Last {
    #[serde(rename = "t", alias = "at", with = "micros")]
    at: Timestamp,
    #[serde(rename = "y", alias = "lat", with = "exact")]
    lat: f64,
    #[serde(rename = "x", alias = "lon", with = "exact")]
    lon: f64,
    #[serde(rename = "r", alias = "accuracy", with = "maybe_exact", default)]
    accuracy: Option<f64>,
    /// Whole degrees from 1 to 360, where it moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    course: Option<u16>,
}

impl Last {
    fn of(fix: &Fix) -> Self {
        let Position { lat, lon } = fix.position;
        let course = steering(fix).map(|course| (course.round() as u16).max(1));
        Self { at: fix.observed_at, lat, lon, accuracy: fix.accuracy_m, course }
    }

    fn fix(self, device: &DeviceId) -> Fix {
        let position = Position { lat: self.lat, lon: self.lon };
        Fix {
            accuracy_m: self.accuracy,
            course_deg: self.course.map(f64::from),
            ..Fix::bare(device.clone(), self.at, position, Digest(0))
        }
    }
}

/// What judging a fix needs to know.
pub(super) struct FixRules<'a> {
    pub clock: &'a ClockRules,
    pub horizon: Duration,
    pub tracker: &'a TrackerRules,
    pub fences: &'a FenceIndex,
    /// The connection that it came by.
    pub via: &'a SourceId,
}

/// A fix that counts, its time in ours.
pub(super) struct Accepted {
    pub fix: Fix,
    pub late: bool,
    /// The fences that it was in before; none is said of a late one.
    pub inside: Option<SmallVec<[FenceId; 1]>>,
    /// Not a late one that came too late to reveal anything.
    pub reveals: bool,
    pub changes: Vec<Change>,
    pub motion: Vec<motion::Told>,
}

impl Default for Tracker {
    fn default() -> Self {
        Self {
            seen: Seen::default(),
            clock: TrackerClock::default(),
            last: None,
            jump: None,
            states: Vec::new(),
            late: Late::default(),
            moves: None,
            held: None,
            via: None,
            looked_at: None,
            heard: Timestamp::MIN,
            alive: None,
            word: None,
            refused: None,
            dirty: false,
        }
    }
}

impl Tracker {
    pub fn take(
        &mut self,
        fix: Fix,
        received: Timestamp,
        rules: &FixRules<'_>,
    ) -> Result<Accepted, &'static str> {
        let taken = self.judge_fix(fix, received, rules);
        self.counts(taken.as_ref().err().copied());
        taken
    }

    fn judge_fix(
        &mut self,
        mut fix: Fix,
        received: Timestamp,
        rules: &FixRules<'_>,
    ) -> Result<Accepted, &'static str> {
        self.heard = self.heard.max(received);
        let (told, digest) = (fix.observed_at, fix.digest);
        // Who stands still and has no clock says the same again and again: that it is the same message is the broker's to say.
        if self.seen.holds(fix.told_at(), digest) && (!fix.clockless || fix.redelivered) {
            return Err(DUPLICATE);
        }
        self.dirty = true;
        let observed = check_alone(&fix, rules.tracker).and_then(|()| {
            self.clock.observe(told, received, rules.clock).map_err(|fault| match fault {
                ClockFault::Ahead => CLOCK_AHEAD,
                ClockFault::TooOld => TOO_OLD,
            })
        });
        // What has no believable time is kept whole, outside: put back, it must not pass for known.
        if !matches!(observed, Err(CLOCK_AHEAD | TOO_OLD)) {
            self.seen.remember(fix.told_at(), digest, received, rules.horizon);
        }
        fix.observed_at = observed?;
        let newest = self.last.map(|last| last.at);
        let is_older = newest.is_some_and(|newest| fix.observed_at <= newest);
        if fix.retained || is_older {
            if !fix.retained {
                self.clock.older(fix.observed_at, received, rules.clock);
            }
            let motion = if is_older { self.moved_late(&fix, received, rules) } else { Vec::new() };
            let reveals =
                !is_older || self.late.arrived(&fix, rules.via, received, rules.tracker, rules.fences);
            return Ok(Accepted { fix, late: true, inside: None, reveals, changes: Vec::new(), motion });
        }
        self.clock.newer(fix.observed_at, received);
        let last = self.last.map(|last| last.fix(&fix.device));
        let follows_jump = self.check_jump(last.as_ref(), &fix, rules.tracker)?;
        let inside = self.states.iter().filter(|state| state.is_inside()).map(|state| state.fence.clone());
        let inside = Some(inside.collect());
        let changes = self.judge(last.as_ref().filter(|_| !follows_jump), &fix, rules);
        self.late.accepted(&fix, rules.tracker);
        let motion = self.moved(&fix, received, rules);
        self.last = Some(Last::of(&fix));
        if self.via.as_ref() != Some(rules.via) {
            self.via = Some(rules.via.clone());
        }
        Ok(Accepted { fix, late: false, inside, reveals: true, changes, motion })
    }

    /// Whether its clock has turned out to be wrong, or right again: see [`TrackerClock::turned`].
    pub fn clock_turned(&mut self, told: Timestamp, received: Timestamp, rules: &ClockRules) -> Option<i64> {
        self.clock.turned(told, received, rules)
    }

    /// What a fix in order says of its motion.
    fn moved(&mut self, fix: &Fix, received: Timestamp, rules: &FixRules<'_>) -> Vec<motion::Told> {
        let Some(moves) = &mut self.moves else {
            self.moves = Some(Moves::begin(fix));
            return Vec::new();
        };
        let (here, by, mut told) = (Moment::of(fix), (rules.via, received), Vec::new());
        match &mut self.held {
            Some(held) => held.follows(&here, by, rules.tracker),
            None => self.held = Held::behind_gap(moves, &here, by, rules.tracker),
        }
        moves.take(&here, rules.tracker, &mut told);
        if let Some(held) = &mut self.held {
            held.keep(&mut told, received);
        }
        told
    }

    /// What a late one says of it, where that is sure.
    fn moved_late(&mut self, fix: &Fix, received: Timestamp, rules: &FixRules<'_>) -> Vec<motion::Told> {
        let Some(moves) = &self.moves else { return Vec::new() };
        let (late, by) = (Moment::of(fix), (rules.via, received));
        if let Some(held) = &mut self.held {
            return held.arrives(&late, self.late.kept(), by, rules.tracker);
        }
        self.held = Held::inside_gap(moves, self.late.kept(), &late, by, rules.tracker);
        Vec::new()
    }

    /// When the late fixes that wait are judged, and when what is held of its motion, and by which connections they came.
    pub fn due(&self) -> [Option<(Timestamp, &SourceId)>; 2] {
        [self.late.due(), self.held.as_ref().map(|held| held.due())]
    }

    /// What it did where it could not be heard.
    pub fn settle_motion(&mut self, rules: &TrackerRules) -> Vec<motion::Told> {
        let (Some(held), Some(moves)) = (self.held.take(), &mut self.moves) else { return Vec::new() };
        self.dirty = true;
        let (told, via) = held.settle(moves, rules);
        self.via = Some(via);
        told
    }

    /// What a fix in order says of fences.
    fn judge(&mut self, before: Option<&Fix>, fix: &Fix, rules: &FixRules<'_>) -> Vec<Change> {
        let FixRules { tracker, fences, .. } = *rules;
        let stands = match &self.moves {
            Some(moves) => moves.stands_at(fix, tracker),
            // Nobody saw it come: unless it says that it moves, it stands.
            None => Moves::begin(fix).stands_at(fix, tracker),
        };
        let way = Way { before, fix, stands, in_order: true, rules: tracker };
        let mut changes = Vec::new();
        if self.late.is_waiting() {
            // What is about to be told of a fence may have been earlier, by those that wait.
            let told = geofence::judge(&mut self.states.clone(), fences, &way).into_iter();
            let about: Vec<FenceId> =
                told.filter(|change| !change.inferred).map(|change| change.fence).collect();
            if !about.is_empty() {
                let (states, moves) = (&mut self.states, self.moves.as_ref());
                let mut now = Now { device: &fix.device, states, moves, rules: tracker, fences };
                changes = self.late.hasten(&mut now, &about);
            }
        }
        let judged = geofence::judge(&mut self.states, fences, &way).into_iter();
        // What late fixes have told already is not inferred as well. That it began before what is kept for them is no matter:
        // many fixes may go by until it is confirmed.
        let judged: Vec<Change> = judged
            .filter(|Change { fence, inferred, visit, .. }| {
                !inferred || visit.is_none_or(|span| !self.late.told.has(fence, span))
            })
            .collect();
        for change in judged.iter().filter(|change| change.change == FenceChange::Exited) {
            if let Some(visit) = change.visit {
                self.late.told_in_order(&change.fence, visit);
            }
        }
        changes.extend(judged);
        changes
    }

    /// Judges the late fixes that wait.
    pub fn settle(&mut self, device: &DeviceId, rules: &TrackerRules, fences: &FenceIndex) -> Revealed {
        self.dirty = true;
        let (states, moves) = (&mut self.states, self.moves.as_ref());
        self.late.settle(&mut Now { device, states, moves, rules, fences })
    }

    /// Whether it stands, where that is known.
    pub fn stands(&self) -> Option<bool> {
        self.moves.as_ref().map(Moves::stands)
    }

    /// When its trip is over where nothing more comes, how long nothing must have come until then, and by which connection.
    pub fn stop_due(&self, rules: &TrackerRules) -> Option<(Timestamp, Duration, &SourceId)> {
        if self.held.is_some() {
            return None;
        }
        let (due, silent) = self.moves.as_ref()?.stop_due(rules)?;
        Some((due, silent, self.via.as_ref()?))
    }

    /// That moment has come.
    pub fn stop(&mut self) -> Option<motion::Told> {
        self.dirty = true;
        self.moves.as_mut()?.stop()
    }

    /// A message of it came, whatever becomes of it. When it lived, where that is news: it is now while what
    /// comes is sent now (`live`), else when the message says, for a broker may have kept it.
    pub fn lives(&mut self, told: Timestamp, received: Timestamp, live: bool) -> Option<Timestamp> {
        self.heard = self.heard.max(received);
        let at = if live { received } else { told.min(received) };
        if self.alive.is_some_and(|alive| alive <= received && at < alive + SAY_ALIVE) {
            return None;
        }
        self.alive = Some(at);
        self.dirty = true;
        Some(at)
    }

    /// It says this of itself, and not where it is. When it said so by our clock, where it said nothing since.
    pub fn says(&mut self, vitals: &Vitals, told: Timestamp, received: Timestamp) -> Option<Timestamp> {
        let at = self.clock.ours(told).min(received);
        let newest = self.last.map(|last| last.at).max(self.word);
        if newest.is_some_and(|newest| at < newest) {
            return None;
        }
        self.word = Some(at);
        self.dirty = true;
        if let (Some(moves), Some(is_on)) = (&mut self.moves, vitals.ignition) {
            moves.engine(is_on);
        }
        Some(at)
    }

    /// Its message says that it has no position.
    pub fn has_none(&mut self) {
        self.counts(Some(NO_FIX));
    }

    /// Its last position counts, or does not for this reason. What is told again says nothing of that.
    fn counts(&mut self, refused: Option<&'static str>) {
        if self.refused != refused && refused != Some(DUPLICATE) {
            self.refused = refused;
            self.dirty = true;
        }
    }

    /// Its connection is lost: the next message says that it lives again, however soon it comes.
    pub fn gone(&mut self) {
        self.dirty |= self.alive.take().is_some();
    }

    /// Whether a fix can be: whether it follows those that jumped rather than the last accepted one.
    fn check_jump(
        &mut self,
        last: Option<&Fix>,
        fix: &Fix,
        rules: &TrackerRules,
    ) -> Result<bool, &'static str> {
        let reachable = |from: &Fix| from.least_speed_mps(fix) <= rules.max_speed_mps;
        let Some(last) = last else { return Ok(false) };
        let jump = self.jump.take();
        if reachable(last) {
            let apart = |from: &Fix| from.position.distance_m(fix.position);
            return Ok(jump.is_some_and(|jump| apart(&jump.newest) < apart(last)));
        }
        let agrees = jump.filter(|jump| jump.newest.observed_at < fix.observed_at && reachable(&jump.newest));
        let count = agrees.map_or(0, |jump| jump.count) + 1;
        if count >= rules.jump_confirmations {
            return Ok(true);
        }
        self.jump = Some(Box::new(Jump { count, newest: fix.clone() }));
        Err(IMPOSSIBLE_JUMP)
    }

    /// Forgets fences that are no more.
    pub fn retain_fences(&mut self, fences: &FenceIndex) {
        let before = self.states.len();
        self.states.retain(|state| fences.get(&state.fence).is_some());
        self.dirty |= self.states.len() != before;
    }

    pub fn heard(&self) -> Timestamp {
        self.heard
    }
}

/// What a fix shows without any other.
fn check_alone(fix: &Fix, rules: &TrackerRules) -> Result<(), &'static str> {
    let Position { lat, lon } = fix.position;
    if lat.abs() < NULL_ISLAND_DEG && lon.abs() < NULL_ISLAND_DEG {
        return Err(NULL_ISLAND);
    }
    if fix.accuracy_m.is_some_and(|accuracy| accuracy > rules.max_accuracy_m) {
        return Err(INACCURATE);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
