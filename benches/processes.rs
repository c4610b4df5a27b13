//! Simulated processes through cleaning, graded against the truth; prints a table, and another one of how few samples are kept.
//!
//! `cargo bench --bench processes -- [--seeds N] [--from SEED] [--only NAME] [--scenario FILE]…`
//!
//! Exit code 1 where a goal is missed. A scenario is written as `simulators/scenarios/processes/cold_room.toml` explains. The
//! accuracy is one of a simulator.

mod chosen;
#[path = "../tests/processes/mod.rs"]
mod processes;

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
}

fn main() -> Result<ExitCode> {
    let Arguments { chosen } = Arguments::parse();
    let began = Instant::now();
    let (scenarios, seeds) = (chosen.scenarios()?, chosen.seeds(SEEDS));
    let report = processes::grade(&scenarios, seeds.clone());
    println!("{report}\n{}", processes::Compressed::HEAD);
    for compressed in processes::compress(&scenarios, seeds.start) {
        println!("{compressed}");
    }
    println!(
        "{} scenarios × {} seeds in {:.0} s",
        scenarios.len(),
        seeds.count(),
        began.elapsed().as_secs_f64()
    );
    for failure in report.failures() {
        println!("not met: {failure}");
    }
    Ok(if report.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
