//! The latest committed state of every alert that somebody may have to be told of.
//!
//! State, not a queue: bounded by the number of alerts, and a receiver that was away for an hour is
//! told how things stand, not how they came about.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::alerts::{Alert, AlertKey, AlertState, Rule};
use crate::domain::time::Timestamp;
use crate::telemetry;

pub struct Board {
    alerts: Mutex<BTreeMap<AlertKey, Alert>>,
    moved: Notify,
}

impl Board {
    /// `alerts`: as the journal holds them at the start.
    pub fn new(alerts: Vec<Alert>) -> Self {
        let alerts: BTreeMap<AlertKey, Alert> =
            alerts.into_iter().map(|alert| (alert.key.clone(), alert)).collect();
        // Also where there is none: a rule's count of 0 says that it is looked at.
        count(&alerts);
        Self { alerts: Mutex::new(alerts), moved: Notify::new() }
    }

    /// Takes alerts as they stand after a commit.
    pub fn update(&self, moved: Vec<Alert>) {
        if moved.is_empty() {
            return;
        }
        let mut alerts = self.lock();
        for alert in moved {
            alerts.insert(alert.key.clone(), alert);
        }
        count(&alerts);
        drop(alerts);
        self.moved.notify_one();
    }

    /// Returns when something has moved since the last call returned.
    pub async fn moved(&self) {
        self.moved.notified().await;
    }

    pub fn snapshot(&self) -> Vec<Alert> {
        self.lock().values().cloned().collect()
    }

    /// Forgets what was resolved before `before`; who still has to tell of it holds it himself.
    pub fn forget_resolved(&self, before: Timestamp) {
        self.lock().retain(|_, alert| {
            alert.state != AlertState::Resolved || alert.resolved_at.is_some_and(|at| at >= before)
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AlertKey, Alert>> {
        // Every change is one insert or one retain: a panic in between leaves a whole map.
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(alerts: &BTreeMap<AlertKey, Alert>) {
    for rule in Rule::ALL {
        for state in [AlertState::Pending, AlertState::Firing] {
            let of = alerts.values().filter(|alert| alert.key.rule == rule && alert.state == state);
            telemetry::alerts(rule, state, of.count());
        }
    }
}
