//! Where along a door's axis a tag is, and on which side it began: a hidden Markov chain.
//!
//! ```text
//! far outside ↔ outside ↔ in the door ↔ inside ↔ far inside
//! ```
//! Five places; a tag stays or steps to a neighbour within each fifth of a second. What is observed is
//! which side's antennas read it and how much stronger the one is than the other. The chain carries,
//! for each side on which the tag may have begun, how likely it is to be at each place now: hence the
//! probability that it began on one side and is on the other, which is what a passage is. A tag that
//! turns back ends where it began; one that stands in the door never gets to a side.
//!
//! Forward filtering of a hidden Markov model: Rabiner, *A tutorial on hidden Markov models*, Proc. IEEE
//! 77(2), 1989, section III. Knows nothing of tags, times or antennas.

use serde::{Deserialize, Serialize};

pub(super) const PLACES: usize = 5;
const BEGINNINGS: usize = 3;

/// One step of the chain.
pub(super) const STEP_US: i64 = 200_000;
/// More steps than this forget where the tag was: longer silences need no more.
const MAX_STEPS: i64 = 50;

/// Chance of a step to each neighbour. People and trucks cross the two metres between neighbouring
/// antennas' beams in one to four seconds.
const MOVE: f32 = 0.15;
/// A tag appears from afar: rarely in the door itself.
const APPEARS: [f32; PLACES] = [0.36, 0.11, 0.06, 0.11, 0.36];
/// Share of the reads at a place that the inside antennas make, both sides being equal.
const INSIDE_SHARE: [f32; PLACES] = [0.05, 0.2, 0.5, 0.8, 0.95];
/// By how much the inside antennas hear a tag better at a place, and how far that scatters (fading, the
/// tag's orientation), in dB.
const STRONGER_DB: [f32; PLACES] = [-12.0, -5.0, 0.0, 5.0, 12.0];
const SCATTER_DB: f32 = 8.0;
/// Weight of the numbers of reads beside a comparison of signals.
const BESIDE_SIGNAL: f32 = 0.6;
/// A tag that falls silent is rather away than in front of the antennas (log-likelihood).
const SILENCE: [f32; PLACES] = [0.0, -1.0, -2.0, -1.0, 0.0];

/// What a step's reads say of the place.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Evidence {
    /// Weight of the reads of each side: less than their number, for they are not independent.
    pub inside: f32,
    pub outside: f32,
    /// By how many dB the inside hears it better, where both sides heard it lately.
    pub stronger_db: Option<f32>,
}

/// Probability of each place, for each side on which it may have begun.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Chain {
    joint: [[f32; PLACES]; BEGINNINGS],
}

impl Chain {
    /// A tag that appears.
    pub fn new() -> Self {
        Self::begin(APPEARS)
    }

    fn begin(places: [f32; PLACES]) -> Self {
        let mut joint = [[0.0; PLACES]; BEGINNINGS];
        for (place, probability) in places.into_iter().enumerate() {
            joint[beginning(place)][place] = probability;
        }
        Self { joint }
    }

    /// What was its place becomes its beginning; `memory` (0 to 1) of it is kept, the rest is as if
    /// the tag appeared.
    pub fn begin_again(&mut self, memory: f32) {
        let mut places = self.places();
        for (place, probability) in places.iter_mut().enumerate() {
            *probability = memory * *probability + (1.0 - memory) * APPEARS[place];
        }
        *self = Self::begin(places);
    }

    pub fn step(&mut self, steps: i64) {
        for _ in 0..steps.clamp(0, MAX_STEPS) {
            for row in &mut self.joint {
                *row = moved(row);
            }
            self.settle_beginnings();
        }
    }

    /// A tag that appeared in the door began on the side that it then takes first.
    fn settle_beginnings(&mut self) {
        let [outside, door, inside] = &mut self.joint;
        for place in 0..PLACES {
            match beginning(place) {
                0 => outside[place] += std::mem::take(&mut door[place]),
                2 => inside[place] += std::mem::take(&mut door[place]),
                _ => {}
            }
        }
    }

    pub fn observe(&mut self, evidence: Evidence) {
        let mut log = [0.0_f32; PLACES];
        // Where signals can be compared, they say what the numbers of reads only follow.
        let counts = if evidence.stronger_db.is_some() { BESIDE_SIGNAL } else { 1.0 };
        for (place, log) in log.iter_mut().enumerate() {
            let share = INSIDE_SHARE[place];
            *log = counts * (evidence.inside * share.ln() + evidence.outside * (1.0 - share).ln());
            if let Some(stronger) = evidence.stronger_db {
                let off = (stronger - STRONGER_DB[place]) / SCATTER_DB;
                *log -= off * off / 2.0;
            }
        }
        self.weigh(log);
    }

