//! Where commands come past on their way to the core: what changes the register goes to the database
//! first, and is refused while that is away; everything else goes on at once.
//!
//! It also keeps the session with the database going, as the forwarder does with its own.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::RegisterRequest;
use super::edit::Edit;
use super::session::{Known, Session};
use crate::config::TimescaleConfig;
use crate::domain::alerts::Rule;
use crate::domain::commands::Refused;
use crate::domain::health::Health;
use crate::domain::ids::NodeId;
use crate::domain::orders::Answer;
use crate::journal::Reader;
use crate::source::backoff::Backoff;
use crate::store::timescale::Timing;
use crate::store::timescale::error::StoreError;
use crate::store::timescale::progress::Progress;
use crate::web::CommandRequest;

/// Changes of the register that wait for the one before them; each is a transaction.
const EDITS: usize = 16;

/// Follows a register that the database owns.
pub struct Follower {
    pub config: TimescaleConfig,
    pub node: NodeId,
    pub journal: Reader,
    pub core: mpsc::Sender<RegisterRequest>,
    /// Where commands go that do not change the register.
    pub onward: mpsc::Sender<CommandRequest>,
    pub health: mpsc::Sender<Health>,
    pub timing: Timing,
}

/// What is under way with the database.
struct Line {
    edits: mpsc::Sender<Edit>,
    following: watch::Receiver<bool>,
    session: JoinHandle<(Known, Result<(), StoreError>)>,
}

impl Follower {
    pub async fn run(self, mut asked: mpsc::Receiver<CommandRequest>, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(self.timing.backoff);
        let mut known = Known::default();
        let mut open = true;
        while !shutdown.is_cancelled() {
            let progress = Progress::default();
            let mut line = self.line(known, progress.clone(), shutdown.clone());
            let outcome = self.keep(&mut line, &mut asked, &mut open, &progress, &shutdown).await;
            if *line.following.borrow() {
                backoff.reset();
            }
            known = match outcome {
                Ok((_, Ok(()))) => return,
                Ok((known, Err(error))) => {
                    tracing::warn!(%error, "not following the register in the database");
                    known
                }
                Err(gone) if gone.is_panic() => std::panic::resume_unwind(gone.into_panic()),
                Err(_) => {
                    tracing::warn!("the database did not answer; beginning anew with the register");
                    Known::default()
                }
            };
            let wait = tokio::time::sleep(backoff.next_delay());
            tokio::pin!(wait);
            loop {
                tokio::select! {
                    () = &mut wait => break,
                    () = shutdown.cancelled() => return,
                    request = asked.recv(), if open => match request {
                        Some(request) => self.route(request, None).await,
                        None => open = false,
                    },
                }
            }
        }
    }

    fn line(&self, known: Known, progress: Progress, shutdown: CancellationToken) -> Line {
        let (edits, waiting) = mpsc::channel(EDITS);
        let (follows, following) = watch::channel(false);
        let session = Session {
            config: self.config.clone(),
            node: self.node.clone(),
            journal: self.journal.clone(),
            core: self.core.clone(),
            health: self.health.clone(),
            progress,
            follows,
            shutdown,
        };
        Line { edits, following, session: tokio::spawn(session.run(known, waiting)) }
    }

    /// Follows a session to its end.
    async fn keep(
        &self,
        line: &mut Line,
        asked: &mut mpsc::Receiver<CommandRequest>,
        open: &mut bool,
        progress: &Progress,
        shutdown: &CancellationToken,
    ) -> Result<(Known, Result<(), StoreError>), tokio::task::JoinError> {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut stop_by = None;
        loop {
            tokio::select! {
                ended = &mut line.session => return ended,
                request = asked.recv(), if *open => match request {
                    Some(request) => {
                        let edits = line.following.borrow().then(|| line.edits.clone());
                        self.route(request, edits).await;
                    }
                    None => *open = false,
                },
                () = shutdown.cancelled(), if stop_by.is_none() => {
                    stop_by = Some(tokio::time::Instant::now() + self.timing.stop_within);
                }
                _ = tick.tick() => {
                    let late = stop_by.is_some_and(|by| by <= tokio::time::Instant::now());
                    let limit = self.config.statement_timeout + self.timing.stall_margin;
                    if late || progress.stalled(limit).is_some() {
                        line.session.abort();
                    }
                }
            }
        }
    }

    async fn route(&self, request: CommandRequest, edits: Option<mpsc::Sender<Edit>>) {
        if !request.order.command.changes_register() {
            if self.onward.send(request).await.is_err() {
                tracing::debug!("the pipeline has ended; a command is not carried out");
            }
            return;
        }
        let (reply, answer) = oneshot::channel();
        let edit = Edit { order: request.order, reply };
        let sent = edits.is_some_and(|edits| edits.try_send(edit).is_ok());
        let to = request.reply;
        // A session that breaks off drops the reply.
        tokio::spawn(async move {
            let answer = if sent { answer.await.ok() } else { None };
            if to.send(answer.unwrap_or_else(away)).is_err() {
                tracing::debug!("who changed the register did not wait for the answer");
            }
        });
    }
}

fn away() -> Answer {
    let reason = "the register belongs to the database, and that is away or not taken up: nothing is changed, or \
                  it will show when it is back; see `tallyman alerts`";
    Answer { result: Err(Refused::Unavailable { reason: reason.to_owned() }), repeated: false }
}

/// Subjects of [`Rule::Journal`].
pub const OWNERSHIP: &str = "register";
pub const ROWS: &str = "register-rows";

pub async fn tell(health: &mpsc::Sender<Health>, subject: &str, problem: Option<String>) {
    let health_now = Health { rule: Rule::Journal, subject: subject.to_owned(), site: None, problem };
    if health.send(health_now).await.is_err() {
        tracing::debug!(subject, "nobody takes health any more");
    }
}
