//! What a reader is asked to do: with which antennas, how strong, when, and when it reports.

use std::time::Duration;

use super::MILLISECOND;
use crate::config::document::Section;
use crate::config::validate::HOUR;
use crate::domain::ids::Antenna;

/// What a reader is to do.
#[derive(Clone, Debug)]
pub struct RoSpecConfig {
    pub id: u32,
    /// Empty: every antenna of the reader.
    pub antennas: Vec<Antenna>,
    pub report: Report,
    /// `None` leaves the reader's own setting.
    pub power: Option<Power>,
    /// Of single antennas, in dBm, instead of `power`.
    pub antenna_power: Vec<(Antenna, f64)>,
    /// Index in the reader's own table of modes; `None` leaves the reader's own.
    pub mode: Option<u16>,
    /// Gen2 session and expected number of tags; `None` leaves the reader's own.
    pub session: Option<u8>,
    pub tag_population: Option<u16>,
    pub start: Start,
    pub stop: Stop,
    pub hold_on_disconnect: bool,
}

impl Default for RoSpecConfig {
    /// Reads all the time with every antenna, and reports each read.
    fn default() -> Self {
        Self {
            id: 1,
            antennas: Vec::new(),
            report: Report::Reads(1),
            power: None,
            antenna_power: Vec::new(),
            mode: None,
            session: None,
            tag_population: None,
            start: Start::Immediate,
            stop: Stop::Never,
            hold_on_disconnect: true,
        }
    }
}

/// When a report goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report {
    /// After so many tag reads; 0: only at the end of a round.
    Reads(u16),
    /// In rounds of this length.
    Interval(Duration),
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Power {
    /// In the reader's own table.
    Index(u16),
    Dbm(f64),
}

/// When reading begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    Immediate,
    /// Every `period`, first after `offset`.
    Periodic {
        period: Duration,
        offset: Duration,
    },
    Gpi(GpiTrigger),
}

/// When it ends, to begin anew as [`Start`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    Never,
    After(Duration),
    /// `timeout`: or after this long; zero: never.
    Gpi {
        trigger: GpiTrigger,
        timeout: Duration,
    },
}

impl Start {
    /// The input that it hangs on.
    pub fn input(&self) -> Option<u16> {
        match self {
            Self::Gpi(trigger) => Some(trigger.port),
            Self::Immediate | Self::Periodic { .. } => None,
        }
    }
}

impl Stop {
    /// The input that it hangs on.
    pub fn input(&self) -> Option<u16> {
        match self {
            Self::Gpi { trigger, .. } => Some(trigger.port),
            Self::Never | Self::After(_) => None,
        }
    }
}

/// An input of the reader changes to this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GpiTrigger {
    pub port: u16,
    pub high: bool,
}

pub(super) fn rospec(section: &Section<'_>) -> RoSpecConfig {
    let usual = RoSpecConfig::default();
    let allowed = "numbers of antenna ports, from 1";
    let antennas = section.list("antennas", allowed, |value| {
        let number = value.as_integer()?;
        let antenna = Antenna::from_str_radix(number.as_str(), number.radix()).ok()?;
        (antenna > 0).then_some(antenna)
    });
    let antennas = antennas.unwrap_or_default();
    let (start, stop) = (start(section), stop(section));
    if start != Start::Immediate && stop == Stop::Never {
        // It would begin once and never again, and what is reported at its end never.
        section.problem("stop", "never, and reading starts by time or input", "write when a run ends");
    }
    RoSpecConfig {
        id: section.integer("rospec_id", 1..=i64::from(u32::MAX)).unwrap_or(usual.id),
        report: report(section, start == Start::Immediate && stop == Stop::Never),
        power: power(section),
        antenna_power: antenna_power(section, &antennas),
        mode: section.integer("mode", 0..=65_535),
        session: section.integer("session", 0..=3),
        tag_population: section.integer("tag_population", 1..=65_535),
        hold_on_disconnect: section.flag("hold_on_disconnect").unwrap_or(usual.hold_on_disconnect),
        antennas,
        start,
        stop,
    }
}

