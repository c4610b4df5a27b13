//! The alert state machine: at most one open incident per (rule, subject), every transition an event.
//!
//! It knows no rule. Who calls it says whether a condition holds; what is pending fires by deadline.
//! Acknowledged, snoozed and inhibited are flags beside the state. A cancelled incident leaves the row
//! as it was before it; a resolved one stays as the latest of its key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::deadlines::Deadlines;
use crate::domain::alerts::{Acknowledgement, Alert, AlertKey, AlertState, AlertTransition, Rule, Severity};
use crate::domain::epc::Epc;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, DeviceId, EventId, SiteId, SourceId};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

/// What is said of a condition that holds.
#[derive(Clone, Debug)]
pub(super) struct Details {
    pub site: Option<SiteId>,
    pub severity: Severity,
    /// One line for a person, with what to do next.
    pub summary: String,
    /// How long it must hold before it fires.
    pub pending: Duration,
    /// Tells this occurrence from others of the same key and moment that were cancelled.
    pub episode: u64,
}

/// The row in the journal: an [`Alert`] with what the machine needs beside it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Incident {
    #[serde(flatten)]
    pub alert: Alert,
    /// Transitions so far; numbers their events.
    #[serde(default)]
    transitions: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pending_us: u64,
    /// The incident before this one, until this one fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Box<Alert>>,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    Fire,
    Unsnooze,
}

#[derive(Debug, Default)]
pub(super) struct Alerts {
    latest: BTreeMap<AlertKey, Incident>,
    deadlines: Deadlines<(AlertKey, Due)>,
    dirty: BTreeSet<AlertKey>,
    /// Keys that began or ceased to fire and may inhibit others.
    turned: Vec<AlertKey>,
}

impl Alerts {
    /// Says whether the condition of `key` holds.
    pub fn condition(&mut self, key: &AlertKey, holds: Option<Details>, cause: &Cause, out: &mut Vec<Event>) {
        match holds {
            Some(details) => self.holds(key, details, cause, out),
            None => self.ends(key, cause, out),
        }
    }

    pub fn open(&self, key: &AlertKey) -> Option<&Alert> {
        let alert = &self.latest.get(key)?.alert;
        (alert.state != AlertState::Resolved).then_some(alert)
    }

    pub fn is_firing(&self, key: &AlertKey) -> bool {
        self.latest.get(key).is_some_and(|incident| incident.alert.state == AlertState::Firing)
    }

    pub fn is_pending(&self, key: &AlertKey) -> bool {
        self.open(key).is_some_and(|alert| alert.state == AlertState::Pending)
    }

