//! One sensor point: samples by exception, its quality, and an episode for each excursion over a limit.
//!
//! Which of its samples are told is said in [`reporting`]. Where none comes for so long that it should have been read
//! several times, its value is stale: kept, and not believed any more.
//!
//! ```text
//! normal ──over the threshold──▶ pending ──on-delay──▶ exceeded ──back by the deadband──▶ clearing
//!    ▲          (under it again)───┘ │                    ▲ ◀──over the deadband again──────┘ │
//!    └────────────────────────────◀──┘                    └─ ... ◀───────────off-delay────────┘ normal
//! ```
//! Only good samples move a limit, and only a sample does: a delay ends at the first good sample at or
//! after it, because between samples nobody knows the value. Bad quality neither begins nor ends an
//! episode. Limits follow OPC UA Part 9 (high, low, rate of change; on-delay, off-delay, deadband).

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::credence::Credence;
use super::mark::Mark;
use super::rows::{maybe_micros, micros};
use super::staleness::Silence;
use super::trend::Trend;
use crate::config::{LimitConfig, LimitKind, PointChecks};
use crate::domain::ids::{DeviceId, LimitId, PointId};
use crate::domain::readings::{Quality, Sample};
use crate::domain::sightings::{ConditionChange, Episode, Measure, Seen};
use crate::domain::time::Timestamp;

mod reporting;
#[cfg(test)]
mod tests;

use reporting::{Door, Said};

/// One value of one device; its row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SensorPoint {
    pub device: DeviceId,
    pub point: PointId,
    last: Option<Said>,
    /// The newest sample, where a door holds it back. A crash must not widen what lines may miss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Said>,
    /// The newest sample, where it was not told because it is like the last one that was. Not kept: to write a row for
    /// every value that does not change would be most of the work, and what it says is known to a deadband.
    #[serde(skip)]
    alike: Option<Said>,
    /// In which connection of its source that was.
    #[serde(skip)]
    connection: u64,
    /// Where a door swings: how far the samples since the last one left it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    door: Option<Door>,
    /// It was said to be stale, and nothing has come since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    #[serde(default, skip_serializing_if = "Credence::is_empty")]
    credence: Credence,
    /// Samples of the same time or older have been judged.
    #[serde(with = "micros")]
    judged: Timestamp,
    limits: Vec<LimitState>,
    /// How it moved, where a limit is of a rate.
    #[serde(default, skip_serializing_if = "Trend::is_empty")]
    trend: Trend,
    #[serde(skip)]
    rules: Arc<[LimitConfig]>,
    #[serde(skip)]
    pub checks: PointChecks,
    #[serde(skip)]
    pub silence: Silence,
    #[serde(skip)]
    pub dirty: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct LimitState {
    limit: LimitId,
    stage: Stage,
    #[serde(default, skip_serializing_if = "Measure::is_value")]
    measure: Measure,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stage {
    Pending {
        #[serde(with = "micros")]
        since: Timestamp,
        peak: Mark,
    },
    Exceeded {
        #[serde(with = "micros")]
        began: Timestamp,
        peak: Mark,
        clearing: Option<Clearing>,
        #[serde(default)]
        over: Over,
    },
}

/// For how long it was over the threshold.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Over {
    known: Duration,
    /// The last good value, where it was over: it stays until the next one, if that is good too.
    #[serde(with = "maybe_micros", default)]
    last: Option<Timestamp>,
}

impl Over {
    fn ended(self, began_at: Timestamp, peak: Mark, measure: Measure) -> Episode {
        let over_s = Some(self.known.as_secs_f64());
        Episode::Ended { began_at, peak: peak.value, peak_at: peak.at, measure, over_s }
    }

