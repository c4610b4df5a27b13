//! The evidence that is kept with a passage: what each antenna heard, first, last and best.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Crossing, Heard};
use crate::clean::presence::Reads;
use crate::clean::rows::micros;
use crate::domain::sightings::{AntennaEvidence, Nearing, PhaseEvidence};
use crate::domain::time::Timestamp;

/// Evidence is kept of this many antennas of each of two spans of time.
const MAX_ANTENNAS: usize = 16;
/// Evidence of a tag that stays is that of the last one to two of these.
pub(super) const SPAN: Duration = Duration::from_secs(10);

/// The mean follows the last so many steps, about.
const MEAN_OF: u16 = 150;

/// Evidence of a span of time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Span {
    #[serde(with = "micros")]
    pub since: Timestamp,
    pub antennas: Vec<AntennaEvidence>,
}

impl Span {
    pub fn new(since: Timestamp) -> Self {
        Self { since, antennas: Vec::new() }
    }

    pub fn note(&mut self, reads: Reads, heard: Heard, turning_mps: Option<f32>) {
        let peak = heard.peak_dbm.filter(|dbm| dbm.is_finite());
        let seen = AntennaEvidence {
            antenna: heard.antenna,
            inside: heard.inside,
            reads: reads.count.max(1),
            first_at: reads.first,
            last_at: reads.last,
            peak_rssi_dbm: peak,
            peak_at: reads.last,
            phase: turning_mps.map(|nearing_mps| PhaseEvidence {
                before: Some(Nearing { nearing_mps, reads: 1 }),
                after: None,
            }),
        };
        match self.antennas.iter().position(|antenna| same(antenna, &seen)) {
            Some(place) => merge(&mut self.antennas[place], &seen),
            None if self.antennas.len() < MAX_ANTENNAS => self.antennas.push(seen),
            None => {}
        }
    }
}

/// How strong a tag has been, step by step, since it came or last passed: what passes comes from afar and goes
/// there again, and so is far louder at its best than on the mean; what stands is not.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Loudness {
    sum_dbm: f32,
    steps: u16,
    /// Step and signal of each side at its best: outside, inside.
    best: [Option<(i64, f32)>; 2],
}

impl Loudness {
    /// The strongest read of each side within a step.
    pub fn note(&mut self, bin: i64, dbm: [Option<f32>; 2]) {
        for (best, dbm) in self.best.iter_mut().zip(dbm) {
            let Some(dbm) = dbm else { continue };
            if best.is_none_or(|(_, best)| dbm > best) {
                *best = Some((bin, dbm));
            }
        }
        let Some(dbm) = dbm.into_iter().flatten().max_by(f32::total_cmp) else { return };
        if self.steps >= MEAN_OF {
            (self.sum_dbm, self.steps) = (self.sum_dbm / 2.0, self.steps / 2);
        }
        (self.sum_dbm, self.steps) = (self.sum_dbm + dbm, self.steps + 1);
    }

    /// By how much it was louder at its best than on the mean, in dB.
    pub fn rise(&self) -> Option<f32> {
        let best = self.best.iter().flatten().map(|(_, dbm)| *dbm).max_by(f32::total_cmp)?;
        Some(best - self.sum_dbm / f32::from(self.steps.max(1)))
    }

    /// In how many steps it was heard, about.
    pub fn steps(&self) -> f32 {
        f32::from(self.steps)
    }

    pub fn best_of(&self, inside: bool) -> Option<f32> {
        self.best[usize::from(inside)].map(|(_, dbm)| dbm)
    }

    /// How many steps after the outer side's best the inner side's came.
    pub fn inner_later(&self) -> Option<i64> {
        let [outer, inner] = self.best;
        Some(inner?.0 - outer?.0)
    }
}

impl Crossing {
    pub(in crate::clean) fn evidence(&self) -> Vec<AntennaEvidence> {
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

/// Speeds until the best read and from it on, where the later of two has a better one, or not.
fn phase(one: Option<PhaseEvidence>, later: Option<PhaseEvidence>, louder: bool) -> Option<PhaseEvidence> {
    let (Some(one), Some(later)) = (one, later) else { return one.or(later) };
    Some(if louder {
        PhaseEvidence { before: mean([one.before, one.after, later.before]), after: later.after }
    } else {
        PhaseEvidence { before: one.before, after: mean([one.after, later.before, later.after]) }
    })
}

fn mean(all: [Option<Nearing>; 3]) -> Option<Nearing> {
    all.into_iter().flatten().reduce(|one, other| {
        let reads = one.reads.saturating_add(other.reads);
        let share = other.reads as f32 / reads as f32;
        Nearing { nearing_mps: one.nearing_mps + (other.nearing_mps - one.nearing_mps) * share, reads }
    })
}

fn same(one: &AntennaEvidence, other: &AntennaEvidence) -> bool {
    (one.antenna, one.inside) == (other.antenna, other.inside)
}

fn merge(into: &mut AntennaEvidence, other: &AntennaEvidence) {
    into.reads = into.reads.saturating_add(other.reads);
    into.first_at = into.first_at.min(other.first_at);
    into.last_at = into.last_at.max(other.last_at);
    let louder = other.peak_rssi_dbm > into.peak_rssi_dbm;
    into.phase = phase(into.phase, other.phase, louder);
    if louder {
        (into.peak_rssi_dbm, into.peak_at) = (other.peak_rssi_dbm, other.peak_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Comes nearer until the eleventh read, and goes away; in one span, and with the loudest read in the second of two.
    #[test]
    fn speeds_are_kept_until_it_was_loudest_and_from_then_on() {
        let note = |span: &mut Span, nth: i64| {
            let at = Timestamp::from_micros(nth * 10_000);
            let dbm = -50.0 - (nth - 10).abs() as f32;
            let heard = Heard::at(1, true, Some(dbm));
            let mps = if nth <= 10 { 1.5 } else { -0.5 };
            span.note(Reads { first: at, last: at, count: 1 }, heard, Some(mps));
        };
        let mut whole = Span::new(Timestamp::from_micros(0));
        (0..20).for_each(|nth| note(&mut whole, nth));
        let nearing = |nearing_mps, reads| Some(Nearing { nearing_mps, reads });
        let expected = PhaseEvidence { before: nearing(1.5, 11), after: nearing(-0.5, 9) };
        assert_eq!(whole.antennas[0].phase, Some(expected));
        let mut parts = [Span::new(Timestamp::from_micros(0)), Span::new(Timestamp::from_micros(0))];
        (0..20).for_each(|nth| note(&mut parts[usize::from(nth >= 5)], nth));
        let [mut first, second] = parts.map(|span| span.antennas[0].clone());
        merge(&mut first, &second);
        assert_eq!(first.phase, Some(expected));
    }
}
