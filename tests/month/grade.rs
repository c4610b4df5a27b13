//! Alerts against the truth, by natural key: who, what, when.

use std::collections::{BTreeMap, BTreeSet};

use tallyman::domain::alerts::{AlertTransition, Rule};
use tallyman_simulators::month::{Entry, HELD_BACK, Lost, Out, Scenario, Truths};

use super::machine::Told;
use super::report::{Ghosts, Overdue, Report, Simple};

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
    ends_us: i64,
}

pub fn grade(scenario: &Scenario, seed: u64, truths: &Truths, told: &[Told], ends_us: i64) -> Report {
    let grader = Grader { scenario, truths, told, ends_us };
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

    /// Where most of a zone went at once the watcher may be suspected, for so long; also by whoever was gone
    /// from there before, and was not due yet.
    fn held_us(&self, lost: &Lost) -> i64 {
        let rules = tallyman::config::AlertRules::default();
        let due_us = lost.since_us + self.interval_us(lost) + WITHIN;
        let held = self.truths.lost.iter().any(|other| {
            other.why == "mass theft"
                && other.zone == lost.zone
                && (lost.since_us..due_us).contains(&other.since_us)
        });
        if held { rules.watcher_suspect_for.as_micros() as i64 } else { 0 }
    }

    fn ghosts(&self) -> Ghosts {
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

    fn is_off(&self, at_us: i64) -> bool {
        within(&self.truths.daemon_off, at_us, 0, MINUTE)
    }

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

    fn overdue(&self) -> Overdue {
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

    /// An outage that lasts is told once.
    fn reader_down(&self) -> Simple {
        let mut graded = Simple { truth: 0, ..Simple::default() };
        let fired = self.fired(Rule::ReaderDown);
        graded.raised = fired.len();
        for outage in self.truths.outages.iter().filter(|outage| !outage.why.starts_with("antenna")) {
            let to = outage.to_us.unwrap_or(self.ends_us).min(self.ends_us);
            let disturbed = self.truths.daemon_off.iter().any(|off| {
                off.from_us < to && off.to_us.is_none_or(|ended| ended + 2 * MINUTE > outage.from_us)
            });
            if to - outage.from_us < 3 * MINUTE || disturbed {
                continue;
            }
            graded.truth += 1;
            let span = outage.from_us..=outage.from_us + 2 * MINUTE;
            let found = fired.iter().any(|t| t.subject == outage.subject && span.contains(&t.at_us));
            if !found {
                graded.missed.push(format!("{} at {}", outage.subject, at(outage.from_us)));
            }
        }
        graded
    }

    fn tracker_silent(&self) -> Simple {
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
    fn zombies(&self) -> Simple {
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

    /// Each exit is told within minutes, unless the daemon was away or its door was cut off meanwhile.
    /// Its last return could not be known, so its checkout is open still.
    fn is_out_on_paper(&self, asset: &str, at_us: i64) -> bool {
        let last = self.truths.out.iter().rfind(|out| out.asset == asset && out.at_us <= at_us);
        last.is_some_and(|out| out.unknowable)
    }

    fn exits(&self, rule: Rule, truth: &[Entry]) -> Simple {
        let fired = self.fired(rule);
        let mut graded = Simple { raised: fired.len(), ..Simple::default() };
        let asked = |entry: &Entry| rule == Rule::NotReadyExit || self.needs_checkout(&entry.subject);
        for exit in truth.iter().filter(|entry| asked(entry)) {
            let soon = exit.from_us + 5 * MINUTE;
            let off = within(&self.truths.daemon_off, exit.from_us, 2 * MINUTE, 2 * MINUTE);
            let is_told =
                fired.iter().any(|t| t.subject == exit.subject && (exit.from_us..=soon).contains(&t.at_us));
            graded.truth += usize::from(is_told);
            // What its door holds back may be back when it comes; what is told already is not told again.
            let must = exit.why != HELD_BACK && !off && soon < self.ends_us;
            let is_out = rule == Rule::UnauthorisedExit && self.is_out_on_paper(&exit.subject, exit.from_us);
            if !is_told && must && !is_out && !self.is_open(rule, &exit.subject, exit.from_us) {
                graded.truth += 1;
                graded.missed.push(format!("{} at {}", exit.subject, at(exit.from_us)));
            }
        }
        for told in fired {
            let gone = |entry: &Entry| entry.subject == told.subject && entry.from_us <= told.at_us;
            if !truth.iter().any(gone) {
                graded.spurious.push(format!("{} at {}", told.subject, at(told.at_us)));
            }
        }
        graded
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
