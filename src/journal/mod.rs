//! Events and the state that follows from them → one local, durable, atomic commit.

use crate::domain::events::Event;
use crate::domain::ids::{EventId, SourceId};
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
