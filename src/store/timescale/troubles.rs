//! What people are told of forwarding: one health subject for the way to the database, one for what is
//! missing or in doubt in it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::domain::alerts::Rule;
use crate::domain::health::Health;

/// Whether TimescaleDB can be written to.
pub const REACH: &str = "timescale";
/// Whether all of the history is there.
pub const HISTORY: &str = "timescale-history";

pub struct Troubles {
    health: mpsc::Sender<Health>,
    /// Being away for less than this is nobody's business.
    away_after: Duration,
    /// A loss does not end; its problem stands for this long.
    history_hold: Duration,
    away_since: Option<Instant>,
    reach: Option<String>,
    history: Option<(String, Instant)>,
}

impl Troubles {
    pub fn new(health: mpsc::Sender<Health>, away_after: Duration, history_hold: Duration) -> Self {
        Self { health, away_after, history_hold, away_since: None, reach: None, history: None }
    }

    /// An attempt failed. `at_once`: waiting will not help, so somebody is told right away.
    pub async fn away(&mut self, problem: String, at_once: bool) {
        let since = *self.away_since.get_or_insert_with(Instant::now);
        if (at_once || since.elapsed() >= self.away_after) && self.reach.as_ref() != Some(&problem) {
            self.reach = Some(problem.clone());
            self.tell(REACH, Some(problem)).await;
        }
    }

    pub async fn back(&mut self) {
        self.away_since = None;
        if self.reach.take().is_some() {
            self.tell(REACH, None).await;
        }
    }

    pub async fn history(&mut self, problem: String) {
        self.history = Some((problem.clone(), Instant::now() + self.history_hold));
        self.tell(HISTORY, Some(problem)).await;
    }

    /// Ends what has stood for long enough.
    pub async fn tick(&mut self) {
        if self.history.as_ref().is_some_and(|(_, until)| *until <= Instant::now()) {
            self.history = None;
            self.tell(HISTORY, None).await;
        }
    }

    async fn tell(&self, subject: &str, problem: Option<String>) {
        let health = Health { rule: Rule::Journal, subject: subject.to_owned(), site: None, problem };
        if self.health.send(health).await.is_err() {
            tracing::debug!(subject, "nobody takes health any more");
        }
    }
}
