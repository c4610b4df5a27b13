//! Simulated portals through cleaning and through baselines, graded against the truth; prints a table.
//!
//! `cargo bench --bench portal -- [--seeds N] [--from SEED] [--only NAME] [--scenario FILE]… [--ours] [--drawn N]`
//!
//! Exit code 1 where a goal is missed. A scenario is written as
//! `simulators/scenarios/portal/standard/one_pallet.toml` explains. The accuracy is one of a simulator.

mod chosen;
#[path = "../tests/baselines/mod.rs"]
mod peers;
#[path = "../tests/portal/mod.rs"]
mod portal;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use chosen::Chosen;
use clap::Parser;
use portal::Judge;
use portal::report::{Barriers, Drawn};
use tallyman_simulators::portal::Doors;

const SEEDS: u64 = 40;
/// With light barriers, and the same without.
const WITH_BEAMS: [Judge; 2] = [Judge::Ours, Judge::Antennas];

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    chosen: Chosen,
    /// Without the baselines.
    #[arg(long)]
    ours: bool,
    /// So many drawn scenarios instead, of doors with two rows of antennas and of doors with one.
    #[arg(long)]
    drawn: Option<u64>,
}

fn main() -> Result<ExitCode> {
    let Arguments { chosen, ours, drawn } = Arguments::parse();
    let began = Instant::now();
    let judges: &[Judge] = if ours { &[Judge::Ours] } else { &Judge::ALL };
    if let Some(drawn) = drawn {
        let numbers = || chosen.from..chosen.from + drawn;
        println!("{}", Drawn(&[2, 1].map(|rows| portal::grade_drawn(numbers(), rows, |_| (), judges))));
        let beams = |doors: &mut Doors| doors.beams = true;
        let with_beams = [2, 1].map(|rows| portal::grade_drawn(numbers(), rows, beams, &WITH_BEAMS));
        println!("{}", Barriers(&with_beams));
        return Ok(ExitCode::SUCCESS);
    }
    let (scenarios, seeds) = (chosen.scenarios()?, chosen.seeds(SEEDS));
    let report = portal::grade(&scenarios, seeds.clone(), judges);
    println!("{report}");
    let with_beams: Vec<_> = scenarios.iter().filter(|scenario| scenario.doors.beams).cloned().collect();
    println!("{}", Barriers(&portal::grade(&with_beams, seeds.clone(), &WITH_BEAMS).scenarios));
    println!("first/last antenna on the standard suite: {:.3} of the assets right", report.first_last());
    println!(
        "{} scenarios × {} seeds in {:.0} s",
        scenarios.len(),
        seeds.count(),
        began.elapsed().as_secs_f64()
    );
    for (what, told) in [("too kind", report.too_kind()), ("not met", report.failures())] {
        if !told.is_empty() {
            println!("{what}:\n  {}", told.join("\n  "));
        }
    }
    Ok(if report.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
