//! The register: what people and the configuration declare. Sites, zones and classes of the configuration
//! file are the file's own and win; everything else comes by import, checked as a whole first (see
//! `import.rs`).

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::ahead::ROUND;
use super::assets::Assets;
use super::attachments::Attachments;
use super::table::{Place, Table, nowhere};
use crate::config::Rules;
use crate::domain::commands::Outcome;
use crate::domain::epc::Epc;
use crate::domain::ids::{AssetId, ClassId, DeviceId, PersonId, Pool, SiteId, ZoneId};
use crate::domain::register::{
    Asset, AssetClass, Carrier, Coverage, Maintenance, Person, Record, Site, Zone, split_key,
};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

#[derive(Debug, Default)]
pub struct Register {
    own: Declared,
    imported: Declared,
    people: BTreeMap<PersonId, Person>,
    assets: Table<Held>,
    /// Attachments that came before their asset did.
    early: BTreeMap<AssetId, u32>,
    /// The parts of each kit.
    parts: BTreeMap<AssetId, BTreeSet<AssetId>>,
    pub(super) tags: Attachments<Epc>,
    pub(super) trackers: Attachments<DeviceId>,
    pub(super) sensors: Attachments<DeviceId>,
    maintenance: BTreeMap<String, Maintenance>,
    /// Table and key of the records to write.
    dirty: BTreeSet<(&'static str, String)>,
}

/// What both the configuration file and an import may declare.
#[derive(Debug, Default)]
struct Declared {
    sites: BTreeMap<SiteId, Site>,
    zones: BTreeMap<ZoneId, Zone>,
    classes: BTreeMap<ClassId, AssetClass>,
}

#[derive(Debug)]
struct Held {
    asset: Asset,
    /// How many tags, trackers and sensors hang on it, or did.
    attached: u32,
    /// Where its row was when it was last asked for.
    row: Place,
}

impl Register {
    /// What the configuration file declares.
    pub fn new(rules: &Rules) -> Self {
        let mut register = Self::default();
        register.set_rules(rules);
        register
    }

    pub(super) fn set_rules(&mut self, rules: &Rules) {
        self.own = Declared {
            sites: rules.sites.iter().map(|site| (site.name.clone(), site.clone())).collect(),
            zones: rules.zones.iter().map(|zone| (zone.name.clone(), zone.clone())).collect(),
            classes: rules.classes.iter().map(|class| (class.name.clone(), class.clone())).collect(),
        };
    }

    /// Whether the configuration file declares this record.
    pub fn is_own(&self, table: &str, key: &str) -> bool {
        match table {
            "site" => self.own.sites.contains_key(key),
            "zone" => self.own.zones.contains_key(key),
            "class" => self.own.classes.contains_key(key),
            _ => false,
        }
    }

    pub fn site(&self, name: &SiteId) -> Option<&Site> {
        self.own.sites.get(name).or_else(|| self.imported.sites.get(name))
    }

    /// The site where there is only one.
    pub fn only_site(&self) -> Option<&Site> {
        let mut sites = self.own.sites.values().chain(self.imported.sites.values());
        sites.next().filter(|_| sites.next().is_none())
    }

    pub(super) fn timezones(&self) -> BTreeMap<SiteId, jiff::tz::TimeZone> {
        let sites = self.imported.sites.values().chain(self.own.sites.values());
        sites.map(|site| (site.name.clone(), site.timezone.clone())).collect()
    }

    pub fn zone(&self, name: &ZoneId) -> Option<&Zone> {
        self.own.zones.get(name).or_else(|| self.imported.zones.get(name))
    }

    pub fn class(&self, name: &ClassId) -> Option<&AssetClass> {
        self.own.classes.get(name).or_else(|| self.imported.classes.get(name))
    }

    /// Every zone, in order of name within the file's and the imported ones.
    pub(super) fn zones(&self) -> impl Iterator<Item = &Zone> {
        let imported = self.imported.zones.values().filter(|zone| !self.own.zones.contains_key(&zone.name));
        self.own.zones.values().chain(imported)
    }

    pub(super) fn classes(&self) -> impl Iterator<Item = &AssetClass> {
        let imported = self.imported.classes.values();
        let imported = imported.filter(|class| !self.own.classes.contains_key(&class.name));
        self.own.classes.values().chain(imported)
    }

    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people.get(id)
    }

    pub fn asset(&self, id: &AssetId) -> Option<&Asset> {
        self.assets.get(id).map(|held| &held.asset)
    }

