//! The tables that can be imported, their columns, and how a row of each becomes a record.
//!
//! | file | columns (`*` is needed) |
//! | --- | --- |
//! | `zones.csv` | `name`* `site`* `coverage` |
//! | `classes.csv` | `name`* `ghost_after` `overdue_grace` `criticality` |
//! | `assets.csv` | `id`* `class`* `name` `home_zone` `retired`, and any `attributes.…` |
//! | `tags.csv` | `epc`* `asset`* |
//! | `trackers.csv` | `device`* `asset`* |
//! | `sensors.csv` | `device`*, and `asset` or `zone` |
//! | `checkouts.csv` | `asset`* `holder`* `due_back` `checked_out_at` `note` |

use std::collections::BTreeMap;

use super::problem::Cells;
use crate::config::values::{DURATION_ALLOWED, parse_duration};
use crate::config::{COVERAGES, CRITICALITIES};
use crate::domain::epc::Epc;
use crate::domain::ids::{AssetId, ClassId, DeviceId, SiteId, ZoneId};
use crate::domain::register::{
    Asset, AssetClass, Record, SensorAttachment, TagAttachment, TrackerAttachment, Zone,
};

/// What a file holds. Declared in the order in which an import is put together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum Kind {
    Zones,
    Classes,
    Assets,
    Tags,
    Trackers,
    Sensors,
    Checkouts,
}

/// Free attributes of an asset stand in columns that begin so.
pub const ATTRIBUTES: &str = "attributes.";

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Zones,
        Self::Classes,
        Self::Assets,
        Self::Tags,
        Self::Trackers,
        Self::Sensors,
        Self::Checkouts,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Zones => "zones",
            Self::Classes => "classes",
            Self::Assets => "assets",
            Self::Tags => "tags",
            Self::Trackers => "trackers",
            Self::Sensors => "sensors",
            Self::Checkouts => "checkouts",
        }
    }

    /// Columns that are needed, and those that may be there.
    pub fn columns(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Zones => (&["name", "site"], &["coverage"]),
            Self::Classes => (&["name"], &["ghost_after", "overdue_grace", "criticality"]),
            Self::Assets => (&["id", "class"], &["name", "home_zone", "retired"]),
            Self::Tags => (&["epc", "asset"], &[]),
            Self::Trackers => (&["device", "asset"], &[]),
            Self::Sensors => (&["device"], &["asset", "zone"]),
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

/// The record of a row; `None` where there are problems with it. Not for checkouts.
pub fn record(kind: Kind, cells: &mut Cells<'_>) -> Option<Record> {
    match kind {
        Kind::Zones => zone(cells).map(Record::Zone),
        Kind::Classes => class(cells).map(Record::Class),
        Kind::Assets => asset(cells).map(Record::Asset),
        Kind::Tags => tag(cells).map(Record::Tag),
        Kind::Trackers => tracker(cells).map(Record::Tracker),
        Kind::Sensors => sensor(cells).map(Record::Sensor),
        Kind::Checkouts => None,
    }
}

fn zone(cells: &mut Cells<'_>) -> Option<Zone> {
    let (name, site) = (cells.id("name"), cells.id("site"));
    let coverage = cells.choice("coverage", &COVERAGES)?.unwrap_or_default();
    Some(Zone { name: ZoneId::new(name?), site: SiteId::new(site?), coverage })
}

fn class(cells: &mut Cells<'_>) -> Option<AssetClass> {
    let duration = |text: &str| parse_duration(text).ok_or("not a duration");
    let name = cells.id("name");
    let ghost_after = cells.parsed("ghost_after", DURATION_ALLOWED, |text| match duration(text) {
        Ok(after) if after.is_zero() => Err("must be more than 0s"),
        parsed => parsed,
    });
    let overdue_grace = cells.parsed("overdue_grace", DURATION_ALLOWED, duration);
    let criticality = cells.choice("criticality", &CRITICALITIES);
    Some(AssetClass {
        name: ClassId::new(name?),
        ghost_after: ghost_after?,
        overdue_grace: overdue_grace?,
        criticality: criticality?.unwrap_or_default(),
    })
}

fn asset(cells: &mut Cells<'_>) -> Option<Asset> {
    let (id, class) = (cells.id("id"), cells.id("class"));
    let flags = [("true", true), ("yes", true), ("1", true), ("false", false), ("no", false), ("0", false)];
    let retired = cells.choice("retired", &flags);
    let mut attributes = BTreeMap::new();
    for column in cells.columns_under(ATTRIBUTES) {
        if let Some(value) = cells.text(&column) {
            attributes.insert(column[ATTRIBUTES.len()..].to_owned(), value.to_owned());
        }
    }
    Some(Asset {
        id: AssetId::new(id?),
        class: ClassId::new(class?),
        name: cells.text("name").map(str::to_owned),
        home_zone: cells.text("home_zone").map(ZoneId::new),
        retired: retired?.unwrap_or(false),
        attributes,
    })
}

fn tag(cells: &mut Cells<'_>) -> Option<TagAttachment> {
    let asset = cells.id("asset");
    cells.id("epc");
    let allowed = "the EPC as hex digits, an even number, at most 124";
    let epc = cells.parsed("epc", allowed, |text| {
        // A spreadsheet takes a code of digits and one E for a number: 3.03E+23.
        let mangled = text.contains(['.', ',', '+']);
        Epc::from_hex(text).filter(|epc| epc.bits() > 0).ok_or(if mangled {
            "a spreadsheet made a number of it"
        } else {
            "not an EPC"
        })
    });
    Some(TagAttachment { epc: epc??, asset: AssetId::new(asset?) })
}

fn tracker(cells: &mut Cells<'_>) -> Option<TrackerAttachment> {
    let (device, asset) = (cells.id("device"), cells.id("asset"));
    Some(TrackerAttachment { device: DeviceId::new(device?), asset: AssetId::new(asset?) })
}

fn sensor(cells: &mut Cells<'_>) -> Option<SensorAttachment> {
    let device = cells.id("device");
    let (asset, zone) = (cells.text("asset").map(AssetId::new), cells.text("zone").map(ZoneId::new));
    if asset.is_some() == zone.is_some() {
        let wrong = if asset.is_some() { "asset and zone" } else { "neither asset nor zone" };
        cells.problem("device", wrong, "a sensor is attached to one asset or to one zone");
        return None;
    }
    Some(SensorAttachment { device: DeviceId::new(device?), asset, zone })
}

/// The checkout of a row.
pub fn checkout(cells: &mut Cells<'_>) -> Option<RawCheckout> {
    let (asset, holder) = (cells.id("asset"), cells.id("holder"));
    let note = cells.text("note").map(str::to_owned);
    Some(RawCheckout { asset: AssetId::new(asset?), holder: holder?.to_owned(), note })
}
