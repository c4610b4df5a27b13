//! Device clocks: how far each leads ours, so that its times can be told in ours.
//!
//! ```text
//! lead = device − ours          observed = device − lead
//! ```
//! A reader tells its clock when it connects; from then on the stream itself corrects it: nothing is
//! observed after it was received, so a lead that says otherwise is too small. What a device says is
//! never believed on one reading alone: a step must be confirmed by consecutive, consistent ones.
//! Trackers are believed as long as they are near enough. Never reads a clock itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::IntakeConfig;
use crate::domain::readings::DeviceTime;
use crate::domain::time::Timestamp;

/// Why a device's time is not usable; the reading is set aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ClockFault {
    Ahead,
    TooOld,
}

#[derive(Clone, Debug)]
pub(super) struct ClockRules {
    pub ahead_tolerance: Duration,
    pub max_age: Duration,
    pub confirmations: u32,
}

impl From<&IntakeConfig> for ClockRules {
    fn from(intake: &IntakeConfig) -> Self {
        Self {
            ahead_tolerance: intake.ahead_tolerance,
            max_age: intake.max_age,
            confirmations: intake.clock_step_confirmations.max(1),
        }
    }
}

impl ClockRules {
    fn ahead_us(&self) -> i64 {
        i64::try_from(self.ahead_tolerance.as_micros()).unwrap_or(i64::MAX)
    }

    fn check_age(&self, observed: Timestamp, received: Timestamp) -> Result<Timestamp, ClockFault> {
        if received.since(observed) > self.max_age { Err(ClockFault::TooOld) } else { Ok(observed) }
    }
}

/// Jitter of delivery: a lead is raised by this much at once, without confirmation.
const JITTER_US: i64 = 2_000_000;
/// A live reader's time that goes back by more than this has stepped: its reports are in order of time,
/// but for what one report gathers.
const BACKWARD_US: i64 = 30_000_000;
/// Drift is judged over this much of our time, where at least [`DRIFT_READS`] agree within
/// [`DRIFT_SPREAD_US`], and acted upon where it exceeds [`DRIFT_US`]: 50 ppm are 4 s a day.
const DRIFT_WINDOW_US: i64 = 60_000_000;
const DRIFT_READS: u32 = 8;
const DRIFT_SPREAD_US: i64 = 5_000_000;
const DRIFT_US: i64 = 500_000;
/// Readings that confirm a tracker's step agree within this, which is what a network delays them by, over no less than so much
/// of our time. In a burst of what it had held its time goes faster than ours, and how far it leads is not seen before the
/// burst has ended.
const TRACKER_AGREEMENT_US: i64 = 5_000_000;
const TRACKER_STEADY: Duration = Duration::from_secs(10);
/// Trackers rarely hold anything for longer than half of this.
const LONG_LEAD_US: i64 = 6 * 3_600_000_000;

/// Consecutive readings that say the same of a lead that we do not believe yet.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Step {
    lead_us: i64,
    count: u32,
}

impl Step {
    /// Counts one more, and returns the lead once enough agree.
    fn suggest(&mut self, lead_us: i64, agreement_us: i64, confirmations: u32) -> Option<i64> {
        if self.count > 0 && lead_us.saturating_sub(self.lead_us).saturating_abs() <= agreement_us {
            self.count += 1;
            self.lead_us = self.lead_us.max(lead_us);
        } else {
            *self = Self { lead_us, count: 1 };
        }
        (self.count >= confirmations).then(|| std::mem::take(self).lead_us)
    }

    fn clear(&mut self) {
        self.count = 0;
    }
}

/// The greatest and least lead seen within a window of our time.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Drift {
    since_us: i64,
    reads: u32,
    least_us: i64,
    greatest_us: i64,
}

