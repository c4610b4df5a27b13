//! What a door's two antennas hear of a tag that comes by.
//!
//! The tag moves on a line through the door, at 0 m: outside is negative. The antennas hang a metre to
//! either side and look away from the door, so that each hears its own side well and the other one badly.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::plant::{INSIDE, OUTSIDE};

/// Where a movement starts and ends.
pub const REACH_M: f64 = 5.0;
/// Where somebody turns back.
const TURN_M: f64 = 0.9;
/// Both antennas are asked once in this time.
const ROUND_S: f64 = 0.1;
/// Fewer reads than this on either side, and nobody could tell a direction.
const ENOUGH: usize = 4;

/// Signal at one metre, path loss per decade, what is lost behind an antenna, and the signal at which half
/// of the attempts give a read.
const NEAR_DBM: f64 = -48.0;
const LOSS_DB: f64 = 22.0;
const BEHIND_DB: f64 = 18.0;
const HALF_DBM: f64 = -69.0;
const STEEPNESS_DB: f64 = 2.0;

/// One read at a door.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DoorRead {
    /// Seconds since the movement began.
    pub at_s: f64,
    pub antenna: u16,
    pub rssi_dbm: i8,
}

/// Through the door at `speed_mps`, inward or outward; both sides hear enough of it.
pub fn pass(inward: bool, speed_mps: f64, rng: &mut ChaCha8Rng) -> Vec<DoorRead> {
    let direction = if inward { 1.0 } else { -1.0 };
    let duration = 2.0 * REACH_M / speed_mps;
    loop {
        let reads = walk(duration, |at| direction * (speed_mps * at - REACH_M), rng);
        if [OUTSIDE, INSIDE].iter().all(|side| of(&reads, *side) >= ENOUGH) && tells(&reads, inward) {
            return reads;
        }
    }
}

/// Up to the door and back again; the other side hears little of it.
pub fn turn_back(from_inside: bool, speed_mps: f64, rng: &mut ChaCha8Rng) -> Vec<DoorRead> {
    let side = if from_inside { 1.0 } else { -1.0 };
    let way = REACH_M - TURN_M;
    let duration = 2.0 * way / speed_mps;
    let own = if from_inside { INSIDE } else { OUTSIDE };
    loop {
        let place = |at: f64| side * (TURN_M + (speed_mps * at - way).abs());
        let reads = walk(duration, place, rng);
        let ends_where_it_began = reads.first().map(|read| read.antenna) == Some(own)
            && reads.last().map(|read| read.antenna) == Some(own);
        if ends_where_it_began && of(&reads, own) > 4 * (reads.len() - of(&reads, own)) {
            return reads;
        }
    }
}

/// One to three weak reads of something further away.
pub fn stray(inside: bool, rng: &mut ChaCha8Rng) -> Vec<DoorRead> {
    let antenna = if inside { INSIDE } else { OUTSIDE };
    let reads = (0..rng.random_range(1..=3u32)).map(|index| DoorRead {
        at_s: f64::from(index) * 0.4 + rng.random_range(0.0..0.2),
        antenna,
        rssi_dbm: rng.random_range(-78..=-71),
    });
    reads.collect()
}

fn of(reads: &[DoorRead], antenna: u16) -> usize {
    reads.iter().filter(|read| read.antenna == antenna).count()
}

/// The first reads come from the side it came from, the last ones from the other.
fn tells(reads: &[DoorRead], inward: bool) -> bool {
    let (from, to) = if inward { (OUTSIDE, INSIDE) } else { (INSIDE, OUTSIDE) };
    let half = ENOUGH / 2;
    let starts = reads.iter().take(half).all(|read| read.antenna == from);
    let ends = reads.iter().rev().take(half).all(|read| read.antenna == to);
    starts && ends
}

fn walk(duration_s: f64, place_m: impl Fn(f64) -> f64, rng: &mut ChaCha8Rng) -> Vec<DoorRead> {
    let gain_db = rng.random_range(-3.0..3.0);
    let mut fading_db = 0.0;
    let mut reads = Vec::new();
    let rounds = (duration_s / ROUND_S) as u32;
    for round in 0..rounds {
        for (half, antenna) in [OUTSIDE, INSIDE].into_iter().enumerate() {
            let at_s = (f64::from(round) + half as f64 / 2.0) * ROUND_S + rng.random_range(0.0..0.03);
            fading_db = 0.7 * fading_db + rng.random_range(-2.5..2.5);
            let signal = signal_dbm(antenna, place_m(at_s)) + gain_db + fading_db;
            let heard = 1.0 / (1.0 + (-(signal - HALF_DBM) / STEEPNESS_DB).exp());
            if rng.random_bool(heard) {
                reads.push(DoorRead { at_s, antenna, rssi_dbm: signal.clamp(-90.0, -20.0) as i8 });
            }
        }
    }
    reads
}

/// Signal of a tag at `place_m`, without fading.
pub fn signal_dbm(antenna: u16, place_m: f64) -> f64 {
    let facing = if antenna == OUTSIDE { -place_m } else { place_m };
    let distance = ((facing - 1.0).powi(2) + 1.0).sqrt();
    let behind = ((1.0 - facing) / 2.0).clamp(0.0, 1.0);
    NEAR_DBM - LOSS_DB * distance.log10() - BEHIND_DB * behind
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn mean_rssi(reads: &[DoorRead], antenna: u16) -> f64 {
        let of: Vec<f64> = reads
            .iter()
            .filter(|read| read.antenna == antenna)
            .map(|read| f64::from(read.rssi_dbm))
            .collect();
        of.iter().sum::<f64>() / of.len() as f64
    }

    #[test]
    fn a_passage_is_heard_outside_first_then_by_both_then_inside() {
        for seed in 0..200 {
            let reads = pass(true, 1.8, &mut ChaCha8Rng::seed_from_u64(seed));
            let mean_at = |antenna: u16| {
                let at: Vec<f64> =
                    reads.iter().filter(|read| read.antenna == antenna).map(|read| read.at_s).collect();
                at.iter().sum::<f64>() / at.len() as f64
            };
            assert!(mean_at(OUTSIDE) + 0.5 < mean_at(INSIDE), "seed {seed}");
            let first_inside = reads.iter().position(|read| read.antenna == INSIDE).unwrap();
            assert!(
                reads[first_inside..].iter().any(|read| read.antenna == OUTSIDE),
                "seed {seed}: no overlap"
            );
            assert!(reads.len() < 100, "seed {seed}: {} reads, nothing missed", reads.len());
        }
    }

    #[test]
    fn the_signal_rises_and_falls() {
        let reads = pass(true, 1.5, &mut ChaCha8Rng::seed_from_u64(1));
        let outside: Vec<_> = reads.iter().filter(|read| read.antenna == OUTSIDE).copied().collect();
        let third = outside.len() / 3;
        let middle = mean_rssi(&outside[third..2 * third], OUTSIDE);
        assert!(
            middle > mean_rssi(&outside[..third], OUTSIDE)
                && middle > mean_rssi(&outside[2 * third..], OUTSIDE)
        );
    }

    #[test]
    fn who_turns_back_ends_where_he_began() {
        for seed in 0..100 {
            let reads = turn_back(seed % 2 == 0, 1.4, &mut ChaCha8Rng::seed_from_u64(seed));
            assert_eq!(reads.first().unwrap().antenna, reads.last().unwrap().antenna);
            assert!(reads.len() > 10);
        }
    }
}
