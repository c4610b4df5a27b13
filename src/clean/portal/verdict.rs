//! What the gathered evidence of a tag amounts to: a passage, which way and how surely, or nothing.
//!
//! The chain compares the sides, the trail knows how strong a tag is where. What both hold for a crossing is one,
//! and what either is sure of, unless the other holds it impossible.

use super::bins::time_of;
use super::{Crossed, Crossing, Passed, STEP_US};
use crate::clean::rules::PortalRule;
use crate::domain::sightings::{AntennaEvidence, Direction, PassageEvidence};
use crate::domain::time::Timestamp;

/// Certain enough to say a passage while the tag is still heard, and on silence.
const CERTAIN: f32 = 0.8;
const LIKELY: f32 = 0.4;
/// The same for a tag that has stood near the door.
const LIKELY_STATIC: f32 = 0.55;
/// The chain does not know that what looks like a crossing mostly is one: tags at doors pass. By how
/// much that raises the odds was measured over seeds (`tests/portal.rs`).
const PASSES_ODDS: f32 = 3.0;
const TRAIL_ODDS: f32 = 5.0;
/// Less likely than this, and one holds impossible what the other takes for a crossing.
const IMPOSSIBLE: f32 = 0.03;
/// Least confidence where only one of them takes it for a crossing; and at all.
const LIKELY_ALONE: f32 = 0.7;
const LEAST_SAID: f32 = 0.6;
/// So likely to be far from the door on the other side, it will not come back at once.
const GONE: f32 = 0.6;
/// After this many times as long on the other side it stays there, however near, if the trail does not doubt it.
const STAYS: u32 = 2;
const NOT_AGAINST: f32 = 0.3;

impl Crossing {
    /// A passage said while the tag is still heard: it has gone on from the door, or stays on the other side.
    pub(super) fn settled(&mut self, rule: &PortalRule) -> Option<Crossed> {
        if rule.only_row().is_some() {
            let stays = STEP_US.saturating_mul(self.profile.since_peak());
            return if stays >= (rule.settle * 4).as_micros() as i64 { self.judge(rule) } else { None };
        }
        let (chain, trail) = (self.chain.crossed(), self.trail.crossed());
        let agreed = |chain: f32, trail: f32| if chain < CERTAIN { 0.0 } else { trail };
        let agreed = agreed(chain.0, trail.0).max(agreed(chain.1, trail.1));
        if agreed < NOT_AGAINST {
            return None;
        }
        let came = self.lean.as_ref().and_then(|lean| lean.came)?;
        let stays = time_of(self.folded).since(came);
        let enough = if self.stands(rule) { rule.settle * 3 } else { rule.settle };
        let gone = stays >= enough && self.trail.far_across() > GONE;
        if gone || stays >= enough * STAYS { self.judge(rule) } else { None }
    }

    pub(super) fn stands(&self, rule: &PortalRule) -> bool {
        self.last.since(self.since) > rule.static_after
    }

    pub(super) fn judge(&mut self, rule: &PortalRule) -> Option<Crossed> {
        let (direction, confidence) = self.likeliest(rule)?;
        let antennas = self.evidence();
        let unheard = |inside: bool| {
            rule.model.rows[usize::from(inside)] && !antennas.iter().any(|antenna| antenna.inside == inside)
        };
        if unheard(true) || unheard(false) {
            return None;
        }
        let peak = rule.only_row().and_then(|_| self.profile.slope()).map(|slope| time_of(slope.peak));
        let at = peak.unwrap_or_else(|| self.moment(direction == Direction::In, &antennas));
        if self.stands(rule) && self.last.micros_after(at) * 2 <= self.longest_return_us * 3 {
            return None;
        }
        let dbm = antennas.iter().filter_map(|antenna| antenna.peak_rssi_dbm).fold(f32::MIN, f32::max);
        let evidence = PassageEvidence { started_at: first_of(&antennas, at), ended_at: self.last, antennas };
        self.passed = Some(Passed { at, dbm });
        self.start_again(rule);
        Some(Crossed { at, direction, confidence, evidence })
    }

    /// The direction in which it has rather crossed, and how certain that is; none where it is not likely.
    fn likeliest(&self, rule: &PortalRule) -> Option<(Direction, f32)> {
        if let Some(side) = rule.only_row() {
            let slope = self.profile.slope()?;
            // Before a row that looks inside is the inside.
            let inward = slope.fades == (side == 1);
            let confidence = said(PASSES_ODDS, slope.probability);
            let direction = if inward { Direction::In } else { Direction::Out };
            return (confidence >= LIKELY_ALONE).then_some((direction, confidence));
        }
        let likely = if self.stands(rule) { LIKELY_STATIC } else { LIKELY };
        let (chain, trail) = (self.chain.crossed(), self.trail.crossed());
        let ways = [(Direction::In, chain.0, trail.0), (Direction::Out, chain.1, trail.1)];
        let told = ways.map(|(direction, chain, trail)| {
            let by_chain = chain >= likely && trail >= IMPOSSIBLE;
            let by_trail = said(TRAIL_ODDS, trail) >= LIKELY_ALONE && chain >= IMPOSSIBLE;
            let both = said(PASSES_ODDS, chain).max(said(TRAIL_ODDS, trail));
            (by_chain || by_trail).then_some((direction, both.max(LEAST_SAID)))
        });
        told.into_iter().flatten().max_by(|(_, one), (_, other)| one.total_cmp(other))
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
}

fn first_of(antennas: &[AntennaEvidence], at: Timestamp) -> Timestamp {
    antennas.iter().map(|antenna| antenna.first_at).min().unwrap_or(at)
}

/// A probability as a confidence: what looks like a crossing mostly is one.
fn said(odds: f32, probability: f32) -> f32 {
    (odds * probability / (1.0 + (odds - 1.0) * probability)).min(0.999)
}
