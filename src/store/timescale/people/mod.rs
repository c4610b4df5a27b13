//! People in TimescaleDB: those who are erased, and what is kept of everybody for a shorter time.
//!
//! Beside forwarding, on the same connection, and never in its way: in steps that are bounded whatever there is, for
//! a share of the time while there is something to forward. What PostgreSQL refuses or has no time for is told, and
//! tried again by itself after a while; forwarding goes on.

mod erase;
mod prune;
mod span;
mod tables;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use self::erase::Walk;
pub use self::prune::Keep;
use self::prune::Prune;
use super::connection::Connection;
use super::error::StoreError;
use crate::config::BackoffConfig;
use crate::domain::erasure::Erasure;
use crate::domain::time::Timestamp;
use crate::source::backoff::Backoff;

/// What is older than it is kept goes this often.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Time in one go; then what waits to be forwarded has its turn.
const SHARE: Duration = Duration::from_millis(250);

/// What a step leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    More,
    Done,
}

/// What came of a share of time.
#[derive(Default)]
pub struct Tended {
    /// Labels of those who are nowhere here any more.
    pub erased: Vec<String>,
    /// There is more to do at once.
    pub more: bool,
}

/// Something that failed waits before it is tried again.
struct Job<T> {
    work: T,
    backoff: Backoff,
    from: Instant,
}

impl<T> Job<T> {
    fn new(work: T, retry: BackoffConfig) -> Self {
        Self { work, backoff: Backoff::new(retry), from: Instant::now() }
    }

    fn is_due(&self) -> bool {
        self.from <= Instant::now()
    }

    /// What there is to do next, unless the connection itself is gone.
    fn after(&mut self, outcome: Result<Step, StoreError>, what: &str) -> Result<Option<Step>, StoreError> {
        match outcome {
            Ok(step) => {
                self.backoff.reset();
                Ok(Some(step))
            }
            Err(error) if error.is_about_one_statement() => {
                let wait = self.backoff.next_delay();
                self.from = Instant::now() + wait;
                tracing::warn!(%error, what, retry_in_s = wait.as_secs_f64(),
                    "failed to forget people in TimescaleDB; forwarding goes on, and it is tried again");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

pub struct Tending {
    node: String,
    retry: BackoffConfig,
    /// By label; `None`: done, and to be noted by the journal.
    walks: BTreeMap<String, Option<Job<Walk>>>,
    prunes: Vec<Job<Prune>>,
}

impl Tending {
    pub fn new(node: &str, keep: Keep, retry: BackoffConfig) -> Self {
        let prunes = Prune::all(keep).into_iter().map(|prune| Job::new(prune, retry)).collect();
        Self { node: node.to_owned(), retry, walks: BTreeMap::new(), prunes }
    }

    /// Takes a share of time for `erasures`, all whose turn it is here, and for what is older than it is kept.
    pub async fn tend(
        &mut self,
        connection: &mut Connection,
        erasures: Vec<Erasure>,
        now: Timestamp,
    ) -> Result<Tended, StoreError> {
        self.walks.retain(|label, _| erasures.iter().any(|erasure| erasure.label == *label));
        for erasure in erasures {
            let label = erasure.label.clone();
            self.walks.entry(label).or_insert_with(|| Some(Job::new(Walk::new(erasure), self.retry)));
        }
        let until = Instant::now() + SHARE;
        while self.step(connection, now).await? {
            if until <= Instant::now() {
                return Ok(Tended { erased: self.erased(), more: true });
            }
        }
        Ok(Tended { erased: self.erased(), more: false })
    }

    fn erased(&self) -> Vec<String> {
        self.walks.iter().filter(|(_, walk)| walk.is_none()).map(|(label, _)| label.clone()).collect()
    }

    /// One step of whatever is due; `false`: nothing is.
    async fn step(&mut self, connection: &mut Connection, now: Timestamp) -> Result<bool, StoreError> {
        let walks = self.walks.iter_mut();
        let due = walks.filter_map(|(label, walk)| walk.as_ref()?.is_due().then_some((label, walk))).next();
        if let Some((label, walk)) = due {
            let Some(job) = walk else { return Ok(false) };
            let outcome = job.work.step(connection).await;
            if job.after(outcome, label)? == Some(Step::Done) {
                tracing::info!(label, rows = job.work.rows, "a person is erased from the database");
                *walk = None;
            }
            return Ok(true);
        }
        let Some(job) = self.prunes.iter_mut().find(|job| job.is_due()) else { return Ok(false) };
        let outcome = job.work.step(connection, &self.node, now).await;
        let table = job.work.table();
        if job.after(outcome, table)? == Some(Step::Done) {
            job.from = Instant::now() + PRUNE_EVERY;
        }
        Ok(true)
    }
}
