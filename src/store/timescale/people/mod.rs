//! People in TimescaleDB: those who are erased, and what is kept of everybody for a shorter time.
//!
//! Beside forwarding, on the same connection, and never in its way: in steps that are bounded whatever there is, for
//! a share of the time while there is something to forward. What PostgreSQL refuses or has no time for is told, and
//! tried again by itself after a while, and so is what somebody else has locked; forwarding goes on.

mod after;
mod erase;
mod prune;
mod register;
mod rewrite;
mod span;
mod tables;
mod trace;
mod transaction;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use self::erase::Walk;
pub use self::prune::Keep;
use self::prune::Prune;
use self::register::Register;
use self::trace::forget_forsaken;
pub use self::transaction::Patience;
use self::transaction::transacted;
use super::batch::Lineage;
use super::connection::Connection;
use super::error::StoreError;
use crate::config::{BackoffConfig, RegisterOwner};
use crate::domain::erasure::Erasure;
use crate::domain::time::Timestamp;
use crate::journal::Reader;
use crate::source::backoff::Backoff;
use crate::telemetry::names;

/// What is older than it is kept goes this often.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Time in one go; then what waits to be forwarded has its turn.
const SHARE: Duration = Duration::from_millis(250);
/// The journal is told that somebody is gone from here once, and again where it still waits for it after this long.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What a step leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    More,
    Done,
}

/// What came of a share of time.
#[derive(Default)]
pub struct Tended {
    /// Labels of those who are nowhere here any more, and of whom the journal is to be told.
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
                metrics::counter!(names::STORE_ERRORS, "kind" => "people").increment(1);
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

/// How far an erasure is here.
enum Erasing {
    Under(Box<Job<Walk>>),
    /// When the journal is to be told.
    Done {
        tell_at: Instant,
    },
}

pub struct Tending {
    retry: BackoffConfig,
    patience: Patience,
    register: Register,
    /// What was noted for erasures that the journal does not know of. `None`: it is gone.
    forsaken: Option<Job<()>>,
    /// By label.
    erasures: BTreeMap<String, Erasing>,
    prunes: Vec<Job<Prune>>,
}

impl Tending {
    pub fn new(
        journal: Reader,
        owner: RegisterOwner,
        keep: Keep,
        patience: Patience,
        retry: BackoffConfig,
    ) -> Self {
        let prunes = Prune::all(keep, patience).into_iter().map(|prune| Job::new(prune, retry)).collect();
        let (register, forsaken) = (Register { owner, journal }, Some(Job::new((), retry)));
        Self { retry, patience, register, forsaken, erasures: BTreeMap::new(), prunes }
    }

    /// Takes a share of time for `erasures`, all whose turn it is here, and for what is older than it is kept.
    pub async fn tend(
        &mut self,
        connection: &mut Connection,
        lineage: &Lineage,
        erasures: Vec<Erasure>,
        now: Timestamp,
    ) -> Result<Tended, StoreError> {
        self.erasures.retain(|label, _| erasures.iter().any(|erasure| erasure.label == *label));
        for erasure in erasures {
            let label = erasure.label.clone();
            self.erasures.entry(label).or_insert_with(|| {
                let walk = Walk::new(erasure, lineage, self.register.journal.clone(), self.patience);
                Erasing::Under(Box::new(Job::new(walk, self.retry)))
            });
        }
        let until = Instant::now() + SHARE;
        while self.step(connection, lineage, now).await? {
            if until <= Instant::now() {
                return Ok(Tended { erased: to_tell(&mut self.erasures, Instant::now()), more: true });
            }
        }
        Ok(Tended { erased: to_tell(&mut self.erasures, Instant::now()), more: false })
    }

    /// One step of whatever is due; `false`: nothing is.
    async fn step(
        &mut self,
        connection: &mut Connection,
        lineage: &Lineage,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (patience, journal) = (self.patience, &self.register.journal);
        if let Some(job) = self.forsaken.as_mut().filter(|job| job.is_due()) {
            let node = lineage.node.as_str();
            let gone = transacted(connection, patience, async |it| forget_forsaken(it, node, journal).await);
            let outcome = gone.await.map(|_| Step::Done);
            if job.after(outcome, "forsaken erasures")?.is_some() {
                self.forsaken = None;
            }
            return Ok(true);
        }
        for (label, erasing) in &mut self.erasures {
            let Erasing::Under(job) = erasing else { continue };
            if !job.is_due() {
                continue;
            }
            let outcome = job.work.step(connection).await;
            if job.after(outcome, label)? == Some(Step::Done) {
                tracing::info!(label, rows = job.work.rows, "a person is erased from the database");
                *erasing = Erasing::Done { tell_at: Instant::now() };
            }
            return Ok(true);
        }
        let Some(job) = self.prunes.iter_mut().find(|job| job.is_due()) else { return Ok(false) };
        let outcome = job.work.step(connection, lineage, &self.register, now).await;
        let table = job.work.table();
        if job.after(outcome, table)? == Some(Step::Done) {
            job.from = Instant::now() + PRUNE_EVERY;
        }
        Ok(true)
    }
}

/// Who is done and not told of yet, or too long ago.
fn to_tell(erasures: &mut BTreeMap<String, Erasing>, now: Instant) -> Vec<String> {
    let mut labels = Vec::new();
    for (label, erasing) in erasures {
        if let Erasing::Done { tell_at } = erasing
            && *tell_at <= now
        {
            *tell_at = now + TELL_AGAIN;
            labels.push(label.clone());
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_somebody_is_gone_is_told_once_and_again_where_it_was_not_heard() {
        let now = Instant::now();
        let mut erasures = BTreeMap::from([("erased-1".to_owned(), Erasing::Done { tell_at: now })]);
        assert_eq!(to_tell(&mut erasures, now), ["erased-1"]);
        assert!(to_tell(&mut erasures, now + SHARE).is_empty());
        assert_eq!(to_tell(&mut erasures, now + TELL_AGAIN), ["erased-1"]);
    }
}
