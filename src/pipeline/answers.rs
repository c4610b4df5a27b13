//! Answers to commands that carried an idempotency key, remembered for a stated horizon: a command that
//! is given again is answered as it was the first time, also after a restart.
//!
//! The row of an answer is in the same commit as what the command did, so there is never one without
//! the other. The same key on its way twice at once is no special case: the second finds the answer
//! of the first, and both are told after the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::commands::{Outcome, Refused};
use crate::domain::erasure::Eraser;
use crate::domain::orders::Once;
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;

/// Answers remembered at most, some 30 MB; beyond it the oldest is forgotten before its time. The rate
/// limit of tokens lets a client that writes without pause get here in about an hour.
const MOST: usize = 100_000;

#[derive(Debug)]
pub(super) struct Answers {
    horizon: Duration,
    rows: BTreeMap<String, Row>,
    by_age: BTreeSet<(Timestamp, String)>,
    dirty: BTreeSet<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    at: Timestamp,
    fingerprint: String,
    answer: Result<Outcome, Refused>,
}

impl Answers {
    pub fn new(horizon: Duration) -> Self {
        Self { horizon, rows: BTreeMap::new(), by_age: BTreeSet::new(), dirty: BTreeSet::new() }
    }

    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), serde_json::Error> {
        self.insert(key.to_owned(), serde_json::from_slice(value)?);
        Ok(())
    }

    /// What was said to the command of this key; refused where the key stands for another one.
    pub fn recall(&mut self, by: &str, once: &Once, now: Timestamp) -> Option<Result<Outcome, Refused>> {
        self.forget_before(now - self.horizon);
        let row = self.rows.get(&key(by, once))?;
        if row.fingerprint == once.fingerprint {
            return Some(row.answer.clone());
        }
        Some(Err(Refused::KeyReused { key: once.key.clone() }))
    }

    pub fn keep(&mut self, by: &str, once: Once, answer: &Result<Outcome, Refused>, now: Timestamp) {
        let name = key(by, &once);
        self.dirty.insert(name.clone());
        self.insert(name, Row { at: now, fingerprint: once.fingerprint, answer: answer.clone() });
        while self.rows.len() > MOST {
            let Some((_, oldest)) = self.by_age.pop_first() else { return };
            self.forget(oldest);
        }
    }

    /// What was said stays, without the one who is erased. An answer whose key names them goes, as does one that
    /// cannot be told without them: the command, given again, is carried out again.
    pub fn erase(&mut self, eraser: &Eraser) {
        let mut gone = Vec::new();
        for (key, row) in &mut self.rows {
            match eraser.value(row) {
                _ if eraser.is_named_in(key) => gone.push((row.at, key.clone())),
                Ok(None) => {}
                Ok(Some(erased)) => {
                    *row = erased;
                    self.dirty.insert(key.clone());
                }
                Err(_) => gone.push((row.at, key.clone())),
            }
        }
        for aged in gone {
            self.by_age.remove(&aged);
            self.forget(aged.1);
        }
    }

    pub fn take_dirty(&mut self, out: &mut Vec<StateRow>) {
        for key in std::mem::take(&mut self.dirty) {
            out.push(match self.rows.get(&key) {
                Some(row) => StateRow::put(StateKind::Answer, key, row),
                None => StateRow::delete(StateKind::Answer, key),
            });
        }
    }

    fn insert(&mut self, key: String, row: Row) {
        self.by_age.insert((row.at, key.clone()));
        if let Some(before) = self.rows.insert(key.clone(), row.clone())
            && before.at != row.at
        {
            self.by_age.remove(&(before.at, key));
        }
    }

    fn forget_before(&mut self, limit: Timestamp) {
        while self.by_age.first().is_some_and(|(at, _)| *at < limit) {
            if let Some((_, key)) = self.by_age.pop_first() {
                self.forget(key);
            }
        }
    }

    fn forget(&mut self, key: String) {
        self.rows.remove(&key);
        self.dirty.insert(key);
    }
}

