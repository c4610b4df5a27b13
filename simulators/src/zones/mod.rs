//! Zones of a hall, each heard by a reader of its own, and tags that lie there and are carried from one to
//! another; an antenna hears into the zones beside its own.
//!
//! ```text
//! scenario (TOML) + seed → stage (readers, tags, people) ─▶ the portal's field ─▶ turns of antennas ─▶ reads
//!                            └──────────────────────────▶ truth: stays and moves
//! ```
//! The physics of the waves and of tags are the portal's (`portal/field.rs`, `portal/parameters.rs`). Inventory is
//! coarser: one look at the field for each turn of an antenna, in which as many tags are read as its slots
//! allow. Time is virtual; the same scenario and seed give the same run. Knows nothing of the daemon.

mod scenario;
mod stage;
#[cfg(test)]
mod tests;

use rand::RngExt;
use rand::seq::SliceRandom;

pub use scenario::{Hall, Mount, Outage, Readers, Scenario, Suite, Tags};

use jiff::Timestamp;

use crate::dice::normal;
use crate::llrp::report::TagObservation;
use crate::month::wire;
use crate::portal::parameters::*;
use stage::{Luck, Stage};

/// An antenna's turn. Assumed; readers of shelves stay longer on one than readers of doors do.
const TURN_S: f64 = 0.25;
/// A singulation with its share of empty and collided slots, where Q fits.
const SLOT_S: f64 = READ_SLOT_S + 0.7 * EMPTY_SLOT_S + 0.5 * COLLIDED_SLOT_S;

/// What a reader reports of a tag at the end of an antenna's turn.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Read {
    pub at_us: i64,
    pub zone: usize,
    /// From 1.
    pub antenna: u16,
    pub tag: usize,
    pub count: u16,
    pub dbm: i8,
}

/// It lies in a zone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stay {
    pub zone: usize,
    pub from_s: f64,
    pub to_s: f64,
}

/// It is carried; out of the hall, or into it, where there is no zone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Move {
    pub from: Option<usize>,
    pub to: Option<usize>,
    pub left_s: f64,
    pub came_s: f64,
}

/// What is true of a tag.
#[derive(Clone, PartialEq, Debug)]
pub struct Life {
    pub stays: Vec<Stay>,
    pub moves: Vec<Move>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    pub duration_us: i64,
    /// In order of time.
    pub reads: Vec<Read>,
    pub outages: Vec<Outage>,
    pub lives: Vec<Life>,
}

impl Scenario {
    /// Acts the scenario out.
    pub fn run(&self, seed: u64) -> Run {
        let mut luck = Luck::new(seed);
        let mut stage = Stage::new(self, &mut luck);
        let mut reads = Vec::new();
        let zones = self.hall.zones();
        let starts_s: Vec<f64> = (0..zones).map(|_| luck.inventory.random_range(0.0..TURN_S)).collect();
        for turn in 0..(self.duration_s / TURN_S) as usize {
            for (zone, starts_s) in starts_s.iter().enumerate() {
                let time_s = turn as f64 * TURN_S + starts_s;
                let off =
                    |outage: &Outage| outage.zone == zone && (outage.from_s..outage.to_s).contains(&time_s);
                if let Some(antenna) = self.readers.whose_turn(turn)
                    && !self.outages.iter().any(off)
                {
                    self.turn(&mut stage, (zone, antenna), time_s, &mut luck, &mut reads);
                }
            }
        }
        reads.sort_by_key(|read| (read.at_us, read.zone));
        let lives = stage.tags.into_iter().map(|tag| Life { stays: tag.stays, moves: tag.moves }).collect();
        Run { duration_us: (self.duration_s * 1e6) as i64, reads, outages: self.outages.clone(), lives }
    }

    fn turn(
        &self,
        stage: &mut Stage,
        (zone, nth): (usize, usize),
        time_s: f64,
        luck: &mut Luck,
        reads: &mut Vec<Read>,
    ) {
        let dice = &mut luck.inventory;
        let scene = stage.scene(time_s);
        let hz = ETSI_MHZ[dice.random_range(0..ETSI_MHZ.len())] * 1e6;
        let (antenna, power_dbm) = (&stage.readers[zone].antennas[nth], stage.readers[zone].power_dbm);
        let again = self.readers.dual_target || self.readers.session == 0;
        let mut awake = Vec::new();
        for (number, tag) in stage.tags.iter().enumerate() {
            let Some(place) = stage.tag_at(number, time_s) else { continue };
            let gain_db = 10.0 * antenna.reach(&place, &scene, hz).power().log10() - tag.detuned_db;
            if power_dbm + gain_db > tag.wakes_dbm && (again || tag.flag_until_s <= time_s) {
                awake.push((number, power_dbm + 2.0 * gain_db - BACKSCATTER_DB));
            }
        }
        awake.shuffle(dice);
        let slots = (TURN_S / SLOT_S) as usize;
        let tries = if again { (slots / awake.len().max(1)).clamp(1, 50) } else { 1 };
        for (tag, dbm) in awake.into_iter().take(slots) {
            let chance = (1.0 - FAILS) / (1.0 + (-(dbm - READER_DBM) / READER_SOFT_DB).exp());
            let count = (0..tries).filter(|_| dice.random_bool(chance)).count();
            if count == 0 {
                continue;
            }
            let told = dbm + RSSI_NOISE_DB * normal(dice);
            reads.push(Read {
                at_us: ((time_s + TURN_S) * 1e6) as i64,
                zone,
                antenna: nth as u16 + 1,
                tag,
                count: count as u16,
                dbm: told.round().clamp(-128.0, 0.0) as i8,
            });
            let tag = &mut stage.tags[tag];
            tag.flag_until_s = time_s + tag.flag_lasts_s;
        }
    }
}

impl Readers {
    /// The antenna that reads in that turn; none while the reader rests.
    fn whose_turn(&self, turn: usize) -> Option<usize> {
        if self.every_s <= 0.0 {
            return Some(turn % self.antennas);
        }
        let period = ((self.every_s / TURN_S) as usize).max(self.antennas);
        Some(turn % period).filter(|nth| *nth < self.antennas)
    }
}

impl Run {
    /// The 96-bit code of a tag.
    pub fn epc(tag: usize) -> [u8; 12] {
        crate::portal::Run::epc(tag)
    }
}

/// What readers write in LLRP, of a run that began at a time.
#[derive(Clone, Copy, Debug)]
pub struct Wire(pub Timestamp);

impl Wire {
    pub fn at(self, at_us: i64) -> Timestamp {
        self.0 + jiff::SignedDuration::from_micros(at_us)
    }

    /// RO_ACCESS_REPORT of reads of one reader.
    pub fn report(self, reads: &[Read]) -> Vec<u8> {
        let reads: Vec<_> = reads
            .iter()
            .map(|read| TagObservation {
                antenna: read.antenna,
                epc: Run::epc(read.tag).to_vec(),
                rssi_dbm: read.dbm,
                at: self.at(read.at_us),
                count: read.count,
            })
            .collect();
        wire::report(1, &reads)
    }

    /// Whom the reader greets.
    pub fn connected(self, at_us: i64) -> Vec<u8> {
        wire::connected(1, self.at(at_us))
    }
}
