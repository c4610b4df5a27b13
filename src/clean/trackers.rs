//! Fixes to the trackers that sent them, and which trackers are remembered.
//!
//! Anybody who may publish at the broker may invent trackers, so their number is bounded, and one that is not
//! on the register and has been silent for long is forgotten. The table is not swept for them: a hand goes
//! round it, a few trackers further with each fix, and faster while a new one finds no room.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use smallvec::SmallVec;

use super::fixes::{FixRules, Tracker};
use super::geofence::Change;
use super::late::{Revealed, SETTLES, Stayed};
use super::redelivery::Budget;
use super::stops::{Connections, Stops};
use super::{Cleaned, Cleaner, Lookup, NO_FIX, TOO_MANY_TRACKERS};
use crate::config::{IntakeConfig, TrackerRules};
use crate::domain::ids::{DeviceId, SourceId};
use crate::domain::readings::{Fix, Note, Says};
use crate::domain::sightings::{Seen, Sighting};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

/// Trackers that the hand passes with each fix, and with the fix of a new one that finds no room.
const HAND: usize = 1;
const HAND_IN_HASTE: usize = 64;
/// Trackers whose late fixes may wait at a time; each of them is as large as three others, or as seven where its trips
/// are held.
const MOST_BURSTS: usize = 10_000;

pub(super) struct Trackers {
    pub held: Lookup<DeviceId, Box<Tracker>>,
    /// All of them, in the order in which they are looked at next.
    hand: VecDeque<DeviceId>,
    pub budget: Budget,
    pub dirty: Vec<DeviceId>,
    /// Whose late fixes are judged when. What stands here too early is put back when its time comes.
    settling: BTreeSet<(Timestamp, DeviceId)>,
    /// Whose late fixes were due while the source that they came by was away or catching up.
    held_back: BTreeMap<SourceId, BTreeSet<DeviceId>>,
    stops: Stops,
    unjudged: u64,
    most: usize,
    forget_after: std::time::Duration,
    forgotten: u64,
}

/// What the memory of trackers comes to, for the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remembered {
    pub trackers: usize,
    /// Trackers forgotten since the start: not on the register, and silent or in the way of one that is.
    pub forgotten: u64,
    /// Memory of the messages beyond the newest of each tracker.
    pub redelivery_bytes: usize,
    /// Late fixes, and visits that they show, of which nothing is told: older than what is remembered of their tracker.
    pub unjudged: u64,
    /// Chunks of messages that left memory before `intake.redelivery_horizon`.
    pub evicted: u64,
}

impl Trackers {
    pub fn new(intake: &IntakeConfig) -> Self {
        Self {
            held: Lookup::default(),
            hand: VecDeque::new(),
            budget: Budget::new(intake.redelivery_memory),
            dirty: Vec::new(),
            settling: BTreeSet::new(),
            held_back: BTreeMap::new(),
            stops: Stops::default(),
            unjudged: 0,
            most: intake.max_trackers,
            forget_after: intake.forget_trackers_after,
            forgotten: 0,
        }
    }

    /// Takes one up again. Call [`Trackers::restored`] after the last.
    pub fn restore(&mut self, device: DeviceId, mut tracker: Tracker, rules: &TrackerRules) {
        self.budget.recount(0, tracker.seen.full());
        if tracker.dirty {
            self.dirty.push(device.clone());
        }
        self.settling.extend(tracker.due().into_iter().flatten().map(|(at, _)| (at, device.clone())));
        self.stops.arm(&device, &mut tracker, rules);
        self.hand.push_back(device.clone());
        self.held.insert(device, Box::new(tracker));
    }

    pub fn restored(&mut self) {
        let mut chunks = Vec::new();
        for device in &self.hand {
            let seen = self.held.get(device).map(|tracker| tracker.seen.chunks());
            chunks.extend(seen.into_iter().flatten().map(|(number, at)| (at, device.clone(), number)));
        }
        chunks.sort();
        for (_, device, number) in chunks {
            self.budget.filled(&device, number);
        }
        self.keep_to_budget();
    }

