//! How often one tag is read while it is present, and so how long a silence means that it has left.
//!
//! Time is cut into epochs; two reads that follow one another in different epochs make a *gap* of so many. A tag that
//! is read in an epoch with probability p makes gaps of 1/p on average, and stays silent for w of them with (1 − p)^w:
//! the binomial view of SMURF (Jeffery, Garofalakis, Franklin, VLDB 2006). Unlike there the window is not one miss in so
//! many epochs: it is such that a tag which stays is called gone about once in [`ONCE_IN_S`], because a tag
//! that is read often has as many more chances of being missed. What is known of few gaps makes it wider.
//! Where reads fail together (somebody stands in front), gaps are longer than chance has them, so
//! the window is no shorter than one and a half times the longest of late. That begins as if it had been
//! the longest window there is, and a quarter of it is forgotten every quarter of that window: a
//! tag is told to have left soon only once it has been heard for a while.
//!
//! ```text
//! 32 bits: mean gap (16, 1/256 epoch) │ longest gap of late (10, epochs) │ gaps seen (6, up to 63)
//! ```
//! Integers only, so that a restart changes nothing. Never knows whether a silence was heard: who asks says since when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

/// A tag that stays is taken to have left about once in this: a month.
const ONCE_IN_S: u64 = 30 * 86_400;
/// Epochs in the shortest window, at least.
const EPOCHS: u64 = 8;
/// More gaps than this make the estimate no better, and so the older ones fade.
const MOST_GAPS: u32 = 63;
const MEAN_BITS: u32 = 11;
const LONGEST_BITS: u32 = 5;
const ONE: u32 = 256;

/// The bounds of a window, and the epochs that follow from them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pace {
    least_us: u64,
    most_us: u64,
    /// An epoch has 2 to the power of this in microseconds; so has the time in which a quarter is forgotten.
    epoch: u32,
    fades: u32,
    /// The logarithm (base 2, in 1/256) of the epochs in [`ONCE_IN_S`].
    chances: u32,
}

impl Pace {
    /// `None` where the bounds leave nothing to learn.
    pub fn new(least: Duration, most: Duration) -> Option<Self> {
        let micros = |of: Duration| u64::try_from(of.as_micros()).unwrap_or(u64::MAX);
        let (least_us, most_us) = (micros(least), micros(most));
        if least_us >= most_us {
            return None;
        }
        let epoch = (least_us / EPOCHS).max(1).ilog2();
        let fades = (most_us / 4).max(1).ilog2();
        let chances = (ONCE_IN_S * 1_000_000) >> epoch;
        let chances = log2(u32::try_from(chances).unwrap_or(u32::MAX).max(1));
        Some(Self { least_us, most_us, epoch, fades, chances })
    }

    fn epochs(&self, from: Timestamp, to: Timestamp) -> u32 {
        apart(self.epoch, from, to).min(1 << 20)
    }

    fn longest_at_first(&self) -> u32 {
        u32::try_from((self.most_us >> self.epoch).saturating_mul(2) / 3)
            .unwrap_or(u32::MAX)
            .clamp(1, 1 << 24)
    }
}

/// What is learned of one tag at one read point. Zero: nothing yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Habit(u32);

impl Habit {
    pub fn is_unknown(&self) -> bool {
        self.0 == 0
    }

    /// It was read from `first` to `last`, `count` times; until then it was silent since `since`, and that was heard.
    pub fn learn(
        &mut self,
        pace: &Pace,
        since: Timestamp,
        (first, last, count): (Timestamp, Timestamp, u32),
    ) {
        let first = first.max(since);
        let gap = pace.epochs(since, first);
        let within = pace.epochs(first, last);
        if gap == 0 && within == 0 {
            return;
        }
        let (mut mean, mut longest, mut gaps) = self.parts();
        if self.is_unknown() {
            longest = pace.longest_at_first();
        }
        for _ in 0..apart(pace.fades, since, last).min(32) {
            longest -= longest / 4;
        }
        let more = within.min(count.saturating_sub(1));
        for (all, number) in [(gap, 1), (within, more)] {
            if all == 0 || number == 0 {
                continue;
            }
            let each = all.saturating_mul(ONE) / number;
            let number = number.min(MOST_GAPS);
            mean = blend((mean, gaps), (each, number));
            gaps = (gaps + number).min(MOST_GAPS);
            longest = longest.max(each.div_ceil(ONE));
        }
        self.0 = pack(mean, MEAN_BITS) << 16 | pack(longest, LONGEST_BITS) << 6 | gaps;
    }

