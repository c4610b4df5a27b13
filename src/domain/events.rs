//! Events: what is committed, forwarded and asked about. One envelope for every kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alerts::{Alert, AlertTransition};
use super::audits::{Audit, AuditChange, Standing};
use super::commands::Command;
use super::epc::Epc;
use super::ids::{Antenna, AssetId, AuditId, DeviceId, EventId, FenceId, LimitId, PointId, ReadPointId};
use super::ids::{PersonId, SiteId, SourceId, ZoneId};
use super::motion::Motion;
use super::proposals::{Proposal, ProposalChange};
use super::readiness::Unready;
use super::readings::{Fix, Quality, Sample};
use super::register::{Checkout, Record, Utilisation};
use super::sightings::{Direction, Episode, FenceChange, PassageEvidence, PresenceChange, Weighed};
use super::time::Timestamp;

/// Version of the envelope and bodies that this build writes.
pub const EVENT_VERSION: u16 = 1;

/// An event before the journal numbered it: `seq`, `node` and `recorded_at` are the journal's.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    pub id: EventId,
    pub site: Option<SiteId>,
    pub subject: Subject,
    pub source: SourceId,
    pub observed_at: Timestamp,
    pub received_at: Timestamp,
    pub late: bool,
    /// 0 to 1, where it is not certain.
    pub confidence: Option<f32>,
    pub body: EventBody,
}

/// Whom an event is about: the text form is `kind:name`, for instance `asset:FL-07`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Subject {
    Asset(AssetId),
    /// A tag that is not on the register.
    Tag(Epc),
    /// Somebody whose badge was sensed.
    Person(PersonId),
    Device(DeviceId),
    Source(SourceId),
    /// A record of the register that is about no asset: its table and key.
    Record(&'static str, String),
    /// The daemon itself.
    Node,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asset(asset) => write!(f, "asset:{asset}"),
            Self::Tag(epc) => write!(f, "tag:{epc}"),
            Self::Person(person) => write!(f, "person:{person}"),
            Self::Device(device) => write!(f, "device:{device}"),
            Self::Source(source) => write!(f, "source:{source}"),
            Self::Record(table, key) => write!(f, "{table}:{key}"),
            Self::Node => f.write_str("node"),
        }
    }
}

/// The body, as JSON tagged with its kind.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EventBody {
    Presence {
        change: PresenceChange,
        epc: Epc,
        read_point: ReadPointId,
        /// None where it is `beside`.
        zone: Option<ZoneId>,
        /// A read point of another zone hears it better: it is there.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        beside: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weighed: Option<Box<Weighed>>,
    },
    Passage {
        direction: Direction,
        epc: Epc,
        portal: ReadPointId,
        from: Option<ZoneId>,
        to: Option<ZoneId>,
        evidence: PassageEvidence,
    },
    Geofence {
        change: FenceChange,
        fence: FenceId,
        /// Where it is inferred, the place and time at which the way between two fixes crosses the edge.
        fix: Fix,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        inferred: bool,
    },
    /// It set out, or came to rest after a trip.
    Motion {
        device: DeviceId,
        #[serde(flatten)]
        motion: Motion,
    },
    /// It is in a vehicle now, and where that is.
    Loaded {
        vehicle: AssetId,
        /// What tells it.
        how: String,
    },
    /// It is no longer in it.
    Unloaded {
        vehicle: AssetId,
        how: String,
    },
    /// A vehicle stands at a door.
    Docked {
        door: ReadPointId,
        how: String,
    },
    /// It no longer does.
    Undocked {
        door: ReadPointId,
        since: Timestamp,
    },
    /// Somebody held a reader to it or saw it there, or an audit came to a conclusion about it.
    Counted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audit: Option<AuditId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        standing: Option<Standing>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epc: Option<Epc>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<ZoneId>,
        how: String,
    },
    CheckedOut(Checkout),
    CheckedIn {
        checkout: Checkout,
        /// `command`, or what sensed the return.
        how: String,
    },
    /// It went from one holder to another.
    HandedOver {
        #[serde(flatten)]
        checkout: Checkout,
        /// Who had it before.
        from: String,
        /// `command`, or what sensed it.
        how: String,
    },
    /// A hand-over that was sensed, and what became of it.
    Proposal {
        change: ProposalChange,
        #[serde(flatten)]
        proposal: Proposal,
    },
    /// It is in use, as its class's `utilisation` tells; told again while that goes on, a few times an hour at
    /// most. What custody tells is in its own events.
    Used {
        by: Utilisation,
    },
    /// Whether it may go out changed, or why it may not.
    Readiness {
        ready: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reasons: Vec<Unready>,
    },
    Condition {
        device: DeviceId,
        point: PointId,
        limit: LimitId,
        #[serde(flatten)]
        episode: Episode,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<ZoneId>,
        /// What was in the zone or the vehicle: when it was told, its on-delay over; at its end, at any time since then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        exposed: Vec<AssetId>,
    },
    SensorQuality {
        device: DeviceId,
        point: PointId,
        quality: Quality,
    },
    Fix(Fix),
    Sample(Sample),
    /// A raw read, where the journal is told to keep them.
    TagRead {
        epc: Epc,
        antenna: Antenna,
        seen_count: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peak_rssi_dbm: Option<f32>,
    },
    Alert {
        transition: AlertTransition,
        alert: Box<Alert>,
    },
    Command {
        by: String,
        #[serde(flatten)]
        command: Command,
    },
    /// An audit was opened, or ended.
    Audit {
        change: AuditChange,
        by: String,
        audit: Box<Audit>,
    },
    /// A record of the register came, changed or went.
    Register(Box<RegisterChange>),
    /// Something was not seen, or not kept, between two times.
    Gap {
        from: Timestamp,
        to: Timestamp,
        reason: String,
    },
    /// A source's connection.
    Link {
        up: bool,
        reason: String,
    },
}

