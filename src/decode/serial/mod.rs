//! RFID readers on a serial line (or the same bytes over TCP) → reads. Pure: bytes in, frames and
//! readings out; no port, no clock.
//!
//! | protocol | readers | frame |
//! | --- | --- | --- |
//! | [`line`] | whatever prints a line a read | text up to a line end, told by a pattern |
//! | [`mercury`] | ThingMagic M6e, Nano and kin | `FF len op status16 data crc16` |
//! | [`r2000`] | Impinj R2000 modules, Invelion, Rodinbell | `A0 len addr cmd data sum8` |
//! | [`chafon`] | Chafon UHFReader18, UHFReader288 | `len addr cmd status data crc16` |
//! | [`r200`] | R200, YRM100, M100 modules | `AA type cmd len16 data sum8 DD` |
//!
//! The source cuts the stream with a [`Framer`]; the core takes each frame to a [`SerialDecoder`]. What is
//! no frame comes out of the framer too, whole, so that it is counted and kept like any other poison.

pub mod chafon;
mod checksum;
pub mod framer;
mod item;
pub mod line;
pub mod mercury;
pub mod r200;
pub mod r2000;

pub use framer::{Framed, Framer, Side};
pub use item::{Heard, SerialTag};
pub use line::LinePattern;

use crate::decode::DecodeError;
use crate::domain::ids::SourceId;
use crate::domain::readings::{DeviceTime, ReaderEvent, ReaderEventKind, Reading, TagRead};

/// What is spoken on a line.
#[derive(Clone, Debug)]
pub enum Protocol {
    Line(LinePattern),
    Mercury,
    R2000,
    Chafon,
    R200,
}

impl Protocol {
    /// The name in configuration, logs and dead letters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Line(_) => "line",
            Self::Mercury => "mercury",
            Self::R2000 => "r2000",
            Self::Chafon => "chafon",
            Self::R200 => "r200",
        }
    }

    /// What one whole frame says, appended to `out`.
    ///
    /// # Errors
    /// It is no frame of this protocol, or its content is not what its command says. `out` then has what
    /// stood in front of the fault.
    pub fn decode(&self, frame: &[u8], out: &mut Vec<Heard>) -> Result<(), DecodeError> {
        match self {
            Self::Line(pattern) => pattern.decode(frame, out),
            Self::Mercury => mercury::decode(frame, out),
            Self::R2000 => r2000::decode(frame, out),
            Self::Chafon => chafon::decode(frame, out),
            Self::R200 => r200::decode(frame, out),
        }
    }
}

/// Turns one reader's frames into readings.
#[derive(Debug)]
pub struct SerialDecoder {
    source: SourceId,
    protocol: Protocol,
    heard: Vec<Heard>,
}

impl SerialDecoder {
    pub fn new(source: SourceId, protocol: Protocol) -> Self {
        Self { source, protocol, heard: Vec::new() }
    }

    /// Appends the readings of one frame to `out`.
    ///
    /// # Errors
    /// As [`Protocol::decode`]; what stood in front of the fault is in `out`.
    pub fn decode(&mut self, frame: &[u8], out: &mut Vec<Reading>) -> Result<(), DecodeError> {
        let decoded = self.protocol.decode(frame, &mut self.heard);
        let source = &self.source;
        out.extend(self.heard.drain(..).map(|heard| reading(source, heard)));
        decoded
    }
}

fn reading(source: &SourceId, heard: Heard) -> Reading {
    let event = |kind| Reading::Reader(ReaderEvent { source: source.clone(), time: DeviceTime::None, kind });
    match heard {
        Heard::Tag(tag) => Reading::Tag(TagRead {
            source: source.clone(),
            antenna: tag.antenna,
            epc: tag.epc,
            first_seen: tag.time,
            last_seen: tag.time,
            seen_count: tag.count,
            peak_rssi_dbm: tag.rssi_dbm,
            doppler_hz: None,
            pc: tag.pc,
            crc: tag.crc,
            phase_deg: tag.phase_deg,
            // A phase is of use only beside the next one, and these come when the line lets them.
            channel: None,
        }),
        Heard::Trouble(message) => event(ReaderEventKind::Exception { message }),
        Heard::RoundEnd { .. } => event(ReaderEventKind::Other { name: "round-end" }),
        Heard::Other(name) => event(ReaderEventKind::Other { name }),
    }
}

/// The fault of a frame, at that byte of it.
fn fault(reason: &'static str, offset: usize, message: impl Into<String>) -> DecodeError {
    DecodeError { reason, offset, message: message.into() }
}

#[cfg(test)]
mod tests;
