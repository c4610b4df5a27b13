//! Alertmanager's API v2: alerts are sent when they move and again well inside their `endsAt`, ended ones
//! for a few minutes, to every instance of the cluster.
//!
//! `endsAt` of a firing alert lies `hold` ahead, so that a daemon that dies does not resolve its ghosts;
//! what tells of a dead daemon is the watchdog, an alert that always fires and ends within minutes.
//! What is told when is decided in `ledger.rs`; this file only carries it there.

mod ledger;
mod message;

pub(super) use message::{action, summary};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use metrics::counter;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::ledger::{Due, Ledger};
use super::Board;
use super::http::{HttpClient, HttpError};
use super::receivers::{Entry, Receivers};
use crate::config::values::mask_url;
use crate::config::{ALERTMANAGER, AlertmanagerConfig, BackoffConfig};
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
    #[error(transparent)]
    Unreachable(#[from] HttpError),
    #[error("it answered {status}: {body}")]
    Refused { status: StatusCode, body: String },
}

/// Tells every instance until `shutdown`. Each has a task of its own: one that is away delays no other.
/// `last_alive`: the journal's last heartbeat before this start.
pub async fn run(
    config: AlertmanagerConfig,
    node: NodeId,
    board: Arc<Board>,
    last_alive: Option<Timestamp>,
    clock: WallClock,
    receivers: Receivers,
    shutdown: CancellationToken,
) {
    let mut instances = tokio::task::JoinSet::new();
    let (wake, _) = watch::channel(());
    let (alerts, now) = (board.snapshot(), clock.now());
    for url in &config.urls {
        let instance = Instance {
            url: format!("{}/api/v2/alerts", url.trim_end_matches('/')),
            ca_file: config.ca_file.clone(),
            client: None,
            standing: receivers.enter(ALERTMANAGER, "alertmanager", &mask_url(url)),
            ledger: Ledger::new(config.clone(), node.clone(), &alerts, last_alive, now),
            waiting_since: None,
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
    ca_file: Option<PathBuf>,
    /// Made at the first post.
    client: Option<HttpClient>,
    standing: Entry,
    ledger: Ledger,
    /// Since when something is not taken.
    waiting_since: Option<Timestamp>,
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
        self.standing.refused(self.clock.now(), &error.to_string());
        let error: &dyn std::error::Error = error;
        tracing::warn!(url = %mask_url(&self.url), error, ?again_in, "failed to tell Alertmanager; the journal keeps what it has to be told");
    }

    /// A post that is refused keeps back no other; one that does not arrive does.
    async fn tell(&mut self) -> Result<(), PostError> {
        let now = self.clock.now();
        self.board.forget_resolved(now - self.resolved_for);
        let due = self.ledger.due(&self.board.snapshot(), now);
        let mut outcome = Ok(());
        let mut untold = due.len();
        for part in due.chunks(POST_ALERTS) {
            match self.post(part).await {
                Ok(()) => {
                    untold -= part.len();
                    self.ledger.taken(part, now);
                    self.standing.took(now);
                }
                Err(refused @ PostError::Refused { .. }) => outcome = Err(refused),
                Err(unreachable) => {
                    outcome = Err(unreachable);
                    break;
                }
            }
        }
        self.standing.is_behind(untold);
        match outcome {
            Ok(()) => self.waiting_since = None,
            Err(_) => _ = self.waiting_since.get_or_insert(now),
        }
        self.standing.waits_since(self.waiting_since);
        outcome
    }

    async fn post(&mut self, due: &[Due]) -> Result<(), PostError> {
        let alerts: Vec<String> = due.iter().map(|due| due.alert.to_string()).collect();
        let body = format!("[{}]", alerts.join(","));
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(HttpClient::new(&self.url, self.ca_file.as_deref(), POST_TIMEOUT)?),
        };
        let headers = [("content-type", "application/json".to_owned())];
        let answer = client.send(Method::POST, &headers, body).await?;
        let status = answer.status;
        if !status.is_success() {
            let body = String::from_utf8_lossy(&answer.body);
            return Err(PostError::Refused { status, body: body.chars().take(500).collect() });
        }
        counter!(names::NOTIFICATIONS, "receiver" => "alertmanager").increment(alerts.len() as u64);
        Ok(())
    }
}
