//! Simulated zones through the daemon's core and through baselines, graded against the truth; prints a table. Its rows
//! `moves known` are of one that is told when each tag was carried: what mean signals say at most.
//!
//! `cargo bench --bench zones -- [--seeds N] [--from SEED] [--only NAME] [--scenario FILE]… [--ours]`
//!
//! Exit code 1 where a goal is missed. A scenario is written as
//! `simulators/scenarios/zones/standard/rooms.toml` explains. The accuracy is one of a simulator.

mod chosen;
#[path = "../tests/baselines/mod.rs"]
mod peers;
#[path = "../tests/zones/mod.rs"]
mod zones;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use chosen::Chosen;
use clap::Parser;
use zones::Judge;

const SEEDS: u64 = 5;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    chosen: Chosen,
    /// Without the baselines.
    #[arg(long)]
    ours: bool,
}

fn main() -> Result<ExitCode> {
    let Arguments { chosen, ours } = Arguments::parse();
    let began = Instant::now();
    let judges: &[Judge] = if ours { &[Judge::Ours] } else { &Judge::ALL };
    let (scenarios, seeds) = (chosen.scenarios()?, chosen.seeds(SEEDS));
    let report = zones::grade(&scenarios, seeds.clone(), judges)?;
    println!("{report}");
    let took_s = began.elapsed().as_secs_f64();
    println!("{} scenarios × {} seeds in {took_s:.0} s", scenarios.len(), seeds.count());
    let failures = report.failures();
    if failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("not met:\n  {}", failures.join("\n  "));
    Ok(ExitCode::FAILURE)
}
