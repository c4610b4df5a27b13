//! Every name that other parts of the configuration refer to, gathered before the parts are read:
//! order in the file does not matter, and a part with a fault in it does not make the references to it
//! dangle.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

/// Kinds of tables with a `name`.
const KINDS: [&str; 12] = [
    "site",
    "zone",
    "read_point",
    "class",
    "fence",
    "reader",
    "broker",
    "modbus",
    "profile",
    "output",
    "nmea",
    "teltonika",
];

/// Connections share one name space: a source is known by its name alone.
const SOURCES: [&str; 5] = ["reader", "broker", "modbus", "nmea", "teltonika"];

#[derive(Default)]
pub(super) struct Names {
    by_kind: BTreeMap<&'static str, BTreeSet<String>>,
    /// Points of each Modbus device, its profile's among them.
    pub points: BTreeMap<String, BTreeSet<String>>,
    /// Readers that speak something else than LLRP.
    pub serial_readers: BTreeSet<String>,
    /// Read points where things stay: nothing passes them.
    pub presence_points: BTreeSet<String>,
}

impl Names {
    /// `profiles`: files of profiles that belong to it.
    pub fn collect(top: &DeTable<'_>, profiles: &[&DeTable<'_>]) -> Self {
        let mut names = Self::default();
        for kind in KINDS {
            let found =
                tables(top, kind).filter_map(|table| text(table, "name")).map(str::to_owned).collect();
            names.by_kind.insert(kind, found);
        }
        let all_profiles = || {
            let elsewhere = profiles.iter().flat_map(|file| tables(file, "profile"));
            tables(top, "profile").chain(elsewhere)
        };
        let profile_names = all_profiles().filter_map(|table| text(table, "name")).map(str::to_owned);
        names.by_kind.insert("profile", profile_names.collect());
        let named = |kind: &'static str, field: &'static str, fits: fn(&str) -> bool| {
            let matching = tables(top, kind).filter(move |table| text(table, field).is_some_and(fits));
            matching.filter_map(|table| text(table, "name")).map(str::to_owned).collect()
        };
        names.serial_readers = named("reader", "protocol", |protocol| protocol != "llrp");
        names.presence_points = named("read_point", "kind", |kind| kind == "presence");
        let profiles: BTreeMap<&str, BTreeSet<String>> =
            all_profiles().filter_map(|table| Some((text(table, "name")?, points(table)))).collect();
        // A line without devices is one itself.
        let lines = tables(top, "modbus").filter(|line| tables(line, "device").next().is_none());
        let devices = tables(top, "modbus").flat_map(|line| tables(line, "device"));
        for device in lines.chain(devices) {
            let Some(name) = text(device, "name") else { continue };
            let mut all = points(device);
            if let Some(profile) = text(device, "profile").and_then(|profile| profiles.get(profile)) {
                all.extend(profile.iter().cloned());
            }
            names.points.insert(name.to_owned(), all);
        }
        names
    }

    pub fn of(&self, kind: &str) -> impl Iterator<Item = &str> + Clone {
        self.by_kind.get(kind).into_iter().flatten().map(String::as_str)
    }

    /// The one site there is, where there is only one.
    pub fn sole_site(&self) -> Option<&str> {
        let mut sites = self.of("site");
        sites.next().filter(|_| sites.next().is_none())
    }
}

/// Kinds that share a name space with `kind`, itself among them.
pub(super) fn name_space(kind: &'static str) -> &'static str {
    if SOURCES.contains(&kind) { "source" } else { kind }
}

fn points(table: &DeTable<'_>) -> BTreeSet<String> {
    tables(table, "point").filter_map(|point| text(point, "name")).map(str::to_owned).collect()
}

fn tables<'d>(table: &'d DeTable<'d>, key: &str) -> impl Iterator<Item = &'d DeTable<'d>> {
    let array = table.get(key).and_then(|value| value.get_ref().as_array());
    array.into_iter().flat_map(|array| array.iter()).filter_map(|item| item.get_ref().as_table())
}

fn text<'d>(table: &'d DeTable<'d>, key: &str) -> Option<&'d str> {
    table.get(key).and_then(|value| match value.get_ref() {
        DeValue::String(text) => Some(text.as_ref()),
        _ => None,
    })
}
