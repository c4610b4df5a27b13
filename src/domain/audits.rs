//! Audits (cycle counts) as data: what was expected where, and what was found of it.
//!
//! ```text
//!  expected ──▶ pending ──▶ found          read there, counted by hand
//!                  │   └──▶ elsewhere      checked out since the audit began (at its close)
//!                  └──────▶ missing        by hand, or not found at its close
//!  not expected ──────────▶ unexpected     read there all the same
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::epc::Epc;
use super::ids::{AssetId, AuditId, ClassId, SiteId, ZoneId};
use super::time::Timestamp;

/// Places and classes that are counted.
#[derive(Clone, PartialEq, Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<ZoneId>,
    /// All zones of these sites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteId>,
    /// Only assets of these; empty: of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditState {
    Open,
    /// Somebody said that the count is complete: what was not found is missing.
    Closed,
    /// Somebody gave it up: it says nothing of what was not found.
    Cancelled,
    /// Nobody closed it in time: it says nothing of what was not found.
    Expired,
}

/// An audit and its figures so far.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Audit {
    pub id: AuditId,
    pub scope: Scope,
    /// The zones that the scope meant when it was opened.
    pub zones: Vec<ZoneId>,
    pub state: AuditState,
    pub opened_at: Timestamp,
    pub opened_by: String,
    pub expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub figures: Figures,
    /// Rows that its lists are kept in.
    pub parts: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, JsonSchema, Serialize, Deserialize)]
pub struct Figures {
    /// The frozen set.
    pub expected: u64,
    pub found: u64,
    pub missing: u64,
    /// Of the expected, checked out while it was counted.
    pub elsewhere: u64,
    /// Not expected, and there all the same; tags that nobody knows among them.
    pub unexpected: u64,
    /// Belong in these zones, and were not expected: checked out when it began.
    pub out_at_start: u64,
}

impl Figures {
    /// Expected, and nothing said of it yet.
    pub fn pending(&self) -> u64 {
        self.expected.saturating_sub(self.found + self.missing + self.elsewhere)
    }

    /// Share of what had to be there that was there, 0 to 1; `None` where nothing had to.
    pub fn accuracy(&self) -> Option<f64> {
        let due = self.expected.saturating_sub(self.elsewhere);
        (due > 0).then(|| self.found as f64 / due as f64)
    }
}

/// What happened to an audit, as its event says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditChange {
    Opened,
    Closed,
    Cancelled,
    Expired,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    Found,
    Missing,
    Elsewhere,
    Unexpected,
}

/// What was counted: an asset, or a tag that is on none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    Asset(AssetId),
    Tag(Epc),
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asset(asset) => write!(f, "asset:{asset}"),
            Self::Tag(epc) => write!(f, "tag:{epc}"),
        }
    }
}

/// What an audit says of one thing.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Item {
    pub what: Counted,
    pub standing: Standing,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneId>,
    /// A read point, a handheld or a person, in words; of what is unexpected, why as well.
    pub how: String,
}

/// A part of an audit's lists, a row of the journal. What is expected is written once, when the audit is
/// opened; the items follow when it ends.
#[derive(Clone, PartialEq, Debug, Default, JsonSchema, Serialize, Deserialize)]
pub struct AuditPart {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<AssetId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

impl AuditPart {
    /// Assets in one row: some tens of kilobytes.
    pub const ASSETS: usize = 1000;

    /// Key of a part's row: `audit#00012`.
    pub fn key(audit: &AuditId, part: u32) -> String {
        format!("{audit}#{part:05}")
    }
}

/// When a class is counted next.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct AuditPlan {
    pub class: ClassId,
    pub every_s: u64,
    /// When it was opened last, or when the plan came.
    pub since: Timestamp,
    pub next_at: Timestamp,
}
