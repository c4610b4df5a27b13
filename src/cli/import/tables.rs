//! The tables that can be imported, their columns, and how a row of each becomes a record.
//!
//! | file | columns (`*` is needed) |
//! | --- | --- |
//! | `sites.csv` | `name`* `timezone`* `working_hours` `holidays` |
//! | `zones.csv` | `name`* `site`* `coverage` |
//! | `classes.csv` | `name`* and what a `[[class]]` of the configuration has |
//! | `people.csv` | `id`* `name` `team` `site` |
//! | `assets.csv` | `id`* `class`* `name` `home_zone` `lifecycle` `part_of` and the books' (see [`Kind::columns`]), any `attributes.…` |
//! | `tags.csv` | `epc`*, `asset` or `person`, `from` `to`; for codes by name `filter` `company_prefix` |
//! | `trackers.csv` | `device`* `asset`* `from` `to` |
//! | `sensors.csv` | `device`*, `asset` or `zone`, `from` `to` |
//! | `maintenance.csv` | `name`*, one of `source` `read_point` `zone` `site`, `from`* `to`* `reason` |
//! | `checkouts.csv` | `asset`* `holder`* `due_back` `checked_out_at` `note` |
//!
//! Lists stand in one cell, separated by `|`.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::problem::Cells;
use crate::config::values::{DURATION_ALLOWED, parse_duration};
use crate::config::{COVERAGES, CRITICALITIES, HANDOVERS, RETURNS, UTILISATION_ALLOWED, utilisation};
use crate::decode::epc::{self, EpcError, Hints};
use crate::domain::calendar::{Calendar, HOURS_ALLOWED, WorkingHours};
use crate::domain::epc::Epc;
use crate::domain::ids::{AssetId, ClassId, DeviceId, PersonId, SiteId, ZoneId};
use crate::domain::register::{
    Asset, AssetClass, Attachable, Attachment, Carrier, ClassLimit, Details, Lifecycle, Maintained,
    Maintenance, Person, Record, Site, Zone,
};
use crate::domain::time::Timestamp;

/// What a file holds. Declared in the order in which an import is put together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum Kind {
    Sites,
    Zones,
    Classes,
    People,
    Assets,
    Tags,
    Trackers,
    Sensors,
    Maintenance,
    Checkouts,
}

/// Free attributes of an asset stand in columns that begin so.
pub const ATTRIBUTES: &str = "attributes.";

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Sites,
        Self::Zones,
        Self::Classes,
        Self::People,
        Self::Assets,
        Self::Tags,
        Self::Trackers,
        Self::Sensors,
        Self::Maintenance,
        Self::Checkouts,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sites => "sites",
            Self::Zones => "zones",
            Self::Classes => "classes",
            Self::People => "people",
            Self::Assets => "assets",
            Self::Tags => "tags",
            Self::Trackers => "trackers",
            Self::Sensors => "sensors",
            Self::Maintenance => "maintenance",
            Self::Checkouts => "checkouts",
        }
    }

    /// Columns that are needed, and those that may be there.
    pub fn columns(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Sites => (&["name", "timezone"], &["working_hours", "holidays"]),
            Self::Zones => (&["name", "site"], &["coverage"]),
            Self::Classes => (&["name"], &CLASS_COLUMNS),
            Self::People => (&["id"], &["name", "team", "site"]),
            Self::Assets => (&["id", "class"], &ASSET_COLUMNS),
            Self::Tags => (&["epc"], &["asset", "person", "from", "to", "filter", "company_prefix"]),
            Self::Trackers => (&["device", "asset"], &["from", "to"]),
            Self::Sensors => (&["device"], &["asset", "zone", "from", "to"]),
            Self::Maintenance => {
                (&["name", "from", "to"], &["source", "read_point", "zone", "site", "reason"])
            }
            Self::Checkouts => (&["asset", "holder"], &["due_back", "checked_out_at", "note"]),
        }
    }

    fn takes(self, column: &str) -> bool {
        let (needed, more) = self.columns();
        needed.contains(&column)
            || more.contains(&column)
            || (self == Self::Assets && column.starts_with(ATTRIBUTES))
    }

    /// The kind that a file's name says: `assets.csv`, `assets-2026-05.csv`.
    pub fn of_file(file: &str) -> Option<Self> {
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file).to_ascii_lowercase();
        let word = name.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        Self::ALL.into_iter().find(|kind| kind.name() == word)
    }

    /// The only kind that a header fits.
    pub fn of_header(header: &[String]) -> Option<Self> {
        let mut fitting = Self::ALL.into_iter().filter(|kind| {
            let needed = kind.columns().0.iter().all(|column| header.iter().any(|name| name == column));
            needed && header.iter().all(|column| kind.takes(column))
        });
        fitting.next().filter(|_| fitting.next().is_none())
    }
}

