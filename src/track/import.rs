//! Checks records that are to come onto the register, as a whole: every reference exists, nothing is
//! attached twice at once, nothing is named twice, times are the right way round, no kit holds itself.
//!
//! Every fault is found, with the record and the field that it is in; who takes a whole import or
//! nothing refuses it where there is one. The importer of files and the daemon use the same check.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::attachments::overlap;
use super::register::Register;
use crate::config::values::nearest;
use crate::domain::commands::Refused;
use crate::domain::ids::{AssetId, ClassId, SiteId, ZoneId};
use crate::domain::register::{
    Asset, AssetClass, Attachable, Attachment, Carrier, ClassLimit, Maintained, Maintenance, Record, Site,
    Zone,
};

/// What is wrong with one record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Of the record among those that were checked, from 0.
    pub index: usize,
    /// As JSON and CSV name it.
    pub field: &'static str,
    /// What stands there.
    pub value: String,
    pub wrong: String,
    pub allowed: String,
    /// It clashes with what is there, rather than making no sense by itself.
    pub conflict: bool,
    /// The record is there twice: the index of the first.
    pub repeats: Option<usize>,
}

/// Everything that is wrong with `records` beside what the register has, in their order.
pub fn faults(register: &Register, records: &[Record]) -> Vec<Fault> {
    let mut check = Check { staged: Staged::new(register, records), faults: Vec::new(), index: 0 };
    let mut first = HashMap::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        check.index = index;
        let first = *first.entry((record.table(), record.key())).or_insert(index);
        if first != index {
            let wrong = format!("there twice, first as record {}", first + 1);
            check.fault(key_field(record), record.key(), wrong, "each only once");
            check.faults.last_mut().into_iter().for_each(|fault| fault.repeats = Some(first));
        }
        check.record(record);
    }
    check.faults
}

/// The field that a record's key stands in.
fn key_field(record: &Record) -> &'static str {
    match record {
        Record::Site(_) | Record::Zone(_) | Record::Class(_) | Record::Maintenance(_) => "name",
        Record::Person(_) | Record::Asset(_) => "id",
        Record::Tag(_) => "epc",
        Record::Tracker(_) | Record::Sensor(_) => "device",
    }
}

/// The register as it will be, for the references within an import.
pub struct Staged<'a> {
    register: &'a Register,
    keys: HashSet<(&'static str, String)>,
    assets: HashMap<&'a AssetId, &'a Asset>,
    sites: BTreeMap<&'a SiteId, &'a Site>,
    zones: BTreeMap<&'a ZoneId, &'a Zone>,
    /// Attachments, by `table/key` without their beginning.
    hung: HashMap<String, Vec<&'a Record>>,
}

impl<'a> Staged<'a> {
    pub fn new(register: &'a Register, records: &'a [Record]) -> Self {
        let mut staged = Self {
            register,
            keys: HashSet::new(),
            assets: HashMap::new(),
            sites: BTreeMap::new(),
            zones: BTreeMap::new(),
            hung: HashMap::new(),
        };
        for record in records {
            match record {
                Record::Site(site) => drop(staged.sites.insert(&site.name, site)),
                Record::Zone(zone) => drop(staged.zones.insert(&zone.name, zone)),
                Record::Asset(asset) => drop(staged.assets.insert(&asset.id, asset)),
                Record::Tag(tag) => staged.hang(record, &tag.key),
                Record::Tracker(tracker) => staged.hang(record, &tracker.key),
                Record::Sensor(sensor) => staged.hang(record, &sensor.key),
                other => drop(staged.keys.insert((other.table(), other.key()))),
            }
        }
        staged
    }

    fn hang(&mut self, record: &'a Record, key: &impl std::fmt::Display) {
        self.hung.entry(format!("{}/{key}", record.table())).or_default().push(record);
    }

    /// The asset as it will be after the import.
    pub fn asset(&self, id: &AssetId) -> Option<&Asset> {
        self.assets.get(id).copied().or_else(|| self.register.asset(id))
    }

    /// The site as it will be; what the configuration file declares wins.
    pub fn site(&self, name: &SiteId) -> Option<&Site> {
        let staged = self.sites.get(name).copied().filter(|_| !self.register.is_own("site", name.as_str()));
        staged.or_else(|| self.register.site(name))
    }

