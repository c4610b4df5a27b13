//! Keeps a session with the database going, for as long as there is something to forward: backs off,
//! gives up a session that no longer moves, tells people what is wrong.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::StoreError;
use super::people::{Keep, Patience, Tending};
use super::progress::Progress;
use super::session::{Note, Session};
use super::troubles::Troubles;
use crate::config::{BackoffConfig, TimescaleConfig};
use crate::domain::health::Health;
use crate::domain::ids::NodeId;
use crate::domain::register::Record;
use crate::journal::{Control, Reader};
use crate::source::backoff::Backoff;
use crate::source::clock::WallClock;
use crate::telemetry::names;

/// Notes of a session under way to its supervisor: a handful a session.
const NOTES: usize = 16;

/// How long things may take, and how long is too long.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub backoff: BackoffConfig,
    /// Between attempts where somebody has to do something first.
    pub slow: Duration,
    /// Away for longer than this is a health problem.
    pub away_after: Duration,
    /// A loss in the history is a health problem for this long.
    pub history_hold: Duration,
    /// Beyond the server's own limit on a statement, before a session is given up.
    pub stall_margin: Duration,
    /// For what is under way at shutdown.
    pub stop_within: Duration,
    /// Between two looks for people who are to be erased.
    pub tend_every: Duration,
    /// What a statement of theirs takes at most, where that is enough: forwarding waits for it.
    pub tend_longest: Duration,
    /// Between attempts where that fails, or pruning what tells of people does.
    pub tend_retry: BackoffConfig,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            backoff: BackoffConfig { first: Duration::from_millis(250), last: Duration::from_secs(10) },
            slow: Duration::from_secs(30),
            away_after: Duration::from_secs(60),
            history_hold: Duration::from_secs(3600),
            stall_margin: Duration::from_secs(15),
            stop_within: Duration::from_secs(10),
            tend_every: Duration::from_secs(2),
            tend_longest: Duration::from_secs(5),
            tend_retry: BackoffConfig { first: Duration::from_secs(5), last: Duration::from_secs(600) },
        }
    }
}

pub struct Forwarder {
    pub config: TimescaleConfig,
    pub node: NodeId,
    pub journal: Reader,
    pub committed: watch::Receiver<u64>,
    pub control: mpsc::Sender<Control>,
    pub health: mpsc::Sender<Health>,
    /// What the configuration file declares of the register.
    pub declared: Vec<Record>,
    /// How long what tells of people is kept.
    pub keep: Keep,
    pub timing: Timing,
}

impl Forwarder {
    /// Ends at shutdown, or when the journal is complete (`committed` closed) and the database has all of
    /// it or is out of reach.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut supervisor = Supervisor::new(&self, shutdown).await;
        let mut backoff = Backoff::new(self.timing.backoff);
        loop {
            let (session, notes) = supervisor.session(&self);
            let outcome = supervisor.watch(tokio::spawn(session.run()), notes, &mut backoff).await;
            gauge!(names::STORE_CONNECTED).set(0.0);
            let Err(error) = outcome else { return };
            counter!(names::STORE_ERRORS, "kind" => error.kind()).increment(1);
            let wait = if error.needs_a_person() { self.timing.slow } else { backoff.next_delay() };
            tracing::warn!(%error, retry_in_s = wait.as_secs_f64(),
                "not forwarding to TimescaleDB; the journal keeps what is to come");
            supervisor.troubles.away(error.to_string(), error.needs_a_person()).await;
            if supervisor.wait(wait).await.is_break() {
                return;
            }
        }
    }
}

struct Supervisor {
    troubles: Troubles,
    committed: watch::Receiver<u64>,
    forwarded: Arc<AtomicU64>,
    progress: Progress,
    clock: WallClock,
    stall_after: Duration,
    stop_within: Duration,
    shutdown: CancellationToken,
}

