//! The clock of a tracker: believed as long as it is near enough; and how far it is ahead, once that is sure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ClockFault, ClockRules};
use crate::domain::time::{Timestamp, zone_off};

/// Readings that confirm a tracker's step agree within this, which is what a network delays them by, over no less than so much
/// of our time. In a burst of what it had held its time goes faster than ours, and how far it leads is not seen before the
/// burst has ended.
const TRACKER_AGREEMENT_US: i64 = 5_000_000;
const TRACKER_STEADY: Duration = Duration::from_secs(10);
/// Trackers that report in batches hold their fixes for so long at the most, where it is their lead that is looked for.
const HELD_US: i64 = 300_000_000;
/// Trackers rarely hold anything for longer than half of this.
const LONG_LEAD_US: i64 = 6 * 3_600_000_000;

/// So many readings in a row, over so long, that are older than what was told before, all by the same; or that are newer, and
/// all behind by the same half hours, as local time is: no burst of what it held goes as slowly as our time for that long, and sends
/// nothing of now.
const BEHIND_READINGS: u32 = 20;
const BEHIND_FOR: Duration = Duration::from_secs(600);

/// Readings in a row that a tracker's lead does not explain, while its time goes as fast as ours.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct TrackerStep {
    /// The greatest of theirs, and the first.
    lead_us: i64,
    #[serde(default, alias = "least_us")]
    first_us: i64,
    #[serde(default)]
    since_us: i64,
    count: u32,
}

impl TrackerStep {
    /// Counts one more, and returns the lead once enough agree for long enough. What a tracker or its network has held is
    /// `held_us` behind at the most: of those that come together, and of those that were long on the way, the newest and the
    /// quickest shows the lead. None is before the first: where the lead grows, it is a burst, or the clock is another one
    /// now.
    fn suggest(
        &mut self,
        lead_us: i64,
        held_us: i64,
        received: Timestamp,
        confirmations: u32,
    ) -> Option<i64> {
        self.count_one(lead_us, self.agrees(lead_us, held_us), received);
        let is_steady = received.since(Timestamp::from_micros(self.since_us)) >= TRACKER_STEADY;
        (self.count >= confirmations && is_steady).then(|| std::mem::take(self).lead_us)
    }

    fn agrees(&self, lead_us: i64, held_us: i64) -> bool {
        let grown = lead_us.saturating_sub(self.first_us);
        self.count > 0 && (-held_us..=TRACKER_AGREEMENT_US).contains(&grown)
    }

    fn count_one(&mut self, lead_us: i64, agrees: bool, received: Timestamp) {
        if agrees {
            self.lead_us = self.lead_us.max(lead_us);
            self.count += 1;
        } else {
            *self = Self { lead_us, first_us: lead_us, since_us: received.as_micros(), count: 1 };
        }
    }

    fn is_clear(&self) -> bool {
        self.count == 0
    }
}

/// The clock of a tracker: believed, until it is too far ahead.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(in crate::clean) struct TrackerClock {
    /// Never negative.
    #[serde(rename = "l", alias = "lead_us")]
    lead_us: i64,
    #[serde(default, skip_serializing_if = "TrackerStep::is_clear")]
    step: TrackerStep,
    /// Of one that was ahead: readings that are right as they are told.
    #[serde(default, skip_serializing_if = "TrackerStep::is_clear")]
    right: TrackerStep,
    /// Readings in a row that are too old to be true.
    #[serde(default, skip_serializing_if = "is_none")]
    too_old: u8,
    /// Readings in a row that are behind: older than what was told before, or by a zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<Box<Behind>>,
    /// Whether it is wrong has changed since [`Self::turned`] was last asked.
    #[serde(skip)]
    turned: bool,
}

/// A clock that may have been set back, or tell the time of another zone.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Behind {
    step: TrackerStep,
    is_sure: bool,
    /// By readings of which each is newer than those before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_zone: bool,
}

impl Behind {
    /// Whether this makes it sure.
    fn count_one(&mut self, lead_us: i64, agrees: bool, received: Timestamp) -> bool {
        self.step.count_one(lead_us, agrees, received);
        let is_long = received.since(Timestamp::from_micros(self.step.since_us)) >= BEHIND_FOR;
        self.is_sure = self.step.count >= BEHIND_READINGS && is_long;
        self.is_sure
    }
}

fn is_none(count: &u8) -> bool {
    *count == 0
}

impl TrackerClock {
    pub fn observe(
        &mut self,
        told: Timestamp,
        received: Timestamp,
        rules: &ClockRules,
    ) -> Result<Timestamp, ClockFault> {
        let before = self.is_wrong(rules);
        let observed = self.judge(told, received, rules);
        self.too_old = match observed {
            Err(ClockFault::TooOld) => self.too_old.saturating_add(1),
            Err(ClockFault::Ahead) => self.too_old,
            Ok(_) => 0,
        };
        self.turned |= self.is_wrong(rules) != before;
        observed
    }

