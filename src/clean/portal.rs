//! One tag at one portal: evidence gathers until the tag falls silent or has clearly settled on the
//! other side, and is then a passage or nothing.
//!
//! ```text
//! reads ─▶ bins of 1/5 s ─▶ chain (crossing.rs) ─┬─ silent for `settle` ─▶ judged, then at rest
//!                                                └─ settled on the other side ─▶ passage, goes on
//! ```
//! A tag that is heard for longer than `static_after` without crossing stands near the door: from then
//! on an excursion to the other side must last longer than any before that came back. A window at rest
//! remembers where the tag was, so that sparse noise of a staged tag does not look like many short
//! visits. Everything kept is bounded. Never looks at a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::crossing::{Chain, Evidence, STEP_US};
use super::presence::Reads;
use super::rows::{maybe_micros, micros};
use super::rules::PortalRule;
use crate::domain::ids::Antenna;
use crate::domain::sightings::{AntennaEvidence, Direction, PassageEvidence};
use crate::domain::time::Timestamp;

/// Reads may be out of order by this many bins before they are folded into the chain.
const REORDER_BINS: i64 = 5;
/// One report's reads are spread over at most this many bins.
const SPREAD_BINS: i64 = 15;
/// Evidence is kept of this many antennas of each of two spans of time.
const MAX_ANTENNAS: usize = 16;
/// Evidence of a tag that stays is that of the last one to two of these.
const SPAN: Duration = Duration::from_secs(10);
/// Signals of both sides are compared where both came within this.
const COMPARED_BINS: i64 = 5;
/// A window at rest remembers where the tag was, ever less, and is forgotten after this many `settle`s.
const REST: u32 = 10;
/// Certain enough to say a passage while the tag is still heard, and on silence.
const CERTAIN: f32 = 0.8;
const LIKELY: f32 = 0.4;
/// The same for a tag that has stood near the door.
const LIKELY_STATIC: f32 = 0.55;
/// The chain does not know that what looks like a crossing mostly is one: tags at doors pass. By how
/// much that raises the odds was measured over seeds (`tests/portal.rs`).
const PASSES_ODDS: f32 = 3.0;
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
    since: Timestamp,
    resting: bool,
    bins: Vec<Bin>,
    /// The bin that was folded last.
    folded: i64,
    chain: Chain,
    peak_dbm: Option<f32>,
    /// Bin and signal of each side's last read that had one: outside, inside.
    signals: [Option<(i64, f32)>; 2],
    lean: Option<Lean>,
    /// The longest excursion that came back.
    longest_return_us: i64,
    recent: Span,
    before: Option<Span>,
}

/// The reads of a fifth of a second, by side: outside, inside.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Bin {
    at: i64,
    reads: [u16; 2],
    /// The strongest of each side.
    dbm: [Option<f32>; 2],
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
}

/// Evidence of a span of time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Span {
    #[serde(with = "micros")]
    since: Timestamp,
    antennas: Vec<AntennaEvidence>,
}

/// A passage before it is known whose.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Crossed {
    pub at: Timestamp,
    pub direction: Direction,
    pub confidence: f32,
    pub evidence: PassageEvidence,
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
}

impl Crossing {
    pub fn new(at: Timestamp) -> Self {
        Self {
            last: at,
            since: at,
            resting: false,
            bins: Vec::new(),
            folded: bin_of(at) - 1,
            chain: Chain::new(),
            peak_dbm: None,
            signals: [None; 2],
            lean: None,
            longest_return_us: 0,
            recent: Span::new(at),
            before: None,
        }
    }

    pub fn deadline(&self, rule: &PortalRule) -> Timestamp {
        let settle = rule.settle.max(Duration::from_millis(1));
        if self.resting { self.last + settle + settle * REST } else { self.last + settle }
    }

    /// Takes in one report. A passage, where the tag has clearly settled on the other side.
    pub fn read(&mut self, reads: Reads, heard: Heard, rule: &PortalRule) -> Option<Crossed> {
        if self.resting {
            self.wake(reads, rule);
        }
        self.last = self.last.max(reads.last);
        self.note(reads, heard);
        self.gather(reads, heard);
        let newest = self.bins.last().map_or(self.folded, |bin| bin.at);
        self.fold(newest - REORDER_BINS);
        self.settled(rule)
    }

