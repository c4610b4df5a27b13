//! Events and the state that follows from them → one local, durable, atomic commit.
//!
//! One SQLite file (WAL, `synchronous=FULL`): one [`Writer`], which a lock file keeps the only one, and
//! any number of [`Reader`]s, in this process or beside it. A [`Batch`] is durable as a whole when
//! [`Writer::commit`] returns; a failed commit leaves nothing of it, and the same batch may be tried again.
//!
//! The journal never decides what an event means, never waits for a reader, never deletes a damaged
//! file, and, where events are forwarded, never deletes one that was not.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::domain::events::Event;
use crate::domain::ids::{EventId, NodeId, SourceId};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

mod checkpoint;
mod dead_letters;
mod erase;
mod error;
mod file;
mod insert;
mod joined;
mod meta;
mod open;
mod query;
mod reader;
mod recent;
mod retention;
mod rows;
mod schema;
mod state_pages;
mod trace;
mod writer;

#[cfg(test)]
mod tests;

pub use dead_letters::request_replay;
pub use error::{JournalError, Operation};
pub use file::has_set_aside;
pub use open::open;
pub use reader::Reader;
pub use state_pages::{StatePages, StateRowRead};
pub use trace::whole_erasure;
pub use writer::Writer;

/// What one commit holds. All of it becomes durable, or none.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Batch {
    pub events: Vec<Event>,
    /// At most one row a (kind, key).
    pub state: Vec<StateRow>,
    pub dead_letters: Vec<DeadLetter>,
    /// Dead letters that went through the pipeline again; what came of them is in this batch.
    pub replayed: Vec<u64>,
}

/// A frame, or a message, that could not be used; kept whole, or said how much is missing.
#[derive(Clone, PartialEq, Debug)]
pub struct DeadLetter {
    pub source: SourceId,
    pub received_at: Timestamp,
    /// A short stable word, for instance `truncated`.
    pub reason: String,
    /// In words, with the offset where there is one.
    pub detail: String,
    /// `llrp`, `mqtt` or `modbus`: how `payload` is to be read.
    pub protocol: &'static str,
    /// The MQTT topic, where there is one.
    pub topic: Option<String>,
    pub payload: Vec<u8>,
    /// Where `payload` is only the beginning of what came.
    pub cut: Option<Cut>,
}

/// What is known of a payload of which only the beginning is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// How long it was.
    pub full_bytes: u64,
    /// Of all of it.
    pub sha256: [u8; 32],
}

/// An event as the journal holds it.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredEvent {
    pub seq: u64,
    pub id: EventId,
    pub version: u16,
    pub kind: Arc<str>,
    pub site: Option<Arc<str>>,
    /// `asset:FL-07` and so on: see [`crate::domain::events::Subject`].
    pub subject: Arc<str>,
    pub source: Arc<str>,
    pub observed_at: Timestamp,
    pub received_at: Timestamp,
    pub recorded_at: Timestamp,
    pub late: bool,
    pub confidence: Option<f32>,
    /// JSON of [`crate::domain::events::EventBody`].
    pub body: Arc<str>,
}

/// A dead letter as the journal holds it.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredDeadLetter {
    /// Ascending; never given twice.
    pub id: u64,
    pub source: String,
    pub received_at: Timestamp,
    pub recorded_at: Timestamp,
    pub reason: String,
    pub detail: String,
    pub protocol: String,
    pub topic: Option<String>,
    pub payload: Vec<u8>,
    /// Where `payload` is only the beginning of what came.
    pub cut: Option<Cut>,
}

/// What the journal knows of itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Meta {
    pub node: NodeId,
    /// 32 hex digits, random; made with the file, and again by [`Writer::new_epoch`].
    pub epoch: String,
    /// Number of the newest event, pruned or not; 0 before the first.
    pub last_seq: u64,
    /// Everything up to here is in TimescaleDB, as far as this journal was told.
    pub forwarded_seq: u64,
    /// When the daemon was last known to live: its last heartbeat or commit.
    pub last_heartbeat: Option<Timestamp>,
    /// The file was made by this very open.
    pub created: bool,
}

