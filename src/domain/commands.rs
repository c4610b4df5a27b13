//! What people and other systems ask for. Commands enter `track`, in order with everything else,
//! and are journaled with who gave them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alerts::AlertKey;
use super::audits::Scope;
use super::epc::Epc;
use super::erasure::Erase;
use super::ids::{AssetId, AuditId, PersonId, ReadPointId, ZoneId};
use super::register::{Checkout, Record};
use super::time::Timestamp;

#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    Checkout {
        asset: AssetId,
        holder: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_back: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// Why it goes out although it is not ready.
        #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
        override_reason: Option<String>,
    },
    CheckIn {
        asset: AssetId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// What is broken; it is quarantined for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        damage: Option<String>,
    },
    /// From whoever has it to somebody else.
    HandOver {
        asset: AssetId,
        holder: String,
        /// Refused where somebody else has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Not set: it stays as it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_back: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Takes a proposed hand-over for true.
    Accept {
        asset: AssetId,
        /// Who took it, where several passed with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<PersonId>,
        /// Why it goes out although it is not ready.
        #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
        override_reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Takes a proposed hand-over for false.
    Reject {
        asset: AssetId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Somebody looked at it. Passed, it need not be inspected for a while; failed, it is quarantined.
    Inspect {
        asset: AssetId,
        passed: bool,
        /// When; not set: now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// It is not to be used until it is released.
    Quarantine { asset: AssetId, reason: String },
    /// It is being worked on until it is released.
    Maintain { asset: AssetId, reason: String },
    /// Lifts quarantine and maintenance.
    Release {
        asset: AssetId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    Acknowledge {
        alert: AlertKey,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// `until` in the past ends a snooze.
    Snooze { alert: AlertKey, until: Timestamp },
    /// Says who is to see to it, in place of who was.
    Assign { alert: AlertKey, to: String },
    /// Upserts records and opens checkouts: all of it or none of it.
    Import {
        records: Vec<Record>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        checkouts: Vec<Checkout>,
    },
    /// This tag is now on this asset, whatever it was on before; with `replaces`, that one no longer is.
    Commission {
        epc: Epc,
        asset: AssetId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<Epc>,
    },
    /// The vehicle stands at this door: what passes out there is loaded into it.
    Dock { vehicle: AssetId, door: ReadPointId },
    /// It no longer stands at a door.
    Undock { vehicle: AssetId },
    /// The asset is in the vehicle now.
    Load {
        asset: AssetId,
        vehicle: AssetId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// It is no longer in its vehicle.
    Unload {
        asset: AssetId,
        /// Where it is instead; not set: where the vehicle is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<ZoneId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Begins a count: what is expected is frozen now.
    AuditOpen {
        audit: AuditId,
        scope: Scope,
        /// When it ends if nobody ends it; not set: after seven days.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The count is complete: what was not found is missing.
    AuditClose { audit: AuditId },
    /// The count is given up: nothing follows from it.
    AuditCancel { audit: AuditId },
    /// An asset counted by hand.
    Count(HandCount),
    /// What a handheld reader read in a zone.
    Reads(Reads),
    /// Removes a register record: `table` and `key` as in [`Record`].
    Remove { table: String, key: String },
    /// Takes somebody out of everything that is kept: a label stands where they stood.
    ErasePerson(Erase),
}

impl Command {
    /// The asset that it is about, where it is about one.
    pub fn asset(&self) -> Option<&AssetId> {
        match self {
            Self::Checkout { asset, .. }
            | Self::CheckIn { asset, .. }
            | Self::HandOver { asset, .. }
            | Self::Accept { asset, .. }
            | Self::Reject { asset, .. }
            | Self::Inspect { asset, .. }
            | Self::Quarantine { asset, .. }
            | Self::Maintain { asset, .. }
            | Self::Release { asset, .. }
            | Self::Commission { asset, .. }
            | Self::Load { asset, .. }
            | Self::Unload { asset, .. }
            | Self::Dock { vehicle: asset, .. }
            | Self::Undock { vehicle: asset }
            | Self::Count(HandCount { asset, .. }) => Some(asset),
            Self::Acknowledge { .. }
            | Self::Assign { .. }
            | Self::Snooze { .. }
            | Self::Import { .. }
            | Self::AuditOpen { .. }
            | Self::AuditClose { .. }
            | Self::AuditCancel { .. }
            | Self::Reads(_)
            | Self::Remove { .. }
            | Self::ErasePerson(_) => None,
        }
    }
}

#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct HandCount {
    pub audit: AuditId,
    pub asset: AssetId,
    /// Needed where the audit counts several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneId>,
    /// Somebody looked for it, and it is not there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
}

#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reads {
    pub zone: ZoneId,
    pub epcs: Vec<Epc>,
    /// When they were read; not set: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Meant for this audit only; not set: for every open one of the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditId>,
    /// Name of the handheld; not set: who sent them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
}

impl Command {
    /// Whether it changes what things are, rather than what becomes of them.
    pub fn changes_register(&self) -> bool {
        match self {
            Self::Import { records, .. } => !records.is_empty(),
            Self::Commission { .. } | Self::Remove { .. } | Self::ErasePerson(_) => true,
            // Custody and alerts are the journal's, whoever owns the register.
            _ => false,
        }
    }
}

/// What a command did.
#[derive(Clone, PartialEq, Debug, Default, JsonSchema, Serialize, Deserialize)]
pub struct Outcome {
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub removed: u64,
}

/// Why a command was not carried out; nothing of it was.
#[derive(Clone, PartialEq, Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "refused", rename_all = "kebab-case")]
pub enum Refused {
    #[error("there is no {what} `{name}`")]
    NotFound { what: String, name: String },
    #[error("{reason}")]
    Conflict { reason: String },
    #[error("{reason}")]
    Invalid { reason: String },
    /// The caller's sites do not include what it is about.
    #[error("{reason}")]
    Forbidden { reason: String },
    /// It is not, or no longer, as the caller took it to be.
    #[error("{what} `{name}` is not as it was said to be; read it again")]
    Changed { what: String, name: String },
    /// The key stands for another command of the same caller.
    #[error("the idempotency key `{key}` was used for another command")]
    KeyReused { key: String },
    /// What it would be written to cannot be reached.
    #[error("{reason}")]
    Unavailable { reason: String },
    #[error("the journal did not take it: {reason}")]
    NotCommitted { reason: String },
}
