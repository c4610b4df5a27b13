//! Planned work on a reader, a read point, a zone or a site: while it lasts, what it concerns is not
//! expected to hear. Ghost clocks of groups with such a read point stand still, and so do the clocks of trackers that
//! speak through such a source; `site-down`, `reader-down`, `sensor-bad`, `watcher-suspect` and `tracker-silent` of
//! it are kept, explained by the work, and nobody is told.
//!
//! ```text
//!            from                          to, or ended early, or taken off the register
//!  planned ────────▶ in force: clocks stand ────────▶ over: clocks go on, alerts speak again
//! ```
//!
//! Nothing of it is stored but the register's record: what is in force follows from the record and the
//! time, so a restart, a correction and an early end need nothing more. A source is concerned when it is
//! named, when its site is, or when all its read points are; a read point when it is named, or its source,
//! its zone (a portal: the zone inside) or its site is.

use std::collections::{BTreeMap, BTreeSet};

use super::Tracker;
use super::cause::Cause;
use super::deadlines::Deadlines;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::events::Event;
use crate::domain::ids::{DeviceId, ReadPointId, SiteId, SourceId, ZoneId};
use crate::domain::register::{Carrier, Maintained, Maintenance};
use crate::domain::time::Timestamp;

/// What planned work explains.
const EXPLAINED: [Rule; 7] = [
    Rule::SiteDown,
    Rule::ReaderDown,
    Rule::ReaderTrouble,
    Rule::SensorBad,
    Rule::Condition,
    Rule::WatcherSuspect,
    Rule::TrackerSilent,
];

#[derive(Debug, Default)]
pub(super) struct Maintenances {
    in_force: BTreeSet<String>,
    /// When each begins, or ends.
    deadlines: Deadlines<String>,
}

impl Maintenances {
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first()
    }
}

impl Tracker {
    /// The register, the rules or the time since the last call may say otherwise: works all of it out.
    pub(super) fn replan_maintenance(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        self.maintenances = Maintenances::default();
        let names: Vec<String> = self.register.maintenances().map(|planned| planned.name.clone()).collect();
        names.iter().for_each(|name| self.plan(name, cause.received_at));
        self.apply_maintenance(cause, out);
    }

