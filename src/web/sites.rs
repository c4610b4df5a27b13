//! What belongs to which site, as readers see it: the same rules as `track` has for those who act.

use std::collections::HashMap;

use super::Api;
use super::problem::Problem;
use crate::config::{ReadPointKind, Rules};
use crate::domain::ids::{ReadPointId, SiteId, ZoneId};
use crate::domain::orders::Scope;
use crate::domain::register::{Asset, Carrier, Maintained, Record};
use crate::domain::state::{AssetCurrent, Location, StateKind};
use crate::journal::StateRows;

/// Zones read at once: there are some hundreds of them.
const ZONES: usize = 100_000;

/// The site of each zone, of the configuration and of the register.
pub(super) struct Sites(HashMap<ZoneId, SiteId>);

impl Sites {
    pub async fn load(api: &Api) -> Result<Self, Problem> {
        let rows = StateRows::Of { kind: StateKind::Register, prefix: "zone/" };
        let mut sites = HashMap::new();
        for row in api.reader.state_rows(rows, None, ZONES).await? {
            if let Record::Zone(zone) = serde_json::from_slice(&row.value)? {
                sites.insert(zone.name, zone.site);
            }
        }
        // What the configuration file declares, the file owns.
        sites.extend(api.rules.zones.iter().map(|zone| (zone.name.clone(), zone.site.clone())));
        Ok(Self(sites))
    }

    pub fn of_zone(&self, zone: Option<&ZoneId>) -> Option<&SiteId> {
        self.0.get(zone?)
    }

    pub fn home(&self, asset: Option<&Asset>) -> Option<&SiteId> {
        self.of_zone(asset?.home_zone.as_ref())
    }

    /// Where an asset is, else where it belongs.
    pub fn of_asset(&self, current: Option<&AssetCurrent>, asset: Option<&Asset>) -> Option<&SiteId> {
        self.here(current).or_else(|| self.home(asset))
    }

    /// An asset belongs to the site it is at and to the site it is at home in.
    pub fn show_asset(&self, scope: &Scope, current: Option<&AssetCurrent>, asset: Option<&Asset>) -> bool {
        scope.covers(self.home(asset)) || scope.covers(self.of_asset(current, asset))
    }

    /// `carrier`: the record of the asset, or the person, that this one names.
    pub fn show_record(
        &self,
        scope: &Scope,
        rules: &Rules,
        record: &Record,
        carrier: Option<&Record>,
    ) -> bool {
        let on_carrier = |on: &Carrier| match (on, carrier) {
            (Carrier::Zone(zone), _) => scope.covers(self.of_zone(Some(zone))),
            (_, Some(Record::Asset(asset))) => scope.covers(self.home(Some(asset))),
            (_, Some(Record::Person(person))) => scope.covers(person.site.as_ref()),
            _ => scope.is_everywhere(),
        };
        match record {
            Record::Site(site) => scope.covers(Some(&site.name)),
            Record::Zone(zone) => scope.covers(Some(&zone.site)),
            Record::Class(_) => true,
            Record::Person(person) => scope.covers(person.site.as_ref()),
            Record::Asset(asset) => scope.covers(self.home(Some(asset))),
            Record::Tag(tag) => on_carrier(&tag.carrier),
            Record::Tracker(tracker) => on_carrier(&tracker.carrier),
            Record::Sensor(sensor) => on_carrier(&sensor.carrier),
            Record::Maintenance(planned) => match &planned.of {
                Maintained::Source(source) => scope.covers(rules.source_sites.get(source)),
                Maintained::ReadPoint(point) => scope.covers(self.of_read_point(rules, point)),
                Maintained::Zone(zone) => scope.covers(self.of_zone(Some(zone))),
                Maintained::Site(site) => scope.covers(Some(site)),
            },
        }
    }

    pub fn of_read_point(&self, rules: &'_ Rules, name: &ReadPointId) -> Option<&SiteId> {
        let point = rules.read_points.iter().find(|point| point.name == *name)?;
        match &point.kind {
            ReadPointKind::Presence { zone, .. } => self.of_zone(Some(zone)),
            ReadPointKind::Portal { inside, outside, .. } => {
                self.of_zone(inside.as_ref()).or_else(|| self.of_zone(outside.as_ref()))
            }
        }
    }

    fn here(&self, current: Option<&AssetCurrent>) -> Option<&SiteId> {
        match &current?.location {
            Location::Zone(zone) => self.of_zone(Some(zone)),
            _ => None,
        }
    }
}
