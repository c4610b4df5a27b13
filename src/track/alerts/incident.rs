//! One incident: the alert that people see, and what the machine needs beside it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::policy::{Escalation, Policy};
use crate::config::AlertRules;
use crate::domain::alerts::{Alert, AlertState, Severity};
use crate::domain::time::Timestamp;

/// The row in the journal: an [`Alert`] with what the machine needs beside it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Incident {
    #[serde(flatten)]
    pub alert: Alert,
    /// Transitions so far; numbers their events.
    #[serde(default)]
    pub(super) transitions: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) pending_us: u64,
    /// The incident before this one, until this one fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Box<Alert>>,
    /// As severe as its rule has it, before any policy and escalation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<Severity>,
    /// As severe as a policy has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ruled: Option<Severity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) escalation: Option<Escalation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) escalates_at: Option<Timestamp>,
    /// When incidents of this key fired lately, this one among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) fired: Vec<Timestamp>,
    /// Flapping, and its condition is away: resolved then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) settles_at: Option<Timestamp>,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Incident {
    /// An incident that is over, as it was.
    pub(super) fn past(alert: Alert, transitions: u32, fired: Vec<Timestamp>) -> Self {
        Self {
            alert,
            transitions,
            fires_at: None,
            pending_us: 0,
            before: None,
            asked: None,
            ruled: None,
            escalation: None,
            escalates_at: None,
            fired,
            settles_at: None,
        }
    }

    /// A row of a build that did not note who was told: what fired and is not explained was told.
    pub(super) fn amend_older(&mut self) {
        let alert = &mut self.alert;
        let older = self.asked.is_none() && alert.state == AlertState::Firing;
        if older && alert.told_at.is_none() && alert.inhibited_by.is_none() {
            alert.told_at = alert.fired_at;
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.alert.state != AlertState::Resolved
    }

    /// Takes what the configuration says now; says whether anything is another.
    pub(super) fn rule(&mut self, asked: Severity, policy: &Policy) -> bool {
        let before = self.clone();
        self.asked = Some(asked);
        self.ruled = policy.severity;
        self.escalation.clone_from(&policy.escalation);
        self.alert.receivers.clone_from(&policy.receivers);
        if self.alert.escalated_at.is_some() {
            self.escalate();
        } else {
            self.alert.severity = policy.severity.unwrap_or(asked);
        }
        *self != before
    }

    /// As severe, and for as many, as its escalation has it.
    pub(super) fn escalate(&mut self) {
        let ruled = self.ruled.or(self.asked).unwrap_or(self.alert.severity);
        let Some(escalation) = &self.escalation else { return };
        self.alert.severity = escalation.severity.map_or(ruled, |severity| severity.max(ruled));
        if !self.alert.receivers.is_empty() {
            for name in &escalation.to {
                if !self.alert.receivers.contains(name) {
                    self.alert.receivers.push(name.clone());
                }
            }
        }
    }

    /// When it escalates: `after` from when somebody was told, again and again kept quiet it starts anew.
    pub(super) fn escalates_at(&self, now: Timestamp) -> Option<Timestamp> {
        let escalation = self.escalation.as_ref()?;
        let alert = &self.alert;
        let waits = alert.acknowledged.is_none() && alert.escalated_at.is_none() && alert.notifies(now);
        let due = || now + Duration::from_micros(escalation.after_us);
        (waits && self.settles_at.is_none()).then(|| self.escalates_at.unwrap_or_else(due))
    }

    /// Takes note that it fires; says whether it does so too often.
    pub(super) fn fires_too_often(&mut self, at: Timestamp, rules: &AlertRules) -> bool {
        self.fired.retain(|fired| *fired + rules.flap_window > at);
        self.fired.push(at);
        self.fired.len() > rules.flap_count
    }
}
