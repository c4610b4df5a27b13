//! One sensor point: samples by exception, its quality, and an episode for each excursion over a limit.
//!
//! A sample is told when it differs from the one told last by more than the point's deadband, when its quality
//! or words changed, and once a heartbeat. Before a change comes the sample before it, if that was not told: a
//! line drawn through what was told then stands still until the change, as the value did.
//!
//! ```text
//! normal ──over the threshold──▶ pending ──on-delay──▶ exceeded ──back by the deadband──▶ clearing
//!    ▲          (under it again)───┘ │                    ▲ ◀──over the deadband again──────┘ │
//!    └────────────────────────────◀──┘                    └─ ... ◀───────────off-delay────────┘ normal
//! ```
//! Only good samples move a limit, and only a sample does: a delay ends at the first good sample at or
//! after it, because between samples nobody knows the value. Bad quality neither begins nor ends an
//! episode. Limits follow OPC UA Part 9 (high, low; on-delay, off-delay, deadband).

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::credence::Credence;
use super::rows::{exact, maybe_exact, micros};
use crate::config::{LimitConfig, LimitKind, PointChecks};
use crate::domain::ids::{DeviceId, LimitId, PointId};
use crate::domain::readings::{Quality, Sample};
use crate::domain::sightings::{ConditionChange, Episode, Seen};
use crate::domain::time::Timestamp;

/// A value that does not change is said this often.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// One value of one device; its row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SensorPoint {
    pub device: DeviceId,
    pub point: PointId,
    last: Option<Said>,
    /// The newest sample, where it was not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Said>,
    #[serde(default, skip_serializing_if = "Credence::is_empty")]
    credence: Credence,
    /// Samples of the same time or older have been judged.
    #[serde(with = "micros")]
    judged: Timestamp,
    limits: Vec<LimitState>,
    #[serde(skip)]
    rules: Arc<[LimitConfig]>,
    #[serde(skip)]
    pub dirty: bool,
}

/// The sample that was said last.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Said {
    #[serde(with = "micros")]
    at: Timestamp,
    #[serde(with = "maybe_exact", default)]
    value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    quality: Quality,
}

impl Said {
    fn new(sample: &Sample) -> Self {
        let Sample { observed_at: at, value, quality, .. } = *sample;
        Self { at, value, text: sample.text.clone(), quality }
    }

