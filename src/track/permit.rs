//! Whether an order may be carried out as it stands: the caller's sites, and what they took a record to be.
//!
//! What a caller may not see is to them as if it were not there. An asset belongs to the site it is at and
//! to the site it is at home in. An import needs the site of every record, as it was and as it will be.

use std::collections::HashMap;

use super::Tracker;
use crate::domain::commands::{Command, HandCount, Refused};
use crate::domain::ids::{AssetId, PersonId, SiteId, ZoneId};
use crate::domain::orders::{Expected, Precondition, Scope, revision};
use crate::domain::register::{Asset, Carrier, Maintained, Person, Record};
use crate::domain::time::Timestamp;

/// Records of one import, for the references within it.
#[derive(Default)]
struct Brought<'a> {
    zones: HashMap<&'a ZoneId, &'a SiteId>,
    assets: HashMap<&'a AssetId, &'a Asset>,
    people: HashMap<&'a PersonId, &'a Person>,
}

impl Tracker {
    /// Errors: `NotFound` for what the caller does not see, `Forbidden` for what they may not do,
    /// `Changed` where the record is not what they took it for.
    pub fn permit(
        &self,
        scope: &Scope,
        command: &Command,
        only_if: Option<&Precondition>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if !scope.is_everywhere() {
            self.check_scope(scope, command, now)?;
        }
        only_if.map_or(Ok(()), |precondition| self.check_precondition(precondition))
    }

    fn check_scope(&self, scope: &Scope, command: &Command, now: Timestamp) -> Result<(), Refused> {
        match command {
            Command::Checkout { asset, .. }
            | Command::CheckIn { asset, .. }
            | Command::HandOver { asset, .. }
            | Command::Accept { asset, .. }
            | Command::Reject { asset, .. }
            | Command::Inspect { asset, .. }
            | Command::Quarantine { asset, .. }
            | Command::Maintain { asset, .. }
            | Command::Release { asset, .. }
            | Command::Undock { vehicle: asset } => self.visible(scope, asset),
            Command::Load { asset, vehicle, .. } => {
                self.visible(scope, asset)?;
                self.visible(scope, vehicle)
            }
            Command::Unload { asset, zone, .. } => {
                self.visible(scope, asset)?;
                let site = |zone: &ZoneId| self.register.site_of_zone(zone);
                match zone.as_ref().filter(|zone| !scope.covers(site(zone))) {
                    Some(zone) => Err(not_found("zone", zone.to_string())),
                    None => Ok(()),
                }
            }
            Command::Dock { vehicle, door } => {
                self.visible(scope, vehicle)?;
                match scope.covers(self.site_of_door(door).as_ref()) {
                    true => Ok(()),
                    false => Err(not_found("door", door.to_string())),
                }
            }
            Command::Acknowledge { alert, .. }
            | Command::Assign { alert, .. }
            | Command::Snooze { alert, .. } => {
                let site = self.alerts.open(alert).and_then(|open| open.site.as_ref());
                match scope.covers(site) {
                    true => Ok(()),
                    false => Err(not_found("open alert", alert.to_string())),
                }
            }
            Command::Import { records, checkouts } => {
                let brought = Brought::of(records);
                for record in records {
                    self.check_record(scope, record, &brought)?;
                }
                for checkout in checkouts {
                    let asset = &checkout.asset;
                    match brought.assets.contains_key(asset) {
                        true => {}
                        false => self.visible(scope, asset)?,
                    }
                }
                Ok(())
            }
            Command::Commission { epc, asset, .. } => {
                self.visible(scope, asset)?;
                // Wherever the tag was until now: it goes from there.
                match self.register.asset_of_tag(epc, now) {
                    Some(before) => self.visible(scope, before),
                    None => Ok(()),
                }
            }
            Command::AuditOpen { scope: counted, .. } => {
                let zones = self.zones_of(counted);
                let all = zones.iter().all(|zone| scope.covers(self.register.site_of_zone(zone)));
                let reason = "it counts zones of sites that this token is not for".to_owned();
                if all { Ok(()) } else { Err(Refused::Forbidden { reason }) }
            }
            Command::AuditClose { audit }
            | Command::AuditCancel { audit }
            | Command::Count(HandCount { audit, .. }) => {
                let zones = self.audits.header(audit).map(|held| held.zones.as_slice()).unwrap_or_default();
                let mut sites = zones.iter().map(|zone| self.register.site_of_zone(zone));
                match !zones.is_empty() && sites.all(|site| scope.covers(site)) {
                    true => Ok(()),
                    false => Err(not_found("audit", audit.to_string())),
                }
            }
            Command::Reads(reads) => match scope.covers(self.register.site_of_zone(&reads.zone)) {
                true => Ok(()),
                false => Err(not_found("zone", reads.zone.to_string())),
            },
            Command::Remove { table, key } => match self.register.get(table, key) {
                Some(Record::Class(_)) => Err(shared_by_all()),
                Some(record) if self.covers(scope, &record, &Brought::default()) => Ok(()),
                _ => Err(not_found(table, key.clone())),
            },
            Command::ErasePerson(_) => {
                let reason =
                    "a person is erased everywhere: it takes a token that is not for some sites only";
                Err(Refused::Forbidden { reason: reason.to_owned() })
            }
        }
    }

