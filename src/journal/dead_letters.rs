//! Dead letters: their caps, and putting them back through the pipeline.
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
use super::{DeadLetter, StoredDeadLetter, Writer, open};
use crate::telemetry::names;

/// Letters under way at a time, and their bytes together; one that is larger goes alone.
const REPLAYED_AT_ONCE: usize = 64;
const REPLAYED_BYTES_AT_ONCE: u64 = 16 << 20;

/// What a letter counts for, in bytes. SQLite knows it without reading the payload.
pub(super) const SIZE: &str =
    "(octet_length(payload) + octet_length(detail) + coalesce(octet_length(topic), 0))";

/// Letters beyond the cap that one commit or step drops besides those it brought (the cap was lowered).
const DROPPED_AT_ONCE: u64 = 1000;

impl Writer {
    /// Letters that people asked to see again, oldest first; each is given once. They are removed by
    /// the commit whose batch names them as replayed, which is the one that holds what came of them.
    pub async fn take_replays(&mut self) -> Result<Vec<StoredDeadLetter>, JournalError> {
        let letters = self.try_take_replays().await;
        letters.map_err(|source| self.failed(Operation::Replay, source))
    }

    async fn try_take_replays(&mut self) -> Result<Vec<StoredDeadLetter>, sqlx::Error> {
        let text = format!(
            "SELECT id, {SIZE} FROM dead_letter WHERE id IN (SELECT id FROM replay_request) ORDER BY id LIMIT ?"
        );
        let asked: Vec<(i64, i64)> = sqlx::query_as(AssertSqlSafe(text))
            .bind(signed(REPLAYED_AT_ONCE as u64))
            .fetch_all(&mut self.conn)
            .await?;
        let mut letters = Vec::new();
        for (id, bytes) in asked.into_iter().map(|(id, bytes)| (id.unsigned_abs(), bytes.unsigned_abs())) {
            if self.replaying.contains_key(&id) {
                continue;
            }
            let under_way: u64 = self.replaying.values().sum();
            if under_way > 0 && under_way + bytes > REPLAYED_BYTES_AT_ONCE {
                break;
            }
            let text = format!("SELECT {DEAD_LETTER_COLUMNS} FROM dead_letter WHERE id = ?");
            let letter = sqlx::query(AssertSqlSafe(text)).bind(signed(id));
            let letter = letter.try_map(|row| rows::dead_letter(&row)).fetch_one(&mut self.conn).await?;
            self.replaying.insert(id, bytes);
            letters.push(letter);
        }
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

/// Their requests go with them (the foreign key cascades). Gives back what was still there.
pub(super) async fn remove(conn: &mut SqliteConnection, ids: &[u64]) -> Result<Letters, sqlx::Error> {
    let mut removed = Letters::default();
    let text = format!("DELETE FROM dead_letter WHERE id = ? RETURNING {SIZE}");
    for &id in ids {
        let bytes: Option<i64> = sqlx::query_scalar(AssertSqlSafe(text.as_str()))
            .bind(signed(id))
            .fetch_optional(&mut *conn)
            .await?;
        removed.add(bytes.map(i64::unsigned_abs));
    }
    Ok(removed)
}

/// How many letters, and their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Letters {
    pub count: u64,
    pub bytes: u64,
}

impl Letters {
    pub fn arriving(letters: &[DeadLetter]) -> Self {
        let mut all = Self::default();
        for DeadLetter { payload, detail, topic, .. } in letters {
            let topic = topic.as_ref().map_or(0, String::len);
            all.add(Some((payload.len() + detail.len() + topic) as u64));
        }
        all
    }

    pub fn exceed(&self, caps: &Self) -> bool {
        self.count > caps.count || self.bytes > caps.bytes
    }

    pub fn plus(self, more: Self) -> Self {
        Self { count: self.count + more.count, bytes: self.bytes + more.bytes }
    }

    pub fn minus(self, less: Self) -> Self {
        Self { count: self.count.saturating_sub(less.count), bytes: self.bytes.saturating_sub(less.bytes) }
    }

    fn add(&mut self, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            *self = self.plus(Self { count: 1, bytes });
        }
    }
}

/// What the table holds.
pub(super) async fn held(conn: &mut SqliteConnection) -> Result<Letters, sqlx::Error> {
    let text = format!("SELECT count(*), coalesce(sum({SIZE}), 0) FROM dead_letter");
    let (count, bytes): (i64, i64) = sqlx::query_as(AssertSqlSafe(text)).fetch_one(conn).await?;
    Ok(Letters { count: count.unsigned_abs(), bytes: bytes.unsigned_abs() })
}

/// Brings what is held down towards the caps, oldest first, in a bounded step. Gives back what went.
pub(super) async fn drop_oldest(
    conn: &mut SqliteConnection,
    held: Letters,
    caps: Letters,
    arrived: u64,
) -> Result<Letters, sqlx::Error> {
    let mut gone = Letters::default();
    if !held.exceed(&caps) {
        return Ok(gone);
    }
    let text = format!("SELECT id, {SIZE} FROM dead_letter ORDER BY id LIMIT ?");
    let oldest: Vec<(i64, i64)> = sqlx::query_as(AssertSqlSafe(text))
        .bind(signed(arrived + DROPPED_AT_ONCE))
        .fetch_all(&mut *conn)
        .await?;
    let mut last = None;
    for (id, bytes) in oldest {
        if !held.minus(gone).exceed(&caps) {
            break;
        }
        gone.add(Some(bytes.unsigned_abs()));
        last = Some(id);
    }
    if let Some(last) = last {
        sqlx::query("DELETE FROM dead_letter WHERE id <= ?").bind(last).execute(conn).await?;
    }
    Ok(gone)
}

/// The loss, said and counted.
pub(super) fn dropped(letters: u64) {
    if letters > 0 {
        metrics::counter!(names::JOURNAL_DEAD_LETTERS_DROPPED).increment(letters);
        tracing::error!(
            letters,
            "the oldest dead letters were dropped: there are more than journal.max_dead_letters, or they take \
             more than journal.max_dead_letter_bytes"
        );
    }
}
