//! The steps of an incident from its beginning to its end.

use std::collections::BTreeMap;

use super::policy::Policy;
use super::{About, Alerts, Details, Due, Incident};
use crate::domain::alerts::{Alert, AlertKey, AlertState, AlertTransition, Rule, Severity};
use crate::domain::epc::Epc;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::ids::{AssetId, DeviceId, EventId, SourceId};
use crate::domain::time::Timestamp;
use crate::track::cause::Cause;

impl Alerts {
    pub(super) fn begin(
        &mut self,
        key: &AlertKey,
        details: Details,
        policy: Policy,
        about: About,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let pending = policy.pending.unwrap_or(details.pending);
        let by = about.by.clone();
        let incident = self.open_incident(key, Details { pending, ..details }, &policy, about, cause);
        let fires_at = incident.fires_at;
        self.latest.insert(key.clone(), incident);
        self.dirty.insert(key.clone());
        self.recount(None, by.as_ref());
        if pending.is_zero() {
            self.fire(key, cause, out);
        } else {
            self.transition(key, AlertTransition::Pending, cause, out, |_| {});
            self.deadlines.set((key.clone(), Due::Fire), fires_at);
        }
    }

    /// An open alert whose words changed says the new ones; that is no transition. One that was about to
    /// settle does not.
    pub(super) fn renew(
        &mut self,
        key: &AlertKey,
        details: Details,
        policy: &Policy,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(incident) = self.latest.get_mut(key) else { return };
        if incident.settles_at.take().is_some() || incident.alert.summary != details.summary {
            incident.alert.summary = details.summary;
            self.deadlines.set((key.clone(), Due::Settle), None);
            self.dirty.insert(key.clone());
        }
        self.follow(key, details.severity, policy, cause, out);
    }

    /// Takes the severity and the policy as they are now.
    pub(super) fn follow(
        &mut self,
        key: &AlertKey,
        asked: Severity,
        policy: &Policy,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(incident) = self.latest.get_mut(key) else { return };
        if incident.rule(asked, policy) {
            self.dirty.insert(key.clone());
            self.arm(key, cause.received_at);
        }
        // What became more severe may no longer be kept for the morning.
        if self.latest.get(key).is_some_and(|incident| incident.alert.quiet_until.is_some())
            && self.quiet_until(key, cause.received_at).is_none()
        {
            self.end_quiet(key, cause, out);
        }
    }

    fn open_incident(
        &self,
        key: &AlertKey,
        details: Details,
        policy: &Policy,
        about: About,
        cause: &Cause,
    ) -> Incident {
        let before = self.latest.get(key);
        let fired = before.map(|incident| incident.fired.clone()).unwrap_or_default();
        let before = before.map(|incident| incident.alert.clone());
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
        let incident = EventId::derive(cause.observed_at, &parts);
        let Details { site, severity, summary, pending, .. } = details;
        let begun = Alert::begin(key.clone(), incident, severity, site, summary, cause.observed_at);
        let alert = Alert { inhibited_by: about.by, previous_incident: previous, door: about.door, ..begun };
        let pending_us = u64::try_from(pending.as_micros()).unwrap_or(u64::MAX);
        let mut incident = Incident::past(alert, 0, fired);
        incident.pending_us = pending_us;
        incident.fires_at = (pending_us > 0).then(|| cause.observed_at + pending);
        incident.before = before.map(Box::new);
        incident.rule(severity, policy);
        incident
    }

    pub(super) fn fire(&mut self, key: &AlertKey, cause: &Cause, out: &mut Vec<Event>) {
        let quiet_until = self.quiet_until(key, cause.received_at);
        let mut too_often = false;
        if let Some(incident) = self.latest.get_mut(key) {
            incident.fires_at = None;
            incident.before = None;
            too_often = incident.fires_too_often(cause.observed_at, &self.policies.rules);
        }
        self.deadlines.set((key.clone(), Due::QuietEnds), quiet_until);
        self.transition(key, AlertTransition::Fired, cause, out, |alert| {
            alert.state = AlertState::Firing;
            alert.fired_at = Some(cause.observed_at.max(alert.pending_since));
            alert.quiet_until = quiet_until;
        });
        if too_often {
            let since = cause.observed_at;
            self.transition(key, AlertTransition::Flapping, cause, out, |alert| {
                alert.flapping_since = Some(since);
            });
        }
        self.note_turned(key);
    }

    pub(super) fn escalate(&mut self, key: &AlertKey, cause: &Cause, out: &mut Vec<Event>) {
        let Some(incident) = self.latest.get_mut(key) else { return };
        incident.escalates_at = None;
        incident.escalate();
        let at = cause.observed_at;
        self.transition(key, AlertTransition::Escalated, cause, out, |alert| alert.escalated_at = Some(at));
    }

    pub(super) fn end_quiet(&mut self, key: &AlertKey, cause: &Cause, out: &mut Vec<Event>) {
        self.deadlines.set((key.clone(), Due::QuietEnds), None);
        self.transition(key, AlertTransition::QuietEnded, cause, out, |alert| alert.quiet_until = None);
    }

    fn quiet_until(&self, key: &AlertKey, at: Timestamp) -> Option<Timestamp> {
        let alert = &self.latest.get(key)?.alert;
        self.policies.quiet_until(alert.site.as_ref(), alert.severity, at)
    }

