//! The tables of schema `tallyman` that can name a person, whatever there is of them.

use serde_json::{Map, Value};

use super::span;
use crate::domain::erasure::can_hold;
use crate::domain::register::Record;
use crate::store::timescale::connection::{Connection, column};
use crate::store::timescale::error::StoreError;

#[derive(Clone, Debug)]
pub struct Table {
    /// With its schema.
    pub name: String,
    /// Columns that can name somebody.
    pub columns: Vec<String>,
    /// Rows of a hypertable are in other tables, its chunks, and are found by event and time.
    pub hyper: bool,
    /// It has an index over `observed_at`, by which it is walked; others are walked by their key, and what has none
    /// block by block.
    pub timed: bool,
    /// A row is an event, with its node, epoch and number, and is never changed.
    pub numbered: bool,
    /// It says when the event was recorded.
    pub recorded: bool,
    /// Columns of the primary key, and their types.
    pub key: Vec<(String, String)>,
    /// The table of the register that it is.
    pub record: Option<&'static str>,
}

/// All but those whose rows name devices alone, or are theirs and go whole.
pub async fn list(connection: &mut Connection) -> Result<Vec<Table>, StoreError> {
    const OPERATION: &str = "list the tables";
    let query = sqlx::query(
        "SELECT c.relname::text AS name,
           EXISTS (SELECT FROM timescaledb_information.hypertables h
             WHERE h.hypertable_schema = 'tallyman' AND h.hypertable_name = c.relname) AS hyper,
           bool_or(a.attname = 'observed_at') AS timed,
           count(*) FILTER (WHERE a.attname IN ('event_id', 'node', 'epoch', 'seq')) = 4 AS numbered,
           bool_or(a.attname = 'recorded_at') AS recorded,
           coalesce(array_agg(a.attname::text ORDER BY a.attnum)
             FILTER (WHERE a.atttypid = 'text'::regtype), '{}') AS texts,
           coalesce(array_agg(a.attname::text ORDER BY a.attnum)
             FILTER (WHERE a.atttypid = 'jsonb'::regtype), '{}') AS documents,
           ARRAY(SELECT k.attname::text FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY u(attnum, n)
             JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = u.attnum
             WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY u.n) AS keys,
           ARRAY(SELECT format_type(k.atttypid, k.atttypmod) FROM pg_index i
             CROSS JOIN unnest(i.indkey) WITH ORDINALITY u(attnum, n)
             JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = u.attnum
             WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY u.n) AS key_types
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relnamespace = 'tallyman'::regnamespace AND c.relkind IN ('r', 'p')
           AND c.relname NOT IN ('fix', 'sample', 'person', 'tag')
         GROUP BY c.oid, c.relname ORDER BY c.relname",
    );
    let mut tables = Vec::new();
    for row in connection.rows(OPERATION, query).await? {
        let name: String = column(&row, OPERATION, "name")?;
        let (texts, documents): (Vec<String>, Vec<String>) =
            (column(&row, OPERATION, "texts")?, column(&row, OPERATION, "documents")?);
        let (hyper, timed) = (column(&row, OPERATION, "hyper")?, column(&row, OPERATION, "timed")?);
        let (numbered, recorded) =
            (column(&row, OPERATION, "numbered")?, column(&row, OPERATION, "recorded")?);
        let (keys, types): (Vec<String>, Vec<String>) =
            (column(&row, OPERATION, "keys")?, column(&row, OPERATION, "key_types")?);
        let key = keys.into_iter().zip(types).collect();
        let record = match name.as_str() {
            "asset_class" => Some("class"),
            name => Record::TABLES.into_iter().find(|table| *table == name),
        };
        let columns: Vec<String> = texts.into_iter().filter(|name| can_hold(name)).chain(documents).collect();
        if !columns.is_empty() {
            let name = format!("tallyman.\"{name}\"");
            tables.push(Table { name, columns, hyper, timed, numbered, recorded, key, record });
        }
    }
    Ok(tables)
}

impl Table {
    /// Whether it is walked by its key: rows may move, and keep it.
    pub fn keyed(&self) -> bool {
        !self.timed && !self.key.is_empty()
    }

