//! What is committed beside the events: one row a subject, rewritten when the subject changes.

use std::error::Error;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::few::Few;
use super::geodesy::Position;
use super::ids::{AssetId, DeviceId, FenceId, PointId, ReadPointId, SourceId, ZoneId};
use super::proposals::Proposal;
use super::readiness::{Battery, Hold, Unready};
use super::readings::Quality;
use super::register::Checkout;
use super::time::Timestamp;

/// The stage that owns a row, and what its key names. The text form is the journal's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateKind {
    // Owned by clean.
    /// Clock offset of a device; key: source or device.
    Clock,
    /// Window of one tag at one read point; key: `read point/epc`.
    TagWindow,
    /// A tracker's last fix, recent digests and fences; key: device.
    Tracker,
    /// Digests of a tracker's earlier messages, a full chunk a row; key: `device#chunk`.
    TrackerSeen,
    /// Limits and quality of one sensor point; key: `device/point`.
    SensorPoint,
    /// Hearing of a read point; key: read point.
    ReadPoint,
    // Owned by track.
    /// [`AssetCurrent`]; key: asset.
    Asset,
    /// Ghost clocks of one set of read points; key: the read points, joined by `+`.
    Watch,
    /// [`super::alerts::Alert`], latest incident; key: `rule/subject`.
    Alert,
    /// A register record; key: `table/key`.
    Register,
    /// A source's connection as the alerts see it; key: source.
    Link,
    /// The last known of a sensor point; key: `device/point`.
    Sensor,
    /// A tag that is on no asset in use, while it is about; key: EPC.
    Stranger,
    /// When a tracker was last heard, by its source's clock; key: device.
    TrackerHeard,
    /// Since when a tracker that was never heard is waited for; key: device.
    TrackerUnheard,
    /// For how long a source worked; key: source, or `*` for all of those that trackers speak through.
    SourceClock,
    /// Checkouts and incidents of a holder, by day; key: the holder.
    Holder,
    /// For how long we were away, all in all; key: `total`.
    Away,
    /// How many commands were taken, a number; key: `taken`.
    Commands,
    /// [`super::audits::Audit`]; key: audit.
    Audit,
    /// [`super::audits::AuditPart`]; key: `audit#part`.
    AuditPart,
    /// [`super::audits::Item`] of an open audit; key: `audit/asset:…` or `audit/tag:…`.
    AuditItem,
    /// [`super::audits::AuditPlan`]; key: class.
    AuditPlan,
    /// The badges that lately passed a portal; key: portal.
    Badges,
    /// The vehicles that lately stood at a portal; key: portal.
    Door,
    // Owned by decode.
    /// A Sparkplug edge node, or one of its devices: names, aliases and last values; key: `broker#group/node` or
    /// `broker#group/node/device`.
    Sparkplug,
    // Owned by the pipeline.
    /// The answer to a command that carried an idempotency key; key: `who/idempotency key`.
    Answer,
    /// How far a register that a database owns was followed, and what of it does not fit; keys: `seen`,
    /// `unfit/table/key`.
    Followed,
    /// [`super::books::Book`]; key: source.
    Book,
    // Owned by a source.
    /// What a broker may hold subscriptions to for our session; key: broker.
    Subscription,
    // Owned by notify.
    /// How far a receiver of alerts has been told; key: its name.
    Receiver,
    // Owned by the journal's writer.
    /// [`super::erasure::Erasure`] under way; key: its label.
    Erasure,
}

