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
    /// By a straight line between two fixes.
    pub inferred: bool,
}

/// A trip that somebody says there was.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SaidTrip {
    pub vehicle: usize,
    pub from_us: i64,
    pub until_us: i64,
    pub distance_m: f64,
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

    fn judge(self, run: &Run) -> (Vec<Said>, Vec<SaidTrip>) {
        match self {
            Self::Ours => ours::judge(run),
            Self::Difference => (baseline::judge(run), Vec::new()),
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
                let (said, trips) = judge.judge(&run);
                grade.add(&run, &said);
                grade.add_trips(&run, &trips);
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
            // What only stands near an edge, and never far inside, need not be told; nothing else must be.
            let drives = ours.trips.due > 0;
            if drives && ours.recall() < 0.995 {
                failures.push(format!("{name}: recall {:.4}", ours.recall()));
            }
            if !drives && ours.spurious > 0 {
                failures.push(format!("{name}: {} spurious", ours.spurious));
            }
            if ours.precision() < 0.995 {
                failures.push(format!("{name}: precision {:.4}", ours.precision()));
            }
            if ours.trips.missed > 0 || ours.trips.spurious > 0 {
                failures.push(format!(
                    "{name}: {} trips missed, {} spurious",
                    ours.trips.missed, ours.trips.spurious
                ));
            }
            if ours.trips.off(0.95) > 0.02 {
                failures.push(format!("{name}: lengths of trips off by {:.3} (p95)", ours.trips.off(0.95)));
            }
        }
        failures
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = "| scenario | visits due | recall | precision | spurious | entered, off by p50 / p95 | bare difference: recall | precision | spurious | trips | missed | spurious | length off by, p50 / p95 | in all |";
        writeln!(f, "{head}\n| --- |{}", " ---: |".repeat(13))?;
        for Graded { name, grades: [ours, bare] } in &self.0 {
            writeln!(
                f,
                "| {name} | {} | {:.4} | {:.4} | {} | {:.0} / {:.0} s | {:.4} | {:.4} | {} | {} | {} | {} | {:.1} / {:.1} % | {:+.1} % |",
                ours.due,
                ours.recall(),
                ours.precision(),
                ours.spurious,
                ours.off_s(0.5),
                ours.off_s(0.95),
                bare.recall(),
                bare.precision(),
                bare.spurious,
                ours.trips.due,
                ours.trips.missed,
                ours.trips.spurious,
                ours.trips.off(0.5) * 100.0,
                ours.trips.off(0.95) * 100.0,
                ours.trips.off_in_all() * 100.0,
            )?;
        }
        Ok(())
    }
}
