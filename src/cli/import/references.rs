//! What rows of an import mean together, and beside what is there already: names resolve, nothing is
//! there twice or attached twice, times are the right way round.
//!
//! The daemon checks all of it again when the import reaches it; here it gets a line and a column.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::parse::{Import, Known, Parsed, Place, TimelessCheckout};
use super::problem::{ImportProblem, Sheet, no_such};
use super::tables::Kind;
use super::times::parse_time;
use crate::domain::ids::{AssetId, SiteId, ZoneId};
use crate::domain::register::{Asset, Checkout, Record};
use crate::domain::time::Timestamp;

type Placed = (Kind, Place, Record);

pub(super) fn check(parsed: Parsed, known: &Known<'_>, problems: &mut Vec<ImportProblem>) -> Import {
    let Parsed { sheets, mut records, checkouts } = parsed;
    records.sort_by_key(|(kind, place, _)| (*kind, *place));
    let staged = Staged::new(&records, known, &sheets, problems);
    for (_, place, record) in &records {
        let row = &mut RowCheck { sheet: &sheets[place.sheet], line: place.line, problems };
        staged.check_record(record, row);
    }
    let mut first_lines = HashMap::new();
    let mut checked = Vec::with_capacity(checkouts.len());
    for checkout in checkouts {
        let place = checkout.place;
        let row = &mut RowCheck { sheet: &sheets[place.sheet], line: place.line, problems };
        let asset = &checkout.checkout.asset;
        match first_lines.get(asset) {
            Some(first) => row.problem("asset", asset, format!("there twice, first in line {first}"), ONCE),
            None => {
                first_lines.insert(asset.clone(), place.line);
            }
        }
        checked.extend(staged.check_checkout(checkout, row));
    }
    Import { records: records.into_iter().map(|(_, _, record)| record).collect(), checkouts: checked }
}

const ONCE: &str = "each only once";
const IN_CONFIG: &str = "change it there";

/// The row at hand.
struct RowCheck<'a> {
    sheet: &'a Sheet,
    line: usize,
    problems: &'a mut Vec<ImportProblem>,
}

impl RowCheck<'_> {
    fn problem(
        &mut self,
        column: &str,
        value: impl ToString,
        wrong: impl Into<String>,
        allowed: impl Into<String>,
    ) {
        let value = value.to_string();
        self.problems.push(self.sheet.problem(self.line, column, Some(&value), wrong, allowed));
    }
}

/// The register as it will be.
struct Staged<'a> {
    known: &'a Known<'a>,
    records: &'a [Placed],
    /// Index of a table's key in `records`. For look-up only.
    by_key: HashMap<(&'static str, String), usize>,
}

impl<'a> Staged<'a> {
    fn new(
        records: &'a [Placed],
        known: &'a Known<'a>,
        sheets: &[Sheet],
        problems: &mut Vec<ImportProblem>,
    ) -> Self {
        let mut by_key = HashMap::with_capacity(records.len());
        for (index, (_, place, record)) in records.iter().enumerate() {
            let first = *by_key.entry((record.table(), record.key())).or_insert(index);
            if first != index {
                let at = records[first].1;
                let wrong = format!("there twice, first at {}:{}", sheets[at.sheet].file, at.line);
                let row = &mut RowCheck { sheet: &sheets[place.sheet], line: place.line, problems };
                row.problem(key_column(record), record.key(), wrong, ONCE);
            }
        }
        Self { known, records, by_key }
    }

    fn record(&self, table: &'static str, key: &str) -> Option<&'a Record> {
        let staged = self.by_key.get(&(table, key.to_owned())).map(|index| &self.records[*index].2);
        staged.or_else(|| self.known.register.get(&format!("{table}/{key}")))
    }

    fn asset(&self, id: &AssetId) -> Option<&'a Asset> {
        match self.record("asset", id.as_str()) {
            Some(Record::Asset(asset)) => Some(asset),
            _ => None,
        }
    }

