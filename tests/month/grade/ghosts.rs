//! Ghosts: each that is lost, in time, and nobody else.

use std::collections::BTreeMap;

use tallyman::domain::alerts::Rule;
use tallyman_simulators::month::{Lost, MASS_THEFT};

use super::super::machine::Told;
use super::super::report::Ghosts;
use super::{Grader, MINUTE, SECOND, WITHIN, at};

impl Grader<'_> {
    /// Where most of what an antenna heard went at once the watcher may be suspected, for so long; also by whoever
    /// was gone from before it already, and was not due yet.
    fn held_us(&self, lost: &Lost) -> i64 {
        let rules = tallyman::config::AlertRules::default();
        let due_us = lost.since_us + self.interval_us(lost) + WITHIN;
        let held = self.truths.lost.iter().any(|other| {
            let meanwhile = (lost.since_us..due_us).contains(&other.since_us);
            other.why == MASS_THEFT && other.source == lost.source && meanwhile
        });
        if held { rules.watcher_suspect_for.as_micros() as i64 } else { 0 }
    }

    pub(super) fn ghosts(&self) -> Ghosts {
        let mut lost_of: BTreeMap<&str, Vec<(usize, &Lost)>> = BTreeMap::new();
        for (index, lost) in self.truths.lost.iter().enumerate() {
            lost_of.entry(&lost.asset).or_default().push((index, lost));
        }
        let mut first: BTreeMap<usize, i64> = BTreeMap::new();
        let mut ghosts = Ghosts { lost: self.truths.lost.len(), ..Ghosts::default() };
        for told in self.fired(Rule::Ghost) {
            ghosts.raised += 1;
            let of = lost_of.get(told.subject.as_str());
            let found = of.into_iter().flatten().find(|(_, lost)| {
                lost.since_us <= told.at_us
                    && lost.until_us.is_none_or(|until| told.at_us <= until + 10 * SECOND)
            });
            match found {
                None => ghosts.false_ones.push(format!("{} at {}", told.subject, at(told.at_us))),
                Some((index, _)) if first.contains_key(index) => {
                    ghosts.repeated.push(format!("{} at {}", told.subject, at(told.at_us)));
                }
                Some((index, lost)) => {
                    first.insert(*index, told.at_us);
                    self.judge_true(lost, told, &mut ghosts);
                }
            }
        }
        for (index, lost) in self.truths.lost.iter().enumerate() {
            self.judge_recall(lost, first.get(&index).copied(), &mut ghosts);
        }
        ghosts.beyond_us.sort_unstable();
        ghosts
    }

    fn judge_true(&self, lost: &Lost, told: &Told, ghosts: &mut Ghosts) {
        let listening = &self.scenario.listening;
        let span = ((listening.refresh_s + listening.lost_after_s) * 1e6) as i64;
        let worked = self.truths.worked_us(&lost.source, lost.since_us, told.at_us);
        let beyond = worked - self.interval_us(lost);
        // It was last told of up to one span before it went.
        match beyond + span + MINUTE < 0 {
            true => ghosts.early.push(format!("{} at {}", told.subject, at(told.at_us))),
            false => ghosts.true_ones += 1,
        }
        ghosts.beyond_us.push(beyond);
    }

    fn judge_recall(&self, lost: &Lost, fired: Option<i64>, ghosts: &mut Ghosts) {
        let enough = self.interval_us(lost) + self.held_us(lost) + WITHIN;
        let by = self.truths.worked_by(&lost.source, lost.since_us, enough);
        let ends = lost.until_us.unwrap_or(self.ends_us).min(self.ends_us);
        let Some(by) = by.filter(|by| *by + MINUTE < ends) else { return };
        ghosts.due += 1;
        if fired.is_none_or(|fired| fired > by + MINUTE) {
            let fired = fired.map_or("never".to_owned(), at);
            let (asset, source, since) = (&lost.asset, &lost.source, at(lost.since_us));
            ghosts.missed.push(format!(
                "{asset} ({}) gone since {since} from {source}, due by {}, told {fired}",
                lost.why,
                at(by)
            ));
        }
    }
}
