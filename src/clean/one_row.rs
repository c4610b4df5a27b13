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
/// A tag that passes stands out by this much from what it is further away.
const PEAK_DB: f32 = 10.0;
/// By how much better a tag is heard before the antennas than behind them when passing is as likely as turning
/// back, and how fast that becomes certain.
const EVEN_DB: f32 = 4.0;
const SURE_DB: f32 = 1.3;

/// Deviation of the speed that one step's reads tell, about; and a mean known no better than this says nothing.
const STEP_MPS: f32 = 0.4;
const TOO_VAGUE_MPS: f32 = 0.25;
/// What passes goes away from the antennas, or towards them, where they hear it best; what turns or stands, on the
/// mean, does neither. Log-odds, for a mean speed; how fast passing becomes as likely; and what levels add to it.
const GOING_MPS: f32 = 0.1;
const GOING_EVEN: f32 = 2.5;
const LEVELS_DB: f32 = 2.5;
const MOST_LEVELS: f32 = 2.5;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Profile {
    steps: Vec<Level>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Level {
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
        self.steps.push(Level { at, dbm, mps });
    }

    pub fn clear(&mut self) {
        self.steps.clear();
    }

    pub fn slope(&self) -> Option<Slope> {
        let best = self.steps.iter().enumerate().max_by(|(_, a), (_, b)| a.dbm.total_cmp(&b.dbm))?;
        let (nth, peak) = best;
        let before = mean(self.steps[..nth].iter().rev(), *peak);
        let after = mean(self.steps[nth + 1..].iter(), *peak);
        let differs = after - before;
        if let Some((going, _)) = self.going().filter(|(_, deviation)| *deviation < TOO_VAGUE_MPS) {
            let levels = (differs.copysign(differs * going) / LEVELS_DB).clamp(-MOST_LEVELS, MOST_LEVELS);
            let odds = going.abs() / GOING_MPS + levels;
            let [probability, other] = [odds, -odds].map(|odds| logistic(odds - GOING_EVEN));
            return Some(Slope { peak: peak.at, fades: going > 0.0, probability, other });
        }
        if peak.dbm - before.max(after) < PEAK_DB {
            return None;
        }
        let probability = logistic((differs.abs() - EVEN_DB) / SURE_DB);
        Some(Slope { peak: peak.at, fades: differs > 0.0, probability, other: 0.0 })
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

fn logistic(odds: f32) -> f32 {
    1.0 / (1.0 + (-odds).exp())
}

/// The mean level over the distances that are compared, going away from the peak.
fn mean<'a>(steps: impl Iterator<Item = &'a Level>, peak: Level) -> f32 {
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
                profile.note(step, Some(-40.0 - step.abs() as f32), (step % 2 == 0).then_some(speed));
            }
            profile.slope().filter(|slope| slope.probability > 0.6).map(|slope| slope.fades)
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