/// Names of tokens hold no slash, so keys of two callers never meet.
fn key(by: &str, once: &Once) -> String {
    format!("{by}/{}", once.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::erasure::Erasure;

    const DAY: Duration = Duration::from_secs(86_400);

    fn once(key: &str, fingerprint: &str) -> Once {
        Once { key: key.to_owned(), fingerprint: fingerprint.to_owned() }
    }

    fn done(created: u64) -> Result<Outcome, Refused> {
        Ok(Outcome { created, ..Outcome::default() })
    }

    #[test]
    fn the_first_answer_is_given_again_to_its_own_caller_for_its_own_command() {
        let mut answers = Answers::new(DAY);
        let now = Timestamp::from_secs(1_000_000);
        assert_eq!(answers.recall("erp", &once("k", "a"), now), None);
        answers.keep("erp", once("k", "a"), &done(1), now);
        assert_eq!(answers.recall("erp", &once("k", "a"), now), Some(done(1)));
        assert_eq!(answers.recall("crib", &once("k", "a"), now), None);
        let reused = Some(Err(Refused::KeyReused { key: "k".to_owned() }));
        assert_eq!(answers.recall("erp", &once("k", "b"), now), reused);
    }

    #[test]
    fn rows_bring_everything_back_and_an_answer_goes_after_its_horizon() {
        let mut answers = Answers::new(DAY);
        let now = Timestamp::from_secs(1_000_000);
        let refused = Err(Refused::Conflict { reason: "it is out".to_owned() });
        answers.keep("erp", once("k", "a"), &refused, now);
        let mut rows = Vec::new();
        answers.take_dirty(&mut rows);
        let mut restored = Answers::new(DAY);
        for row in &rows {
            restored.restore(&row.key, row.value.as_ref().unwrap()).unwrap();
        }
        assert_eq!(restored.recall("erp", &once("k", "a"), now + DAY), Some(refused));
        assert_eq!(restored.recall("erp", &once("k", "a"), now + DAY + DAY), None);
        let mut gone = Vec::new();
        restored.take_dirty(&mut gone);
        assert_eq!(gone, [StateRow::delete(StateKind::Answer, "erp/k")]);
    }

    #[test]
    fn of_somebody_who_is_erased_neither_an_answer_nor_its_key_tells() {
        let now = Timestamp::from_secs(1_000_000);
        let mut answers = Answers::new(DAY);
        let refused = Err(Refused::Conflict { reason: "P-7 has it until 07:30".to_owned() });
        answers.keep("erp", once("k", "a"), &refused, now);
        answers.keep("erp", once("badge-of P-7", "a"), &done(1), now);
        answers.keep("P-7", once("k", "a"), &done(1), now);
        answers.keep("erp", once("P-70", "a"), &done(1), now);
        let texts = vec!["P-7".to_owned()];
        let erasure = Erasure::new("erased-00aa".to_owned(), "P-7".to_owned(), texts, Vec::new(), now);
        answers.take_dirty(&mut Vec::new());
        answers.erase(&Eraser::new(&erasure));
        let mut rows = Vec::new();
        answers.take_dirty(&mut rows);
        let keys: Vec<_> = rows.iter().map(|row| (row.key.as_str(), row.value.is_some())).collect();
        assert_eq!(keys, [("P-7/k", false), ("erp/badge-of P-7", false), ("erp/k", true)]);
        let told = Err(Refused::Conflict { reason: "erased-00aa has it until 07:30".to_owned() });
        assert_eq!(answers.recall("erp", &once("k", "a"), now), Some(told));
        assert_eq!(answers.recall("erp", &once("P-70", "a"), now), Some(done(1)));
        assert_eq!(answers.rows.len(), answers.by_age.len());
    }

    #[test]
    fn beyond_the_bound_the_oldest_goes_first() {
        let mut answers = Answers::new(DAY);
        for nth in 0..=MOST {
            let at = Timestamp::from_secs(1_000_000).offset(nth as i64);
            answers.keep("erp", once(&nth.to_string(), "a"), &done(1), at);
        }
        let now = Timestamp::from_secs(1_000_001);
        assert_eq!(answers.rows.len(), MOST);
        assert_eq!(answers.recall("erp", &once("0", "a"), now), None);
        assert_eq!(answers.recall("erp", &once("1", "a"), now), Some(done(1)));
    }
}
