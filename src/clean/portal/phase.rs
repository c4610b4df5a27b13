//! How fast a tag comes nearer, by the phase of its answers.
//!
//! From one read to the next of the same antenna on the same channel the phase turns once for half a wavelength of way.
//! Some readers do not know whether an answer is turned by half a turn, so half a turn counts as none, and way is known
//! but for quarters of a wavelength. Reads so close to one another that nothing at a door moves an eighth between them are
//! taken as they are; those a little farther apart where Doppler tells which of the quarters it was. A hop to another
//! channel begins anew: cables and filters turn each channel by another angle.
//!
//! Kept as evidence; nothing is judged by it: beside Doppler it told drawn portals apart no better. Bounded.

use serde::{Deserialize, Serialize};

use super::Heard;
use crate::clean::presence::Reads;
use crate::clean::reads::HALF_WAVE_M;
use crate::clean::rows::micros;
use crate::domain::ids::Antenna;
use crate::domain::time::Timestamp;

/// Of this many antennas the last read is remembered.
const MOST: usize = 16;
/// Nothing at a door comes nearer faster than this (forklifts are built for 3 to 5, and halls allow less).
const FASTEST_MPS: f32 = 3.0;
/// Doppler, known to some 0.7 m/s, settles quarters of a wavelength between reads no farther apart than this.
const SETTLED_US: i64 = 40_000;
/// Reads closer than this tell nothing: at 0.1 rad of noise each, their way is known to 4 mm.
const LEAST_US: i64 = 2_000;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Phases {
    last: Vec<Last>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Last {
    antenna: Antenna,
    channel: u16,
    #[serde(with = "micros")]
    at: Timestamp,
    deg: f32,
}

/// What a read is compared by.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::clean) struct Phase {
    pub deg: f32,
    pub channel: u16,
}

impl Phases {
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// How fast the antenna sees it come nearer since the read before, in m/s.
    pub fn note(&mut self, reads: Reads, heard: Heard) -> Option<f32> {
        // A report of several reads does not say whose phase it has.
        let phase = heard.phase.filter(|phase| phase.deg.is_finite() && reads.count == 1)?;
        let now = Last { antenna: heard.antenna, channel: phase.channel, at: reads.last, deg: phase.deg };
        let before = match self.last.iter_mut().find(|last| last.antenna == heard.antenna) {
            Some(last) => std::mem::replace(last, now),
            None => {
                if self.last.len() < MOST {
                    self.last.push(now);
                }
                return None;
            }
        };
        let apart_us = now.at.micros_after(before.at);
        if before.channel != now.channel || !(LEAST_US..=SETTLED_US).contains(&apart_us) {
            return None;
        }
        let seconds = apart_us as f32 / 1e6;
        // A quarter of a wavelength of way.
        let quarter_mps = HALF_WAVE_M / 2.0 / seconds;
        let turned = (now.deg - before.deg + 90.0).rem_euclid(180.0) - 90.0;
        let mps = turned / 360.0 * HALF_WAVE_M / seconds;
        let mps = match heard.nearing_mps.filter(|mps| mps.is_finite()) {
            _ if quarter_mps / 2.0 >= FASTEST_MPS => mps,
            Some(doppler) => mps + ((doppler - mps) / quarter_mps).round() * quarter_mps,
            None => return None,
        };
        (mps.abs() <= FASTEST_MPS).then_some(mps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of reads so many µs after one another, of something that moves like that from 3 m away; each may be
    /// turned by half a turn.
    fn told(mps: f32, apart_us: i64, channels: [u16; 2], doppler: Option<f32>) -> Option<f32> {
        let mut phases = Phases::default();
        let read = |nth: i64| {
            let at = Timestamp::from_micros(1_000_000 + nth * apart_us);
            let way_m = 3.0 - mps * (nth * apart_us) as f32 / 1e6;
            let deg = (-way_m / HALF_WAVE_M * 360.0 + 180.0 * nth as f32).rem_euclid(360.0);
            let phase = Some(Phase { deg, channel: channels[nth as usize] });
            let heard = Heard { antenna: 1, inside: true, peak_dbm: None, nearing_mps: doppler, phase };
            (Reads { first: at, last: at, count: 1 }, heard)
        };
        let (reads, heard) = read(0);
        assert_eq!(phases.note(reads, heard), None, "nothing to compare it with");
        let (reads, heard) = read(1);
        phases.note(reads, heard)
    }

    fn check(mps: f32, apart_us: i64, doppler: Option<f32>) {
        let told = told(mps, apart_us, [3, 3], doppler);
        assert!(told.is_some_and(|told| (told - mps).abs() < 0.02), "{mps} m/s, {apart_us} µs: {told:?}");
    }

    #[test]
    fn reads_close_to_one_another_tell_how_fast_it_comes_nearer() {
        for mps in [-2.5, -1.0, 0.0, 0.4, 2.5] {
            check(mps, 5_000, None);
            check(mps, 13_000, None);
            check(mps, 25_000, Some(mps + 0.6));
            check(mps, 25_000, Some(mps - 0.6));
        }
    }

    #[test]
    fn reads_farther_apart_on_other_channels_or_of_a_report_of_several_tell_nothing() {
        assert_eq!(told(1.0, 20_000, [3, 3], None), None, "it may have been any quarter");
        assert_eq!(told(1.0, 60_000, [3, 3], Some(1.0)), None);
        assert_eq!(told(1.0, 5_000, [3, 4], Some(1.0)), None, "another channel");
        assert_eq!(told(1.0, 500, [3, 3], None), None, "noise");
        let at = Timestamp::from_micros(1);
        let phase = Some(Phase { deg: 1.0, channel: 1 });
        let heard = Heard { antenna: 1, inside: true, peak_dbm: None, nearing_mps: None, phase };
        let mut phases = Phases::default();
        assert_eq!(phases.note(Reads { first: at, last: at, count: 2 }, heard), None);
        assert!(phases.is_empty());
        for antenna in 0..100 {
            phases.note(Reads { first: at, last: at, count: 1 }, Heard { antenna, ..heard });
        }
        assert_eq!(phases.last.len(), MOST);
    }
}
