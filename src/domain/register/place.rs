//! Sites and zones, and the times in which part of them is deliberately not working.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::calendar::Calendar;
use crate::domain::ids::{ReadPointId, SiteId, SourceId, ZoneId};
use crate::domain::time::Timestamp;

/// A place with one clock on the wall and one working calendar.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(try_from = "RawSite", into = "RawSite")]
pub struct Site {
    pub name: SiteId,
    /// By its IANA name.
    pub timezone: TimeZone,
    pub calendar: Calendar,
}

#[derive(Serialize, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Site")]
struct RawSite {
    name: SiteId,
    timezone: String,
    #[serde(default, skip_serializing_if = "Calendar::is_default")]
    calendar: Calendar,
}

impl TryFrom<RawSite> for Site {
    type Error = String;

    fn try_from(raw: RawSite) -> Result<Self, String> {
        let timezone = TimeZone::get(&raw.timezone)
            .map_err(|_| format!("`{}` is not a known time zone, such as Europe/Berlin", raw.timezone))?;
        Ok(Self { name: raw.name, timezone, calendar: raw.calendar })
    }
}

impl From<Site> for RawSite {
    fn from(site: Site) -> Self {
        let timezone = site.timezone.iana_name().unwrap_or("UTC").to_owned();
        Self { name: site.name, timezone, calendar: site.calendar }
    }
}

/// Where assets stay.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    pub name: ZoneId,
    pub site: SiteId,
    #[serde(default)]
    pub coverage: Coverage,
}

/// How well a zone is listened to. Ghost clocks run only in `Continuous` ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    Continuous,
    PortalOnly,
    #[default]
    None,
}

/// Planned work: while it lasts, what it concerns is not expected to hear, and nobody is told that it
/// does not.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    pub name: String,
    pub of: Maintained,
    pub from: Timestamp,
    pub to: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What planned work concerns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maintained {
    /// A reader, a broker, a Modbus device.
    Source(SourceId),
    ReadPoint(ReadPointId),
    Zone(ZoneId),
    Site(SiteId),
}
