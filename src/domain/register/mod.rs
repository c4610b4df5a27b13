//! The register: what the company owns, how it is tagged, who there is, and what is expected of it.
//!
//! Each kind of row is a [`Record`]: JSON tagged with its table, a key unique within the table. Fields that
//! a record does not know are refused, so that a mistyped name is not taken for nothing. What changes by
//! itself (where a thing is, who has it, whether it is ready) is not here; see [`super::state`].

mod asset;
mod attachment;
mod class;
mod following;
mod place;

pub use asset::{Asset, Details, Lifecycle};
pub use attachment::{
    Attachable, Attachment, Carrier, SensorAttachment, TagAttachment, TrackerAttachment, split_key,
};
pub use class::{AssetClass, ClassLimit, Criticality, Handover, Returns, Utilisation};
pub use following::{Change, Misfit, News, Plan, Reached};
pub use place::{Coverage, Maintained, Maintenance, Site, Zone};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{AssetId, PersonId, Pool, SiteId};
use super::json;
use super::readiness::Unready;
use super::time::Timestamp;

/// One row of the register. The key is unique within its table.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema, Deserialize)]
#[serde(tag = "table", rename_all = "kebab-case")]
pub enum Record {
    Site(Site),
    Zone(Zone),
    Class(Box<AssetClass>),
    Person(Person),
    Asset(Asset),
    Tag(TagAttachment),
    Tracker(TrackerAttachment),
    Sensor(SensorAttachment),
    Maintenance(Maintenance),
}

impl Record {
    /// Every table, in an order in which no record refers to one of a later table.
    pub const TABLES: [&str; 9] =
        ["site", "zone", "class", "person", "asset", "tag", "tracker", "sensor", "maintenance"];

    pub fn table(&self) -> &'static str {
        match self {
            Self::Site(_) => "site",
            Self::Zone(_) => "zone",
            Self::Class(_) => "class",
            Self::Person(_) => "person",
            Self::Asset(_) => "asset",
            Self::Tag(_) => "tag",
            Self::Tracker(_) => "tracker",
            Self::Sensor(_) => "sensor",
            Self::Maintenance(_) => "maintenance",
        }
    }

    /// Of an attachment that has a beginning: `key@from`.
    pub fn key(&self) -> String {
        match self {
            Self::Site(site) => site.name.to_string(),
            Self::Zone(zone) => zone.name.to_string(),
            Self::Class(class) => class.name.to_string(),
            Self::Person(person) => person.id.to_string(),
            Self::Asset(asset) => asset.id.to_string(),
            Self::Tag(tag) => tag.record_key(),
            Self::Tracker(tracker) => tracker.record_key(),
            Self::Sensor(sensor) => sensor.record_key(),
            Self::Maintenance(maintenance) => maintenance.name.clone(),
        }
    }

    /// Reads the record of a state row. For the tables of which there are many rows this is done without
    /// looking for the tag first, which takes several times as long.
    pub fn parse(state_key: &str, value: &[u8]) -> Result<Self, serde_json::Error> {
        match state_key.split_once('/').map(|(table, _)| table) {
            Some("asset") => json::read(value).map(Self::Asset),
            Some("tag") => json::read(value).map(Self::Tag),
            Some("tracker") => json::read(value).map(Self::Tracker),
            Some("sensor") => json::read(value).map(Self::Sensor),
            _ => json::read(value),
        }
    }

    /// Lets names that many records have be the pool's. An asset's own is not among them.
    pub fn share(&mut self, pool: &mut Pool) {
        let carrier = match self {
            Self::Asset(asset) => return asset.share(pool),
            Self::Tag(tag) => &mut tag.carrier,
            Self::Tracker(attachment) | Self::Sensor(attachment) => &mut attachment.carrier,
            Self::Site(_) | Self::Zone(_) | Self::Class(_) | Self::Person(_) | Self::Maintenance(_) => return,
        };
        match carrier {
            Carrier::Asset(_) => {}
            Carrier::Person(person) => person.share(pool),
            Carrier::Zone(zone) => zone.share(pool),
        }
    }

    /// Key of the state row: `table/key`.
    pub fn state_key(&self) -> String {
        format!("{}/{}", self.table(), self.key())
    }

    /// The asset that a record is about, or hangs something on.
    pub fn asset(&self) -> Option<&AssetId> {
        match self {
            Self::Asset(asset) => Some(&asset.id),
            Self::Tag(tag) => tag.carrier.asset(),
            Self::Tracker(tracker) => tracker.carrier.asset(),
            Self::Sensor(sensor) => sensor.carrier.asset(),
            Self::Site(_) | Self::Zone(_) | Self::Class(_) | Self::Person(_) | Self::Maintenance(_) => None,
        }
    }
}

/// Somebody who takes things and brings them back.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub id: PersonId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
}

/// Who has it, and until when.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema, Deserialize)]
pub struct Checkout {
    pub asset: AssetId,
    /// The id of a person on the register, or a team, a project, whoever else.
    pub holder: String,
    pub checked_out_at: Timestamp,
    pub due_back: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What spoke against it when it was checked out, where somebody overrode that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waived: Vec<Unready>,
}

#[cfg(test)]
mod tests;
