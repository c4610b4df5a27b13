//! Runs of simulated zones through the daemon's core and through baselines, graded against the truth.
//!
//! ```text
//! Scenario × seed (simulators) ─ reads ─┬─▶ Core (tallyman) ─┐
//!            │                          └─▶ baselines ───────┼─▶ answers ─▶ grade ─▶ table
//!            └──────────────── truth ────────────────────────┘
//! ```
//! The one place that knows both crates. The accuracy found is one in a simulator.

mod baselines;
mod grade;
mod oracle;
mod ours;
pub mod report;

use tallyman_simulators::zones::{Run, Scenario};

pub use grade::Grade;
pub use report::{Graded, Report};

/// From here on, a tag is said to be in a zone, or gone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Said {
    pub tag: usize,
    pub at_us: i64,
    pub zone: Option<usize>,
}

/// Who says where a tag is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judge {
    Ours,
    Newest,
    FixedWindow,
    Strongest,
    Smurf,
    EdgeX,
    /// No rule: what it knows, nobody knows.
    Oracle,
}

impl Judge {
    pub const ALL: [Self; 7] = [
        Self::Ours,
        Self::Newest,
        Self::FixedWindow,
        Self::Strongest,
        Self::Smurf,
        Self::EdgeX,
        Self::Oracle,
    ];

    /// One that the daemon is measured by.
    pub fn is_baseline(self) -> bool {
        !matches!(self, Self::Ours | Self::Oracle)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Newest => "newest read",
            Self::FixedWindow => "fixed window",
            Self::Strongest => "strongest in the window",
            Self::Smurf => "SMURF",
            Self::EdgeX => "EdgeX's rule",
            Self::Oracle => "moves known",
        }
    }

    /// Changes of what it says, in order of time.
    pub fn judge(self, scenario: &Scenario, run: &Run) -> anyhow::Result<Vec<Said>> {
        Ok(match self {
            Self::Ours => ours::judge(scenario, run)?,
            Self::Newest => baselines::newest(run),
            Self::FixedWindow => baselines::fixed_window(run),
            Self::Strongest => baselines::strongest(run),
            Self::Smurf => baselines::smurf(run),
            Self::EdgeX => baselines::edgex(run),
            Self::Oracle => oracle::moves_known(run),
        })
    }
}

/// Every scenario with every seed, by every judge.
pub fn grade(
    scenarios: &[Scenario],
    seeds: std::ops::Range<u64>,
    judges: &[Judge],
) -> anyhow::Result<Report> {
    let mut report = Report::default();
    for scenario in scenarios {
        let mut grades = vec![Grade::default(); judges.len()];
        for seed in seeds.clone() {
            let run = scenario.run(seed);
            for (judge, grade) in judges.iter().zip(&mut grades) {
                grade.add(&run, &judge.judge(scenario, &run)?);
            }
        }
        let grades = judges.iter().copied().zip(grades).collect();
        report.0.push(Graded { name: scenario.name.clone(), suite: scenario.suite, grades });
    }
    Ok(report)
}
