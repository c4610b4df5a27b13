//! The rules as cleaning looks things up in them: by antenna, by sensor point, by place.
//!
//! Compiled once from the configuration; read points are ordered by name, so that nothing that is put
//! out depends on the order in which they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::fence_index::FenceIndex;
use super::habit::Pace;
use super::trail::Model;
use crate::config::{
    BeamConfig, LimitConfig, PointChecks, ReadPointConfig, ReadPointKind, ReadRules, Rules, TrackerRules,
};
use crate::domain::epc::Epc;
use crate::domain::ids::{Antenna, DeviceId, PointId, ReadPointId, SourceId, ZoneId};
use crate::domain::tag_filter::TagFilter;

pub(super) struct Compiled {
    pub points: Vec<PointRule>,
    /// Tags that only say whether a read point hears.
    pub references: BTreeSet<Epc>,
    pub fences: FenceIndex,
    pub tracker: TrackerRules,
    /// What trackers may speak through.
    pub tracker_sources: BTreeSet<SourceId>,
    reads: BTreeMap<SourceId, Arc<ReadRules>>,
    limits: BTreeMap<DeviceId, BTreeMap<PointId, Arc<[LimitConfig]>>>,
    checks: BTreeMap<(DeviceId, PointId), PointChecks>,
}

#[derive(Clone, Debug)]
pub(super) struct PointRule {
    pub name: ReadPointId,
    pub kind: PointKind,
    pub tags: Arc<TagFilter>,
    pub reference: Option<Epc>,
    pub hearing_timeout: Duration,
    /// Antennas, each with whether it watches the inside.
    pub antennas: Vec<(SourceId, Antenna, bool)>,
    /// The names of their shares, where there are several.
    pub ears: Vec<ReadPointId>,
    /// After so long, a silent antenna is taken to have nothing to hear.
    pub silent_for: Duration,
    pub beams: Vec<BeamRule>,
}

/// A light barrier: the input that it is on, its side (of a single one, either), and what the input says while
/// something stands in it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct BeamRule {
    pub source: SourceId,
    pub port: u16,
    pub inside: bool,
    pub broken_high: bool,
}

