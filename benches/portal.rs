//! Simulated portals through cleaning and through baselines, graded against the truth; prints a table.
//!
//! `cargo bench --bench portal -- [--seeds N] [--from SEED] [--only NAME] [--scenario FILE]… [--ours] [--drawn N]`
//!
//! Exit code 1 where a goal is missed. A scenario is written as
//! `simulators/scenarios/portal/standard/one_pallet.toml` explains. The accuracy is one of a simulator.

#[path = "../tests/portal/mod.rs"]
mod portal;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use portal::{Judge, report::Drawn};
use tallyman_simulators::portal::Scenario;

#[derive(Parser)]
struct Arguments {
    /// Seeds of each scenario.
    #[arg(long, default_value_t = 40)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1000)]
    from: u64,
    /// Only scenarios with this in their name.
    #[arg(long)]
    only: Option<String>,
    /// Other scenarios than those that come with the simulators; more than once.
    #[arg(long)]
    scenario: Vec<PathBuf>,
    /// Without the baselines.
    #[arg(long)]
    ours: bool,
    /// So many drawn scenarios instead, of doors with two rows of antennas and of doors with one.
    #[arg(long)]
    drawn: Option<u64>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut scenarios = if arguments.scenario.is_empty() { Scenario::all()? } else { Vec::new() };
    for path in &arguments.scenario {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        scenarios.push(Scenario::parse(&text).with_context(|| format!("in {}", path.display()))?);
    }
    if let Some(only) = &arguments.only {
        scenarios.retain(|scenario| scenario.name.contains(only));
    }
    let began = Instant::now();
    let judges: &[Judge] = if arguments.ours { &[Judge::Ours] } else { &Judge::ALL };
    if let Some(drawn) = arguments.drawn {
        let numbers = arguments.from..arguments.from + drawn;
        println!("{}", Drawn(&[2, 1].map(|rows| portal::grade_drawn(numbers.clone(), rows, judges))));
        return Ok(ExitCode::SUCCESS);
    }
    let report = portal::grade(&scenarios, arguments.from..arguments.from + arguments.seeds, judges);
    println!("{report}");
    println!("first/last antenna on the standard suite: {:.3} of the assets right", report.first_last());
    println!(
        "{} scenarios × {} seeds in {:.0} s",
        scenarios.len(),
        arguments.seeds,
        began.elapsed().as_secs_f64()
    );
    for (what, told) in [("too kind", report.too_kind()), ("not met", report.failures())] {
        if !told.is_empty() {
            println!("{what}:\n  {}", told.join("\n  "));
        }
    }
    Ok(if report.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
