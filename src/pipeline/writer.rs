//! The end of the pipeline: commits groups, then lets go of what waited for the commit.
//!
//! Nothing is acknowledged, answered or told downstream before its group is durable. A group that
//! cannot be committed (a full disk) is tried again until it can: meanwhile the queues before it fill,
//! and what can wait is no longer read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::core::Group;
use super::space::Space;
use crate::config::BackoffConfig;
use crate::domain::frames::{AckToken, Request};
use crate::domain::ids::SourceId;
use crate::domain::orders::Answer;
use crate::domain::register::Misfit;
use crate::journal::{Control, StoredDeadLetter, Writer};
use crate::notify::Board;
use crate::notify::doors::Bell;
use crate::source::backoff::Backoff;
use crate::source::clock::WallClock;
use crate::telemetry;

/// A journal that is quiet says every so often that we are alive.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Pause between two tries of a commit that failed.
const RETRY: BackoffConfig =
    BackoffConfig { first: Duration::from_millis(100), last: Duration::from_secs(5) };
/// Steps of pruning a heartbeat may take; each deletes at most 10,000 rows a kind of retention.
const PRUNE_STEPS: usize = 3;
/// Steps of erasing people that a heartbeat may take; each looks at some 2,000 rows.
const ERASE_STEPS: usize = 10;
/// An erasure that failed (a disk too full to rewrite the file) is tried again after so long.
const ERASE_RETRY: Duration = Duration::from_secs(300);

/// A group on its way to the journal, with the answers that wait for it.
pub(super) struct Work {
    pub group: Group,
    pub replies: Vec<Reply>,
}

/// An answer that waits for the commit of what it speaks of.
pub(super) enum Reply {
    Answer {
        to: oneshot::Sender<Answer>,
        answer: Answer,
    },
    /// What did not fit of the news of the register.
    Followed {
        to: oneshot::Sender<Vec<Misfit>>,
        misfits: Vec<Misfit>,
    },
}

impl Reply {
    fn send(self) {
        let heard = match self {
            Self::Answer { to, answer } => to.send(answer).is_ok(),
            Self::Followed { to, misfits } => to.send(misfits).is_ok(),
        };
        if !heard {
            tracing::debug!("who gave the command did not wait for its answer");
        }
    }
}

/// The way back to a source.
pub(super) struct Lane {
    pub acks: mpsc::UnboundedSender<AckToken>,
    /// `None`: nothing of ours goes out there.
    pub requests: Option<mpsc::Sender<Request>>,
}

/// Where the writer tells what has been committed.
pub(super) struct Downstream {
    pub lanes: BTreeMap<SourceId, Lane>,
    pub committed: watch::Sender<u64>,
    pub board: Arc<Board>,
    /// Where any door acts.
    pub bell: Option<Bell>,
    pub space: Space,
    /// False while the gate is closed or a commit fails: silence is nobody's then.
    pub listening: watch::Sender<bool>,
    /// Dead letters that a person wants tried again.
    pub replays: mpsc::Sender<StoredDeadLetter>,
    pub ready: telemetry::Readiness,
}

pub(super) struct WriterTask {
    pub writer: Writer,
    pub clock: WallClock,
    pub downstream: Downstream,
    /// Not before this is an erasure tried again.
    erase_from: tokio::time::Instant,
}

impl WriterTask {
    pub fn new(writer: Writer, clock: WallClock, downstream: Downstream) -> Self {
        Self { writer, clock, downstream, erase_from: tokio::time::Instant::now() }
    }