    /// The key of the last of the next `rows` rows.
    pub async fn key_after(
        &self,
        connection: &mut Connection,
        after: Option<&[String]>,
        rows: i64,
    ) -> Result<Option<Vec<String>>, StoreError> {
        const OPERATION: &str = "see how far a table reaches";
        let names: Vec<String> = self.key.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let texts: Vec<String> = names.iter().map(|name| format!("{name}::text")).collect();
        let last: Vec<String> = names.iter().map(|name| format!("{name} DESC")).collect();
        let (names, texts, last) = (names.join(", "), texts.join(", "), last.join(", "));
        let beyond = after.map_or(String::new(), |after| format!("WHERE ({names}) > {}", self.key_of(after)));
        let sql = format!(
            "SELECT ARRAY[{texts}] AS key FROM
               (SELECT {names} FROM {table} {beyond} ORDER BY {names} LIMIT {rows}) t ORDER BY {last} LIMIT 1",
            table = self.name
        );
        let row = connection.row(OPERATION, sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false)).await?;
        row.map(|row| column(&row, OPERATION, "key")).transpose()
    }

    /// The condition on a row that its key is in this stretch.
    pub fn within_keys(&self, after: Option<&[String]>, to: &[String]) -> String {
        let names: Vec<String> = self.key.iter().map(|(name, _)| format!("t.\"{name}\"")).collect();
        let names = names.join(", ");
        let until = format!("({names}) <= {}", self.key_of(to));
        after.map_or(until.clone(), |after| format!("({names}) > {} AND {until}", self.key_of(after)))
    }

    fn key_of(&self, values: &[String]) -> String {
        let typed = self.key.iter().zip(values);
        let typed = typed.map(|((_, kind), value)| format!("{}::{kind}", span::quoted(value)));
        format!("({})", typed.collect::<Vec<_>>().join(", "))
    }

    /// Where it begins and ends: in microseconds, or in blocks. `None`: it is empty.
    pub async fn range(&self, connection: &mut Connection) -> Result<Option<(i64, i64)>, StoreError> {
        const OPERATION: &str = "see how far a table reaches";
        let name = &self.name;
        let sql = match self.timed {
            true => format!(
                "SELECT (extract(epoch FROM min(observed_at)) * 1000000)::bigint AS first,
                   (extract(epoch FROM max(observed_at)) * 1000000)::bigint + 1 AS ends FROM {name}"
            ),
            false => format!(
                "SELECT 0::bigint AS first,
                   pg_relation_size('{name}'::regclass) / current_setting('block_size')::bigint AS ends"
            ),
        };
        let Some(row) = connection.row(OPERATION, sqlx::query(sqlx::AssertSqlSafe(sql))).await? else {
            return Ok(None);
        };
        let (first, ends): (Option<i64>, Option<i64>) =
            (column(&row, OPERATION, "first")?, column(&row, OPERATION, "ends")?);
        Ok(first.zip(ends).filter(|(first, ends)| first < ends))
    }

    /// How much of it is looked at first: a minute, or some blocks.
    pub fn first_width(&self) -> i64 {
        if self.timed { 60_000_000 } else { 64 }
    }

    /// By what rows of one stretch stand one after the other, when there are too many of them for once.
    pub fn order(&self) -> &'static str {
        if self.hyper { "(t.event_id, t.epoch, t.seq)" } else { "t.ctid" }
    }

    /// The condition on a row that it stands behind this one, which was read from `place`.
    pub fn behind(&self, row: &Map<String, Value>, place: &str) -> String {
        let quoted = |column: &str| span::quoted(row.get(column).and_then(Value::as_str).unwrap_or_default());
        let that = match self.hyper {
            true => format!(
                "({}::uuid, {}::uuid, {})",
                quoted("event_id"),
                quoted("epoch"),
                row.get("seq").and_then(Value::as_i64).unwrap_or_default()
            ),
            false => format!("{}::tid", span::quoted(place)),
        };
        format!("{} > {that}", self.order())
    }

    /// The condition on a row that it is in this stretch of the range.
    pub fn within(&self, from: i64, to: i64) -> String {
        match self.timed {
            true => span::within_time(from, to),
            false => format!("t.ctid >= '({from},0)'::tid AND t.ctid < '({to},0)'::tid"),
        }
    }
}
