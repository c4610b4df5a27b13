//! One tag at one portal: evidence gathers until the tag falls silent or has clearly settled on the
//! other side, and is then a passage or nothing.
//!
//! ```text
//! reads ─▶ bins of 1/5 s ─▶ chain (crossing.rs) ─┬─ silent for `settle` ─▶ judged, then at rest
//!                           trail (trail/)       └─ settled on the other side ─▶ passage, goes on
//! ```
//! Where all antennas watch one side, the rise and fall of the signal tells (`one_row.rs`). `verdict.rs` says
//! what all that amounts to.
//! A tag that is heard for longer than `static_after` without crossing stands near the door: from then
//! on an excursion to the other side must last longer than any before that came back. A window at rest
//! remembers where the tag was, so that sparse noise of a staged tag does not look like many short
//! visits. Everything kept is bounded. Never looks at a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) mod beams;
mod bins;
pub(super) mod companions;
mod evidence;
pub(super) mod follow;
pub(super) mod phase;
pub(super) mod verdict;

use self::beams::Beams;
use self::bins::{Bin, bin_of, time_of};
use self::companions::Companions;
use self::evidence::{Loudness, SPAN, Span};
use self::phase::{Phase, Phases};
use super::crossing::{Chain, STEP_US};
use super::one_row::Profile;
use super::presence::Reads;
use super::rows::{maybe_micros, micros};
use super::rules::PortalRule;
use super::trail::Trail;
use crate::domain::ids::Antenna;
use crate::domain::sightings::{Direction, PassageEvidence};
use crate::domain::time::Timestamp;

/// Reads may be out of order by this many bins before they are folded into the chain.
const REORDER_BINS: i64 = 5;
/// One report's reads are spread over at most this many bins.
const SPREAD_BINS: i64 = 15;
/// A window at rest remembers where the tag was, ever less, and is forgotten after this many `settle`s.
const REST: u32 = 10;
/// What is unclear is looked at again after so many `settle`s without a read.
const WAITS: u32 = 4;
/// Doors that heard a tag within this of one another heard the same movement.
const NEARBY: Duration = Duration::from_secs(10);
/// The chain follows a crossing by about this (median over seeds in `tests/portal.rs`).
const FOLLOWS: Duration = Duration::from_millis(300);
/// A side counts as taken with this probability.
const LEANS: f32 = 0.6;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Crossing {
    #[serde(with = "micros")]
    pub last: Timestamp,
    /// Since when the tag is heard here without having crossed.
    #[serde(with = "micros")]
    pub since: Timestamp,
    resting: bool,
    /// It is silent, nothing was clear, and others may yet tell where it went.
    #[serde(default)]
    waiting: bool,
    bins: Vec<Bin>,
    /// The bin that was folded last.
    folded: i64,
    chain: Chain,
    #[serde(default)]
    trail: Trail,
    /// How its signal rose and fell, where the portal has antennas on one side only.
    #[serde(default)]
    profile: Profile,
    /// The last passage, for doors that hear it too.
    #[serde(default)]
    passed: Option<Told>,
    peak_dbm: Option<f32>,
    /// Bin and signal of each side's last read that had one: outside, inside.
    signals: [Option<(i64, f32)>; 2],
    lean: Option<Lean>,
    /// Since when it is held for far from the door on the other side, and for clear of it.
    #[serde(default)]
    far: Holds,
    #[serde(default)]
    clear: Holds,
    #[serde(default)]
    level: Loudness,
    /// The longest excursion that came back.
    longest_return_us: i64,
    /// The last phase at each antenna.
    #[serde(default, skip_serializing_if = "Phases::is_empty")]
    phases: Phases,
    recent: Span,
    before: Option<Span>,
    /// A passage that its reads told surely, where no light barrier saw anything. Taken at once by who judges whether
    /// they work.
    #[serde(skip)]
    unseen: Option<Unseen>,
}

/// When, and how strongly at its best.
pub(super) type Unseen = (Timestamp, Option<f32>);

/// A passage that was said, and how strongly the tag was heard for it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Told {
    #[serde(with = "micros")]
    at: Timestamp,
    /// None of a reader that tells no signal.
    dbm: Option<f32>,
}

/// The side on which the tag seems to be.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Lean {
    inside: bool,
    /// Bin of the last time it was seen to be there.
    held: i64,
    /// When it came from the other side, where it did.
    #[serde(with = "maybe_micros", default)]
    came: Option<Timestamp>,
    /// It was judged as it stands since it came; it is once.
    #[serde(default)]
    judged: bool,
}

/// Since which bin something holds.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Holds {
    since: Option<i64>,
}

impl Holds {
    fn note(&mut self, bin: i64, holds: bool) {
        self.since = if holds { self.since.or(Some(bin)) } else { None };
    }

    fn lasts(&self, bin: i64) -> i64 {
        self.since.map_or(0, |since| bin - since)
    }
}