    /// How long it has to be silent to have left.
    pub fn window(self, pace: &Pace) -> Duration {
        if self.is_unknown() {
            return Duration::from_micros(pace.most_us);
        }
        let (mean, longest, gaps) = self.parts();
        // −1 / ln(1 − 1/m) is m − 1/2, but for a twelfth of 1/m.
        let fades_in = u64::from(mean.max(ONE) - ONE / 2);
        let bits = (pace.chances + 8 * ONE).saturating_sub(log2(mean.max(ONE))).max(4 * ONE);
        // ln 2 is 177/256.
        let times = u64::from(bits) * 177 / 256;
        let by_chance = ((fades_in * times) >> 8) * u64::from(WIDER[gaps as usize]) / u64::from(ONE);
        let by_longest = u64::from(longest) * 384 + u64::from(ONE);
        let micros = (by_chance.max(by_longest) << pace.epoch) >> 8;
        Duration::from_micros(micros.clamp(pace.least_us, pace.most_us))
    }

    /// How many gaps it is known by, up to the most that count.
    pub fn gaps(self) -> u32 {
        self.parts().2
    }

    /// How many times as long as its usual gap a silence is.
    pub fn paces(self, pace: &Pace, silence: Duration) -> f32 {
        let (mean, _, gaps) = self.parts();
        // Of one that was hardly heard: as if it were read once in the shortest windows.
        let usual = if gaps == 0 { EPOCHS as f32 * 2.0 } else { mean.max(ONE) as f32 / ONE as f32 };
        silence.as_micros() as f32 / (1_u64 << pace.epoch) as f32 / usual
    }

    fn parts(self) -> (u32, u32, u32) {
        (unpack(self.0 >> 16, MEAN_BITS), unpack(self.0 >> 6 & 0x3ff, LONGEST_BITS), self.0 & 0x3f)
    }
}

fn apart(shift: u32, from: Timestamp, to: Timestamp) -> u32 {
    let apart = (to.as_micros() >> shift) - (from.as_micros() >> shift);
    u32::try_from(apart.max(0)).unwrap_or(u32::MAX)
}

/// The mean of so many gaps and so many more, to the nearest.
fn blend((mean, gaps): (u32, u32), (each, number): (u32, u32)) -> u32 {
    let all = i64::from(gaps + number);
    let by = (i64::from(each) - i64::from(mean)) * i64::from(number);
    let mean = i64::from(mean) + (by + all / 2).div_euclid(all);
    u32::try_from(mean).unwrap_or(u32::MAX)
}

/// By how much, in 1/256, a window that `n` gaps speak for is wider than one whose mean is known: a gap's length
/// given those is distributed as Pareto has it, so that a chance of e^−L is reached at n(e^(L/n) − 1)/L times the mean
/// times L; here the first terms of its series, with L = 14.
const WIDER: [u32; MOST_GAPS as usize + 1] = {
    let mut wider = [u32::MAX; MOST_GAPS as usize + 1];
    let mut n = 1;
    while n <= MOST_GAPS {
        wider[n as usize] = ONE + 7 * ONE / n + 33 * ONE / (n * n) + 114 * ONE / (n * n * n);
        n += 1;
    }
    wider
};

/// In 1/256, by straight lines between powers of two.
fn log2(of: u32) -> u32 {
    let whole = of.ilog2();
    let part = (of << (31 - whole)) >> 23 & 0xff;
    whole * ONE + part
}

/// A number in few bits: as it is while it has no more than `bits`, then with so many behind its first, cut off below.
fn pack(value: u32, bits: u32) -> u32 {
    let shift = value.max(1).ilog2().saturating_sub(bits);
    if value >> bits == 0 { value } else { (shift << bits) + (value >> shift) }
}

fn unpack(packed: u32, bits: u32) -> u32 {
    if packed >> bits == 0 {
        return packed;
    }
    let shift = (packed >> bits) - 1;
    (packed - (shift << bits)) << shift
}

