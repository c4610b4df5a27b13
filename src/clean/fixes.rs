//! One tracker: its messages known again, its clock, its impossible fixes set aside, its fences.
//!
//! A message delivered again is recognised before anything else looks at it. What is older than the
//! newest accepted fix, or was retained by the broker, is *late*: kept, and moves nothing. Never looks
//! at a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::{ClockFault, ClockRules, TrackerClock};
use super::fence_index::FenceIndex;
use super::geofence::{self, Change, FenceState, Way, steering};
use super::late::{Late, LateRow, Memory, Now, Revealed};
use super::motion::{self, Moves};
use super::redelivery::{Chunk, Seen};
use super::rows::{exact, exact_fix, maybe_exact, maybe_micros, micros};
use super::{CLOCK_AHEAD, DUPLICATE, IMPOSSIBLE_JUMP, INACCURATE, NULL_ISLAND, TOO_OLD};
use crate::config::TrackerRules;
use crate::domain::geodesy::Position;
use crate::domain::ids::{DeviceId, Digest, FenceId, SourceId};
use crate::domain::readings::Fix;
use crate::domain::sightings::FenceChange;
use crate::domain::time::Timestamp;

/// What trackers without a position send; nothing that we track is within 11 m of it.
const NULL_ISLAND_DEG: f64 = 1e-4;
/// That a tracker lives is said no more often than this.
const SAY_ALIVE: Duration = Duration::from_secs(60);

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
    /// The connection that its last fix in order came by.
    via: Option<SourceId>,
    /// When it is looked at whether its trip is over.
    pub looked_at: Option<Timestamp>,
    /// When its newest message came, by our clock.
    heard: Timestamp,
    /// The time of which it was last said that it lives.
    alive: Option<Timestamp>,
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
    #[serde(with = "micros")]
    at: Timestamp,
    #[serde(with = "exact")]
    lat: f64,
    #[serde(with = "exact")]
    lon: f64,
    #[serde(with = "maybe_exact", default)]
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

/// The tracker's row. Its full chunks have rows of their own.
#[derive(Serialize, Deserialize)]
pub(super) struct TrackerRow {
    clock: TrackerClock,
    last: Option<Last>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jump: Option<Jump>,
    /// Where it is not when its newest remembered message came.
    #[serde(with = "maybe_micros", default, skip_serializing_if = "Option::is_none")]
    heard: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fences: Vec<FenceState>,
    seen: Chunk,
    next_chunk: u64,
    #[serde(with = "maybe_micros", default, skip_serializing_if = "Option::is_none")]
    alive: Option<Timestamp>,
    #[serde(default)]
    late: LateRow,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moves: Option<Moves>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    via: Option<SourceId>,
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
            via: None,
            looked_at: None,
            heard: Timestamp::MIN,
            alive: None,
            dirty: false,
        }
    }
}

