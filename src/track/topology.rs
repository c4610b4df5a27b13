//! The configuration's rules, compiled for lookup: what a read point watches, which sources it hangs
//! on, which fence means which zone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::custody::Stays;
use crate::config::{AlertRules, FenceConfig, LimitConfig, LimitKind, ReadPointKind, Rules};
use crate::domain::alerts::{AlertKey, Severity};
use crate::domain::ids::{
    Antenna, DeviceId, FenceId, LimitId, PointId, ReadPointId, SiteId, SourceId, ZoneId,
};
use crate::domain::sightings::Direction;

#[derive(Debug, Default)]
pub(super) struct Topology {
    presence: BTreeMap<ReadPointId, Arc<PresencePoint>>,
    /// What hears what stays in a zone: read points, and of those with several antennas, the antennas.
    ears_of: BTreeMap<ZoneId, Vec<ReadPointId>>,
    portals: BTreeMap<ReadPointId, Portal>,
    /// The portals at which what is in a zone stands.
    doors_of_bay: BTreeMap<ZoneId, Vec<ReadPointId>>,
    sources_of: BTreeMap<ReadPointId, BTreeSet<SourceId>>,
    read_points_of: BTreeMap<SourceId, BTreeSet<ReadPointId>>,
    /// Of read points with several antennas: the share of each, and whose it is.
    whole_of: BTreeMap<ReadPointId, ReadPointId>,
    /// What an antenna hears for: its read point, or its share of it.
    ears: BTreeMap<(SourceId, Antenna), ReadPointId>,
    fences: BTreeMap<FenceId, Fenced>,
    limits: BTreeMap<(DeviceId, PointId, LimitId), Bound>,
    source_sites: BTreeMap<SourceId, SiteId>,
    tracker_sources: BTreeSet<SourceId>,
    units: BTreeMap<(DeviceId, PointId), String>,
    /// Points that are read.
    read: BTreeSet<(DeviceId, PointId)>,
    pub alerts: AlertRules,
}

/// What a limit bounds, and how bad it is to be over it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub kind: LimitKind,
    pub threshold: f64,
    pub severity: Severity,
}

impl Bound {
    pub fn of(limit: &LimitConfig) -> Self {
        Self { kind: limit.kind, threshold: limit.threshold, severity: limit.severity }
    }

    /// Whether it is further out than another of the same kind: who is over it is over that too.
    pub fn is_beyond(&self, other: &Self) -> bool {
        self.kind == other.kind && self.kind.is_beyond(self.threshold, other.threshold)
    }
}

#[derive(Debug)]
pub(super) struct PresencePoint {
    pub zone: ZoneId,
    /// What is said of an asset that it hears, and of a checkout that it ends: held once.
    pub heard_at: Arc<str>,
    pub sensed_at: Arc<str>,
    pub lost_after: Duration,
    pub refresh: Duration,
    pub hearing_timeout: Duration,
}

impl PresencePoint {
    /// A tag that stays is told of again within this: a refresh is due every `refresh`, and comes with
    /// the next read, of which there is one within `lost_after`.
    pub fn span(&self) -> Duration {
        self.refresh.saturating_add(self.lost_after)
    }

    pub fn stays(&self) -> Stays {
        Stays { heard_within: self.lost_after, told_within: self.span() }
    }