    pub fn site_of_zone(&self, name: &ZoneId) -> Option<&SiteId> {
        let staged = self.zones.get(name).copied().filter(|_| !self.register.is_own("zone", name.as_str()));
        staged.or_else(|| self.register.zone(name)).map(|zone| &zone.site)
    }

    fn has_class(&self, class: &ClassId) -> bool {
        self.register.class(class).is_some() || self.keys.contains(&("class", class.to_string()))
    }
}

struct Check<'a> {
    staged: Staged<'a>,
    faults: Vec<Fault>,
    index: usize,
}

const IMPORT_BESIDE: &str = "import it beside this, or write the id of one that is there";

impl<'a> Check<'a> {
    fn fault(&mut self, field: &'static str, value: impl ToString, wrong: impl Into<String>, allowed: &str) {
        self.push(field, value, wrong.into(), allowed.to_owned(), false);
    }

    fn clash(&mut self, field: &'static str, value: impl ToString, wrong: impl Into<String>, allowed: &str) {
        self.push(field, value, wrong.into(), allowed.to_owned(), true);
    }

    fn push(
        &mut self,
        field: &'static str,
        value: impl ToString,
        wrong: String,
        allowed: String,
        conflict: bool,
    ) {
        let (index, value) = (self.index, value.to_string());
        self.faults.push(Fault { index, field, value, wrong, allowed, conflict, repeats: None });
    }

