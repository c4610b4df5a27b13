//! The way back: records as rows of the files that are imported. A record that would not come back from its
//! row as it is (a name with spaces around it, a zone whose name holds the separator of lists) is refused;
//! JSON has no such limits.

use std::collections::BTreeSet;

use super::problem::{Cells, Sheet};
use super::tables::{ATTRIBUTES, Kind, record};
use crate::config::{COVERAGES, CRITICALITIES, HANDOVERS, RETURNS};
use crate::domain::register::{
    Asset, AssetClass, Attachable, Attachment, Carrier, ClassLimit, Maintained, Maintenance, Person, Record,
    Site, Utilisation, Zone,
};

/// The file that a record goes into.
pub fn kind_of(record: &Record) -> Kind {
    match record {
        Record::Site(_) => Kind::Sites,
        Record::Zone(_) => Kind::Zones,
        Record::Class(_) => Kind::Classes,
        Record::Person(_) => Kind::People,
        Record::Asset(_) => Kind::Assets,
        Record::Tag(_) => Kind::Tags,
        Record::Tracker(_) => Kind::Trackers,
        Record::Sensor(_) => Kind::Sensors,
        Record::Maintenance(_) => Kind::Maintenance,
    }
}

/// The header of a file; `attributes` are the names of assets' free attributes.
pub fn header(kind: Kind, attributes: &BTreeSet<String>) -> Vec<String> {
    let (needed, more) = kind.columns();
    // `retired` is how earlier lists say it.
    let columns = needed.iter().chain(more).filter(|column| **column != "retired").map(|c| (*c).to_owned());
    let attributes = attributes.iter().filter(|_| kind == Kind::Assets);
    columns.chain(attributes.map(|name| format!("{ATTRIBUTES}{name}"))).collect()
}

/// A record as a row under its header.
///
/// # Errors
/// It would not come back as it is.
pub fn row(written: &Record, header: &[String]) -> Result<Vec<String>, String> {
    let cells = cells(written);
    let cell = |column: &String| {
        let found = cells.iter().find(|(name, _)| name == column);
        found.map(|(_, text)| text.clone()).unwrap_or_default()
    };
    let row: Vec<String> = header.iter().map(cell).collect();
    let sheet = Sheet { file: String::new(), header: header.to_vec(), json: false };
    let mut problems = Vec::new();
    let trimmed: Vec<String> = row.iter().map(|cell| cell.trim().to_owned()).collect();
    let read = record(kind_of(written), &mut Cells::new(&sheet, 1, &trimmed, &mut problems));
    match read.as_ref() == Some(written) && problems.is_empty() {
        true => Ok(row),
        false => Err(format!(
            "{} {} cannot be told in CSV as it is (spaces, separators or fractions in it); use --format json",
            written.table(),
            written.key()
        )),
    }
}

type Row = Vec<(String, String)>;

fn cells(record: &Record) -> Row {
    let mut row = Row::new();
    match record {
        Record::Site(site) => site_cells(site, &mut row),
        Record::Zone(Zone { name, site, coverage }) => {
            put(&mut row, "name", name);
            put(&mut row, "site", site);
            put(&mut row, "coverage", word(&COVERAGES, coverage));
        }
        Record::Class(class) => class_cells(class, &mut row),
        Record::Person(Person { id, name, team, site }) => {
            put(&mut row, "id", id);
            maybe(&mut row, "name", name.as_ref());
            maybe(&mut row, "team", team.as_ref());
            maybe(&mut row, "site", site.as_ref());
        }
        Record::Asset(asset) => asset_cells(asset, &mut row),
        Record::Tag(tag) => attachment_cells(tag, &mut row),
        Record::Tracker(attachment) | Record::Sensor(attachment) => attachment_cells(attachment, &mut row),
        Record::Maintenance(planned) => maintenance_cells(planned, &mut row),
    }
    row
}

fn site_cells(site: &Site, row: &mut Row) {
    put(row, "name", &site.name);
    put(row, "timezone", site.timezone.iana_name().unwrap_or("UTC"));
    maybe(row, "working_hours", site.calendar.working_hours.as_ref());
    put(row, "holidays", joined(&site.calendar.holidays));
}

