//! Where a reader that connected to us meets the session that waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::connection::Connection;
use crate::domain::ids::SourceId;

/// Sessions that wait for their readers. One that has its reader waits no more, so a second connection of the same
/// reader finds nobody.
#[derive(Clone, Default)]
pub struct Desk(Arc<Mutex<BTreeMap<SourceId, oneshot::Sender<Arrival>>>>);

/// A connection that a reader made, and has announced.
pub(super) struct Arrival {
    pub connection: Connection,
    /// Where it comes from, for people.
    pub from: String,
    /// What it has said so far and is the pipeline's, in order: the announcement among it.
    pub said: Vec<Vec<u8>>,
    /// Of our last message.
    pub last_id: u32,
}

impl Desk {
    /// The next connection of this reader.
    pub(super) fn expect(&self, reader: &SourceId) -> oneshot::Receiver<Arrival> {
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(reader.clone(), sender);
        receiver
    }

    /// Whether somebody waits for it.
    pub(super) fn expects(&self, reader: &SourceId) -> bool {
        self.lock().get(reader).is_some_and(|waiting| !waiting.is_closed())
    }

    /// Hands the connection over; gives it back where nobody waits for it.
    pub(super) fn hand_over(&self, reader: &SourceId, arrival: Arrival) -> Result<(), Box<Arrival>> {
        match self.lock().remove(reader) {
            Some(waiting) => waiting.send(arrival).map_err(Box::new),
            None => Err(Box::new(arrival)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<SourceId, oneshot::Sender<Arrival>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
