//! People in TimescaleDB: one who is erased, and what is kept of everybody for a shorter time.
//!
//! An erasure goes through every table of schema `tallyman`, whatever there is of them, in one transaction, once
//! the journal no longer names the person and everything up to then is here: so nothing that was read from the
//! journal before brings them back. A row is rewritten as the journal's are, field by field.

use super::connection::{Connection, column};
use super::encode::without_nul;
use super::error::StoreError;
use super::register::mirror;
use crate::domain::erasure::{Eraser, Erasure};
use crate::domain::register::Record;
use crate::domain::time::Timestamp;
use serde_json::{Map, Value};

/// Rows of one table that are rewritten between two looks at it.
const PAGE: usize = 1_000;

/// Replaces the person everywhere. Gives the number of rows that named them.
pub async fn erase(connection: &mut Connection, erasure: &Erasure) -> Result<u64, StoreError> {
    connection.begin().await?;
    match erase_within(connection, erasure).await {
        Ok(rows) => connection.commit().await.map(|()| rows),
        Err(error) => {
            connection.rollback().await?;
            Err(error)
        }
    }
}

async fn erase_within(connection: &mut Connection, erasure: &Erasure) -> Result<u64, StoreError> {
    mirror::write_as_mirror(connection).await?;
    let mut rows = 0;
    for sql in ["DELETE FROM tallyman.tag WHERE person = $1", "DELETE FROM tallyman.person WHERE id = $1"] {
        rows += connection.run("remove a person", sqlx::query(sql).bind(erasure.person.clone())).await?;
    }
    let eraser = Eraser::new(erasure);
    for table in tables(connection).await? {
        rows += table.erase(connection, &eraser).await?;
    }
    Ok(rows)
}

struct Table {
    name: String,
    /// Those that may hold words.
    columns: Vec<String>,
    /// Rows of a hypertable are in other tables, its chunks, and are found by event and time.
    hyper: bool,
    /// The table of the register that it is.
    record: Option<&'static str>,
}

async fn tables(connection: &mut Connection) -> Result<Vec<Table>, StoreError> {
    const OPERATION: &str = "list the tables";
    let query = sqlx::query(
        "SELECT c.relname::text AS name,
           EXISTS (SELECT FROM timescaledb_information.hypertables h
             WHERE h.hypertable_schema = 'tallyman' AND h.hypertable_name = c.relname) AS hyper,
           array_agg(a.attname::text ORDER BY a.attnum) AS columns
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relnamespace = 'tallyman'::regnamespace AND c.relkind IN ('r', 'p')
           AND a.atttypid IN ('text'::regtype, 'jsonb'::regtype) AND c.relname NOT IN ('fix', 'sample')
         GROUP BY c.oid, c.relname ORDER BY c.relname",
    );
    let rows = connection.rows(OPERATION, query).await?;
    let table = |row| {
        let name: String = column(row, OPERATION, "name")?;
        let (columns, hyper) = (column(row, OPERATION, "columns")?, column(row, OPERATION, "hyper")?);
        let record = match name.as_str() {
            "asset_class" => Some("class"),
            name => Record::TABLES.into_iter().find(|table| *table == name),
        };
        Ok(Table { name: format!("tallyman.\"{name}\""), columns, hyper, record })
    };
    rows.iter().map(table).collect()
}

impl Table {
    async fn erase(&self, connection: &mut Connection, eraser: &Eraser) -> Result<u64, StoreError> {
        const OPERATION: &str = "look for a person";
        let needles: Vec<String> = eraser.needles().collect();
        let select = format!(
            "SELECT {} AS place, to_jsonb(t)::text AS row FROM {} t WHERE EXISTS (
               SELECT FROM unnest($1::text[]) n WHERE strpos(lower(to_jsonb(t)::text COLLATE \"C\"), n) > 0)",
            self.place(),
            self.name
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(select)).bind(needles);
        let found = connection.rows(OPERATION, query.persistent(false)).await?;
        let mut rewritten = 0;
        for page in found.chunks(PAGE) {
            let mut rows = Vec::new();
            for row in page {
                let (place, json): (String, String) =
                    (column(row, OPERATION, "place")?, column(row, OPERATION, "row")?);
                let row: Map<String, Value> = serde_json::from_str(&json).map_err(StoreError::Current)?;
                if let Some(row) = erase_row(eraser, self.record, row) {
                    rows.push(serde_json::json!({ "place": place, "row": row }));
                }
            }
            rewritten += self.rewrite(connection, &rows).await?;
        }
        Ok(rewritten)
    }

    /// What tells a row from the others, as text.
    fn place(&self) -> &'static str {
        if self.hyper { "t.event_id::text || ' ' || t.seq || ' ' || t.epoch" } else { "t.ctid::text" }
    }

    async fn rewrite(&self, connection: &mut Connection, rows: &[Value]) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let set = self
            .columns
            .iter()
            .map(|name| format!("\"{name}\" = r.\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ");
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
            name = self.name
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(update)).bind(without_nul(&json).into_owned());
        connection.run("rewrite rows", query.persistent(false)).await
    }
}

/// A row is an object like any other; one of the register is a record of its table.
fn erase_row(eraser: &Eraser, table: Option<&str>, mut row: Map<String, Value>) -> Option<Value> {
    if let Some(table) = table {
        row.insert("table".to_owned(), table.into());
    }
    let mut row = Value::Object(row);
    eraser.json(&mut row).then_some(row)
}

/// Deletes what names people by their badges and is older than it is kept.
pub async fn prune(connection: &mut Connection, node: &str, before: Timestamp) -> Result<u64, StoreError> {
    // Word for word the condition of the index `location_event_people`.
    let query = sqlx::query(
        "DELETE FROM tallyman.location_event WHERE (kind = 'proposal' OR subject LIKE 'person:%')
           AND observed_at < timestamptz 'epoch' + $2 * interval '1 microsecond' AND node = $1",
    );
    connection.run("forget where badges were", query.bind(node.to_owned()).bind(before.as_micros())).await
}
