//! The one writing connection: commits, heartbeats, and the facts in `meta`.
//!
//! ```text
//! settled ── BEGIN IMMEDIATE ──▶ open ── COMMIT (fsync) ──▶ settled
//!    ▲                            │ any failure
//!    └── roll back, count anew ◀──┘   (also where a call was dropped half-way)
//! ```
//! What it remembers (the newest number, how many dead letters) moves only after a COMMIT.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};

use super::dead_letters::Letters;
use super::error::{JournalError, Operation};
use super::file::Lock;
use super::insert::{self, Row, Rows};
use super::recent::Recent;
use super::retention::Retention;
use super::{Batch, Committed, Meta, Usage, dead_letters, erase, file, meta};
use crate::config::JournalConfig;
use crate::domain::erasure::Erasure;
use crate::domain::state::StateRow;
use crate::domain::time::Timestamp;
use crate::telemetry::names;

/// The only one who writes events and state. Do not drop a future of its methods half-way: it would be put
/// right at the next call, but what became of the commit would be unknown until then.
#[derive(Debug)]
pub struct Writer {
    pub(super) path: PathBuf,
    pub(super) conn: SqliteConnection,
    pub(super) counted: Counted,
    pub(super) usage: Usage,
    pub(super) retention: Retention,
    pub(super) letter_caps: Letters,
    /// Letters handed out for a replay and not yet removed by a commit, with their bytes.
    pub(super) replaying: BTreeMap<u64, u64>,
    /// Commits since the last maintenance: none means idle.
    pub(super) busy: bool,
    pub(super) wal_is_large: bool,
    /// Under way, in the order in which they were asked for.
    pub(super) erasures: Vec<Erasure>,
    /// For how many of them the file was rewritten; the log is yet to be cut.
    pub(super) rewritten: usize,
    pub(super) recent: Recent,
    reserve_bytes: u64,
    max_bytes: u64,
    /// A transaction was begun and not seen to end.
    unsettled: bool,
    /// Held open until the connection is gone.
    lock: Lock,
}

/// What is remembered of the file, so as not to ask for it at every commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counted {
    pub last_seq: u64,
    pub forwarded_seq: u64,
    pub dead_letters: Letters,
}

/// What a transaction that was not committed yet has written.
struct Written {
    counted: Counted,
    inserted: u64,
    duplicates: u64,
    letters_dropped: u64,
    letters_replayed: u64,
    used_bytes: u64,
    erasures: Vec<Erasure>,
}

impl Writer {
    pub(super) async fn new(
        config: &JournalConfig,
        conn: SqliteConnection,
        lock: Lock,
        meta: &Meta,
    ) -> Result<Self, JournalError> {
        let mut writer = Self {
            path: config.path.clone(),
            conn,
            counted: Counted {
                last_seq: meta.last_seq,
                forwarded_seq: meta.forwarded_seq,
                dead_letters: Letters::default(),
            },
            usage: Usage::default(),
            retention: Retention::new(config),
            letter_caps: Letters { count: config.max_dead_letters, bytes: config.dead_letter_bytes() },
            replaying: BTreeMap::new(),
            busy: false,
            wal_is_large: false,
            erasures: Vec::new(),
            rewritten: 0,
            recent: Recent::default(),
            reserve_bytes: config.reserve_bytes,
            max_bytes: config.max_bytes,
            unsettled: false,
            lock,
        };
        writer.count_anew().await.map_err(|source| writer.failed(Operation::Load, source))?;
        writer.retention.restore(&mut writer.conn, &writer.path).await?;
        writer.restore_erasures().await?;
        metrics::gauge!(names::JOURNAL_MAX_BYTES).set(config.max_bytes as f64);
        Ok(writer)
    }