/// A passage before it is known whose.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Crossed {
    pub at: Timestamp,
    /// Since when the tag was heard.
    pub since: Timestamp,
    /// How many steps after the side that it left the side to which it came heard it best, where both did.
    pub later: Option<i64>,
    pub direction: Direction,
    pub confidence: f32,
    /// What the antennas alone gave.
    pub alone: f32,
    pub evidence: PassageEvidence,
    /// Its own reads told it, not what others did.
    pub by_itself: bool,
}

#[derive(PartialEq, Debug)]
pub(super) enum Judged {
    /// To be looked at again at its new deadline; a passage, where there was one.
    Rests(Option<Crossed>),
    /// Nothing more to remember.
    Forgotten,
}

/// An antenna of the portal, and what it heard best.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub antenna: Antenna,
    pub inside: bool,
    pub peak_dbm: Option<f32>,
    /// How fast the antenna sees it come nearer, where the reader tells Doppler.
    pub nearing_mps: Option<f32>,
    /// Of a reader that tells it.
    pub phase: Option<Phase>,
}

#[cfg(test)]
impl Heard {
    /// By a reader that tells nothing but how strong it was.
    pub fn at(antenna: Antenna, inside: bool, peak_dbm: Option<f32>) -> Self {
        Self { antenna, inside, peak_dbm, nearing_mps: None, phase: None }
    }
}

impl Crossing {
    pub fn new(at: Timestamp, rule: &PortalRule) -> Self {
        Self {
            last: at,
            since: at,
            resting: false,
            waiting: false,
            bins: Vec::new(),
            folded: bin_of(at) - 1,
            chain: Chain::new(),
            trail: Trail::new(&rule.model),
            profile: Profile::default(),
            passed: None,
            peak_dbm: None,
            signals: [None; 2],
            lean: None,
            far: Holds::default(),
            clear: Holds::default(),
            level: Loudness::default(),
            longest_return_us: 0,
            phases: Phases::default(),
            recent: Span::new(at),
            before: None,
            unseen: None,
        }
    }

    pub fn deadline(&self, rule: &PortalRule) -> Timestamp {
        let settle = rule.settle.max(Duration::from_millis(1));
        let times = match (self.resting, self.waiting) {
            (true, _) => 1 + REST,
            (false, true) => WAITS,
            (false, false) => 1,
        };
        self.last + settle * times
    }

    /// Takes in one report. A passage, where the tag has clearly settled on the other side.
    pub fn read(&mut self, reads: Reads, heard: Heard, rule: &PortalRule, beams: &Beams) -> Option<Crossed> {
        if self.resting {
            self.wake(reads, rule);
        }
        self.waiting = false;
        self.last = self.last.max(reads.last);
        let turning_mps = self.phases.note(reads, heard);
        self.note(reads, heard, turning_mps);
        self.gather(reads, heard);
        let newest = self.bins.last().map_or(self.folded, |bin| bin.at);
        self.fold(newest - REORDER_BINS, rule);
        self.settled(rule, beams)
    }

    /// See [`Self::unseen`].
    pub fn take_unseen(&mut self) -> Option<Unseen> {
        self.unseen.take()
    }

    /// The tag was not heard until its deadline. What is unclear waits for those that moved with it.
    pub fn silent(&mut self, rule: &PortalRule, others: &Companions, beams: &Beams) -> Judged {
        if self.resting {
            return Judged::Forgotten;
        }
        self.fold(i64::MAX, rule);
        let heard = (self.chain.clone(), self.trail.clone());
        self.fall_silent(rule);
        // Of one row the others tell more than a tag's own reads.
        let crossed = if rule.only_row().is_some() && self.waiting {
            self.follow(rule, others).or_else(|| self.judge(rule, beams))
        } else {
            self.judge(rule, beams).or_else(|| self.follow(rule, others))
        };
        if crossed.is_none() && !self.waiting {
            (self.chain, self.trail) = heard;
            self.waiting = true;
            return Judged::Rests(None);
        }
        self.resting = true;
        self.waiting = false;
        self.lean = None;
        Judged::Rests(crossed)
    }

    /// No more reads are awaited, and that says something too.
    fn fall_silent(&mut self, rule: &PortalRule) {
        self.chain.fall_silent();
        let silent = i64::try_from(rule.settle.as_micros()).unwrap_or(i64::MAX) / STEP_US;
        self.trail.step(silent, [None; 2], &rule.model);
        self.trail.fall_silent();
    }

    /// As it will be judged when it has been silent.
    #[cfg(test)]
    pub(in crate::clean) fn silenced(&self, rule: &PortalRule) -> Self {
        let mut then = self.clone();
        then.fold(i64::MAX, rule);
        then.fall_silent(rule);
        then
    }

    #[cfg(test)]
    pub(in crate::clean) fn profile(&self) -> &Profile {
        &self.profile
    }

    #[cfg(test)]
    pub(in crate::clean) fn is_resting(&self) -> bool {
        self.resting
    }

    /// It is judged for the last time when it has been silent for so long.
    #[cfg(test)]
    pub(in crate::clean) fn is_waiting(&self) -> bool {
        self.waiting
    }

