//! One person's way out of the database: table after table, a stretch of each in a transaction of its own.
//!
//! It begins once the journal no longer names them and everything up to then is here: so nothing that was read from
//! the journal before brings them back. Rows are locked as they are read and counted as they are written, so what
//! somebody else writes meanwhile is neither lost nor overwritten. Where it ends early, it is begun again from the
//! first table; what is done already is found done.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::Step;
use super::span::{self, Span};
use super::tables::{self, Table};
use crate::domain::epc::Epc;
use crate::domain::erasure::{Eraser, Erasure};
use crate::domain::events::EventBody;
use crate::store::timescale::connection::{Connection, column};
use crate::store::timescale::encode::without_nul;
use crate::store::timescale::error::StoreError;
use crate::store::timescale::register::mirror;

/// Rows that are rewritten at once, at most; of a stretch with more, a part is taken.
const MOST: usize = 2_000;
/// Rows of a table that is walked by its key, at first.
const FIRST_KEYS: i64 = 500;

pub struct Walk {
    erasure: Erasure,
    /// Not known yet.
    tables: Option<VecDeque<Table>>,
    /// Of the first of the tables.
    way: Option<Way>,
    /// Rows that named them.
    pub rows: u64,
}

/// How far a table is done.
enum Way {
    /// Of time, or of blocks.
    Range(Span),
    /// Up to a key; as many rows next.
    Keys { after: Option<Vec<String>>, rows: i64 },
}

/// What is next: the condition on its rows, and where it ends.
struct Stretch {
    within: String,
    to: Option<Vec<String>>,
}

impl Way {
    async fn begin(table: &Table, connection: &mut Connection) -> Result<Self, StoreError> {
        if table.keyed() {
            return Ok(Self::Keys { after: None, rows: FIRST_KEYS });
        }
        let (from, until) = table.range(connection).await?.unwrap_or_default();
        Ok(Self::Range(Span::new(from, until, table.first_width())))
    }

    async fn next(&self, table: &Table, connection: &mut Connection) -> Result<Option<Stretch>, StoreError> {
        match self {
            Self::Range(span) => {
                Ok(span.stretch().map(|(from, to)| Stretch { within: table.within(from, to), to: None }))
            }
            Self::Keys { after, rows } => {
                let to = table.key_after(connection, after.as_deref(), *rows).await?;
                let within = |to: &Vec<String>| table.within_keys(after.as_deref(), to);
                Ok(to.map(|to| Stretch { within: within(&to), to: Some(to) }))
            }
        }
    }

    fn passed(&mut self, stretch: Stretch, took: Duration) {
        match self {
            Self::Range(span) => span.passed(took),
            Self::Keys { after, rows } => {
                *after = stretch.to;
                *rows = span::adapted(*rows, took);
            }
        }
    }

    /// `false`: it cannot be shorter.
    fn shorten(&mut self) -> bool {
        match self {
            Self::Range(span) => span.shorten(),
            Self::Keys { rows, .. } => {
                let could = *rows > 1;
                *rows = (*rows / 4).max(1);
                could
            }
        }
    }
}

impl Walk {
    pub fn new(erasure: Erasure) -> Self {
        Self { erasure, tables: None, way: None, rows: 0 }
    }

    /// One bounded step. On an error nothing of the step is done.
    pub async fn step(&mut self, connection: &mut Connection) -> Result<Step, StoreError> {
        let Some(tables) = &mut self.tables else {
            trace(connection, &mut self.erasure).await?;
            self.tables = Some(tables::list(connection).await?.into());
            return Ok(Step::More);
        };
        let Some(table) = tables.front().cloned() else {
            self.rows += transacted(connection, async |it| remove(it, &self.erasure).await).await?;
            return Ok(Step::Done);
        };
        let way = match &mut self.way {
            Some(way) => way,
            none => none.insert(Way::begin(&table, connection).await?),
        };
        let Some(stretch) = way.next(&table, connection).await? else {
            self.way = None;
            tables.pop_front();
            return Ok(Step::More);
        };
        let eraser = Eraser::new(&self.erasure);
        let began = Instant::now();
        match transacted(connection, async |it| table.erase(it, &eraser, &stretch.within).await).await {
            Ok(Some(rows)) => {
                way.passed(stretch, began.elapsed());
                self.rows += rows;
                Ok(Step::More)
            }
            Ok(None) if way.shorten() => Ok(Step::More),
            Ok(None) => Err(StoreError::Crowded { table: table.name }),
            Err(error) if error.is_too_much_at_once() && way.shorten() => Ok(Step::More),
            Err(error) => Err(error),
        }
    }
}

