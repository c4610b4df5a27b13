//! Whether a silent tracker may merely be asleep, and how long it is usually silent.
//!
//! A tracker sleeps while its vehicle's ignition is off or, where it never says anything of that, while it stands by its
//! fixes. Asleep it may be silent for longer (`[tracker] asleep_after`). With `[tracker] learn_silence` what is
//! usual is learned, awake and asleep apart: the longest silence lately, slowly forgotten. Never looks at a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::cause::Cause;
use crate::config::TrackerRules;
use crate::domain::ids::DeviceId;
use crate::domain::motion::MotionChange;
use crate::domain::readings::Fix;

/// Silences that make what is usual.
const LEARNED: u32 = 20;
/// What is usual is this much less with each silence that is shorter, in a hundred.
const FORGETS: i64 = 2;
/// Silent for longer than usual by this factor, and for no less than this.
const FACTOR: u32 = 4;
const LEAST: Duration = Duration::from_secs(900);

/// What is thought of a tracker's silence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SleepRules {
    pub asleep_after: Option<Duration>,
    pub learns: bool,
}

impl From<&TrackerRules> for SleepRules {
    fn from(rules: &TrackerRules) -> Self {
        Self { asleep_after: rules.asleep_after, learns: rules.learn_silence }
    }
}

/// The rest of a tracker; part of its row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rest {
    /// By its fixes; in the first builds the ignition's word as well.
    #[serde(alias = "asleep", skip_serializing_if = "std::ops::Not::not")]
    stands: bool,
    /// What it last said of its ignition.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignition: Option<bool>,
    #[serde(skip_serializing_if = "Usual::is_unknown")]
    awake_gap: Usual,
    #[serde(skip_serializing_if = "Usual::is_unknown")]
    asleep_gap: Usual,
}

/// The longest silence lately, by its source's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Usual {
    longest_us: i64,
    count: u32,
}

impl Usual {
    fn is_unknown(&self) -> bool {
        self.count == 0
    }

    fn note(&mut self, gap_us: i64) {
        self.longest_us = gap_us.max(self.longest_us - self.longest_us / 100 * FORGETS);
        self.count = self.count.saturating_add(1);
    }

    fn silent_after(&self) -> Option<Duration> {
        let longest = Duration::from_micros(u64::try_from(self.longest_us).unwrap_or(0));
        (self.count >= LEARNED).then(|| (longest * FACTOR).max(LEAST))
    }
}

impl Rest {
    pub fn is_asleep(&self) -> bool {
        self.ignition.map_or(self.stands, |on| !on)
    }

    /// It was silent for so long and spoke again.
    pub fn spoke(&mut self, gap_us: i64) {
        if self.is_asleep() { self.asleep_gap.note(gap_us) } else { self.awake_gap.note(gap_us) }
    }

    /// After what silence it is told of; `configured` is its class's.
    pub(super) fn silent_after(&self, configured: Option<Duration>, rules: &SleepRules) -> Option<Duration> {
        let learned = |usual: &Usual| usual.silent_after().filter(|_| rules.learns);
        let awake = configured.or_else(|| learned(&self.awake_gap));
        if !self.is_asleep() {
            return awake;
        }
        let asleep = rules.asleep_after.or_else(|| learned(&self.asleep_gap));
        match (configured, asleep) {
            (Some(configured), Some(asleep)) => Some(configured.max(asleep)),
            (Some(configured), None) => Some(configured),
            (None, asleep) => asleep,
        }
    }
}

impl Tracker {
    /// What a fix in order says of the ignition.
    pub(super) fn ignition_told(&mut self, fix: &Fix, cause: &Cause) {
        if !cause.late {
            self.engine_told(&fix.device, fix.ignition);
        }
    }

    /// What a tracker says of it, if anything.
    pub(super) fn engine_told(&mut self, device: &DeviceId, is_on: Option<bool>) {
        if is_on.is_some() {
            self.rests(device, |rest| rest.ignition = is_on);
        }
    }

    /// It stands by its fixes, or moves.
    pub(super) fn motion_told(&mut self, device: &DeviceId, change: MotionChange) {
        self.stands_told(device, change == MotionChange::Stopped);
    }

    pub(super) fn stands_told(&mut self, device: &DeviceId, stands: bool) {
        self.rests(device, |rest| rest.stands = stands);
    }

    fn rests(&mut self, device: &DeviceId, change: impl FnOnce(&mut Rest)) {
        let Some(row) = self.silence.row_mut(device) else { return };
        let before = row.rest.clone();
        change(&mut row.rest);
        let (changed, woke) = (row.rest != before, row.rest.is_asleep() != before.is_asleep());
        if changed {
            self.silence.changed(device);
        }
        if woke {
            // Awake it may be due earlier.
            self.arm_tracker(device);
        }
    }
}
