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

use crate::config::IntakeConfig;
use crate::domain::time::Timestamp;
pub(super) use reader::ReaderClock;
pub(super) use tracker::TrackerClock;

mod reader;
mod tracker;

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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const RULES: ClockRules = ClockRules {
        ahead_tolerance: Duration::from_secs(300),
        max_age: Duration::from_secs(400 * 86_400),
        confirmations: 3,
    };

    pub fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }
}
