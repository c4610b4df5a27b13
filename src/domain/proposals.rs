//! Hand-overs that were sensed: who seems to have taken what, and on what evidence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{PersonId, ReadPointId};
use super::sightings::Direction;
use super::time::Timestamp;

/// An asset passed a portal together with somebody who does not have it. Of one person it says that they
/// took it; of several that one of them did, and somebody has to say who.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Proposal {
    /// Who had it; nobody: it would be a checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Who passed with it, nearest in time first.
    pub candidates: Vec<Candidate>,
    pub portal: ReadPointId,
    pub direction: Direction,
    /// When the asset passed.
    pub passed_at: Timestamp,
    /// 0 to 1: that both passed, and that it was this one of the candidates.
    pub confidence: f32,
}

/// Somebody whose badge passed the same portal in the same direction.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Candidate {
    pub person: PersonId,
    pub passed_at: Timestamp,
}

/// What became of a proposal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProposalChange {
    /// It takes the place of an earlier one.
    Made,
    Accepted,
    Rejected,
    /// The asset changed hands otherwise, or came back.
    Lapsed,
}