    fn no_such(&mut self, kind: &str, field: &'static str, name: &str) {
        let known = self.staged.register.names(kind);
        let staged = &self.staged;
        let keys = staged.keys.iter().filter(|(table, _)| *table == kind).map(|(_, key)| key.as_str());
        let sites = staged.sites.keys().filter(|_| kind == "site").map(|site| site.as_str());
        let zones = staged.zones.keys().filter(|_| kind == "zone").map(|zone| zone.as_str());
        let mut known: Vec<&str> = known.into_iter().chain(keys).chain(sites).chain(zones).collect();
        known.sort_unstable();
        let allowed = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None if kind == "site" && !known.is_empty() => format!("there are: {}", known.join(", ")),
            None => format!("import it beside this, or write the name of a {kind} that is there"),
        };
        self.push(field, name, format!("there is no such {kind}"), allowed, false);
    }

    fn record(&mut self, record: &'a Record) {
        if record.key().is_empty() {
            self.fault(key_field(record), "", "empty", "it must be filled in");
        }
        if self.staged.register.is_own(record.table(), &record.key()) {
            let wrong = format!("the configuration file declares this {}", record.table());
            self.clash(key_field(record), record.key(), wrong, "change it there");
        }
        match record {
            Record::Zone(zone) => self.site("site", &zone.site),
            Record::Class(class) => self.class(class),
            Record::Person(person) => {
                if let Some(site) = &person.site {
                    self.site("site", site);
                }
            }
            Record::Asset(asset) => self.asset(asset),
            Record::Tag(tag) => {
                if matches!(tag.carrier, Carrier::Zone(_)) {
                    self.fault("zone", &tag.carrier, "a tag", "a tag is attached to an asset or a person");
                }
                let others = self.others(record, &tag.key);
                self.attachment(record, tag, self.staged.register.tags.clashing(tag), others);
            }
            Record::Tracker(tracker) => {
                if tracker.carrier.asset().is_none() {
                    self.fault("asset", &tracker.carrier, "a tracker", "a tracker is attached to an asset");
                }
                let others = self.others(record, &tracker.key);
                self.attachment(record, tracker, self.staged.register.trackers.clashing(tracker), others);
            }
            Record::Sensor(sensor) => {
                if matches!(sensor.carrier, Carrier::Person(_)) {
                    self.fault(
                        "person",
                        &sensor.carrier,
                        "a sensor",
                        "a sensor is attached to an asset or a zone",
                    );
                }
                let others = self.others(record, &sensor.key);
                self.attachment(record, sensor, self.staged.register.sensors.clashing(sensor), others);
            }
            Record::Maintenance(planned) => self.maintenance(planned),
            Record::Site(_) => {}
        }
    }

    fn site(&mut self, field: &'static str, site: &SiteId) {
        if self.staged.site(site).is_none() {
            self.no_such("site", field, site.as_str());
        }
    }

    fn zone(&mut self, field: &'static str, zone: &ZoneId) {
        if self.staged.site_of_zone(zone).is_none() {
            self.no_such("zone", field, zone.as_str());
        }
    }

    fn class(&mut self, class: &AssetClass) {
        let positive = [
            ("ghost_after", class.ghost_after),
            ("ghost_after_in_maintenance", class.ghost_after_in_maintenance),
            ("tracker_silent_after", class.tracker_silent_after),
            ("idle_after", class.idle_after),
            ("inspect_every", class.inspect_every),
            ("audit_every", class.audit_every),
        ];
        for (field, duration) in positive {
            if duration.is_some_and(|duration| duration.is_zero()) {
                self.fault(field, "0s", "not more than 0 s", "leave it out where there is no limit");
            }
        }
        if class.low_battery_percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            let percent = class.low_battery_percent.unwrap_or_default();
            self.fault("low_battery_percent", percent, "out of range", "0 to 100");
        }
        for zone in &class.allowed_zones {
            self.zone("allowed_zones", zone);
        }
        self.limits(&class.limits);
        for needed in &class.needs {
            if *needed == class.name {
                self.fault("needs", needed, "the class itself", "the classes of its parts");
            } else if !self.staged.has_class(needed) {
                self.no_such("class", "needs", needed.as_str());
            }
        }
    }

    /// Of a class, or of an asset of its own.
    fn limits(&mut self, limits: &[ClassLimit]) {
        for (place, limit) in limits.iter().enumerate() {
            let told = format!("{}/{}", limit.point, limit.name);
            let thresholds = [limit.high, limit.low, limit.rise_per_min, limit.fall_per_min];
            let rates = [limit.rise_per_min, limit.fall_per_min];
            let wrong = |number: f64| !number.is_finite();
            if thresholds.iter().flatten().count() != 1 {
                let wrong = "not one of high, low, rise_per_min and fall_per_min";
                self.fault("limits", &told, wrong, "a limit for each");
            } else if thresholds.into_iter().flatten().any(wrong)
                || wrong(limit.deadband)
                || limit.deadband < 0.0
            {
                self.fault("limits", &told, "not a number that can be reached", "numbers, a deadband from 0");
            } else if rates.into_iter().flatten().any(|rate| rate <= 0.0) {
                self.fault("limits", &told, "no rate", "a number above 0");
            } else if limit.over.is_some_and(|over| over.is_zero()) {
                self.fault("limits", &told, "a window of nothing", "so many seconds");
            } else if limits[..place].iter().any(|l| (&l.point, &l.name) == (&limit.point, &limit.name)) {
                self.fault("limits", &told, "given twice", "each limit of a point once");
            }
        }
    }

    fn asset(&mut self, asset: &Asset) {
        if !self.staged.has_class(&asset.class) {
            self.no_such("class", "class", asset.class.as_str());
        }
        if let Some(zone) = &asset.home_zone {
            self.zone("home_zone", zone);
        }
        if let Some(kit) = &asset.part_of {
            self.kit(asset, kit);
        }
        let Some(details) = &asset.details else { return };
        if let (Some(acquired), Some(retired)) = (details.acquired_on, details.retired_on)
            && retired < acquired
        {
            let wrong = format!("before {acquired}, when it was acquired");
            self.fault("retired_on", retired, wrong, "a later day");
        }
        self.limits(&details.limits);
    }

    /// A kit exists, and is not in itself over however many steps.
    fn kit(&mut self, asset: &Asset, kit: &AssetId) {
        if self.staged.asset(kit).is_none() {
            self.fault("part_of", kit, "there is no such asset", IMPORT_BESIDE);
            return;
        }
        let mut way = vec![asset.id.clone()];
        let mut next = Some(kit.clone());
        while let Some(step) = next {
            let known = way.contains(&step);
            way.push(step.clone());
            if known {
                let way: Vec<&str> = way.iter().map(AssetId::as_str).collect();
                let wrong = format!("a kit that is part of itself: {}", way.join(" in "));
                self.fault("part_of", kit, wrong, "take one of them out");
                return;
            }
            next = self.staged.asset(&step).and_then(|asset| asset.part_of.clone());
        }
    }

    /// The other attachments of the same thing in this import.
    fn others(&self, record: &Record, key: &impl std::fmt::Display) -> Vec<&'a Record> {
        let same = self.staged.hung.get(&format!("{}/{key}", record.table()));
        let others = same.into_iter().flatten().copied();
        others.filter(|other| !std::ptr::eq(*other, record)).collect()
    }

    fn attachment<K: Attachable + PartialEq>(
        &mut self,
        record: &Record,
        attachment: &Attachment<K>,
        clashing: Vec<Attachment<K>>,
        others: Vec<&Record>,
    ) {
        let field = K::FIELD;
        if let (Some(from), Some(to)) = (attachment.from, attachment.to)
            && to <= from
        {
            self.fault("to", to, format!("not after {from}"), "a later time");
        }
        let key = &attachment.key;
        let replaced = |other: &Attachment<K>| {
            let same_key = |record: &&Record| record.key() == other.record_key();
            others.iter().any(same_key)
        };
        if let Some(held) = clashing.into_iter().find(|held| !replaced(held)) {
            let wrong = format!("attached to {} at the same time", held.carrier);
            self.clash(field, key, wrong, "end the other attachment with `to`, or remove it first");
        }
        if let Some(before) = self.staged.register.get(record.table(), &record.key())
            && carrier_of(&before).is_some_and(|carrier| *carrier != attachment.carrier)
        {
            let on = carrier_of(&before).map(ToString::to_string).unwrap_or_default();
            self.clash(field, key, format!("attached to {on}"), "remove it there first");
        }
        for other in others {
            if overlapping(record, other) {
                let wrong = "attached twice at once in this import";
                self.fault(field, key, wrong, "give each attachment its from and to");
            }
        }
        self.carrier(record, &attachment.carrier);
    }

    /// Something may hang on an asset that is known and not retired; what already does stays.
    fn carrier(&mut self, record: &Record, carrier: &Carrier) {
        match carrier {
            Carrier::Zone(zone) => self.zone("zone", zone),
            Carrier::Person(person) => {
                let staged = self.staged.keys.contains(&("person", person.to_string()));
                if !staged && self.staged.register.person(person.as_str()).is_none() {
                    self.fault("person", person, "there is no such person", IMPORT_BESIDE);
                }
            }
            Carrier::Asset(asset) => match self.staged.asset(asset) {
                None => self.fault("asset", asset, "there is no such asset", IMPORT_BESIDE),
                Some(held) if held.is_retired() && self.staged.register.effect(record).unchanged == 0 => {
                    self.clash("asset", asset, "retired", "nothing is attached to a retired asset");
                }
                Some(_) => {}
            },
        }
    }

    fn maintenance(&mut self, planned: &Maintenance) {
        if planned.to <= planned.from {
            self.fault("to", planned.to, format!("not after {}", planned.from), "a later time");
        }
        match &planned.of {
            Maintained::Zone(zone) => self.zone("of", zone),
            Maintained::Site(site) => self.site("of", site),
            // Readers and read points are the configuration file's; one that comes later is planned for
            // already.
            Maintained::Source(_) | Maintained::ReadPoint(_) => {}
        }
    }
}

