//! Simulated processes through cleaning, graded against the truth; prints a table.
//!
//! `cargo bench --bench processes -- [--seeds N] [--from SEED] [--only NAME] [--scenario FILE]…`
//!
//! Exit code 1 where a goal is missed. A scenario is written as `simulators/scenarios/processes/cold_room.toml` explains. The
//! accuracy is one of a simulator.

#[path = "../tests/processes/mod.rs"]
mod processes;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use tallyman_simulators::processes::Scenario;

#[derive(Parser)]
struct Arguments {
    /// Seeds of each scenario.
    #[arg(long, default_value_t = 5)]
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
    let report = processes::grade(&scenarios, arguments.from..arguments.from + arguments.seeds);
    println!("{report}");
    println!(
        "{} scenarios × {} seeds in {:.0} s",
        scenarios.len(),
        arguments.seeds,
        began.elapsed().as_secs_f64()
    );
    for failure in report.failures() {
        println!("not met: {failure}");
    }
    Ok(if report.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