    /// The condition is gone. A flapping alert stays until it has been quiet, unless `for_good`.
    pub(super) fn ends(&mut self, key: &AlertKey, for_good: bool, cause: &Cause, out: &mut Vec<Event>) {
        let Some(incident) = self.latest.get_mut(key).filter(|incident| incident.is_open()) else { return };
        if incident.alert.flapping_since.is_some() && !for_good {
            if incident.settles_at.is_none() {
                let settles_at = cause.received_at + self.policies.rules.flap_quiet;
                incident.settles_at = Some(settles_at);
                self.deadlines.set((key.clone(), Due::Settle), Some(settles_at));
                self.dirty.insert(key.clone());
                self.arm(key, cause.received_at);
            }
            return;
        }
        let (state, by) = (incident.alert.state, incident.alert.inhibited_by.clone());
        incident.fires_at = None;
        incident.settles_at = None;
        if incident.alert.flapping_since.is_some() {
            incident.fired.clear();
        }
        for due in Due::ALL {
            self.deadlines.set((key.clone(), due), None);
        }
        let transition = match state {
            AlertState::Firing => AlertTransition::Resolved,
            AlertState::Pending | AlertState::Resolved => AlertTransition::Cancelled,
        };
        self.transition(key, transition, cause, out, |alert| {
            alert.state = AlertState::Resolved;
            alert.resolved_at = Some(cause.observed_at.max(alert.fired_at.unwrap_or(alert.pending_since)));
            alert.snoozed_until = None;
            alert.inhibited_by = None;
            alert.quiet_until = None;
        });
        self.recount(by.as_ref(), None);
        match state {
            AlertState::Firing => self.note_turned(key),
            AlertState::Pending | AlertState::Resolved => self.withdraw(key),
        }
    }

    /// The row goes back to what it was before a cancelled incident.
    fn withdraw(&mut self, key: &AlertKey) {
        let Some(incident) = self.latest.remove(key) else { return };
        if let Some(alert) = incident.before {
            let past = Incident::past(*alert, incident.transitions, incident.fired);
            self.latest.insert(key.clone(), past);
        }
    }

    fn note_turned(&mut self, key: &AlertKey) {
        if matches!(key.rule, Rule::ReaderDown | Rule::SiteDown | Rule::WatcherSuspect | Rule::Condition) {
            self.turned.push(key.clone());
        }
    }

    /// One alert less is explained by `before`, and one more by `after`.
    pub(super) fn recount(&mut self, before: Option<&AlertKey>, after: Option<&AlertKey>) {
        for (key, up) in [(before, false), (after, true)] {
            let Some(incident) = key.and_then(|key| self.latest.get_mut(key)) else { continue };
            let explains = &mut incident.alert.explains;
            *explains = if up { explains.saturating_add(1) } else { explains.saturating_sub(1) };
            self.dirty.insert(incident.alert.key.clone());
            self.recounted.insert(incident.alert.key.clone());
        }
    }

    /// How many each explains, from what each is explained by: rows of older builds do not say.
    pub(super) fn count_explained(&mut self) {
        let mut counts: BTreeMap<AlertKey, u32> = BTreeMap::new();
        for incident in self.latest.values().filter(|incident| incident.is_open()) {
            if let Some(by) = &incident.alert.inhibited_by {
                *counts.entry(by.clone()).or_default() += 1;
            }
        }
        for (key, incident) in &mut self.latest {
            let count = counts.get(key).copied().unwrap_or(0);
            if incident.alert.explains != count {
                incident.alert.explains = count;
                self.dirty.insert(key.clone());
            }
        }
    }

    /// Sets or clears the deadline of the escalation, as the alert stands now.
    fn arm(&mut self, key: &AlertKey, now: Timestamp) {
        let Some(incident) = self.latest.get_mut(key) else { return };
        let escalates_at = incident.escalates_at(now);
        if incident.escalates_at != escalates_at {
            incident.escalates_at = escalates_at;
            self.deadlines.set((key.clone(), Due::Escalate), escalates_at);
        }
    }

    /// Changes an alert and says so.
    pub(super) fn transition(
        &mut self,
        key: &AlertKey,
        transition: AlertTransition,
        cause: &Cause,
        out: &mut Vec<Event>,
        change: impl FnOnce(&mut Alert),
    ) {
        let now = cause.received_at;
        let Some(incident) = self.latest.get_mut(key) else { return };
        change(&mut incident.alert);
        if incident.alert.notifies(now) {
            incident.alert.told_at.get_or_insert(now);
        }
        incident.transitions += 1;
        let alert = Box::new(incident.alert.clone());
        let ordinal = incident.transitions.to_be_bytes();
        self.dirty.insert(key.clone());
        self.arm(key, now);
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
        Rule::TrackerSilent | Rule::TrackerBattery | Rule::TrackerClock => {
            Subject::Device(DeviceId::new(subject))
        }
        Rule::Condition | Rule::SensorBad => {
            let parts = if key.rule == Rule::Condition { 2 } else { 1 };
            Subject::Device(DeviceId::new(subject.rsplitn(parts + 1, '/').last().unwrap_or(subject)))
        }
        Rule::Zombie => Epc::from_hex(subject).map_or(Subject::Node, Subject::Tag),
        _ => Subject::Node,
    }
}