fn carrier_of(record: &Record) -> Option<&Carrier> {
    match record {
        Record::Tag(tag) => Some(&tag.carrier),
        Record::Tracker(attachment) | Record::Sensor(attachment) => Some(&attachment.carrier),
        _ => None,
    }
}

fn overlapping(a: &Record, b: &Record) -> bool {
    match (a, b) {
        (Record::Tag(a), Record::Tag(b)) => a.from != b.from && overlap(a, b),
        (Record::Tracker(a), Record::Tracker(b)) | (Record::Sensor(a), Record::Sensor(b)) => {
            a.from != b.from && overlap(a, b)
        }
        _ => false,
    }
}

/// The first fault as a refusal, with the record's place and name. Records count from 1.
pub(super) fn refusal(faults: &[Fault], records: &[Record]) -> Option<Refused> {
    let fault = faults.first()?;
    let record = records.get(fault.index)?;
    let place = format!("record {} ({} `{}`)", fault.index + 1, record.table(), record.key());
    let more = match faults.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let Fault { field, value, wrong, allowed, .. } = fault;
    let reason = format!("{place}: {field} `{value}`: {wrong}; {allowed}{more}");
    Some(if fault.conflict { conflict(reason) } else { invalid(reason) })
}

pub(super) fn invalid(reason: impl Into<String>) -> Refused {
    Refused::Invalid { reason: reason.into() }
}

pub(super) fn conflict(reason: impl Into<String>) -> Refused {
    Refused::Conflict { reason: reason.into() }
}
