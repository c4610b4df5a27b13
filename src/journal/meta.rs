//! The `meta` table: what the journal knows of itself, one row a fact, as text.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Executor, Sqlite};

use super::Meta;
use super::error::{JournalError, Operation};
use crate::domain::ids::NodeId;
use crate::domain::time::Timestamp;

pub const NODE: &str = "node";
pub const EPOCH: &str = "epoch";
pub const LAST_SEQ: &str = "last_seq";
pub const FORWARDED_SEQ: &str = "forwarded_seq";
pub const LAST_HEARTBEAT: &str = "last_heartbeat";

/// Every row of the table.
pub async fn all<'c>(
    conn: impl Executor<'c, Database = Sqlite>,
) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT key, value FROM meta").fetch_all(conn).await?;
    Ok(rows.into_iter().collect())
}

pub fn parse(path: &Path, rows: &BTreeMap<String, String>, created: bool) -> Result<Meta, JournalError> {
    let text = |key: &str| {
        let what = format!("no `{key}` in its table `meta`");
        rows.get(key).ok_or(JournalError::Unreadable { path: path.to_owned(), what })
    };
    Ok(Meta {
        node: NodeId::new(text(NODE)?),
        epoch: text(EPOCH)?.clone(),
        last_seq: number(path, rows, LAST_SEQ)?.unwrap_or(0),
        forwarded_seq: number(path, rows, FORWARDED_SEQ)?.unwrap_or(0),
        last_heartbeat: number(path, rows, LAST_HEARTBEAT)?.map(Timestamp::from_micros),
        created,
    })
}

pub fn number<T: std::str::FromStr>(
    path: &Path,
    rows: &BTreeMap<String, String>,
    key: &str,
) -> Result<Option<T>, JournalError> {
    let Some(text) = rows.get(key) else { return Ok(None) };
    let unreadable =
        || JournalError::Unreadable { path: path.to_owned(), what: format!("`{text}` as `meta.{key}`") };
    text.parse().map(Some).map_err(|_| unreadable())
}

/// Writes one fact, in the transaction that is open.
pub async fn put(conn: &mut SqliteConnection, key: &str, value: impl ToString) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(key)
    .bind(value.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// The two facts that move with every commit, in one statement.
pub async fn put_commit(
    conn: &mut SqliteConnection,
    last_seq: u64,
    recorded_at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES ('last_seq', ?), ('last_heartbeat', ?) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(last_seq.to_string())
    .bind(recorded_at.as_micros().to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes sure that the file has an owner and an epoch; says whether it had none yet.
pub async fn ensure(path: &Path, conn: &mut SqliteConnection, node: &NodeId) -> Result<Meta, JournalError> {
    let failed = |source| JournalError::sql(Operation::Open, path, source);
    // One statement: a file has both facts or neither.
    let made = sqlx::query(
        "INSERT INTO meta (key, value) SELECT * FROM (VALUES ('node', ?), ('epoch', ?)) \
         WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'node')",
    )
    .bind(node.as_str())
    .bind(random_epoch())
    .execute(&mut *conn)
    .await
    .map_err(failed)?;
    let rows = all(conn).await.map_err(failed)?;
    let meta = parse(path, &rows, made.rows_affected() > 0)?;
    if meta.node != *node {
        return Err(JournalError::OtherNode {
            path: path.to_owned(),
            found: meta.node.to_string(),
            configured: node.to_string(),
        });
    }
    Ok(meta)
}

pub fn random_epoch() -> String {
    format!("{:032x}", rand::random::<u128>())
}