    /// Makes the batch durable as a whole: fsync is done when this returns. Events are numbered in
    /// their order, without a gap; one whose id is there already is left out and counted.
    ///
    /// # Errors
    /// Nothing of the batch was written. Where [`JournalError::is_passing`], try the same batch again.
    pub async fn commit(&mut self, batch: &Batch, recorded_at: Timestamp) -> Result<Committed, JournalError> {
        let started = Instant::now();
        let (mut rows, mut maker) = (Vec::with_capacity(batch.events.len()), Rows::default());
        for event in &batch.events {
            let id = || event.id.to_string();
            rows.push(maker.row(event).map_err(|source| JournalError::Body { id: id(), source })?);
        }
        if rows.is_empty()
            && batch.state.is_empty()
            && batch.dead_letters.is_empty()
            && batch.replayed.is_empty()
        {
            return Ok(Committed { last_seq: self.counted.last_seq, inserted: 0 });
        }
        let erasures = self.erasures_with(batch);
        let written = match self.try_commit(batch, &erasures, &mut rows, recorded_at).await {
            Ok(written) => written,
            Err(source) => {
                metrics::counter!(names::JOURNAL_COMMIT_FAILURES).increment(1);
                return Err(self.failed(Operation::Commit, source));
            }
        };
        self.committed(&written);
        if !written.erasures.is_empty() {
            self.note_erasures(written.erasures);
        }
        self.keep_recent(rows, written.counted.last_seq, recorded_at);
        for id in &batch.replayed {
            self.replaying.remove(id);
        }
        metrics::histogram!(names::JOURNAL_COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
        Ok(Committed { last_seq: self.counted.last_seq, inserted: written.inserted })
    }

    /// Ids are checked by their index alone, and looked up only once it has refused one: that is rare.
    async fn try_commit(
        &mut self,
        batch: &Batch,
        erasures: &[Erasure],
        rows: &mut Vec<Row<'_>>,
        recorded_at: Timestamp,
    ) -> Result<Written, sqlx::Error> {
        self.begin().await?;
        let first = self.write(batch, erasures, rows, recorded_at).await;
        let refused = matches!(&first, Err(sqlx::Error::Database(error)) if error.is_unique_violation());
        if !refused {
            return self.end(first).await;
        }
        self.roll_back().await?;
        self.begin().await?;
        let second = match insert::retain_new(&mut self.conn, rows).await {
            Ok(duplicates) => {
                let written = self.write(batch, erasures, rows, recorded_at).await;
                written.map(|written| Written { duplicates, ..written })
            }
            Err(error) => Err(error),
        };
        self.end(second).await
    }

    async fn write(
        &mut self,
        batch: &Batch,
        erasures: &[Erasure],
        rows: &[Row<'_>],
        recorded_at: Timestamp,
    ) -> Result<Written, sqlx::Error> {
        let mut counted = self.counted;
        let conn = &mut self.conn;
        insert::events_and_state(conn, rows, counted.last_seq + 1, recorded_at, &batch.state).await?;
        counted.last_seq += rows.len() as u64;
        let letters_replayed = dead_letters::remove(conn, &batch.replayed).await?;
        insert::dead_letters(conn, &batch.dead_letters, recorded_at).await?;
        let arrived = Letters::arriving(&batch.dead_letters);
        counted.dead_letters = counted.dead_letters.minus(letters_replayed).plus(arrived);
        let letters_dropped =
            dead_letters::drop_oldest(conn, counted.dead_letters, self.letter_caps, arrived.count).await?;
        counted.dead_letters = counted.dead_letters.minus(letters_dropped);
        let erasures = erase::put_with(conn, erasures, counted.last_seq).await?;
        meta::put_commit(conn, counted.last_seq, recorded_at).await?;
        let used_bytes = used_bytes(conn).await?;
        let inserted = rows.len() as u64;
        Ok(Written {
            counted,
            inserted,
            duplicates: 0,
            letters_dropped: letters_dropped.count,
            letters_replayed: letters_replayed.count,
            used_bytes,
            erasures,
        })
    }

    /// What was just written, where somebody follows it. While a person is being erased, all is read from the file.
    fn keep_recent(&self, rows: Vec<Row<'_>>, last_seq: u64, recorded_at: Timestamp) {
        if self.erasures.is_empty() && self.retention.protect_unforwarded {
            let first = last_seq + 1 - rows.len() as u64;
            let rows = rows.into_iter().zip(first..);
            self.recent.add(rows.map(|(row, seq)| row.stored(seq, recorded_at)));
        } else {
            self.recent.clear();
        }
    }

    fn committed(&mut self, written: &Written) {
        self.counted = written.counted;
        self.busy = true;
        self.set_usage(written.used_bytes);
        if written.duplicates > 0 {
            metrics::counter!(names::JOURNAL_DUPLICATE_IDS).increment(written.duplicates);
            tracing::warn!(events = written.duplicates, "events that the journal held already were left out");
        }
        dead_letters::dropped(written.letters_dropped);
        metrics::counter!(names::JOURNAL_DEAD_LETTERS_REPLAYED).increment(written.letters_replayed);
        metrics::counter!(names::JOURNAL_COMMITS).increment(1);
        metrics::counter!(names::JOURNAL_EVENTS).increment(written.inserted);
        metrics::gauge!(names::JOURNAL_LAST_SEQ).set(self.counted.last_seq as f64);
        metrics::gauge!(names::JOURNAL_DEAD_LETTERS).set(self.counted.dead_letters.count as f64);
        metrics::gauge!(names::JOURNAL_DEAD_LETTER_BYTES).set(self.counted.dead_letters.bytes as f64);
    }

    /// Notes that the daemon lives. A commit does so too.
    pub async fn heartbeat(&mut self, now: Timestamp) -> Result<(), JournalError> {
        self.put(Operation::Heartbeat, meta::LAST_HEARTBEAT, now.as_micros().to_string()).await
    }

    /// Everything up to `seq` is in TimescaleDB. It may go back, where that database did.
    pub async fn set_forwarded(&mut self, seq: u64) -> Result<(), JournalError> {
        self.put(Operation::Forwarded, meta::FORWARDED_SEQ, seq.to_string()).await?;
        self.counted.forwarded_seq = seq;
        self.recent.let_go(seq);
        Ok(())
    }

    /// Writes one state row by itself.
    pub async fn note(&mut self, row: &StateRow) -> Result<(), JournalError> {
        let done = match self.begin().await {
            Ok(()) => {
                let put = insert::state(&mut self.conn, std::slice::from_ref(row)).await;
                self.end(put).await
            }
            Err(error) => Err(error),
        };
        done.map_err(|source| self.failed(Operation::Note, source))
    }

    /// Goes on under another random epoch; numbers and what was noted as forwarded stay.
    pub async fn new_epoch(&mut self) -> Result<String, JournalError> {
        let epoch = meta::random_epoch();
        self.put(Operation::NewEpoch, meta::EPOCH, epoch.clone()).await?;
        Ok(epoch)
    }

    /// Whether events are forwarded: then none is deleted before it was. Off after an open.
    pub fn protect_unforwarded(&mut self, protect: bool) {
        self.retention.protect_unforwarded = protect;
    }

    /// As of the last commit or maintenance.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Folds the log into the file and lets go of it: whoever copies the one file has everything. SQLite
    /// would do so by itself for the last connection only, and readers may still have theirs.
    pub async fn close(mut self) -> Result<(), JournalError> {
        if let Err(error) = self.truncate_log().await {
            tracing::warn!(%error, "the journal's log stays beside it; the next start reads both");
        }
        let Self { conn, lock, path, .. } = self;
        conn.close().await.map_err(|source| JournalError::sql(Operation::Close, &path, source))?;
        drop(lock);
        Ok(())
    }

    async fn put(&mut self, operation: Operation, key: &str, value: String) -> Result<(), JournalError> {
        let done = match self.begin().await {
            Ok(()) => {
                let put = meta::put(&mut self.conn, key, value).await;
                self.end(put).await
            }
            Err(error) => Err(error),
        };
        done.map_err(|source| self.failed(operation, source))
    }

    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        if self.unsettled {
            self.roll_back().await?;
        }
        self.unsettled = true;
        self.conn.execute("BEGIN IMMEDIATE").await?;
        Ok(())
    }

    pub(super) async fn end<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let ended = match done {
            Ok(value) => self.conn.execute("COMMIT").await.map(|_| value),
            Err(error) => Err(error),
        };
        match ended {
            Ok(value) => {
                self.unsettled = false;
                Ok(value)
            }
            Err(error) => {
                // Should this fail as well, it is tried again before the next transaction.
                if let Err(later) = self.roll_back().await {
                    tracing::warn!(error = %later, "a failed commit is not rolled back yet");
                }
                Err(error)
            }
        }
    }

