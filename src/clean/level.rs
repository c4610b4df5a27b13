//! How strongly a read point hears a tag, of late: the mean of the reports' peaks, the older ones fading.
//!
//! In decibels, so that one report which reflections made strong does not outweigh the others. A report's weight is
//! that of the time since the one before, so that a reader which reports each read says no more than one which
//! reports once a second.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// After so long without a report, the next would count as much as all before it,
const FADES: Duration = Duration::from_secs(2);
/// but of readers that report rarely none counts for more than this.
const MOST: f32 = 0.4;
const STEPS_A_DB: f32 = 128.0;

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

    /// A report, so long after the last.
    pub fn hear(&mut self, dbm: Option<f32>, after: Duration) {
        let Some(dbm) = dbm.filter(|dbm| dbm.is_finite()) else { return };
        let weight = (after.as_secs_f32() / (after + FADES).as_secs_f32()).min(MOST);
        let level = self.dbm().map_or(dbm, |level| level + (dbm - level) * weight);
        let most = f32::from(i16::MAX) / STEPS_A_DB;
        self.0 = (level.clamp(-most, most) * STEPS_A_DB).round() as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard_alike_is_its_own_mean_however_often_it_is_told() {
        for every_ms in [20, 100, 1000, 10_000] {
            let mut level = Level::default();
            assert_eq!(level.dbm(), None);
            level.hear(None, Duration::ZERO);
            assert!(level.is_unknown());
            level.hear(Some(-80.0), Duration::ZERO);
            for _ in 0..60_000 / every_ms {
                level.hear(Some(-60.0), Duration::from_millis(every_ms));
            }
            let dbm = level.dbm().unwrap();
            assert!((dbm + 60.0).abs() < 2.0, "{every_ms} ms: {dbm}");
        }
    }

    #[test]
    fn one_report_is_no_change_and_nonsense_is_none() {
        let mut level = Level::default();
        level.hear(Some(-60.0), Duration::ZERO);
        level.hear(Some(-40.0), Duration::from_millis(250));
        assert!(level.dbm().unwrap() < -57.0, "{level:?}");
        let before = level;
        level.hear(Some(f32::NAN), Duration::from_secs(60));
        assert_eq!(level, before);
        level.hear(Some(1e30), Duration::from_secs(60));
        assert!(level.dbm().unwrap() <= 256.0);
    }
}
