//! Events and the state that follows from them → one local, durable, atomic commit.

use tokio::sync::oneshot;

use crate::domain::events::Event;
use crate::domain::ids::{EventId, NodeId, SourceId};
use crate::domain::state::StateRow;
use crate::domain::time::Timestamp;

/// What one commit holds. All of it becomes durable, or none.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Batch {
    pub events: Vec<Event>,
    /// At most one row a (kind, key).
    pub state: Vec<StateRow>,
    pub dead_letters: Vec<DeadLetter>,
}

/// A frame, or a message, that could not be used; kept whole.
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
}

/// An event as the journal holds it.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredEvent {
    pub seq: u64,
    pub id: EventId,
    pub version: u16,
    pub kind: String,
    pub site: Option<String>,
    /// `asset:FL-07` and so on: see [`crate::domain::events::Subject`].
    pub subject: String,
    pub source: String,
    pub observed_at: Timestamp,
    pub received_at: Timestamp,
    pub recorded_at: Timestamp,
    pub late: bool,
    pub confidence: Option<f32>,
    /// JSON of [`crate::domain::events::EventBody`].
    pub body: String,
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

/// What a store asks of the one that owns the [`Writer`].
#[derive(Debug)]
pub enum Control {
    /// Everything up to `seq` is in TimescaleDB.
    Forwarded { seq: u64 },
    /// The database is ahead of this journal: number on under a new epoch.
    NewEpoch { reply: oneshot::Sender<String> },
}
