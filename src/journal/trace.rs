//! What the journal knows of a person beside the register as it stands: earlier names and badges. A code that was
//! also on something else, or somebody else's, is not theirs alone and is left out.

use std::collections::BTreeSet;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::JournalError;
use super::reader::Reader;
use super::rows::signed;
use crate::domain::commands::Command;
use crate::domain::epc::Epc;
use crate::domain::erasure::Erase;
use crate::domain::events::RegisterChange;
use crate::domain::register::{Carrier, Record};

/// Events that are looked at in one go: a reader holds up nobody.
const STEP: i64 = 5_000;

/// Where a command erases somebody, it with everything that the journal's events say they were called or carried,
/// and with a label that nobody could guess or lead back.
pub async fn whole_erasure(reader: &Reader, command: Command) -> Result<Command, JournalError> {
    let Command::ErasePerson(mut erase) = command else { return Ok(command) };
    erase.label = format!("erased-{:016x}", rand::random::<u64>());
    reader.trace(&mut erase).await?;
    Ok(Command::ErasePerson(erase))
}

impl Reader {
    /// Adds the names and badges of a person that events tell of.
    async fn trace(&self, erase: &mut Erase) -> Result<(), JournalError> {
        let person = erase.person.as_str().to_owned();
        // By the index over subjects: what is found is what is looked at.
        let own = "SELECT seq, kind, body FROM event WHERE class < 5 AND subject = ?1 AND seq > ?2
            ORDER BY seq LIMIT ?3";
        let subject = format!("person:{person}");
        let mut others = BTreeSet::new();
        let mut after = 0;
        loop {
            let rows = sqlx::query(own).bind(&subject).bind(signed(after)).bind(STEP);
            let rows = rows.fetch_all(self.pool()).await.map_err(|source| self.failed(source))?;
            let Some(last) = self.note(&rows, erase, &mut others)? else { break };
            after = last;
        }
        self.trace_badges(erase, &mut others).await?;
        erase.badges.retain(|epc| !others.contains(epc));
        erase.also.sort_unstable();
        erase.also.dedup();
        erase.badges.sort_unstable();
        erase.badges.dedup();
        Ok(())
    }

    /// Changes of badges are events of the badge: all changes of the register are looked at, found by an index
    /// that has the kind, so that no body of another kind is read.
    async fn trace_badges(&self, erase: &mut Erase, others: &mut BTreeSet<Epc>) -> Result<(), JournalError> {
        let end = "SELECT max(seq) FROM (SELECT seq FROM event INDEXED BY event_lasting
            WHERE class < 5 AND seq > ? ORDER BY seq LIMIT ?)";
        let changes = "SELECT seq, kind, body FROM event INDEXED BY event_lasting
            WHERE class < 5 AND kind = 'register' AND seq > ? AND seq <= ? ORDER BY seq";
        let mut after = 0;
        loop {
            let end = sqlx::query_scalar::<_, Option<i64>>(end).bind(signed(after)).bind(STEP);
            let end = end.fetch_one(self.pool()).await.map_err(|source| self.failed(source))?;
            let Some(end) = end else { return Ok(()) };
            let rows = sqlx::query(changes).bind(signed(after)).bind(end);
            let rows = rows.fetch_all(self.pool()).await.map_err(|source| self.failed(source))?;
            self.note(&rows, erase, others)?;
            after = end.unsigned_abs();
        }
    }

    /// Takes down what events say of them; gives the number of the last one.
    fn note(
        &self,
        rows: &[SqliteRow],
        erase: &mut Erase,
        others: &mut BTreeSet<Epc>,
    ) -> Result<Option<u64>, JournalError> {
        let mut last = None;
        for row in rows {
            let seq: i64 = row.try_get(0).map_err(|source| self.failed(source))?;
            let kind: &str = row.try_get(1).map_err(|source| self.failed(source))?;
            let body: &str = row.try_get(2).map_err(|source| self.failed(source))?;
            last = Some(seq.unsigned_abs());
            note(kind, body, erase, others);
        }
        Ok(last)
    }
}

/// Takes down what one event says they were called or carried, and what was also carried by others.
fn note(kind: &str, body: &str, erase: &mut Erase, others: &mut BTreeSet<Epc>) {
    #[derive(serde::Deserialize)]
    struct Read {
        epc: Option<Epc>,
    }
    let person = erase.person.clone();
    if kind != "register" {
        // Where their badge was. That there is an event of theirs at all says that they were here.
        if let Ok(Read { epc: Some(epc) }) = serde_json::from_str(body) {
            erase.badges.push(epc);
        }
        erase.also.push(person.to_string());
        return;
    }
    let Ok(RegisterChange { before, after, .. }) = serde_json::from_str(body) else { return };
    for record in [before, after].into_iter().flatten() {
        match record {
            Record::Person(known) if known.id == person => {
                erase.also.push(person.to_string());
                erase.also.extend(known.name);
            }
            Record::Tag(tag) if tag.carrier == Carrier::Person(person.clone()) => {
                erase.badges.push(tag.key);
                erase.also.push(person.to_string());
            }
            Record::Tag(tag) => {
                others.insert(tag.key);
            }
            _ => {}
        }
    }
}