impl Drift {
    /// The lead of a window that has just ended, where its readings agree.
    fn note(&mut self, lead_us: i64, received_us: i64) -> Option<i64> {
        let ended = self.reads > 0 && received_us.saturating_sub(self.since_us) >= DRIFT_WINDOW_US;
        let agree =
            self.reads >= DRIFT_READS && self.greatest_us.saturating_sub(self.least_us) <= DRIFT_SPREAD_US;
        let found = (ended && agree).then_some(self.greatest_us);
        if ended || self.reads == 0 {
            *self = Self { since_us: received_us, reads: 1, least_us: lead_us, greatest_us: lead_us };
        } else {
            self.reads = self.reads.saturating_add(1);
            self.least_us = self.least_us.min(lead_us);
            self.greatest_us = self.greatest_us.max(lead_us);
        }
        found
    }
}

/// One scale of time of a reader: its UTC, or its uptime.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Scale {
    lead_us: Option<i64>,
    /// The lead was told when the reader connected; otherwise it is an estimate.
    told: bool,
    newest_us: Option<i64>,
    step: Step,
    drift: Drift,
}

impl Scale {
    fn set(&mut self, lead_us: i64) {
        *self = Self { lead_us: Some(lead_us), told: true, ..Self::default() };
    }

    fn observe(
        &mut self,
        device_us: i64,
        received: Timestamp,
        live: bool,
        rules: &ClockRules,
    ) -> Result<Timestamp, ClockFault> {
        let apparent = device_us.saturating_sub(received.as_micros());
        let lead = *self.lead_us.get_or_insert(apparent);
        let excess = apparent.saturating_sub(lead);
        // An estimate from what a reader had held is too small by the age of that; it rises freely.
        let excess = if live || self.told { excess } else { excess.min(0) };
        let behind = self.newest_us.map_or(0, |newest| newest.saturating_sub(device_us));
        if excess > JITTER_US || (live && behind > BACKWARD_US) {
            return self.doubt(device_us, received, excess, rules);
        }
        self.step.clear();
        self.newest_us = Some(self.newest_us.unwrap_or(device_us).max(device_us));
        let drifted = self.drift.note(apparent, received.as_micros());
        let lead = match drifted {
            Some(found) if found.saturating_sub(lead).saturating_abs() > DRIFT_US => found,
            _ => lead,
        };
        self.lead_us = Some(lead.max(apparent));
        Ok(Timestamp::from_micros(device_us.saturating_sub(lead.max(apparent))))
    }

    /// A time that the lead does not explain: a step, once confirmed; until then the moment of receipt
    /// is nearer to the truth, and what is too far ahead is set aside.
    fn doubt(
        &mut self,
        device_us: i64,
        received: Timestamp,
        excess: i64,
        rules: &ClockRules,
    ) -> Result<Timestamp, ClockFault> {
        let apparent = device_us.saturating_sub(received.as_micros());
        match self.step.suggest(apparent, JITTER_US, rules.confirmations) {
            Some(lead) => {
                self.set(lead);
                self.newest_us = Some(device_us);
                Ok(Timestamp::from_micros(device_us.saturating_sub(lead)))
            }
            None if excess > rules.ahead_us() => Err(ClockFault::Ahead),
            None => Ok(received),
        }
    }
}

/// The clock of a reader.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct ReaderClock {
    utc: Scale,
    uptime: Scale,
}

impl ReaderClock {
    /// How far its calendar runs ahead of ours, where it has one and told it.
    pub fn utc_lead_us(&self) -> Option<i64> {
        self.utc.lead_us
    }

    /// The reader's clock at the moment it connected.
    pub fn connected(&mut self, time: DeviceTime, received: Timestamp) {
        match time {
            DeviceTime::Utc(at) => self.utc.set(at.micros_after(received)),
            DeviceTime::Uptime(us) => {
                self.uptime.set(uptime_us(us).saturating_sub(received.as_micros()));
            }
            DeviceTime::None => {}
        }
    }

