//! Alerts against the truth, by natural key: who, what, when.

mod exits;
mod ghosts;
mod overdue;
mod sources;
mod vehicles;

use std::collections::BTreeSet;

use tallyman::domain::alerts::{AlertTransition, Rule};
use tallyman_simulators::month::{Entry, Lost, Scenario, Truths};

use super::machine::{Said, Sample, Told};
use super::report::Report;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// Grace of the recall: working coverage beyond the class's interval.
const WITHIN: i64 = HOUR;
/// A return this close to its due time may be told either way: a passage is judged some seconds after it.
const TOO_CLOSE: i64 = 15 * SECOND;
/// How late an overdue return may be told once nothing holds it any more.
const CAUGHT_UP: i64 = 3 * MINUTE;

struct Grader<'a> {
    scenario: &'a Scenario,
    truths: &'a Truths,
    told: &'a [Told],
    samples: &'a [Sample],
    ends_us: i64,
}

pub fn grade(scenario: &Scenario, seed: u64, truths: &Truths, said: &Said<'_>, ends_us: i64) -> Report {
    let Said { told, samples } = *said;
    let grader = Grader { scenario, truths, told, samples, ends_us };
    let (reader_down, silent) = (grader.reader_down(), grader.tracker_silent());
    Report {
        scenario: scenario.name.clone(),
        seed,
        days: scenario.days,
        ghosts: grader.ghosts(),
        overdue: grader.overdue(),
        reader_down,
        tracker_silent: silent,
        repeated: grader.repeated(),
        watcher_suspect: grader.fired(Rule::WatcherSuspect).len(),
        zombies: grader.zombies(),
        unauthorised: grader.exits(Rule::UnauthorisedExit, &truths.borrowed),
        not_ready: grader.exits(Rule::NotReadyExit, &truths.taken_unready),
        vehicles: grader.vehicles(),
        second_tags: truths.second_tags.len(),
        cuts: truths.outages.iter().filter(|outage| outage.why.starts_with("antenna")).count(),
    }
}

impl Grader<'_> {
    fn fired(&self, rule: Rule) -> Vec<&Told> {
        let fired = self.told.iter().filter(|told| told.rule == rule);
        fired.filter(|told| told.transition == AlertTransition::Fired).collect()
    }

    fn interval_us(&self, lost: &Lost) -> i64 {
        let class = self.scenario.classes.iter().find(|class| class.name == lost.class);
        class.and_then(|class| class.ghost_after_s).map_or(0, |seconds| (seconds * 1e6) as i64)
    }

    fn is_off(&self, at_us: i64) -> bool {
        within(&self.truths.daemon_off, at_us, 0, MINUTE)
    }

    /// Incidents that fired or ended twice.
    fn repeated(&self) -> usize {
        let mut seen = BTreeSet::new();
        let once = |told: &&Told| {
            matches!(
                told.transition,
                AlertTransition::Fired | AlertTransition::Resolved | AlertTransition::Cancelled
            )
        };
        let told = self.told.iter().filter(once);
        told.filter(|told| !seen.insert((told.incident, format!("{:?}", told.transition)))).count()
    }
}

fn within(entries: &[Entry], at_us: i64, before: i64, after: i64) -> bool {
    entries
        .iter()
        .any(|entry| entry.from_us - before <= at_us && entry.to_us.is_none_or(|to| at_us <= to + after))
}

fn within_subject(entries: &[Entry], told: &Told) -> bool {
    entries.iter().any(|entry| {
        entry.subject == told.subject
            && (entry.from_us..=entry.to_us.unwrap_or(i64::MAX)).contains(&told.at_us)
    })
}

fn overlap(entry: &Entry, from: i64, to: i64) -> i64 {
    (entry.to_us.unwrap_or(i64::MAX).min(to) - entry.from_us.max(from)).max(0)
}

fn at(at_us: i64) -> String {
    tallyman::domain::time::Timestamp::from_micros(at_us).to_string()
}
