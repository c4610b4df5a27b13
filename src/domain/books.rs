//! The books of one source. They balance at every commit, or something was lost:
//!
//! `frames = decoded + dead letters + dropped` and `readings = used + filtered`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Default, JsonSchema, Serialize, Deserialize)]
pub struct Book {
    /// Units of wire traffic received.
    pub frames: u64,
    /// Frames that decoded, into none, one or many readings.
    pub decoded: u64,
    /// Frames kept whole because they did not decode.
    pub dead_letters: u64,
    /// Frames dropped, by reason: at a full queue, and retained messages that are among the dead letters already.
    pub dropped: BTreeMap<String, u64>,
    pub readings: u64,
    pub used: u64,
    /// Readings that cleaning set aside, by reason.
    pub filtered: BTreeMap<String, u64>,
}

impl Book {
    /// Frames and readings unaccounted for: zero, zero where the books balance.
    pub fn imbalance(&self) -> (i64, i64) {
        let dropped: u64 = self.dropped.values().sum();
        let filtered: u64 = self.filtered.values().sum();
        (
            self.frames as i64 - (self.decoded + self.dead_letters + dropped) as i64,
            self.readings as i64 - (self.used + filtered) as i64,
        )
    }

    pub fn balances(&self) -> bool {
        self.imbalance() == (0, 0)
    }
}
