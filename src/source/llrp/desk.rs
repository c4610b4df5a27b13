//! Where a reader that connected to us meets the session that waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::conversation::Conversation;
use crate::domain::ids::SourceId;

/// Sessions that wait for their readers. One that has its reader waits no more: a second connection of the same reader
/// finds nobody, and can have the first one's life doubted.
#[derive(Clone, Default)]
pub struct Desk(Arc<Shared>);

#[derive(Default)]
struct Shared {
    book: Mutex<Book>,
    /// Somebody has come to wait.
    came: Notify,
}

#[derive(Default)]
struct Book {
    waiting: BTreeMap<SourceId, oneshot::Sender<Arrival>>,
    /// How sessions are told that another connection claims to be their reader's.
    doubts: BTreeMap<SourceId, Arc<Notify>>,
    /// Messages of readers that got no further than here, for their next session to tell.
    lost: BTreeMap<SourceId, u64>,
}

/// A connection that a reader made, and has announced.
pub(super) struct Arrival {
    pub talk: Conversation,
    /// Where it comes from, for people.
    pub from: String,
    /// What it has said so far and is the pipeline's, in order: the announcement among it.
    pub said: Vec<Vec<u8>>,
}

impl Desk {
    /// The next connection of this reader.
    pub(super) fn expect(&self, reader: &SourceId) -> oneshot::Receiver<Arrival> {
        let (sender, receiver) = oneshot::channel();
        self.lock().waiting.insert(reader.clone(), sender);
        self.0.came.notify_waiters();
        receiver
    }

    /// Whether somebody waits for it, or comes to within this time.
    pub(super) async fn expects(&self, reader: &SourceId, within: Duration) -> bool {
        let is_waited_for = || self.lock().waiting.get(reader).is_some_and(|waiting| !waiting.is_closed());
        let deadline = Instant::now() + within;
        loop {
            let came = self.0.came.notified();
            if is_waited_for() {
                return true;
            }
            if timeout_at(deadline, came).await.is_err() {
                return false;
            }
        }
    }

    /// Told from now on where the connection of this reader may be dead; what was said of an earlier one is forgotten.
    pub(super) fn doubts(&self, reader: &SourceId) -> Arc<Notify> {
        let doubts = Arc::<Notify>::default();
        self.lock().doubts.insert(reader.clone(), doubts.clone());
        doubts
    }

    /// Another connection claims to be this reader's: whoever has one asks whether it lives.
    pub(super) fn doubt(&self, reader: &SourceId) {
        if let Some(doubts) = self.lock().doubts.get(reader) {
            doubts.notify_one();
        }
    }

    /// Hands the connection over; gives it back where nobody waits for it.
    pub(super) fn hand_over(&self, reader: &SourceId, arrival: Arrival) -> Result<(), Box<Arrival>> {
        match self.lock().waiting.remove(reader) {
            Some(waiting) => waiting.send(arrival).map_err(Box::new),
            None => Err(Box::new(arrival)),
        }
    }

    /// Messages of this reader that go no further.
    pub(super) fn lose(&self, reader: &SourceId, count: u64) {
        if count > 0 {
            *self.lock().lost.entry(reader.clone()).or_default() += count;
        }
    }

    /// How many there were since this was asked last.
    pub(super) fn lost_of(&self, reader: &SourceId) -> u64 {
        self.lock().lost.remove(reader).unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_doubt_is_of_the_connection_that_there_is() {
        let (desk, reader) = (Desk::default(), SourceId::new("dock"));
        let first = desk.doubts(&reader);
        desk.doubt(&reader);
        let second = desk.doubts(&reader);
        let is_told = async |doubts: Arc<Notify>| timeout_at(Instant::now(), doubts.notified()).await.is_ok();
        assert!(is_told(first).await && !is_told(second.clone()).await);
        desk.doubt(&reader);
        assert!(is_told(second).await);
    }
}
