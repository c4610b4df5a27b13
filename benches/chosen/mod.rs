//! Which scenarios of a kind are graded, with which seeds: what the command line chooses.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tallyman_simulators::ScenarioFile;

#[derive(clap::Args)]
pub struct Chosen {
    /// Seeds of each scenario.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first of them.
    #[arg(long, default_value_t = 1000)]
    pub from: u64,
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

impl Chosen {
    pub fn scenarios<S: ScenarioFile>(&self) -> Result<Vec<S>> {
        let mut scenarios = if self.scenario.is_empty() { S::all()? } else { Vec::new() };
        for path in &self.scenario {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            scenarios.push(S::parse(&text).with_context(|| format!("in {}", path.display()))?);
        }
        if let Some(only) = &self.only {
            scenarios.retain(|scenario| scenario.name().contains(only));
        }
        Ok(scenarios)
    }

    /// `usual`: how many, where nobody said.
    pub fn seeds(&self, usual: u64) -> Range<u64> {
        self.from..self.from + self.seeds.unwrap_or(usual)
    }
}
