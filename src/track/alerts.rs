//! The alert state machine: at most one open incident per (rule, subject), every transition an event.
//!
//! It knows no rule. Who calls it says whether a condition holds; what is pending fires by deadline.
//! Acknowledged, assigned, snoozed, inhibited and quiet are flags beside the state; an alert that nobody
//! acknowledges escalates, one that fires too often is flapping and resolves when it has been quiet. A
//! cancelled incident leaves the row as it was before it; a resolved one stays as the latest of its key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cause::Cause;
use super::deadlines::Deadlines;
use crate::domain::alerts::{
    Acknowledgement, Alert, AlertKey, AlertState, AlertTransition, Assignment, AtDoor, Rule, Severity,
};
use crate::domain::erasure::Eraser;
use crate::domain::events::Event;
use crate::domain::ids::{ClassId, SiteId};
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

mod incident;
mod policy;
mod steps;

pub use incident::Incident;
pub(super) use policy::Policies;

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

/// What is known of the subject of an alert when it is raised.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub class: Option<ClassId>,
    /// What explains it from the start.
    pub by: Option<AlertKey>,
    pub door: Option<AtDoor>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    Fire,
    Unsnooze,
    QuietEnds,
    Escalate,
    /// Flapping, and away for long enough.
    Settle,
}

impl Due {
    const ALL: [Self; 5] = [Self::Fire, Self::Unsnooze, Self::QuietEnds, Self::Escalate, Self::Settle];
}

#[derive(Debug, Default)]
pub(super) struct Alerts {
    pub policies: Policies,
    latest: BTreeMap<AlertKey, Incident>,
    deadlines: Deadlines<(AlertKey, Due)>,
    dirty: BTreeSet<AlertKey>,
    /// Keys that began or ceased to fire and may inhibit others.
    turned: Vec<AlertKey>,
    /// Keys that explain another number of alerts than before.
    recounted: BTreeSet<AlertKey>,
}

impl Alerts {
    /// Says whether the condition of `key` holds. Where a class or an explanation may matter, see
    /// [`Self::raise`].
    pub fn condition(&mut self, key: &AlertKey, holds: Option<Details>, cause: &Cause, out: &mut Vec<Event>) {
        match holds {
            Some(details) => self.raise(key, details, About::default(), cause, out),
            None => self.ends(key, false, cause, out),
        }
    }

    /// The condition of `key` holds, for something that this is known of.
    pub fn raise(
        &mut self,
        key: &AlertKey,
        details: Details,
        about: About,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let policy = self.policies.of(key, about.class.as_ref(), details.site.as_ref());
        if policy.disabled {
            self.ends(key, true, cause, out);
        } else if self.open(key).is_some() {
            self.renew(key, details, &policy, cause, out);
        } else {
            self.begin(key, details, policy, about, cause, out);
        }
    }

    pub fn open(&self, key: &AlertKey) -> Option<&Alert> {
        self.latest.get(key).filter(|incident| incident.is_open()).map(|incident| &incident.alert)
    }

