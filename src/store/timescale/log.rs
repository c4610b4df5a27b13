//! What forwarding needs of the journal: to read it in order, and to know which line of events it is.

use std::future::Future;

use crate::domain::ids::EventId;
use crate::journal::{Meta, StoredEvent};

/// A journal to read from. Reads are short; none is ever cancelled half-way.
pub trait EventLog: Clone + Send + Sync + 'static {
    type Error: std::error::Error + Send + Sync + 'static;

    fn meta(&self) -> impl Future<Output = Result<Meta, Self::Error>> + Send;
    /// The events behind `seq`, in order, at most `limit`.
    fn events_after(
        &self,
        seq: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, Self::Error>> + Send;
    fn event_id_at(&self, seq: u64) -> impl Future<Output = Result<Option<EventId>, Self::Error>> + Send;
}