/// A checkout as its row tells it; its times are read when the site's time zone is known.
#[derive(Clone, Debug)]
pub struct RawCheckout {
    pub asset: AssetId,
    pub holder: String,
    pub note: Option<String>,
}

const LIMITS_ALLOWED: &str = "a JSON list such as [{\"point\": \"temperature\", \"name\": \"hot\", \"high\": 80, \"severity\": \"critical\"}]";

const CLASS_COLUMNS: [&str; 18] = [
    "ghost_after",
    "ghost_after_in_maintenance",
    "overdue_grace",
    "criticality",
    "tracker_silent_after",
    "low_battery_percent",
    "idle_after",
    "utilisation",
    "inspect_every",
    "inspect_on_return",
    "returns",
    "handover",
    "needs_checkout",
    "vehicle",
    "allowed_zones",
    "needs",
    "audit_every",
    "limits",
];

const ASSET_COLUMNS: [&str; 12] = [
    "name",
    "home_zone",
    "lifecycle",
    "retired",
    "part_of",
    "number",
    "owner",
    "cost_centre",
    "acquired_on",
    "warranty_until",
    "retired_on",
    "limits",
];

const FLAGS: [(&str, bool); 6] =
    [("true", true), ("yes", true), ("1", true), ("false", false), ("no", false), ("0", false)];

/// The record of a row; `None` where there are problems with it. Not for checkouts.
pub fn record(kind: Kind, cells: &mut Cells<'_>) -> Option<Record> {
    match kind {
        Kind::Sites => site(cells).map(Record::Site),
        Kind::Zones => zone(cells).map(Record::Zone),
        Kind::Classes => class(cells).map(|class| Record::Class(Box::new(class))),
        Kind::People => person(cells).map(Record::Person),
        Kind::Assets => asset(cells).map(Record::Asset),
        Kind::Tags => {
            let epc = epc(cells);
            attachment(epc, &["asset", "person"], cells).map(Record::Tag)
        }
        Kind::Trackers => {
            let device = device(cells);
            attachment(device, &["asset"], cells).map(Record::Tracker)
        }
        Kind::Sensors => {
            let device = device(cells);
            attachment(device, &["asset", "zone"], cells).map(Record::Sensor)
        }
        Kind::Maintenance => maintenance(cells).map(Record::Maintenance),
        Kind::Checkouts => None,
    }
}

/// As the wire has it: what a spreadsheet made of its digits is never heard.
fn device(cells: &mut Cells<'_>) -> Option<DeviceId> {
    let name = cells.id("device")?;
    let rounded = name.split_once("E+").is_some_and(|(digits, power)| {
        digits.starts_with(|first: char| first.is_ascii_digit())
            && [digits, power].iter().all(|part| part.parse::<f64>().is_ok())
    });
    if rounded || name.starts_with('\'') {
        let allowed = "format the column as text, and write the device's id as it stands on it";
        cells.problem("device", "what a spreadsheet makes of a number", allowed);
        return None;
    }
    Some(DeviceId::new(name))
}

fn site(cells: &mut Cells<'_>) -> Option<Site> {
    let name = cells.id("name");
    cells.id("timezone");
    let timezone = cells.parsed("timezone", "an IANA time zone, for instance Europe/Berlin", |text| {
        TimeZone::get(text).map_err(|_| "not a known time zone")
    });
    let working_hours = cells.parsed("working_hours", HOURS_ALLOWED, WorkingHours::parse);
    let holidays = cells.parsed("holidays", "days such as 2026-12-25|2026-12-26", |text| {
        text.split('|').map(|day| day.trim().parse()).collect::<Result<_, _>>().map_err(|_| "not days")
    });
    let calendar = Calendar { working_hours: working_hours?, holidays: holidays?.unwrap_or_default() };
    Some(Site { name: SiteId::new(name?), timezone: timezone??, calendar })
}

fn zone(cells: &mut Cells<'_>) -> Option<Zone> {
    let (name, site) = (cells.id("name"), cells.id("site"));
    let coverage = cells.choice("coverage", &COVERAGES)?.unwrap_or_default();
    Some(Zone { name: ZoneId::new(name?), site: SiteId::new(site?), coverage })
}