    fn wake(&mut self, reads: Reads, rule: &PortalRule) {
        self.resting = false;
        let rest = rule.settle.max(Duration::from_millis(1)) * REST;
        let silent = reads.first.since(self.last).as_secs_f32();
        let memory = (1.0 - silent / rest.as_secs_f32()).clamp(0.0, 1.0);
        self.chain.begin_again(memory);
        self.trail.begin_again(memory, &rule.model);
        self.profile.clear();
        self.folded = (bin_of(reads.first) - 1).max(self.folded);
        self.start_evidence(reads.first);
    }

    fn note(&mut self, reads: Reads, heard: Heard, turning_mps: Option<f32>) {
        if reads.last.since(self.recent.since) > SPAN {
            let ended = std::mem::replace(&mut self.recent, Span::new(reads.first));
            let fresh = reads.last.since(ended.since) <= SPAN * 2;
            self.before = fresh.then_some(ended);
        }
        self.recent.note(reads, heard, turning_mps);
        if let Some(dbm) = heard.peak_dbm.filter(|dbm| dbm.is_finite()) {
            self.peak_dbm = Some(self.peak_dbm.map_or(dbm, |peak| peak.max(dbm)));
        }
    }

    /// Spreads a report's reads over the bins between its first and its last.
    fn gather(&mut self, reads: Reads, heard: Heard) {
        let last = bin_of(reads.last).max(self.folded + 1);
        let first = bin_of(reads.first).clamp((last - SPREAD_BINS + 1).max(self.folded + 1), last);
        let bins = (last - first + 1).min(i64::from(reads.count.max(1)));
        for nth in 0..bins {
            // From the last backwards, evenly.
            let at = last - (last - first) * nth / bins.max(1);
            let share = i64::from(reads.count.max(1)) / bins;
            self.bin(at).add(heard, u16::try_from(share.max(1)).unwrap_or(u16::MAX));
        }
    }

    fn bin(&mut self, at: i64) -> &mut Bin {
        let place = match self.bins.binary_search_by_key(&at, |bin| bin.at) {
            Ok(found) => found,
            Err(place) => {
                self.bins.insert(place, Bin { at, ..Bin::default() });
                place
            }
        };
        &mut self.bins[place]
    }

    /// Folds the bins before `until` into the chain.
    fn fold(&mut self, until: i64, rule: &PortalRule) {
        let model = &rule.model;
        let ready = self.bins.partition_point(|bin| bin.at < until);
        for index in 0..ready {
            let bin = self.bins[index];
            self.chain.step(bin.at - self.folded);
            self.trail.step(bin.at - self.folded, bin.nearing(), model);
            self.folded = bin.at;
            self.level.note(bin.at, bin.dbm);
            let levels = self.levels(bin);
            self.trail.observe(levels, model);
            if let Some(side) = rule.only_row() {
                self.profile.note(bin.at, bin.dbm[side], bin.nearing()[side].map(|(mps, _)| mps));
            }
            let evidence = self.weigh(bin);
            self.chain.observe(evidence);
            self.lean(bin.at);
            self.look();
        }
        self.bins.drain(..ready);
    }

    fn lean(&mut self, bin: i64) {
        let (outside, inside) = self.chain.sides();
        if outside.max(inside) < LEANS {
            return;
        }
        let now_inside = inside > outside;
        let came = match &self.lean {
            Some(lean) if lean.inside == now_inside => lean.came,
            Some(lean) => {
                let away = lean.inside != self.chain.began_inside();
                if let Some(came) = lean.came.filter(|_| away) {
                    let stayed = time_of(lean.held).micros_after(came).max(STEP_US);
                    self.longest_return_us = self.longest_return_us.max(stayed);
                }
                Some(time_of(lean.held.midpoint(bin)) - FOLLOWS)
            }
            None => None,
        };
        let judged = self.lean.as_ref().is_some_and(|lean| lean.judged && lean.inside == now_inside);
        self.lean = Some(Lean { inside: now_inside, held: bin, came, judged });
    }

    /// How strongly the tag was heard here within `NEARBY` of a moment, at its best.
    pub fn strongest_near(&self, at: Timestamp) -> Option<f32> {
        let near = |other: Timestamp| at.micros_after(other).unsigned_abs() <= NEARBY.as_micros() as u64;
        let spans = [Some(&self.recent), self.before.as_ref()];
        let heard = spans.into_iter().flatten().flat_map(|span| &span.antennas);
        let heard = heard.filter(|antenna| near(antenna.peak_at)).filter_map(|antenna| antenna.peak_rssi_dbm);
        let passed = self.passed.filter(|passed| near(passed.at)).and_then(|passed| passed.dbm);
        heard.chain(passed).max_by(f32::total_cmp)
    }

    /// After a passage: what comes now begins where the tag is.
    fn start_again(&mut self, rule: &PortalRule) {
        self.chain.begin_again(1.0);
        self.trail.begin_again(1.0, &rule.model);
        self.profile.clear();
        self.lean = None;
        (self.far, self.clear) = (Holds::default(), Holds::default());
        self.longest_return_us = 0;
        self.since = self.last;
        self.start_evidence(self.last);
    }

    fn start_evidence(&mut self, at: Timestamp) {
        self.level = Loudness::default();
        self.recent = Span::new(at);
        self.before = None;
    }
}
