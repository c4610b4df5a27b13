//! Taking a person out of what is kept: who it is, what stands in their place, and how far it has come.
//!
//! A label, made up at random for each erasure, stands where the person's number, name or badge stood, so that a
//! thing's history still says that somebody had it from when to when, and nothing leads from there to whom.
//! [`Eraser`] rewrites text and JSON; who keeps something passes it by there.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::epc::Epc;
use super::ids::PersonId;
use super::time::Timestamp;

mod eraser;
mod fields;
mod needle;
#[cfg(test)]
mod tests;

pub use eraser::Eraser;
pub use fields::can_hold;

/// What is asked for.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Erase {
    pub person: PersonId,
    /// Whatever else they were called: an earlier name, an address. Whole words are replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Badges that they had and that the register no longer has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub badges: Vec<Epc>,
    /// What stands where they stood: the daemon makes it up, whatever is said here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(skip)]
    pub label: String,
}

impl Erase {
    /// The erasure that it asks for, as far as is known of them by now.
    pub fn erasure(&self, at: Timestamp) -> Erasure {
        let person = self.person.to_string();
        let also = self.also.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        let mut texts: Vec<String> =
            std::iter::once(person.as_str()).chain(also).map(str::to_owned).collect();
        texts.sort_unstable();
        texts.dedup();
        Erasure::new(self.label.clone(), person, texts, self.badges.clone(), at)
    }

    /// As it is journaled: without whom it was about.
    pub fn told(&self) -> Self {
        let (person, label) = (PersonId::new(&self.label), self.label.clone());
        Self { person, also: Vec::new(), badges: Vec::new(), label }
    }
}

/// An erasure under way. Its row in the journal names the person until nothing else does, and is itself erased before
/// it goes. TimescaleDB has a row beside it, of what was found there, for as long as its own walk takes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Erasure {
    pub label: String,
    pub asked_at: Timestamp,
    pub person: String,
    /// The number, the names and whatever else they were called.
    pub texts: Vec<String>,
    /// Badges that were theirs alone.
    pub badges: Vec<Epc>,
    /// Rows of state, by kind and key, that were committed since and name them: they are of somebody who is called the
    /// same by now.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub newer: BTreeSet<(String, String)>,
    /// The newest dead letter when it was asked for: what is newer is of whoever has the number by then. Noted by the
    /// commit that asks; a row of an earlier build has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letters: Option<u64>,
    pub stage: Stage,
}

/// How far it has come: each stage is done in steps, and begun again where it was when the daemon died.
///
/// `until` is the newest event when it was asked for: what is newer is of whoever has the number by then. It is noted by
/// the commit that asks; a row of an earlier build may have none.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "at", rename_all = "kebab-case")]
pub enum Stage {
    /// Events of the journal, of which those up to `after` are done.
    Events { after: u64, until: Option<u64> },
    /// Dead letters of the journal.
    DeadLetters { after: u64, until: Option<u64> },
    /// Rows of state that nobody holds in memory.
    State { kind: String, key: String, until: Option<u64> },
    /// TimescaleDB: as soon as everything up to `seq` is there. `until` not known: it is `seq`.
    Database { seq: u64, until: Option<u64> },
    /// The file is rewritten, so that nothing of it is left between its rows.
    File,
}

impl Erasure {
    pub fn new(label: String, person: String, texts: Vec<String>, badges: Vec<Epc>, at: Timestamp) -> Self {
        let stage = Stage::Events { after: 0, until: None };
        Self { label, asked_at: at, person, texts, badges, newer: BTreeSet::new(), letters: None, stage }
    }

    /// As its row is written with the commit that asks for it: with the newest event and the newest dead letter.
    pub fn asked_for(self, newest: u64, letter: u64) -> Self {
        match self.stage {
            Stage::Events { after, until: None } => {
                let stage = Stage::Events { after, until: Some(newest) };
                Self { letters: Some(letter), stage, ..self }
            }
            _ => self,
        }
    }

    /// What is left to say of it once everything is replaced.
    pub fn forgotten(&self) -> Self {
        let Self { label, asked_at, .. } = self;
        let erasure = Self::new(label.clone(), String::new(), Vec::new(), Vec::new(), *asked_at);
        Self { stage: Stage::File, ..erasure }
    }
}
