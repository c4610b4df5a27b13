//! Requests that are planned for maps of registers, beside the fewest possible and the rule of Telegraf's `max_insert`.
//!
//! `cargo bench --bench coalescing -- [--maps N] [--from SEED]`; default the shipped profiles and 1,000 random maps. Prints a
//! table. Exit code 1 where a plan needs more requests than the minimum or the rule, or among as many more registers than
//! the minimum, or breaks a limit. Nothing is timed, and the counts are the same everywhere.

#[path = "../tests/coalescing/mod.rs"]
mod coalescing;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
struct Arguments {
    /// Random maps
    #[arg(long, default_value_t = 1000)]
    maps: u64,
    /// The seed of the first
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let Arguments { maps, from, .. } = Arguments::parse();
    let report = coalescing::grade(maps, from);
    println!("{report}");
    for failure in report.failures() {
        println!("not met: {failure}");
    }
    if report.failures().next().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
