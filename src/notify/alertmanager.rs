//! Alertmanager's API v2: firing alerts are sent when they move and again well inside their `endsAt`,
//! resolved ones for a few minutes, to every instance of the cluster.
//!
//! `endsAt` of a firing alert lies `hold` ahead, so that a daemon that dies does not resolve its ghosts;
//! what tells of a dead daemon is the watchdog, an alert that always fires and ends within minutes.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Board;
use crate::config::{AlertmanagerConfig, BackoffConfig};
use crate::domain::alerts::{Alert, AlertState, Rule};
use crate::domain::ids::NodeId;
use crate::domain::time::Timestamp;
use crate::source::backoff::Backoff;
use crate::source::clock::WallClock;
use crate::telemetry::names;

/// The watchdog's `endsAt` in re-send intervals: one lost post does not page, three do.
const WATCHDOG_INTERVALS: u32 = 3;
/// How long one post may take before the instance counts as away.
const POST_TIMEOUT: Duration = Duration::from_secs(10);
/// Alerts in one post.
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
pub async fn run(
    config: AlertmanagerConfig,
    node: NodeId,
    board: Arc<Board>,
    clock: WallClock,
    shutdown: CancellationToken,
) {
    let mut instances = tokio::task::JoinSet::new();
    let (wake, _) = tokio::sync::watch::channel(());
    for url in &config.urls {
        let instance = Instance {
            url: format!("{}/api/v2/alerts", url.trim_end_matches('/')),
            client: reqwest::Client::new(),
            config: config.clone(),
            node: node.clone(),
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
    config: AlertmanagerConfig,
    node: NodeId,
    board: Arc<Board>,
    clock: WallClock,
}

impl Instance {
    async fn run(self, mut wake: tokio::sync::watch::Receiver<()>, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(RETRY);
        loop {
            let pause = match self.tell().await {
                Ok(()) => {
                    backoff.reset();
                    self.config.resend
                }
                Err(error) => {
                    counter!(names::NOTIFICATION_FAILURES, "receiver" => "alertmanager").increment(1);
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(url = %self.url, error, "failed to tell Alertmanager; trying again");
                    backoff.next_delay().min(self.config.resend)
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = wake.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn tell(&self) -> Result<(), PostError> {
        let now = self.clock.now();
        self.board.forget_resolved(now - self.config.resolved_for);
        let mut alerts: Vec<Value> =
            self.board.snapshot().iter().filter_map(|alert| self.render(alert, now)).collect();
        alerts.push(self.watchdog(now));
        for part in alerts.chunks(POST_ALERTS) {
            self.post(part).await?;
        }
        Ok(())
    }

    async fn post(&self, alerts: &[Value]) -> Result<(), PostError> {
        let response = self.client.post(&self.url).timeout(POST_TIMEOUT).json(alerts).send().await?;
        let status = response.status();
        if !status.is_success() {
            let body = response.text().await?;
            return Err(PostError::Refused { status, body: body.chars().take(500).collect() });
        }
        counter!(names::NOTIFICATIONS, "receiver" => "alertmanager").increment(alerts.len() as u64);
        Ok(())
    }

    /// The alert as Alertmanager wants it, where it concerns anybody. Labels are its identity.
    fn render(&self, alert: &Alert, now: Timestamp) -> Option<Value> {
        let fired_at = alert.fired_at?;
        let ends_at = match alert.state {
            AlertState::Firing if alert.notifies(now) => now + self.config.hold,
            // Inhibited or snoozed: it was told before, so it has to be told that it is no longer.
            AlertState::Firing => now,
            AlertState::Resolved => alert.resolved_at?,
            AlertState::Pending => return None,
        };
        let mut labels = json!({
            "alertname": alert_name(alert.key.rule),
            "rule": alert.key.rule.as_str(),
            "subject": alert.key.subject,
            "severity": alert.severity.as_str(),
            "node": self.node.as_str(),
        });
        if let Some(site) = &alert.site {
            labels["site"] = site.as_str().into();
        }
        let mut annotations = json!({ "summary": alert.summary, "incident": alert.incident.to_string() });
        if let Some(acknowledged) = &alert.acknowledged {
            annotations["acknowledged_by"] = acknowledged.by.clone().into();
        }
        Some(self.with_link(json!({
            "labels": labels,
            "annotations": annotations,
            "startsAt": fired_at,
            "endsAt": ends_at,
        })))
    }

    fn watchdog(&self, now: Timestamp) -> Value {
        self.with_link(json!({
            "labels": {
                "alertname": "TallymanWatchdog",
                "severity": "none",
                "node": self.node.as_str(),
            },
            "annotations": {
                "summary": "tallyman is alive; when this alert ends, nobody is watching",
            },
            "endsAt": now + self.config.resend * WATCHDOG_INTERVALS,
        }))
    }

    fn with_link(&self, mut alert: Value) -> Value {
        if let Some(link) = &self.config.generator_url {
            alert["generatorURL"] = link.clone().into();
        }
        alert
    }
}

fn alert_name(rule: Rule) -> &'static str {
    match rule {
        Rule::Ghost => "TallymanGhost",
        Rule::OverdueReturn => "TallymanOverdueReturn",
        Rule::Condition => "TallymanCondition",
        Rule::SensorBad => "TallymanSensorBad",
        Rule::ReaderDown => "TallymanReaderDown",
        Rule::WatcherSuspect => "TallymanWatcherSuspect",
        Rule::Journal => "TallymanJournal",
    }
}
