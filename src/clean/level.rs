//! How strongly a read point hears a tag, of late: the mean of the reports' peaks, the older ones fading.
//!
//! In decibels. A report's weight is that of the time since the one before, so that a reader which reports each read says
//! no more than one which reports once a second. What is stronger than the mean weighs more than what is weaker: of
//! several antennas the one that hears the tag best counts, and who walks past makes it weaker, not stronger.
//!
//! A tag at rest may lie in a null of the field, where it is heard weakly by an antenna that is near. There its signal is
//! restless, for what moves about in the hall is not cancelled with the rest: the deeper the null, the more. So what is
//! compared ([`Unrest::above`]) is the mean and a part of the unrest above it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// After so long without a report, the next would count as much as all before it,
const FADES_S: f32 = 3.0;
/// but of readers that report rarely none counts for more than this.
const MOST: f32 = 0.4;
/// What is stronger weighs so much more, up to that.
const STRONGER: f32 = 3.0;
const MOST_STRONGER: f32 = 0.7;
const STEPS_A_DB: f32 = 128.0;

/// Of a signal that scatters evenly, the mean deviation is 0.8 standard deviations. On simulated halls two or three
/// of those above the mean find most tags' zones, and fewer let less flap.
const OF_UNREST: f32 = 1.5;
const UNREST_FADES_S: f32 = 20.0;
const UNREST_MOST: f32 = 0.1;
/// That it was carried elsewhere is no unrest.
const MOST_OFF_DB: f32 = 15.0;
/// Of one of which nothing is known yet.
const USUAL_DB: f32 = 3.0;
const UNREST_STEPS_A_DB: f32 = 1024.0;

/// In 1/128 dBm; the least number where the reader tells no signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Level(i16);

impl Default for Level {
    fn default() -> Self {
        Self(i16::MIN)
    }
}

impl Level {
    pub fn is_unknown(&self) -> bool {
        self.0 == i16::MIN
    }

    pub fn dbm(self) -> Option<f32> {
        (!self.is_unknown()).then(|| f32::from(self.0) / STEPS_A_DB)
    }

    /// A report, so long after the last. By how many decibels it is off what was known.
    pub fn hear(&mut self, dbm: Option<f32>, after: Duration) -> Option<f32> {
        let dbm = dbm.filter(|dbm| dbm.is_finite())?;
        let before = self.dbm();
        let off = dbm - before.unwrap_or(dbm);
        let weight = faded(after, FADES_S).min(MOST);
        let weight = if off > 0.0 { (weight * STRONGER).min(MOST_STRONGER) } else { weight };
        let most = f32::from(i16::MAX) / STEPS_A_DB;
        let level = before.map_or(dbm, |before| before + off * weight).clamp(-most, most);
        self.0 = (level * STEPS_A_DB).round() as i16;
        before.map(|_| off.abs())
    }
}

/// How far reports lie from their mean, in 1/1024 dB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Unrest(u16);

impl Default for Unrest {
    fn default() -> Self {
        Self((USUAL_DB * UNREST_STEPS_A_DB) as u16)
    }
}

impl Unrest {
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// What is compared, in dBm.
    pub fn above(self, level: Level) -> Option<f32> {
        level.dbm().map(|dbm| dbm + OF_UNREST * self.db())
    }

    /// A report was so far off, and so long after the last.
    pub fn hear(&mut self, off_db: f32, after: Duration) {
        let weight = faded(after, UNREST_FADES_S).min(UNREST_MOST);
        let unrest = self.db() + (off_db.min(MOST_OFF_DB) - self.db()) * weight;
        self.0 = (unrest * UNREST_STEPS_A_DB).round() as u16;
    }

    fn db(self) -> f32 {
        f32::from(self.0) / UNREST_STEPS_A_DB
    }
}

fn faded(after: Duration, fades_s: f32) -> f32 {
    let after_s = after.as_secs_f32();
    after_s / (after_s + fades_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER: Duration = Duration::from_millis(250);

    /// A minute of these reports in turn, one every quarter of a second.
    fn heard(dbm: &[f32]) -> (Level, Unrest) {
        let (mut level, mut unrest) = (Level::default(), Unrest::default());
        for dbm in dbm.iter().cycle().take(240) {
            let off = level.hear(Some(*dbm), QUARTER);
            off.into_iter().for_each(|off| unrest.hear(off, QUARTER));
        }
        (level, unrest)
    }

    #[test]
    fn what_is_heard_alike_is_its_own_mean_however_often_it_is_told() {
        for every_ms in [20, 100, 1000, 10_000] {
            let mut level = Level::default();
            assert_eq!(level.dbm(), None);
            level.hear(None, Duration::ZERO);
            assert!(level.is_unknown());
            for (first, then) in [(-80.0, -60.0), (-60.0, -80.0)] {
                level.hear(Some(first), Duration::ZERO);
                for _ in 0..60_000 / every_ms {
                    level.hear(Some(then), Duration::from_millis(every_ms));
                }
                let dbm = level.dbm().unwrap();
                assert!((dbm - then).abs() < 2.0, "{every_ms} ms: {dbm}");
            }
        }
    }

    #[test]
    fn one_report_is_no_change_and_nonsense_is_none() {
        let mut level = Level::default();
        assert_eq!(level.hear(Some(-60.0), Duration::ZERO), None);
        assert_eq!(level.hear(Some(-40.0), QUARTER), Some(20.0));
        assert!(level.dbm().unwrap() < -54.0, "{level:?}");
        let before = level;
        assert_eq!(level.hear(Some(f32::NAN), Duration::from_secs(60)), None);
        assert_eq!(level, before);
        level.hear(Some(1e30), Duration::from_secs(60));
        assert!(level.dbm().unwrap() <= 256.0);
    }

    #[test]
    fn of_two_antennas_the_one_that_hears_it_better_counts_more() {
        let (level, _) = heard(&[-50.0, -70.0]);
        assert!((-58.0..-50.0).contains(&level.dbm().unwrap()), "{level:?}");
    }

    #[test]
    fn what_is_restless_is_stronger_than_its_mean() {
        let strength = |dbm: &[f32]| {
            let (level, unrest) = heard(dbm);
            unrest.above(level).unwrap() - level.dbm().unwrap()
        };
        let (still, restless) = (strength(&[-60.0]), strength(&[-56.0, -60.0, -64.0, -60.0]));
        assert!(still < 0.5 && (2.0..6.0).contains(&restless), "{still} {restless}");
        // However often it is told.
        let mut unrest = Unrest::default();
        (0..3000).for_each(|_| unrest.hear(0.0, Duration::from_millis(20)));
        assert!(unrest.db() < 0.5, "{unrest:?}");
        unrest.hear(1e30, Duration::from_secs(3600));
        assert!(unrest.db() < 2.0, "one report is not all: {unrest:?}");
    }
}
