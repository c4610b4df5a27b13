//! Rows of a stretch of a table, read and written back without a person.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::after::After;
use super::span;
use super::tables::Table;
use crate::domain::erasure::{Eraser, Erasure};
use crate::domain::events::EventBody;
use crate::store::timescale::connection::{Connection, column};
use crate::store::timescale::encode::without_nul;
use crate::store::timescale::error::StoreError;

/// What becomes of a row.
enum Erased {
    Same,
    /// Its key names them: it is the current state of what was about them alone, or what of theirs did not fit.
    Gone,
    /// As far as it has to be written.
    Row(Value),
}

/// Who is erased, and what is not theirs.
pub struct Whom<'a> {
    pub erasure: &'a Erasure,
    pub eraser: &'a Eraser,
    pub after: &'a After,
}

/// Rows that are looked at, at once.
pub struct Part<'a> {
    /// The condition on them.
    pub within: &'a str,
    /// So many of them at most.
    pub most: usize,
    /// Where there are more, those come first that stand first.
    pub in_order: bool,
}

/// What came of a part.
pub enum Rewritten {
    /// So many rows were written.
    All(u64),
    /// The same of the first rows, and the condition on those behind them.
    First(u64, String),
    /// It has too many rows, and nothing was done.
    Crowded,
}

impl Table {
    /// Rewrites what names them.
    pub async fn erase(
        &self,
        connection: &mut Connection,
        whom: &Whom<'_>,
        part: &Part<'_>,
    ) -> Result<Rewritten, StoreError> {
        let Part { within, most, in_order } = *part;
        let mut found = self.candidates(connection, whom, part).await?;
        if found.len() > most && !in_order {
            return Ok(Rewritten::Crowded);
        }
        let more = found.len() > most;
        found.truncate(most);
        let last = found.last().filter(|_| more).map(|(place, row)| self.behind(row, place));
        let (mut rows, mut gone, mut subjects) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (place, row) in found {
            let subject = row.get("subject").and_then(Value::as_str).map(str::to_owned);
            match self.without_theirs(whom, row).await? {
                Erased::Same => {}
                Erased::Gone => gone.push(place),
                Erased::Row(row) => {
                    subjects.extend(subject);
                    rows.push(match self.hyper {
                        true => row,
                        false => serde_json::json!({ "place": place, "row": row }),
                    });
                }
            }
        }
        let removed = self.remove(connection, gone).await?;
        let written = removed + self.rewrite(connection, &rows, within, subjects).await?;
        Ok(last.map_or(Rewritten::All(written), |behind| Rewritten::First(written, behind)))
    }

