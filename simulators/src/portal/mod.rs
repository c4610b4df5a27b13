//! A portal that is physics: readers at doors, tags on what moves there, and the waves between them.
//!
//! ```text
//! scenario (TOML) + seed → cast (doors, loads, tags) ─ motion ─▶ field ─▶ inventory ─▶ reads
//!                                                        └────────────────▶ truth, light barriers
//! ```
//! Time is virtual: a run is computed, and the same scenario and seed give the same run. Every value that
//! the physics takes as given is in `parameters.rs`, with where it comes from. Knows nothing of the daemon,
//! nor of how anybody tells a direction: nothing here is tuned so that it can be told.

mod cast;
mod drawn;
pub(crate) mod field;
pub(crate) mod geometry;
mod inventory;
mod motion;
pub(crate) mod parameters;
mod scenario;
#[cfg(test)]
mod tests;
mod truth;

use std::io::{self, Write};

use serde::Serialize;

pub use scenario::{Air, Band, Carrier, Doors, Load, Motion, Scenario, Suite, Truck};
pub use truth::{Asset, Crossing, Kind};

use cast::{Cast, Luck};
use inventory::Reader;

/// One singulation of one tag.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Read {
    pub at_us: i64,
    pub door: usize,
    /// The reader's port, from 1: the row that looks inside first.
    pub antenna: u16,
    pub tag: usize,
    pub dbm: i8,
    #[serde(flatten)]
    pub fine: Option<Fine>,
}

/// What readers with extensions say beside, in their units.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Fine {
    pub dbm_hundredths: i16,
    /// 4096 to a turn.
    pub phase: u16,
    pub doppler_16ths_hz: i16,
    pub channel: u16,
}

/// A light barrier was broken, or is free again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Barrier {
    pub at_us: i64,
    pub door: usize,
    /// Input of the reader: 1 is the outer one, 2 the inner one.
    pub port: u16,
    pub broken: bool,
}

/// What happened, what was read of it, and what is true.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    pub duration_us: i64,
    /// In order of time.
    pub reads: Vec<Read>,
    pub barriers: Vec<Barrier>,
    pub assets: Vec<Asset>,
}

impl Scenario {
    /// Acts the scenario out.
    pub fn run(&self, seed: u64) -> Run {
        let mut luck = Luck::new(seed);
        let mut cast = Cast::new(self, &mut luck);
        let mut readers: Vec<Reader> = (0..cast.doors.len())
            .map(|door| Reader::new(door, &self.doors, cast.doors[door].antennas.len(), &mut luck.inventory))
            .collect();
        let mut reads = Vec::new();
        // The reader that is furthest behind goes on, so that tags see all of them in order of time.
        while let Some(reader) = readers.iter_mut().min_by(|a, b| a.clock_s.total_cmp(&b.clock_s)) {
            if reader.clock_s >= self.duration_s {
                break;
            }
            reader.round(&mut cast, &self.doors, &mut luck, &mut reads);
        }
        reads.sort_by_key(|read| (read.at_us, read.door));
        let mut barriers =
            if self.doors.beams { truth::barriers(&cast, self.duration_s) } else { Vec::new() };
        barriers.retain(|barrier| !self.doors.dead_beams.contains(&barrier.port));
        let assets = truth::assets(&cast, self.duration_s);
        Run { duration_us: (self.duration_s * 1e6) as i64, reads, barriers, assets }
    }
}

impl Run {
    /// The 96-bit code of a tag.
    pub fn epc(tag: usize) -> [u8; 12] {
        let mut epc = [0x34, 0x14, 0x25, 0x7b, 0xf4, 0, 0, 0, 0, 0, 0, 0];
        epc[8..].copy_from_slice(&(tag as u32 + 1).to_be_bytes());
        epc
    }

    /// Everything as JSON lines: reads, barriers and the truth, each named by its key.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        for read in &self.reads {
            line(to, "read", read)?;
        }
        for barrier in &self.barriers {
            line(to, "barrier", barrier)?;
        }
        for asset in &self.assets {
            line(to, "asset", asset)?;
        }
        to.flush()
    }
}

fn line(to: &mut impl Write, key: &str, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, &std::collections::BTreeMap::from([(key, value)]))?;
    to.write_all(b"\n")
}
