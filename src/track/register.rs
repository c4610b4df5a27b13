//! The register: what people and the configuration declare. Zones and classes of the configuration
//! file are the file's own and win; everything else comes by import, checked as a whole first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::config::Rules;
use crate::domain::commands::Outcome;
use crate::domain::epc::Epc;
use crate::domain::ids::{AssetId, ClassId, DeviceId, SiteId, ZoneId};
use crate::domain::register::{
    Asset, AssetClass, Coverage, Record, SensorAttachment, TagAttachment, TrackerAttachment, Zone,
};
use crate::domain::state::{StateKind, StateRow};

#[derive(Debug, Default)]
pub(super) struct Register {
    sites: BTreeSet<SiteId>,
    /// Declared by the configuration file.
    own_zones: BTreeMap<ZoneId, Zone>,
    own_classes: BTreeMap<ClassId, AssetClass>,
    zones: BTreeMap<ZoneId, Zone>,
    classes: BTreeMap<ClassId, AssetClass>,
    assets: HashMap<AssetId, Asset>,
    tags: HashMap<Epc, AssetId>,
    trackers: HashMap<DeviceId, AssetId>,
    sensors: HashMap<DeviceId, SensorAttachment>,
    /// How many tags, trackers and sensors each asset carries.
    attached: HashMap<AssetId, usize>,
    /// Table and key of the records to write.
    dirty: BTreeSet<(&'static str, String)>,
}

impl Register {
    pub fn set_rules(&mut self, rules: &Rules) {
        self.sites = rules.sites.iter().map(|site| site.name.clone()).collect();
        self.own_zones = rules.zones.iter().map(|zone| (zone.name.clone(), zone.clone())).collect();
        self.own_classes = rules.classes.iter().map(|class| (class.name.clone(), class.clone())).collect();
    }

    pub fn has_site(&self, site: &SiteId) -> bool {
        self.sites.contains(site)
    }

    pub fn owns_zone(&self, name: &str) -> bool {
        self.own_zones.contains_key(name)
    }

    pub fn owns_class(&self, name: &str) -> bool {
        self.own_classes.contains_key(name)
    }

    pub fn zone(&self, name: &ZoneId) -> Option<&Zone> {
        self.own_zones.get(name).or_else(|| self.zones.get(name))
    }

    pub fn class(&self, name: &ClassId) -> Option<&AssetClass> {
        self.own_classes.get(name).or_else(|| self.classes.get(name))
    }

    pub fn asset(&self, id: &AssetId) -> Option<&Asset> {
        self.assets.get(id)
    }

    pub fn class_of(&self, id: &AssetId) -> Option<&AssetClass> {
        self.class(&self.asset(id)?.class)
    }

    pub fn home_site(&self, id: &AssetId) -> Option<&SiteId> {
        self.site_of_zone(self.asset(id)?.home_zone.as_ref()?)
    }

    pub fn site_of_zone(&self, zone: &ZoneId) -> Option<&SiteId> {
        self.zone(zone).map(|zone| &zone.site)
    }

    pub fn is_continuous(&self, zone: &ZoneId) -> bool {
        self.zone(zone).is_some_and(|zone| zone.coverage == Coverage::Continuous)
    }

    pub fn asset_of_tag(&self, epc: &Epc) -> Option<&AssetId> {
        self.tags.get(epc)
    }

    pub fn asset_of_tracker(&self, device: &DeviceId) -> Option<&AssetId> {
        self.trackers.get(device)
    }

    pub fn sensor(&self, device: &DeviceId) -> Option<&SensorAttachment> {
        self.sensors.get(device)
    }

    pub fn attachments(&self, asset: &AssetId) -> usize {
        self.attached.get(asset).copied().unwrap_or(0)
    }

    /// The first thing, in words, that refers to a zone.
    pub fn user_of_zone(&self, zone: &ZoneId) -> Option<String> {
        let homes = self.assets.values().filter(|asset| asset.home_zone.as_ref() == Some(zone));
        let sensors = self.sensors.values().filter(|sensor| sensor.zone.as_ref() == Some(zone));
        let asset = homes.map(|asset| format!("asset `{}`", asset.id)).min();
        asset.or_else(|| sensors.map(|sensor| format!("sensor `{}`", sensor.device)).min())
    }

    pub fn user_of_class(&self, class: &ClassId) -> Option<String> {
        let users = self.assets.values().filter(|asset| asset.class == *class);
        users.map(|asset| format!("asset `{}`", asset.id)).min()
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
            "zone" => self.zones.get(key).cloned().map(Record::Zone),
            "class" => self.classes.get(key).cloned().map(Record::Class),
            "asset" => self.assets.get(key).cloned().map(Record::Asset),
            "tag" => {
                let epc = Epc::from_hex(key)?;
                let asset = self.tags.get(&epc)?.clone();
                Some(Record::Tag(TagAttachment { epc, asset }))
            }
            "tracker" => {
                let (device, asset) = self.trackers.get_key_value(key)?;
                Some(Record::Tracker(TrackerAttachment { device: device.clone(), asset: asset.clone() }))
            }
            "sensor" => self.sensors.get(key).cloned().map(Record::Sensor),
            _ => None,
        }
    }

    pub fn put(&mut self, record: Record) {
        self.dirty.insert((record.table(), record.key()));
        self.hold(record);
    }

    /// Takes a record as it is in the journal.
    pub fn hold(&mut self, record: Record) {
        let before = match &record {
            Record::Zone(_) | Record::Class(_) | Record::Asset(_) => None,
            attachment => self.get(attachment.table(), &attachment.key()),
        };
        self.count(before.as_ref(), false);
        self.count(Some(&record), true);
        match record {
            Record::Zone(zone) => drop(self.zones.insert(zone.name.clone(), zone)),
            Record::Class(class) => drop(self.classes.insert(class.name.clone(), class)),
            Record::Asset(asset) => drop(self.assets.insert(asset.id.clone(), asset)),
            Record::Tag(tag) => drop(self.tags.insert(tag.epc, tag.asset)),
            Record::Tracker(tracker) => drop(self.trackers.insert(tracker.device, tracker.asset)),
            Record::Sensor(sensor) => drop(self.sensors.insert(sensor.device.clone(), sensor)),
        }
    }

    pub fn remove(&mut self, record: &Record) {
        self.count(Some(record), false);
        match record {
            Record::Zone(zone) => drop(self.zones.remove(&zone.name)),
            Record::Class(class) => drop(self.classes.remove(&class.name)),
            Record::Asset(asset) => drop(self.assets.remove(&asset.id)),
            Record::Tag(tag) => drop(self.tags.remove(&tag.epc)),
            Record::Tracker(tracker) => drop(self.trackers.remove(&tracker.device)),
            Record::Sensor(sensor) => drop(self.sensors.remove(&sensor.device)),
        }
        self.dirty.insert((record.table(), record.key()));
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
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

    fn count(&mut self, record: Option<&Record>, up: bool) {
        let asset = match record {
            Some(Record::Tag(tag)) => Some(&tag.asset),
            Some(Record::Tracker(tracker)) => Some(&tracker.asset),
            Some(Record::Sensor(sensor)) => sensor.asset.as_ref(),
            _ => None,
        };
        let Some(asset) = asset else { return };
        match up {
            true => *self.attached.entry(asset.clone()).or_default() += 1,
            false => {
                if let Some(count) = self.attached.get_mut(asset) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.attached.remove(asset);
                    }
                }
            }
        }
    }
}
