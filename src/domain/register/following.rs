//! Changes of a register that somebody else owns, as its owner tells them; and what is asked of the owner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Checkout, Record};
use crate::domain::commands::Outcome;
use crate::domain::erasure::Erase;
use crate::domain::time::Timestamp;

/// One record as its owner has it now.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Change {
    pub table: String,
    pub key: String,
    /// Who changed it.
    pub by: String,
    /// It went and came back since it was last told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renewed: bool,
    /// As JSON of a [`Record`], which it may turn out not to be; `None`: it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<serde_json::Value>,
}

impl Change {
    pub fn state_key(&self) -> String {
        format!("{}/{}", self.table, self.key)
    }
}

/// A change that could not be taken up.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Misfit {
    #[serde(flatten)]
    pub change: Change,
    pub reason: String,
    /// When it was first tried.
    pub since: Timestamp,
}

/// Which register is followed, and what of it has been taken up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reached {
    pub register: String,
    /// A snapshot of the owner's: every transaction that is visible in it.
    pub snapshot: String,
}

/// What there is to take up, in one commit.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct News {
    pub changes: Vec<Change>,
    /// Where the owner then has been followed to; `None`: there is more to come before that.
    pub seen: Option<Reached>,
    /// Those of them that did not fit when they were tried before, by state key.
    pub unfit: BTreeMap<String, Misfit>,
}

/// A change of the register that was asked of us, checked, and is to be written to its owner.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    pub puts: Vec<Record>,
    /// Tables and keys.
    pub removals: Vec<(String, String)>,
    /// To be opened when the records are there.
    pub checkouts: Vec<Checkout>,
    /// To be erased when the records are gone, with everything that the register had of them.
    pub erase: Option<Erase>,
    pub outcome: Outcome,
}