impl StateKind {
    pub const ALL: [Self; 32] = [
        Self::Clock,
        Self::TagWindow,
        Self::Tracker,
        Self::TrackerSeen,
        Self::SensorPoint,
        Self::ReadPoint,
        Self::Asset,
        Self::Watch,
        Self::Alert,
        Self::Register,
        Self::Link,
        Self::Sensor,
        Self::Stranger,
        Self::TrackerHeard,
        Self::TrackerUnheard,
        Self::SourceClock,
        Self::Holder,
        Self::Away,
        Self::Commands,
        Self::Audit,
        Self::AuditPart,
        Self::AuditItem,
        Self::AuditPlan,
        Self::Badges,
        Self::Door,
        Self::Sparkplug,
        Self::Answer,
        Self::Followed,
        Self::Book,
        Self::Subscription,
        Self::Receiver,
        Self::Erasure,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::TagWindow => "tag-window",
            Self::Tracker => "tracker",
            Self::TrackerSeen => "tracker-seen",
            Self::SensorPoint => "sensor-point",
            Self::ReadPoint => "read-point",
            Self::Asset => "asset",
            Self::Watch => "watch",
            Self::Alert => "alert",
            Self::Register => "register",
            Self::Link => "link",
            Self::Sensor => "sensor",
            Self::Stranger => "stranger",
            Self::TrackerHeard => "tracker-heard",
            Self::TrackerUnheard => "tracker-unheard",
            Self::SourceClock => "source-clock",
            Self::Holder => "holder",
            Self::Away => "away",
            Self::Commands => "commands",
            Self::Audit => "audit",
            Self::AuditPart => "audit-part",
            Self::AuditItem => "audit-item",
            Self::AuditPlan => "audit-plan",
            Self::Badges => "badges",
            Self::Door => "door",
            Self::Sparkplug => "sparkplug",
            Self::Answer => "answer",
            Self::Followed => "followed",
            Self::Book => "book",
            Self::Subscription => "subscription",
            Self::Receiver => "receiver",
            Self::Erasure => "erasure",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A state row to write: `value` is JSON; `None` deletes.
#[derive(Clone, PartialEq, Debug)]
pub struct StateRow {
    pub kind: StateKind,
    pub key: String,
    pub value: Option<Vec<u8>>,
}

impl StateRow {
    /// A row that holds `value`. Our state types hold nothing that JSON cannot, so this does not fail;
    /// if it ever did, the row would say so rather than vanish.
    pub fn put(kind: StateKind, key: impl Into<String>, value: &impl Serialize) -> Self {
        let key = key.into();
        match serde_json::to_vec(value) {
            Ok(row) => Self { kind, key, value: Some(row) },
            Err(error) => Self::unwritable(kind, key, &error),
        }
    }

    /// What says so in place of a value that could not be written.
    pub fn unwritable(kind: StateKind, key: String, error: &dyn Error) -> Self {
        let row = format!("{{\"unwritable\":\"{error}\"}}").into_bytes();
        Self { kind, key, value: Some(row) }
    }

    pub fn delete(kind: StateKind, key: impl Into<String>) -> Self {
        Self { kind, key: key.into(), value: None }
    }
}

/// The one current answer for an asset. There may be a million of them in memory: what few assets have lies
/// beside it.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct AssetCurrent {
    pub asset: AssetId,
    pub location: Location,
    /// When the location began to hold, by the source's clock.
    pub since: Option<Timestamp>,
    pub last_sensed: Option<LastSensed>,
    /// Why we say so, in words.
    pub reason: Arc<str>,
    pub confidence: Option<f32>,
    pub checkout: Option<Box<Checkout>>,
    /// Fences its tracker is inside of.
    #[serde(default, skip_serializing_if = "<[FenceId]>::is_empty")]
    pub fences: Few<FenceId>,
    /// Set while the asset is a ghost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ghost_since: Option<Timestamp>,
    /// Whether it may go out: nothing speaks against it.
    #[serde(default = "unless_told")]
    pub ready: bool,
    /// Everything that speaks against it.
    #[serde(default, skip_serializing_if = "<[Unready]>::is_empty")]
    pub not_ready: Few<Unready>,
    /// Holds that people or the daemon put on it, beside what the register declares.
    #[serde(default, skip_serializing_if = "<[Hold]>::is_empty")]
    pub holds: Few<Hold>,
    /// Set while it waits to be inspected after a return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting_inspection: Option<Timestamp>,
    /// When it last passed an inspection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inspected_at: Option<Timestamp>,
    /// A hand-over that was sensed and that nobody has accepted or rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Box<Proposal>>,
    /// What its tracker last said of its own battery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery: Option<Box<Battery>>,
}

/// Rows of earlier versions say nothing of it, and nothing held an asset back then.
fn unless_told() -> bool {
    true
}

#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct LastSensed {
    pub at: Timestamp,
    pub by: SensedBy,
}

#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SensedBy {
    ReadPoint(ReadPointId),
    Tracker(DeviceId),
    /// A handheld, or a person who saw it.
    Hand(String),
}

#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Location {
    Unknown,
    Zone(ZoneId),
    /// Left through a portal to where no zone is named.
    OutThrough(ReadPointId),
    /// In a vehicle, and where that is.
    In(AssetId),
    At(Position),
}

/// The last known of one sensor point.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct SensorCurrent {
    pub device: DeviceId,
    pub point: PointId,
    pub value: Option<f64>,
    /// What the device says in words, or what its value is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    pub unit: Option<String>,
    pub quality: Quality,
    pub observed_at: Timestamp,
    /// Limits that are exceeded now.
    pub exceeded: Vec<String>,
}

/// A source's connection.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct LinkCurrent {
    pub source: SourceId,
    pub up: bool,
    pub caught_up: bool,
    pub since: Timestamp,
    pub reason: String,
}
