//! Runs of the simulated fleet through cleaning and through a baseline, graded against the truth.
//!
//! ```text
//! Scenario × seed (simulators) ─ fixes ─┬─▶ Cleaner (tallyman) ─┐
//!            │                          └─▶ bare difference ────┼─▶ visits ─▶ grade ─▶ table
//!            └──────────────── truth ───────────────────────────┘
//! ```
//! The one place that knows both crates. The accuracy found is one in a simulator.

mod baseline;
mod grade;
mod ours;

use std::fmt;

use tallyman_simulators::fleet::{Run, Scenario};

pub use grade::Grade;

/// A change that somebody says there was.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Said {
    pub vehicle: usize,
    pub fence: usize,
    pub enters: bool,
    pub at_us: i64,
}

/// Who says visits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judge {
    Ours,
    /// Entered is what a fix lies in and the one before did not.
    Difference,
}

impl Judge {
    pub const ALL: [Self; 2] = [Self::Ours, Self::Difference];

    fn judge(self, run: &Run) -> Vec<Said> {
        match self {
            Self::Ours => ours::judge(run),
            Self::Difference => baseline::judge(run),
        }
    }
}

/// One scenario, over all seeds, by every judge.
pub struct Graded {
    pub name: String,
    pub grades: [Grade; 2],
}

/// Every scenario with every seed.
pub fn grade(scenarios: &[Scenario], seeds: std::ops::Range<u64>) -> Report {
    let graded = scenarios.iter().map(|scenario| {
        let mut grades = [Grade::default(), Grade::default()];
        for seed in seeds.clone() {
            let run = scenario.run(seed);
            for (judge, grade) in Judge::ALL.into_iter().zip(&mut grades) {
                grade.add(&run, &judge.judge(&run));
            }
        }
        Graded { name: scenario.name.clone(), grades }
    });
    Report(graded.collect())
}

pub struct Report(pub Vec<Graded>);

impl Report {
    /// Goals that are missed: recall and precision of 0.995, and of those that only stand nothing spurious at all.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for Graded { name, grades: [ours, _] } in &self.0 {
            if ours.due > 0 && ours.recall() < 0.995 {
                failures.push(format!("{name}: recall {:.4}", ours.recall()));
            }
            if ours.precision() < 0.995 {
                failures.push(format!("{name}: precision {:.4}", ours.precision()));
            }
        }
        failures
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = "| scenario | visits due | recall | precision | spurious | entered, off by p50 / p95 | bare difference: recall | precision | spurious |";
        writeln!(f, "{head}\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
        for Graded { name, grades: [ours, bare] } in &self.0 {
            writeln!(
                f,
                "| {name} | {} | {:.4} | {:.4} | {} | {:.0} / {:.0} s | {:.4} | {:.4} | {} |",
                ours.due,
                ours.recall(),
                ours.precision(),
                ours.spurious,
                ours.off_s(0.5),
                ours.off_s(0.95),
                bare.recall(),
                bare.precision(),
                bare.spurious
            )?;
        }
        Ok(())
    }
}
