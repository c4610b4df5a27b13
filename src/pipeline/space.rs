//! How full the journal is: the gate before its reserve, and what people are told of it.

use tokio::sync::{mpsc, watch};

use crate::domain::alerts::Rule;
use crate::domain::health::Health;
use crate::journal::Usage;
use crate::source::Gate;

/// Share of the journal's bound at which an alert says so.
const ALERT_SHARE: f64 = 0.8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    Fine,
    Filling,
    /// Only the reserve is left.
    Full,
}

pub(super) struct Space {
    gate: watch::Sender<Gate>,
    health: mpsc::Sender<Health>,
    /// Nothing is deleted before a database has it.
    forwards: bool,
    /// Told last; not told yet, an alert of an earlier run may still stand.
    told: Option<Level>,
}

impl Space {
    pub fn new(gate: watch::Sender<Gate>, health: mpsc::Sender<Health>, forwards: bool) -> Self {
        Self { gate, health, forwards, told: None }
    }

    /// Closes and opens the gate, and tells what is new. While our own clock is in doubt nothing is read, either. Gives whether
    /// the gate is open.
    pub fn watch(&mut self, usage: &Usage, is_clock_in_doubt: bool) -> bool {
        let level = match usage {
            full if full.is_full() => Level::Full,
            filling if filling.share() >= ALERT_SHARE => Level::Filling,
            _ => Level::Fine,
        };
        let gate = if level == Level::Full || is_clock_in_doubt { Gate::Closed } else { Gate::Open };
        self.set_gate(gate, level, usage);
        if self.told == Some(level) {
            return gate == Gate::Open;
        }
        let problem = self.problem(level, usage);
        let health = Health { rule: Rule::Journal, subject: "space".to_owned(), site: None, problem };
        // Where there is no room, it is told with the next commit or heartbeat.
        if self.health.try_send(health).is_ok() {
            self.told = Some(level);
        }
        gate == Gate::Open
    }

    fn set_gate(&self, gate: Gate, level: Level, usage: &Usage) {
        if !self.gate.send_if_modified(|held| std::mem::replace(held, gate) != gate) {
            return;
        }
        let Usage { used_bytes, max_bytes, .. } = usage;
        match gate {
            // The clock has told itself why.
            Gate::Closed if level != Level::Full => {}
            Gate::Closed => tracing::error!(
                used_bytes,
                max_bytes,
                "the journal is full: nothing is read any more, and \
                what cannot wait is lost; {}",
                self.advice()
            ),
            Gate::Open => {
                tracing::info!(used_bytes, max_bytes, "sources are read again")
            }
        }
    }

    fn problem(&self, level: Level, usage: &Usage) -> Option<String> {
        let (used, max, advice) = (usage.used_bytes, usage.max_bytes, self.advice());
        let percent = usage.share() * 100.0;
        match level {
            Level::Fine => None,
            Level::Filling => Some(format!(
                "the journal holds {used} of {max} bytes ({percent:.0} %); once it is full nothing more is read: {advice}"
            )),
            Level::Full => Some(format!(
                "the journal is full ({used} of {max} bytes, of which {} are kept for alerts): nothing is read any more, \
                 brokers and trackers keep what they have for us, and what readers and sensors see now is lost: {advice}",
                usage.reserve_bytes
            )),
        }
    }

    fn advice(&self) -> &'static str {
        if self.forwards {
            "bring the database back if it is away, for nothing is deleted before it is there; else raise \
             journal.max_bytes, or shorten what [journal.retention] keeps, and restart"
        } else {
            "raise journal.max_bytes, or shorten what [journal.retention] keeps, and restart"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(used_bytes: u64) -> Usage {
        Usage { used_bytes, max_bytes: 1000, reserve_bytes: 50 }
    }

    #[test]
    fn whoever_is_on_call_is_told_that_nothing_is_read_and_what_helps() {
        let (gate, moved) = watch::channel(Gate::Open);
        let (health, mut told) = mpsc::channel(8);
        let mut space = Space::new(gate.clone(), health.clone(), false);
        let mut next = || told.try_recv().ok().map(|health| health.problem);
        space.watch(&usage(799), false);
        assert_eq!(next(), Some(None));
        space.watch(&usage(800), false);
        space.watch(&usage(940), false);
        let filling = next().flatten().unwrap();
        assert!(filling.starts_with("the journal holds 800 of 1000 bytes (80 %)"), "{filling}");
        assert!(filling.contains("raise journal.max_bytes, or shorten") && !filling.contains("database"));
        assert_eq!(next(), None);
        space.watch(&usage(950), false);
        assert_eq!(*moved.borrow(), Gate::Closed);
        let full = next().flatten().unwrap();
        assert!(full.starts_with("the journal is full (950 of 1000 bytes"), "{full}");
        assert!(full.contains("nothing is read any more"), "{full}");
        space.watch(&usage(900), false);
        assert_eq!(*moved.borrow(), Gate::Open);
        assert!(next().flatten().unwrap().starts_with("the journal holds 900 of 1000 bytes (90 %)"));
        space.watch(&usage(700), false);
        assert_eq!((next(), next()), (Some(None), None));
        // Nor is anything read while nobody knows what time it is.
        assert!(!space.watch(&usage(700), true));
        assert_eq!((*moved.borrow(), next()), (Gate::Closed, None));
        assert!(space.watch(&usage(700), false));
        assert_eq!((*moved.borrow(), next()), (Gate::Open, None));
        let mut space = Space::new(gate, health, true);
        space.watch(&usage(950), false);
        assert!(next().flatten().unwrap().contains("bring the database back"));
    }

    /// What found no room is told with the next look, not forgotten.
    #[test]
    fn what_finds_no_room_is_told_later() {
        let (health, mut told) = mpsc::channel(1);
        let mut space = Space::new(watch::channel(Gate::Open).0, health, false);
        space.watch(&usage(700), false);
        space.watch(&usage(950), false);
        assert_eq!(told.try_recv().unwrap().problem, None);
        space.watch(&usage(951), false);
        assert!(told.try_recv().unwrap().problem.unwrap().contains("951"));
    }
}