    /// Open alerts of one rule, in order of subject.
    pub fn open_of(&self, rule: Rule) -> Vec<AlertKey> {
        let first = AlertKey::new(rule, "");
        self.latest
            .range(first..)
            .take_while(|(key, _)| key.rule == rule)
            .filter(|(_, incident)| incident.alert.state != AlertState::Resolved)
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// `false` where no alert of that key is open.
    pub fn acknowledge(
        &mut self,
        key: &AlertKey,
        by: &str,
        note: Option<String>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) -> bool {
        if self.open(key).is_none() {
            return false;
        }
        let at = cause.received_at;
        self.transition(key, AlertTransition::Acknowledged, cause, out, |alert| {
            alert.acknowledged = Some(Acknowledgement { by: by.to_owned(), at, note });
        });
        true
    }

    /// Snoozes until then; an `until` that is not ahead ends a snooze. `false` where nothing changed.
    pub fn snooze(&mut self, key: &AlertKey, until: Timestamp, cause: &Cause, out: &mut Vec<Event>) -> bool {
        let Some(alert) = self.open(key) else { return false };
        let ahead = until > cause.received_at;
        if !ahead && alert.snoozed_until.is_none() {
            return false;
        }
        let (transition, snoozed) = match ahead {
            true => (AlertTransition::Snoozed, Some(until)),
            false => (AlertTransition::Unsnoozed, None),
        };
        self.transition(key, transition, cause, out, |alert| alert.snoozed_until = snoozed);
        self.deadlines.set((key.clone(), Due::Unsnooze), snoozed);
        true
    }

    /// Sets or lifts the inhibition of an open alert; says nothing where it is as it was.
    pub fn inhibit(&mut self, key: &AlertKey, by: Option<AlertKey>, cause: &Cause, out: &mut Vec<Event>) {
        if self.open(key).is_none_or(|alert| alert.inhibited_by == by) {
            return;
        }
        let transition = match by {
            Some(_) => AlertTransition::Inhibited,
            None => AlertTransition::Uninhibited,
        };
        self.transition(key, transition, cause, out, |alert| alert.inhibited_by = by);
    }

    /// Keys that began or ceased to fire since the last call, in order.
    pub fn take_turned(&mut self) -> Vec<AlertKey> {
        std::mem::take(&mut self.turned)
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first()
    }

    /// Lets the earliest deadline pass, if it is not after `until`.
    pub fn pass_deadline(&mut self, until: Timestamp, now: Timestamp, out: &mut Vec<Event>) {
        let Some((at, (key, due))) = self.deadlines.pop(until) else { return };
        let cause = Cause::own(at, now);
        match due {
            Due::Fire => self.fire(&key, &cause, out),
            Due::Unsnooze => {
                self.transition(&key, AlertTransition::Unsnoozed, &cause, out, |alert| {
                    alert.snoozed_until = None;
                });
            }
        }
    }

    /// After a restart: what we did not watch is no evidence, so every pending time begins again.
    pub fn restart_pending(&mut self, now: Timestamp) {
        let open: Vec<AlertKey> = Rule::ALL.into_iter().flat_map(|rule| self.open_of(rule)).collect();
        for key in open {
            if let Some(incident) = self.latest.get_mut(&key)
                && incident.alert.state == AlertState::Pending
            {
                let fires_at = now + Duration::from_micros(incident.pending_us);
                incident.fires_at = Some(fires_at);
                self.deadlines.set((key.clone(), Due::Fire), Some(fires_at));
                self.dirty.insert(key);
            }
        }
    }

    pub fn restore(&mut self, incident: Incident) {
        let key = incident.alert.key.clone();
        let open = incident.alert.state != AlertState::Resolved;
        self.deadlines.set((key.clone(), Due::Fire), incident.fires_at.filter(|_| open));
        self.deadlines.set((key.clone(), Due::Unsnooze), incident.alert.snoozed_until.filter(|_| open));
        self.latest.insert(key, incident);
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        // By the text of the key, as the journal orders rows.
        let mut dirty: Vec<(String, AlertKey)> =
            std::mem::take(&mut self.dirty).into_iter().map(|key| (key.to_string(), key)).collect();
        dirty.sort_unstable();
        out.extend(dirty.into_iter().map(|(text, key)| match self.latest.get(&key) {
            Some(incident) => StateRow::put(StateKind::Alert, text, incident),
            None => StateRow::delete(StateKind::Alert, text),
        }));
    }

    fn holds(&mut self, key: &AlertKey, details: Details, cause: &Cause, out: &mut Vec<Event>) {
        if self.open(key).is_some() {
            self.renew(key, details);
            return;
        }
        let pending = details.pending;
        let incident = self.open_incident(key, details, cause);
        self.latest.insert(key.clone(), incident);
        self.dirty.insert(key.clone());
        if pending.is_zero() {
            self.fire(key, cause, out);
        } else {
            self.transition(key, AlertTransition::Pending, cause, out, |_| {});
            let fires_at = self.latest.get(key).and_then(|incident| incident.fires_at);
            self.deadlines.set((key.clone(), Due::Fire), fires_at);
        }
    }

    /// An open alert whose words changed says the new ones; that is no transition.
    fn renew(&mut self, key: &AlertKey, details: Details) {
        let Some(incident) = self.latest.get_mut(key) else { return };
        let alert = &mut incident.alert;
        if alert.summary != details.summary || alert.severity != details.severity {
            alert.summary = details.summary;
            alert.severity = details.severity;
            self.dirty.insert(key.clone());
        }
    }

    fn open_incident(&self, key: &AlertKey, details: Details, cause: &Cause) -> Incident {
        let before = self.latest.get(key).map(|incident| incident.alert.clone());
        let previous = before.as_ref().map(|alert| alert.incident);
        let subject = key.to_string();
        let previous_bytes = previous.map(|id| id.0).unwrap_or_default();
        let parts: [&[u8]; 5] = [
            b"incident",
            subject.as_bytes(),
            &previous_bytes,
            &cause.observed_at.as_micros().to_be_bytes(),
            &details.episode.to_be_bytes(),
        ];
        let alert = Alert {
            key: key.clone(),
            incident: EventId::derive(cause.observed_at, &parts),
            state: AlertState::Pending,
            severity: details.severity,
            site: details.site,
            summary: details.summary,
            pending_since: cause.observed_at,
            fired_at: None,
            resolved_at: None,
            acknowledged: None,
            snoozed_until: None,
            inhibited_by: None,
            previous_incident: previous,
        };
        let pending_us = u64::try_from(details.pending.as_micros()).unwrap_or(u64::MAX);
        let fires_at = (pending_us > 0).then(|| cause.observed_at + details.pending);
        Incident { alert, transitions: 0, fires_at, pending_us, before: before.map(Box::new) }
    }

    fn fire(&mut self, key: &AlertKey, cause: &Cause, out: &mut Vec<Event>) {
        if let Some(incident) = self.latest.get_mut(key) {
            incident.fires_at = None;
            incident.before = None;
        }
        self.transition(key, AlertTransition::Fired, cause, out, |alert| {
            alert.state = AlertState::Firing;
            alert.fired_at = Some(cause.observed_at.max(alert.pending_since));
        });
        self.note_turned(key);
    }

    fn ends(&mut self, key: &AlertKey, cause: &Cause, out: &mut Vec<Event>) {
        let Some(state) = self.open(key).map(|alert| alert.state) else { return };
        self.deadlines.set((key.clone(), Due::Fire), None);
        self.deadlines.set((key.clone(), Due::Unsnooze), None);
        let transition = match state {
            AlertState::Firing => AlertTransition::Resolved,
            AlertState::Pending | AlertState::Resolved => AlertTransition::Cancelled,
        };
        self.transition(key, transition, cause, out, |alert| {
            alert.state = AlertState::Resolved;
            alert.resolved_at = Some(cause.observed_at.max(alert.fired_at.unwrap_or(alert.pending_since)));
            alert.snoozed_until = None;
            alert.inhibited_by = None;
        });
        match state {
            AlertState::Firing => self.note_turned(key),
            AlertState::Pending | AlertState::Resolved => self.withdraw(key),
        }
    }

    /// The row goes back to what it was before a cancelled incident.
    fn withdraw(&mut self, key: &AlertKey) {
        let before = self.latest.remove(key).and_then(|incident| {
            let transitions = incident.transitions;
            incident.before.map(|alert| (*alert, transitions))
        });
        if let Some((alert, transitions)) = before {
            let incident = Incident { alert, transitions, fires_at: None, pending_us: 0, before: None };
            self.latest.insert(key.clone(), incident);
        }
    }

    fn note_turned(&mut self, key: &AlertKey) {
        if matches!(key.rule, Rule::ReaderDown | Rule::WatcherSuspect) {
            self.turned.push(key.clone());
        }
    }

    /// Changes an alert and says so.
    fn transition(
        &mut self,
        key: &AlertKey,
        transition: AlertTransition,
        cause: &Cause,
        out: &mut Vec<Event>,
        change: impl FnOnce(&mut Alert),
    ) {
        let Some(incident) = self.latest.get_mut(key) else { return };
        change(&mut incident.alert);
        incident.transitions += 1;
        let alert = incident.alert.clone();
        let ordinal = incident.transitions.to_be_bytes();
        self.dirty.insert(key.clone());
        let cause = Cause { late: false, ..cause.clone() };
        let id = alert.incident.0;
        let (site, subject) = (alert.site.clone(), subject_of(key));
        out.push(cause.event(site, subject, EventBody::Alert { transition, alert }, &[&id, &ordinal]));
    }
}

/// Whom an alert is about, as events name it.
fn subject_of(key: &AlertKey) -> Subject {
    let subject = key.subject.as_str();
    match key.rule {
        rule if rule.is_about_asset() => Subject::Asset(AssetId::new(subject)),
        Rule::ReaderDown => Subject::Source(SourceId::new(subject)),
        Rule::TrackerSilent => Subject::Device(DeviceId::new(subject)),
        Rule::Condition | Rule::SensorBad => {
            let parts = if key.rule == Rule::Condition { 2 } else { 1 };
            Subject::Device(DeviceId::new(subject.rsplitn(parts + 1, '/').last().unwrap_or(subject)))
        }
        Rule::Zombie => Epc::from_hex(subject).map_or(Subject::Node, Subject::Tag),
        _ => Subject::Node,
    }
}