    /// Lets the earliest beginning or end pass.
    pub(super) fn pass_maintenance(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, name)) = self.maintenances.deadlines.pop(until) else { return };
        self.plan(&name, at);
        self.apply_maintenance(&Cause::own(at, now), out);
    }

    /// Takes a record up as it stands at that moment.
    fn plan(&mut self, name: &str, at: Timestamp) {
        self.maintenances.in_force.remove(name);
        let planned = self.register.maintenance(name);
        let next = planned.and_then(|planned| match planned {
            planned if at < planned.from => Some(planned.from),
            planned if at < planned.to => Some(planned.to),
            _ => None,
        });
        if planned.is_some_and(|planned| planned.from <= at && at < planned.to) {
            self.maintenances.in_force.insert(name.to_owned());
        }
        self.maintenances.deadlines.set(name.to_owned(), next);
    }

    fn apply_maintenance(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        let mut standing = BTreeMap::new();
        for (read_point, zone) in self.topology.read_points() {
            if let Some(work) = self.work_at(read_point, zone) {
                standing.insert(read_point.clone(), work.name.clone());
                let shares = self.topology.shares_of(read_point);
                standing.extend(shares.map(|share| (share.clone(), work.name.clone())));
            }
        }
        let at = cause.observed_at.min(self.now);
        self.watches.set_standing(standing, at);
        let sources = self.topology.tracker_sources().iter();
        let standing = sources.filter(|source| self.work_on(source).is_some()).cloned().collect();
        self.silence.set_standing(standing, at);
        let open: Vec<AlertKey> = EXPLAINED.into_iter().flat_map(|rule| self.alerts.open_of(rule)).collect();
        open.iter().for_each(|key| self.inhibit(key, cause, out));
    }

    /// The planned work that explains an alert, as the alert names it.
    pub(super) fn work_behind(&self, key: &AlertKey) -> Option<AlertKey> {
        if self.maintenances.in_force.is_empty() {
            return None;
        }
        let work = match key.rule {
            Rule::ReaderDown => match self.topology.antenna_of(key) {
                Some((source, antenna)) => {
                    let point = self.topology.whole(self.topology.ear(&source, antenna)?);
                    self.work_at(point, self.topology.zone_of(point))
                }
                None => self.work_on(&SourceId::new(&key.subject)),
            },
            Rule::ReaderTrouble => self.work_on(&SourceId::new(key.subject.rsplit_once('/')?.0)),
            Rule::SiteDown => self.work_all_over(&SiteId::new(&key.subject)),
            Rule::SensorBad => self.work_at_sensor(&key.subject),
            // Of a device that is worked on no value counts; work in a cold room warms what is in it all the same.
            Rule::Condition => {
                let (point, _) = key.subject.rsplit_once('/')?;
                let source = self.sensors.source_of(point)?;
                self.in_force(|of| matches!(of, Maintained::Source(name) if name == source))
            }
            // Of one that was never heard: whatever it may speak through.
            Rule::TrackerSilent => match self.silence.source_of(&key.subject) {
                Some(source) => self.work_on(source),
                None => self.topology.tracker_sources().iter().find_map(|source| self.work_on(source)),
            },
            Rule::WatcherSuspect => {
                let mut read_points = self.watches.group(&key.subject)?.read_points().iter();
                read_points.find_map(|point| {
                    let point = self.topology.whole(point);
                    self.work_at(point, self.topology.zone_of(point))
                })
            }
            _ => None,
        };
        work.map(|work| AlertKey::new(Rule::Maintenance, work.name.as_str()))
    }

    /// The planned work that concerns a source, while it is in force.
    pub(super) fn work_on(&self, source: &SourceId) -> Option<&Maintenance> {
        let site = self.topology.site_of_source(source);
        let named = self.in_force(|of| match of {
            Maintained::Source(name) => name == source,
            Maintained::Site(name) => Some(name) == site,
            Maintained::ReadPoint(_) | Maintained::Zone(_) => false,
        });
        named.or_else(|| {
            let works = self.topology.read_points_of(source);
            let mut works = works.map(|point| self.work_in_place(point, self.topology.zone_of(point)));
            let first = works.next()??;
            works.all(|work| work.is_some()).then_some(first)
        })
    }

    /// The planned work that concerns every source of a site.
    fn work_all_over(&self, site: &SiteId) -> Option<&Maintenance> {
        let sources = self.topology.sources_of_site(site);
        let mut works = sources.iter().map(|source| self.work_on(source));
        let first = works.next()??;
        works.all(|work| work.is_some()).then_some(first)
    }

    /// The first planned work at a site, while it is in force; anywhere, where the site is not known.
    pub(super) fn work_in(&self, site: Option<&SiteId>) -> Option<&Maintenance> {
        let there = |found: Option<&SiteId>| site.is_none() || found == site;
        self.in_force(|of| match of {
            Maintained::Source(source) => there(self.topology.site_of_source(source)),
            Maintained::ReadPoint(point) => there(self.site_of_read_point(point).as_ref()),
            Maintained::Zone(zone) => there(self.register.site_of_zone(zone)),
            Maintained::Site(name) => there(Some(name)),
        })
    }

    fn work_at(&self, read_point: &ReadPointId, zone: Option<&ZoneId>) -> Option<&Maintenance> {
        self.work_in_place(read_point, zone).or_else(|| {
            self.in_force(|of| match of {
                Maintained::Source(source) => {
                    self.topology.sources_of(read_point).any(|hearing| hearing == source)
                }
                Maintained::Site(site) => self.site_of_read_point(read_point).as_ref() == Some(site),
                Maintained::ReadPoint(_) | Maintained::Zone(_) => false,
            })
        })
    }

    fn work_in_place(&self, read_point: &ReadPointId, zone: Option<&ZoneId>) -> Option<&Maintenance> {
        self.in_force(|of| match of {
            Maintained::ReadPoint(name) => name == read_point,
            Maintained::Zone(name) => Some(name) == zone,
            Maintained::Source(_) | Maintained::Site(_) => false,
        })
    }

    /// `device/point`: its source's work, or that of the zone that it hangs in.
    fn work_at_sensor(&self, key: &str) -> Option<&Maintenance> {
        let by_source = self.sensors.source_of(key).and_then(|source| self.work_on(source));
        by_source.or_else(|| {
            let device = DeviceId::new(key.rsplit_once('/').map_or(key, |(device, _)| device));
            let Carrier::Zone(zone) = self.register.carrier_of_sensor(&device, self.now)? else {
                return None;
            };
            self.in_force(|of| matches!(of, Maintained::Zone(name) if name == zone))
        })
    }

    fn in_force(&self, concerns: impl Fn(&Maintained) -> bool) -> Option<&Maintenance> {
        let in_force = self.maintenances.in_force.iter();
        in_force.filter_map(|name| self.register.maintenance(name)).find(|planned| concerns(&planned.of))
    }
}
