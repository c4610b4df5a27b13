//! Dead letters: their cap, and putting them back through the pipeline.
//!
//! ```text
//! tallyman dead-letters replay ──▶ replay_request ──▶ Writer::take_replays ──▶ decode … track
//!        (another process)                                                        │
//!   request and letter gone  ◀── the commit that holds what came of them  ◀───────┘
//! ```
//! A crash before that commit leaves request and letter, and nothing of what came of them; the next
//! start takes them up again. So nothing is lost, and nothing is done twice.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::error::{JournalError, Operation};
use super::rows::{self, DEAD_LETTER_COLUMNS, signed};
use super::{StoredDeadLetter, Writer, open};
use crate::telemetry::names;

/// Letters under way at a time: each may be as large as a payload may be.
const REPLAYED_AT_ONCE: usize = 64;

/// Letters beyond the cap that one commit or step drops besides those it brought (the cap was lowered).
const DROPPED_AT_ONCE: u64 = 1000;

impl Writer {
    /// Letters that people asked to see again, oldest first; each is given once. They are removed by
    /// the commit whose batch names them as replayed, which is the one that holds what came of them.
    pub async fn take_replays(&mut self) -> Result<Vec<StoredDeadLetter>, JournalError> {
        let room = REPLAYED_AT_ONCE.saturating_sub(self.replaying.len());
        let text = format!(
            "SELECT {DEAD_LETTER_COLUMNS} FROM dead_letter WHERE id IN (SELECT id FROM replay_request) \
             ORDER BY id LIMIT ?"
        );
        let mut letters = sqlx::query(AssertSqlSafe(text))
            .bind(signed((self.replaying.len() + room) as u64))
            .try_map(|row| rows::dead_letter(&row))
            .fetch_all(&mut self.conn)
            .await
            .map_err(|source| self.failed(Operation::Replay, source))?;
        letters.retain(|letter| self.replaying.insert(letter.id));
        Ok(letters)
    }
}

/// Asks the daemon that owns the journal to replay these letters, now or when it starts next.
/// Gives back those it does not hold; the others are asked for all the same.
///
/// # Errors
/// Where the journal is missing, of another format, or may not be written.
pub async fn request_replay(path: &Path, ids: &[u64]) -> Result<Vec<u64>, JournalError> {
    let mut conn = open::connect_beside(path).await?;
    let asked = ask(&mut conn, ids).await;
    let closed = conn.close().await;
    let failed = |source| JournalError::sql(Operation::Replay, path, source);
    let unknown = asked.map_err(failed)?;
    closed.map_err(failed)?;
    Ok(unknown)
}

async fn ask(conn: &mut SqliteConnection, ids: &[u64]) -> Result<Vec<u64>, sqlx::Error> {
    let mut unknown = Vec::new();
    conn.execute("BEGIN IMMEDIATE").await?;
    for &id in ids {
        let held: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM dead_letter WHERE id = ?)")
            .bind(signed(id))
            .fetch_one(&mut *conn)
            .await?;
        if !held {
            unknown.push(id);
            continue;
        }
        sqlx::query("INSERT INTO replay_request (id) VALUES (?) ON CONFLICT DO NOTHING")
            .bind(signed(id))
            .execute(&mut *conn)
            .await?;
    }
    conn.execute("COMMIT").await?;
    Ok(unknown)
}

/// Their requests go with them (the foreign key cascades). Gives back how many were still there.
pub(super) async fn remove(conn: &mut SqliteConnection, ids: &[u64]) -> Result<u64, sqlx::Error> {
    let mut removed = 0;
    for &id in ids {
        let done = sqlx::query("DELETE FROM dead_letter WHERE id = ?").bind(signed(id)).execute(&mut *conn);
        removed += done.await?.rows_affected();
    }
    Ok(removed)
}

/// Brings `held` letters down towards `cap`, in a bounded step.
pub(super) async fn drop_oldest(
    conn: &mut SqliteConnection,
    held: u64,
    cap: u64,
    arrived: u64,
) -> Result<u64, sqlx::Error> {
    let excess = held.saturating_sub(cap).min(arrived + DROPPED_AT_ONCE);
    if excess == 0 {
        return Ok(0);
    }
    let sql = "DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter ORDER BY id LIMIT ?)";
    Ok(sqlx::query(sql).bind(signed(excess)).execute(conn).await?.rows_affected())
}

/// The loss, said and counted.
pub(super) fn dropped(letters: u64) {
    if letters > 0 {
        metrics::counter!(names::JOURNAL_DEAD_LETTERS_DROPPED).increment(letters);
        tracing::error!(
            letters,
            "the oldest dead letters were dropped: there are more than journal.max_dead_letters"
        );
    }
}
