//! A door's reader: antennas in turn, rounds of slotted ALOHA, and what it reports of each tag it singulates.
//!
//! Framed slotted ALOHA with Q as Gen2 has it: each tag that the antenna wakes, and whose session flag is the
//! one asked for, takes one of 2^Q slots. Two in a slot collide, unless one is far stronger. More tags mean
//! fewer reads of each.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::{PI, TAU};

use super::cast::{Cast, Luck};
use super::field::{Scene, TagAt};
use super::parameters::*;
use super::scenario::{Band, Doors};
use super::{Fine, Read};

pub(super) struct Reader {
    door: usize,
    pub clock_s: f64,
    port: usize,
    leaves_at_s: f64,
    q: f64,
    /// The tags that answer are those whose flag is set.
    asks_flagged: bool,
    channels_hz: Vec<f64>,
    channel: usize,
    hops_at_s: f64,
    stays_s: f64,
    /// Phase that cable and channel add, by port and channel.
    offsets: Vec<f64>,
}

/// A tag in a round: its slot, and its power at the reader.
struct Answer {
    slot: u32,
    tag: usize,
    dbm: f64,
}

impl Reader {
    pub fn new(door: usize, doors: &Doors, ports: usize, dice: &mut ChaCha8Rng) -> Self {
        let (mut channels_hz, stays_s): (Vec<f64>, f64) = match doors.band {
            Band::Etsi => (ETSI_MHZ.iter().map(|mhz| mhz * 1e6).collect(), ETSI_STAY_S),
            Band::Fcc => {
                let mhz = (0..FCC_CHANNELS).map(|nth| FCC_FIRST_MHZ + FCC_STEP_MHZ * nth as f64);
                (mhz.map(|mhz| mhz * 1e6).collect(), FCC_STAY_S)
            }
        };
        channels_hz.shuffle(dice);
        let offsets = (0..ports * channels_hz.len()).map(|_| dice.random_range(0.0..TAU)).collect();
        Self {
            door,
            clock_s: dice.random_range(0.0..0.05),
            port: 0,
            leaves_at_s: ANTENNA_S,
            q: Q_FIRST,
            asks_flagged: false,
            channels_hz,
            channel: 0,
            hops_at_s: stays_s * dice.random_range(0.1..1.0),
            stays_s,
            offsets,
        }
    }

    /// One round of inventory, at the antenna whose turn it is.
    pub fn round(&mut self, cast: &mut Cast, doors: &Doors, luck: &mut Luck, reads: &mut Vec<Read>) {
        if self.clock_s >= self.leaves_at_s {
            self.switch(cast, doors);
        }
        if self.clock_s >= self.hops_at_s {
            self.channel = (self.channel + 1) % self.channels_hz.len();
            self.hops_at_s = self.clock_s + self.stays_s;
        }
        let scene = cast.scene(self.clock_s);
        let mut answers = self.answers(cast, doors, &scene, &mut luck.inventory);
        let frame = 1_u32 << self.q.round() as u32;
        if answers.is_empty() {
            // Q falls to nothing when nobody answers.
            self.clock_s += ROUND_S + EMPTY_SLOT_S;
            self.q = (self.q - Q_STEP).max(0.0);
            self.asks_flagged = doors.dual_target && !self.asks_flagged;
            return;
        }
        for answer in &mut answers {
            answer.slot = luck.inventory.random_range(0..frame);
        }
        answers.sort_by_key(|answer| answer.slot);
        self.clock_s += ROUND_S;
        self.walk(&answers, frame, cast, doors, luck, reads);
    }

    fn switch(&mut self, cast: &mut Cast, doors: &Doors) {
        self.port = (self.port + 1) % cast.doors[self.door].antennas.len();
        self.leaves_at_s = self.clock_s + ANTENNA_S;
        self.asks_flagged = false;
        if doors.session == 0 {
            // The carrier goes off for a moment: flags of session 0 are forgotten.
            cast.tags.iter_mut().for_each(|tag| tag.flag_until_s = f64::NEG_INFINITY);
        }
    }

    /// The tags that the antenna wakes and that are asked for.
    fn answers(&self, cast: &Cast, doors: &Doors, scene: &Scene, dice: &mut ChaCha8Rng) -> Vec<Answer> {
        let antenna = &cast.doors[self.door].antennas[self.port];
        let hz = self.channels_hz[self.channel];
        let mut answers = Vec::new();
        for (number, tag) in cast.tags.iter().enumerate() {
            let flagged = tag.flag_until_s > self.clock_s;
            if flagged != self.asks_flagged {
                continue;
            }
            let Some(place) = cast.tag_at(tag, self.clock_s) else { continue };
            let gain_db = 10.0 * antenna.reach(&place, scene, hz).power().log10() - tag.detuned_db;
            let at_tag = doors.power_dbm + gain_db + dice.random_range(-0.5..0.5);
            if at_tag > tag.wakes_dbm {
                let dbm = doors.power_dbm + 2.0 * gain_db - BACKSCATTER_DB;
                answers.push(Answer { slot: 0, tag: number, dbm });
            }
        }
        answers
    }

