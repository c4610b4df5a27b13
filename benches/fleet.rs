//! A simulated fleet through cleaning and through a baseline, graded against the truth; prints a table.
//!
//! `cargo bench --bench fleet -- [--seeds N] [--from SEED] [--only NAME] [--explain] [--scenario FILE]…`
//!
//! Exit code 1 where a goal is missed. A scenario is written as `simulators/scenarios/fleet/town.toml` explains. The
//! accuracy is one of a simulator.

mod chosen;
#[path = "../tests/fleet/mod.rs"]
mod fleet;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use chosen::Chosen;
use clap::Parser;

const SEEDS: u64 = 5;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    chosen: Chosen,
    /// Tells each visit that was spurious or missed, and each trip that was missed or whose length is off by a tenth.
    #[arg(long)]
    explain: bool,
}

fn main() -> Result<ExitCode> {
    let Arguments { chosen, explain } = Arguments::parse();
    let began = Instant::now();
    let (scenarios, seeds) = (chosen.scenarios()?, chosen.seeds(SEEDS));
    let report = fleet::grade(&scenarios, seeds.clone());
    println!("{report}");
    println!(
        "{} scenarios × {} seeds in {:.0} s",
        scenarios.len(),
        seeds.count(),
        began.elapsed().as_secs_f64()
    );
    for graded in report.0.iter().filter(|_| explain) {
        for remark in &graded.grades[0].remarks {
            println!("{}: {remark}", graded.name);
        }
    }
    for failure in report.failures() {
        println!("not met: {failure}");
    }
    Ok(if report.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
