//! Alerts as data: one open incident per (rule, subject); acknowledged and snoozed are flags beside
//! the state.
//!
//! ```text
//!            condition holds        for `pending` long         condition ends
//!  (none) ───────────────▶ pending ───────────────▶ firing ───────────────▶ resolved
//!                             │ condition ends                                  │ condition holds
//!                             ▼                                                 ▼
//!                          (none)                                     a new incident, pending
//! ```
//!
//! One that fires and resolves too often is flapping: it stays firing until its condition has stayed away
//! for a while.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{EventId, ReadPointId, SiteId};
use super::time::Timestamp;

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, JsonSchema, Deserialize)]
pub struct AlertKey {
    pub rule: Rule,
    /// What it is about: an asset, a source, `device/point/limit`, a read point.
    pub subject: String,
}

impl AlertKey {
    pub fn new(rule: Rule, subject: impl Into<String>) -> Self {
        Self { rule, subject: subject.into() }
    }

    /// The text form, `rule/subject`.
    pub fn parse(text: &str) -> Option<Self> {
        let (rule, subject) = text.split_once('/')?;
        Some(Self { rule: Rule::parse(rule)?, subject: subject.to_owned() })
    }
}

impl fmt::Display for AlertKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.rule.as_str(), self.subject)
    }
}

/// What is alerted on. Each says what its subject names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// An asset that should be here and was not sensed. Subject: the asset.
    Ghost,
    /// A checkout past due back plus grace. Subject: the asset.
    OverdueReturn,
    /// A limit is exceeded. Subject: `device/point/limit`.
    Condition,
    /// A sensor says nothing good. Subject: `device/point`.
    SensorBad,
    /// A source's connection is away. Subject: the source.
    ReaderDown,
    /// A reader that is up says that something is wrong with it. Subject: `reader/what`.
    ReaderTrouble,
    /// Every source of a site is away, and there are at least two. Subject: the site.
    SiteDown,
    /// Many assets fell silent together. Subject: the read points, joined by `+`.
    WatcherSuspect,
    /// The journal is filling up, was started anew, or the database was found ahead of it. Subject: what
    /// of it.
    Journal,
    /// A tag that is sensed and not on the register, or a retired asset's. Subject: the EPC.
    Zombie,
    /// It left without a checkout. Subject: the asset.
    UnauthorisedExit,
    /// It left while it was not ready. Subject: the asset.
    NotReadyExit,
    /// It is in a zone where its class must not be. Subject: the asset.
    WrongZone,
    /// It left without what belongs to it. Subject: the asset.
    KitIncomplete,
    /// A tracker sends nothing any more. Subject: the device.
    TrackerSilent,
    /// A tracker says that its battery is low. Subject: the device.
    TrackerBattery,
    /// A tracker's clock is wrong. Subject: the device.
    TrackerClock,
    /// More incidents over their checkouts than allowed. Subject: the holder.
    RepeatOffender,
    /// Unused for longer than its class expects. Subject: the asset.
    Idle,
    /// Its inspection is past due. Subject: the asset.
    OverdueInspection,
    /// Planned work that explains others; it never is an alert itself. Subject: its name.
    Maintenance,
}

impl Rule {
    pub const ALL: [Self; 21] = [
        Self::Ghost,
        Self::OverdueReturn,
        Self::Condition,
        Self::SensorBad,
        Self::ReaderDown,
        Self::ReaderTrouble,
        Self::SiteDown,
        Self::WatcherSuspect,
        Self::Journal,
        Self::Zombie,
        Self::UnauthorisedExit,
        Self::NotReadyExit,
        Self::WrongZone,
        Self::KitIncomplete,
        Self::TrackerSilent,
        Self::TrackerBattery,
        Self::TrackerClock,
        Self::RepeatOffender,
        Self::Idle,
        Self::OverdueInspection,
        Self::Maintenance,
    ];

    /// Whether its subject is an asset.
    pub fn is_about_asset(self) -> bool {
        matches!(
            self,
            Self::Ghost
                | Self::OverdueReturn
                | Self::UnauthorisedExit
                | Self::NotReadyExit
                | Self::WrongZone
                | Self::KitIncomplete
                | Self::Idle
                | Self::OverdueInspection
        )
    }

    /// Whether its subject is a tracker.
    pub fn is_about_tracker(self) -> bool {
        matches!(self, Self::TrackerSilent | Self::TrackerBattery | Self::TrackerClock)
    }

