//! The reads of a fifth of a second, and what they say to the chain and to the trail.

use serde::{Deserialize, Serialize};

use super::{Crossing, Heard};
use crate::clean::crossing::{Evidence, STEP_US};
use crate::clean::trail::{Levels, independent};
use crate::domain::time::Timestamp;

/// Signals of both sides are compared where both came within this.
const COMPARED_BINS: i64 = 5;
/// A signal that differs by this much from the one before is all news; one that does not, hardly any.
const NEWS_DB: f32 = 4.0;
const LEAST_NEWS: f32 = 0.2;
const MOST_NEWS: f32 = 0.8;
/// Deviation of the speed that one read's Doppler tells: some Hz, at a wavelength of a third of a metre.
const DOPPLER_MPS: f32 = 0.7;

/// The reads of a fifth of a second, by side: outside, inside.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Bin {
    pub at: i64,
    pub reads: [u16; 2],
    /// The strongest of each side.
    pub dbm: [Option<f32>; 2],
    /// Sum of the speeds at which each side saw it come nearer, and of how many reads.
    #[serde(default, skip_serializing_if = "is_untold")]
    pub nearing: [(f32, u16); 2],
}

impl Bin {
    pub fn add(&mut self, heard: Heard, reads: u16) {
        let side = usize::from(heard.inside);
        self.reads[side] = self.reads[side].saturating_add(reads);
        if let Some(dbm) = heard.peak_dbm.filter(|dbm| dbm.is_finite()) {
            self.dbm[side] = Some(self.dbm[side].map_or(dbm, |best| best.max(dbm)));
        }
        if let Some(mps) = heard.nearing_mps.filter(|mps| mps.is_finite()) {
            let (sum, reads) = &mut self.nearing[side];
            (*sum, *reads) = (*sum + mps, reads.saturating_add(1));
        }
    }

    /// Speed and its deviation, by side.
    pub fn nearing(&self) -> [Option<(f32, f32)>; 2] {
        self.nearing.map(|(sum, reads)| {
            let reads = f32::from(reads);
            (reads > 0.0).then(|| (sum / reads, DOPPLER_MPS / reads.sqrt()))
        })
    }
}

impl Crossing {
    /// For the trail; before `weigh`, which takes the signals for the last ones.
    pub(super) fn levels(&self, bin: Bin) -> Levels {
        let mut differs = 0.0_f32;
        for (before, dbm) in self.signals.iter().zip(bin.dbm) {
            let Some(dbm) = dbm else { continue };
            let lately = before.filter(|(at, _)| bin.at - at <= COMPARED_BINS);
            differs = differs.max(lately.map_or(NEWS_DB, |(_, before)| (dbm - before).abs()));
        }
        let news = LEAST_NEWS + (MOST_NEWS - LEAST_NEWS) * (differs / NEWS_DB).min(1.0);
        Levels { reads: bin.reads, dbm: bin.dbm, news }
    }

    pub(super) fn weigh(&mut self, bin: Bin) -> Evidence {
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
}

pub(super) fn bin_of(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(STEP_US)
}

pub(super) fn time_of(bin: i64) -> Timestamp {
    Timestamp::from_micros(bin.saturating_mul(STEP_US).saturating_add(STEP_US / 2))
}

fn is_untold(nearing: &[(f32, u16); 2]) -> bool {
    nearing.iter().all(|(_, reads)| *reads == 0)
}
