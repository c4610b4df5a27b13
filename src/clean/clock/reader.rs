//! The clock of a reader: told when it connects, and corrected by the stream itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ClockFault, ClockRules};
use crate::domain::readings::DeviceTime;
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
        match self.step.suggest(apparent, rules.confirmations) {
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
pub(in crate::clean) struct ReaderClock {
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