fn class(cells: &mut Cells<'_>) -> Option<AssetClass> {
    let name = cells.id("name");
    let mut duration =
        |column| cells.parsed(column, DURATION_ALLOWED, |text| parse_duration(text).ok_or("not a duration"));
    let durations = [
        duration("ghost_after"),
        duration("ghost_after_in_maintenance"),
        duration("overdue_grace"),
        duration("tracker_silent_after"),
        duration("idle_after"),
        duration("inspect_every"),
        duration("audit_every"),
    ];
    let low_battery_percent = cells.parsed("low_battery_percent", "a number from 0 to 100", |text| {
        text.parse().map_err(|_| "not a number")
    });
    let criticality = cells.choice("criticality", &CRITICALITIES);
    let utilisation = cells.parsed("utilisation", UTILISATION_ALLOWED, utilisation);
    let inspect_on_return = cells.choice("inspect_on_return", &FLAGS);
    let returns = cells.choice("returns", &RETURNS);
    let handover = cells.choice("handover", &HANDOVERS);
    let needs_checkout = cells.choice("needs_checkout", &FLAGS);
    let vehicle = cells.choice("vehicle", &FLAGS);
    let limits = limits(cells);
    let [ghost, in_maintenance, grace, silent, idle, inspect, audit] = durations;
    Some(AssetClass {
        name: ClassId::new(name?),
        ghost_after: ghost?,
        ghost_after_in_maintenance: in_maintenance?,
        overdue_grace: grace?,
        criticality: criticality?.unwrap_or_default(),
        tracker_silent_after: silent?,
        low_battery_percent: low_battery_percent?,
        idle_after: idle?,
        utilisation: utilisation?.unwrap_or_default(),
        inspect_every: inspect?,
        inspect_on_return: inspect_on_return?.unwrap_or_default(),
        returns: returns?.unwrap_or_default(),
        handover: handover?.unwrap_or_default(),
        needs_checkout: needs_checkout?.unwrap_or_default(),
        vehicle: vehicle?.unwrap_or_default(),
        allowed_zones: names(cells.text("allowed_zones")).map(ZoneId::new).collect(),
        needs: names(cells.text("needs")).map(ClassId::new).collect(),
        audit_every: audit?,
        limits: limits?.unwrap_or_default(),
    })
}

fn limits(cells: &mut Cells<'_>) -> Option<Option<Vec<ClassLimit>>> {
    cells.parsed("limits", LIMITS_ALLOWED, |text| {
        serde_json::from_str::<Vec<ClassLimit>>(text).map_err(|_| "not a list of limits")
    })
}

fn names(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.into_iter().flat_map(|list| list.split('|')).map(str::trim).filter(|name| !name.is_empty())
}

fn person(cells: &mut Cells<'_>) -> Option<Person> {
    let id = cells.id("id");
    let text = |column| cells.text(column).map(str::to_owned);
    let (name, team) = (text("name"), text("team"));
    Some(Person { id: PersonId::new(id?), name, team, site: cells.text("site").map(SiteId::new) })
}

fn asset(cells: &mut Cells<'_>) -> Option<Asset> {
    let (id, class) = (cells.id("id"), cells.id("class"));
    let lifecycle = cells.choice("lifecycle", &Lifecycle::ALL.map(|stage| (stage.as_str(), stage)));
    let retired = cells.choice("retired", &FLAGS);
    let mut date = |column| {
        cells.parsed(column, "a day such as 2026-12-25", |text| text.parse::<Date>().map_err(|_| "not a day"))
    };
    let dates = [date("acquired_on"), date("warranty_until"), date("retired_on")];
    let limits = limits(cells);
    let mut attributes = BTreeMap::new();
    for column in cells.columns_under(ATTRIBUTES) {
        if let Some(value) = cells.text(&column) {
            attributes.insert(column[ATTRIBUTES.len()..].to_owned(), value.to_owned());
        }
    }
    let text = |column| cells.text(column).map(str::to_owned);
    let [acquired_on, warranty_until, retired_on] = dates;
    let details = Details {
        number: text("number"),
        owner: text("owner"),
        cost_centre: text("cost_centre"),
        acquired_on: acquired_on?,
        warranty_until: warranty_until?,
        retired_on: retired_on?,
        limits: limits?.unwrap_or_default(),
    };
    // `retired` alone is how earlier lists say it.
    let retired = if retired?.unwrap_or(false) { Lifecycle::Retired } else { Lifecycle::InService };
    Some(Asset {
        id: AssetId::new(id?),
        class: ClassId::new(class?),
        name: text("name"),
        home_zone: cells.text("home_zone").map(ZoneId::new),
        lifecycle: lifecycle?.unwrap_or(retired),
        part_of: cells.text("part_of").map(AssetId::new),
        details: details.boxed(),
        attributes,
    })
}

