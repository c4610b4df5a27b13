//! A simulated month through the daemon's pure machine, graded against the truth.
//!
//! ```text
//! Month (simulators) ─ wire bytes, links, commands ─▶ Core (tallyman) ─ alert transitions ─▶ grade ─▶ table
//!        └───────────────────── truth ──────────────────────────────────────────────────────▶┘
//! ```
//! The one place that knows both crates. Time is an argument; state rows live in a map, from which the machine
//! is made anew after each time that the daemon was off.

mod company;
mod grade;
mod machine;
mod report;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use tallyman_simulators::month::{Month, Scenario};

pub use report::Report;

/// Where what happened, and what the machine made of it, go as JSON lines.
#[derive(Default)]
pub struct Files<'a> {
    pub truth: Option<&'a Path>,
    pub events: Option<&'a Path>,
}

/// Acts out one month and grades it.
pub fn run(scenario: &Scenario, seed: u64, files: &Files<'_>) -> anyhow::Result<Report> {
    let mut month = Month::new(scenario, seed);
    let config = company::config(month.company())?;
    let events = files.events.map(File::create).transpose()?;
    let mut machine = machine::Machine::new(config, company::register(month.company())?, events);
    for input in month.by_ref() {
        machine.take(input)?;
    }
    machine.finish(month.ends_us())?;
    let ends_us = month.ends_us();
    let truths = month.finish();
    if let Some(path) = files.truth {
        let mut file = BufWriter::new(File::create(path)?);
        truths.write(&mut file)?;
    }
    Ok(grade::grade(scenario, seed, &truths, &machine.said(), ends_us))
}

/// Grades the month as if no alert had ever been told.
#[allow(dead_code, reason = "the test of the grader asks for it, the table does not")]
pub fn run_untold(scenario: &Scenario, seed: u64) -> anyhow::Result<Report> {
    let mut month = Month::new(scenario, seed);
    month.by_ref().for_each(drop);
    let ends_us = month.ends_us();
    let hours = (ends_us - month.starts_us()) / 3_600_000_000;
    let at =
        |hour: i64| machine::Sample { at_us: month.starts_us() + hour * 3_600_000_000, ..Default::default() };
    let samples: Vec<machine::Sample> = (0..hours).map(at).collect();
    let said = machine::Said { told: &[], samples: &samples };
    Ok(grade::grade(scenario, seed, &month.finish(), &said, ends_us))
}
