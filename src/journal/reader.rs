//! Reading, in the daemon and beside it: a small pool of read-only connections.
//!
//! Every question is one statement, and so one short read transaction: a long one would keep the
//! writer from ever starting its log anew.

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, QueryBuilder};

use super::error::{JournalError, Operation};
use super::joined::Joined;
use super::recent::Recent;
use super::rows::{self, DEAD_LETTER_COLUMNS, EVENT_COLUMNS, JOINED_EVENT, signed};
use super::{
    EventQuery, FoundEvents, FoundRow, Meta, StateRows, StoredDeadLetter, StoredEvent, Writer, meta, open,
    query,
};
use crate::domain::ids::EventId;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;

/// The forwarder, the notifier, and two for people: each holds one for milliseconds.
const CONNECTIONS: u32 = 4;

#[derive(Clone, Debug)]
pub struct Reader {
    path: PathBuf,
    pool: SqlitePool,
    /// Nothing, where it was not opened with the writer.
    pub(super) recent: Recent,
}

/// State rows read in one transaction.
const STATES_PAGE: usize = 5000;

impl Reader {
    /// Opens the journal that a daemon made, whether or not it runs.
    ///
    /// # Errors
    /// Where there is none, it may not be read, or it has another format than this build's.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        open::refuse_missing(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(open::BUSY_TIMEOUT)
            .thread_name(|nth| format!("journal-read-{nth}"))
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|source| JournalError::sql(Operation::Open, path, source))?;
        let reader = Self { path: path.to_owned(), pool, recent: Recent::default() };
        let mut conn = reader.pool.acquire().await.map_err(|source| reader.failed(source))?;
        open::refuse_other_format(path, &mut conn).await?;
        drop(conn);
        Ok(reader)
    }

    /// With what this writer wrote last in memory.
    pub(super) fn beside(self, writer: &Writer) -> Self {
        Self { recent: writer.recent.clone(), ..self }
    }

    pub(super) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub async fn meta(&self) -> Result<Meta, JournalError> {
        let rows = meta::all(&self.pool).await.map_err(|source| self.failed(source))?;
        meta::parse(&self.path, &rows, false)
    }

    /// As [`Reader::events_after`], for the one who forwards them: from memory what was written a moment ago. There may be
    /// more than are given, though they are fewer than `limit`.
    pub async fn next_events(&self, seq: u64, limit: usize) -> Result<Vec<StoredEvent>, JournalError> {
        match self.recent.after(seq, limit) {
            Some(events) => Ok(events),
            None => self.events_after(seq, limit).await,
        }
    }

    /// The next events in order.
    pub async fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<StoredEvent>, JournalError> {
        if let Some(events) = self.joined_events_after(seq, limit).await {
            return Ok(events);
        }
        let text = select_events("WHERE seq > ? ORDER BY seq LIMIT ?");
        sqlx::query(AssertSqlSafe(text))
            .bind(signed(seq))
            .bind(signed(limit as u64))
            .try_map(|row| rows::event(&row))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.failed(source))
    }

    /// As [`Reader::events_after`], as one text; `None` where that cannot be had, such as one that SQLite finds too long.
    pub(super) async fn joined_events_after(&self, seq: u64, limit: usize) -> Option<Vec<StoredEvent>> {
        let text = format!(
            "SELECT CAST(group_concat({JOINED_EVENT}, '') AS BLOB) \
             FROM (SELECT {EVENT_COLUMNS} FROM event WHERE seq > ? ORDER BY seq LIMIT ?)"
        );
        let query = sqlx::query_scalar::<_, Option<Vec<u8>>>(AssertSqlSafe(text));
        let found = query.bind(signed(seq)).bind(signed(limit as u64)).fetch_one(&self.pool).await;
        let text = found.inspect_err(|error| tracing::debug!(%error, "events are read one by one")).ok()?;
        let text = text.unwrap_or_default();
        let (mut text, mut events) = (Joined(&text), Vec::new());
        while !text.is_empty() {
            events.push(rows::joined_event(&mut text)?);
        }
        Some(events)
    }

    /// The next alert transitions in order, for those who tell of them.
    pub async fn alert_events_after(&self, seq: u64, limit: usize) -> Result<Vec<StoredEvent>, JournalError> {
        let text = format!(
            "SELECT {EVENT_COLUMNS} FROM event INDEXED BY event_lasting \
             WHERE class < 5 AND seq > ? AND kind = 'alert' ORDER BY seq LIMIT ?"
        );
        sqlx::query(AssertSqlSafe(text))
            .bind(signed(seq))
            .bind(signed(limit as u64))
            .try_map(|row| rows::event(&row))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.failed(source))
    }

    /// How many alert transitions follow; at most `limit` are counted.
    pub async fn count_alert_events_after(&self, seq: u64, limit: usize) -> Result<u64, JournalError> {
        let text = "SELECT count(*) FROM (SELECT 1 FROM event INDEXED BY event_lasting \
                    WHERE class < 5 AND seq > ? AND kind = 'alert' LIMIT ?)";
        let count: i64 = sqlx::query_scalar(text)
            .bind(signed(seq))
            .bind(signed(limit as u64))
            .fetch_one(&self.pool)
            .await
            .map_err(|source| self.failed(source))?;
        Ok(count.unsigned_abs())
    }

    /// `None` where no event has this number, be it pruned or not yet there. Another id than the one
    /// remembered says that this is an older copy of the journal, gone on with.
    pub async fn event_id_at(&self, seq: u64) -> Result<Option<EventId>, JournalError> {
        let id: Option<Vec<u8>> = sqlx::query_scalar("SELECT id FROM event WHERE seq = ?")
            .bind(signed(seq))
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| self.failed(source))?;
        id.map(|id| rows::event_id(&id)).transpose().map_err(|source| self.failed(source))
    }

    /// Number of the oldest event still here; `None` where there is none.
    pub async fn first_seq(&self) -> Result<Option<u64>, JournalError> {
        let seq: Option<i64> = sqlx::query_scalar("SELECT min(seq) FROM event")
            .fetch_one(&self.pool)
            .await
            .map_err(|source| self.failed(source))?;
        Ok(seq.map(|seq| seq.unsigned_abs()))
    }

    /// Newest first, by number.
    pub async fn events(&self, query: &EventQuery) -> Result<Vec<StoredEvent>, JournalError> {
        self.newest_events(query).await.map(|found| found.events)
    }

    /// Newest first, and where to look on from. Something is found as long as there is something, but for
    /// measurements: of these, only so many rows are looked through at once.
    pub async fn newest_events(&self, query: &EventQuery) -> Result<FoundEvents, JournalError> {
        query::newest(&self.pool, query).await.map_err(|source| self.failed(source))
    }

    /// In order, those behind `after` and up to `until`, as far as one look goes: `looked_to` is where.
    pub async fn following_events(
        &self,
        query: &EventQuery,
        after: u64,
        until: u64,
    ) -> Result<FoundEvents, JournalError> {
        query::following(&self.pool, query, after, until).await.map_err(|source| self.failed(source))
    }

    /// Where to begin with [`following_events`](Self::following_events) for all that was observed at or after `from`.
    pub async fn before_observed(&self, from: Timestamp, until: u64) -> Result<u64, JournalError> {
        query::before_observed(&self.pool, from, until).await.map_err(|source| self.failed(source))
    }

    /// The newest check-in of a subject.
    pub async fn newest_check_in(&self, subject: &str) -> Result<Option<StoredEvent>, JournalError> {
        query::newest_check_in(&self.pool, subject).await.map_err(|source| self.failed(source))
    }

    pub async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, JournalError> {
        sqlx::query(AssertSqlSafe(select_events("WHERE id = ?")))
            .bind(id.0.to_vec())
            .try_map(|row| rows::event(&row))
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| self.failed(source))
    }

    pub async fn state(&self, kind: StateKind, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        sqlx::query_scalar("SELECT value FROM state WHERE kind = ? AND key = ?")
            .bind(kind.as_str())
            .bind(key)
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| self.failed(source))
    }

    /// Those of these keys that are there.
    pub async fn states_of(
        &self,
        kind: StateKind,
        keys: &[String],
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        let mut text = QueryBuilder::new("SELECT key, value FROM state WHERE kind = ");
        text.push_bind(kind.as_str()).push(" AND key IN (");
        let mut list = text.separated(", ");
        for key in keys {
            list.push_bind(key);
        }
        text.push(")");
        text.build_query_as().fetch_all(&self.pool).await.map_err(|source| self.failed(source))
    }

    /// By key, those after `after_key`.
    pub async fn states(
        &self,
        kind: StateKind,
        after_key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        // No key is empty, so the empty one stands before them all.
        sqlx::query_as("SELECT key, value FROM state WHERE kind = ? AND key > ? ORDER BY key LIMIT ?")
            .bind(kind.as_str())
            .bind(after_key.unwrap_or(""))
            .bind(signed(limit as u64))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.failed(source))
    }

    /// By key, those after `after_key`.
    pub async fn state_rows(
        &self,
        rows: StateRows<'_>,
        after_key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<FoundRow>, JournalError> {
        let after = after_key.unwrap_or("");
        let query = match rows {
            StateRows::Of { kind, prefix } => sqlx::query_as(
                "SELECT key, value, NULL FROM state WHERE kind = ? AND key > ? AND key >= ? AND key < ? \
                 ORDER BY key LIMIT ?",
            )
            .bind(kind.as_str())
            .bind(after)
            .bind(prefix)
            .bind(format!("{prefix}{}", char::MAX)),
            StateRows::Register { prefix } => sqlx::query_as(
                "SELECT a.key, a.value, r.value FROM state a LEFT JOIN state r \
                 ON r.kind = 'register' AND r.key = coalesce('asset/' || (CAST(a.value AS TEXT) ->> '$.asset'), \
                 'person/' || (CAST(a.value AS TEXT) ->> '$.person')) \
                 WHERE a.kind = 'register' AND a.key > ? AND a.key >= ? AND a.key < ? ORDER BY a.key LIMIT ?",
            )
            .bind(after)
            .bind(prefix)
            .bind(format!("{prefix}{}", char::MAX)),
            StateRows::Assets => sqlx::query_as(
                "SELECT a.key, a.value, r.value FROM state a LEFT JOIN state r \
                 ON r.kind = 'register' AND r.key = 'asset/' || a.key \
                 WHERE a.kind = 'asset' AND a.key > ? ORDER BY a.key LIMIT ?",
            )
            .bind(after),
        };
        let rows = query.bind(signed(limit as u64)).fetch_all(&self.pool).await;
        let rows: Vec<(String, Vec<u8>, Option<Vec<u8>>)> = rows.map_err(|source| self.failed(source))?;
        Ok(rows.into_iter().map(|(key, value, record)| FoundRow { key, value, record }).collect())
    }

    /// Every row of a kind, by key; read in pages, so that no transaction is long.
    pub async fn all_states(&self, kind: StateKind) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        let mut rows = Vec::new();
        loop {
            let after = rows.last().map(|(key, _): &(String, Vec<u8>)| key.clone());
            let page = self.states(kind, after.as_deref(), STATES_PAGE).await?;
            if page.is_empty() {
                return Ok(rows);
            }
            rows.extend(page);
        }
    }

    /// By id, oldest first, those after `after_id`.
    pub async fn dead_letters(
        &self,
        after_id: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredDeadLetter>, JournalError> {
        let text = format!("SELECT {DEAD_LETTER_COLUMNS} FROM dead_letter WHERE id > ? ORDER BY id LIMIT ?");
        sqlx::query(AssertSqlSafe(text))
            .bind(signed(after_id.unwrap_or(0)))
            .bind(signed(limit as u64))
            .try_map(|row| rows::dead_letter(&row))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.failed(source))
    }

    /// Every one, oldest first.
    pub async fn dead_letter_ids(&self) -> Result<Vec<u64>, JournalError> {
        let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM dead_letter ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.failed(source))?;
        Ok(ids.into_iter().map(i64::unsigned_abs).collect())
    }

    pub async fn dead_letter(&self, id: u64) -> Result<Option<StoredDeadLetter>, JournalError> {
        let text = format!("SELECT {DEAD_LETTER_COLUMNS} FROM dead_letter WHERE id = ?");
        sqlx::query(AssertSqlSafe(text))
            .bind(signed(id))
            .try_map(|row| rows::dead_letter(&row))
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| self.failed(source))
    }

    /// Closes every connection; other clones of this reader end with it.
    pub async fn close(self) {
        self.pool.close().await;
    }

    pub(super) fn failed(&self, source: sqlx::Error) -> JournalError {
        JournalError::sql(Operation::Read, &self.path, source)
    }
}

fn select_events(rest: &str) -> String {
    format!("SELECT {EVENT_COLUMNS} FROM event {rest}")
}
