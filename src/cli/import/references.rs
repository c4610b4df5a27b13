//! What rows of an import mean together, and beside what is there already. What the daemon will check
//! again is checked by its own check, so that each fault gets a line and a column before anything is sent;
//! the times of checkouts are read here, where the site's clock is known.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::parse::{Import, Known, Parsed, Place, TimelessCheckout};
use super::problem::{ImportProblem, Sheet};
use super::tables::{Kind, RawCheckout};
use crate::config::times::{TimeFault, parse_due, parse_time};
use crate::domain::register::{Asset, Checkout, Record, Site};
use crate::domain::time::Timestamp;
use crate::track::{Register, Staged, faults};

type Placed = (Kind, Place, Record);

pub(super) fn check(parsed: Parsed, known: &Known<'_>, problems: &mut Vec<ImportProblem>) -> Import {
    let Parsed { sheets, mut records, checkouts } = parsed;
    records.sort_by_key(|(kind, place, _)| (*kind, *place));
    let (places, records): (Vec<Place>, Vec<Record>) =
        records.into_iter().map(|(_, place, record): Placed| (place, record)).unzip();
    let mut register = Register::new(known.rules);
    known.register.values().for_each(|record| register.hold(record.clone()));
    for fault in faults(&register, &records) {
        let place = places[fault.index];
        let first = fault.repeats.map(|first| places[first]);
        let wrong = first.map(|at| format!("there twice, first at {}:{}", sheets[at.sheet].file, at.line));
        let row = &mut RowCheck { sheet: &sheets[place.sheet], line: place.line, problems };
        row.problem(fault.field, fault.value, wrong.unwrap_or(fault.wrong), fault.allowed);
    }
    retired(&records, &places, &sheets, known, problems);
    let staged = Staged::new(&register, &records);
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
        checked.extend(check_checkout(checkout, &staged, &register, known, row));
    }
    Import { records, checkouts: checked }
}

const ONCE: &str = "each only once";

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

/// What is checked out is not retired.
fn retired(
    records: &[Record],
    places: &[Place],
    sheets: &[Sheet],
    known: &Known<'_>,
    problems: &mut Vec<ImportProblem>,
) {
    for (record, place) in records.iter().zip(places) {
        let Record::Asset(asset) = record else { continue };
        if let Some(held) = known.held.get(&asset.id).filter(|_| asset.is_retired()) {
            let row = &mut RowCheck { sheet: &sheets[place.sheet], line: place.line, problems };
            let wrong = format!("checked out to {}", held.holder);
            row.problem("id", &asset.id, wrong, "check it in before it is retired");
        }
    }
}

fn check_checkout(
    told: TimelessCheckout,
    staged: &Staged<'_>,
    register: &Register,
    known: &Known<'_>,
    row: &mut RowCheck<'_>,
) -> Option<Checkout> {
    let RawCheckout { asset: id, holder, note } = told.checkout;
    let Some(asset) = staged.asset(&id) else {
        let allowed = "import it beside this, or write the id of one that is there";
        row.problem("asset", &id, "there is no such asset", allowed);
        return None;
    };
    if asset.is_retired() {
        row.problem("asset", &id, "retired", "a retired asset is not checked out");
    }
    let site = site(asset, staged, register);
    let timezone = site.map(|site| &site.timezone);
    let due_back = time("due_back", told.due_back, timezone, row, |text| parse_due(text, known.now, site));
    let held = known.held.get(&id);
    let same_holder = held.filter(|held| held.holder == holder);
    let checked_out_at =
        time("checked_out_at", told.checked_out_at, timezone, row, |text| parse_time(text, timezone))?
            .or_else(|| same_holder.map(|held| held.checked_out_at))
            .unwrap_or(known.now);
    if checked_out_at > known.now {
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
    Some(Checkout { asset: id, holder, checked_out_at, due_back, note, waived: Vec::new() })
}

/// Of the asset's home zone, or the only one.
fn site<'a>(asset: &Asset, staged: &'a Staged<'_>, register: &'a Register) -> Option<&'a Site> {
    match asset.home_zone.as_ref().and_then(|zone| staged.site_of_zone(zone)) {
        Some(site) => staged.site(site),
        None => register.only_site(),
    }
}

/// `Some(None)`: nothing is told; `None`: there is a problem.
fn time(
    column: &str,
    text: Option<String>,
    timezone: Option<&TimeZone>,
    row: &mut RowCheck<'_>,
    parse: impl Fn(&str) -> Result<Timestamp, TimeFault>,
) -> Option<Option<Timestamp>> {
    let Some(text) = text else { return Some(None) };
    match parse(&text) {
        Ok(time) => Some(Some(time)),
        Err(fault) => {
            let (wrong, allowed) = fault.in_words(timezone);
            row.problem(column, text, wrong, allowed);
            None
        }
    }
}