    /// All assets, in no order: who lets it out puts it in one.
    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.assets.iter().map(|(_, held)| &held.asset)
    }

    /// All planned work, past and to come, in order of name.
    pub(super) fn maintenances(&self) -> impl Iterator<Item = &Maintenance> {
        self.maintenance.values()
    }

    pub(super) fn maintenance(&self, name: &str) -> Option<&Maintenance> {
        self.maintenance.get(name)
    }

    pub(super) fn class_of(&self, id: &AssetId) -> Option<&AssetClass> {
        self.class(&self.asset(id)?.class)
    }

    pub(super) fn home_site(&self, id: &AssetId) -> Option<&SiteId> {
        self.site_of_zone(self.asset(id)?.home_zone.as_ref()?)
    }

    pub fn site_of_zone(&self, zone: &ZoneId) -> Option<&SiteId> {
        self.zone(zone).map(|zone| &zone.site)
    }

    /// The parts of a kit, in order of name.
    pub(super) fn parts(&self, kit: &AssetId) -> impl Iterator<Item = &AssetId> {
        self.parts.get(kit).into_iter().flatten()
    }

    pub(super) fn is_continuous(&self, zone: &ZoneId) -> bool {
        self.zone(zone).is_some_and(|zone| zone.coverage == Coverage::Continuous)
    }

    /// What a tag hung on at that moment. The asset's record is at hand then.
    pub(super) fn carrier_of_tag(&self, epc: &Epc, at: Timestamp) -> Option<&Carrier> {
        let (carrier, hint) = self.tags.at_hinted(epc, at)?;
        if let Some(asset) = carrier.asset() {
            self.assets.recall(asset, hint);
        }
        Some(carrier)
    }

    /// Where the records of what tags hang on may be.
    pub(super) fn places_of_carriers<'a>(
        &self,
        epcs: impl Iterator<Item = &'a Epc>,
    ) -> SmallVec<[&Place; ROUND]> {
        self.tags.hints(epcs)
    }

    /// What lies at a hint, and where its row was when it was last asked for.
    pub(super) fn at_hint(&self, hint: &Place) -> Option<(&Asset, &Place)> {
        let (_, held) = self.assets.at_hint(hint)?;
        Some((&held.asset, &held.row))
    }

    pub(super) fn asset_of_tag(&self, epc: &Epc, at: Timestamp) -> Option<&AssetId> {
        self.carrier_of_tag(epc, at)?.asset()
    }

    /// Where the row of an asset was when it was last asked for.
    pub(super) fn place_of_row(&self, asset: &AssetId) -> Option<&Place> {
        self.assets.get(asset).map(|held| &held.row)
    }

    pub(super) fn asset_of_tracker(&self, device: &DeviceId, at: Timestamp) -> Option<&AssetId> {
        self.trackers.at(device.as_str(), at)?.asset()
    }

    /// Whether the register has it, on whatever it hangs or hung.
    pub(super) fn knows_tracker(&self, device: &DeviceId) -> bool {
        self.trackers.has(device)
    }

    /// What a sensor hung on at that moment.
    pub(super) fn carrier_of_sensor(&self, device: &DeviceId, at: Timestamp) -> Option<&Carrier> {
        self.sensors.at(device.as_str(), at)
    }

    pub(super) fn attachments(&self, asset: &AssetId) -> u32 {
        self.assets.get(asset).map_or(0, |held| held.attached)
    }

    /// A moment as people at `site` write it; in UTC where the site is not known.
    pub(super) fn local(&self, site: Option<&SiteId>, at: Timestamp) -> String {
        let zone = site.and_then(|site| self.site(site)).map(|site| site.timezone.clone());
        let zone = zone.unwrap_or(jiff::tz::TimeZone::UTC);
        at.to_jiff().to_zoned(zone).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    /// The first thing, in words, that refers to a record.
    pub(super) fn user_of(&self, record: &Record) -> Option<String> {
        match record {
            Record::Site(site) => {
                let zones = self.imported.zones.values().chain(self.own.zones.values());
                let zone = zones.filter(|zone| zone.site == site.name).map(|zone| &zone.name).min();
                zone.map(|zone| format!("zone `{zone}`"))
            }
            Record::Zone(zone) => {
                let homes = self.assets().filter(|asset| asset.home_zone.as_ref() == Some(&zone.name));
                self.first_asset(homes).or_else(|| self.first_on(&Carrier::Zone(zone.name.clone())))
            }
            Record::Class(class) => self.first_asset(self.assets().filter(|asset| asset.class == class.name)),
            Record::Person(person) => self.first_on(&Carrier::Person(person.id.clone())),
            Record::Asset(asset) => match (self.attachments(&asset.id), self.parts(&asset.id).next()) {
                (0, part) => part.map(|part| format!("its part `{part}`")),
                (count, _) => Some(format!("{count} of its tags, trackers and sensors")),
            },
            Record::Tag(_) | Record::Tracker(_) | Record::Sensor(_) | Record::Maintenance(_) => None,
        }
    }

    fn first_asset<'a>(&self, assets: impl Iterator<Item = &'a Asset>) -> Option<String> {
        assets.map(|asset| &asset.id).min().map(|asset| format!("asset `{asset}`"))
    }

    fn first_on(&self, carrier: &Carrier) -> Option<String> {
        let sensors = self.sensors.iter().filter(|sensor| sensor.carrier == *carrier);
        let sensor = sensors.map(|sensor| sensor.key).min().map(|device| format!("sensor `{device}`"));
        let tags = || self.tags.iter().filter(|tag| tag.carrier == *carrier);
        sensor.or_else(|| tags().map(|tag| tag.key).min().map(|epc| format!("tag `{epc}`")))
    }

    /// What putting `record` would do.
    pub fn effect(&self, record: &Record) -> Outcome {
        match self.get(record.table(), &record.key()) {
            None => Outcome { created: 1, ..Outcome::default() },
            Some(held) if held == *record => Outcome { unchanged: 1, ..Outcome::default() },
            Some(_) => Outcome { updated: 1, ..Outcome::default() },
        }
    }

    /// The imported record of that key.
    pub fn get(&self, table: &str, key: &str) -> Option<Record> {
        match table {
            "site" => self.imported.sites.get(key).cloned().map(Record::Site),
            "zone" => self.imported.zones.get(key).cloned().map(Record::Zone),
            "class" => self.imported.classes.get(key).cloned().map(|class| Record::Class(Box::new(class))),
            "person" => self.people.get(key).cloned().map(Record::Person),
            "asset" => self.assets.named(key).map(|held| Record::Asset(held.asset.clone())),
            "tag" => {
                let (epc, from) = split_key(key);
                self.tags.get(&Epc::from_hex(epc)?, from).map(Record::Tag)
            }
            "tracker" => {
                let (device, from) = split_key(key);
                self.trackers.get(&DeviceId::new(device), from).map(Record::Tracker)
            }
            "sensor" => {
                let (device, from) = split_key(key);
                self.sensors.get(&DeviceId::new(device), from).map(Record::Sensor)
            }
            "maintenance" => self.maintenance.get(key).cloned().map(Record::Maintenance),
            _ => None,
        }
    }

    /// Some of the names in a small table, to guess from what a mistyped one meant.
    pub(super) fn names(&self, table: &str) -> Vec<&str> {
        /// A guess among more than this takes longer than it is worth.
        const GUESSES: usize = 200;
        let (own, imported) = (&self.own, &self.imported);
        let names: Box<dyn Iterator<Item = &str>> = match table {
            "site" => Box::new(own.sites.keys().chain(imported.sites.keys()).map(SiteId::as_str)),
            "zone" => Box::new(own.zones.keys().chain(imported.zones.keys()).map(ZoneId::as_str)),
            "class" => Box::new(own.classes.keys().chain(imported.classes.keys()).map(ClassId::as_str)),
            _ => Box::new(std::iter::empty()),
        };
        names.take(GUESSES).collect()
    }

    pub(super) fn put(&mut self, record: Record) {
        self.dirty.insert((record.table(), record.key()));
        self.hold(record);
    }

    /// Takes a record of the journal; `pool` is the same for all of them.
    pub(super) fn restore(&mut self, mut record: Record, pool: &mut Pool, assets: &Assets) {
        record.share(pool);
        if let Record::Asset(asset) = &mut record
            && let Some(held) = assets.name(asset.id.as_str())
        {
            asset.id = held.clone();
        }
        self.hold(record);
    }

    /// Records are in: gives back what was kept for more.
    pub(super) fn restored(&mut self) {
        self.assets.shrink_to_fit();
        self.tags.shrink_to_fit();
    }

    /// Takes a record as it is in the journal.
    pub fn hold(&mut self, record: Record) {
        match record {
            Record::Site(site) => drop(self.imported.sites.insert(site.name.clone(), site)),
            Record::Zone(zone) => drop(self.imported.zones.insert(zone.name.clone(), zone)),
            Record::Class(class) => drop(self.imported.classes.insert(class.name.clone(), *class)),
            Record::Person(person) => drop(self.people.insert(person.id.clone(), person)),
            Record::Asset(asset) => self.hold_asset(asset),
            Record::Tag(mut tag) => {
                self.share(&mut tag.carrier);
                self.count(&tag.carrier, true);
                if let Some(before) = self.tags.put(tag) {
                    self.count(&before.carrier, false);
                }
            }
            Record::Tracker(mut tracker) => {
                self.share(&mut tracker.carrier);
                self.count(&tracker.carrier, true);
                if let Some(before) = self.trackers.put(tracker) {
                    self.count(&before.carrier, false);
                }
            }
            Record::Sensor(mut sensor) => {
                self.share(&mut sensor.carrier);
                self.count(&sensor.carrier, true);
                if let Some(before) = self.sensors.put(sensor) {
                    self.count(&before.carrier, false);
                }
            }
            Record::Maintenance(planned) => drop(self.maintenance.insert(planned.name.clone(), planned)),
        }
    }

    /// Lets a name be the one that the asset's record has: it is held once, and found faster.
    fn share(&self, carrier: &mut Carrier) {
        if let Carrier::Asset(asset) = carrier
            && let Some(held) = self.assets.held(asset.as_str())
        {
            *asset = held.clone();
        }
    }

    fn hold_asset(&mut self, mut asset: Asset) {
        let before = self.assets.get(&asset.id).map(|held| {
            asset.id = held.asset.id.clone();
            (held.asset.part_of.clone(), held.attached)
        });
        let id = asset.id.clone();
        let (part_of, attached) =
            before.unwrap_or_else(|| (None, self.early.remove(&id).unwrap_or_default()));
        if part_of != asset.part_of {
            self.leave_kit(&id, part_of.as_ref());
        }
        if let Some(kit) = &asset.part_of {
            self.parts.entry(kit.clone()).or_default().insert(id.clone());
        }
        self.assets.insert(id, Held { asset, attached, row: nowhere() });
    }

    pub(super) fn remove(&mut self, record: &Record) {
        match record {
            Record::Site(site) => drop(self.imported.sites.remove(&site.name)),
            Record::Zone(zone) => drop(self.imported.zones.remove(&zone.name)),
            Record::Class(class) => drop(self.imported.classes.remove(&class.name)),
            Record::Person(person) => drop(self.people.remove(&person.id)),
            Record::Asset(asset) => {
                self.leave_kit(&asset.id, asset.part_of.as_ref());
                self.assets.remove(&asset.id);
            }
            Record::Tag(tag) => {
                self.tags.remove(&tag.key, tag.from);
                self.count(&tag.carrier, false);
            }
            Record::Tracker(tracker) => {
                self.trackers.remove(&tracker.key, tracker.from);
                self.count(&tracker.carrier, false);
            }
            Record::Sensor(sensor) => {
                self.sensors.remove(&sensor.key, sensor.from);
                self.count(&sensor.carrier, false);
            }
            Record::Maintenance(planned) => drop(self.maintenance.remove(&planned.name)),
        }
        self.dirty.insert((record.table(), record.key()));
    }

    pub(super) fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        let mut rows: Vec<StateRow> = Vec::new();
        for (table, key) in std::mem::take(&mut self.dirty) {
            let state_key = format!("{table}/{key}");
            rows.push(match self.get(table, &key) {
                Some(record) => StateRow::put(StateKind::Register, state_key, &record),
                None => StateRow::delete(StateKind::Register, state_key),
            });
        }
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        out.append(&mut rows);
    }

    fn leave_kit(&mut self, part: &AssetId, kit: Option<&AssetId>) {
        let Some(kit) = kit else { return };
        if let Some(parts) = self.parts.get_mut(kit) {
            parts.remove(part);
            if parts.is_empty() {
                self.parts.remove(kit);
            }
        }
    }

    /// Records come in any order: an attachment may come before its asset.
    fn count(&mut self, carrier: &Carrier, up: bool) {
        let Some(asset) = carrier.asset() else { return };
        let attached = match self.assets.get_mut(asset) {
            Some(held) => &mut held.attached,
            None => self.early.entry(asset.clone()).or_default(),
        };
        *attached = if up { *attached + 1 } else { attached.saturating_sub(1) };
    }
}