#[derive(Clone, Debug)]
pub(super) enum PointKind {
    Presence(PresenceRule),
    Portal(PortalRule),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PresenceRule {
    /// A number for the zone that it tells of.
    pub zone: usize,
    pub observed_reads: u32,
    pub observed_within: Duration,
    /// The window of silence, or the longest where it is learned.
    pub lost_after: Duration,
    /// How the window is learned; none where it is the same for every tag.
    pub pace: Option<Pace>,
    pub refresh: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct PortalRule {
    pub settle: Duration,
    pub static_after: Duration,
    /// Which rows of antennas it has, and what they hear.
    pub model: Arc<Model>,
    /// On which sides there is a light barrier: outside, inside. A single one counts as on either.
    pub beams: [bool; 2],
}

impl PortalRule {
    /// The side that its antennas watch, where that is one only: 0 outside, 1 inside.
    pub fn only_row(&self) -> Option<usize> {
        match self.model.rows {
            [true, false] => Some(0),
            [false, true] => Some(1),
            _ => None,
        }
    }
}

impl Compiled {
    pub fn new(rules: &Rules) -> Self {
        let zones: BTreeSet<&ZoneId> = rules.read_points.iter().filter_map(zone_of).collect();
        let numbers: BTreeMap<&ZoneId, usize> = zones.into_iter().zip(0..).collect();
        let number = |point| zone_of(point).map_or(0, |zone| numbers[zone]);
        let mut points: Vec<PointRule> = rules
            .read_points
            .iter()
            .map(|point| PointRule::new(point, number(point), rules.alerts.antenna_silent_for))
            .collect();
        points.sort_by(|a, b| a.name.cmp(&b.name));
        points.dedup_by(|a, b| a.name == b.name);
        Self {
            references: points.iter().filter_map(|point| point.reference).collect(),
            points,
            fences: FenceIndex::new(&rules.fences),
            tracker: rules.tracker.clone(),
            tracker_sources: rules.tracker_sources.clone(),
            reads: rules
                .reads
                .iter()
                .map(|(source, rules)| (source.clone(), Arc::new(rules.clone())))
                .collect(),
            limits: limits(&rules.limits),
            checks: rules.checks.clone(),
        }
    }

    pub fn reads(&self, source: &SourceId) -> Option<Arc<ReadRules>> {
        self.reads.get(source).map(Arc::clone)
    }

    pub fn limits(&self, device: &DeviceId, point: &PointId) -> Arc<[LimitConfig]> {
        let found = self.limits.get(device).and_then(|points| points.get(point));
        found.map_or_else(|| Arc::from([]), Arc::clone)
    }

    /// How far a point is believed.
    pub fn checks(&self, device: &DeviceId, point: &PointId) -> PointChecks {
        self.checks.get(&(device.clone(), point.clone())).copied().unwrap_or_default()
    }

    /// For how long a point may say nothing; none where nobody is meant to read it.
    pub fn stale_after(&self, key: &(DeviceId, PointId)) -> Option<Duration> {
        self.checks.get(key).and_then(|checks| checks.stale_after)
    }

    pub fn point_named(&self, name: &str) -> Option<usize> {
        self.points.binary_search_by(|point| point.name.as_str().cmp(name)).ok()
    }
}

/// The zone that a read point tells of, where it is not a portal.
fn zone_of(point: &ReadPointConfig) -> Option<&ZoneId> {
    match &point.kind {
        ReadPointKind::Presence { zone, .. } => Some(zone),
        ReadPointKind::Portal { .. } => None,
    }
}

fn limits(limits: &[LimitConfig]) -> BTreeMap<DeviceId, BTreeMap<PointId, Arc<[LimitConfig]>>> {
    let mut gathered: BTreeMap<DeviceId, BTreeMap<PointId, Vec<LimitConfig>>> = BTreeMap::new();
    for limit in limits {
        let points = gathered.entry(limit.device.clone()).or_default();
        points.entry(limit.point.clone()).or_default().push(limit.clone());
    }
    let shared = |points: BTreeMap<PointId, Vec<LimitConfig>>| {
        points.into_iter().map(|(point, mut limits)| {
            limits.sort_by(|a, b| a.name.cmp(&b.name));
            (point, Arc::from(limits))
        })
    };
    gathered.into_iter().map(|(device, points)| (device, shared(points).collect())).collect()
}

impl PointRule {
    fn new(config: &ReadPointConfig, zone: usize, silent_for: Duration) -> Self {
        let beams: Vec<BeamRule> = config.beams().iter().map(BeamRule::of).collect();
        let kind = match config.kind {
            ReadPointKind::Presence {
                observed_reads,
                observed_within,
                lost_after,
                lost_after_min,
                refresh,
                ..
            } => {
                let pace = Pace::new(lost_after_min, lost_after);
                PointKind::Presence(PresenceRule {
                    zone,
                    observed_reads,
                    observed_within,
                    lost_after,
                    pace,
                    refresh,
                })
            }
            ReadPointKind::Portal { settle, static_after, .. } => {
                let rows = [false, true].map(|inside| config.antennas.iter().any(|a| a.inside == inside));
                let model = Arc::new(Model::new(rows));
                let beams = [false, true].map(|inside| beams.iter().any(|beam| beam.inside == inside));
                PointKind::Portal(PortalRule { settle, static_after, model, beams })
            }
        };
        let antennas = config.antennas.iter();
        Self {
            name: config.name.clone(),
            kind,
            tags: Arc::new(config.tags.clone()),
            reference: config.reference_tag,
            hearing_timeout: config.hearing_timeout,
            antennas: antennas.map(|a| (a.source.clone(), a.antenna, a.inside)).collect(),
            ears: config.ears(),
            silent_for,
            beams,
        }
    }
}

impl BeamRule {
    fn of(config: &BeamConfig) -> Self {
        let BeamConfig { source, port, inside, broken_high } = config;
        let inside = inside.unwrap_or(false);
        Self { source: source.clone(), port: *port, inside, broken_high: *broken_high }
    }
}