    /// Rows that may name them, locked, and where they are; one more than there may be where there are more.
    async fn candidates(
        &self,
        connection: &mut Connection,
        whom: &Whom<'_>,
        part: &Part<'_>,
    ) -> Result<Vec<(String, Map<String, Value>)>, StoreError> {
        const OPERATION: &str = "look for a person";
        let hints: Vec<String> = whom.eraser.hints().map(str::to_owned).collect();
        let words: Vec<String> = self.columns.iter().map(|name| format!("t.\"{name}\"::text")).collect();
        // Rows of a hypertable are written by nobody but who forwards them.
        let (place, lock) = if self.hyper { ("''", "") } else { ("t.ctid::text", "FOR UPDATE OF t") };
        let order = if part.in_order { format!("ORDER BY {}", self.order()) } else { String::new() };
        let newer = match (self.numbered, self.recorded) {
            (true, true) => format!("AND {} IS NOT TRUE", whom.after.newer()),
            (true, false) => format!("AND {} IS NOT TRUE", whom.after.newer_by_number()),
            (false, _) => String::new(),
        };
        let select = format!(
            "SELECT {place} AS place, to_jsonb(t)::text AS row FROM {name} t WHERE {within} {newer} AND EXISTS (
               SELECT FROM unnest($1::text[]) n WHERE strpos(lower(concat_ws(' ', {words}) COLLATE \"C\"), n) > 0)
             {order} LIMIT {limit} {lock}",
            name = self.name,
            within = part.within,
            words = words.join(", "),
            order = order,
            limit = part.most + 1,
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(select)).bind(hints);
        let found = connection.rows(OPERATION, query.persistent(false)).await?;
        let rows = found.iter().map(|row| {
            let json: String = column(row, OPERATION, "row")?;
            let place = column(row, OPERATION, "place")?;
            Ok((place, serde_json::from_str(&json).map_err(StoreError::Current)?))
        });
        rows.collect()
    }

    /// The journal is asked who is called the same by now where a row would change at all.
    async fn without_theirs(&self, whom: &Whom<'_>, row: Map<String, Value>) -> Result<Erased, StoreError> {
        let erased = self.erased(whom.eraser, row.clone())?;
        if matches!(erased, Erased::Same) {
            return Ok(erased);
        }
        match whom.after.rest(self, &row, whom.erasure).await? {
            Some(rest) => self.erased(&Eraser::new(&rest), row),
            None => Ok(erased),
        }
    }

    /// A row without them, as far as it has to be written. It is an object like any other; one of the register is a
    /// record of its table.
    fn erased(&self, eraser: &Eraser, row: Map<String, Value>) -> Result<Erased, StoreError> {
        let was_body = row.get("body").is_some_and(is_body);
        let key = |row: &Value| self.key.iter().map(|(name, _)| row[name].clone()).collect::<Vec<_>>();
        let mut whole = row;
        if let Some(table) = self.record {
            whole.insert("table".to_owned(), table.into());
        }
        let mut whole = Value::Object(whole);
        let before = key(&whole);
        if !eraser.json(&mut whole) {
            return Ok(Erased::Same);
        }
        if key(&whole) != before {
            return Ok(Erased::Gone);
        }
        if was_body && !whole.get("body").is_some_and(is_body) {
            return Err(StoreError::Spoiled { table: self.name.clone() });
        }
        let keys = ["observed_at", "event_id", "seq", "epoch"];
        let keys = keys.into_iter().filter(|_| self.hyper);
        let written = self.columns.iter().map(String::as_str).chain(keys);
        let written = written.map(|name| (name.to_owned(), whole[name].take()));
        Ok(Erased::Row(Value::Object(written.collect())))
    }

    async fn remove(&self, connection: &mut Connection, places: Vec<String>) -> Result<u64, StoreError> {
        let rows = places.len() as u64;
        if rows == 0 {
            return Ok(0);
        }
        let sql = format!("DELETE FROM {} t WHERE t.ctid = ANY ($1::text[]::tid[])", self.name);
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(places);
        self.all(rows, connection.run("remove rows", query.persistent(false)).await?)
    }

    /// Every row that was locked is one that was written.
    fn all(&self, rows: u64, written: u64) -> Result<u64, StoreError> {
        match written == rows {
            true => Ok(written),
            false => Err(StoreError::Moved { table: self.name.clone() }),
        }
    }

    /// Of a hypertable, time and subjects stand there as constants: chunks of other times are left out, and of those
    /// that are compressed no more is unpacked than has to be. How many rows they leave PostgreSQL knows of a chunk only once
    /// that was analysed; until then it takes them for a few, and would look through all new rows for each old one.
    async fn rewrite(
        &self,
        connection: &mut Connection,
        rows: &[Value],
        within: &str,
        subjects: BTreeSet<String>,
    ) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let (name, set) = (&self.name, self.columns.iter().map(|name| format!("\"{name}\" = r.\"{name}\"")));
        let set = set.collect::<Vec<_>>().join(", ");
        let json = serde_json::to_string(rows).map_err(StoreError::Current)?;
        let update = match self.hyper {
            true => {
                connection.execute("compare by hash", "SET LOCAL enable_nestloop = off").await?;
                format!(
                    "UPDATE {name} t SET {set} FROM jsonb_populate_recordset(NULL::{name}, $1::jsonb) r
                     WHERE t.observed_at = r.observed_at AND t.event_id = r.event_id AND t.seq = r.seq AND t.epoch = r.epoch
                     AND {within} AND t.subject = ANY ({})",
                    span::array(&Vec::from_iter(subjects))
                )
            }
            false => format!(
                "UPDATE {name} t SET {set} FROM jsonb_array_elements($1::jsonb) j
                 CROSS JOIN LATERAL jsonb_populate_record(NULL::{name}, j -> 'row') r
                 WHERE t.ctid = (j ->> 'place')::tid"
            ),
        };
        let query = sqlx::query(sqlx::AssertSqlSafe(update)).bind(without_nul(&json).into_owned());
        self.all(rows.len() as u64, connection.run("rewrite rows", query.persistent(false)).await?)
    }
}

/// Whether it reads as what an event says; a column of JSON text holds it as text.
fn is_body(value: &Value) -> bool {
    match value {
        Value::String(text) => serde_json::from_str::<EventBody>(text).is_ok(),
        value => serde_json::from_value::<EventBody>(value.clone()).is_ok(),
    }
}
