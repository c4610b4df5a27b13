//! What hangs on what, from when to when: tags, trackers and sensors.

use std::hash::Hash;

use indexmap::Equivalent;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::epc::{Epc, HeldEpc};
use crate::domain::ids::{AssetId, DeviceId, PersonId, ZoneId};
use crate::domain::time::Timestamp;

/// Something that is attached to a carrier for a time; several in turn over its life, one at a time.
///
/// JSON: the key under its own name (`epc`, `device`), then `asset`, `person` or `zone`, then `from` and `to`
/// where they are set.
#[derive(Clone, PartialEq, Debug)]
pub struct Attachment<K> {
    pub key: K,
    pub carrier: Carrier,
    /// Not set: since ever.
    pub from: Option<Timestamp>,
    /// The first moment at which it no longer holds; not set: it holds.
    pub to: Option<Timestamp>,
}

pub type TagAttachment = Attachment<Epc>;
pub type TrackerAttachment = Attachment<DeviceId>;
pub type SensorAttachment = Attachment<DeviceId>;

/// What something hangs on. Tags hang on assets and people (badges), trackers on assets, sensors on
/// assets and zones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Carrier {
    Asset(AssetId),
    Person(PersonId),
    Zone(ZoneId),
}

impl Carrier {
    pub fn asset(&self) -> Option<&AssetId> {
        match self {
            Self::Asset(asset) => Some(asset),
            Self::Person(_) | Self::Zone(_) => None,
        }
    }
}

/// `asset "FL-07"`.
impl std::fmt::Display for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asset(asset) => write!(f, "asset `{asset}`"),
            Self::Person(person) => write!(f, "person `{person}`"),
            Self::Zone(zone) => write!(f, "zone `{zone}`"),
        }
    }
}

/// What can be attached, and the name of its key.
pub trait Attachable: Clone + std::fmt::Display + Equivalent<Self::Held> {
    const FIELD: &'static str;
    /// As a large table holds it.
    type Held: Clone + Eq + Hash + std::fmt::Debug;

    fn to_held(&self) -> Self::Held;
    fn of_held(held: &Self::Held) -> Self;
}

impl Attachable for Epc {
    const FIELD: &'static str = "epc";
    type Held = HeldEpc;

    fn to_held(&self) -> HeldEpc {
        HeldEpc::from(*self)
    }

    fn of_held(held: &HeldEpc) -> Self {
        held.epc()
    }
}

impl Attachable for DeviceId {
    const FIELD: &'static str = "device";
    type Held = Self;

    fn to_held(&self) -> Self {
        self.clone()
    }

    fn of_held(held: &Self) -> Self {
        held.clone()
    }
}

impl<K: Attachable> Attachment<K> {
    /// Attached for good.
    pub fn new(key: K, carrier: Carrier) -> Self {
        Self { key, carrier, from: None, to: None }
    }

    pub fn on_asset(key: K, asset: impl Into<AssetId>) -> Self {
        Self::new(key, Carrier::Asset(asset.into()))
    }

    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }

    /// The key within its table: `key`, or `key@from`.
    pub fn record_key(&self) -> String {
        match self.from {
            Some(from) => format!("{}@{from}", self.key),
            None => self.key.to_string(),
        }
    }
}

/// Takes a record key apart; `None` where what follows the last `@` is no time (a device's name may hold
/// one).
pub fn split_key(record_key: &str) -> (&str, Option<Timestamp>) {
    match record_key.rsplit_once('@').map(|(key, from)| (key, Timestamp::parse(from))) {
        Some((key, Some(from))) => (key, Some(from)),
        _ => (record_key, None),
    }
}

impl<K: Attachable + Serialize> Serialize for Attachment<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(K::FIELD, &self.key)?;
        match &self.carrier {
            Carrier::Asset(asset) => map.serialize_entry("asset", asset)?,
            Carrier::Person(person) => map.serialize_entry("person", person)?,
            Carrier::Zone(zone) => map.serialize_entry("zone", zone)?,
        }
        if let Some(from) = &self.from {
            map.serialize_entry("from", from)?;
        }
        if let Some(to) = &self.to {
            map.serialize_entry("to", to)?;
        }
        map.end()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAttachment<K> {
    /// Which table it is of, where that is known already.
    #[serde(default, rename = "table")]
    _table: serde::de::IgnoredAny,
    #[serde(alias = "epc", alias = "device")]
    key: K,
    #[serde(default)]
    asset: Option<AssetId>,
    #[serde(default)]
    person: Option<PersonId>,
    #[serde(default)]
    zone: Option<ZoneId>,
    #[serde(default)]
    from: Option<Timestamp>,
    #[serde(default)]
    to: Option<Timestamp>,
}

impl<'de, K: Deserialize<'de>> Deserialize<'de> for Attachment<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawAttachment::<K>::deserialize(deserializer)?;
        let carrier = match (raw.asset, raw.person, raw.zone) {
            (Some(asset), None, None) => Carrier::Asset(asset),
            (None, Some(person), None) => Carrier::Person(person),
            (None, None, Some(zone)) => Carrier::Zone(zone),
            _ => return Err(serde::de::Error::custom("it is attached to one of asset, person or zone")),
        };
        Ok(Self { key: raw.key, carrier, from: raw.from, to: raw.to })
    }
}