impl Supervisor {
    async fn new(of: &Forwarder, shutdown: CancellationToken) -> Self {
        let forwarded = match of.journal.meta().await {
            Ok(meta) => meta.forwarded_seq,
            Err(error) => {
                tracing::warn!(%error, "the backlog is not known until the journal can be read");
                *of.committed.borrow()
            }
        };
        let timing = of.timing;
        let supervisor = Self {
            troubles: Troubles::new(of.health.clone(), timing.away_after, timing.history_hold),
            committed: of.committed.clone(),
            forwarded: Arc::new(AtomicU64::new(forwarded)),
            progress: Progress::default(),
            clock: WallClock::new(),
            stall_after: of.config.statement_timeout + timing.stall_margin,
            stop_within: timing.stop_within,
            shutdown,
        };
        supervisor.show_backlog();
        supervisor
    }

    fn session(&self, of: &Forwarder) -> (Session, mpsc::Receiver<Note>) {
        let (notes, told) = mpsc::channel(NOTES);
        let patience = Patience::new(of.timing.tend_longest, of.config.statement_timeout);
        let session = Session {
            config: of.config.clone(),
            node: of.node.clone(),
            journal: of.journal.clone(),
            committed: of.committed.clone(),
            control: of.control.clone(),
            declared: of.declared.clone(),
            tending: Tending::new(
                of.journal.clone(),
                of.config.register,
                of.keep,
                patience,
                of.timing.tend_retry,
            ),
            tend_every: of.timing.tend_every,
            notes,
            forwarded: self.forwarded.clone(),
            progress: self.progress.clone(),
            clock: self.clock.clone(),
            shutdown: self.shutdown.clone(),
        };
        (session, told)
    }

    /// Follows a session to its end.
    async fn watch(
        &mut self,
        mut session: JoinHandle<Result<(), StoreError>>,
        mut notes: mpsc::Receiver<Note>,
        backoff: &mut Backoff,
    ) -> Result<(), StoreError> {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut stop_by = None;
        let mut open = true;
        let outcome = loop {
            tokio::select! {
                ended = &mut session => break ended,
                Some(note) = notes.recv() => self.note(note, backoff).await,
                changed = self.committed.changed(), if open => {
                    open = changed.is_ok();
                    self.show_backlog();
                }
                () = self.shutdown.cancelled(), if stop_by.is_none() => {
                    stop_by = Some(tokio::time::Instant::now() + self.stop_within);
                }
                _ = tick.tick() => {
                    self.troubles.tick().await;
                    let late = stop_by.is_some_and(|by| by <= tokio::time::Instant::now());
                    let stalled = self.progress.stalled(self.stall_after);
                    if late || stalled.is_some() {
                        session.abort();
                    }
                }
            }
        };
        while let Ok(note) = notes.try_recv() {
            self.note(note, backoff).await;
        }
        self.outcome(outcome)
    }

    fn outcome(
        &self,
        ended: Result<Result<(), StoreError>, tokio::task::JoinError>,
    ) -> Result<(), StoreError> {
        match ended {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {
                let operation = self.progress.stalled(Duration::ZERO).unwrap_or("forward");
                self.progress.clear();
                Err(StoreError::Stalled { operation, seconds: self.stall_after.as_secs() })
            }
        }
    }

    async fn note(&mut self, note: Note, backoff: &mut Backoff) {
        match note {
            Note::Aligned => {
                backoff.reset();
                gauge!(names::STORE_CONNECTED).set(1.0);
                self.troubles.back().await;
            }
            Note::History(problem) => self.troubles.history(problem).await,
        }
    }

    /// Waits before the next attempt; breaks where there is to be none.
    async fn wait(&mut self, delay: Duration) -> ControlFlow<()> {
        let until = tokio::time::Instant::now() + delay;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return ControlFlow::Continue(()),
                () = self.shutdown.cancelled() => return ControlFlow::Break(()),
                changed = self.committed.changed() => {
                    if changed.is_err() {
                        return ControlFlow::Break(());
                    }
                    self.show_backlog();
                }
            }
        }
    }

    fn show_backlog(&self) {
        let newest = *self.committed.borrow();
        let backlog = newest.saturating_sub(self.forwarded.load(Ordering::Acquire));
        gauge!(names::STORE_BACKLOG).set(backlog as f64);
    }
}
