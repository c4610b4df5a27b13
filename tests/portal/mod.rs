//! Runs of the simulated portal through cleaning and through baselines, graded against the truth.
//!
//! ```text
//! Scenario × seed (simulators) ─ reads ─┬─▶ Cleaner (tallyman) ─┐
//!            │                          └─▶ baselines ──────────┼─▶ passages ─▶ grade ─▶ table
//!            └──────────────── truth ───────────────────────────┘
//! ```
//! The one place that knows both crates. The accuracy found is one in a simulator.

mod baselines;
mod grade;
mod ours;
pub mod report;
mod smoothing;

use tallyman_simulators::portal::{Doors, Run, Scenario, Suite};

pub use grade::Grade;
pub use report::{Graded, Report};

/// A passage that somebody says there was, of one tag.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Said {
    pub tag: usize,
    pub door: usize,
    pub inward: bool,
    pub at_us: i64,
    pub told_us: i64,
    /// Only ours says one.
    pub confidence: Option<f32>,
}

/// Who says passages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judge {
    Ours,
    /// Ours where no light barrier is configured.
    Antennas,
    FirstLast,
    FixedWindow,
    EdgeX,
    Smurf,
}

impl Judge {
    pub const ALL: [Self; 5] = [Self::Ours, Self::FirstLast, Self::FixedWindow, Self::EdgeX, Self::Smurf];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Antennas => "ours, antennas alone",
            Self::FirstLast => "first/last antenna",
            Self::FixedWindow => "fixed window",
            Self::EdgeX => "EdgeX's rule",
            Self::Smurf => "SMURF",
        }
    }

    pub fn judge(self, scenario: &Scenario, run: &Run) -> Vec<Said> {
        match self {
            Self::Ours => ours::judge(scenario, run),
            Self::Antennas => {
                let mut scenario = scenario.clone();
                scenario.doors.beams = false;
                ours::judge(&scenario, run)
            }
            Self::FirstLast => baselines::first_last(scenario, run),
            Self::FixedWindow => smoothing::fixed_window(scenario, run),
            Self::EdgeX => baselines::edgex(scenario, run),
            Self::Smurf => smoothing::smurf(scenario, run),
        }
    }
}

/// Every scenario with every seed, by every judge.
pub fn grade(scenarios: &[Scenario], seeds: std::ops::Range<u64>, judges: &[Judge]) -> Report {
    let mut report = Report::default();
    for scenario in scenarios {
        let mut grades = vec![Grade::default(); judges.len()];
        for seed in seeds.clone() {
            let run = scenario.run(seed);
            for (judge, grade) in judges.iter().zip(&mut grades) {
                grade.add(&run, &judge.judge(scenario, &run));
            }
        }
        let grades = judges.iter().copied().zip(grades).collect();
        report.scenarios.push(Graded { name: scenario.name.clone(), suite: scenario.suite, grades });
    }
    report
}

/// Drawn scenarios of doors with so many rows of antennas, by every judge; each is acted out once.
pub fn grade_drawn(
    numbers: std::ops::Range<u64>,
    rows: usize,
    adjust: impl Fn(&mut Doors),
    judges: &[Judge],
) -> Graded {
    let mut grades = vec![Grade::default(); judges.len()];
    for number in numbers {
        let mut scenario = Scenario::drawn(number, rows);
        adjust(&mut scenario.doors);
        let run = scenario.run(number);
        for (judge, grade) in judges.iter().zip(&mut grades) {
            grade.add(&run, &judge.judge(&scenario, &run));
        }
    }
    let name = if rows == 1 { "one row" } else { "two rows" };
    let grades = judges.iter().copied().zip(grades).collect();
    Graded { name: format!("drawn, {name}"), suite: Suite::Hostile, grades }
}

/// Whether an antenna belongs to the row that looks inside: ports count that row first.
fn looks_inside(antenna: u16) -> bool {
    antenna <= 2
}
