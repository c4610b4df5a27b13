//! A simulated month of a company, graded against the truth; prints a table.
//!
//! `cargo bench --bench month -- [--scenario FILE] [--seed N] [--days D] [--json FILE] [--truth FILE]
//! [--events FILE]`
//!
//! Exit code 1 where a goal is missed. A scenario is written as `simulators/scenarios/month.toml` explains.

#[path = "../tests/month/mod.rs"]
mod month;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use tallyman_simulators::month::Scenario;

#[derive(Parser)]
struct Arguments {
    /// The company; default: five thousand assets at two sites.
    #[arg(long)]
    scenario: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Instead of the scenario's own.
    #[arg(long)]
    days: Option<u32>,
    /// Where the grades go as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where the truth goes, as JSON lines.
    #[arg(long)]
    truth: Option<PathBuf>,
    /// Where every event that was made goes, as JSON lines.
    #[arg(long)]
    events: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut scenario = match &arguments.scenario {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            Scenario::parse(&text).with_context(|| format!("in {}", path.display()))?
        }
        None => Scenario::month(),
    };
    scenario.days = arguments.days.unwrap_or(scenario.days);
    let began = Instant::now();
    let files = month::Files { truth: arguments.truth.as_deref(), events: arguments.events.as_deref() };
    let report = month::run(&scenario, arguments.seed, &files)?;
    println!("{report}acted out in {:.0} s", began.elapsed().as_secs_f64());
    if let Some(path) = arguments.json {
        std::fs::write(&path, serde_json::to_vec_pretty(&report)?)?;
    }
    let failures = report.failures();
    if failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("not met: {}", failures.join(", "));
    Ok(ExitCode::FAILURE)
}