/// A journal just opened for writing.
#[derive(Debug)]
pub struct Opened {
    pub writer: Writer,
    pub reader: Reader,
    /// Every state row, by kind and key. To be read before anything is committed.
    pub state: StatePages,
    pub meta: Meta,
    /// A damaged file was renamed to this, and a new journal begun.
    pub set_aside: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committed {
    /// Number of the newest event.
    pub last_seq: u64,
    /// Events of this batch that are new; the others were there already.
    pub inserted: u64,
}

/// How full the journal is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Pages in use, in bytes; what deleted rows left is free for the next ones and not counted.
    /// Nor is the log beside the file, which stays near 40 MB under load.
    pub used_bytes: u64,
    pub max_bytes: u64,
    /// Of `max_bytes`, kept back for alerts and state.
    pub reserve_bytes: u64,
}

impl Usage {
    /// Of `max_bytes`; above 1 where the bound was passed.
    pub fn share(&self) -> f64 {
        self.used_bytes as f64 / self.max_bytes.max(1) as f64
    }

    /// Only the reserve is left: sources are to be refused, alerts and state still commit.
    pub fn is_full(&self) -> bool {
        self.used_bytes.saturating_add(self.reserve_bytes) >= self.max_bytes
    }
}

/// What one step of maintenance did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Maintained {
    /// Events deleted because of their age.
    pub pruned: u64,
    pub dead_letters_dropped: u64,
    /// There is more to do at once: call again when nothing else waits.
    pub more: bool,
    /// Size of the write-ahead log afterwards.
    pub wal_bytes: u64,
}

/// Which events are asked for. The default asks for the newest of everything that lasts.
#[derive(Clone, PartialEq, Debug)]
pub struct EventQuery {
    /// In its text form, for instance `asset:FL-07`.
    pub subject: Option<String>,
    /// None: every kind but the measurements (`fix`, `sample`, `tag-read`), which must be named. They
    /// are not indexed: a query that names one looks through at most the newest million events (below
    /// `before_seq`).
    pub kinds: Vec<String>,
    /// Events of one of these sites; none: of any site, and of none.
    pub sites: Vec<String>,
    /// Observed at or after this.
    pub observed_from: Option<Timestamp>,
    /// Observed before this.
    pub observed_until: Option<Timestamp>,
    /// Only events with a smaller number: the next page.
    pub before_seq: Option<u64>,
    pub limit: usize,
}

impl Default for EventQuery {
    fn default() -> Self {
        Self {
            subject: None,
            kinds: Vec::new(),
            sites: Vec::new(),
            observed_from: None,
            observed_until: None,
            before_seq: None,
            limit: 100,
        }
    }
}

/// Events that were asked for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FoundEvents {
    pub events: Vec<StoredEvent>,
    /// Number to look on from, where the look did not come to an end.
    pub looked_to: Option<u64>,
    /// Rows that were looked through, whether or not they were asked for.
    pub looked: u64,
}

/// Rows of state to look through, in the order of their keys.
#[derive(Clone, Copy, Debug)]
pub enum StateRows<'a> {
    /// Those of a kind whose key begins like this.
    Of { kind: StateKind, prefix: &'a str },
    /// Assets, each with its record on the register.
    Assets,
    /// Register records whose key begins like this, each with the record of the asset, or the
    /// person, that it names.
    Register { prefix: &'a str },
}

#[derive(Clone, PartialEq, Debug)]
pub struct FoundRow {
    pub key: String,
    pub value: Vec<u8>,
    /// With assets and register records, where the register has it.
    pub record: Option<Vec<u8>>,
}

/// What a store or a notifier asks of the one that owns the [`Writer`].
#[derive(Debug)]
pub enum Control {
    /// Everything up to `seq` is in TimescaleDB.
    Forwarded { seq: u64 },
    /// The database is ahead of this journal: number on under a new epoch.
    NewEpoch { reply: oneshot::Sender<String> },
    /// A row that no commit carries: how far a receiver has been told.
    Note(StateRow),
    /// TimescaleDB no longer names the person for whom this label stands.
    Erased { label: String },
}