    /// The time of a reading in our time. `live`: the reader sends what it reads now, not what it held.
    pub fn observe(
        &mut self,
        time: DeviceTime,
        received: Timestamp,
        live: bool,
        rules: &ClockRules,
    ) -> Result<Timestamp, ClockFault> {
        let observed = match time {
            DeviceTime::Utc(at) => self.utc.observe(at.as_micros(), received, live, rules)?,
            DeviceTime::Uptime(us) => self.uptime.observe(uptime_us(us), received, live, rules)?,
            DeviceTime::None => received,
        };
        rules.check_age(observed, received)
    }

    /// When something was that the reader tells beside its reads: by what its reads and its connection told of its
    /// clock, which learns nothing of it, for such words come in another order than reads.
    pub fn place(
        &self,
        time: DeviceTime,
        received: Timestamp,
        rules: &ClockRules,
    ) -> Result<Timestamp, ClockFault> {
        let by = |scale: &Scale, us: i64| {
            scale.lead_us.map(|lead| Timestamp::from_micros(us.saturating_sub(lead)))
        };
        let told = match time {
            DeviceTime::Utc(at) => by(&self.utc, at.as_micros()),
            DeviceTime::Uptime(us) => by(&self.uptime, uptime_us(us)),
            DeviceTime::None => None,
        };
        rules.check_age(told.unwrap_or(received).min(received), received)
    }

    /// How much earlier `first` was than `last`, by the device's own clock.
    pub fn span(first: DeviceTime, last: DeviceTime) -> Duration {
        match (first, last) {
            (DeviceTime::Utc(first), DeviceTime::Utc(last)) => last.since(first),
            (DeviceTime::Uptime(first), DeviceTime::Uptime(last)) => {
                Duration::from_micros(last.saturating_sub(first))
            }
            _ => Duration::ZERO,
        }
    }
}

fn uptime_us(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// Readings in a row that a tracker's lead does not explain, while its time goes as fast as ours.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct TrackerStep {
    /// The greatest of theirs, and the least.
    lead_us: i64,
    #[serde(default)]
    least_us: i64,
    #[serde(default)]
    since_us: i64,
    count: u32,
}

impl TrackerStep {
    /// Counts one more, and returns the lead once enough agree for long enough.
    fn suggest(&mut self, lead_us: i64, received: Timestamp, confirmations: u32) -> Option<i64> {
        let (greatest, least) = (self.lead_us.max(lead_us), self.least_us.min(lead_us));
        if self.count > 0 && greatest.saturating_sub(least) <= TRACKER_AGREEMENT_US {
            (self.lead_us, self.least_us) = (greatest, least);
            self.count += 1;
        } else {
            *self = Self { lead_us, least_us: lead_us, since_us: received.as_micros(), count: 1 };
        }
        let is_steady = received.since(Timestamp::from_micros(self.since_us)) >= TRACKER_STEADY;
        (self.count >= confirmations && is_steady).then(|| std::mem::take(self).lead_us)
    }

    fn is_clear(&self) -> bool {
        self.count == 0
    }
}

/// The clock of a tracker: believed, until it is too far ahead.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct TrackerClock {
    /// Never negative.
    lead_us: i64,
    #[serde(default, skip_serializing_if = "TrackerStep::is_clear")]
    step: TrackerStep,
    /// Of one that was ahead: readings that are right as they are told.
    #[serde(default, skip_serializing_if = "TrackerStep::is_clear")]
    right: TrackerStep,
    /// Readings in a row that are too old to be true.
    #[serde(default, skip_serializing_if = "is_none")]
    too_old: u8,
    /// Whether it is wrong has changed since [`Self::turned`] was last asked.
    #[serde(skip)]
    turned: bool,
}

fn is_none(count: &u8) -> bool {
    *count == 0
}