    /// Whether it may be raised by something that passes a door, and then names that door.
    pub fn is_at_door(self) -> bool {
        matches!(
            self,
            Self::UnauthorisedExit
                | Self::NotReadyExit
                | Self::KitIncomplete
                | Self::WrongZone
                | Self::Zombie
        )
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ghost => "ghost",
            Self::OverdueReturn => "overdue-return",
            Self::Condition => "condition",
            Self::SensorBad => "sensor-bad",
            Self::ReaderDown => "reader-down",
            Self::ReaderTrouble => "reader-trouble",
            Self::SiteDown => "site-down",
            Self::WatcherSuspect => "watcher-suspect",
            Self::Journal => "journal",
            Self::Zombie => "zombie",
            Self::UnauthorisedExit => "unauthorised-exit",
            Self::NotReadyExit => "not-ready-exit",
            Self::WrongZone => "wrong-zone",
            Self::KitIncomplete => "kit-incomplete",
            Self::TrackerSilent => "tracker-silent",
            Self::TrackerBattery => "tracker-battery",
            Self::TrackerClock => "tracker-clock",
            Self::RepeatOffender => "repeat-offender",
            Self::Idle => "idle",
            Self::OverdueInspection => "overdue-inspection",
            Self::Maintenance => "maintenance",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == text)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertState {
    Pending,
    Firing,
    Resolved,
}

/// The latest incident of a (rule, subject).
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema, Deserialize)]
pub struct Alert {
    pub key: AlertKey,
    /// Of the incident; a new one after each resolve.
    pub incident: EventId,
    pub state: AlertState,
    pub severity: Severity,
    pub site: Option<SiteId>,
    /// One line for a person, with what to do next.
    pub summary: String,
    pub pending_since: Timestamp,
    pub fired_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    pub acknowledged: Option<Acknowledgement>,
    pub snoozed_until: Option<Timestamp>,
    /// The alert that explains this one; while set, nobody is told of this one.
    pub inhibited_by: Option<AlertKey>,
    /// The incident before this one, where there was one.
    pub previous_incident: Option<EventId>,
    /// Who is to see to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Assignment>,
    /// When somebody was first told of this incident; an end is told only of what was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
    /// It began in quiet hours, and nobody is told before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_until: Option<Timestamp>,
    /// Nobody acknowledged it in time: since then it is told more loudly, or to more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated_at: Option<Timestamp>,
    /// It fires and resolves so often that it stays firing until it is quiet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping_since: Option<Timestamp>,
    /// How many open alerts it explains: nobody is told of those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub explains: u32,
    /// Receivers that are told of it; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<String>,
    /// The door that its subject passed, where passing it is what raised the alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<AtDoor>,
}

/// A door that something passed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema, Deserialize)]
pub struct AtDoor {
    pub read_point: ReadPointId,
    /// When that was; for a rule that waits before it judges, when that wait was over.
    pub at: Timestamp,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema, Deserialize)]
pub struct Assignment {
    pub to: String,
    pub by: String,
    pub at: Timestamp,
}

#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema, Deserialize)]
pub struct Acknowledgement {
    pub by: String,
    pub at: Timestamp,
    pub note: Option<String>,
}

/// What happened to an alert, as its event says it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertTransition {
    Pending,
    Fired,
    /// Ended before it fired.
    Cancelled,
    Resolved,
    Acknowledged,
    Snoozed,
    Unsnoozed,
    Inhibited,
    Uninhibited,
    Assigned,
    /// Nobody acknowledged it in time.
    Escalated,
    /// It fired too often: it stays firing until it is quiet.
    Flapping,
    /// What it explains changed when it began or ceased to fire; `explains` says how many.
    Explains,
    /// The quiet hours in which it fired are over, and it still fires.
    QuietEnded,
}

impl AlertTransition {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Fired => "fired",
            Self::Cancelled => "cancelled",
            Self::Resolved => "resolved",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Unsnoozed => "unsnoozed",
            Self::Inhibited => "inhibited",
            Self::Uninhibited => "uninhibited",
            Self::Assigned => "assigned",
            Self::Escalated => "escalated",
            Self::Flapping => "flapping",
            Self::Explains => "explains",
            Self::QuietEnded => "quiet-ended",
        }
    }
}

impl Alert {
    /// One that begins now, with every flag as it is at the beginning.
    pub fn begin(
        key: AlertKey,
        incident: EventId,
        severity: Severity,
        site: Option<SiteId>,
        summary: String,
        at: Timestamp,
    ) -> Self {
        Self {
            key,
            incident,
            state: AlertState::Pending,
            severity,
            site,
            summary,
            pending_since: at,
            fired_at: None,
            resolved_at: None,
            acknowledged: None,
            snoozed_until: None,
            inhibited_by: None,
            previous_incident: None,
            assigned: None,
            told_at: None,
            quiet_until: None,
            escalated_at: None,
            flapping_since: None,
            explains: 0,
            receivers: Vec::new(),
            door: None,
        }
    }

    /// How long before `now` it could have fired, had its passage been heard as it happened. Long, where a
    /// reader held it back or we were away: nobody stands at that door any more.
    pub fn behind_its_door(&self, now: Timestamp) -> Option<Duration> {
        let waited = self.fired_at?.since(self.pending_since);
        Some(now.since(self.door.as_ref()?.at + waited))
    }

    /// Whether somebody should be told of it at `now`.
    pub fn notifies(&self, now: Timestamp) -> bool {
        self.state == AlertState::Firing
            && self.inhibited_by.is_none()
            && self.snoozed_until.is_none_or(|until| until <= now)
            && self.quiet_until.is_none_or(|until| until <= now)
    }

    /// Whether it is for this receiver.
    pub fn is_for(&self, receiver: &str) -> bool {
        self.receivers.is_empty() || self.receivers.iter().any(|name| name == receiver)
    }

    /// Whether people have to hear of this transition, of which `self` is the outcome: of what is to be
    /// told, and of the end of what was told.
    pub fn is_news(&self, transition: AlertTransition, at: Timestamp) -> bool {
        match transition {
            AlertTransition::Pending | AlertTransition::Cancelled => false,
            AlertTransition::Resolved | AlertTransition::Snoozed | AlertTransition::Inhibited => {
                self.told_at.is_some()
            }
            _ => self.notifies(at),
        }
    }
}