impl Tracker {
    pub fn take(
        &mut self,
        mut fix: Fix,
        received: Timestamp,
        rules: &FixRules<'_>,
    ) -> Result<Accepted, &'static str> {
        self.heard = self.heard.max(received);
        let (told, digest) = (fix.observed_at, fix.digest);
        if self.seen.holds(told, digest) {
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
            self.seen.remember(told, digest, received, rules.horizon);
        }
        fix.observed_at = observed?;
        let newest = self.last.map(|last| last.at);
        let is_older = newest.is_some_and(|newest| fix.observed_at <= newest);
        if fix.retained || is_older {
            let reveals =
                !is_older || self.late.arrived(&fix, rules.via, received, rules.tracker, rules.fences);
            return Ok(Accepted { fix, late: true, reveals, changes: Vec::new(), motion: Vec::new() });
        }
        let last = self.last.map(|last| last.fix(&fix.device));
        let follows_jump = self.check_jump(last.as_ref(), &fix, rules.tracker)?;
        let changes = self.judge(last.as_ref().filter(|_| !follows_jump), &fix, rules);
        self.late.accepted(&fix, rules.tracker);
        let mut motion = Vec::new();
        match &mut self.moves {
            Some(moves) => moves.take(&fix, rules.tracker, &mut motion),
            None => self.moves = Some(Moves::begin(&fix)),
        }
        self.last = Some(Last::of(&fix));
        if self.via.as_ref() != Some(rules.via) {
            self.via = Some(rules.via.clone());
        }
        Ok(Accepted { fix, late: false, reveals: true, changes, motion })
    }

    /// Whether its clock has turned out to be wrong, or right again: see [`TrackerClock::turned`].
    pub fn clock_turned(&mut self, told: Timestamp, received: Timestamp, rules: &ClockRules) -> Option<i64> {
        self.clock.turned(told, received, rules)
    }

    /// What a fix in order says of fences.
    fn judge(&mut self, before: Option<&Fix>, fix: &Fix, rules: &FixRules<'_>) -> Vec<Change> {
        let FixRules { tracker, fences, .. } = *rules;
        let steady = self.moves.as_ref().and_then(|moves| moves.steadied(fix, tracker));
        let way = Way { before, fix, steady, rules: tracker };
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
        // What late fixes have told already is not inferred as well.
        let judged: Vec<Change> = judged
            .filter(|Change { fence, inferred, visit, .. }| {
                !inferred || visit.is_none_or(|span| self.late.told.memory(fence, span) == Memory::New)
            })
            .collect();
        for change in judged.iter().filter(|change| change.change == FenceChange::Exited) {
            if let Some(visit) = change.visit {
                self.late.told.tell(&change.fence, visit);
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

    pub fn row(&self) -> TrackerRow {
        TrackerRow {
            clock: self.clock.clone(),
            last: self.last,
            jump: self.jump.as_deref().cloned(),
            heard: Some(self.heard).filter(|heard| *heard != self.seen.last_received()),
            fences: self.states.clone(),
            seen: self.seen.open.clone(),
            next_chunk: self.seen.next(),
            alive: self.alive,
            late: self.late.row(),
            moves: self.moves.clone(),
            // Of what stands nothing is due.
            via: self.via.clone().filter(|_| self.stands() == Some(false)),
        }
    }

    pub fn restore(row: TrackerRow, chunks: Vec<(u64, Chunk)>) -> Self {
        let seen = Seen::restore(row.seen, chunks, row.next_chunk);
        Self {
            heard: row.heard.unwrap_or_else(|| seen.last_received()),
            seen,
            clock: row.clock,
            last: row.last,
            jump: row.jump.map(Box::new),
            states: row.fences,
            late: Late::restore(row.late),
            moves: row.moves,
            via: row.via,
            looked_at: None,
            alive: row.alive,
            dirty: false,
        }
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
mod tests {
    use super::*;

    const CLOCK: ClockRules = ClockRules {
        ahead_tolerance: Duration::from_secs(300),
        max_age: Duration::from_secs(400 * 86_400),
        confirmations: 3,
    };

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    fn fix(second: i64, lat: f64) -> Fix {
        Fix {
            accuracy_m: Some(5.0),
            ..Fix::bare("truck".into(), at(second), Position { lat, lon: 8.0 }, Digest(second as u64))
        }
    }

    /// Each fix, received when it says, and what becomes of it: a reason, `late` or `ok`.
    fn check(fixes: &[(Fix, &str)]) {
        let fences = FenceIndex::new(&[]);
        let tracker = TrackerRules { max_accuracy_m: 500.0, ..TrackerRules::default() };
        let horizon = Duration::from_secs(86_400);
        let via = "broker".into();
        let rules = FixRules { clock: &CLOCK, horizon, tracker: &tracker, fences: &fences, via: &via };
        let mut tracker = Tracker::default();
        let mut now = at(0);
        for (number, (fix, expect)) in fixes.iter().enumerate() {
            now = now.max(fix.observed_at.min(at(10_000)));
            let said = match tracker.take(fix.clone(), now, &rules) {
                Err(reason) => reason,
                Ok(accepted) if accepted.late => "late",
                Ok(_) => "ok",
            };
            assert_eq!(said, *expect, "fix {number}");
        }
    }

    /// The row of one that drives, with a full chunk: SQLite keeps 1,002 bytes of a row, with its
    /// key, in the page of its neighbours.
    #[test]
    fn a_row_needs_no_page_of_its_own() {
        let rules = TrackerRules::default();
        let fences = FenceIndex::new(&[]);
        let (horizon, via) = (Duration::from_secs(86_400), "broker".into());
        let rules = FixRules { clock: &CLOCK, horizon, tracker: &rules, fences: &fences, via: &via };
        let mut tracker = Tracker::default();
        for minute in 0..64 {
            let fix = fix(minute * 60, 50.123_456_7 + minute as f64 * 0.01);
            let now = fix.observed_at;
            tracker.take(fix, now, &rules).unwrap();
        }
        assert_eq!(tracker.stands(), Some(false));
        let row = serde_json::to_vec(&tracker.row()).unwrap();
        assert!((700..940).contains(&row.len()), "{} bytes: {}", row.len(), String::from_utf8_lossy(&row));
    }

    #[test]
    fn a_message_delivered_again_is_a_duplicate_whatever_came_between() {
        check(&[
            (fix(0, 50.0), "ok"),
            (fix(0, 50.0), "duplicate"),
            (fix(60, 50.001), "ok"),
            (fix(0, 50.0), "duplicate"),
        ]);
    }

    #[test]
    fn older_and_retained_fixes_are_late() {
        let retained = Fix { retained: true, ..fix(120, 50.0) };
        check(&[(fix(60, 50.0), "ok"), (fix(30, 50.0), "late"), (retained, "late"), (fix(90, 50.0), "ok")]);
    }

    #[test]
    fn fixes_that_cannot_be_are_set_aside() {
        let null = Fix { position: Position { lat: 0.0, lon: 0.0 }, ..fix(1, 0.0) };
        let vague = Fix { accuracy_m: Some(501.0), ..fix(2, 50.0) };
        check(&[(null, "null-island"), (vague, "inaccurate"), (fix(3, 50.0), "ok")]);
    }

    #[test]
    fn a_jump_is_believed_once_confirmed() {
        check(&[
            (fix(0, 50.0), "ok"),
            (fix(10, 51.0), "impossible-jump"),
            (fix(20, 50.0), "ok"),
            (fix(30, 51.0), "impossible-jump"),
            (fix(40, 52.0), "impossible-jump"),
            (fix(50, 52.001), "impossible-jump"),
            (fix(60, 52.002), "ok"),
            (fix(70, 52.003), "ok"),
        ]);
    }

    #[test]
    fn what_accuracy_explains_is_no_jump() {
        let vague = |second, lat| Fix { accuracy_m: Some(400.0), ..fix(second, lat) };
        check(&[(vague(0, 50.0), "ok"), (vague(1, 50.007), "ok"), (fix(2, 50.02), "impossible-jump")]);
    }

    #[test]
    fn a_clock_ahead_is_set_aside_until_confirmed() {
        let ahead = |second: i64| fix(10_000 + 7200 + second, 50.0);
        check(&[
            (fix(10_000, 50.0), "ok"),
            (ahead(1), "clock-ahead"),
            (ahead(11), "clock-ahead"),
            // Believed from the third on; but all of them were received in the same second.
            (ahead(21), "late"),
        ]);
    }

    #[test]
    fn a_row_brings_it_back() {
        let fences = FenceIndex::new(&[]);
        let rules = FixRules {
            clock: &CLOCK,
            horizon: Duration::from_secs(86_400),
            tracker: &TrackerRules::default(),
            fences: &fences,
            via: &"broker".into(),
        };
        let mut tracker = Tracker::default();
        let odd = Fix { speed_mps: Some(0.1 + 0.2), ..fix(0, 50.123_456_789_012_34) };
        assert!(tracker.take(odd, at(0), &rules).is_ok());
        assert!(tracker.take(fix(10, 60.0), at(10), &rules).is_err());
        let json = serde_json::to_vec(&tracker.row()).unwrap();
        let mut back = Tracker::restore(serde_json::from_slice(&json).unwrap(), Vec::new());
        assert_eq!((&back.last, &back.jump), (&tracker.last, &tracker.jump));
        assert_eq!(back.take(fix(0, 50.123_456_789_012_34), at(20), &rules).err(), Some(DUPLICATE));
    }
}