impl TrackerClock {
    pub fn observe(
        &mut self,
        told: Timestamp,
        received: Timestamp,
        rules: &ClockRules,
    ) -> Result<Timestamp, ClockFault> {
        let before = self.is_wrong(rules);
        let observed = self.judge(told, received, rules);
        self.too_old = match observed {
            Err(ClockFault::TooOld) => self.too_old.saturating_add(1),
            Err(ClockFault::Ahead) => self.too_old,
            Ok(_) => 0,
        };
        self.turned |= self.is_wrong(rules) != before;
        observed
    }

    fn is_wrong(&self, rules: &ClockRules) -> bool {
        self.lead_us != 0 || u32::from(self.too_old) >= enough(rules)
    }

    /// How far it is ahead, or behind (negative), where it has just turned out to be wrong, by a reading of then; 0, where
    /// it is right again.
    pub fn turned(&mut self, told: Timestamp, received: Timestamp, rules: &ClockRules) -> Option<i64> {
        let turned = std::mem::take(&mut self.turned);
        turned.then(|| if self.is_wrong(rules) { told.micros_after(received) } else { 0 })
    }

    fn judge(
        &mut self,
        told: Timestamp,
        received: Timestamp,
        rules: &ClockRules,
    ) -> Result<Timestamp, ClockFault> {
        let apparent = told.micros_after(received);
        if self.is_right(apparent, received, rules) {
            self.step = TrackerStep::default();
            return rules.check_age(told, received);
        }
        let ahead = apparent.saturating_sub(self.lead_us);
        if ahead > rules.ahead_us() {
            let lead = self.step.suggest(apparent, received, rules.confirmations);
            self.lead_us = lead.ok_or(ClockFault::Ahead)?;
        } else if self.lead_us != 0 && ahead > TRACKER_AGREEMENT_US {
            let lead = self.step.suggest(apparent, received, rules.confirmations);
            self.lead_us = lead.unwrap_or(self.lead_us);
        } else {
            self.step = TrackerStep::default();
            if self.lead_us != 0 {
                self.lead_us = self.lead_us.max(apparent);
            }
        }
        let observed = told.offset(self.lead_us.saturating_neg());
        // By a clock that is known to be wrong nothing is observed after it was received.
        let observed = if self.lead_us == 0 { observed } else { observed.min(received) };
        rules.check_age(observed, received)
    }

    /// Whether a reading of one that was ahead is right as it is told: once enough of them are that go as our time does;
    /// and before that where it was ahead by so much that it would be older than what trackers hold for long.
    fn is_right(&mut self, apparent: i64, received: Timestamp, rules: &ClockRules) -> bool {
        let held_for = (self.lead_us / 2).max(rules.ahead_us());
        if self.lead_us == 0 || !(-held_for..=rules.ahead_us()).contains(&apparent) {
            self.right = TrackerStep::default();
            return false;
        }
        let is_long = self.lead_us >= LONG_LEAD_US;
        let is_sure = self.right.suggest(apparent, received, rules.confirmations).is_some();
        let is_now = apparent.saturating_abs() <= rules.ahead_us();
        if is_sure && (is_now || is_long) {
            self.lead_us = 0;
            return true;
        }
        is_long
    }
}

