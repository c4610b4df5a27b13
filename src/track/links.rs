//! Connections of the sources: events when they go up or down, `reader-down` when one stays down.
//!
//! After a start every source that the rules name counts as down, since then, until it says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Tracker;
use super::alerts::Details;
use super::cause::Cause;
use crate::domain::alerts::{AlertKey, Rule, Severity};
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::SourceId;
use crate::domain::state::{LinkCurrent, StateKind, StateRow};
use crate::domain::time::Timestamp;

/// The row in the journal: a [`LinkCurrent`] that counts its changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkRow {
    #[serde(flatten)]
    pub current: LinkCurrent,
    #[serde(default)]
    pub changes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Links {
    rows: BTreeMap<SourceId, LinkRow>,
    dirty: BTreeSet<SourceId>,
}

impl Links {
    pub fn iter(&self) -> impl Iterator<Item = &LinkCurrent> {
        self.rows.values().map(|row| &row.current)
    }

    pub fn restore(&mut self, row: LinkRow) {
        self.rows.insert(row.current.source.clone(), row);
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        for source in std::mem::take(&mut self.dirty) {
            if let Some(row) = self.rows.get(&source) {
                out.push(StateRow::put(StateKind::Link, source.as_str(), row));
            }
        }
    }

    /// Takes a connection's state; counts where it differs. Returns whether `up` changed (it does when
    /// nothing was known), and the count.
    fn set(
        &mut self,
        source: &SourceId,
        up: bool,
        caught_up: bool,
        at: Timestamp,
        reason: &str,
    ) -> (bool, u64) {
        let before = self.rows.get(source);
        let changed = before.is_none_or(|row| row.current.up != up);
        let since = before.filter(|_| !changed).map_or(at, |row| row.current.since);
        let changes = before.map_or(0, |row| row.changes) + u64::from(changed);
        let (source, reason) = (source.clone(), reason.to_owned());
        let current = LinkCurrent { source: source.clone(), up, caught_up, since, reason };
        let row = LinkRow { current, changes };
        if before != Some(&row) {
            self.rows.insert(source.clone(), row);
            self.dirty.insert(source);
        }
        (changed, changes)
    }
}

impl Tracker {
    pub(super) fn link(
        &mut self,
        up: bool,
        caught_up: bool,
        reason: String,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let source = cause.source.clone();
        let (changed, changes) = self.links.set(&source, up, caught_up, cause.observed_at, &reason);
        let site = self.topology.site_of_source(&source).cloned();
        if changed {
            let body = EventBody::Link { up, reason: reason.clone() };
            let subject = Subject::Source(source.clone());
            out.push(cause.event(site, subject, body, &[&changes.to_be_bytes()]));
        }
        self.say_down(&source, (!up).then_some(reason.as_str()), changes, cause, out);
        self.silence.set_working(&source, up && caught_up, cause.observed_at.min(self.now));
        self.settle(cause, out);
        self.release_overdue(cause, out);
        self.release_exits(&source, cause, out);
    }

    /// After a start nobody is connected, and nobody was heard while we were away.
    pub(super) fn disconnect_all(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        let reason = "not connected since the start";
        let named = self.topology.sources();
        let known: BTreeSet<SourceId> =
            self.links.rows.keys().cloned().chain(named.iter().cloned()).collect();
        for source in known {
            let (changed, changes) = self.links.set(&source, false, false, cause.received_at, reason);
            if changed && named.contains(&source) {
                self.say_down(&source, Some(reason), changes, cause, out);
            }
        }
    }

    /// Connections that the configuration no longer has: nobody can bring them back.
    pub(super) fn end_orphaned_links(&mut self, cause: &Cause, out: &mut Vec<Event>) {
        let mut sources = self.topology.sources();
        sources.extend(self.topology.tracker_sources().iter().cloned());
        for key in self.alerts.open_of(Rule::ReaderDown) {
            let source = SourceId::new(&key.subject);
            if self.links.rows.contains_key(&source) && !sources.contains(&source) {
                self.alerts.condition(&key, None, cause, out);
            }
        }
    }

    fn say_down(
        &mut self,
        source: &SourceId,
        reason: Option<&str>,
        changes: u64,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let details = reason.map(|reason| Details {
            site: self.topology.site_of_source(source).cloned(),
            severity: Severity::Warning,
            summary: format!(
                "{source} is down: {reason}; nothing is heard through it until it is back: check its power, \
                 network and address"
            ),
            pending: self.topology.alerts.reader_down_after,
            episode: changes,
        });
        let key = AlertKey::new(Rule::ReaderDown, source.as_str());
        match details {
            Some(details) => self.raise(&key, details, cause, out),
            None => self.alerts.condition(&key, None, cause, out),
        }
    }
}