    /// Whether any alert ever was.
    pub fn any(&self) -> bool {
        !self.latest.is_empty()
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
            .filter(|(_, incident)| incident.is_open())
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

    /// `false` where no alert of that key is open.
    pub fn assign(
        &mut self,
        key: &AlertKey,
        to: &str,
        by: &str,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) -> bool {
        if self.open(key).is_none() {
            return false;
        }
        let at = cause.received_at;
        self.transition(key, AlertTransition::Assigned, cause, out, |alert| {
            alert.assigned = Some(Assignment { to: to.to_owned(), by: by.to_owned(), at });
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
        let Some(before) = self.open(key).map(|alert| alert.inhibited_by.clone()) else { return };
        if before == by {
            return;
        }
        let transition = match by {
            Some(_) => AlertTransition::Inhibited,
            None => AlertTransition::Uninhibited,
        };
        self.transition(key, transition, cause, out, |alert| alert.inhibited_by.clone_from(&by));
        self.recount(before.as_ref(), by.as_ref());
    }

    /// Says of what began or ceased to fire how many alerts it explains now.
    pub fn tell_explained(&mut self, turned: bool, cause: &Cause, out: &mut Vec<Event>) {
        for key in std::mem::take(&mut self.recounted) {
            if turned && self.is_firing(&key) {
                self.transition(&key, AlertTransition::Explains, cause, out, |_| {});
            }
        }
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
            Due::QuietEnds => self.end_quiet(&key, &cause, out),
            Due::Escalate => self.escalate(&key, &cause, out),
            Due::Settle => self.ends(&key, true, &cause, out),
        }
    }

    /// After a restart: what we did not watch is no evidence, so every pending time begins again.
    pub fn restart_pending(&mut self, now: Timestamp) {
        for key in self.all_open() {
            if let Some(incident) = self.latest.get_mut(&key)
                && incident.alert.state == AlertState::Pending
            {
                let fires_at = now + Duration::from_micros(incident.pending_us);
                incident.fires_at = Some(fires_at);
                self.deadlines.set((key.clone(), Due::Fire), Some(fires_at));
                self.dirty.insert(key);
            }
        }
        self.count_explained();
    }

    /// Applies the configuration, which may have changed, to an open alert about something of that class.
    pub fn apply_policy(
        &mut self,
        key: &AlertKey,
        class: Option<&ClassId>,
        cause: &Cause,
        out: &mut Vec<Event>,
    ) {
        let Some(incident) = self.latest.get(key).filter(|incident| incident.is_open()) else { return };
        let policy = self.policies.of(key, class, incident.alert.site.as_ref());
        let asked = incident.asked.unwrap_or(incident.alert.severity);
        match policy.disabled {
            true => self.ends(key, true, cause, out),
            false => self.follow(key, asked, &policy, cause, out),
        }
    }

    pub fn all_open(&self) -> Vec<AlertKey> {
        let open = self.latest.iter().filter(|(_, incident)| incident.is_open());
        open.map(|(key, _)| key.clone()).collect()
    }

    pub fn restore(&mut self, mut incident: Incident) {
        let key = incident.alert.key.clone();
        incident.amend_older();
        let open = incident.is_open();
        for due in Due::ALL {
            let at = match due {
                Due::Fire => incident.fires_at,
                Due::Unsnooze => incident.alert.snoozed_until,
                Due::QuietEnds => incident.alert.quiet_until,
                Due::Escalate => incident.escalates_at,
                Due::Settle => incident.settles_at,
            };
            self.deadlines.set((key.clone(), due), at.filter(|_| open));
        }
        self.latest.insert(key, incident);
    }

    /// Ends an open alert, also one that would go on for a while because it flaps.
    pub fn end_for_good(&mut self, key: &AlertKey, cause: &Cause, out: &mut Vec<Event>) {
        self.ends(key, true, cause, out);
    }

    /// Every incident that names the one who is erased, as it is without them.
    pub fn without(&self, eraser: &Eraser) -> Result<Vec<(AlertKey, Incident)>, serde_json::Error> {
        let erased = |(key, incident): (&AlertKey, &Incident)| {
            eraser.value(incident).transpose().map(|erased| Ok((key.clone(), erased?)))
        };
        self.latest.iter().filter_map(erased).collect()
    }

    /// Takes incidents as they are now. What was about somebody who is erased has ended before, and goes under its
    /// new name.
    pub fn restate(&mut self, incidents: Vec<(AlertKey, Incident)>) {
        for (key, incident) in incidents {
            let renamed = incident.alert.key.clone();
            self.dirty.extend([key.clone(), renamed.clone()]);
            if renamed == key {
                self.latest.insert(key, incident);
                continue;
            }
            self.latest.remove(&key);
            for due in Due::ALL {
                self.deadlines.set((key.clone(), due), None);
            }
            self.restore(incident);
        }
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
}
