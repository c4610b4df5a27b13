//! What a crib's antennas hear of a tag that stays: one to four times a second, with misses, from one
//! antenna mostly and the next one sometimes.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::script::Act;

/// However many times a tag is missed, it is heard again after this long: it is there.
pub const LONGEST_SILENCE_S: f64 = 2.5;
/// The reference tag hangs in plain sight.
const REFERENCE_HZ: f64 = 4.0;
const REFERENCE_MISS: f64 = 0.05;

/// The reads of one tag, for ever.
#[derive(Clone, Debug)]
pub struct Staying {
    reader: usize,
    code: [u8; 12],
    period_s: f64,
    miss: f64,
    antenna: u16,
    /// Which antenna else, and how often.
    elsewhere: (u16, f64),
    rssi_dbm: f64,
    at_s: f64,
    last_s: f64,
    rng: ChaCha8Rng,
}

/// Where a tag stays.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub reader: usize,
    pub antennas: u16,
    pub read_hz: [f64; 2],
    pub miss: f64,
}

impl Staying {
    /// From `from_s` on.
    pub fn tag(place: &Place, code: [u8; 12], from_s: f64, mut rng: ChaCha8Rng) -> Self {
        let [slow, fast] = place.read_hz;
        let hz = if fast > slow { rng.random_range(slow..fast) } else { slow };
        let antenna = rng.random_range(1..=place.antennas);
        let rssi_dbm = rng.random_range(-66.0..-48.0);
        let at_s = from_s + rng.random_range(0.0..1.0 / hz);
        Self {
            reader: place.reader,
            code,
            period_s: 1.0 / hz,
            miss: place.miss,
            antenna,
            elsewhere: (antenna % place.antennas + 1, if place.antennas > 1 { 0.1 } else { 0.0 }),
            rssi_dbm,
            at_s,
            last_s: from_s,
            rng,
        }
    }

    /// A reference tag at antenna 1.
    pub fn reference(reader: usize, code: [u8; 12], rng: ChaCha8Rng) -> Self {
        Self {
            reader,
            code,
            period_s: 1.0 / REFERENCE_HZ,
            miss: REFERENCE_MISS,
            antenna: 1,
            elsewhere: (1, 0.0),
            rssi_dbm: -42.0,
            at_s: 0.0,
            last_s: 0.0,
            rng,
        }
    }

    /// Near a door: about once a second, weakly, by the first antenna, and by the second in `cross_share` of
    /// the reads.
    pub fn at_door(
        reader: usize,
        code: [u8; 12],
        antennas: [u16; 2],
        cross_share: f64,
        rng: ChaCha8Rng,
    ) -> Self {
        let [antenna, other] = antennas;
        let elsewhere = (other, cross_share);
        let (period_s, miss, rssi_dbm) = (0.8, 0.35, -66.0);
        Self { reader, code, period_s, miss, antenna, elsewhere, rssi_dbm, at_s: 0.0, last_s: 0.0, rng }
    }

    fn step(&mut self) -> f64 {
        let at = self.at_s;
        self.at_s += self.period_s * self.rng.random_range(0.85..1.15);
        at
    }
}

impl Iterator for Staying {
    type Item = (f64, Act);

    fn next(&mut self) -> Option<(f64, Act)> {
        loop {
            let at = self.step();
            let must = self.at_s - self.last_s > LONGEST_SILENCE_S - 1.2 * self.period_s;
            if !must && self.rng.random_bool(self.miss) {
                continue;
            }
            self.last_s = at;
            let elsewhere = self.rng.random_bool(self.elsewhere.1);
            let antenna = if elsewhere { self.elsewhere.0 } else { self.antenna };
            let weaker = if elsewhere { 9.0 } else { 0.0 };
            let rssi = self.rssi_dbm - weaker + self.rng.random_range(-3.0..3.0);
            let count = 1 + u16::from(self.rng.random_bool(0.3));
            return Some((
                at,
                Act::Read { reader: self.reader, antenna, code: self.code, rssi_dbm: rssi as i8, count },
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_staying_tag_is_never_silent_for_too_long_and_sometimes_missed() {
        let place = Place { reader: 0, antennas: 2, read_hz: [1.0, 4.0], miss: 0.5 };
        for seed in 0..50 {
            let rng = ChaCha8Rng::seed_from_u64(seed);
            let reads: Vec<f64> =
                Staying::tag(&place, [0; 12], 3.0, rng).map(|(at, _)| at).take(500).collect();
            assert!(reads[0] - 3.0 <= LONGEST_SILENCE_S);
            let longest = reads.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
            assert!(longest <= LONGEST_SILENCE_S, "seed {seed}: {longest} s");
            assert!(longest > 0.4, "seed {seed}: nothing missed");
        }
    }
}
