//! The register: what the company owns, how it is tagged, and who has it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::epc::Epc;
use super::ids::{AssetId, ClassId, DeviceId, SiteId, ZoneId};
use super::time::Timestamp;

/// One row of the register. The key is unique within its table.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "table", rename_all = "kebab-case")]
pub enum Record {
    Zone(Zone),
    Class(AssetClass),
    Asset(Asset),
    Tag(TagAttachment),
    Tracker(TrackerAttachment),
    Sensor(SensorAttachment),
}

impl Record {
    pub fn table(&self) -> &'static str {
        match self {
            Self::Zone(_) => "zone",
            Self::Class(_) => "class",
            Self::Asset(_) => "asset",
            Self::Tag(_) => "tag",
            Self::Tracker(_) => "tracker",
            Self::Sensor(_) => "sensor",
        }
    }

    pub fn key(&self) -> String {
        match self {
            Self::Zone(zone) => zone.name.to_string(),
            Self::Class(class) => class.name.to_string(),
            Self::Asset(asset) => asset.id.to_string(),
            Self::Tag(tag) => tag.epc.to_string(),
            Self::Tracker(tracker) => tracker.device.to_string(),
            Self::Sensor(sensor) => sensor.device.to_string(),
        }
    }

    /// Key of the state row: `table/key`.
    pub fn state_key(&self) -> String {
        format!("{}/{}", self.table(), self.key())
    }
}

/// Where assets stay.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Zone {
    pub name: ZoneId,
    pub site: SiteId,
    #[serde(default)]
    pub coverage: Coverage,
}

/// How well a zone is listened to. Ghost clocks run only in `Continuous` ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    Continuous,
    PortalOnly,
    #[default]
    None,
}

/// A kind of asset; carries the rules.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AssetClass {
    pub name: ClassId,
    /// Working coverage without a sighting after which an asset in a continuous zone is a ghost.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    pub ghost_after: Option<Duration>,
    /// Added to due back before a checkout is overdue.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    pub overdue_grace: Option<Duration>,
    #[serde(default)]
    pub criticality: Criticality,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criticality {
    Low,
    #[default]
    Normal,
    High,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Asset {
    pub id: AssetId,
    pub class: ClassId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_zone: Option<ZoneId>,
    /// Retired assets are not expected anywhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TagAttachment {
    pub epc: Epc,
    pub asset: AssetId,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TrackerAttachment {
    pub device: DeviceId,
    pub asset: AssetId,
}

/// A sensor device attached to an asset or to a zone; exactly one of the two.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SensorAttachment {
    pub device: DeviceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<AssetId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneId>,
}

/// Who has it, and until when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Checkout {
    pub asset: AssetId,
    /// A person, a team or a project.
    pub holder: String,
    pub checked_out_at: Timestamp,
    pub due_back: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Optional durations as whole or fractional seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => s.serialize_some(&duration.as_secs_f64()),
            None => s.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        let seconds: Option<f64> = Option::deserialize(d)?;
        seconds.map(|s| Duration::try_from_secs_f64(s).map_err(serde::de::Error::custom)).transpose()
    }
}