    fn walk(
        &mut self,
        answers: &[Answer],
        frame: u32,
        cast: &mut Cast,
        doors: &Doors,
        luck: &mut Luck,
        reads: &mut Vec<Read>,
    ) {
        let mut rest = answers;
        for slot in 0..frame {
            let (here, later) = rest.split_at(rest.partition_point(|answer| answer.slot == slot));
            rest = later;
            match strongest(here) {
                None if here.is_empty() => {
                    self.clock_s += EMPTY_SLOT_S;
                    self.q = (self.q - Q_STEP / 2.0).max(0.0);
                }
                None => {
                    self.clock_s += COLLIDED_SLOT_S;
                    self.q = (self.q + Q_STEP).min(Q_MAX);
                }
                Some(tag) => {
                    self.clock_s += READ_SLOT_S;
                    if let Some(read) = self.read(tag, cast, doors, luck) {
                        reads.push(read);
                        let until = if self.asks_flagged {
                            f64::NEG_INFINITY
                        } else {
                            self.flag_until(cast, tag, doors)
                        };
                        cast.tags[tag].flag_until_s = until;
                    }
                }
            }
            // Whoever has run far past the best Q begins anew, as readers do (QueryAdjust).
            if self.clock_s >= self.leaves_at_s || frame > 8 << self.q.round() as u32 {
                return;
            }
        }
    }

    fn flag_until(&self, cast: &Cast, tag: usize, doors: &Doors) -> f64 {
        if doors.session == 0 { f64::INFINITY } else { self.clock_s + cast.tags[tag].flag_lasts_s }
    }

    fn read(&self, number: usize, cast: &Cast, doors: &Doors, luck: &mut Luck) -> Option<Read> {
        let (tag, time_s) = (&cast.tags[number], self.clock_s);
        let (place, scene) = (cast.tag_at(tag, time_s)?, cast.scene(time_s));
        let dice = &mut luck.noise;
        let angle = |place: &TagAt, scene: &Scene| {
            let antenna = &cast.doors[self.door].antennas[self.port];
            antenna.reach(place, scene, self.channels_hz[self.channel])
        };
        let here = angle(&place, &scene);
        let gain_db = 10.0 * here.power().log10() - tag.detuned_db;
        let dbm = doors.power_dbm + 2.0 * gain_db - BACKSCATTER_DB;
        let chance = (1.0 - FAILS) / (1.0 + (-(dbm - READER_DBM) / READER_SOFT_DB).exp());
        if !dice.random_bool(chance) {
            return None;
        }
        let told_dbm = dbm + normal(RSSI_NOISE_DB, dice);
        // Over the packet the tag moves on by a millimetre or two.
        let before = cast.tag_at(tag, time_s - READ_SLOT_S).unwrap_or(place);
        let turned = wrap(2.0 * (here.angle() - angle(&before, &scene).angle()));
        let doppler_hz = turned / (TAU * READ_SLOT_S) + normal(DOPPLER_NOISE_HZ, dice);
        let offset = self.offsets[self.port * self.channels_hz.len() + self.channel];
        let half = if dice.random_bool(0.5) { PI } else { 0.0 };
        let phase = (2.0 * here.angle() + offset + half + normal(PHASE_NOISE_RAD, dice)).rem_euclid(TAU);
        let fine = Fine {
            dbm_hundredths: (told_dbm * 100.0).round() as i16,
            phase: (phase / TAU * PHASE_STEPS) as u16 % PHASE_STEPS as u16,
            doppler_16ths_hz: (doppler_hz * DOPPLER_STEPS_PER_HZ).round() as i16,
            channel: self.channel as u16 + 1,
        };
        Some(Read {
            at_us: (time_s * 1e6) as i64,
            door: self.door,
            antenna: self.port as u16 + 1,
            tag: number,
            dbm: told_dbm.round().clamp(-128.0, 0.0) as i8,
            fine: doors.fine.then_some(fine),
        })
    }
}

/// Who is read in a slot: the only one, or the one that drowns the others.
fn strongest(here: &[Answer]) -> Option<usize> {
    let best = here.iter().max_by(|a, b| a.dbm.total_cmp(&b.dbm))?;
    let next =
        here.iter().filter(|answer| answer.tag != best.tag).map(|answer| answer.dbm).fold(f64::MIN, f64::max);
    (best.dbm - next >= CAPTURE_DB).then_some(best.tag)
}

fn wrap(angle: f64) -> f64 {
    (angle + PI).rem_euclid(TAU) - PI
}

fn normal(deviation: f64, dice: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (dice.random_range(1e-12..1.0), dice.random());
    deviation * (-2.0 * u.ln()).sqrt() * (TAU * v).cos()
}