/// In hexadecimal or by name. The code must be the one in the tag to the bit, so what a name leaves open
/// stands in columns of its own and is never guessed.
fn epc(cells: &mut Cells<'_>) -> Option<Epc> {
    let text = cells.id("epc")?;
    if epc::is_name(text) {
        return named_epc(text, cells);
    }
    let allowed = "the EPC as hex digits, an even number, at most 124, or by name (urn:epc:tag:…)";
    let epc = cells.parsed("epc", allowed, |text| {
        // A spreadsheet takes a code of digits and one E for a number: 3.03E+23.
        let mangled = text.contains(['.', ',', '+']);
        Epc::from_hex(text).filter(|epc| epc.bits() > 0).ok_or(if mangled {
            "a spreadsheet made a number of it"
        } else {
            "not an EPC"
        })
    });
    epc?
}

fn named_epc(text: &str, cells: &mut Cells<'_>) -> Option<Epc> {
    let filter = cells.parsed("filter", "a number from 0 to 7", |text| {
        text.parse().ok().filter(|filter| *filter <= 7).ok_or("not a filter value")
    });
    let company_prefixes = cells.text("company_prefix").map(str::to_owned).into_iter().collect();
    let hints = Hints { filter: filter?, company_prefixes, plus: false };
    match epc::parse(text, &hints) {
        Ok(epc) => Some(epc),
        Err(error) => {
            let allowed = match error {
                EpcError::NoFilter => "fill in the column filter, or write the tag's own URI, urn:epc:tag:…",
                EpcError::NoCompanyPrefix(_) | EpcError::CompanyPrefix(_) => {
                    "fill in the column company_prefix with its 6 to 12 digits, or write urn:epc:tag:…"
                }
                _ => "write a tag URI (urn:epc:tag:…), a pure identity, a Digital Link or the hex digits",
            };
            cells.problem("epc", error.to_string(), allowed);
            None
        }
    }
}

/// Attached to what stands in one of the `carriers`' columns.
fn attachment<K: Attachable>(
    key: Option<K>,
    carriers: &[&'static str],
    cells: &mut Cells<'_>,
) -> Option<Attachment<K>> {
    let named: Vec<Carrier> = carriers
        .iter()
        .filter_map(|column| {
            let name = cells.text(column)?;
            Some(match *column {
                "person" => Carrier::Person(PersonId::new(name)),
                "zone" => Carrier::Zone(ZoneId::new(name)),
                _ => Carrier::Asset(AssetId::new(name)),
            })
        })
        .collect();
    let (from, to) = (time("from", cells), time("to", cells));
    let Ok([carrier]) = <[Carrier; 1]>::try_from(named) else {
        let either = carriers.join(" or ");
        cells.problem(
            K::FIELD,
            format!("not attached to one {either}"),
            format!("fill in {either}, and only one"),
        );
        return None;
    };
    Some(Attachment { key: key?, carrier, from: from?, to: to? })
}

fn time(column: &str, cells: &mut Cells<'_>) -> Option<Option<Timestamp>> {
    let allowed = "a time with its offset, such as 2026-05-01T17:00:00+02:00";
    cells.parsed(column, allowed, |text| Timestamp::parse(text).ok_or("not a time"))
}

fn maintenance(cells: &mut Cells<'_>) -> Option<Maintenance> {
    let name = cells.id("name").map(str::to_owned);
    cells.id("from");
    cells.id("to");
    let (from, to) = (time("from", cells), time("to", cells));
    let of = [
        cells.text("source").map(|name| Maintained::Source(name.into())),
        cells.text("read_point").map(|name| Maintained::ReadPoint(name.into())),
        cells.text("zone").map(|name| Maintained::Zone(name.into())),
        cells.text("site").map(|name| Maintained::Site(name.into())),
    ];
    let mut of = of.into_iter().flatten();
    let (Some(of), None) = (of.next(), of.next()) else {
        let allowed = "fill in one of source, read_point, zone and site";
        cells.problem("name", "not said of one thing", allowed);
        return None;
    };
    let reason = cells.text("reason").map(str::to_owned);
    Some(Maintenance { name: name?, of, from: from??, to: to??, reason })
}

/// The checkout of a row.
pub fn checkout(cells: &mut Cells<'_>) -> Option<RawCheckout> {
    let (asset, holder) = (cells.id("asset"), cells.id("holder"));
    let note = cells.text("note").map(str::to_owned);
    Some(RawCheckout { asset: AssetId::new(asset?), holder: holder?.to_owned(), note })
}
