//! The journal's events, in order, as batches ready to be written: read and encoded while the batch before
//! is being committed.
//!
//! Ends by itself: when its receiver is gone, at shutdown, or when the journal will hold no more.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, BatchBuilder, Lineage, Mark};
use super::error::StoreError;
use crate::journal::Reader;

/// Batches that wait while one is written. One more would only hold more memory: encoding is several
/// times faster than writing.
pub const QUEUE: usize = 2;

/// Events read at a time: short read transactions in the journal, and few events held decoded.
const PAGE: usize = 1000;

/// Bodies in one batch, at most; with [`QUEUE`] it bounds what forwarding holds in memory.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Batches that hold all there is leave no more often than this: a transaction's cost hardly depends on its rows, and
/// nobody waits for it.
const INTERVAL: Duration = Duration::from_millis(50);

pub struct Feed {
    pub journal: Reader,
    pub lineage: Lineage,
    pub batch_rows: usize,
    /// Number of the newest event in the journal.
    pub committed: watch::Receiver<u64>,
    pub shutdown: CancellationToken,
}

impl Feed {
    pub async fn run(mut self, mut after: Mark, batches: mpsc::Sender<Result<Batch, StoreError>>) {
        while !self.shutdown.is_cancelled() {
            self.committed.borrow_and_update();
            let complete = self.committed.has_changed().is_err();
            let began = Instant::now();
            match build(&self.journal, &self.lineage, after, self.batch_rows, u64::MAX).await {
                Ok(Some(batch)) => {
                    after = batch.last;
                    let all = after.seq >= *self.committed.borrow();
                    if batches.send(Ok(batch)).await.is_err() {
                        return;
                    }
                    if all && !complete {
                        self.pause_until(began + INTERVAL, &batches).await;
                    }
                }
                Ok(None) if complete => return,
                Ok(None) => self.wait_for_events(&batches).await,
                Err(error) => {
                    // Whoever does not listen any more has ended already.
                    if batches.send(Err(error)).await.is_err() {
                        tracing::debug!("nobody hears that the journal could not be read");
                    }
                    return;
                }
            }
            if batches.is_closed() {
                return;
            }
        }
    }

    async fn pause_until(&self, until: Instant, batches: &mpsc::Sender<Result<Batch, StoreError>>) {
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = batches.closed() => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    async fn wait_for_events(&mut self, batches: &mpsc::Sender<Result<Batch, StoreError>>) {
        tokio::select! {
            // Closed counts as a change: the next round reads what is left.
            _ = self.committed.changed() => {}
            () = batches.closed() => {}
            () = self.shutdown.cancelled() => {}
        }
    }
}

/// The events behind `after` up to number `until`, at most `max_rows`; `None` where there are none.
pub async fn build(
    journal: &Reader,
    lineage: &Lineage,
    after: Mark,
    max_rows: usize,
    until: u64,
) -> Result<Option<Batch>, StoreError> {
    let mut batch = BatchBuilder::new(lineage, after);
    loop {
        let room = max_rows.saturating_sub(usize::try_from(batch.events()).unwrap_or(usize::MAX));
        if room == 0 || batch.bytes() >= BATCH_BYTES {
            break;
        }
        let limit = room.min(PAGE);
        let events = journal.next_events(batch.last_seq(), limit).await?;
        let got = events.len();
        let before = batch.events();
        events.into_iter().take_while(|event| event.seq <= until).for_each(|event| batch.push(event));
        let taken = batch.events() - before;
        if got < limit || taken < got as u64 {
            break;
        }
    }
    Ok(batch.finish())
}