/// Does it in one transaction, or nothing of it.
async fn transacted<T>(
    connection: &mut Connection,
    act: impl AsyncFnOnce(&mut Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.begin().await?;
    let outcome = async {
        mirror::write_as_mirror(connection).await?;
        act(connection).await
    };
    match outcome.await {
        Ok(done) => connection.commit().await.map(|()| done),
        Err(error) => {
            connection.rollback().await?;
            Err(error)
        }
    }
}

/// Their record and badges, where the register is here. Last, because a walk that is begun again asks these, too, what
/// they carried.
async fn remove(connection: &mut Connection, erasure: &Erasure) -> Result<u64, StoreError> {
    let mut rows = 0;
    for sql in ["DELETE FROM tallyman.tag WHERE person = $1", "DELETE FROM tallyman.person WHERE id = $1"] {
        rows += connection.run("remove a person", sqlx::query(sql).bind(erasure.person.clone())).await?;
    }
    Ok(rows)
}

/// Adds what they were called and carried before the journal began to remember: the database may reach further back.
async fn trace(connection: &mut Connection, erasure: &mut Erasure) -> Result<(), StoreError> {
    const OPERATION: &str = "look for earlier names and badges";
    let subject = format!("person:{}", erasure.person);
    let names = sqlx::query(
        "SELECT DISTINCT name FROM tallyman.command_log c,
           LATERAL (VALUES (c.body #>> '{before,name}'), (c.body #>> '{after,name}')) n(name)
         WHERE c.subject = $1 AND c.kind = 'register' AND name IS NOT NULL",
    );
    for row in connection.rows(OPERATION, names.bind(subject.clone())).await? {
        erasure.texts.push(column(&row, OPERATION, "name")?);
    }
    // A tag that somebody or something else had too is not theirs alone.
    let badges = sqlx::query(
        "(SELECT epc FROM tallyman.location_event WHERE subject = $1 AND epc IS NOT NULL
          UNION SELECT epc FROM tallyman.tag WHERE person = $2)
         EXCEPT SELECT epc FROM tallyman.tag WHERE person IS DISTINCT FROM $2",
    );
    for row in connection.rows(OPERATION, badges.bind(subject).bind(erasure.person.clone())).await? {
        let epc: String = column(&row, OPERATION, "epc")?;
        erasure.badges.extend(Epc::from_hex(&epc));
    }
    erasure.texts.sort_unstable();
    erasure.texts.dedup();
    erasure.badges.sort_unstable();
    erasure.badges.dedup();
    Ok(())
}

/// What becomes of a row.
enum Erased {
    Same,
    /// Its key names them: it is the current state of what was about them alone, or what of theirs did not fit.
    Gone,
    /// As far as it has to be written.
    Row(Value),
}

impl Table {
    /// Rewrites what names them of a stretch; `None`: too many rows for once.
    async fn erase(
        &self,
        connection: &mut Connection,
        eraser: &Eraser,
        within: &str,
    ) -> Result<Option<u64>, StoreError> {
        const OPERATION: &str = "look for a person";
        let hints: Vec<String> = eraser.hints().map(str::to_owned).collect();
        let words: Vec<String> = self.columns.iter().map(|name| format!("t.\"{name}\"::text")).collect();
        // Rows of a hypertable are written by nobody but who forwards them.
        let (place, lock) = if self.hyper { ("''", "") } else { ("t.ctid::text", "FOR UPDATE OF t") };
        let select = format!(
            "SELECT {place} AS place, to_jsonb(t)::text AS row FROM {name} t WHERE {within} AND EXISTS (
               SELECT FROM unnest($1::text[]) n WHERE strpos(lower(concat_ws(' ', {words}) COLLATE \"C\"), n) > 0)
             LIMIT {limit} {lock}",
            name = self.name,
            words = words.join(", "),
            limit = MOST + 1,
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(select)).bind(hints);
        let found = connection.rows(OPERATION, query.persistent(false)).await?;
        if found.len() > MOST {
            return Ok(None);
        }
        let (mut rows, mut gone) = (Vec::new(), Vec::new());
        for row in &found {
            let (place, json): (String, String) =
                (column(row, OPERATION, "place")?, column(row, OPERATION, "row")?);
            let row: Map<String, Value> = serde_json::from_str(&json).map_err(StoreError::Current)?;
            match self.erased(eraser, row)? {
                Erased::Same => {}
                Erased::Gone => gone.push(place),
                Erased::Row(row) => rows.push(serde_json::json!({ "place": place, "row": row })),
            }
        }
        Ok(Some(self.remove(connection, gone).await? + self.rewrite(connection, &rows).await?))
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

    async fn rewrite(&self, connection: &mut Connection, rows: &[Value]) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let set: Vec<String> = self.columns.iter().map(|name| format!("\"{name}\" = r.\"{name}\"")).collect();
        let json = serde_json::to_string(rows).map_err(StoreError::Current)?;
        let found = match self.hyper {
            true => {
                "t.observed_at = r.observed_at AND t.event_id = r.event_id AND t.seq = r.seq AND t.epoch = r.epoch"
            }
            false => "t.ctid = (j ->> 'place')::tid",
        };
        let update = format!(
            "UPDATE {name} t SET {set} FROM jsonb_array_elements($1::jsonb) j
             CROSS JOIN LATERAL jsonb_populate_record(NULL::{name}, j -> 'row') r WHERE {found}",
            name = self.name,
            set = set.join(", "),
        );
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
