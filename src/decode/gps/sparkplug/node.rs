//! One edge node: its BIRTH, the order of its messages, its devices.
//!
//! ```text
//! NBIRTH ─▶ DBIRTH … ─▶ NDATA, DDATA … ─▶ NDEATH        seq: 0 1 2 … 255 0 1 …
//! ```
//! A number that is missing means that messages were lost: what was told before them completes nothing any more, but
//! aliases stay in force. An older number with an older time is a message told again: it is read as of its own time, and so
//! are those that follow it, until there is news.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::device::Device;
use super::payload::{Payload, Value};
use crate::decode::DecodeError;
use crate::decode::gps::text::error;
use crate::domain::time::Timestamp;

const BD_SEQ: &str = "bdSeq";

/// Row and memory of it; its devices have rows of their own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Node {
    pub own: Device,
    /// Boxed, because most nodes have one, and a map makes room for more.
    #[serde(skip)]
    pub devices: BTreeMap<String, Box<Device>>,
    /// Counts its connections: its death must be of the same.
    bd_seq: Option<u64>,
    /// By its clock, and when it came.
    born: Timestamp,
    pub born_received: Timestamp,
    /// The time of its last message, and the newest of all, by its clock.
    told: Timestamp,
    #[serde(default)]
    newest: Timestamp,
    /// The number of the last message.
    seq: Option<u8>,
    pub gaps: u32,
    /// When its newest message came.
    pub heard: Timestamp,
}

impl Node {
    pub fn born(own: Device, payload: &Payload<'_>, published: Timestamp, received: Timestamp) -> Self {
        Self {
            own,
            devices: BTreeMap::new(),
            bd_seq: bd_seq(payload),
            born: published,
            born_received: received,
            told: published,
            newest: published,
            seq: seq(payload),
            gaps: 0,
            heard: received,
        }
    }

    /// A message of it comes, in whatever order. Gives whether it was told before.
    ///
    /// # Errors
    /// Reason `before-birth`.
    pub fn hear(
        &mut self,
        payload: &Payload<'_>,
        published: Timestamp,
        received: Timestamp,
    ) -> Result<bool, DecodeError> {
        self.heard = self.heard.max(received);
        let (last, seq) = (self.seq, seq(payload));
        let follows = last.zip(seq).is_some_and(|(last, seq)| seq == last.wrapping_add(1));
        let jumps = last.is_some() && seq.is_some() && !follows;
        if follows && published < self.told {
            // The next one, by its number: its clock was set back, or its threads overtook one another.
            self.newest = published;
            self.born = self.born.min(published);
        }
        let is_again = published < self.newest || (jumps && published == self.told && last == seq);
        self.newest = self.newest.max(published);
        self.told = published;
        self.seq = seq.or(last);
        if jumps && published < self.born {
            return Err(before_birth());
        }
        if jumps && !is_again {
            self.gaps = self.gaps.wrapping_add(1);
        }
        Ok(is_again)
    }

    /// Whether the payload of a death is of the connection that the birth was of.
    pub fn dies_of(&self, payload: &Payload<'_>) -> bool {
        self.bd_seq == bd_seq(payload)
    }

    pub fn count(&self) -> usize {
        1 + self.devices.len()
    }
}

pub(super) fn no_birth(message: &str) -> DecodeError {
    error("no-birth", 0, message.to_owned())
}

pub(super) fn before_birth() -> DecodeError {
    let message = "sent before the BIRTH that is in force: its aliases may have meant something else";
    error("before-birth", 0, message.to_owned())
}

fn seq(payload: &Payload<'_>) -> Option<u8> {
    payload.seq.and_then(|seq| u8::try_from(seq).ok())
}

fn bd_seq(payload: &Payload<'_>) -> Option<u64> {
    match payload.metrics.iter().find(|metric| metric.name == Some(BD_SEQ))?.value? {
        Value::Int(value) => Some(u64::from(value)),
        Value::Long(value) => Some(value),
        _ => None,
    }
}