fn class_cells(class: &AssetClass, row: &mut Row) {
    put(row, "name", &class.name);
    for (column, duration) in [
        ("ghost_after", class.ghost_after),
        ("ghost_after_in_maintenance", class.ghost_after_in_maintenance),
        ("overdue_grace", class.overdue_grace),
        ("tracker_silent_after", class.tracker_silent_after),
        ("idle_after", class.idle_after),
        ("inspect_every", class.inspect_every),
        ("audit_every", class.audit_every),
    ] {
        maybe(row, column, duration.map(duration_text).as_ref());
    }
    put(row, "criticality", word(&CRITICALITIES, &class.criticality));
    maybe(row, "low_battery_percent", class.low_battery_percent.as_ref());
    let utilisation = match &class.utilisation {
        Utilisation::Movement => "movement".to_owned(),
        Utilisation::Custody => "custody".to_owned(),
        Utilisation::Sensor(point) => format!("sensor:{point}"),
    };
    put(row, "utilisation", utilisation);
    put(row, "inspect_on_return", class.inspect_on_return);
    put(row, "returns", word(&RETURNS, &class.returns));
    put(row, "handover", word(&HANDOVERS, &class.handover));
    put(row, "needs_checkout", class.needs_checkout);
    put(row, "vehicle", class.vehicle);
    put(row, "allowed_zones", joined(&class.allowed_zones));
    put(row, "needs", joined(&class.needs));
    limits_cell(&class.limits, row);
}

/// The derived form of a list of numbers and names cannot fail.
fn limits_cell(limits: &[ClassLimit], row: &mut Row) {
    let limits = (!limits.is_empty()).then(|| serde_json::to_string(limits).unwrap_or_default());
    maybe(row, "limits", limits.as_ref());
}

fn asset_cells(asset: &Asset, row: &mut Row) {
    put(row, "id", &asset.id);
    put(row, "class", &asset.class);
    maybe(row, "name", asset.name.as_ref());
    maybe(row, "home_zone", asset.home_zone.as_ref());
    put(row, "lifecycle", asset.lifecycle.as_str());
    maybe(row, "part_of", asset.part_of.as_ref());
    if let Some(details) = &asset.details {
        maybe(row, "number", details.number.as_ref());
        maybe(row, "owner", details.owner.as_ref());
        maybe(row, "cost_centre", details.cost_centre.as_ref());
        maybe(row, "acquired_on", details.acquired_on.as_ref());
        maybe(row, "warranty_until", details.warranty_until.as_ref());
        maybe(row, "retired_on", details.retired_on.as_ref());
        limits_cell(&details.limits, row);
    }
    for (name, value) in &asset.attributes {
        put(row, &format!("{ATTRIBUTES}{name}"), value);
    }
}

fn attachment_cells<K: Attachable>(attachment: &Attachment<K>, row: &mut Row) {
    put(row, K::FIELD, &attachment.key);
    match &attachment.carrier {
        Carrier::Asset(asset) => put(row, "asset", asset),
        Carrier::Person(person) => put(row, "person", person),
        Carrier::Zone(zone) => put(row, "zone", zone),
    }
    maybe(row, "from", attachment.from.as_ref());
    maybe(row, "to", attachment.to.as_ref());
}

fn maintenance_cells(planned: &Maintenance, row: &mut Row) {
    put(row, "name", &planned.name);
    match &planned.of {
        Maintained::Source(source) => put(row, "source", source),
        Maintained::ReadPoint(point) => put(row, "read_point", point),
        Maintained::Zone(zone) => put(row, "zone", zone),
        Maintained::Site(site) => put(row, "site", site),
    }
    put(row, "from", planned.from);
    put(row, "to", planned.to);
    maybe(row, "reason", planned.reason.as_ref());
}

fn put(row: &mut Row, column: &str, value: impl ToString) {
    row.push((column.to_owned(), value.to_string()));
}

fn maybe<T: ToString>(row: &mut Row, column: &str, value: Option<&T>) {
    row.extend(value.map(|value| (column.to_owned(), value.to_string())));
}

fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word)
}

fn joined<T: ToString>(list: impl IntoIterator<Item = T>) -> String {
    list.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join("|")
}

/// In the largest unit that says it whole.
fn duration_text(duration: std::time::Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let whole = units.into_iter().find(|(size, _)| millis > 0 && millis.is_multiple_of(*size));
    whole.map_or(format!("{millis}ms"), |(size, unit)| format!("{}{unit}", millis / size))
}