    fn keep_to_budget(&mut self) {
        while let Some((device, number)) = self.budget.over() {
            let Some(tracker) = self.held.get_mut(&device) else { continue };
            if tracker.seen.evict_chunk(number) {
                self.budget.evicted_one();
                if !std::mem::replace(&mut tracker.dirty, true) {
                    self.dirty.push(device);
                }
            }
        }
        let held = &self.held;
        self.budget
            .tidy(|device, number| held.get(device).is_some_and(|tracker| tracker.seen.has_chunk(number)));
    }

    /// Looks at the next few. `coming` has sent a fix; `is_known` tells who is on the register.
    fn tend(
        &mut self,
        coming: &DeviceId,
        received: Timestamp,
        is_known: impl Fn(&DeviceId) -> bool,
        gone: &mut Vec<StateRow>,
    ) {
        let is_full = self.held.len() >= self.most && !self.held.contains_key(coming);
        // Who is on the register does not wait until a stranger has been silent for long.
        let mut needs_room = is_full && is_known(coming);
        for _ in 0..if is_full { HAND_IN_HASTE } else { HAND } {
            let Some(device) = self.hand.pop_front() else { return };
            let heard = self.held.get(&device).map_or(Timestamp::MIN, |tracker| tracker.heard());
            let is_silent = received.since(heard) > self.forget_after;
            if device != *coming && (is_silent || needs_room) && !is_known(&device) {
                self.forget(&device, gone);
                needs_room = false;
            } else {
                self.hand.push_back(device);
            }
        }
    }

    /// The tracker, a new one where there is room for it.
    fn admit(&mut self, device: &DeviceId) -> Option<&mut Tracker> {
        if !self.held.contains_key(device) {
            if self.held.len() >= self.most {
                return None;
            }
            self.hand.push_back(device.clone());
        }
        Some(self.held.entry(device.clone()).or_default())
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        let settling = self.settling.first().map(|(at, _)| *at);
        settling.into_iter().chain(self.stops.next_deadline()).min()
    }

    /// A tracker of which something that waits is to be judged by then, or now where too many have some: its late fixes, what
    /// is held of its motion, or both. More may come while the connection that it came by is away or catches up, and for a
    /// while after that: `live_since` says when it did.
    fn pop_settling(
        &mut self,
        until: Timestamp,
        live_since: impl Fn(&SourceId) -> Result<Timestamp, SourceId>,
    ) -> Option<(Timestamp, DeviceId, [bool; 2])> {
        loop {
            let held_back: usize = self.held_back.values().map(BTreeSet::len).sum();
            let is_full = self.settling.len() + held_back > MOST_BURSTS;
            let (at, device) = match self.settling.first() {
                Some((at, _)) if is_full || *at <= until => self.settling.pop_first()?,
                _ if is_full => (until, self.pop_held_back()?),
                _ => return None,
            };
            let Some(tracker) = self.held.get(&device) else { continue };
            let waits = tracker.due();
            let has_to = [is_full || tracker.late.is_full(), is_full];
            let mut now = [false; 2];
            for (nth, (due, via)) in (0..).zip(waits).filter_map(|(nth, waits)| Some((nth, waits?))) {
                match live_since(via).map(|since| due.max(since + SETTLES)) {
                    _ if has_to[nth] => now[nth] = true,
                    // It stood too early: in its turn, though that may be now as well.
                    Ok(due) if due > at => _ = self.settling.insert((due, device.clone())),
                    Ok(_) => now[nth] = true,
                    Err(away) => _ = self.held_back.entry(away).or_default().insert(device.clone()),
                }
            }
            if now != [false; 2] {
                return Some((at.min(until), device, now));
            }
        }
    }