    /// Nothing that is worth telling has changed.
    fn is_same(&self, sample: &Sample, deadband: f64) -> bool {
        let near = match (self.value, sample.value) {
            (Some(before), Some(value)) => (value - before).abs() <= deadband,
            (before, value) => before == value,
        };
        near && (self.quality, &self.text) == (sample.quality, &sample.text)
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct LimitState {
    limit: LimitId,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stage {
    Pending {
        #[serde(with = "micros")]
        since: Timestamp,
        peak: Peak,
    },
    Exceeded {
        #[serde(with = "micros")]
        began: Timestamp,
        peak: Peak,
        clearing: Option<Clearing>,
    },
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Clearing(#[serde(with = "micros")] Timestamp);

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Peak {
    #[serde(with = "exact")]
    value: f64,
    #[serde(with = "micros")]
    at: Timestamp,
}

impl SensorPoint {
    pub fn new(device: DeviceId, point: PointId, rules: Arc<[LimitConfig]>) -> Self {
        let (last, held, credence, judged) = (None, None, Credence::default(), Timestamp::MIN);
        Self { device, point, last, held, credence, judged, limits: Vec::new(), rules, dirty: false }
    }

    /// The rules as far as they are known; no excursion is forgotten yet.
    pub fn restored(&mut self, rules: Arc<[LimitConfig]>) {
        self.credence.interrupted();
        self.rules = rules;
    }

    /// Takes up the limits as they are now; an excursion over one that is no more is forgotten.
    pub fn set_rules(&mut self, rules: Arc<[LimitConfig]>) {
        let before = self.limits.len();
        self.limits.retain(|state| rules.iter().any(|rule| rule.name == state.limit));
        self.dirty |= self.limits.len() != before;
        self.rules = rules;
    }

    /// What a sample says. Returns whether it is late: older than one that was judged.
    pub fn take(&mut self, mut sample: Sample, checks: &PointChecks, seen: &mut Vec<Seen>) -> bool {
        if sample.value.is_some_and(|value| !value.is_finite()) {
            sample = Sample { value: None, quality: Quality::SensorFailure, ..sample };
        }
        if sample.observed_at < self.judged {
            seen.push(Seen::Sample(sample));
            return true;
        }
        self.dirty |= sample.observed_at != self.judged;
        self.judged = sample.observed_at;
        match sample.value.filter(|_| sample.quality == Quality::Good) {
            Some(value) if self.credence.believes(checks, value, sample.observed_at) => {}
            Some(_) => sample.quality = Quality::SensorNotAccurate,
            None => self.credence.interrupted(),
        }
        self.say(&sample, checks.deadband, seen);
        if let Some(value) = sample.value.filter(|_| sample.quality == Quality::Good) {
            self.judge(value, sample.observed_at, seen);
        }
        false
    }

    fn say(&mut self, sample: &Sample, deadband: f64, seen: &mut Vec<Seen>) {
        let quality = self.last.as_ref().map_or(Quality::Good, |last| last.quality);
        if quality != sample.quality {
            let (device, point) = (self.device.clone(), self.point.clone());
            seen.push(Seen::Quality { device, point, quality: sample.quality });
        }
        let said = Said::new(sample);
        let same = self.last.as_ref().is_some_and(|last| last.is_same(sample, deadband));
        let silent_for = self.last.as_ref().map(|last| sample.observed_at.since(last.at));
        if same && silent_for.is_some_and(|silent| silent < HEARTBEAT) {
            self.held = Some(said);
            return;
        }
        // A heartbeat is no change: what was held back says the same.
        if let Some(held) = self.held.take().filter(|held| !same && held.at < sample.observed_at) {
            let Said { at: observed_at, value, text, quality } = held;
            let (device, point) = (self.device.clone(), self.point.clone());
            seen.push(Seen::Sample(Sample { device, point, observed_at, value, text, quality }));
        }
        self.last = Some(said);
        self.dirty = true;
        seen.push(Seen::Sample(sample.clone()));
    }

    fn judge(&mut self, value: f64, at: Timestamp, seen: &mut Vec<Seen>) {
        let rules = self.rules.clone();
        for rule in rules.iter() {
            let place = self.limits.iter().position(|state| state.limit == rule.name);
            let before = place.map(|place| self.limits[place].stage);
            let (after, said) = next(before, rule, value, at);
            match (place, after) {
                (Some(place), Some(stage)) => self.limits[place].stage = stage,
                (Some(place), None) => {
                    self.limits.remove(place);
                }
                (None, Some(stage)) => self.limits.push(LimitState { limit: rule.name.clone(), stage }),
                (None, None) => {}
            }
            self.dirty |= before != after;
            seen.extend(said.map(|change| {
                let (device, point, limit) = (self.device.clone(), self.point.clone(), rule.name.clone());
                Seen::Condition(ConditionChange { device, point, limit, change })
            }));
        }
    }
}

/// The stage of a limit after a good value, and what that says. `None`: normal.
fn next(
    stage: Option<Stage>,
    rule: &LimitConfig,
    value: f64,
    at: Timestamp,
) -> (Option<Stage>, Option<Episode>) {
    // How far over the threshold, in the direction of the limit.
    let excess = match rule.kind {
        LimitKind::High => value - rule.threshold,
        LimitKind::Low => rule.threshold - value,
    };
    let over = excess > 0.0;
    let cleared = excess <= -rule.deadband.max(0.0);
    let here = Peak { value, at };
    match stage {
        None if over => begin(at, here, rule, value, at),
        None => (None, None),
        Some(Stage::Pending { since, peak }) if over => {
            begin(since, further(peak, here, rule.kind), rule, value, at)
        }
        Some(Stage::Pending { .. }) => (None, None),
        Some(Stage::Exceeded { began, peak, .. }) if !cleared => {
            let peak = further(peak, here, rule.kind);
            (Some(Stage::Exceeded { began, peak, clearing: None }), None)
        }
        Some(Stage::Exceeded { began, peak, clearing }) => {
            let clearing = clearing.unwrap_or(Clearing(at));
            if at >= clearing.0 + rule.off_delay {
                let ended = Episode::Ended { began_at: began, peak: peak.value, peak_at: peak.at };
                return (None, Some(ended));
            }
            (Some(Stage::Exceeded { began, peak, clearing: Some(clearing) }), None)
        }
    }
}

fn begin(
    since: Timestamp,
    peak: Peak,
    rule: &LimitConfig,
    value: f64,
    at: Timestamp,
) -> (Option<Stage>, Option<Episode>) {
    if at < since + rule.on_delay {
        return (Some(Stage::Pending { since, peak }), None);
    }
    let began = Episode::Began { began_at: since, value, threshold: rule.threshold };
    (Some(Stage::Exceeded { began: since, peak, clearing: None }), Some(began))
}

fn further(peak: Peak, here: Peak, kind: LimitKind) -> Peak {
    let beyond = match kind {
        LimitKind::High => here.value > peak.value,
        LimitKind::Low => here.value < peak.value,
    };
    if beyond { here } else { peak }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alerts::Severity;

    fn limit(kind: LimitKind, threshold: f64) -> LimitConfig {
        LimitConfig {
            device: "cold-room".into(),
            point: "temperature".into(),
            name: "limit".into(),
            kind,
            threshold,
            deadband: 1.0,
            on_delay: Duration::from_secs(10),
            off_delay: Duration::from_secs(5),
            severity: Severity::Warning,
        }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    /// Samples (second, value; NaN is bad quality) → what is said, as words.
    fn check(limit: LimitConfig, samples: &[(i64, f64)], expect: &[&str]) {
        let mut point = SensorPoint::new("cold-room".into(), "temperature".into(), Arc::from([limit]));
        let mut said = Vec::new();
        for (second, value) in samples {
            let (value, quality) = match value.is_nan() {
                true => (None, Quality::NoCommunication),
                false => (Some(*value), Quality::Good),
            };
            let (device, name) = (point.device.clone(), point.point.clone());
            let observed_at = at(*second);
            let sample = Sample { device, point: name, observed_at, value, text: None, quality };
            let mut seen = Vec::new();
            point.take(sample, &PointChecks::default(), &mut seen);
            said.extend(seen.iter().filter_map(|seen| words(*second, seen)));
        }
        assert_eq!(said, expect, "{samples:?}");
    }

    fn words(second: i64, seen: &Seen) -> Option<String> {
        let seconds = |at: Timestamp| at.as_micros() / 1_000_000;
        match seen {
            Seen::Condition(ConditionChange { change: Episode::Began { began_at, value, .. }, .. }) => {
                Some(format!("{second}: began {} at {value}", seconds(*began_at)))
            }
            Seen::Condition(ConditionChange {
                change: Episode::Ended { began_at, peak, peak_at }, ..
            }) => Some(format!("{second}: ended {}, {peak} at {}", seconds(*began_at), seconds(*peak_at))),
            Seen::Quality { quality: Quality::Good, .. } => Some(format!("{second}: good")),
            Seen::Quality { .. } => Some(format!("{second}: bad")),
            _ => None,
        }
    }

    #[test]
    fn an_excursion_is_one_episode_with_its_peak() {
        check(
            limit(LimitKind::High, 8.0),
            &[
                (0, 7.0),
                (5, 9.0),
                (10, 10.0),
                (15, 9.5),
                (20, 12.0),
                (25, 7.5),
                (30, 6.9),
                (34, 6.0),
                (35, 6.0),
            ],
            &["15: began 5 at 9.5", "35: ended 5, 12 at 20"],
        );
    }

    #[test]
    fn a_low_limit_is_the_mirror_image() {
        check(
            limit(LimitKind::Low, 2.0),
            &[(0, 1.5), (10, 1.0), (20, 2.5), (25, 3.0), (30, 3.5)],
            &["10: began 0 at 1", "30: ended 0, 1 at 10"],
        );
    }

    #[test]
    fn what_comes_back_within_a_delay_is_nothing() {
        check(limit(LimitKind::High, 8.0), &[(0, 9.0), (9, 9.0), (10, 8.0), (11, 9.0), (20, 9.0)], &[]);
        check(
            limit(LimitKind::High, 8.0),
            &[(0, 9.0), (10, 9.0), (11, 6.0), (15, 7.5), (16, 6.0), (20, 6.0), (21, 6.0)],
            &["10: began 0 at 9", "21: ended 0, 9 at 0"],
        );
    }

    #[test]
    fn bad_quality_neither_begins_nor_ends() {
        let bad = f64::NAN;
        check(
            limit(LimitKind::High, 8.0),
            &[(0, 9.0), (10, bad), (11, bad), (12, 9.0), (13, bad), (60, bad), (61, 6.0), (66, 6.0)],
            &["10: bad", "12: good", "12: began 0 at 9", "13: bad", "61: good", "66: ended 0, 9 at 0"],
        );
    }

    /// The times of the samples that are said, each in the second in which it is said.
    fn said_of(checks: PointChecks, values: impl IntoIterator<Item = f64>) -> Vec<(i64, i64)> {
        let mut point = SensorPoint::new("d".into(), "p".into(), Arc::from([]));
        let mut said = Vec::new();
        for (second, value) in (0..).zip(values) {
            let (device, name) = (point.device.clone(), point.point.clone());
            let (value, observed_at) = (Some(value), at(second));
            let quality = Quality::Good;
            let sample = Sample { device, point: name, observed_at, value, text: None, quality };
            let mut seen = Vec::new();
            assert!(!point.take(sample, &checks, &mut seen));
            said.extend(seen.iter().filter_map(|seen| match seen {
                Seen::Sample(sample) => Some((second, sample.observed_at.as_micros() / 1_000_000)),
                _ => None,
            }));
        }
        said
    }

    #[test]
    fn samples_are_said_by_exception_and_before_a_change_the_one_before_it() {
        let values = (0..150).map(|second| if second < 20 { 1.0 } else { 2.0 });
        let said = said_of(PointChecks::default(), values);
        assert_eq!(said, [(0, 0), (20, 19), (20, 20), (80, 80), (140, 140)]);
        let every = said_of(PointChecks::default(), (0..4).map(f64::from));
        assert_eq!(every, [(0, 0), (1, 1), (2, 2), (3, 3)], "nothing was held back");
    }

    #[test]
    fn changes_within_the_deadband_are_not_said() {
        let checks = PointChecks { deadband: 0.5, ..PointChecks::default() };
        let said = said_of(checks, [1.0, 1.25, 1.5, 0.75, 1.75, 2.0, 3.0]);
        assert_eq!(said, [(0, 0), (4, 3), (4, 4), (6, 5), (6, 6)]);
    }

    #[test]
    fn a_value_that_is_not_believed_moves_no_limit() {
        let rules = Arc::from([limit(LimitKind::High, 8.0)]);
        let mut point = SensorPoint::new("cold-room".into(), "temperature".into(), rules);
        let checks = PointChecks { max_per_second: Some(0.1), ..PointChecks::default() };
        let mut told = Vec::new();
        for (second, value) in [(0, 4.0), (10, 40.0), (20, 5.0), (30, 5.5)] {
            let (device, name) = (point.device.clone(), point.point.clone());
            let (observed_at, value, quality) = (at(second), Some(value), Quality::Good);
            let sample = Sample { device, point: name, observed_at, value, text: None, quality };
            let mut seen = Vec::new();
            point.take(sample, &checks, &mut seen);
            told.extend(seen.iter().filter_map(|seen| words(second, seen)));
        }
        assert_eq!(told, ["10: bad", "20: good"]);
    }

    #[test]
    fn an_older_sample_is_late_and_moves_nothing() {
        let mut point = SensorPoint::new("d".into(), "p".into(), Arc::from([limit(LimitKind::High, 8.0)]));
        let sample = |second, value| Sample {
            device: "d".into(),
            point: "p".into(),
            observed_at: at(second),
            value: Some(value),
            text: None,
            quality: Quality::Good,
        };
        let mut seen = Vec::new();
        assert!(!point.take(sample(10, 7.0), &PointChecks::default(), &mut seen));
        let before = point.clone();
        assert!(point.take(sample(5, 9.0), &PointChecks::default(), &mut seen));
        assert_eq!((point.last, point.judged, point.limits), (before.last, before.judged, before.limits));
    }
}