/// Who changed a record of the register, and what it was and is: nothing before, it came; nothing after,
/// it went.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema, Deserialize)]
pub struct RegisterChange {
    pub by: String,
    pub table: String,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Record>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Record>,
}

/// The tables of retention and of TimescaleDB.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum EventClass {
    Location,
    Condition,
    Alert,
    Command,
    Gap,
    Fix,
    Sample,
    Read,
}

impl EventBody {
    /// The kind as the journal's column and the JSON tag have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Presence { .. } => "presence",
            Self::Passage { .. } => "passage",
            Self::Geofence { .. } => "geofence",
            Self::Motion { .. } => "motion",
            Self::Loaded { .. } => "loaded",
            Self::Unloaded { .. } => "unloaded",
            Self::Docked { .. } => "docked",
            Self::Undocked { .. } => "undocked",
            Self::Counted { .. } => "counted",
            Self::CheckedOut(_) => "checked-out",
            Self::CheckedIn { .. } => "checked-in",
            Self::HandedOver { .. } => "handed-over",
            Self::Proposal { .. } => "proposal",
            Self::Used { .. } => "used",
            Self::Readiness { .. } => "readiness",
            Self::Condition { .. } => "condition",
            Self::SensorQuality { .. } => "sensor-quality",
            Self::Fix(_) => "fix",
            Self::Sample(_) => "sample",
            Self::TagRead { .. } => "tag-read",
            Self::Alert { .. } => "alert",
            Self::Command { .. } => "command",
            Self::Audit { .. } => "audit",
            Self::Register(_) => "register",
            Self::Gap { .. } => "gap",
            Self::Link { .. } => "link",
        }
    }

    pub fn class(&self) -> EventClass {
        EventClass::of_kind(self.kind()).unwrap_or(EventClass::Gap)
    }
}

impl EventClass {
    pub fn of_kind(kind: &str) -> Option<Self> {
        Some(match kind {
            "presence" | "passage" | "geofence" | "motion" | "loaded" | "unloaded" | "docked"
            | "undocked" | "counted" | "checked-out" | "checked-in" | "handed-over" | "proposal" | "used"
            | "readiness" => Self::Location,
            "condition" | "sensor-quality" => Self::Condition,
            "fix" => Self::Fix,
            "sample" => Self::Sample,
            "tag-read" => Self::Read,
            "alert" => Self::Alert,
            "command" | "register" | "audit" => Self::Command,
            "gap" | "link" => Self::Gap,
            _ => return None,
        })
    }
}
