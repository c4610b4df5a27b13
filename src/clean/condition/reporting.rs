//! Which samples of a point are told, so that a line drawn through them does not lie.
//!
//! - **By exception**: one that differs from the one told last by more than the deadband, and before it the sample before it.
//! - **By a swinging door**: one from which on a straight line would pass too far from a sample that came meanwhile.
//!   Straight lines between what was told are never further than the bound from any good sample that came in time.
//!
//! Either way a change of quality or words is told at once, and once a heartbeat the value is. What waits is the newest
//! sample, and for a door two slopes: that many, however long the line is. Late samples are told as they come; no line
//! goes through them.

use serde::{Deserialize, Serialize};

use super::SensorPoint;
use crate::clean::mark::Mark;
use crate::clean::rows::{exact, maybe_exact, micros};
use crate::config::{PointChecks, Reporting};
use crate::domain::readings::{Quality, Sample};
use crate::domain::sightings::Seen;
use crate::domain::time::Timestamp;

/// A sample as it is remembered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Said {
    #[serde(with = "micros")]
    pub at: Timestamp,
    #[serde(with = "maybe_exact", default)]
    value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    pub quality: Quality,
}

impl Said {
    fn new(sample: &Sample) -> Self {
        let Sample { observed_at: at, value, quality, .. } = *sample;
        Self { at, value, text: sample.text.clone(), quality }
    }

    /// Nothing that is worth telling has changed.
    fn is_same(&self, sample: &Self, deadband: f64) -> bool {
        let near = match (self.value, sample.value) {
            (Some(before), Some(value)) => (value - before).abs() <= deadband,
            (before, value) => before == value,
        };
        near && (self.quality, &self.text) == (sample.quality, &sample.text)
    }

    /// Where a line through it would pass.
    fn mark(&self) -> Option<Mark> {
        let value = self.value.filter(|_| self.quality == Quality::Good && self.text.is_none())?;
        Some(Mark { value, at: self.at })
    }
}

/// Which lines from the sample told last pass near enough to every sample since: those of slopes between these, in the
/// point's unit a microsecond.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Door {
    #[serde(with = "exact")]
    least: f64,
    #[serde(with = "exact")]
    most: f64,
}

impl Door {
    const OPEN: Self = Self { least: f64::NEG_INFINITY, most: f64::INFINITY };

    /// With one more sample behind it; none where the line to that sample passes one before it too far off.
    fn through(self, from: Mark, to: Mark, within: f64) -> Option<Self> {
        let rise = to.value - from.value;
        let passed = to.at.since(from.at).as_micros() as f64;
        if passed == 0.0 {
            return (rise.abs() <= within).then_some(self);
        }
        let slope = rise / passed;
        let fits = slope.is_finite() && self.least <= slope && slope <= self.most;
        let (least, most) = ((rise - within) / passed, (rise + within) / passed);
        fits.then(|| Self { least: self.least.max(least), most: self.most.min(most) })
    }
}

impl SensorPoint {
    /// A sample that is not late.
    pub(super) fn say(&mut self, sample: &Sample, checks: &PointChecks, seen: &mut Vec<Seen>) {
        let quality = self.last.as_ref().map_or(Quality::Good, |last| last.quality);
        if quality != sample.quality || self.stale {
            let (device, point) = (self.device.clone(), self.point.clone());
            seen.push(Seen::Quality { device, point, quality: sample.quality });
        }
        let said = Said::new(sample);
        if std::mem::take(&mut self.stale) {
            self.let_go(seen);
            return self.tell(said, seen);
        }
        let is_door = matches!(checks.reporting, Reporting::SwingingDoor { .. });
        let held_by_door = self.door.is_some();
        // What was held back by the other rule is told: this one does not know how far it was from what lay before it.
        if held_by_door != is_door
            && (held_by_door
                || self.alike.as_ref().or(self.held.as_ref()).is_some_and(|it| it.mark().is_some()))
        {
            self.let_go(seen);
        }
        match checks.reporting {
            Reporting::Exception { deadband } => self.say_by_exception(said, deadband, checks, seen),
            Reporting::SwingingDoor { within } => self.say_by_door(said, within, checks, seen),
        }
    }

    fn say_by_exception(&mut self, said: Said, deadband: f64, checks: &PointChecks, seen: &mut Vec<Seen>) {
        let same = self.last.as_ref().is_some_and(|last| last.is_same(&said, deadband));
        let silent_for = self.last.as_ref().map(|last| said.at.since(last.at));
        if same && silent_for.is_some_and(|silent| silent < checks.heartbeat) {
            self.alike = Some(said);
            return;
        }
        // A heartbeat is no change: what was not told says the same. Rows of older builds have it as held.
        if let Some(before) = self.alike.take().or(self.held.take()).filter(|_| !same) {
            self.tell(before, seen);
        }
        self.tell(said, seen);
    }

    fn say_by_door(&mut self, said: Said, within: f64, checks: &PointChecks, seen: &mut Vec<Seen>) {
        if said.mark().is_none() || self.last.as_ref().is_some_and(|last| last.mark().is_none()) {
            if self.door.is_some() {
                self.let_go(seen);
            }
            return self.say_by_exception(said, within, checks, seen);
        }
        if self.passes(&said, within, checks) {
            return self.hold(said, checks, seen);
        }
        // The line ends at the sample before; the next one may begin there.
        self.let_go(seen);
        if self.passes(&said, within, checks) {
            return self.hold(said, checks, seen);
        }
        self.door = None;
        self.tell(said, seen);
    }

    /// Whether a line from what was told last reaches this sample; it is narrowed by it then.
    fn passes(&mut self, said: &Said, within: f64, checks: &PointChecks) -> bool {
        let Some((from, to)) = self.last.as_ref().and_then(Said::mark).zip(said.mark()) else { return false };
        let door = self.door.unwrap_or(Door::OPEN).through(from, to, within);
        let passes = door.is_some() && to.at.since(from.at) <= checks.heartbeat;
        if passes {
            self.door = door;
        }
        passes
    }

    /// Keeps a sample back, unless it is time for one.
    fn hold(&mut self, said: Said, checks: &PointChecks, seen: &mut Vec<Seen>) {
        let silent_for = self.last.as_ref().map(|last| said.at.since(last.at));
        if silent_for.is_some_and(|silent| silent < checks.heartbeat) {
            (self.held, self.dirty) = (Some(said), true);
            return;
        }
        (self.held, self.door) = (None, None);
        self.tell(said, seen);
    }

    /// What was held back is told: no line goes beyond it.
    pub(super) fn let_go(&mut self, seen: &mut Vec<Seen>) {
        self.door = None;
        if let Some(held) = self.held.take().or(self.alike.take()) {
            self.tell(held, seen);
        }
    }

    fn tell(&mut self, said: Said, seen: &mut Vec<Seen>) {
        let Said { at: observed_at, value, text, quality } = said.clone();
        let (device, point) = (self.device.clone(), self.point.clone());
        seen.push(Seen::Sample(Sample { device, point, observed_at, value, text, quality }));
        self.last = Some(said);
        self.dirty = true;
    }
}

#[cfg(test)]
mod tests;