    fn then(self, at: Timestamp, is_over: bool) -> Self {
        let since = self.last.map_or(Duration::ZERO, |last| at.since(last));
        Self { known: self.known + since, last: is_over.then_some(at) }
    }
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Clearing(#[serde(with = "micros")] Timestamp);

impl SensorPoint {
    pub fn new(device: DeviceId, point: PointId, rules: Arc<[LimitConfig]>) -> Self {
        Self {
            device,
            point,
            last: None,
            held: None,
            alike: None,
            connection: 0,
            door: None,
            stale: false,
            credence: Credence::default(),
            judged: Timestamp::MIN,
            limits: Vec::new(),
            trend: Trend::default(),
            rules,
            checks: PointChecks::default(),
            silence: Silence::default(),
            dirty: false,
        }
    }

    /// The rules as far as they are known; no excursion is forgotten yet.
    pub fn restored(&mut self, rules: Arc<[LimitConfig]>) {
        self.credence.interrupted();
        self.rules = rules;
        self.judged = self.newest_kept();
    }

    /// The connection of its source by which it is heard now. What came by an earlier one and was not told is forgotten,
    /// as by a restart, and in between nobody saw it.
    pub fn heard_by(&mut self, connection: u64) {
        if std::mem::replace(&mut self.connection, connection) == connection {
            return;
        }
        self.lose_sight();
        if self.alike.take().is_some() {
            self.judged = self.newest_kept();
        }
    }

    fn newest_kept(&self) -> Timestamp {
        let kept = [&self.last, &self.held].into_iter().flatten().map(|said| said.at);
        kept.max().unwrap_or(Timestamp::MIN)
    }

    /// Takes up the limits as they are now. Returns whether there is something of one that is no more: see
    /// [`SensorPoint::withdraw`].
    pub fn set_rules(&mut self, rules: Arc<[LimitConfig]>) -> bool {
        self.rules = rules;
        self.limits.iter().any(|state| !self.has(&state.limit))
    }

    fn has(&self, limit: &LimitId) -> bool {
        self.rules.iter().any(|rule| rule.name == *limit)
    }

    /// An excursion over a limit that is no more ends with it.
    pub fn withdraw(&mut self, seen: &mut Vec<Seen>) {
        let (kept, withdrawn) =
            std::mem::take(&mut self.limits).into_iter().partition(|state| self.has(&state.limit));
        self.limits = kept;
        for LimitState { limit, stage, measure } in withdrawn {
            self.dirty = true;
            if let Stage::Exceeded { began, peak, over, .. } = stage {
                let (device, point) = (self.device.clone(), self.point.clone());
                let change = over.ended(began, peak, measure);
                seen.push(Seen::Condition(ConditionChange { device, point, limit, change }));
            }
        }
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
        let silent_for = sample.observed_at.since(self.judged);
        self.judged = sample.observed_at;
        let credence = self.credence.clone();
        // Our clock was set, or we threw answers away: so long a value does not stand.
        if checks.stale_after.is_some_and(|longest| silent_for > longest) {
            self.lose_sight();
        }
        match sample.value.filter(|_| sample.quality == Quality::Good) {
            Some(value) if self.credence.believes(checks, value, sample.observed_at) => {}
            Some(_) => {
                sample.quality = Quality::SensorNotAccurate;
                self.close_eyes();
            }
            None => self.lose_sight(),
        }
        self.dirty |= self.credence != credence;
        self.say(&sample, checks, seen);
        if let Some(value) = sample.value.filter(|_| sample.quality == Quality::Good) {
            self.judge(value, sample.observed_at, seen);
        }
        false
    }

    /// Nobody reads it any more. What is known to be bad stays so, unless nobody is meant to read it.
    pub fn fall_silent(&mut self, is_gone: bool, seen: &mut Vec<Seen>) {
        let quality = self.last.as_ref().map(|last| last.quality);
        if self.stale || quality.is_none_or(|quality| quality != Quality::Good && !is_gone) {
            return;
        }
        self.let_go(seen);
        self.lose_sight();
        (self.stale, self.dirty) = (true, true);
        let (device, point) = (self.device.clone(), self.point.clone());
        seen.push(Seen::Quality { device, point, quality: Quality::Stale });
    }

    /// What it says from here on nobody knows, until a good value comes.
    fn lose_sight(&mut self) {
        self.credence.interrupted();
        self.close_eyes();
    }

    /// What its value is from here on nobody knows, until one comes that is believed.
    fn close_eyes(&mut self) {
        for state in &mut self.limits {
            if let Stage::Exceeded { over: Over { last, .. }, .. } = &mut state.stage {
                self.dirty |= last.take().is_some();
            }
        }
    }

    fn judge(&mut self, value: f64, at: Timestamp, seen: &mut Vec<Seen>) {
        let rules = self.rules.clone();
        for rule in rules.iter() {
            let rate = |over| self.trend.per_minute(value, at, over);
            let value = match rule.kind {
                LimitKind::High | LimitKind::Low => Some(value),
                LimitKind::Rise { over } => rate(over),
                LimitKind::Fall { over } => rate(over).map(|rate| -rate),
            };
            let Some(value) = value else { continue };
            let place = self.limits.iter().position(|state| state.limit == rule.name);
            let before = place.map(|place| self.limits[place].stage);
            let (after, said) = next(before, rule, value, at);
            match (place, after) {
                (Some(place), Some(stage)) => self.limits[place].stage = stage,
                (Some(place), None) => {
                    self.limits.remove(place);
                }
                (None, Some(stage)) => {
                    let (limit, measure) = (rule.name.clone(), rule.kind.measure());
                    self.limits.push(LimitState { limit, stage, measure });
                }
                (None, None) => {}
            }
            self.dirty |= before != after;
            seen.extend(said.map(|change| {
                let (device, point, limit) = (self.device.clone(), self.point.clone(), rule.name.clone());
                Seen::Condition(ConditionChange { device, point, limit, change })
            }));
        }
        match rules.iter().filter_map(|rule| rule.kind.over()).max() {
            Some(longest) => self.dirty |= self.trend.note(value, at, longest),
            None => self.trend.clear(),
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
        LimitKind::Low => rule.threshold - value,
        LimitKind::High | LimitKind::Rise { .. } | LimitKind::Fall { .. } => value - rule.threshold,
    };
    let over = excess > 0.0;
    let cleared = excess <= -rule.deadband.max(0.0);
    let here = Mark { value, at };
    match stage {
        None if over => begin(at, here, rule, value, at),
        None => (None, None),
        Some(Stage::Pending { since, peak }) if over => {
            begin(since, further(peak, here, rule.kind), rule, value, at)
        }
        Some(Stage::Pending { .. }) => (None, None),
        Some(Stage::Exceeded { began, peak, over: was, .. }) if !cleared => {
            let (peak, over) = (further(peak, here, rule.kind), was.then(at, over));
            (Some(Stage::Exceeded { began, peak, clearing: None, over }), None)
        }
        Some(Stage::Exceeded { began, peak, clearing, over: was }) => {
            let (clearing, over) = (clearing.unwrap_or(Clearing(at)), was.then(at, false));
            if at >= clearing.0 + rule.off_delay {
                return (None, Some(over.ended(began, peak, rule.kind.measure())));
            }
            (Some(Stage::Exceeded { began, peak, clearing: Some(clearing), over }), None)
        }
    }
}

fn begin(
    since: Timestamp,
    peak: Mark,
    rule: &LimitConfig,
    value: f64,
    at: Timestamp,
) -> (Option<Stage>, Option<Episode>) {
    if at < since + rule.on_delay {
        return (Some(Stage::Pending { since, peak }), None);
    }
    let began =
        Episode::Began { began_at: since, value, threshold: rule.threshold, measure: rule.kind.measure() };
    // All that time every good value was over.
    let over = Over { known: at.since(since), last: Some(at) };
    (Some(Stage::Exceeded { began: since, peak, clearing: None, over }), Some(began))
}

fn further(peak: Mark, here: Mark, kind: LimitKind) -> Mark {
    let beyond = match kind {
        LimitKind::Low => here.value < peak.value,
        LimitKind::High | LimitKind::Rise { .. } | LimitKind::Fall { .. } => here.value > peak.value,
    };
    if beyond { here } else { peak }
}
