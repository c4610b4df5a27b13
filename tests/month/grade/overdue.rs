//! Overdue returns: told when they are due, or as soon as somebody could know.

use std::collections::BTreeMap;

use tallyman::domain::alerts::Rule;
use tallyman_simulators::month::{Entry, Out};

use super::super::machine::Told;
use super::super::report::Overdue;
use super::{CAUGHT_UP, Grader, MINUTE, SECOND, TOO_CLOSE, at};

impl Grader<'_> {
    /// When the daemon was next there and had caught up, from a time at which something may have held it.
    fn free_by(&self, out: &Out) -> i64 {
        let due = out.overdue_at_us;
        let covering = |entries: &[Entry], slack: i64| {
            let covers = |e: &&Entry| e.from_us <= due && e.to_us.is_some_and(|to| due <= to + slack);
            entries.iter().filter(covers).filter_map(|e| e.to_us).max()
        };
        let off = covering(&self.truths.daemon_off, MINUTE);
        // A source that is gone holds until it counts as down, and while it replays.
        let outage = self.truths.outages.iter().any(|outage| {
            let of_site = outage.subject.starts_with(&out.site);
            let near = |at: i64| (at - MINUTE..=at + 2 * MINUTE).contains(&due);
            of_site && (near(outage.from_us) || outage.to_us.is_some_and(near))
        });
        match (off, outage) {
            (Some(to), _) => to + CAUGHT_UP,
            (None, true) => due + CAUGHT_UP,
            (None, false) => due,
        }
    }

    pub(super) fn overdue(&self) -> Overdue {
        let mut fired_of: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
        for told in self.fired(Rule::OverdueReturn) {
            fired_of.entry(&told.subject).or_default().push(told);
        }
        let mut graded = Overdue { checkouts: self.truths.out.len(), ..Overdue::default() };
        for (index, out) in self.truths.out.iter().enumerate() {
            // Of a return that nobody can know of, the checkout stays open until somebody says something.
            let next = || self.truths.out[index + 1..].iter().find(|next| next.asset == out.asset);
            let ends = match out.closed_us {
                Some(_) if out.unknowable => next().map_or(self.ends_us, |next| next.at_us),
                Some(closed) => closed + TOO_CLOSE,
                None => self.ends_us,
            };
            let fired: Vec<&Told> = fired_of
                .get_mut(out.asset.as_str())
                .map(|fired| {
                    fired.extract_if(.., |told| (out.at_us..=ends).contains(&told.told_us)).collect()
                })
                .unwrap_or_default();
            self.judge_out(out, &fired, &mut graded);
        }
        let left = fired_of.values().flatten();
        graded.spurious.extend(left.map(|told| format!("{} at {}", told.subject, at(told.told_us))));
        graded
    }

    fn judge_out(&self, out: &Out, fired: &[&Told], graded: &mut Overdue) {
        let due = out.overdue_at_us;
        let name = || format!("{} due {}", out.asset, at(due));
        if fired.len() > 1 {
            graded.repeated.push(name());
        }
        let closed = out.closed_us.unwrap_or(i64::MAX);
        let returned = out.returned_us.unwrap_or(i64::MAX);
        let close = (due - closed).abs() < TOO_CLOSE || (due - returned).abs() < TOO_CLOSE;
        let waits_for_source = returned < due && closed > due;
        let free_by = self.free_by(out);
        // Of a return that a source held back: whether it told of it before, or when we came back ourselves.
        let told_too_late = !self.is_off(due) || closed > free_by;
        if out.unknowable || close || (waits_for_source && told_too_late) {
            graded.undecided += 1;
            return;
        }
        let expected = closed > due && !waits_for_source && due + CAUGHT_UP < self.ends_us;
        match (expected, fired.first()) {
            (true, None) if closed <= free_by => graded.undecided += 1,
            (true, None) if free_by + MINUTE < self.ends_us => graded.missed.push(name()),
            (true, None) => {}
            (true, Some(told)) => {
                graded.due += 1;
                if told.at_us != due || told.told_us > free_by + SECOND {
                    graded.inexact.push(format!("{} told {}", name(), at(told.told_us)));
                } else if told.told_us > due + SECOND {
                    graded.held += 1;
                }
            }
            (false, Some(_)) if due + CAUGHT_UP < self.ends_us => graded.spurious.push(name()),
            (false, _) => {}
        }
    }
}