    fn check_record(&self, scope: &Scope, record: &Record, brought: &Brought<'_>) -> Result<(), Refused> {
        let before = self.register.get(record.table(), &record.key());
        let was = before.is_none_or(|before| self.covers(scope, &before, &Brought::default()));
        if was && self.covers(scope, record, brought) {
            return Ok(());
        }
        let (table, key) = (record.table(), record.key());
        let reason = format!("{table} `{key}` does not belong to a site that this token is for");
        Err(Refused::Forbidden { reason })
    }

    fn visible(&self, scope: &Scope, asset: &AssetId) -> Result<(), Refused> {
        let belongs =
            scope.covers(self.register.home_site(asset)) || scope.covers(self.site_of_asset(asset).as_ref());
        if belongs { Ok(()) } else { Err(not_found("asset", asset.to_string())) }
    }

    fn covers(&self, scope: &Scope, record: &Record, brought: &Brought<'_>) -> bool {
        match record {
            Record::Site(site) => scope.covers(Some(&site.name)),
            Record::Zone(zone) => scope.covers(Some(&zone.site)),
            // Every site shares the classes: they are for those to change who may act everywhere.
            Record::Class(_) => false,
            Record::Person(person) => scope.covers(person.site.as_ref()),
            Record::Asset(asset) => scope.covers(self.site_of(asset.home_zone.as_ref(), brought)),
            Record::Tag(tag) => self.covers_carrier(scope, &tag.carrier, brought),
            Record::Tracker(tracker) => self.covers_carrier(scope, &tracker.carrier, brought),
            Record::Sensor(sensor) => self.covers_carrier(scope, &sensor.carrier, brought),
            Record::Maintenance(planned) => match &planned.of {
                Maintained::Source(source) => scope.covers(self.topology.site_of_source(source)),
                Maintained::ReadPoint(point) => scope.covers(self.site_of_read_point(point).as_ref()),
                Maintained::Zone(zone) => scope.covers(self.site_of(Some(zone), brought)),
                Maintained::Site(site) => scope.covers(Some(site)),
            },
        }
    }

    fn covers_carrier(&self, scope: &Scope, carrier: &Carrier, brought: &Brought<'_>) -> bool {
        match carrier {
            Carrier::Asset(asset) => {
                let asset = brought.assets.get(asset).copied().or_else(|| self.register.asset(asset));
                let home = asset.and_then(|asset| self.site_of(asset.home_zone.as_ref(), brought));
                scope.covers(home)
            }
            Carrier::Person(person) => {
                let brought = brought.people.get(person).copied();
                let person = brought.or_else(|| self.register.person(person.as_str()));
                scope.covers(person.and_then(|person| person.site.as_ref()))
            }
            Carrier::Zone(zone) => scope.covers(self.site_of(Some(zone), brought)),
        }
    }

    fn site_of<'s>(&'s self, zone: Option<&ZoneId>, brought: &Brought<'s>) -> Option<&'s SiteId> {
        let zone = zone?;
        brought.zones.get(zone).copied().or_else(|| self.register.site_of_zone(zone))
    }

    fn check_precondition(&self, only_if: &Precondition) -> Result<(), Refused> {
        let Precondition { table, key, expected } = only_if;
        let held = self.register.get(table, key);
        let met = match (expected, &held) {
            (Expected::Absent, held) => held.is_none(),
            (Expected::Present, held) => held.is_some(),
            (Expected::Revisions(revisions), Some(record)) => revisions.contains(&revision(record)),
            (Expected::Revisions(_), None) => false,
        };
        if met { Ok(()) } else { Err(Refused::Changed { what: table.clone(), name: key.clone() }) }
    }
}

impl<'a> Brought<'a> {
    fn of(records: &'a [Record]) -> Self {
        let mut brought = Self::default();
        for record in records {
            match record {
                Record::Zone(zone) => drop(brought.zones.insert(&zone.name, &zone.site)),
                Record::Asset(asset) => drop(brought.assets.insert(&asset.id, asset)),
                Record::Person(person) => drop(brought.people.insert(&person.id, person)),
                _ => {}
            }
        }
        brought
    }
}

fn shared_by_all() -> Refused {
    let reason = "classes are shared by all sites: it takes a token that is not for some sites only";
    Refused::Forbidden { reason: reason.to_owned() }
}

fn not_found(what: &str, name: String) -> Refused {
    Refused::NotFound { what: what.to_owned(), name }
}
