//! Exits: of what has no checkout, and of what is not ready.

use tallyman::domain::alerts::{AlertTransition, Rule};
use tallyman_simulators::month::{Entry, HELD_BACK};

use super::super::machine::Told;
use super::super::report::Simple;
use super::{Grader, MINUTE, at, within};

impl Grader<'_> {
    /// Each exit is told within minutes, unless the daemon was away or its door was cut off meanwhile; and each
    /// that is told was one, told for the minute in which it was, however late.
    pub(super) fn exits(&self, rule: Rule, truth: &[Entry]) -> Simple {
        let fired = self.fired(rule);
        let mut graded = Simple { raised: fired.len(), ..Simple::default() };
        let mut left: Vec<&Told> = fired.clone();
        let asked = |entry: &Entry| rule == Rule::NotReadyExit || self.needs_checkout(&entry.subject);
        for exit in truth.iter().filter(|entry| asked(entry)) {
            let soon = exit.from_us + 5 * MINUTE;
            let off = within(&self.truths.daemon_off, exit.from_us, 2 * MINUTE, 2 * MINUTE);
            let span = exit.from_us..=soon;
            let of_it = |told: &&Told| {
                told.subject == exit.subject && span.contains(&told.passed_us.unwrap_or(told.at_us))
            };
            let found = left.iter().position(of_it).map(|found| left.remove(found));
            let is_told = found.is_some_and(|told| exit.why == HELD_BACK || span.contains(&told.at_us));
            graded.truth += usize::from(is_told);
            // What its door holds back may be back when it comes; what is told already is not told again.
            let must = exit.why != HELD_BACK && !off && soon < self.ends_us;
            let is_out = rule == Rule::UnauthorisedExit && self.is_out_on_paper(&exit.subject, exit.from_us);
            if !is_told && must && !is_out && !self.is_open(rule, &exit.subject, exit.from_us) {
                graded.truth += 1;
                graded.missed.push(format!("{} at {}", exit.subject, at(exit.from_us)));
            }
        }
        graded.spurious = left.iter().map(|told| format!("{} at {}", told.subject, at(told.at_us))).collect();
        graded
    }

    /// Its last return could not be known, so its checkout is open still.
    fn is_out_on_paper(&self, asset: &str, at_us: i64) -> bool {
        let last = self.truths.out.iter().rfind(|out| out.asset == asset && out.at_us <= at_us);
        last.is_some_and(|out| out.unknowable)
    }

    /// Whether an alert that fired before then has not ended.
    fn is_open(&self, rule: Rule, subject: &str, at_us: i64) -> bool {
        let of = self.told.iter().filter(|told| told.rule == rule && told.subject == subject);
        let mut before = of.filter(|told| told.at_us < at_us && told.transition != AlertTransition::Explains);
        before.next_back().is_some_and(|told| {
            !matches!(told.transition, AlertTransition::Resolved | AlertTransition::Cancelled)
        })
    }

    fn needs_checkout(&self, asset: &str) -> bool {
        let prefix = asset.rsplit_once('-').map_or(asset, |(prefix, _)| prefix);
        let group = self.scenario.assets.iter().find(|group| group.prefix == prefix);
        let class =
            group.and_then(|group| self.scenario.classes.iter().find(|class| class.name == group.class));
        class.is_some_and(|class| class.needs_checkout)
    }
}