    /// Runs until the work ends, and gives the journal back closed.
    pub async fn run(mut self, mut work: mpsc::Receiver<Work>, mut control: mpsc::Receiver<Control>) {
        // The first group tells of the time that we were away. A heartbeat before it is durable would hide
        // that time from the next start, should this one not live to commit it.
        if let Some(first) = work.recv().await
            && !self.commit(first).await
        {
            return;
        }
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // Only channels and the timer are awaited here: no database future is ever dropped half way.
            // Fair by chance, so that a journal under load still prunes and says that it is alive.
            tokio::select! {
                next = work.recv() => match next {
                    Some(next) => if !self.commit(next).await { return },
                    None => break,
                },
                Some(message) = control.recv() => self.control(message).await,
                _ = beat.tick() => self.beat().await,
            }
        }
        // What was to be noted before the stop is: how far a receiver was told, what a broker holds for us.
        while let Ok(message) = control.try_recv() {
            self.control(message).await;
        }
        if let Err(error) = self.writer.heartbeat(self.clock.now()).await {
            tracing::warn!(%error, "failed to write the last heartbeat; the next start will see a longer gap");
        }
        if let Err(error) = self.writer.close().await {
            tracing::warn!(%error, "failed to close the journal; the next start recovers it");
        }
    }

    /// False where the journal cannot go on: nothing of the group is acknowledged, and the daemon has to
    /// be started anew, which is what puts a damaged journal right.
    async fn commit(&mut self, work: Work) -> bool {
        let mut backoff = Backoff::new(RETRY);
        let committed = loop {
            match self.writer.commit(&work.group.batch, self.clock.now()).await {
                Ok(committed) => break committed,
                Err(error) => {
                    telemetry::commit_failed(&error);
                    self.downstream.ready.set_journal(false);
                    self.set_listening(false);
                    if !error.is_passing() {
                        return false;
                    }
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        };
        if let Some(bell) = &self.downstream.bell {
            bell.ring(&work.group.batch.events);
        }
        telemetry::committed(&work.group.batch);
        if let Some(received_at) = work.group.received_at {
            telemetry::durable_after(self.clock.now().since(received_at));
        }
        self.downstream.ready.set_journal(true);
        for (source, token) in work.group.acks {
            self.acknowledge(&source, token);
        }
        for (source, request) in work.group.requests {
            self.request(&source, request);
        }
        for reply in work.replies {
            reply.send();
        }
        self.downstream.board.update(work.group.alerts);
        self.downstream.committed.send_replace(committed.last_seq);
        self.watch_space();
        true
    }

    fn acknowledge(&self, source: &SourceId, token: AckToken) {
        let lane = self.downstream.lanes.get(source);
        if lane.is_none_or(|lane| lane.acks.send(token).is_err()) {
            // The source has ended: its broker delivers again, and the delivery is recognised.
            tracing::debug!(%source, "an acknowledgement found its connection gone");
        }
    }

    fn request(&self, source: &SourceId, request: Request) {
        let requests = self.downstream.lanes.get(source).and_then(|lane| lane.requests.as_ref());
        if requests.is_none_or(|requests| requests.try_send(request).is_err()) {
            tracing::debug!(%source, "a request found no room on its way out; it is made again");
        }
    }

    async fn control(&mut self, message: Control) {
        match message {
            Control::Forwarded { seq } => {
                if let Err(error) = self.writer.set_forwarded(seq).await {
                    tracing::warn!(%error, seq, "failed to note what was forwarded; the database's own mark holds");
                }
            }
            Control::Note(row) => {
                if let Err(error) = self.writer.note(&row).await {
                    tracing::warn!(%error, key = row.key, "failed to note how far a receiver was told, or what a broker holds; after a restart it may be told again");
                }
            }
            Control::Erased { label } => {
                if let Err(error) = self.writer.erased_in_database(&label).await {
                    tracing::warn!(%error, label, "failed to note that a person is erased in the database; it is done there again");
                }
            }
            Control::NewEpoch { reply } => match self.writer.new_epoch().await {
                Ok(epoch) => {
                    if reply.send(epoch).is_err() {
                        tracing::warn!("a new epoch was begun and nobody waited for it");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "failed to begin a new epoch; the forwarder will ask again")
                }
            },
        }
    }

    async fn beat(&mut self) {
        if let Err(error) = self.writer.heartbeat(self.clock.now()).await {
            telemetry::commit_failed(&error);
            self.downstream.ready.set_journal(false);
            self.set_listening(false);
            return;
        }
        self.downstream.ready.set_journal(true);
        self.prune().await;
        self.erase().await;
        self.watch_space();
        self.take_replays().await;
    }

    /// A bounded share of what there is to prune: what waits to be committed goes first.
    async fn prune(&mut self) {
        for _ in 0..PRUNE_STEPS {
            match self.writer.maintain(self.clock.now()).await {
                Ok(maintained) if maintained.more => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "failed to prune the journal; it will be tried again");
                    return;
                }
            }
        }
    }

    /// A bounded share of what there is to erase.
    async fn erase(&mut self) {
        if tokio::time::Instant::now() < self.erase_from {
            return;
        }
        for _ in 0..ERASE_STEPS {
            match self.writer.erase().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%error, "a person who is to be erased is not gone yet; trying again in some minutes");
                    self.erase_from = tokio::time::Instant::now() + ERASE_RETRY;
                    return;
                }
            }
        }
    }

    /// Whether what comes is read, by what room there is, and by our own clock.
    fn watch_space(&mut self) {
        let is_open = self.downstream.space.watch(&self.writer.usage(), self.clock.is_in_doubt());
        self.set_listening(is_open);
    }

    fn set_listening(&self, listens: bool) {
        self.downstream.listening.send_if_modified(|held| std::mem::replace(held, listens) != listens);
    }

    /// Dead letters that a person asked to have tried again go back in at the front.
    async fn take_replays(&mut self) {
        let letters = match self.writer.take_replays().await {
            Ok(letters) => letters,
            Err(error) => {
                tracing::warn!(%error, "failed to look for dead letters to replay");
                return;
            }
        };
        for letter in letters {
            // Taken, not yet deleted: that happens in the commit of what becomes of it.
            if self.downstream.replays.try_send(letter).is_err() {
                tracing::warn!(
                    "more dead letters are to be replayed than fit; the rest follow at the next start"
                );
                return;
            }
        }
    }
}
