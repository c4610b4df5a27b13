//! Where along a door's axis a tag is, and on which side it began: a hidden Markov chain.
//!
//! ```text
//! metres from the door:  -9 ↔ -5 ↔ -2.5 ↔ -1 ↔ 0 ↔ 1 ↔ 2.5 ↔ 5 ↔ 9      (outside | inside)
//!                        away far beyond near door near beyond far away
//! ```
//! Nine places; a tag stays or steps to a neighbour within each fifth of a second. What is observed is how
//! strongly each row of antennas hears it, which of them hear it how often, and, where the reader tells
//! Doppler, whether it comes nearer. How strong a tag is at its best is not known beforehand (its make, what it
//! is stuck to, how it hangs), and is followed with the place: what never gets stronger than weak has not been at
//! the door, unless it is a weak tag. The chain carries, for each side on which the tag may have begun, how
//! likely it is to be at each place now: hence the probability that it began on one side and is clear of the
//! door on the other, which is what a passage is. What turns back ends where it began; what stands in the
//! doorway, or has only peeped through it, is not clear of it.
//!
//! Beside `crossing.rs`, which compares sides and knows no strengths: what that takes for a crossing and this holds
//! impossible is none. Forward filtering, as there. Knows nothing of tags, times or antennas.

use serde::{Deserialize, Serialize};

mod cells;
mod model;
#[cfg(test)]
mod tests;

pub(super) use model::Model;
use model::{DOOR, PLACES, Rows, SCATTERS_DB, STRENGTH_PRIOR, STRENGTHS, drifts, mirrored};

const BEGINNINGS: usize = 2;
const CELLS: usize = BEGINNINGS * STRENGTHS * PLACES;

/// More steps than this forget where the tag was: longer silences need no more.
const MAX_STEPS: i64 = 60;

/// No single comparison says more than this (log-likelihood): what is modelled is not all there is.
const MOST: f32 = 4.5;
/// The least probability of a cell, of those with one beginning.
const TRACE: f32 = 1e-7;
/// Weight of the numbers of reads beside signals.
const COUNTS: f32 = 0.5;
/// A tag that has been silent for long is rather away than in front of the antennas (log-likelihood).
const SILENCE: [f32; PLACES] = [0.0, 0.0, -0.3, -3.0, -4.0, -3.0, -0.3, 0.0, 0.0];
/// Where no signal is told: the share of the reads that the inside antennas make at each place.
const INSIDE_SHARE: [f32; PLACES] = [0.08, 0.05, 0.07, 0.2, 0.5, 0.8, 0.93, 0.95, 0.92];

/// What a step's reads say of the place, by row: outside, inside.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Levels {
    pub reads: [u16; 2],
    /// The strongest read of each, and how much news it is beside the step before, from 0 to 1: a tag that
    /// stands still fades the same way again and again.
    pub dbm: [Option<f32>; 2],
    pub news: f32,
}

/// Probability of each place and strength, for each side on which it may have begun.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Trail {
    #[serde(with = "cells")]
    joint: [f32; CELLS],
}

/// What a build without one left: a tag that appears.
impl Default for Trail {
    fn default() -> Self {
        Self::new(&Model::new([true, true]))
    }
}

/// One strength's places, of one beginning.
type Row = [f32; PLACES];

impl Trail {
    /// A tag that appears.
    pub fn new(model: &Model) -> Self {
        let mut trail = Self { joint: [0.0; CELLS] };
        trail.begin_again(0.0, model);
        trail
    }

    /// Places of a strength; each place is where it began.
    fn put(&mut self, strength: usize, places: Row) {
        let [outside, inside] = self.beginnings_mut();
        for (place, probability) in places.into_iter().enumerate() {
            let (out, within) = match place.cmp(&DOOR) {
                std::cmp::Ordering::Less => (probability, 0.0),
                std::cmp::Ordering::Equal => (probability / 2.0, probability / 2.0),
                std::cmp::Ordering::Greater => (0.0, probability),
            };
            outside[strength][place] = out;
            inside[strength][place] = within;
        }
    }

    fn beginnings(&self) -> [&[Row]; BEGINNINGS] {
        let (rows, _) = self.joint.as_chunks::<PLACES>();
        let (outside, inside) = rows.split_at(STRENGTHS);
        [outside, inside]
    }

    fn beginnings_mut(&mut self) -> [&mut [Row]; BEGINNINGS] {
        let (rows, _) = self.joint.as_chunks_mut::<PLACES>();
        let (outside, inside) = rows.split_at_mut(STRENGTHS);
        [outside, inside]
    }

    /// What was its place becomes its beginning; `memory` (0 to 1) of it is kept, the rest is as if
    /// the tag appeared.
    pub fn begin_again(&mut self, memory: f32, model: &Model) {
        let [outside, inside] = self.beginnings();
        let mut now = [[0.0; PLACES]; STRENGTHS];
        for (strength, row) in now.iter_mut().enumerate() {
            for (place, kept) in row.iter_mut().enumerate() {
                let was = outside[strength][place] + inside[strength][place];
                *kept =
                    memory * was + (1.0 - memory) * model.appears[strength][place] * STRENGTH_PRIOR[strength];
            }
        }
        for (strength, row) in now.into_iter().enumerate() {
            self.put(strength, row);
        }
        self.normalise();
    }