    fn site_of(&self, zone: &ZoneId) -> Option<&'a SiteId> {
        let configured = self.known.rules.zones.iter().find(|known| known.name == *zone);
        match self.record("zone", zone.as_str()) {
            _ if configured.is_some() => configured.map(|zone| &zone.site),
            Some(Record::Zone(zone)) => Some(&zone.site),
            _ => None,
        }
    }

    fn check_record(&self, record: &Record, row: &mut RowCheck<'_>) {
        let rules = self.known.rules;
        match record {
            Record::Zone(zone) => {
                if rules.zones.iter().any(|known| known.name == zone.name) {
                    row.problem("name", &zone.name, "the configuration declares this zone", IN_CONFIG);
                }
                if !rules.sites.iter().any(|site| site.name == zone.site) {
                    let sites = rules.sites.iter().map(|site| site.name.as_str());
                    let (wrong, _) = no_such("site", zone.site.as_str(), sites.clone());
                    let sites: Vec<&str> = sites.collect();
                    row.problem("site", &zone.site, wrong, format!("there are: {}", sites.join(", ")));
                }
            }
            Record::Class(class) => {
                if rules.classes.iter().any(|known| known.name == class.name) {
                    row.problem("name", &class.name, "the configuration declares this class", IN_CONFIG);
                }
            }
            Record::Asset(asset) => self.check_asset(asset, row),
            Record::Tag(tag) => self.check_attached(record, &tag.asset, row),
            Record::Tracker(tracker) => self.check_attached(record, &tracker.asset, row),
            Record::Sensor(sensor) => {
                if let Some(asset) = &sensor.asset {
                    self.check_carrier(record, asset, row);
                }
                if let Some(zone) = &sensor.zone {
                    self.check_zone("zone", zone, row);
                }
            }
        }
    }

    fn check_asset(&self, asset: &Asset, row: &mut RowCheck<'_>) {
        let rules = self.known.rules;
        let class = asset.class.as_str();
        let configured = rules.classes.iter().any(|known| known.name == asset.class);
        if !configured && self.record("class", class).is_none() {
            let configured = rules.classes.iter().map(|class| class.name.to_string());
            let known: Vec<String> = self.keys("class").into_iter().chain(configured).collect();
            let (wrong, allowed) = no_such("class", class, known.iter().map(String::as_str));
            row.problem("class", class, wrong, allowed);
        }
        if let Some(zone) = &asset.home_zone {
            self.check_zone("home_zone", zone, row);
        }
        if let Some(held) = self.known.held.get(&asset.id).filter(|_| asset.retired) {
            let wrong = format!("checked out to {}", held.holder);
            row.problem("id", &asset.id, wrong, "check it in before it is retired");
        }
    }

    fn check_zone(&self, column: &str, zone: &ZoneId, row: &mut RowCheck<'_>) {
        if self.site_of(zone).is_none() {
            let configured = self.known.rules.zones.iter().map(|zone| zone.name.to_string());
            let known: Vec<String> = self.keys("zone").into_iter().chain(configured).collect();
            let (wrong, allowed) = no_such("zone", zone.as_str(), known.iter().map(String::as_str));
            row.problem(column, zone, wrong, allowed);
        }
    }

    /// Some of the keys of a small table, to guess from what a mistyped one meant.
    fn keys(&self, table: &'static str) -> Vec<String> {
        /// A guess among more than this takes longer than it is worth.
        const GUESSES: usize = 200;
        let staged = self.records.iter().map(|(_, _, record)| record);
        let registered = self.known.register.range(format!("{table}/")..format!("{table}0"));
        let all = staged.filter(|record| record.table() == table).chain(registered.map(|(_, record)| record));
        all.take(GUESSES).map(Record::key).collect()
    }

    /// A tag or tracker moves from one asset to another only by being taken off first.
    fn check_attached(&self, record: &Record, asset: &AssetId, row: &mut RowCheck<'_>) {
        let held = match self.known.register.get(&record.state_key()) {
            Some(Record::Tag(tag)) => Some(&tag.asset),
            Some(Record::Tracker(tracker)) => Some(&tracker.asset),
            _ => None,
        };
        match held.filter(|held| *held != asset) {
            Some(held) => {
                let wrong = format!("attached to asset {held:?}");
                row.problem(key_column(record), record.key(), wrong, "remove it there first");
            }
            None => self.check_carrier(record, asset, row),
        }
    }

    fn check_carrier(&self, record: &Record, asset: &AssetId, row: &mut RowCheck<'_>) {
        let unchanged = self.known.register.get(&record.state_key()) == Some(record);
        match self.asset(asset) {
            None => row.problem("asset", asset, "there is no such asset", IMPORT_ASSET),
            Some(carrier) if carrier.retired && !unchanged => {
                row.problem("asset", asset, "retired", "nothing is attached to a retired asset");
            }
            Some(_) => {}
        }
    }

    fn check_checkout(&self, told: TimelessCheckout, row: &mut RowCheck<'_>) -> Option<Checkout> {
        let super::tables::RawCheckout { asset: id, holder, note } = told.checkout;
        let Some(asset) = self.asset(&id) else {
            row.problem("asset", &id, "there is no such asset", IMPORT_ASSET);
            return None;
        };
        if asset.retired {
            row.problem("asset", &id, "retired", "a retired asset is not checked out");
        }
        let timezone = self.timezone(asset);
        let due_back = time("due_back", told.due_back, timezone, row);
        let held = self.known.held.get(&id);
        let same_holder = held.filter(|held| held.holder == holder);
        let checked_out_at = time("checked_out_at", told.checked_out_at, timezone, row)?
            .or_else(|| same_holder.map(|held| held.checked_out_at))
            .unwrap_or(self.known.now);
        if checked_out_at > self.known.now {
            row.problem("checked_out_at", checked_out_at, "in the future", "a time that has been");
        }
        let due_back = due_back?;
        if let Some(due) = due_back.filter(|due| *due <= checked_out_at) {
            let wrong = format!("not after {checked_out_at}, when it is checked out");
            let allowed = "a later time; checked_out_at says since when it is out";
            row.problem("due_back", due, wrong, allowed);
        }
        // An older row may tell of a checkout that is long over: the daemon knows.
        let other = |held: &&Checkout| (&held.holder, held.checked_out_at) != (&holder, checked_out_at);
        if let Some(held) = held.filter(|held| checked_out_at >= held.checked_out_at).filter(other) {
            let wrong = format!("checked out to {} since {}", held.holder, held.checked_out_at);
            row.problem("asset", &id, wrong, "check it in first");
        }
        Some(Checkout { asset: id, holder, checked_out_at, due_back, note })
    }

    /// Of the asset's home zone, or of the only site.
    fn timezone(&self, asset: &Asset) -> Option<&'a TimeZone> {
        let sites = &self.known.rules.sites;
        let site = match asset.home_zone.as_ref().and_then(|zone| self.site_of(zone)) {
            Some(home) => sites.iter().find(|site| site.name == *home),
            None => sites.first().filter(|_| sites.len() == 1),
        };
        site.map(|site| &site.timezone)
    }
}

const IMPORT_ASSET: &str = "import it beside this, or write the id of one that is there";

/// `Some(None)`: nothing is told; `None`: there is a problem.
fn time(
    column: &str,
    text: Option<String>,
    timezone: Option<&TimeZone>,
    row: &mut RowCheck<'_>,
) -> Option<Option<Timestamp>> {
    let Some(text) = text else { return Some(None) };
    match parse_time(&text, timezone) {
        Ok(time) => Some(Some(time)),
        Err(fault) => {
            let (wrong, allowed) = fault.in_words(timezone);
            row.problem(column, text, wrong, allowed);
            None
        }
    }
}

/// The column that a record's key stands in.
fn key_column(record: &Record) -> &'static str {
    match record {
        Record::Zone(_) | Record::Class(_) => "name",
        Record::Asset(_) => "id",
        Record::Tag(_) => "epc",
        Record::Tracker(_) | Record::Sensor(_) => "device",
    }
}
