//! The clock of a reader: told when it connects, and corrected by the stream itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ClockFault, ClockRules};
use crate::domain::readings::DeviceTime;
use crate::domain::sightings::Trouble;
use crate::domain::time::Timestamp;

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

/// No clock drifts as fast: what a window tells beyond that is a step, theirs or ours.
const MOST_PPM: i64 = 1000;
/// From where a drift is known: some milliseconds of delivery are 20 ppm of it.
const DRIFT_KNOWN_US: i64 = 600_000_000;
/// Crystals are right to 100 ppm, over all temperatures (assumed).
const MANY_PPM: i32 = 200;

/// Consecutive readings that say the same of a lead that we do not believe yet.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Step {
    lead_us: i64,
    count: u32,
}

impl Step {
    /// Counts one more, and returns the lead once enough agree.
    fn suggest(&mut self, lead_us: i64, confirmations: u32) -> Option<i64> {
        if self.count > 0 && lead_us.saturating_sub(self.lead_us).saturating_abs() <= JITTER_US {
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

/// What a lead was, by a window of readings or a connection.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Mark {
    at_us: i64,
    lead_us: i64,
}

/// How fast a scale drifts: from the first to the last of the marks that no step lies between.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Course(Option<(Mark, Mark)>);

impl Course {
    fn note(&mut self, mark: Mark) {
        let goes_on = |last: &Mark| {
            let passed_us = mark.at_us.saturating_sub(last.at_us);
            let drifted_us = mark.lead_us.saturating_sub(last.lead_us).saturating_abs();
            passed_us >= 0 && drifted_us <= DRIFT_US + (passed_us / 1_000_000).saturating_mul(MOST_PPM)
        };
        let from = self.0.filter(|(_, last)| goes_on(last)).map_or(mark, |(first, _)| first);
        self.0 = Some((from, mark));
    }

    /// What it gains on our clock each second, in seconds.
    fn drift(&self) -> Option<f64> {
        let (first, last) = self.0?;
        let passed_us = last.at_us.saturating_sub(first.at_us);
        let gained_us = last.lead_us.saturating_sub(first.lead_us);
        (passed_us >= DRIFT_KNOWN_US).then(|| gained_us as f64 / passed_us as f64)
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
    #[serde(default)]
    course: Course,
}

impl Scale {
    fn set(&mut self, lead_us: i64, received: Timestamp) {
        let mut course = Course::default();
        course.note(Mark { at_us: received.as_micros(), lead_us });
        *self = Self { lead_us: Some(lead_us), told: true, course, ..Self::default() };
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
        if let Some(lead_us) = drifted.filter(|_| live) {
            self.course.note(Mark { at_us: received.as_micros(), lead_us });
        }
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
        match self.step.suggest(apparent, rules.confirmations) {
            Some(lead) => {
                self.set(lead, received);
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
pub(in crate::clean) struct ReaderClock {
    utc: Scale,
    uptime: Scale,
}

impl ReaderClock {
    /// How far its calendar runs ahead of ours, where it has one and told it.
    pub fn utc_lead_us(&self) -> Option<i64> {
        self.utc.lead_us
    }

    /// Whether it told any time.
    pub fn is_told(&self) -> bool {
        self.utc.lead_us.or(self.uptime.lead_us).is_some()
    }

    /// What its clock gains on ours each second, in seconds: of its calendar, or of the time since it was switched on.
    pub fn drift(&self) -> Option<f64> {
        self.utc.course.drift().or_else(|| self.uptime.course.drift())
    }

    /// What is wrong with it that somebody should put right: its calendar is off by more than `tolerance`, or it runs
    /// faster or slower than clocks do.
    pub fn troubles(&self, tolerance: Duration) -> impl Iterator<Item = Trouble> {
        let off_s = self.utc.lead_us.unwrap_or(0) / 1_000_000;
        let off =
            (off_s.unsigned_abs() > tolerance.as_secs()).then_some(Trouble::ClockOff { ahead_s: off_s });
        let ppm = self.drift().map_or(0, |drift| (drift * 1e6) as i32);
        let drifts = (ppm.abs() >= MANY_PPM).then_some(Trouble::ClockDrift { ppm });
        off.into_iter().chain(drifts)
    }

    /// The reader's clock at the moment it connected.
    pub fn connected(&mut self, time: DeviceTime, received: Timestamp) {
        match time {
            DeviceTime::Utc(at) => self.utc.set(at.micros_after(received), received),
            DeviceTime::Uptime(us) => {
                self.uptime.set(uptime_us(us).saturating_sub(received.as_micros()), received);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::clock::tests::{RULES, at};

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

    /// Reads of a clock that gains so many ppm from its connection on, one in five seconds, delivered within 20 ms.
    fn runs(clock: &mut ReaderClock, of: fn(i64) -> DeviceTime, ppm: i64, from_s: i64, until_s: i64) {
        for second in (from_s..until_s).step_by(5) {
            let gained_us = (second - from_s) * ppm;
            let device = of(at(second).as_micros() + gained_us - second % 20_000);
            clock.observe(device, at(second), true, &RULES).unwrap();
        }
    }

    #[test]
    fn a_drift_is_known_after_ten_minutes_of_a_calendar_and_of_an_uptime() {
        let calendar = |us| DeviceTime::Utc(Timestamp::from_micros(us));
        let uptime = |us: i64| DeviceTime::Uptime(us as u64 - 1_600_000_000_000_000);
        let scales: [fn(i64) -> DeviceTime; 2] = [calendar, uptime];
        for of in scales {
            for ppm in [-300, -40, 0, 40, 300] {
                let mut clock = ReaderClock::default();
                clock.connected(of(at(0).as_micros()), at(0));
                runs(&mut clock, of, ppm, 0, 500);
                assert_eq!(clock.drift(), None);
                runs(&mut clock, of, ppm, 0, 4000);
                let told = clock.drift().unwrap() * 1e6;
                assert!((told - ppm as f64).abs() < 20.0, "{told} of {ppm}");
                let troubles = clock.troubles(RULES.ahead_tolerance).count();
                assert_eq!(troubles, usize::from(ppm.abs() == 300), "{ppm}");
            }
        }
    }

    #[test]
    fn a_step_of_either_clock_is_no_drift() {
        let calendar = |us| DeviceTime::Utc(Timestamp::from_micros(us));
        for step_s in [-10, -1, 1, 10] {
            let mut clock = ReaderClock::default();
            clock.connected(utc(0), at(0));
            runs(&mut clock, calendar, 0, 0, 2000);
            for second in (2000..4000).step_by(5) {
                clock.observe(utc(second + step_s), at(second), true, &RULES).unwrap();
            }
            let told = clock.drift().unwrap() * 1e6;
            assert!(told.abs() < 20.0, "{told} after a step of {step_s} s");
        }
    }

    /// A reader that tells any number at all when it connects.
    #[test]
    fn a_lead_beyond_all_bounds_is_no_drift() {
        for connected in [Timestamp::MIN, Timestamp::MAX] {
            let mut clock = ReaderClock::default();
            clock.connected(DeviceTime::Utc(connected), at(0));
            for second in (0..2000).step_by(5) {
                clock.observe(utc(second), at(second), true, &RULES).ok();
            }
            assert!(clock.drift().is_none_or(|drift| drift.abs() < 2e-5), "{connected}: {:?}", clock.drift());
        }
    }

    #[test]
    fn a_calendar_that_is_far_off_is_a_trouble() {
        let troubled = |lead_s: i64| {
            let mut clock = ReaderClock::default();
            clock.connected(utc(lead_s), at(0));
            clock.troubles(RULES.ahead_tolerance).collect::<Vec<_>>()
        };
        assert_eq!(troubled(300), []);
        assert_eq!(troubled(301), [Trouble::ClockOff { ahead_s: 301 }]);
        assert_eq!(troubled(-86_400), [Trouble::ClockOff { ahead_s: -86_400 }]);
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
}
