//! Whether the daemon is alive, and whether it is ready to be relied on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Clones share one state.
#[derive(Clone, Default)]
pub struct Readiness(Arc<State>);

#[derive(Default)]
struct State {
    started: AtomicBool,
    journal: AtomicBool,
}

impl Readiness {
    /// Every stage runs.
    pub fn set_started(&self, started: bool) {
        self.0.started.store(started, Ordering::Release);
    }

    /// The journal took what it was last given.
    pub fn set_journal(&self, writable: bool) {
        self.0.journal.store(writable, Ordering::Release);
    }

    /// What is missing, in words; empty where the daemon is ready.
    pub fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if !self.0.started.load(Ordering::Acquire) {
            missing.push("the stages have not all started");
        }
        if !self.0.journal.load(Ordering::Acquire) {
            missing.push("the journal has not taken a commit");
        }
        missing
    }
}