    pub fn fall_silent(&mut self) {
        self.weigh(SILENCE);
    }

    fn weigh(&mut self, log: [f32; PLACES]) {
        let most = log.iter().copied().fold(f32::MIN, f32::max);
        let weight = log.map(|log| (log - most).exp());
        let mut total = 0.0;
        for row in &mut self.joint {
            for (probability, weight) in row.iter_mut().zip(weight) {
                *probability *= weight;
                total += *probability;
            }
        }
        // The least likely path keeps a trace of probability, so that the total is never 0.
        let scale = 1.0 / total.max(f32::MIN_POSITIVE);
        for probability in self.joint.iter_mut().flatten() {
            *probability = (*probability * scale).max(1e-12);
        }
    }

    fn places(&self) -> [f32; PLACES] {
        let mut places = [0.0; PLACES];
        for row in &self.joint {
            for (place, probability) in row.iter().enumerate() {
                places[place] += probability;
            }
        }
        places
    }

    /// Probability to be outside and inside now.
    pub fn sides(&self) -> (f32, f32) {
        let places = self.places();
        (places[0] + places[1], places[3] + places[4])
    }

    /// Whether the tag rather began inside than outside.
    pub fn began_inside(&self) -> bool {
        let [outside, _, inside] = &self.joint;
        inside.iter().sum::<f32>() > outside.iter().sum()
    }

    /// Probability to have crossed to the inside, and to the outside.
    pub fn crossed(&self) -> (f32, f32) {
        let [from_outside, _, from_inside] = &self.joint;
        (from_outside[3] + from_outside[4], from_inside[0] + from_inside[1])
    }
}

fn beginning(place: usize) -> usize {
    match place {
        0 | 1 => 0,
        2 => 1,
        _ => 2,
    }
}

fn moved(row: &[f32; PLACES]) -> [f32; PLACES] {
    let mut next = [0.0; PLACES];
    for (place, probability) in row.iter().enumerate() {
        let step = probability * MOVE;
        next[place.saturating_sub(1)] += step;
        next[(place + 1).min(PLACES - 1)] += step;
        next[place] += probability - 2.0 * step;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(inside: f32, outside: f32) -> Evidence {
        Evidence { inside, outside, stronger_db: None }
    }

    /// A letter a step (`i`nside, `o`utside, `b`oth, space) → (crossed in, crossed out) at the end.
    fn crossed(steps: &str) -> (f32, f32) {
        let mut chain = Chain::new();
        for letter in steps.chars() {
            chain.step(1);
            match letter {
                'i' => chain.observe(reads(1.0, 0.0)),
                'o' => chain.observe(reads(0.0, 1.0)),
                'b' => chain.observe(reads(1.0, 1.0)),
                _ => {}
            }
        }
        chain.fall_silent();
        chain.crossed()
    }

    #[test]
    fn a_crossing_is_told_from_what_is_none() {
        let cases = [
            ("ooooobbbiiiii", 'I'),
            ("iiiiibbbooooo", 'O'),
            ("oo b ii", 'I'),
            ("iiiibbbbiiii", '-'),
            ("oooobbobboooo", '-'),
            ("bobiibobibobiobibbob", '-'),
            ("iiiiiiiiii", '-'),
            ("oiiiiiiii", '-'),
        ];
        for (steps, expect) in cases {
            let (inward, outward) = crossed(steps);
            let told = match (inward > 0.5, outward > 0.5) {
                (true, _) => 'I',
                (_, true) => 'O',
                _ => '-',
            };
            assert_eq!(told, expect, "{steps}: in {inward}, out {outward}");
        }
    }

    #[test]
    fn signal_alone_tells_a_crossing() {
        let mut chain = Chain::new();
        for step in -15..=15_i16 {
            chain.step(1);
            let stronger_db = Some(-f32::from(step));
            chain.observe(Evidence { inside: 1.0, outside: 1.0, stronger_db });
        }
        assert!(chain.crossed().1 > 0.8, "{:?}", chain.crossed());
    }

    #[test]
    fn probabilities_stay_probabilities() {
        let mut chain = Chain::new();
        for step in 0..10_000 {
            chain.step(1);
            chain.observe(reads(f32::from(u8::from(step % 700 < 350)) * 3.0, 1.0));
        }
        let (outside, inside) = chain.sides();
        assert!((0.0..=1.001).contains(&(outside + inside)), "{outside} {inside}");
    }
}