    fn pop_held_back(&mut self) -> Option<DeviceId> {
        self.held_back.values_mut().find_map(BTreeSet::pop_first)
    }

    /// A source has caught up: the late fixes that wait for it do so for a while longer.
    pub fn resume(&mut self, source: &SourceId, at: Timestamp, rules: &TrackerRules) {
        for device in self.stops.resume(source) {
            if let Some(tracker) = self.held.get_mut(&device) {
                self.stops.arm(&device, tracker, rules);
            }
        }
        let devices = self.held_back.remove(source).into_iter().flatten();
        self.settling.extend(devices.map(|device| (at + SETTLES, device)));
    }

    fn forget(&mut self, device: &DeviceId, gone: &mut Vec<StateRow>) {
        let Some(tracker) = self.held.remove(device) else { return };
        self.forgotten += 1;
        self.stops.forget(device, &tracker);
        self.budget.recount(tracker.seen.full(), 0);
        gone.push(StateRow::delete(StateKind::Tracker, device.as_str()));
        let chunks = tracker.seen.chunks();
        gone.extend(chunks.map(|(number, _)| {
            StateRow::delete(StateKind::TrackerSeen, super::state::seen_key(device, number))
        }));
    }
}

impl Cleaner {
    /// To be called before a fix or a note is given: forgets trackers that `is_known` does not know and that have been
    /// silent for `intake.forget_trackers_after`, some at a time.
    pub fn tend_trackers(
        &mut self,
        coming: &DeviceId,
        received: Timestamp,
        is_known: impl Fn(&DeviceId) -> bool,
    ) {
        self.trackers.tend(coming, received, is_known, &mut self.orphans);
    }

    pub fn remembered(&self) -> Remembered {
        Remembered {
            trackers: self.trackers.held.len(),
            forgotten: self.trackers.forgotten,
            redelivery_bytes: self.trackers.budget.bytes(),
            evicted: self.trackers.budget.evicted(),
            unjudged: self.trackers.unjudged,
        }
    }

