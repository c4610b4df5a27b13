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
    /// As it was told last. Not told yet, what an earlier run told may still stand.
    reach: Option<Option<String>>,
    /// A loss is told of until then, also one of an earlier run.
    history_until: Option<Instant>,
}

impl Troubles {
    pub fn new(health: mpsc::Sender<Health>, away_after: Duration, history_hold: Duration) -> Self {
        let history_until = Some(Instant::now() + history_hold);
        Self { health, away_after, history_hold, away_since: None, reach: None, history_until }
    }

    /// An attempt failed. `at_once`: waiting will not help, so somebody is told right away.
    pub async fn away(&mut self, problem: String, at_once: bool) {
        let since = *self.away_since.get_or_insert_with(Instant::now);
        if at_once || since.elapsed() >= self.away_after {
            self.tell_reach(Some(problem)).await;
        }
    }

    pub async fn back(&mut self) {
        self.away_since = None;
        self.tell_reach(None).await;
    }

    async fn tell_reach(&mut self, problem: Option<String>) {
        if self.reach.as_ref() != Some(&problem) {
            self.reach = Some(problem.clone());
            self.tell(REACH, problem).await;
        }
    }

    pub async fn history(&mut self, problem: String) {
        self.history_until = Some(Instant::now() + self.history_hold);
        self.tell(HISTORY, Some(problem)).await;
    }

    /// Ends what has stood for long enough.
    pub async fn tick(&mut self) {
        if self.history_until.take_if(|until| *until <= Instant::now()).is_some() {
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

#[cfg(test)]
mod tests {
    use super::*;

    const WHILE: Duration = Duration::from_millis(50);

    /// An earlier run may have told of a trouble that is over by now.
    #[tokio::test]
    async fn what_an_earlier_run_told_is_taken_back() {
        let (health, mut told) = mpsc::channel(16);
        let mut troubles = Troubles::new(health, WHILE, WHILE);
        let mut next = || told.try_recv().ok().map(|health| (health.subject, health.problem));
        let over = |subject: &str| Some((subject.to_owned(), None));
        troubles.back().await;
        assert_eq!(next(), over(REACH));
        troubles.back().await;
        assert_eq!(next(), None, "that is told once");
        tokio::time::sleep(WHILE).await;
        troubles.tick().await;
        assert_eq!(next(), over(HISTORY));
        troubles.away("refused".to_owned(), true).await;
        troubles.away("refused".to_owned(), true).await;
        troubles.back().await;
        assert_eq!(next(), Some((REACH.to_owned(), Some("refused".to_owned()))));
        assert_eq!(next(), over(REACH));
        troubles.tick().await;
        assert_eq!(next(), None);
    }
}