fn report(section: &Section<'_>, continuous: bool) -> Report {
    let every = section.integer("report_every", 0..=65_535).map(Report::Reads);
    let interval = section.duration("report_interval", 50 * MILLISECOND..=HOUR).map(Report::Interval);
    if section.has("report_every") && section.has("report_interval") {
        section.problem("report_interval", "given, and report_every too", "one of the two");
    }
    if section.has("report_interval") && !continuous {
        section.problem(
            "report_interval",
            "given, and reading starts or stops by itself too",
            "with a stop, report_every = 0 reports at the end of each run",
        );
    }
    interval.or(every).unwrap_or(Report::Reads(1))
}

/// What readers may be told, in dBm: beyond, it is a mistake of units.
const POWER_DBM: std::ops::RangeInclusive<f64> = -10.0..=40.0;

fn power(section: &Section<'_>) -> Option<Power> {
    let index = section.integer("transmit_power_index", 0..=65_535).map(Power::Index);
    let dbm = section.number("power_dbm", POWER_DBM).map(Power::Dbm);
    if section.has("transmit_power_index") && section.has("power_dbm") {
        section.problem("power_dbm", "given, and transmit_power_index too", "one of the two");
    }
    dbm.or(index)
}

fn antenna_power(section: &Section<'_>, used: &[Antenna]) -> Vec<(Antenna, f64)> {
    let mut powers: Vec<(Antenna, f64)> = Vec::new();
    for table in section.tables("antenna_power") {
        let antenna = table.integer("antenna", 1..=i64::from(Antenna::MAX));
        let antenna: Option<Antenna> = table.need("antenna", antenna, "the number of an antenna port");
        let dbm = table.need("dbm", table.number("dbm", POWER_DBM), "its power in dBm");
        if let Some(antenna) = antenna {
            if !used.is_empty() && !used.contains(&antenna) {
                table.problem("antenna", "not one of antennas", "an antenna that is used");
            }
            if powers.iter().any(|(known, _)| *known == antenna) {
                table.problem("antenna", "given twice", "each antenna once");
            }
        }
        table.finish();
        powers.extend(antenna.zip(dbm));
    }
    powers.sort_by_key(|(antenna, _)| *antenna);
    powers
}

fn start(section: &Section<'_>) -> Start {
    let Some(table) = section.table("start") else { return Start::Immediate };
    let period = table.duration("every", 10 * MILLISECOND..=24 * HOUR);
    let offset = table.duration("offset", Duration::ZERO..=24 * HOUR).unwrap_or_default();
    let gpi = gpi(&table);
    one_of(&table, "every", "gpi");
    goes_with(&table, "offset", "every");
    goes_with(&table, "high", "gpi");
    table.finish();
    match (period, gpi) {
        (Some(period), _) => Start::Periodic { period, offset },
        (None, Some(trigger)) => Start::Gpi(trigger),
        (None, None) => Start::Immediate,
    }
}

fn stop(section: &Section<'_>) -> Stop {
    let Some(table) = section.table("stop") else { return Stop::Never };
    let after = table.duration("after", 10 * MILLISECOND..=24 * HOUR);
    let timeout = table.duration("timeout", Duration::ZERO..=24 * HOUR).unwrap_or_default();
    let gpi = gpi(&table);
    one_of(&table, "after", "gpi");
    goes_with(&table, "high", "gpi");
    goes_with(&table, "timeout", "gpi");
    table.finish();
    match (after, gpi) {
        (Some(after), _) => Stop::After(after),
        (None, Some(trigger)) => Stop::Gpi { trigger, timeout },
        (None, None) => Stop::Never,
    }
}

fn gpi(table: &Section<'_>) -> Option<GpiTrigger> {
    let port = table.integer("gpi", 1..=65_535);
    let high = table.flag("high").unwrap_or(true);
    port.map(|port| GpiTrigger { port, high })
}

fn one_of(table: &Section<'_>, one: &str, other: &str) {
    match (table.has(one), table.has(other)) {
        (true, true) => table.problem(other, format!("given, and {one} too"), "one of the two"),
        (false, false) => table.problem(one, format!("missing, and {other} too"), "write one of the two"),
        _ => {}
    }
}

/// `key` says more of `other`, and nothing without it.
fn goes_with(table: &Section<'_>, key: &str, other: &str) {
    if table.has(key) && !table.has(other) {
        table.problem(key, format!("given, and no {other}"), format!("it goes with {other}"));
    }
}
