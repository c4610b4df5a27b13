//! Notices a server that no longer answers.
//!
//! A future that talks to the database is never cancelled on its own. Where nothing comes back for far
//! longer than the server would let a statement run, the whole session is given up together with its
//! connection, which nothing else uses; what became of its transaction the watermark tells the next one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

#[derive(Clone, Default)]
pub struct Progress(Arc<Mutex<Option<Operation>>>);

#[derive(Clone, Copy)]
struct Operation {
    name: &'static str,
    since: Instant,
}

impl Progress {
    /// Runs one exchange with the server, `name` being what it is for: "move the watermark".
    pub async fn of<T>(&self, name: &'static str, exchange: impl Future<Output = T>) -> T {
        self.set(Some(Operation { name, since: Instant::now() }));
        let outcome = exchange.await;
        self.set(None);
        outcome
    }

    /// The exchange that has been under way for longer than `limit`.
    pub fn stalled(&self, limit: Duration) -> Option<&'static str> {
        let held = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.filter(|operation| operation.since.elapsed() > limit).map(|operation| operation.name)
    }

    /// Forgets the exchange of a session that was given up.
    pub fn clear(&self) {
        self.set(None);
    }

    fn set(&self, operation: Option<Operation>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = operation;
    }
}
