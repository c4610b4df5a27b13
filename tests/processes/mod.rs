//! Runs of simulated processes through cleaning, graded against the truth.
//!
//! ```text
//! Scenario × seed (simulators) ─ samples ─▶ Cleaner (tallyman) ─▶ episodes ─▶ grade ─▶ table
//!            └──────────────────── truth ────────────────────────────────────┘
//! ```
//! The one place that knows both crates. The accuracy found is one in a simulator.

mod compression;
mod grade;
mod ours;

use std::fmt;

use tallyman::domain::readings::Quality;
use tallyman_simulators::processes::Scenario;

pub use compression::{Compressed, compress};
pub use grade::Grade;

/// An episode that was said.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SaidEpisode {
    pub sensor: usize,
    pub limit: usize,
    pub began_s: f64,
    pub told_s: f64,
    /// Infinite: it goes on at the end.
    pub until_s: f64,
}

/// The quality of a sensor was said to be another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SaidQuality {
    pub sensor: usize,
    pub at_s: f64,
    pub quality: Quality,
}

pub struct Graded {
    pub name: String,
    pub grade: Grade,
}

pub struct Report(pub Vec<Graded>);

/// Every scenario with every seed.
pub fn grade(scenarios: &[Scenario], seeds: std::ops::Range<u64>) -> Report {
    let graded = scenarios.iter().map(|scenario| {
        let mut grade = Grade::default();
        for seed in seeds.clone() {
            let run = scenario.run(seed);
            let (said, qualities) = ours::judge(scenario, &run);
            grade.add(scenario, &run, &said, &qualities);
        }
        Graded { name: scenario.name.clone(), grade }
    });
    Report(graded.collect())
}

impl Report {
    /// Goals that are missed.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for Graded { name, grade } in &self.0 {
            if grade.recall() < 1.0 {
                failures.push(format!("{name}: recall {:.4}", grade.recall()));
            }
            if grade.precision() < 0.99 {
                failures.push(format!("{name}: precision {:.4}", grade.precision()));
            }
            if grade.of_faults > 0 {
                failures.push(format!("{name}: {} episodes of faulty sensors", grade.of_faults));
            }
            if grade.unended + grade.cut > 0 {
                failures.push(format!(
                    "{name}: {} not ended, {} ended before their end",
                    grade.unended, grade.cut
                ));
            }
            if grade.latest_polls() > 1.0 {
                failures.push(format!("{name}: told {:.1} polls after the delay", grade.latest_polls()));
            }
        }
        failures
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = "| scenario | excursions due | recall | precision | doubled | of faulty sensors | not ended / cut short | told after the delay, p50 / latest | silent: told | stuck: told | spikes: told | broken: told |";
        writeln!(f, "{head}\n| --- |{}", " ---: |".repeat(11))?;
        for Graded { name, grade } in &self.0 {
            let told = |(found, there_were): (usize, usize)| match there_were {
                0 => String::new(),
                _ => format!("{found} of {there_were}"),
            };
            let [dropout, stuck, spikes, broken] = grade.faults.map(told);
            writeln!(
                f,
                "| {name} | {} | {:.4} | {:.4} | {} | {} | {} / {} | {:.1} / {:.1} polls | {dropout} | {stuck} | {spikes} | {broken} |",
                grade.due,
                grade.recall(),
                grade.precision(),
                grade.doubled,
                grade.of_faults,
                grade.unended,
                grade.cut,
                grade.polls(0.5),
                grade.latest_polls(),
            )?;
        }
        Ok(())
    }
}