/// Readings in a row that confirm something, as counters of a byte count them.
fn enough(rules: &ClockRules) -> u32 {
    rules.confirmations.min(u8::MAX.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: ClockRules = ClockRules {
        ahead_tolerance: Duration::from_secs(300),
        max_age: Duration::from_secs(400 * 86_400),
        confirmations: 3,
    };

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000_000 + secs)
    }

    fn utc(secs: i64) -> DeviceTime {
        DeviceTime::Utc(at(secs))
    }

    /// (told, received) → observed, all in seconds, `None` where it is set aside as ahead.
    fn check(clock: &mut ReaderClock, live: bool, steps: &[(i64, i64, Option<i64>)]) {
        for (told, received, expect) in steps {
            let observed = clock.observe(utc(*told), at(*received), live, &RULES);
            assert_eq!(observed.ok(), expect.map(at), "told {told} at {received}");
        }
    }

    #[test]
    fn a_lead_is_taken_at_connection() {
        let mut clock = ReaderClock::default();
        clock.connected(utc(5000), at(0));
        check(&mut clock, false, &[(4990, 1, Some(-10)), (5001, 1, Some(1))]);
    }

    #[test]
    fn uptime_becomes_our_time() {
        let mut clock = ReaderClock::default();
        clock.connected(DeviceTime::Uptime(7_000_000), at(0));
        let observed = clock.observe(DeviceTime::Uptime(6_500_000), at(2), true, &RULES);
        assert_eq!(observed, Ok(at(0).offset(-500_000)));
    }

    #[test]
    fn without_a_connection_event_the_freshest_reading_sets_it() {
        let mut clock = ReaderClock::default();
        check(&mut clock, true, &[(100, 10, Some(10)), (101, 10, Some(10)), (101, 12, Some(10))]);
    }

    #[test]
    fn an_estimate_rises_with_what_is_replayed() {
        let mut clock = ReaderClock::default();
        check(
            &mut clock,
            false,
            &[(0, 4000, Some(4000)), (3990, 4001, Some(4001)), (4001, 4001, Some(4001))],
        );
        check(&mut clock, true, &[(4002, 4002, Some(4002))]);
    }

    #[test]
    fn a_jump_ahead_is_set_aside_until_confirmed() {
        let mut clock = ReaderClock::default();
        clock.connected(utc(0), at(0));
        check(
            &mut clock,
            true,
            &[(1, 1, Some(1)), (3602, 2, None), (3603, 3, None), (3604, 4, Some(4)), (3605, 5, Some(5))],
        );
    }

    #[test]
    fn one_odd_time_ahead_moves_nothing() {
        let mut clock = ReaderClock::default();
        clock.connected(utc(0), at(0));
        check(&mut clock, true, &[(1, 1, Some(1)), (3602, 2, None), (3, 3, Some(3)), (3604, 4, None)]);
    }

    #[test]
    fn a_small_step_ahead_is_read_as_received_until_confirmed() {
        let mut clock = ReaderClock::default();
        clock.connected(utc(0), at(0));
        check(&mut clock, true, &[(61, 1, Some(1)), (62, 2, Some(2)), (63, 3, Some(3)), (64, 4, Some(4))]);
        assert_eq!(clock.utc.lead_us, Some(60_000_000));
    }

    #[test]
    fn a_step_back_is_found_only_where_the_reader_is_live() {
        let mut clock = ReaderClock::default();
        clock.connected(utc(0), at(0));
        check(&mut clock, true, &[(100, 100, Some(100)), (-3499, 101, Some(101)), (-3498, 102, Some(102))]);
        check(&mut clock, true, &[(-3497, 103, Some(103)), (-3496, 104, Some(104))]);
        let mut replaying = ReaderClock::default();
        replaying.connected(utc(0), at(0));
        check(&mut replaying, false, &[(0, 0, Some(0)), (-100, 0, Some(-100))]);
    }

    #[test]
    fn drift_is_followed() {
        let mut clock = ReaderClock::default();
        clock.connected(utc(0), at(0));
        let mut last = Ok(at(0));
        for second in 0..600 {
            let told = at(second).offset(-second * 10_000);
            last = clock.observe(DeviceTime::Utc(told), at(second), true, &RULES);
        }
        let error = at(599).micros_after(last.unwrap_or(at(0)));
        assert!((0..2_000_000).contains(&error), "{error} µs behind");
    }

    #[test]
    fn what_is_older_than_max_age_is_set_aside() {
        let mut clock = TrackerClock::default();
        let told = at(0) - Duration::from_secs(401 * 86_400);
        assert_eq!(clock.observe(told, at(0), &RULES), Err(ClockFault::TooOld));
    }

    #[test]
    fn a_tracker_is_believed_within_the_tolerance_and_after_a_confirmed_step() {
        let mut clock = TrackerClock::default();
        let steps = [
            (10, 0, Some(10)),
            (-5000, 1, Some(-5000)),
            (7200, 10, None),
            (7230, 40, None),
            (7260, 70, Some(70)),
            (7290, 100, Some(100)),
            // Its clock is right again; until that is confirmed, the step still holds.
            (130, 130, Some(-7060)),
            (7360, 160, Some(160)),
            (190, 190, Some(-7000)),
            (220, 220, Some(-6970)),
            (250, 250, Some(250)),
            (7480, 280, None),
        ];
        for (told, received, expect) in steps {
            let observed = clock.observe(at(told), at(received), &RULES);
            assert_eq!(observed.ok(), expect.map(at), "told {told} at {received}");
        }
    }

    /// Seconds of a tracker that tells each ten seconds, of whose clock so much is known, in a burst of what it held for an
    /// hour, where it went wrong (or right) in the middle.
    fn in_a_burst(mut clock: TrackerClock, leads: [i64; 2]) -> Vec<Option<i64>> {
        let tells = (0..360).map(|nth| (nth * 10, if nth < 180 { leads[0] } else { leads[1] }));
        let held = tells.map(|(second, lead)| (second, lead, 3600 + second / 50));
        let after = (361..380).map(|nth| (nth * 10, leads[1], nth * 10 + 72));
        let all = held.chain(after);
        all.map(|(second, lead, received)| {
            let observed = clock.observe(at(second + lead), at(received), &RULES).ok()?;
            Some(observed.micros_after(at(second)) / 1_000_000)
        })
        .collect()
    }

    #[test]
    fn what_a_burst_does_not_tell_of_a_lead_is_not_learned_from_it() {
        const DAY: i64 = 86_400;
        let off = in_a_burst(TrackerClock::default(), [0, DAY]);
        assert!(off[..180].iter().all(|off| *off == Some(0)));
        assert!(off[180..362].iter().all(Option::is_none), "{off:?}");
        assert!(off[363..].iter().all(|off| *off == Some(72)), "{off:?}");
        let known = TrackerClock { lead_us: DAY * 1_000_000, ..TrackerClock::default() };
        assert!(in_a_burst(known.clone(), [DAY, DAY]).iter().all(|off| *off == Some(0)));
        assert!(in_a_burst(known, [DAY, 0]).iter().all(|off| *off == Some(0)));
    }

    #[test]
    fn what_an_hour_ahead_held_does_not_make_it_right() {
        const HOUR: i64 = 3600;
        let known = TrackerClock { lead_us: HOUR * 1_000_000, ..TrackerClock::default() };
        assert!(in_a_burst(known, [HOUR, HOUR]).iter().all(|off| *off == Some(0)));
        // The same where it was ahead by little more than is tolerated.
        let known = TrackerClock { lead_us: 400_000_000, ..TrackerClock::default() };
        assert!(in_a_burst(known, [400, 400]).iter().all(|off| *off == Some(0)));
    }

    #[test]
    fn a_lead_that_is_known_too_small_rises_once_that_is_confirmed() {
        let known = TrackerClock { lead_us: 86_400_000_000, ..TrackerClock::default() };
        let mut clock = known.clone();
        // Told so many seconds ahead at a second, and observed then.
        for (second, lead, observed) in
            [(0, 86_403, 0), (10, 86_450, 10), (20, 86_400, 17), (30, 86_450, 30), (40, 86_450, 40)]
        {
            assert_eq!(clock.observe(at(second + lead), at(second), &RULES), Ok(at(observed)), "{second}");
        }
        assert_eq!(clock.lead_us, 86_403_000_000);
        assert_eq!(clock.observe(at(50 + 86_450), at(50), &RULES), Ok(at(50)));
        assert_eq!(clock.lead_us, 86_450_000_000);
    }
}
