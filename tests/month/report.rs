//! The grades as a table for people and as JSON for programs, and whether the goals are met.

use std::fmt;

use serde::Serialize;

/// Share of the ghosts told that must be true.
const PRECISION: f64 = 0.98;
/// Share of the answers "in vehicle X" that must be true, and of those that must be given.
const IN_VEHICLE: f64 = 0.99;
/// Examples shown of each kind of mistake.
const EXAMPLES: usize = 5;

#[derive(Debug, Serialize)]
pub struct Report {
    pub scenario: String,
    pub seed: u64,
    pub days: u32,
    pub ghosts: Ghosts,
    pub overdue: Overdue,
    pub reader_down: Simple,
    pub tracker_silent: Simple,
    pub repeated: usize,
    pub watcher_suspect: usize,
    pub zombies: Simple,
    pub unauthorised: Simple,
    pub not_ready: Simple,
    pub vehicles: Vehicles,
    pub second_tags: usize,
    pub cuts: usize,
}

/// Answers at sampled times, each of one asset.
#[derive(Debug, Default, Serialize)]
pub struct Vehicles {
    /// Times that a vehicle stood at a door, that something went into one, and that nobody could know it.
    pub stays: usize,
    pub loaded: usize,
    pub unknown: usize,
    /// In a vehicle, as could be known; said to be in one; both, and in the same.
    pub truth: usize,
    pub said: usize,
    pub right: usize,
    pub missed: Vec<String>,
    pub wrong: Vec<String>,
    pub undecided: usize,
}

impl Vehicles {
    pub fn recall(&self) -> f64 {
        share(self.right, self.truth)
    }

    pub fn precision(&self) -> f64 {
        share(self.right, self.said)
    }
}

#[derive(Debug, Default, Serialize)]
pub struct Ghosts {
    /// Times that an asset was lost, and of those, how many lasted for the interval and an hour of coverage.
    pub lost: usize,
    pub due: usize,
    pub raised: usize,
    pub true_ones: usize,
    pub missed: Vec<String>,
    pub false_ones: Vec<String>,
    pub early: Vec<String>,
    pub repeated: Vec<String>,
    /// Working coverage from the loss to the alert, less the class's interval.
    pub beyond_us: Vec<i64>,
}

#[derive(Debug, Default, Serialize)]
pub struct Overdue {
    pub checkouts: usize,
    pub due: usize,
    /// Told when the sources had caught up.
    pub held: usize,
    pub missed: Vec<String>,
    pub inexact: Vec<String>,
    pub spurious: Vec<String>,
    pub repeated: Vec<String>,
    /// Nobody could have known, or the return lies within seconds of the due time.
    pub undecided: usize,
}

#[derive(Debug, Default, Serialize)]
pub struct Simple {
    pub truth: usize,
    pub raised: usize,
    pub missed: Vec<String>,
    pub spurious: Vec<String>,
}

impl Ghosts {
    pub fn recall(&self) -> f64 {
        share(self.due - self.missed.len(), self.due)
    }

    pub fn precision(&self) -> f64 {
        share(self.true_ones, self.raised)
    }
}

impl Report {
    /// The goals that were not met, in words.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        let mut goal = |met: bool, what: &str| {
            if !met {
                failures.push(what.to_owned());
            }
        };
        let (ghosts, overdue) = (&self.ghosts, &self.overdue);
        goal(ghosts.missed.is_empty(), "ghost recall 1.0");
        goal(ghosts.precision() >= PRECISION, "ghost precision 0.98");
        let wrong = [&overdue.missed, &overdue.inexact, &overdue.spurious];
        goal(wrong.iter().all(|wrong| wrong.is_empty()), "overdue exact");
        let repeated = self.repeated + ghosts.repeated.len() + overdue.repeated.len();
        goal(repeated == 0, "no alert repeated");
        let decided = overdue.undecided * 20 <= overdue.checkouts.max(100);
        goal(decided, "19 of 20 returns decidable");
        for (graded, missed, spurious) in [
            (
                &self.reader_down,
                "each outage and each cut that its reader tells told",
                "nothing told of what works",
            ),
            (&self.tracker_silent, "each dead tracker told", "no tracker silent that speaks"),
            (&self.zombies, "each stranger that stays told", "no stranger that is none"),
            (&self.unauthorised, "each unauthorised exit told", "no exit told that was none"),
            (&self.not_ready, "each exit of what is not ready told", "no exit told of what was ready"),
        ] {
            goal(graded.missed.is_empty(), missed);
            goal(graded.spurious.is_empty(), spurious);
        }
        let vehicles = &self.vehicles;
        goal(vehicles.recall() >= IN_VEHICLE, "recall of what is in a vehicle 0.99");
        goal(vehicles.precision() >= IN_VEHICLE, "precision of what is in a vehicle 0.99");
        goal(vehicles.unknown * 2 <= vehicles.loaded.max(20), "half of the loads can be known");
        failures
    }
}

fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 1.0 } else { part as f64 / of as f64 }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ghosts, overdue) = (&self.ghosts, &self.overdue);
        writeln!(f, "{}, {} days, seed {}", self.scenario, self.days, self.seed)?;
        writeln!(f, "| what | truth | told | missed | wrong | |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | --- |")?;
        let wrong = ghosts.false_ones.len() + ghosts.early.len();
        write!(f, "| ghost | {} | {} | {} | {wrong} |", ghosts.due, ghosts.raised, ghosts.missed.len())?;
        write!(f, " recall {:.3}, precision {:.3}", ghosts.recall(), ghosts.precision())?;
        let median = ghosts.beyond_us.get(ghosts.beyond_us.len() / 2).copied().unwrap_or_default();
        let most = ghosts.beyond_us.last().copied().unwrap_or_default();
        writeln!(f, "; {} and at most {} min beyond the interval |", median / 60_000_000, most / 60_000_000)?;
        let wrong = overdue.inexact.len() + overdue.spurious.len();
        write!(f, "| overdue-return | {} | {} ", overdue.due + overdue.missed.len(), overdue.due)?;
        write!(f, "| {} | {wrong} | of {} checkouts;", overdue.missed.len(), overdue.checkouts)?;
        writeln!(f, " {} held until caught up, {} not decidable |", overdue.held, overdue.undecided)?;
        simple(f, "reader-down", &self.reader_down, "")?;
        let said = if self.tracker_silent.raised == 0 { "not raised" } else { "" };
        simple(f, "tracker-silent", &self.tracker_silent, said)?;
        simple(f, "zombie", &self.zombies, "")?;
        simple(f, "unauthorised-exit", &self.unauthorised, "")?;
        simple(f, "not-ready-exit", &self.not_ready, "")?;
        let repeated = self.repeated + ghosts.repeated.len() + overdue.repeated.len();
        writeln!(f, "| repeated alerts | 0 | {repeated} | 0 | {repeated} | |")?;
        let vehicles = &self.vehicles;
        let (missed, wrong) = (vehicles.missed.len(), vehicles.wrong.len());
        write!(
            f,
            "| in a vehicle, each half an hour | {} | {} | {missed} | {wrong} |",
            vehicles.truth, vehicles.said
        )?;
        write!(f, " recall {:.4}, precision {:.4};", vehicles.recall(), vehicles.precision())?;
        write!(
            f,
            " {} loaded at {} stays, of {} nobody could know;",
            vehicles.loaded, vehicles.stays, vehicles.unknown
        )?;
        writeln!(f, " {} answers not decidable |", vehicles.undecided)?;
        let (suspect, cuts) = (self.watcher_suspect, self.cuts);
        writeln!(f, "| watcher-suspect | | {suspect} | | | {cuts} antennas cut |")?;
        for (what, examples) in [
            ("ghost missed", &ghosts.missed),
            ("ghost false", &ghosts.false_ones),
            ("ghost early", &ghosts.early),
            ("ghost repeated", &ghosts.repeated),
            ("overdue missed", &overdue.missed),
            ("overdue inexact", &overdue.inexact),
            ("overdue spurious", &overdue.spurious),
            ("overdue repeated", &overdue.repeated),
            ("reader-down missed", &self.reader_down.missed),
            ("reader-down spurious", &self.reader_down.spurious),
            ("tracker-silent missed", &self.tracker_silent.missed),
            ("tracker-silent spurious", &self.tracker_silent.spurious),
            ("zombie missed", &self.zombies.missed),
            ("zombie spurious", &self.zombies.spurious),
            ("unauthorised-exit missed", &self.unauthorised.missed),
            ("unauthorised-exit spurious", &self.unauthorised.spurious),
            ("not-ready-exit missed", &self.not_ready.missed),
            ("not-ready-exit spurious", &self.not_ready.spurious),
            ("in a vehicle missed", &self.vehicles.missed),
            ("in a vehicle wrong", &self.vehicles.wrong),
        ] {
            for example in examples.iter().take(EXAMPLES) {
                writeln!(f, "  {what}: {example}")?;
            }
        }
        Ok(())
    }
}

fn simple(f: &mut fmt::Formatter<'_>, what: &str, graded: &Simple, said: &str) -> fmt::Result {
    let (missed, spurious) = (graded.missed.len(), graded.spurious.len());
    writeln!(f, "| {what} | {} | {} | {missed} | {spurious} | {said} |", graded.truth, graded.raised)
}