    async fn roll_back(&mut self) -> Result<(), sqlx::Error> {
        // On some failures (a full disk, an I/O error) SQLite has rolled back by itself and refuses this.
        // Were the transaction still open, BEGIN would refuse.
        if let Err(error) = self.conn.execute("ROLLBACK").await {
            tracing::debug!(%error, "nothing to roll back");
        }
        // A COMMIT whose fsync failed, or whose answer was not waited for, may have happened.
        self.count_anew().await?;
        self.unsettled = false;
        Ok(())
    }

    pub(super) async fn count_anew(&mut self) -> Result<(), sqlx::Error> {
        let sql = "SELECT max(coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last_seq'), 0), \
                       coalesce((SELECT max(seq) FROM event), 0))";
        let last_seq: i64 = sqlx::query_scalar(sql).fetch_one(&mut self.conn).await?;
        self.counted.dead_letters = dead_letters::held(&mut self.conn).await?;
        self.counted.last_seq = last_seq.unsigned_abs();
        let used = used_bytes(&mut self.conn).await?;
        self.set_usage(used);
        Ok(())
    }

    pub(super) fn set_usage(&mut self, used_bytes: u64) {
        self.usage = Usage { used_bytes, max_bytes: self.max_bytes, reserve_bytes: self.reserve_bytes };
        metrics::gauge!(names::JOURNAL_USED_BYTES).set(used_bytes as f64);
    }

    pub(super) fn failed(&self, operation: Operation, source: sqlx::Error) -> JournalError {
        let error = JournalError::sql(operation, &self.path, source);
        if matches!(error, JournalError::Corrupt { .. }) {
            file::mark_suspect(&self.path);
        }
        error
    }

    /// A disk that is full at so many pages.
    #[cfg(test)]
    pub(super) async fn limit_pages(&mut self, pages: u32) {
        let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        self.conn.execute(pragma).await.unwrap();
    }
}

/// Pages in use within the transaction, in bytes.
pub(super) async fn used_bytes(conn: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let used: i64 = sqlx::query_scalar(
        "SELECT (page_count - freelist_count) * page_size \
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    )
    .fetch_one(conn)
    .await?;
    Ok(used.unsigned_abs())
}
