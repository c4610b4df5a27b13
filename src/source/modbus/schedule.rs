//! When what is asked: a beat for each device and interval, which does not drift. Pure.
//!
//! The first time is at once. Then the beats of one line are spread over their intervals, by the line's name
//! and by the device's place on it, so that a thousand devices are not asked in the same instant for ever.

use std::time::Duration;

use tokio::time::Instant;

/// One device's points of one interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beat {
    /// Which device of the line.
    pub unit: usize,
    pub interval: Duration,
}

#[derive(Debug)]
pub struct Schedule {
    beats: Vec<(Beat, Instant)>,
    /// Behind the start of its interval, each has its second beat there; 0 to 1.
    phases: Vec<f64>,
}

impl Schedule {
    /// `seed`: the same of one line at every start.
    pub fn new(beats: Vec<Beat>, seed: u64, now: Instant) -> Self {
        let count = beats.len().max(1) as f64;
        let first = (seed % 1000) as f64 / 1000.0;
        let phases = (0..beats.len()).map(|place| (first + place as f64 / count).fract()).collect();
        Self { beats: beats.into_iter().map(|beat| (beat, now)).collect(), phases }
    }

    /// The beat that is due first, and when; `None` where there is none at all.
    pub fn next(&self) -> Option<(usize, Instant)> {
        let due = self.beats.iter().enumerate().map(|(place, (_, due))| (place, *due));
        due.min_by_key(|(_, due)| *due)
    }

    /// The beat begins now. Returns it, and how many of its beats went by since it was due.
    pub fn take(&mut self, place: usize, now: Instant) -> (Beat, u64) {
        let (beat, due) = self.beats[place];
        let late = now.saturating_duration_since(due).as_nanos();
        let missed = late / beat.interval.as_nanos().max(1);
        let phase = beat.interval.mul_f64(self.phases[place]);
        // Only the first beat has a phase to go to; one that stands still would be two at once.
        let ahead = if phase > beat.interval / 8 { phase } else { phase + beat.interval };
        self.phases[place] = 0.0;
        let steps = u32::try_from(missed).unwrap_or(u32::MAX);
        self.beats[place].1 = due + beat.interval.saturating_mul(steps) + ahead;
        (beat, u64::from(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn beats(count: usize) -> Vec<Beat> {
        (0..count).map(|unit| Beat { unit, interval: SECOND }).collect()
    }

    /// When each beat of `unit` was, in seconds since the start, if every one takes place when it is due.
    fn times(schedule: &mut Schedule, start: Instant, unit: usize, count: usize) -> Vec<f64> {
        let mut found = Vec::new();
        while found.len() < count {
            let (place, due) = schedule.next().unwrap();
            let (beat, missed) = schedule.take(place, due);
            assert_eq!(missed, 0);
            if beat.unit == unit {
                found.push((due - start).as_secs_f64());
            }
        }
        found
    }

    #[test]
    fn beats_do_not_drift_and_are_spread() {
        let start = Instant::now();
        let mut seconds = Vec::new();
        for unit in 0..4 {
            let found = times(&mut Schedule::new(beats(4), 300, start), start, unit, 50);
            assert_eq!(found[0], 0.0);
            for (place, pair) in found[1..].windows(2).enumerate() {
                assert!((pair[1] - pair[0] - 1.0).abs() < 1e-6, "{unit} {place}: {pair:?}");
            }
            seconds.push(found[1]);
        }
        seconds.sort_by(f64::total_cmp);
        assert!(seconds.windows(2).all(|pair| (pair[1] - pair[0] - 0.25).abs() < 1e-6), "{seconds:?}");
    }

    #[test]
    fn what_went_by_is_counted_and_not_made_up_for() {
        let start = Instant::now();
        let mut schedule = Schedule::new(beats(1), 0, start);
        assert_eq!(schedule.take(0, start).1, 0);
        // Due at 1 s, it takes place at 4.5 s: those of 2, 3 and 4 s are gone, and the next is on the beat.
        let (place, due) = schedule.next().unwrap();
        assert_eq!(due, start + SECOND);
        assert_eq!(schedule.take(place, start + SECOND * 9 / 2).1, 3);
        assert_eq!(schedule.next().unwrap().1, start + SECOND * 5);
    }
}