    /// What is no position says at most whether its tracker lives.
    pub(super) fn note(
        &mut self,
        note: &Note,
        index: usize,
        received: Timestamp,
        out: &mut Cleaned,
    ) -> Option<&'static str> {
        match note.says {
            Says::Nothing => None,
            // A retained one is of some connection before.
            Says::Gone if note.retained => None,
            Says::Gone => {
                if let Some(tracker) = self.trackers.held.get_mut(&note.device) {
                    let clean = !tracker.dirty;
                    tracker.gone();
                    if clean && tracker.dirty {
                        self.trackers.dirty.push(note.device.clone());
                    }
                }
                out.sightings.push(Sighting {
                    source: self.sources[index].id.clone(),
                    observed_at: received,
                    received_at: received,
                    late: false,
                    what: Seen::Gone { device: note.device.clone() },
                });
                None
            }
            Says::Lives if note.retained => None,
            Says::NoFix if note.retained => Some(NO_FIX),
            Says::Lives | Says::NoFix => {
                let live = self.sources[index].live();
                let Some(tracker) = self.trackers.admit(&note.device) else { return Some(TOO_MANY_TRACKERS) };
                let clean = !tracker.dirty;
                let alive = tracker.lives(note.observed_at.unwrap_or(received), received, live);
                if note.says == Says::NoFix {
                    tracker.has_none();
                }
                let is_news = !note.vitals.is_empty();
                let told = note.observed_at.unwrap_or(received);
                let said = is_news.then(|| tracker.says(&note.vitals, told, received)).flatten();
                let stands = tracker.stands();
                let is_astray = said.is_some() && Stops::is_astray(tracker, &self.rules.tracker);
                if clean && tracker.dirty {
                    self.trackers.dirty.push(note.device.clone());
                }
                if is_astray && let Some(tracker) = self.trackers.held.get_mut(&note.device) {
                    self.trackers.stops.arm(&note.device, tracker, &self.rules.tracker);
                }
                self.say_alive(&note.device, alive, stands, index, received, out);
                out.sightings.extend(said.map(|observed_at| Sighting {
                    source: self.sources[index].id.clone(),
                    observed_at,
                    received_at: received,
                    late: false,
                    what: Seen::Vitals { device: note.device.clone(), vitals: note.vitals },
                }));
                (note.says == Says::NoFix).then_some(NO_FIX)
            }
        }
    }

    fn say_alive(
        &self,
        device: &DeviceId,
        alive: Option<Timestamp>,
        stands: Option<bool>,
        index: usize,
        received: Timestamp,
        out: &mut Cleaned,
    ) {
        out.sightings.extend(alive.map(|observed_at| Sighting {
            source: self.sources[index].id.clone(),
            observed_at,
            received_at: received,
            late: false,
            what: Seen::Heard { device: device.clone(), stands },
        }));
    }

    pub(super) fn fix(
        &mut self,
        fix: Fix,
        index: usize,
        received: Timestamp,
        out: &mut Cleaned,
    ) -> Option<&'static str> {
        let rules = FixRules {
            clock: &self.clock_rules,
            horizon: self.redelivery_horizon,
            tracker: &self.rules.tracker,
            fences: &self.rules.fences,
            via: &self.sources[index].id,
        };
        let device = fix.device.clone();
        let trackers = &mut self.trackers;
        let Some(tracker) = trackers.admit(&device) else { return Some(TOO_MANY_TRACKERS) };
        let (clean, chunks, next) = (!tracker.dirty, tracker.seen.full(), tracker.seen.next());
        let waited = tracker.due().map(|waits| waits.map(|(at, via)| (at, via.clone())));
        let live = self.sources[index].live();
        let alive = if fix.retained { None } else { tracker.lives(fix.observed_at, received, live) };
        let told = fix.observed_at;
        let taken = tracker.take(fix, received, &rules);
        let clock = tracker.clock_turned(told, received, rules.clock);
        let (stands, is_astray) = (tracker.stands(), Stops::is_astray(tracker, &self.rules.tracker));
        let (full, filled) = (tracker.seen.full(), tracker.seen.next() != next);
        // A later moment is found when the earlier one comes, where that one is not held back with another source.
        let due = tracker.due().into_iter().zip(waited).filter_map(|(waits, before)| {
            let ((due, via), before) = (waits?, before);
            before.is_none_or(|(before, before_via)| due < before || *via != before_via).then_some(due)
        });
        let due: SmallVec<[Timestamp; 2]> = due.collect();
        if clean && tracker.dirty {
            trackers.dirty.push(device.clone());
        }
        if is_astray && let Some(tracker) = trackers.held.get_mut(&device) {
            trackers.stops.arm(&device, tracker, &self.rules.tracker);
        }
        trackers.settling.extend(due.into_iter().map(|due| (due, device.clone())));
        trackers.budget.recount(chunks, full);
        if filled {
            trackers.budget.filled(&device, next);
            trackers.keep_to_budget();
        }
        self.say_alive(&device, alive, stands, index, received, out);
        out.sightings.extend(clock.map(|ahead_us| Sighting {
            source: self.sources[index].id.clone(),
            observed_at: received,
            received_at: received,
            late: false,
            what: Seen::Clock { device: device.clone(), ahead_us },
        }));
        let accepted = match taken {
            Ok(accepted) => accepted,
            Err(reason) => return Some(reason),
        };
        self.trackers.unjudged += u64::from(!accepted.reveals);
        if !accepted.fix.retained && self.sources[index].forward(accepted.fix.observed_at, received) {
            self.relink(index, "caught up", received, received, out);
        }
        let source = self.sources[index].id.clone();
        let say = |observed_at, late, what| Sighting {
            source: source.clone(),
            observed_at,
            received_at: received,
            late,
            what,
        };
        let (at, what) =
            (accepted.fix.observed_at, Seen::Fix { fix: accepted.fix, inside: accepted.inside, stands });
        out.sightings.push(say(at, accepted.late, what));
        for (observed_at, motion) in accepted.motion {
            out.sightings.push(say(observed_at, false, Seen::Motion { device: device.clone(), motion }));
        }
        for Change { fence, change, fix, inferred, late, .. } in accepted.changes {
            let device = device.clone();
            out.sightings.push(say(
                fix.observed_at,
                late,
                Seen::Fence { device, fence, change, fix, inferred },
            ));
        }
        None
    }

    /// Our clock has come to `until`: late fixes are judged, and trips are over, where it is time.
    pub(super) fn pass_trackers(&mut self, until: Timestamp, out: &mut Cleaned) {
        self.settle_late(until, out);
        self.stop_silent(until, out);
    }

    fn stop_silent(&mut self, until: Timestamp, out: &mut Cleaned) {
        let connections = Connections {
            sources: &self.sources,
            by_name: &self.by_name,
            configured: &self.rules.tracker_sources,
        };
        let live_since = |source: &SourceId| connections.live_since(source);
        let Trackers { held, stops, dirty, .. } = &mut self.trackers;
        while let Some((at, device)) = stops.pop(until, held, &self.rules.tracker, live_since) {
            let Some(tracker) = held.get_mut(&device) else { continue };
            let Some(source) = tracker.stop_due(&self.rules.tracker).map(|(_, _, via)| via.clone()) else {
                continue;
            };
            let clean = !tracker.dirty;
            let told = tracker.stop();
            if clean {
                dirty.push(device.clone());
            }
            out.sightings.extend(told.map(|(observed_at, motion)| Sighting {
                source,
                observed_at,
                received_at: at,
                late: false,
                what: Seen::Motion { device, motion },
            }));
        }
    }

    /// Judges the late fixes of those for whom it is time.
    fn settle_late(&mut self, until: Timestamp, out: &mut Cleaned) {
        let connections = Connections {
            sources: &self.sources,
            by_name: &self.by_name,
            configured: &self.rules.tracker_sources,
        };
        let live_since = |source: &SourceId| connections.live_since(source);
        let rules = &self.rules.tracker;
        while let Some((at, device, [late, motion])) = self.trackers.pop_settling(until, live_since) {
            let Trackers { held, dirty, stops, unjudged, .. } = &mut self.trackers;
            let Some(tracker) = held.get_mut(&device) else { continue };
            let clean = !tracker.dirty;
            let via = tracker.due().map(|waits| waits.map(|(_, via)| via.clone()));
            let say = |source: &SourceId, observed_at, late, what| Sighting {
                source: source.clone(),
                observed_at,
                received_at: at,
                late,
                what,
            };
            let [by_late, by_held] = &via;
            if let Some(source) = by_late.as_ref().filter(|_| late) {
                let Revealed { changes, stays, unjudged: more } =
                    tracker.settle(&device, rules, &self.rules.fences);
                *unjudged += more;
                for Change { fence, change, fix, inferred, late, .. } in changes {
                    let (at, device) = (fix.observed_at, device.clone());
                    out.sightings.push(say(
                        source,
                        at,
                        late,
                        Seen::Fence { device, fence, change, fix, inferred },
                    ));
                }
                for Stayed { fence, from, until } in stays {
                    let seen_at = until.or(from).unwrap_or(at);
                    let what = Seen::Stayed { device: device.clone(), fence, from, until };
                    out.sightings.push(say(source, seen_at, true, what));
                }
            }
            if let Some(source) = by_held.as_ref().filter(|_| motion) {
                for (observed_at, motion) in tracker.settle_motion(rules) {
                    let what = Seen::Motion { device: device.clone(), motion };
                    out.sightings.push(say(source, observed_at, false, what));
                }
            }
            if clean {
                dirty.push(device.clone());
            }
            stops.arm(&device, tracker, rules);
        }
    }
}
