//! A portal with antennas on one side only: direction from how a tag's signal rises and falls.
//!
//! ```text
//! row that looks inside, tag that comes in:      ▁▁▁▂█▇▆▅▄▃▂
//!                                  behind the antennas │ before them
//! ```
//! What comes towards the backs of the antennas is heard little, and then suddenly well; what goes on before them
//! fades slowly. Levels are compared at the same distance either side of the peak: by Doppler's path where the
//! reader tells it, else by time. What turns back fades as it came; what stands has no peak.
//!
//! Where the reader tells Doppler, that says more. Antennas that look inside hear a tag best a little inside of where
//! it is nearest to them: what comes in already goes away when it is loudest, what goes out still comes nearer,
//! and what turns or stands does, on the mean, neither. Bounded.

use serde::{Deserialize, Serialize};

use super::crossing::STEP_US;
use super::odds::weigh;

/// Steps that are remembered: longer than a passage takes.
const STEPS: usize = 80;
/// Distances from the peak within which levels are compared, in metres, and the speed where none is told.
const FROM_M: f32 = 0.7;
const TO_M: f32 = 4.5;
const USUAL_MPS: f32 = 1.2;
/// Told speeds are believed only so far: noise must not look like a way.
const LEAST_MPS: f32 = 0.25;
/// What is not read is about this faint.
const UNREAD_DBM: f32 = -76.0;
/// Deviation of the speed that one step's reads tell, about; and a mean known no better than this says nothing.
const STEP_MPS: f32 = 0.4;
const TOO_VAGUE_MPS: f32 = 0.4;
/// How likely it went on before the antennas, in log-odds (`clean/tests/fit.rs` prints them): by how much it stands
/// out at its best from either side of it, in tens of dB; how fast it went away where it was loudest, on the mean,
/// in tenths of a metre a second; and by how much louder it was after its best than before, in 2.5 dB.
pub(in crate::clean) const WITH_DOPPLER: [f32; 4] = [-4.24, 1.36, 0.46, 0.17];
/// The same where no speed is told.
pub(in crate::clean) const BY_LEVELS: [f32; 4] = [-3.81, 1.28, 0.0, 0.38];
/// Each so far at most.
const MOST_OUT_DB: f32 = 30.0;
const MOST_MPS: f32 = 1.0;
const MOST_DIFFERS_DB: f32 = 15.0;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Profile {
    steps: Vec<Step>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Step {
    at: i64,
    dbm: f32,
    mps: Option<f32>,
}

/// Rose or fell: the step of the peak, whether what came after was heard better than what came before, and how
/// likely it is that this was a passage.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Slope {
    pub peak: i64,
    pub fades: bool,
    pub probability: f32,
    /// And one the other way.
    pub other: f32,
}

impl Profile {
    pub fn note(&mut self, at: i64, dbm: Option<f32>, mps: Option<f32>) {
        let Some(dbm) = dbm else { return };
        if self.steps.len() == STEPS {
            self.steps.remove(0);
        }
        self.steps.push(Step { at, dbm, mps });
    }

    pub fn clear(&mut self) {
        self.steps.clear();
    }

    pub fn slope(&self) -> Option<Slope> {
        let (peak, signs, told) = self.signs()?;
        let weights = if told { &WITH_DOPPLER } else { &BY_LEVELS };
        // The same with its sign turned is the other way.
        let likely = |sign: f32| weigh(&[signs[0], signs[1], sign * signs[2], sign * signs[3]], weights);
        let [fading, rising] = [1.0, -1.0].map(likely);
        let (probability, other) = (fading.max(rising), fading.min(rising));
        Some(Slope { peak, fades: fading > rising, probability, other })
    }

    /// The step of the peak; what the weights weigh, for going on before the antennas; and whether a speed is told.
    pub fn signs(&self) -> Option<(i64, [f32; 4], bool)> {
        let best = self.steps.iter().enumerate().max_by(|(_, a), (_, b)| a.dbm.total_cmp(&b.dbm))?;
        let (nth, peak) = best;
        let before = mean(self.steps[..nth].iter().rev(), *peak);
        let after = mean(self.steps[nth + 1..].iter(), *peak);
        let going = self.going().filter(|(_, vague)| *vague < TOO_VAGUE_MPS);
        let trusted =
            going.map_or(0.0, |(mps, vague)| mps.clamp(-MOST_MPS, MOST_MPS) * (1.0 - vague / TOO_VAGUE_MPS));
        let out = (peak.dbm - before.max(after)).clamp(0.0, MOST_OUT_DB);
        let differs = (after - before).clamp(-MOST_DIFFERS_DB, MOST_DIFFERS_DB);
        Some((peak.at, [1.0, out / 10.0, trusted * 10.0, differs / 2.5], going.is_some()))
    }

