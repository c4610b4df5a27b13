//! What one Alertmanager holds of ours, and so what it still has to be told. No I/O: time and the board
//! come in, messages come out.
//!
//! ```text
//!                  notifies                 no longer (resolved, snoozed, explained)
//!   (not told) ───────────────▶ standing ───────────────────────────────────────────▶ ended
//!                                   ▲             notifies again                        │ told of for
//!                                   └───────────────────────────────────────────────────┤ `resolved_for`
//!                                                                                       ▼
//!                                                                                   (not told)
//! ```
//!
//! What never stood there is never ended there: nobody reads "resolved" of what nobody was told. An end
//! is told of until it was *taken* for `resolved_for`, so an instance that was away learns of it too.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::message::Message;
use crate::config::{ALERTMANAGER, AlertmanagerConfig};
use crate::domain::alerts::{Alert, AlertState};
use crate::domain::ids::{EventId, NodeId};
use crate::domain::time::Timestamp;

/// The watchdog's `endsAt` in re-send intervals: one lost post does not page, three do.
const WATCHDOG_INTERVALS: u32 = 3;

pub(super) struct Ledger {
    config: AlertmanagerConfig,
    node: NodeId,
    entries: BTreeMap<String, Entry>,
    watchdog: Message,
    watchdog_taken_at: Option<Timestamp>,
}

struct Entry {
    message: Message,
    incident: EventId,
    standing: Standing,
    /// When it was last taken as it is now.
    taken_at: Option<Timestamp>,
}

enum Standing {
    Stands,
    Ended { at: Timestamp, taken_first: Option<Timestamp> },
}

/// One message, and what to tell the ledger once it was taken.
pub(super) struct Due {
    pub alert: Value,
    identity: Option<String>,
}

impl Ledger {
    /// `alerts`: as the journal has them at the start, `last_alive`: when we were last there to tell of
    /// them. What stood then may still stand at the receiver.
    pub fn new(
        config: AlertmanagerConfig,
        node: NodeId,
        alerts: &[Alert],
        last_alive: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let watchdog = Message::watchdog(&node, now);
        let entries = BTreeMap::new();
        let mut ledger = Self { config, node, entries, watchdog, watchdog_taken_at: None };
        let resolved_for = ledger.config.resolved_for;
        for alert in alerts {
            let left = match alert.state {
                AlertState::Firing => true,
                AlertState::Resolved => {
                    alert.resolved_at.zip(last_alive).is_some_and(|(at, alive)| at + resolved_for > alive)
                }
                AlertState::Pending => false,
            };
            if left && let Some(message) = Message::of(alert, &ledger.node, now) {
                ledger.stand(message, alert.incident);
            }
        }
        ledger
    }

    /// Everything to be told now, the watchdog first, in order of labels.
    pub fn due(&mut self, alerts: &[Alert], now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        if is_due(self.watchdog_taken_at, self.config.resend, now) {
            let ends_at = now + self.config.resend * WATCHDOG_INTERVALS;
            due.push(self.telling(&self.watchdog, ends_at, None));
        }
        let superseded = self.follow(alerts, now);
        due.extend(superseded.iter().map(|(message, at)| self.telling(message, *at, None)));
        let open = self.entries.iter().filter(|(_, entry)| is_due(entry.taken_at, self.config.resend, now));
        due.extend(open.map(|(identity, entry)| {
            let ends_at = match entry.standing {
                Standing::Stands => now + self.config.hold,
                Standing::Ended { at, .. } => at,
            };
            self.telling(&entry.message, ends_at, Some(identity.clone()))
        }));
        due
    }

    /// The receiver took these.
    pub fn taken(&mut self, told: &[Due], now: Timestamp) {
        for due in told {
            let Some(identity) = &due.identity else {
                self.watchdog_taken_at = Some(now);
                continue;
            };
            if let Some(entry) = self.entries.get_mut(identity) {
                entry.taken_at = Some(now);
                if let Standing::Ended { taken_first, .. } = &mut entry.standing {
                    taken_first.get_or_insert(now);
                }
            }
        }
    }

    /// When something has to be told again, if nothing moves before.
    pub fn next_due(&self, now: Timestamp) -> Duration {
        let taken = self.entries.values().map(|entry| entry.taken_at).chain([self.watchdog_taken_at]);
        let waits = taken.map(|at| at.map_or(Duration::ZERO, |at| (at + self.config.resend).since(now)));
        waits.min().unwrap_or_default()
    }

    /// Brings the entries to what the board says. Gives incidents that were followed by another one under
    /// the same labels before their end was told, with when they ended.
    fn follow(&mut self, alerts: &[Alert], now: Timestamp) -> Vec<(Message, Timestamp)> {
        let mut superseded = Vec::new();
        let mut standing: BTreeMap<String, EventId> = BTreeMap::new();
        for alert in alerts.iter().filter(|alert| alert.notifies(now) && alert.is_for(ALERTMANAGER)) {
            let Some(message) = Message::of(alert, &self.node, now) else { continue };
            let identity = message.identity();
            standing.insert(identity.clone(), alert.incident);
            match self.entries.get(&identity) {
                Some(entry) if matches!(entry.standing, Standing::Stands) => {
                    if entry.incident != alert.incident && entry.message.starts_at < message.starts_at {
                        superseded.push((entry.message.clone(), message.starts_at.offset(-1)));
                    }
                    if entry.message != message {
                        self.stand(message, alert.incident);
                    }
                }
                _ => self.stand(message, alert.incident),
            }
        }
        let ended: BTreeMap<EventId, Timestamp> =
            alerts.iter().filter_map(|alert| Some((alert.incident, alert.resolved_at?))).collect();
        // Told twice at least: for a receiver whose clock is a little behind, the first end lies ahead, and
        // it keeps the one it has.
        let resolved_for = self.config.resolved_for.max(self.config.resend * 2);
        self.entries.retain(|identity, entry| {
            entry.end_unless(standing.contains_key(identity), ended.get(&entry.incident).copied(), now);
            !entry.is_over(resolved_for, now)
        });
        superseded
    }

    fn stand(&mut self, message: Message, incident: EventId) {
        let identity = message.identity();
        self.entries
            .insert(identity, Entry { message, incident, standing: Standing::Stands, taken_at: None });
    }

    fn telling(&self, message: &Message, ends_at: Timestamp, identity: Option<String>) -> Due {
        Due { alert: message.until(ends_at, self.config.generator_url.as_deref()), identity }
    }
}

impl Entry {
    /// Its end is one moment however often it is told: an end that moved along with ours would never be
    /// past for a receiver whose clock is a little behind.
    fn end_unless(&mut self, stands: bool, resolved_at: Option<Timestamp>, now: Timestamp) {
        if !stands && matches!(self.standing, Standing::Stands) {
            let at = resolved_at.unwrap_or(now).min(now).max(self.message.starts_at);
            self.standing = Standing::Ended { at, taken_first: None };
            self.taken_at = None;
        }
    }

    fn is_over(&self, resolved_for: Duration, now: Timestamp) -> bool {
        matches!(self.standing, Standing::Ended { taken_first: Some(first), .. } if first + resolved_for <= now)
    }
}

fn is_due(taken_at: Option<Timestamp>, resend: Duration, now: Timestamp) -> bool {
    taken_at.is_none_or(|at| at + resend <= now)
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
