//! A command as it comes in: who gives it, for which sites they may speak, and on which conditions. All
//! of that is judged in the one order of the pipeline, so of two writers who both saw the same, one wins
//! and the other is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::commands::{Command, Outcome, Refused};
use super::ids::SiteId;

#[derive(Clone, PartialEq, Debug)]
pub struct Order {
    /// Who gave it: the token's name, or `local` on the control socket.
    pub by: String,
    pub scope: Scope,
    pub command: Command,
    pub once: Option<Once>,
    pub only_if: Option<Precondition>,
}

impl Order {
    /// Without conditions, by somebody who may act everywhere.
    pub fn plain(by: impl Into<String>, command: Command) -> Self {
        Self { by: by.into(), scope: Scope::Everywhere, command, once: None, only_if: None }
    }
}

/// The sites for which somebody may see and act.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Scope {
    #[default]
    Everywhere,
    Sites(Arc<BTreeSet<SiteId>>),
}

impl Scope {
    pub fn is_everywhere(&self) -> bool {
        matches!(self, Self::Everywhere)
    }

    /// Whether something of this site is theirs; what belongs to no site is nobody's but of those who
    /// may act everywhere.
    pub fn covers(&self, site: Option<&SiteId>) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Sites(sites) => site.is_some_and(|site| sites.contains(site)),
        }
    }
}

/// What makes a command that is given again the same one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Once {
    /// Chosen by whoever gives it; their own, whatever others choose.
    pub key: String,
    /// Of the command: [`fingerprint`].
    pub fingerprint: String,
}

/// What a register record must be like for the command to be carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Precondition {
    pub table: String,
    pub key: String,
    pub expected: Expected,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expected {
    Absent,
    Present,
    /// Present, and one of these [`revision`]s.
    Revisions(Vec<String>),
}

/// What became of an order.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    pub result: Result<Outcome, Refused>,
    /// It had been carried out (or refused) before; this is what was said then.
    pub repeated: bool,
}

/// Names the content of a record, as long as it is written the same way: 32 hex digits.
pub fn revision(record: &impl Serialize) -> String {
    // Plain data: it cannot fail to serialise. If it did, no two would be taken for the same content.
    let json = serde_json::to_vec(record).unwrap_or_else(|error| error.to_string().into_bytes());
    hash(&json)
}

/// Names a command with everything in it: 32 hex digits.
pub fn fingerprint(command: &Command) -> String {
    revision(command)
}

/// SipHash-1-3 with 128 bits of result, as hex.
pub fn hash(bytes: &[u8]) -> String {
    use std::hash::Hasher;
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hex::encode(hasher.finish128().as_bytes())
}
