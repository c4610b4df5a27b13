//! A tracker's row, and the tracker that it was written of.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Jump, Last, REFUSALS, Tracker};
use crate::clean::TrackerStatus;
use crate::clean::clock::TrackerClock;
use crate::clean::geofence::FenceState;
use crate::clean::late::{Late, LateRow};
use crate::clean::motion::{Held, Moves};
use crate::clean::redelivery::{Chunk, Seen};
use crate::clean::rows::maybe_micros;
use crate::domain::ids::SourceId;
use crate::domain::time::Timestamp;

/// The tracker's row. Its full chunks have rows of their own. What nearly every row holds has a short name, for it is
/// written with each fix; rows of older builds have the long ones.
#[derive(Serialize, Deserialize)]
pub(in crate::clean) struct TrackerRow<'a> {
    #[serde(rename = "c", alias = "clock")]
    clock: TrackerClock,
    #[serde(rename = "l", alias = "last")]
    last: Option<Last>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jump: Option<Jump>,
    /// Where it is not when its newest remembered message came.
    #[serde(with = "maybe_micros", default, skip_serializing_if = "Option::is_none")]
    heard: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "<[FenceState]>::is_empty")]
    fences: Cow<'a, [FenceState]>,
    #[serde(rename = "s", alias = "seen")]
    seen: Cow<'a, Chunk>,
    #[serde(rename = "n", alias = "next_chunk")]
    next_chunk: u64,
    #[serde(
        rename = "a",
        alias = "alive",
        with = "maybe_micros",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    alive: Option<Timestamp>,
    #[serde(rename = "w", with = "maybe_micros", default, skip_serializing_if = "Option::is_none")]
    word: Option<Timestamp>,
    #[serde(rename = "t", alias = "late", default)]
    late: LateRow,
    #[serde(rename = "m", alias = "moves", default, skip_serializing_if = "Option::is_none")]
    moves: Option<Cow<'a, Moves>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Cow<'a, Held>>,
    #[serde(rename = "v", alias = "via", default, skip_serializing_if = "Option::is_none")]
    via: Option<SourceId>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    refused: Option<Cow<'a, str>>,
}

impl TrackerRow<'_> {
    pub fn status(&self) -> TrackerStatus {
        TrackerStatus {
            heard_at: self.heard.unwrap_or_else(|| self.seen.last_received()),
            position_at: self.last.map(|last| last.at),
            refused: self.refused.as_deref().map(str::to_owned),
        }
    }
}

impl Tracker {
    pub fn row(&self) -> TrackerRow<'_> {
        TrackerRow {
            clock: self.clock.clone(),
            last: self.last,
            jump: self.jump.as_deref().cloned(),
            heard: Some(self.heard).filter(|heard| *heard != self.seen.last_received()),
            fences: Cow::Borrowed(&self.states),
            seen: Cow::Borrowed(&self.seen.open),
            next_chunk: self.seen.next(),
            alive: self.alive,
            word: self.word,
            late: self.late.row(),
            moves: self.moves.as_ref().map(Cow::Borrowed),
            held: self.held.as_deref().map(Cow::Borrowed),
            // Of what stands nothing is due.
            via: self.via.clone().filter(|_| self.stands() == Some(false)),
            refused: self.refused.map(Cow::Borrowed),
        }
    }

    pub fn restore(row: TrackerRow<'_>, chunks: Vec<(u64, Chunk)>) -> Self {
        let seen = Seen::restore(row.seen.into_owned(), chunks, row.next_chunk);
        Self {
            heard: row.heard.unwrap_or_else(|| seen.last_received()),
            seen,
            clock: row.clock,
            last: row.last,
            jump: row.jump.map(Box::new),
            states: row.fences.into_owned(),
            late: Late::restore(row.late),
            moves: row.moves.map(Cow::into_owned),
            held: row.held.map(|held| Box::new(held.into_owned())),
            via: row.via,
            looked_at: None,
            alive: row.alive,
            word: row.word,
            refused: row.refused.and_then(|told| REFUSALS.into_iter().find(|known| *known == told)),
            dirty: false,
        }
    }
}
