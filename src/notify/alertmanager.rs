//! Alertmanager's API v2: alerts are sent when they move and again well inside their `endsAt`, ended ones
//! for a few minutes, to every instance of the cluster.
//!
//! `endsAt` of a firing alert lies `hold` ahead, so that a daemon that dies does not resolve its ghosts;
//! what tells of a dead daemon is the watchdog, an alert that always fires and ends within minutes.
//! What is told when is decided in `ledger.rs`; this file only carries it there.

mod ledger;
mod message;

pub(super) use message::{action, summary};

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::ledger::{Due, Ledger};
use super::Board;
use crate::config::values::mask_url;
use crate::config::{AlertmanagerConfig, BackoffConfig};
use crate::domain::ids::NodeId;
use crate::domain::time::Timestamp;
use crate::source::backoff::Backoff;
use crate::source::clock::WallClock;
use crate::telemetry::names;

/// How long one post may take before the instance counts as away.
const POST_TIMEOUT: Duration = Duration::from_secs(10);
/// A clean stop tells what its last commit moved, if that takes no longer than this.
const FAREWELL: Duration = Duration::from_secs(2);
/// Alerts in one post: some 400 KB.
const POST_ALERTS: usize = 500;
/// An instance that is away is tried again at this pace.
const RETRY: BackoffConfig = BackoffConfig { first: Duration::from_secs(1), last: Duration::from_secs(30) };

/// Why an instance did not take a post.
#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error("failed to reach it")]
    Unreachable(#[from] reqwest::Error),
    #[error("it answered {status}: {body}")]
    Refused { status: reqwest::StatusCode, body: String },
}

/// Tells every instance until `shutdown`. Each has a task of its own: one that is away delays no other.
/// `last_alive`: the journal's last heartbeat before this start.
pub async fn run(
    config: AlertmanagerConfig,
    node: NodeId,
    board: Arc<Board>,
    last_alive: Option<Timestamp>,
    clock: WallClock,
    shutdown: CancellationToken,
) {
    let mut instances = tokio::task::JoinSet::new();
    let (wake, _) = watch::channel(());
    let (alerts, now) = (board.snapshot(), clock.now());
    for url in &config.urls {
        let instance = Instance {
            url: format!("{}/api/v2/alerts", url.trim_end_matches('/')),
            client: super::client(),
            ledger: Ledger::new(config.clone(), node.clone(), &alerts, last_alive, now),
            resend: config.resend,
            resolved_for: config.resolved_for,
            board: board.clone(),
            clock: clock.clone(),
        };
        instances.spawn(instance.run(wake.subscribe(), shutdown.clone()));
    }
    while !shutdown.is_cancelled() {
        tokio::select! {
            () = board.moved() => { wake.send_replace(()); }
            () = shutdown.cancelled() => {}
        }
    }
    while instances.join_next().await.is_some() {}
}

struct Instance {
    url: String,
    client: reqwest::Client,
    ledger: Ledger,
    resend: Duration,
    resolved_for: Duration,
    board: Arc<Board>,
    clock: WallClock,
}

impl Instance {
    async fn run(mut self, mut wake: watch::Receiver<()>, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(RETRY);
        loop {
            let told = self.tell().await;
            let pause = match &told {
                Ok(()) => {
                    backoff.reset();
                    self.ledger.next_due(self.clock.now())
                }
                Err(error) => {
                    let pause = backoff.next_delay().min(self.resend);
                    self.failed(error, pause);
                    pause
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                // An instance that is away is not tried at the pace of what happens here.
                changed = wake.changed(), if told.is_ok() => if changed.is_err() { break },
                () = tokio::time::sleep(pause) => {}
            }
        }
        if let Ok(Err(error)) = tokio::time::timeout(FAREWELL, self.tell()).await {
            self.failed(&error, Duration::ZERO);
        }
    }

    fn failed(&self, error: &PostError, again_in: Duration) {
        counter!(names::NOTIFICATION_FAILURES, "receiver" => "alertmanager").increment(1);
        let error: &dyn std::error::Error = error;
        tracing::warn!(url = %mask_url(&self.url), error, ?again_in, "failed to tell Alertmanager; the journal keeps what it has to be told");
    }

    /// A post that is refused keeps back no other; one that does not arrive does.
    async fn tell(&mut self) -> Result<(), PostError> {
        let now = self.clock.now();
        self.board.forget_resolved(now - self.resolved_for);
        let due = self.ledger.due(&self.board.snapshot(), now);
        let mut outcome = Ok(());
        for part in due.chunks(POST_ALERTS) {
            match self.post(part).await {
                Ok(()) => self.ledger.taken(part, now),
                Err(refused @ PostError::Refused { .. }) => outcome = Err(refused),
                Err(unreachable) => return Err(unreachable),
            }
        }
        outcome
    }

    async fn post(&self, due: &[Due]) -> Result<(), PostError> {
        let alerts: Vec<&Value> = due.iter().map(|due| &due.alert).collect();
        let response = self.client.post(&self.url).timeout(POST_TIMEOUT).json(&alerts).send().await?;
        let status = response.status();
        if !status.is_success() {
            let body = response.text().await?;
            return Err(PostError::Refused { status, body: body.chars().take(500).collect() });
        }
        counter!(names::NOTIFICATIONS, "receiver" => "alertmanager").increment(alerts.len() as u64);
        Ok(())
    }
}