    /// A shorter silence proves nothing of a tag that was there: the second span is to know who else
    /// fell silent with it, and an outage is only known `hearing_timeout` after it began, before which a
    /// tag may have been told of a whole span ago.
    pub fn shortest_proof(&self) -> Duration {
        self.span().saturating_add(self.span().max(self.hearing_timeout))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Portal {
    inside: Option<ZoneId>,
    outside: Option<ZoneId>,
    pub merge: Duration,
    pub handover_within: Duration,
    /// Where a vehicle stands that is at this door.
    pub bay: Option<ZoneId>,
}

impl Portal {
    /// The zones that a passage comes from and leads to.
    pub fn crossing(&self, direction: Direction) -> (Option<ZoneId>, Option<ZoneId>) {
        match direction {
            Direction::In => (self.outside.clone(), self.inside.clone()),
            Direction::Out => (self.inside.clone(), self.outside.clone()),
        }
    }
}

/// What is known here of a fence.
#[derive(Debug)]
struct Fenced {
    site: Option<SiteId>,
    zone: Option<ZoneId>,
    /// One that lies in another is less deep than that.
    depth_m: f64,
}

impl Fenced {
    fn of(fence: &FenceConfig) -> Self {
        Self { site: fence.site.clone(), zone: fence.zone.clone(), depth_m: fence.shape.depth_m() }
    }
}

impl Topology {
    pub fn new(rules: &Rules) -> Self {
        let mut topology = Self {
            fences: rules.fences.iter().map(|fence| (fence.name.clone(), Fenced::of(fence))).collect(),
            limits: rules
                .limits
                .iter()
                .map(|l| ((l.device.clone(), l.point.clone(), l.name.clone()), Bound::of(l)))
                .collect(),
            source_sites: rules.source_sites.clone(),
            tracker_sources: rules.tracker_sources.clone(),
            units: rules.units.clone(),
            read: rules.checks.keys().cloned().collect(),
            alerts: rules.alerts.clone(),
            ..Self::default()
        };
        for point in &rules.read_points {
            topology.add_read_point(point);
        }
        topology
    }

    fn add_read_point(&mut self, point: &crate::config::ReadPointConfig) {
        match &point.kind {
            ReadPointKind::Presence { zone, lost_after, refresh, .. } => {
                let presence = PresencePoint {
                    zone: zone.clone(),
                    heard_at: format!("heard at {}", point.name).into(),
                    sensed_at: format!("sensed at {}", point.name).into(),
                    lost_after: *lost_after,
                    refresh: *refresh,
                    hearing_timeout: point.hearing_timeout,
                };
                self.presence.insert(point.name.clone(), Arc::new(presence));
            }
            ReadPointKind::Portal { inside, outside, merge, handover_within, bay, .. } => {
                let portal = Portal {
                    inside: inside.clone(),
                    outside: outside.clone(),
                    merge: *merge,
                    handover_within: *handover_within,
                    bay: bay.clone(),
                };
                if let Some(bay) = bay {
                    self.doors_of_bay.entry(bay.clone()).or_default().push(point.name.clone());
                }
                self.portals.insert(point.name.clone(), portal);
            }
        }
        let ears = point.ears();
        if let ReadPointKind::Presence { zone, .. } = &point.kind {
            let of_zone = self.ears_of.entry(zone.clone()).or_default();
            match ears.is_empty() {
                true => of_zone.push(point.name.clone()),
                false => of_zone.extend(ears.iter().cloned()),
            }
        }
        for (nth, antenna) in point.antennas.iter().enumerate() {
            let ear = ears.get(nth).unwrap_or(&point.name).clone();
            if ear != point.name {
                self.whole_of.insert(ear.clone(), point.name.clone());
                self.sources_of.entry(ear.clone()).or_default().insert(antenna.source.clone());
            }
            self.ears.insert((antenna.source.clone(), antenna.antenna), ear);
            self.sources_of.entry(point.name.clone()).or_default().insert(antenna.source.clone());
            self.read_points_of.entry(antenna.source.clone()).or_default().insert(point.name.clone());
        }
    }

    pub fn ears_of(&self, zone: &ZoneId) -> &[ReadPointId] {
        self.ears_of.get(zone).map_or(&[], Vec::as_slice)
    }

    pub fn presence(&self, read_point: &ReadPointId) -> Option<&Arc<PresencePoint>> {
        self.presence.get(read_point)
    }

    /// The read point of an antenna's share; everything else is whole itself.
    pub fn whole<'a>(&'a self, read_point: &'a ReadPointId) -> &'a ReadPointId {
        self.whole_of.get(read_point).unwrap_or(read_point)
    }

    /// What an antenna hears for: its read point, or its share of it.
    pub fn ear(&self, source: &SourceId, antenna: Antenna) -> Option<&ReadPointId> {
        self.ears.get(&(source.clone(), antenna))
    }

    /// The antenna that a `reader-down` alert is about, where it is about one.
    pub fn antenna_of(&self, alert: &AlertKey) -> Option<(SourceId, Antenna)> {
        let (source, antenna) = alert.subject.rsplit_once('/')?;
        let antenna = (SourceId::new(source), antenna.parse().ok()?);
        self.ears.contains_key(&antenna).then_some(antenna)
    }

    /// The antennas' shares of a read point that has several.
    pub fn shares_of(&self, read_point: &ReadPointId) -> impl Iterator<Item = &ReadPointId> {
        self.whole_of.iter().filter(move |(_, whole)| *whole == read_point).map(|(ear, _)| ear)
    }

    /// What hears through a source: read points and antennas' shares of them.
    pub fn heard_through(&self, source: &SourceId) -> Vec<ReadPointId> {
        let first = (source.clone(), Antenna::MIN);
        let ears = self.ears.range(first..).take_while(|((of, _), _)| of == source).map(|(_, ear)| ear);
        self.read_points_of(source).chain(ears).cloned().collect()
    }

    pub fn has_doors_with_bays(&self) -> bool {
        !self.doors_of_bay.is_empty()
    }

    /// The doors at which a vehicle in that zone stands.
    pub fn doors_of_bay(&self, zone: &ZoneId) -> &[ReadPointId] {
        self.doors_of_bay.get(zone).map_or(&[], Vec::as_slice)
    }

    pub fn portal(&self, read_point: &ReadPointId) -> Option<&Portal> {
        self.portals.get(read_point)
    }

    /// Every read point, with its zone; of a portal, the zone inside.
    pub fn read_points(&self) -> impl Iterator<Item = (&ReadPointId, Option<&ZoneId>)> {
        let presence = self.presence.iter().map(|(name, point)| (name, Some(&point.zone)));
        presence.chain(self.portals.iter().map(|(name, portal)| (name, portal.inside.as_ref())))
    }

    /// The zone of a read point; of a portal, the zone inside.
    pub fn zone_of(&self, read_point: &ReadPointId) -> Option<&ZoneId> {
        let presence = self.presence.get(read_point).map(|point| &point.zone);
        presence.or_else(|| self.portals.get(read_point)?.inside.as_ref())
    }

    /// The sources that a read point hears through.
    pub fn sources_of(&self, read_point: &ReadPointId) -> impl Iterator<Item = &SourceId> {
        self.sources_of.get(read_point).into_iter().flatten()
    }

    /// The read points that hang on a source.
    pub fn read_points_of(&self, source: &SourceId) -> impl Iterator<Item = &ReadPointId> {
        self.read_points_of.get(source).into_iter().flatten()
    }

    /// Every source that the rules name: those with a site, and those with antennas.
    pub fn sources(&self) -> BTreeSet<SourceId> {
        self.source_sites.keys().chain(self.read_points_of.keys()).cloned().collect()
    }

    pub fn sources_of_site(&self, site: &SiteId) -> Vec<SourceId> {
        self.source_sites.iter().filter(|(_, at)| *at == site).map(|(source, _)| source.clone()).collect()
    }

    pub fn site_of_source(&self, source: &SourceId) -> Option<&SiteId> {
        self.source_sites.get(source)
    }

    /// What trackers of any name may speak through.
    pub fn tracker_sources(&self) -> &BTreeSet<SourceId> {
        &self.tracker_sources
    }

    pub fn has_fence(&self, fence: &FenceId) -> bool {
        self.fences.contains_key(fence)
    }

    pub fn fence_site(&self, fence: &FenceId) -> Option<&SiteId> {
        self.fences.get(fence)?.site.as_ref()
    }

    pub fn fence_zone(&self, fence: &FenceId) -> Option<&ZoneId> {
        self.fences.get(fence)?.zone.as_ref()
    }

    /// The zone that being in these fences means: of several that of the innermost.
    pub fn zone_within<'a>(&'a self, fences: &'a [FenceId]) -> Option<(&'a FenceId, &'a ZoneId)> {
        let zoned = fences.iter().rev().filter_map(|fence| {
            let fenced = self.fences.get(fence)?;
            Some((fenced.depth_m, fence, fenced.zone.as_ref()?))
        });
        let innermost = zoned.min_by(|(a, ..), (b, ..)| a.total_cmp(b));
        innermost.map(|(_, fence, zone)| (fence, zone))
    }

    pub fn limit(&self, device: &DeviceId, point: &PointId, limit: &LimitId) -> Option<Bound> {
        self.limits.get(&(device.clone(), point.clone(), limit.clone())).copied()
    }

    /// Every limit of a point, by name.
    pub fn limits_of<'a>(
        &'a self,
        device: &'a DeviceId,
        point: &'a PointId,
    ) -> impl Iterator<Item = (&'a LimitId, Bound)> {
        let first = (device.clone(), point.clone(), LimitId::new(""));
        let of_point = self.limits.range(first..).take_while(move |((d, p, _), _)| (d, p) == (device, point));
        of_point.map(|((.., name), bound)| (name, *bound))
    }

    /// Whether a `condition` alert's subject still is a configured limit.
    pub fn has_limit(&self, subject: &str) -> bool {
        self.limits.keys().any(|(device, point, limit)| subject == format!("{device}/{point}/{limit}"))
    }

    pub fn is_read(&self, device: &DeviceId, point: &PointId) -> bool {
        self.read.contains(&(device.clone(), point.clone()))
    }

    pub fn unit(&self, device: &DeviceId, point: &PointId) -> Option<&String> {
        self.units.get(&(device.clone(), point.clone()))
    }

    /// Whether the configuration makes assets stay, pass or be fenced in `zone`.
    pub fn uses_zone(&self, zone: &ZoneId) -> bool {
        let zone = Some(zone);
        self.presence.values().any(|p| Some(&p.zone) == zone)
            || self.portals.values().any(|p| p.inside.as_ref() == zone || p.outside.as_ref() == zone)
            || self.doors_of_bay.keys().any(|bay| Some(bay) == zone)
            || self.fences.values().any(|fenced| fenced.zone.as_ref() == zone)
    }
}
