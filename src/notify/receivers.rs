//! How it stands with each receiver: when it last took something, what it said when it did not, how far
//! behind it is. For people who look; nothing is decided by it, and a restart begins it anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::time::Timestamp;

/// One receiver, or one instance of Alertmanager, since the daemon started.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Receiver {
    pub name: String,
    /// `alertmanager`, `webhook`, `mqtt` or `log`.
    pub kind: &'static str,
    /// Without its login. Not there for the log.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// When it last took something.
    pub last_success: Option<Timestamp>,
    /// What happened when it last did not; older than `last_success` where it is over.
    pub last_error: Option<Failure>,
    /// Since when the next message waits to be taken.
    pub waiting_since: Option<Timestamp>,
    /// It said that it is gone (410): it is told nothing until it has another address.
    pub disabled_since: Option<Timestamp>,
    /// Alerts, or changes of alerts, that it has yet to be told of or be passed by; at most 1,000 are counted.
    pub behind: u64,
    /// Everything up to this event is told, or not for it. Alertmanager is told how things stand instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_seq: Option<u64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Failure {
    pub at: Timestamp,
    pub reason: String,
}

/// All of them, by name and address.
#[derive(Clone, Debug, Default)]
pub struct Receivers(Arc<Mutex<BTreeMap<(String, String), Receiver>>>);

impl Receivers {
    pub fn all(&self) -> Vec<Receiver> {
        self.lock().values().cloned().collect()
    }

    /// `address`: as people may see it.
    pub(super) fn enter(&self, name: &str, kind: &'static str, address: &str) -> Entry {
        let key = (name.to_owned(), address.to_owned());
        let receiver = Receiver {
            name: key.0.clone(),
            kind,
            address: key.1.clone(),
            last_success: None,
            last_error: None,
            waiting_since: None,
            disabled_since: None,
            behind: 0,
            told_seq: None,
        };
        self.lock().insert(key.clone(), receiver);
        Entry { all: self.clone(), key }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Receiver>> {
        // Each change sets plain values: a panic in between leaves a readable map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hand of the one who tells a receiver.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    all: Receivers,
    key: (String, String),
}

impl Entry {
    pub fn took(&self, at: Timestamp) {
        self.change(|receiver| {
            receiver.last_success = Some(at);
            receiver.waiting_since = None;
        });
    }

    pub fn refused(&self, at: Timestamp, reason: &str) {
        let failure = Failure { at, reason: reason.to_owned() };
        self.change(|receiver| receiver.last_error = Some(failure));
    }

    pub fn waits_since(&self, since: Option<Timestamp>) {
        self.change(|receiver| receiver.waiting_since = since);
    }

    pub fn disabled_since(&self, since: Option<Timestamp>) {
        self.change(|receiver| receiver.disabled_since = since);
    }

    pub fn told_up_to(&self, seq: u64) {
        self.change(|receiver| receiver.told_seq = Some(seq));
    }

    pub fn is_behind(&self, count: usize) {
        self.change(|receiver| receiver.behind = count as u64);
    }

    fn change(&self, change: impl FnOnce(&mut Receiver)) {
        if let Some(receiver) = self.all.lock().get_mut(&self.key) {
            change(receiver);
        }
    }
}