    /// Whether it went away while it was heard best, by Doppler: the mean speed, and its deviation.
    fn going(&self) -> Option<(f32, f32)> {
        let peak = self.steps.iter().map(|step| step.dbm).max_by(f32::total_cmp)?;
        let (mut sum, mut weight, mut square) = (0.0, 0.0, 0.0);
        for step in &self.steps {
            let Some(mps) = step.mps else { continue };
            let share = 10.0_f32.powf((step.dbm - peak) / 20.0);
            sum -= share * mps;
            weight += share;
            square += share * share;
        }
        (weight > 0.0).then(|| (sum / weight, STEP_MPS * square.sqrt() / weight))
    }

    /// Steps since the peak.
    pub fn since_peak(&self) -> i64 {
        let peak = self.steps.iter().max_by(|a, b| a.dbm.total_cmp(&b.dbm));
        peak.zip(self.steps.last()).map_or(0, |(peak, last)| last.at - peak.at)
    }
}

/// The mean level over the distances that are compared, going away from the peak.
fn mean<'a>(steps: impl Iterator<Item = &'a Step>, peak: Step) -> f32 {
    let seconds = STEP_US as f32 / 1e6;
    let (mut way, mut last, mut sum, mut weight) = (0.0, peak, 0.0, 0.0);
    let mut add = |level: f32, from: f32, to: f32| {
        let within = to.min(TO_M) - from.max(FROM_M);
        if within > 0.0 {
            sum += level * within;
            weight += within;
        }
    };
    for step in steps {
        let apart = (step.at - last.at).abs();
        let mps = step.mps.or(last.mps).map_or(USUAL_MPS, |mps| mps.abs().max(LEAST_MPS));
        let gap = mps * seconds * (apart - 1) as f32;
        // What was not read in between.
        add(UNREAD_DBM, way, way + gap);
        add(step.dbm, way + gap, way + gap + mps * seconds);
        way += mps * seconds * apart as f32;
        last = *step;
        if way >= TO_M {
            break;
        }
    }
    add(UNREAD_DBM, way, TO_M);
    sum / weight
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels below -30 dBm, a step each → fades after the peak, and whether a passage is likely.
    fn check(levels: &[i8], expect: Option<bool>) {
        let mut profile = Profile::default();
        for (step, level) in levels.iter().enumerate() {
            profile.note(step as i64, Some(f32::from(*level)), None);
        }
        let told = profile.slope().filter(|slope| slope.probability > 0.6).map(|slope| slope.fades);
        assert_eq!(told, expect, "{levels:?}: {:?}", profile.slope());
    }

    #[test]
    fn what_comes_in_appears_and_fades_and_what_goes_out_the_other_way_round() {
        let inward =
            [-72, -70, -66, -55, -40, -33, -35, -38, -41, -44, -47, -50, -52, -54, -56, -58, -60, -62];
        let outward: Vec<i8> = inward.iter().rev().copied().collect();
        check(&inward, Some(true));
        check(&outward, Some(false));
    }

    #[test]
    fn what_turns_back_or_stands_passes_nothing() {
        let half = [-60, -58, -56, -54, -52, -50, -47, -44, -41, -38, -35, -33];
        let turns: Vec<i8> = half.iter().chain(half.iter().rev()).copied().collect();
        check(&turns, None);
        check(&[-60; 40], None);
    }

    #[test]
    fn what_goes_away_where_it_is_loudest_comes_in() {
        // Levels that tell nothing; a speed each second step of ten, about the peak.
        let told = |mps: [f32; 2]| {
            let mut profile = Profile::default();
            for step in -20..=20_i64 {
                let speed = mps[usize::from(step > -3)];
                profile.note(step, Some(-40.0 - 2.0 * step.abs() as f32), (step % 2 == 0).then_some(speed));
            }
            profile.slope().filter(|slope| slope.probability > 0.5).map(|slope| slope.fades)
        };
        assert_eq!(told([1.0, -1.2]), Some(true));
        assert_eq!(told([1.2, 1.0]), Some(false));
        assert_eq!(told([0.1, -0.1]), None);
    }

    #[test]
    fn a_slow_tag_is_compared_by_its_way_and_not_by_its_time() {
        // Twice as slow behind the antennas as before them, symmetrical in space.
        let mut profile = Profile::default();
        for step in -24..=0_i64 {
            profile.note(step, Some(-33.0 + step as f32), Some(0.75));
        }
        for step in 1..=12_i64 {
            profile.note(step, Some(-33.0 - 2.0 * step as f32), Some(-1.5));
        }
        let (_, [.., differs], _) = profile.signs().unwrap();
        assert!(differs.abs() < 0.4, "{differs}");
    }

    /// Told speeds scatter; what is as loud all the time has not come from afar.
    #[test]
    fn what_stands_and_seems_to_drift_passes_nothing() {
        let mut profile = Profile::default();
        for step in 0..40_i64 {
            profile.note(step, Some(-60.0 + (step % 5) as f32), Some(if step % 3 == 0 { 0.6 } else { -0.6 }));
        }
        let slope = profile.slope().unwrap();
        assert!(slope.probability < 0.2, "{slope:?}");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut profile = Profile::default();
        (0..10_000).for_each(|step| profile.note(step, Some(-50.0), None));
        assert_eq!(profile.steps.len(), STEPS);
    }
}