    /// Steps without a read but for the last, of which `observe` tells. `nearing`: what Doppler last said.
    pub fn step(&mut self, steps: i64, nearing: [Option<(f32, f32)>; 2], model: &Model) {
        let steps = steps.clamp(0, MAX_STEPS);
        let drifts = drifts(nearing);
        for nth in 0..steps {
            let (all, _) = self.joint.as_chunks_mut::<PLACES>();
            for row in all.iter_mut() {
                *row = moved(row, &drifts);
            }
            if nth + 1 < steps {
                for (nth, row) in all.iter_mut().enumerate() {
                    for (probability, weight) in row.iter_mut().zip(model.unheard[nth % STRENGTHS]) {
                        *probability *= weight;
                    }
                }
            }
        }
        self.normalise();
    }

    pub fn observe(&mut self, levels: Levels, model: &Model) {
        if levels.dbm.iter().all(Option::is_none) {
            return self.count(levels.reads, model.rows);
        }
        let both = !model.rows.contains(&false);
        let [outside, inside] = levels.reads.map(|reads| COUNTS * independent(reads));
        let mut log = [[0.0_f32; PLACES]; STRENGTHS];
        for (row, dbm) in levels.dbm.into_iter().enumerate() {
            let Some(dbm) = dbm else { continue };
            for (cells, expected) in log.iter_mut().zip(&model.expected[row]) {
                for (place, cell) in cells.iter_mut().enumerate() {
                    let scatter = SCATTERS_DB[mirrored(place, row)];
                    let off = (dbm - expected[place]) / scatter;
                    *cell -= levels.news * (off * off / 2.0).min(MOST);
                }
            }
        }
        if both {
            for (strength, cells) in log.iter_mut().enumerate() {
                for (place, cell) in cells.iter_mut().enumerate() {
                    let [out, within] = [0, 1].map(|row| model.shares[row][strength][place]);
                    *cell += (outside * out + inside * within).max(-MOST);
                }
            }
        }
        self.weigh(log);
    }

    /// Readers that tell no signal: only who reads it how often.
    fn count(&mut self, reads: [u16; 2], rows: Rows) {
        if rows.contains(&false) {
            return;
        }
        let mut log = [0.0; PLACES];
        for (place, log) in log.iter_mut().enumerate() {
            let share = INSIDE_SHARE[place];
            *log = independent(reads[1]) * share.ln() + independent(reads[0]) * (1.0 - share).ln();
        }
        self.weigh([log; STRENGTHS]);
    }

    pub fn fall_silent(&mut self) {
        self.weigh([SILENCE; STRENGTHS]);
    }

    fn weigh(&mut self, log: [[f32; PLACES]; STRENGTHS]) {
        let most = log.iter().flatten().copied().fold(f32::MIN, f32::max);
        let weights = log.map(|row| row.map(|log| (log - most).exp()));
        let (all, _) = self.joint.as_chunks_mut::<PLACES>();
        for (nth, row) in all.iter_mut().enumerate() {
            for (probability, weight) in row.iter_mut().zip(weights[nth % STRENGTHS]) {
                *probability *= weight;
            }
        }
        self.normalise();
    }

    fn normalise(&mut self) {
        let total: f32 = self.joint.iter().sum();
        let scale = 1.0 / total.max(f32::MIN_POSITIVE);
        // A trace of probability is kept everywhere, so that what was held impossible can still turn out true;
        // but for where it began, which the traces must not tell.
        for cells in self.joint.chunks_exact_mut(CELLS / BEGINNINGS) {
            let trace = cells.iter().sum::<f32>() * scale * TRACE;
            for probability in cells {
                *probability = (*probability * scale).max(trace).max(f32::MIN_POSITIVE);
            }
        }
    }

    #[cfg(test)]
    fn places(&self) -> Row {
        let mut places = [0.0; PLACES];
        let (all, _) = self.joint.as_chunks::<PLACES>();
        for row in all {
            for (place, probability) in row.iter().enumerate() {
                places[place] += probability;
            }
        }
        places
    }

    /// Probability to be outside and inside now.
    #[cfg(test)]
    fn sides(&self) -> (f32, f32) {
        let places = self.places();
        (places[..DOOR].iter().sum(), places[DOOR + 1..].iter().sum())
    }

    /// Whether the tag rather began inside than outside.
    #[cfg(test)]
    fn began_inside(&self) -> bool {
        let [outside, inside] = self.beginnings().map(|rows| rows.iter().flatten().sum::<f32>());
        inside > outside
    }

    /// Probability to have crossed and to be far from the door on the other side.
    pub fn far_across(&self) -> f32 {
        let [outside, inside] = self.beginnings();
        let far = |rows: &[Row], place: usize| rows.iter().map(|row| row[place]).sum::<f32>();
        let outside = far(outside, PLACES - 1) + far(outside, PLACES - 2);
        outside.max(far(inside, 0) + far(inside, 1))
    }

    /// Probability to have crossed to the inside, and to the outside, and to be clear of the door there.
    pub fn crossed(&self) -> (f32, f32) {
        let [outside, inside] = self.beginnings();
        let clear = |rows: &[Row], places: std::ops::Range<usize>| {
            rows.iter().map(|row| row[places.clone()].iter().sum::<f32>()).sum::<f32>()
        };
        (clear(outside, DOOR + 2..PLACES), clear(inside, 0..DOOR - 1))
    }
}

fn moved(row: &Row, drifts: &[[f32; PLACES]; 2]) -> Row {
    let mut next = [0.0; PLACES];
    for (place, probability) in row.iter().enumerate() {
        let [out, within] = [drifts[0][place], drifts[1][place]].map(|chance| chance * probability);
        next[place.saturating_sub(1)] += out;
        next[(place + 1).min(PLACES - 1)] += within;
        next[place] += probability - out - within;
    }
    next
}

/// Reads of one antenna within a step share their fading: four count as two.
pub(super) fn independent(reads: u16) -> f32 {
    f32::from(reads.min(4)).sqrt()
}