    /// A reading that is older than one before, and no other's message told again. Nothing is corrected by it: where it
    /// is a burst after all, old places would be new ones. But it is told.
    pub fn older(&mut self, observed: Timestamp, received: Timestamp, rules: &ClockRules) {
        let lead_us = observed.micros_after(received);
        if lead_us > -rules.ahead_us() {
            return;
        }
        let behind = self.behind.get_or_insert_default();
        if !behind.is_sure {
            let agrees = !behind.by_zone && behind.step.agrees(lead_us, TRACKER_AGREEMENT_US);
            behind.by_zone = false;
            self.turned |= behind.count_one(lead_us, agrees, received);
        }
    }

    /// A reading that is newer than all before. One that is much less behind than what was told is of a clock that is right.
    pub fn newer(&mut self, observed: Timestamp, received: Timestamp) {
        let lead_us = observed.micros_after(received);
        let zone = zone_off(lead_us).filter(|off| *off < 0);
        match &mut self.behind {
            Some(behind) if behind.is_sure => {
                if lead_us > behind.step.lead_us / 2 {
                    self.behind = None;
                    self.turned = true;
                }
            }
            behind if zone.is_none() => *behind = None,
            behind => {
                let behind = behind.get_or_insert_default();
                let agrees = behind.by_zone && zone_off(behind.step.first_us) == zone;
                behind.by_zone = true;
                self.turned |= behind.count_one(lead_us, agrees, received);
            }
        }
    }

    /// What it calls `told`, as far as is known by now.
    pub fn ours(&self, told: Timestamp) -> Timestamp {
        told.offset(self.lead_us.saturating_neg())
    }

    fn is_wrong(&self, rules: &ClockRules) -> bool {
        let is_behind = self.behind.as_ref().is_some_and(|behind| behind.is_sure);
        self.lead_us != 0 || is_behind || u32::from(self.too_old) >= enough(rules)
    }

    /// How far it is ahead, or behind (negative), where it has just turned out to be wrong, by a reading of then; 0, where
    /// it is right again.
    pub fn turned(&mut self, told: Timestamp, received: Timestamp, rules: &ClockRules) -> Option<i64> {
        let turned = std::mem::take(&mut self.turned);
        turned.then(|| if self.is_wrong(rules) { told.micros_after(received) } else { 0 })
    }

    fn judge(
        &mut self,
        told: Timestamp,
        received: Timestamp,
        rules: &ClockRules,
    ) -> Result<Timestamp, ClockFault> {
        let apparent = told.micros_after(received);
        if self.is_right(apparent, received, rules) {
            self.step = TrackerStep::default();
            return rules.check_age(told, received);
        }
        let ahead = apparent.saturating_sub(self.lead_us);
        if ahead > rules.ahead_us() {
            let lead = self.step.suggest(apparent, HELD_US, received, rules.confirmations);
            self.lead_us = lead.ok_or(ClockFault::Ahead)?;
        } else if self.lead_us != 0 && ahead > TRACKER_AGREEMENT_US {
            let lead = self.step.suggest(apparent, HELD_US, received, rules.confirmations);
            self.lead_us = lead.unwrap_or(self.lead_us);
        } else {
            self.step = TrackerStep::default();
            if self.lead_us != 0 {
                self.lead_us = self.lead_us.max(apparent);
            }
        }
        let observed = told.offset(self.lead_us.saturating_neg());
        // By a clock that is known to be wrong nothing is observed after it was received.
        let observed = if self.lead_us == 0 { observed } else { observed.min(received) };
        rules.check_age(observed, received)
    }

    /// Whether a reading of one that was ahead is right as it is told: once enough of them are that go as our time does;
    /// and before that where it was ahead by so much that it would be older than what trackers hold for long.
    fn is_right(&mut self, apparent: i64, received: Timestamp, rules: &ClockRules) -> bool {
        let held_for = (self.lead_us / 2).max(rules.ahead_us());
        if self.lead_us == 0 || !(-held_for..=rules.ahead_us()).contains(&apparent) {
            self.right = TrackerStep::default();
            return false;
        }
        let is_long = self.lead_us >= LONG_LEAD_US;
        let is_sure =
            self.right.suggest(apparent, TRACKER_AGREEMENT_US, received, rules.confirmations).is_some();
        let is_now = apparent.saturating_abs() <= rules.ahead_us();
        if is_sure && (is_now || is_long) {
            self.lead_us = 0;
            return true;
        }
        is_long
    }
}

