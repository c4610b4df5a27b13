//! Ways into a queue, for those who are told where their trackers are.

use super::dice::{Dice, Wander};

/// So long it stands, behind the first who come, before it moves up by so many metres each so many seconds.
pub struct Queue {
    pub stood_s: i64,
    pub up_m: f64,
    pub each_s: i64,
}

/// What a tracker says in one second: where it is along the way and beside it, metres, and its speed.
pub struct Said {
    pub second: i64,
    pub along_m: f64,
    pub beside_m: f64,
    pub speed_mps: f64,
}

impl Queue {
    /// Stands for ten minutes, drives a kilometre to its end, at 0 m, is 600 m further when it is through, and stands there for an
    /// hour. A fix each so many seconds, by a receiver that errs by 3 m.
    pub fn fixes(&self, every_s: usize, seed: u64) -> Vec<Said> {
        let (mut random, mut wander) = (Dice(seed), Wander::by(3.0, 120.0));
        let mut at_m = -1000.0;
        let mut said: Vec<Said> = Vec::new();
        let mut through = None;
        for second in 0.. {
            let moves_up = (second % self.each_s) as f64 * 2.0 < self.up_m;
            let speed_mps = match second {
                600.. if at_m < 0.0 => 10.0,
                700.. if at_m < 600.0 && second >= 700 + self.stood_s && moves_up => 2.0,
                _ => 0.0,
            };
            at_m += speed_mps;
            if at_m >= 600.0 && second > *through.get_or_insert(second) + 3600 {
                break;
            }
            let [along, beside_m] = wander.next(&mut random, 1.0);
            said.push(Said { second, along_m: at_m + along, beside_m, speed_mps });
        }
        said.into_iter().step_by(every_s).collect()
    }
}