    /// The tag was not heard until its deadline.
    pub fn silent(&mut self, rule: &PortalRule) -> Judged {
        if self.resting {
            return Judged::Forgotten;
        }
        self.fold(i64::MAX);
        self.chain.fall_silent();
        let crossed = self.judge(rule);
        self.resting = true;
        self.lean = None;
        Judged::Rests(crossed)
    }

    fn wake(&mut self, reads: Reads, rule: &PortalRule) {
        self.resting = false;
        let rest = rule.settle.max(Duration::from_millis(1)) * REST;
        let silent = reads.first.since(self.last).as_secs_f32();
        let memory = (1.0 - silent / rest.as_secs_f32()).clamp(0.0, 1.0);
        self.chain.begin_again(memory);
        self.folded = (bin_of(reads.first) - 1).max(self.folded);
        self.start_evidence(reads.first);
    }

    fn note(&mut self, reads: Reads, heard: Heard) {
        if reads.last.since(self.recent.since) > SPAN {
            let ended = std::mem::replace(&mut self.recent, Span::new(reads.first));
            let fresh = reads.last.since(ended.since) <= SPAN * 2;
            self.before = fresh.then_some(ended);
        }
        self.recent.note(reads, heard);
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
    fn fold(&mut self, until: i64) {
        let ready = self.bins.partition_point(|bin| bin.at < until);
        for index in 0..ready {
            let bin = self.bins[index];
            self.chain.step(bin.at - self.folded);
            self.folded = bin.at;
            let evidence = self.weigh(bin);
            self.chain.observe(evidence);
            self.lean(bin.at);
        }
        self.bins.drain(..ready);
    }

    fn weigh(&mut self, bin: Bin) -> Evidence {
        for (signal, dbm) in self.signals.iter_mut().zip(bin.dbm) {
            if let Some(dbm) = dbm {
                *signal = Some((bin.at, dbm));
            }
        }
        let lately = |side: usize| {
            self.signals[side].filter(|(at, _)| bin.at - at <= COMPARED_BINS).map(|(_, dbm)| dbm)
        };
        let stronger_db = lately(0).zip(lately(1)).map(|(outside, inside)| inside - outside);
        let weight = |side: usize| independent(bin.reads[side]) * self.strength(bin.dbm[side]);
        Evidence { inside: weight(1), outside: weight(0), stronger_db }
    }

    /// Weak reads leak through the door: they say less of the side.
    fn strength(&self, dbm: Option<f32>) -> f32 {
        let below_peak = self.peak_dbm.zip(dbm).map_or(0.0, |(peak, dbm)| peak - dbm);
        (1.3 - below_peak / 20.0).clamp(0.3, 1.0)
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
        self.lean = Some(Lean { inside: now_inside, held: bin, came });
    }

    /// A passage said while the tag is still heard: it stays on the other side.
    fn settled(&mut self, rule: &PortalRule) -> Option<Crossed> {
        let (inward, outward) = self.chain.crossed();
        if inward.max(outward) < CERTAIN {
            return None;
        }
        let came = self.lean.as_ref().and_then(|lean| lean.came)?;
        let stays = time_of(self.folded).since(came);
        let enough = if self.stands(rule) { rule.settle * 3 } else { rule.settle };
        if stays < enough { None } else { self.judge(rule) }
    }

    fn stands(&self, rule: &PortalRule) -> bool {
        self.last.since(self.since) > rule.static_after
    }

    fn judge(&mut self, rule: &PortalRule) -> Option<Crossed> {
        let (inward, outward) = self.chain.crossed();
        let (direction, confidence) =
            if inward >= outward { (Direction::In, inward) } else { (Direction::Out, outward) };
        let antennas = self.evidence();
        let heard = |inside: bool| antennas.iter().any(|antenna| antenna.inside == inside);
        let likely = if self.stands(rule) { LIKELY_STATIC } else { LIKELY };
        if confidence < likely || !heard(true) || !heard(false) {
            return None;
        }
        let at = self.moment(direction == Direction::In, &antennas);
        if self.stands(rule) && self.last.micros_after(at) * 2 <= self.longest_return_us * 3 {
            return None;
        }
        let evidence = PassageEvidence { started_at: first_of(&antennas, at), ended_at: self.last, antennas };
        self.start_again();
        Some(Crossed { at, direction, confidence: said(confidence), evidence })
    }

    /// When the tag crossed: as it came to lean to its new side, or between the sides' best moments.
    fn moment(&self, inside: bool, antennas: &[AntennaEvidence]) -> Timestamp {
        let came = self.lean.as_ref().filter(|lean| lean.inside == inside).and_then(|lean| lean.came);
        came.unwrap_or_else(|| {
            let best = |inside: bool| {
                let side = antennas.iter().filter(|antenna| antenna.inside == inside);
                let best = side.max_by_key(|antenna| antenna.reads);
                best.map_or(self.last, |antenna| antenna.peak_at).as_micros()
            };
            Timestamp::from_micros(best(true) / 2 + best(false) / 2)
        })
    }

    /// After a passage: what comes now begins where the tag is.
    fn start_again(&mut self) {
        self.chain.begin_again(1.0);
        self.lean = None;
        self.longest_return_us = 0;
        self.since = self.last;
        self.start_evidence(self.last);
    }

    fn start_evidence(&mut self, at: Timestamp) {
        self.recent = Span::new(at);
        self.before = None;
    }

    fn evidence(&self) -> Vec<AntennaEvidence> {
        let mut merged = self.before.as_ref().map_or_else(Vec::new, |span| span.antennas.clone());
        for antenna in &self.recent.antennas {
            match merged.iter_mut().find(|other| same(other, antenna)) {
                Some(other) => merge(other, antenna),
                None => merged.push(antenna.clone()),
            }
        }
        merged.sort_by_key(|antenna| (antenna.antenna, antenna.inside));
        merged
    }
}

fn bin_of(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(STEP_US)
}

fn time_of(bin: i64) -> Timestamp {
    Timestamp::from_micros(bin.saturating_mul(STEP_US).saturating_add(STEP_US / 2))
}

/// The chain's probability as a confidence.
fn said(probability: f32) -> f32 {
    (PASSES_ODDS * probability / (1.0 + (PASSES_ODDS - 1.0) * probability)).min(0.999)
}

fn first_of(antennas: &[AntennaEvidence], at: Timestamp) -> Timestamp {
    antennas.iter().map(|antenna| antenna.first_at).min().unwrap_or(at)
}

/// Reads of one antenna within a bin share their fading: four count as two.
fn independent(reads: u16) -> f32 {
    f32::from(reads.min(4)).sqrt()
}

fn same(one: &AntennaEvidence, other: &AntennaEvidence) -> bool {
    (one.antenna, one.inside) == (other.antenna, other.inside)
}

fn merge(into: &mut AntennaEvidence, other: &AntennaEvidence) {
    into.reads = into.reads.saturating_add(other.reads);
    into.first_at = into.first_at.min(other.first_at);
    into.last_at = into.last_at.max(other.last_at);
    if other.peak_rssi_dbm > into.peak_rssi_dbm {
        (into.peak_rssi_dbm, into.peak_at) = (other.peak_rssi_dbm, other.peak_at);
    }
}

impl Bin {
    fn add(&mut self, heard: Heard, reads: u16) {
        let side = usize::from(heard.inside);
        self.reads[side] = self.reads[side].saturating_add(reads);
        if let Some(dbm) = heard.peak_dbm.filter(|dbm| dbm.is_finite()) {
            self.dbm[side] = Some(self.dbm[side].map_or(dbm, |best| best.max(dbm)));
        }
    }
}

impl Span {
    fn new(since: Timestamp) -> Self {
        Self { since, antennas: Vec::new() }
    }

    fn note(&mut self, reads: Reads, heard: Heard) {
        let peak = heard.peak_dbm.filter(|dbm| dbm.is_finite());
        let seen = AntennaEvidence {
            antenna: heard.antenna,
            inside: heard.inside,
            reads: reads.count.max(1),
            first_at: reads.first,
            last_at: reads.last,
            peak_rssi_dbm: peak,
            peak_at: reads.last,
        };
        match self.antennas.iter().position(|antenna| same(antenna, &seen)) {
            Some(place) => merge(&mut self.antennas[place], &seen),
            None if self.antennas.len() < MAX_ANTENNAS => self.antennas.push(seen),
            None => {}
        }
    }
}
