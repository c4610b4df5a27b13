//! What hears and what is heard: readers and their antennas, trackers, strangers.

use std::collections::BTreeSet;

use tallyman::domain::alerts::Rule;
use tallyman_simulators::month::{Entry, Lost, MASS_THEFT, UNNOTICED};

use super::super::machine::Told;
use super::super::report::Simple;
use super::{Grader, MINUTE, WITHIN, at, overlap, within, within_subject};

impl Grader<'_> {
    /// An outage that lasts, and an antenna that its reader calls disconnected, is told once; and nothing is told of
    /// what works.
    pub(super) fn reader_down(&self) -> Simple {
        let fired = self.fired(Rule::ReaderDown);
        let mut graded = Simple { raised: fired.len(), ..Simple::default() };
        for outage in self.truths.outages.iter().filter(|outage| outage.why != UNNOTICED) {
            let to = outage.to_us.unwrap_or(self.ends_us).min(self.ends_us);
            if to - outage.from_us < 3 * MINUTE || self.is_disturbed(outage, to) {
                continue;
            }
            graded.truth += 1;
            let span = outage.from_us..=outage.from_us + 2 * MINUTE;
            let found = fired.iter().any(|t| t.subject == outage.subject && span.contains(&t.at_us));
            if !found {
                graded.missed.push(format!("{} at {}", outage.subject, at(outage.from_us)));
            }
        }
        let wrong = fired.iter().filter(|told| !self.is_down(told));
        graded.spurious = wrong.map(|told| format!("{} at {}", told.subject, at(told.at_us))).collect();
        graded
    }

    /// The daemon was away meanwhile; or, of an antenna, its reader.
    fn is_disturbed(&self, outage: &Entry, to: i64) -> bool {
        let overlaps = |off: &&Entry| {
            off.from_us < to && off.to_us.is_none_or(|ended| ended + 2 * MINUTE > outage.from_us)
        };
        let reader = outage.subject.rsplit_once('/').map(|(reader, _)| reader);
        let of_reader = self.truths.outages.iter().filter(|other| Some(other.subject.as_str()) == reader);
        self.truths.daemon_off.iter().chain(of_reader).any(|off| overlaps(&off))
    }

    /// Whether what is told to be down is, or may be, when it is told (an antenna is silent since it was last heard,
    /// which is before it was cut): a reader that still connects anew after the daemon did, an
    /// antenna before which nothing is left that it could hear.
    fn is_down(&self, told: &Told) -> bool {
        let at_us = told.told_us;
        let of_it = |outage: &&Entry| outage.subject == told.subject;
        let of_it: Vec<Entry> = self.truths.outages.iter().filter(of_it).cloned().collect();
        let ear = told.subject.replace('/', "#");
        let emptied = |lost: &Lost| lost.why == MASS_THEFT && lost.source == ear && lost.since_us < at_us;
        let is_antenna = told.subject.contains('/');
        within(&of_it, at_us, 0, 2 * MINUTE)
            || (!is_antenna && within(&self.truths.daemon_off, at_us, 0, 3 * MINUTE))
            || (is_antenna && self.truths.lost.iter().any(emptied))
    }

    pub(super) fn tracker_silent(&self) -> Simple {
        let fired = self.fired(Rule::TrackerSilent);
        let mut graded = Simple { raised: fired.len(), ..Simple::default() };
        let after = self.scenario.classes.iter().filter_map(|class| class.tracker_silent_after_s);
        let after = after.fold(0.0_f64, f64::max);
        let within = (after * 1e6) as i64 + WITHIN;
        for dead in &self.truths.dead_trackers {
            let to = dead.to_us.unwrap_or(self.ends_us).min(self.ends_us);
            let off: i64 = self.truths.daemon_off.iter().map(|off| overlap(off, dead.from_us, to)).sum();
            // Twice: the broker may have been away as well.
            if to - dead.from_us < 2 * within + off {
                continue;
            }
            graded.truth += 1;
            let found =
                fired.iter().any(|t| t.subject == dead.subject && (dead.from_us..=to).contains(&t.at_us));
            if !found {
                graded.missed.push(format!("{} since {}", dead.subject, at(dead.from_us)));
            }
        }
        for told in fired {
            if !within_subject(&self.truths.dead_trackers, told) {
                graded.spurious.push(format!("{} at {}", told.subject, at(told.at_us)));
            }
        }
        graded
    }

    /// A stranger that its reader could hear for long enough, of which nobody was told; and who is none.
    pub(super) fn zombies(&self) -> Simple {
        let fired = self.fired(Rule::Zombie);
        let subjects: BTreeSet<&str> = fired.iter().map(|told| told.subject.as_str()).collect();
        let mut graded = Simple { raised: fired.len(), ..Simple::default() };
        let listening = &self.scenario.listening;
        // It is told with its second word, of which one is due within a span, of hearing at a stretch.
        let enough = 2 * ((listening.refresh_s + listening.lost_after_s) * 1e6) as i64;
        for stranger in &self.truths.strangers {
            let to_us = stranger.to_us.min(self.ends_us);
            let working = self.truths.working.iter().filter(|working| working.source == stranger.source);
            let heard = working.map(|w| w.to_us.min(to_us) - w.from_us.max(stranger.from_us)).max();
            if heard.is_some_and(|heard| heard >= enough) {
                graded.truth += 1;
                if !subjects.contains(stranger.epc.as_str()) {
                    graded.missed.push(format!("{} at {}", stranger.epc, stranger.source));
                }
            }
        }
        let strangers: BTreeSet<&str> = self.truths.strangers.iter().map(|one| one.epc.as_str()).collect();
        let known = subjects.difference(&strangers);
        graded.spurious = known.map(|subject| (*subject).to_owned()).collect();
        graded
    }
}