/// Readings in a row that confirm something, as counters of a byte count them.
fn enough(rules: &ClockRules) -> u32 {
    rules.confirmations.min(u8::MAX.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::clock::tests::{RULES, at};

    #[test]
    fn what_is_older_than_max_age_is_set_aside() {
        let mut clock = TrackerClock::default();
        let told = at(0) - Duration::from_secs(401 * 86_400);
        assert_eq!(clock.observe(told, at(0), &RULES), Err(ClockFault::TooOld));
    }

    #[test]
    fn a_tracker_is_believed_within_the_tolerance_and_after_a_confirmed_step() {
        let mut clock = TrackerClock::default();
        let steps = [
            (10, 0, Some(10)),
            (-5000, 1, Some(-5000)),
            (7200, 10, None),
            (7230, 40, None),
            (7260, 70, Some(70)),
            (7290, 100, Some(100)),
            // Its clock is right again; until that is confirmed, the step still holds.
            (130, 130, Some(-7060)),
            (7360, 160, Some(160)),
            (190, 190, Some(-7000)),
            (220, 220, Some(-6970)),
            (250, 250, Some(250)),
            (7480, 280, None),
        ];
        for (told, received, expect) in steps {
            let observed = clock.observe(at(told), at(received), &RULES);
            assert_eq!(observed.ok(), expect.map(at), "told {told} at {received}");
        }
    }

    /// Seconds of a tracker that tells each ten seconds, of whose clock so much is known, in a burst of what it held for an
    /// hour, where it went wrong (or right) in the middle.
    fn in_a_burst(mut clock: TrackerClock, leads: [i64; 2]) -> Vec<Option<i64>> {
        let tells = (0..360).map(|nth| (nth * 10, if nth < 180 { leads[0] } else { leads[1] }));
        let held = tells.map(|(second, lead)| (second, lead, 3600 + second / 50));
        let after = (361..380).map(|nth| (nth * 10, leads[1], nth * 10 + 72));
        let all = held.chain(after);
        all.map(|(second, lead, received)| {
            let observed = clock.observe(at(second + lead), at(received), &RULES).ok()?;
            Some(observed.micros_after(at(second)) / 1_000_000)
        })
        .collect()
    }

    #[test]
    fn what_a_burst_does_not_tell_of_a_lead_is_not_learned_from_it() {
        const DAY: i64 = 86_400;
        let off = in_a_burst(TrackerClock::default(), [0, DAY]);
        assert!(off[..180].iter().all(|off| *off == Some(0)));
        assert!(off[180..362].iter().all(Option::is_none), "{off:?}");
        assert!(off[363..].iter().all(|off| *off == Some(72)), "{off:?}");
        let known = TrackerClock { lead_us: DAY * 1_000_000, ..TrackerClock::default() };
        assert!(in_a_burst(known.clone(), [DAY, DAY]).iter().all(|off| *off == Some(0)));
        assert!(in_a_burst(known, [DAY, 0]).iter().all(|off| *off == Some(0)));
    }

    /// Four fixes each twenty seconds, and one by one over a network that takes up to twelve.
    #[test]
    fn a_lead_is_learned_of_what_comes_in_batches_and_of_what_was_long_on_the_way() {
        const DAY: i64 = 86_400;
        let told_right = |readings: &[(i64, i64)]| {
            let mut clock = TrackerClock::default();
            let observed = readings.iter().map(|(second, received)| {
                let observed = clock.observe(at(second + DAY), at(*received), &RULES).ok()?;
                Some(observed.micros_after(at(*second)) / 1_000_000)
            });
            let observed: Vec<Option<i64>> = observed.collect();
            (
                observed.iter().filter(|off| off.is_none()).count(),
                observed.into_iter().flatten().collect::<Vec<_>>(),
            )
        };
        let batches: Vec<_> =
            (0..12).flat_map(|nth| (0..4).map(move |of| (nth * 20 + of * 5, nth * 20 + 15))).collect();
        let (set_aside, off) = told_right(&batches);
        assert!(set_aside <= 8 && off.iter().all(|off| *off == 0), "{set_aside} {off:?}");
        let slow: Vec<_> =
            (0..40).map(|nth| (nth * 4, nth * 4 + [3, 12, 0, 7, 9, 1][nth as usize % 6])).collect();
        let (set_aside, off) = told_right(&slow);
        assert!(set_aside <= 8 && off.iter().all(|off| off.abs() <= 5), "{set_aside} {off:?}");
    }

    /// Set back by two hours, it tells of places as old ones until it has caught up with itself.
    #[test]
    fn a_clock_that_was_set_back_is_told_once_that_is_sure_and_no_burst_is_taken_for_one() {
        let turns = |readings: &[(i64, i64)]| {
            let mut clock = TrackerClock::default();
            let turned = readings.iter().map(|(told, received)| {
                clock.older(at(*told), at(*received), &RULES);
                clock.turned(at(*told), at(*received), &RULES).map(|us| us / 1_000_000)
            });
            let turned: Vec<Option<i64>> = turned.collect();
            let first = turned.iter().position(Option::is_some);
            (first, turned.into_iter().flatten().collect::<Vec<_>>(), clock)
        };
        let back: Vec<_> = (0..100).map(|nth| (nth * 10 - 7200, nth * 10 + nth % 4)).collect();
        let (first, told, mut clock) = turns(&back);
        assert_eq!((first, told), (Some(60), vec![-7200]), "after ten minutes, once");
        // It has caught up with what it told before, and is behind all the same.
        clock.newer(at(1010), at(8210));
        assert_eq!(clock.turned(at(1010), at(8210), &RULES), None);
        clock.newer(at(8220), at(8220));
        assert_eq!(clock.turned(at(8220), at(8220), &RULES), Some(0), "right again");
        // What it held comes twice as fast as our time; a few are no evidence; nor is what a network delays by minutes.
        let burst: Vec<_> = (0..600).map(|nth| (nth * 10 - 7200, nth * 5)).collect();
        let slow: Vec<_> = (0..100).map(|nth| (nth * 10 - 200, nth * 10)).collect();
        for readings in [&burst[..], &slow, &back[..60]] {
            assert_eq!(turns(readings).0, None);
        }
    }

    /// A tracker that tells the time of New York (-5 h), or of Newfoundland (-3:30 h), for that of Greenwich.
    #[test]
    fn a_clock_of_another_zone_is_told_and_what_comes_late_is_none() {
        let turns = |readings: &[(i64, i64)]| {
            let mut clock = TrackerClock::default();
            let turned = readings.iter().filter_map(|(told, received)| {
                clock.newer(at(*told), at(*received));
                clock.turned(at(*told), at(*received), &RULES).map(|us| (us / 1_000_000, *received))
            });
            turned.collect::<Vec<_>>()
        };
        let of_zone = |zone: i64| (0..100).map(move |nth| (nth * 30 - zone - nth % 40, nth * 30));
        for zone in [18_000, 12_600] {
            let mut readings: Vec<_> = of_zone(zone).collect();
            assert_eq!(turns(&readings), [(-zone - 20, 600)], "after ten minutes, once");
            // What a network holds on its way does not end that; what is of now does.
            readings.extend([(2400 - zone, 3000), (3010 - zone, 3010), (3020, 3020)]);
            assert_eq!(turns(&readings), [(-zone - 20, 600), (0, 3020)]);
        }
        // Less than an hour; no whole half hours; a burst; one whose last of each batch is of now.
        let steady = |off: i64| (0..100).map(|nth| (nth * 30 - off, nth * 30)).collect::<Vec<_>>();
        let burst = (0..600).map(|nth| (nth * 30 - 18_000, nth * 29)).collect();
        let batches =
            (0..100).flat_map(|nth| [(nth * 4000 - 3600, nth * 4000), (nth * 4000, nth * 4000)]).collect();
        for readings in [steady(1800), steady(18_300), burst, batches] {
            assert_eq!(turns(&readings), []);
        }
    }

    #[test]
    fn what_an_hour_ahead_held_does_not_make_it_right() {
        const HOUR: i64 = 3600;
        let known = TrackerClock { lead_us: HOUR * 1_000_000, ..TrackerClock::default() };
        assert!(in_a_burst(known, [HOUR, HOUR]).iter().all(|off| *off == Some(0)));
        // The same where it was ahead by little more than is tolerated.
        let known = TrackerClock { lead_us: 400_000_000, ..TrackerClock::default() };
        assert!(in_a_burst(known, [400, 400]).iter().all(|off| *off == Some(0)));
    }

    #[test]
    fn a_lead_that_is_known_too_small_rises_once_that_is_confirmed() {
        let known = TrackerClock { lead_us: 86_400_000_000, ..TrackerClock::default() };
        let mut clock = known.clone();
        // Told so many seconds ahead at a second, and observed then.
        for (second, lead, observed) in
            [(0, 86_403, 0), (10, 86_450, 10), (20, 86_400, 17), (30, 86_450, 30), (40, 86_450, 40)]
        {
            assert_eq!(clock.observe(at(second + lead), at(second), &RULES), Ok(at(observed)), "{second}");
        }
        assert_eq!(clock.lead_us, 86_403_000_000);
        assert_eq!(clock.observe(at(50 + 86_450), at(50), &RULES), Ok(at(50)));
        assert_eq!(clock.lead_us, 86_450_000_000);
    }
}
