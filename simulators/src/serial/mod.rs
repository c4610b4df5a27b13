//! An RFID reader on a serial line, as a pseudo-terminal that a client opens by a path that stays.
//!
//! ```text
//! reader.read(observation) → reads that wait → frames of its protocol → pseudo-terminal → truth
//! ```
//!
//! It reads while its client has asked it to (readers that print lines: always) and keeps nothing for a
//! client that is not there. Pulled out (`disconnect`, `refuse`, no power) the path and the terminal are
//! gone, as those of a USB adapter; put back, there is another terminal behind the same path.

mod commands;
mod frames;
mod line;
mod reader;

use serde::{Deserialize, Serialize};

pub use line::Line;
pub use reader::{SerialOptions, SerialReader};

/// What it speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// `EPC,antenna,signal`, one a line.
    Line,
    /// ThingMagic, streaming reads.
    Mercury,
    /// Impinj R2000 modules: real-time inventory, round by round.
    R2000,
    /// Chafon UHFReader288: a list of tags for each round.
    Chafon,
    /// R200, multiple polls.
    R200,
}