#[cfg(test)]
mod tests {
    use super::super::tests::dice::Dice;
    use super::*;

    fn pace() -> Pace {
        Pace::new(Duration::from_secs(5), Duration::from_secs(300)).unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + millis * 1000)
    }

    /// Reads with that probability each second for so long; the window at the end, and how often it was too short.
    fn live(chance: f64, hours: i64, seed: u64) -> (Duration, u32) {
        let (mut dice, mut habit, mut last, mut spurious) = (Dice(seed), Habit::default(), at(0), 0);
        for second in 1..hours * 3600 {
            if dice.unit() < chance {
                let now = at(second * 1000);
                if now.since(last) > habit.window(&pace()) {
                    spurious += 1;
                    habit = Habit::default();
                } else {
                    habit.learn(&pace(), last, (now, now, 1));
                }
                last = now;
            }
        }
        (habit.window(&pace()), spurious)
    }

    #[test]
    fn numbers_are_kept_to_their_bits() {
        for bits in [MEAN_BITS, LONGEST_BITS] {
            let mut before = 0;
            for value in (0..5000).chain((1..200).map(|nth| nth * 5417)) {
                let kept = unpack(pack(value, bits), bits);
                assert!(kept <= value && value - kept <= value >> bits, "{value} {kept}");
                before = if value > 5000 {
                    before
                } else {
                    assert!(kept >= before);
                    kept
                };
            }
        }
        assert!(pack(1 << 28, MEAN_BITS) < 1 << 16 && pack(1 << 24, LONGEST_BITS) < 1 << 10);
    }

    #[test]
    fn nothing_known_waits_the_longest_and_what_is_well_read_the_shortest() {
        assert_eq!(Habit::default().window(&pace()), Duration::from_secs(300));
        let (well, spurious) = live(1.0, 1, 1);
        // A dozen reads that fail one after the other.
        assert_eq!((well <= Duration::from_secs(14), spurious), (true, 0), "{well:?}");
        // Within a minute nothing is told sooner than within minutes.
        let mut habit = Habit::default();
        (1..60).for_each(|s| habit.learn(&pace(), at(s * 1000 - 1000), (at(s * 1000), at(s * 1000), 1)));
        assert!(habit.window(&pace()) > Duration::from_secs(60), "{:?}", habit.window(&pace()));
    }

    #[test]
    fn the_worse_it_is_read_the_longer_it_waits_and_it_does_not_flap() {
        let mut before = Duration::ZERO;
        for chance in [0.9, 0.5, 0.2, 0.1, 0.05] {
            let lives: Vec<_> = (1..=10).map(|seed| live(chance, 24, seed)).collect();
            let spurious: u32 = lives.iter().map(|(_, spurious)| spurious).sum();
            let longest = lives.iter().map(|(window, _)| *window).max().unwrap();
            assert!(spurious <= 1 && longest > before, "{chance}: {spurious}, {longest:?}");
            before = longest;
        }
    }

    #[test]
    fn a_report_of_many_reads_says_as_much_as_the_reads() {
        let (mut one, mut many) = (Habit::default(), Habit::default());
        for ten in 0..60 {
            let (first, last) = (at(ten * 10_000), at(ten * 10_000 + 9_000));
            one.learn(&pace(), at((ten - 1) * 10_000 + 9_000), (first, last, 10));
            for second in 0..10 {
                let now = at(ten * 10_000 + second * 1000);
                many.learn(&pace(), now - Duration::from_secs(1), (now, now, 1));
            }
        }
        let (one, many) = (one.window(&pace()).as_secs_f64(), many.window(&pace()).as_secs_f64());
        assert!((one / many - 1.0).abs() < 0.2, "{one} {many}");
    }

    #[test]
    fn pauses_of_the_reader_are_waited_for() {
        // Two seconds of reading, and half a minute of none.
        let (mut habit, mut last) = (Habit::default(), at(0));
        for round in 1..500 {
            for read in 0..8 {
                let now = at(round * 30_000 + read * 250);
                assert!(now.since(last) < habit.window(&pace()), "{round}");
                habit.learn(&pace(), last, (now, now, 1));
                last = now;
            }
        }
        assert!(habit.window(&pace()) < Duration::from_secs(120), "{:?}", habit.window(&pace()));
    }
}
