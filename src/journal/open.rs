//! From a path to a journal that is ours, sound, of this build's format, and loaded.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::error::{JournalError, Operation};
use super::file::{self, Condition};
use super::{Opened, Reader, StatePages, Writer, meta, schema};
use crate::config::JournalConfig;
use crate::domain::ids::NodeId;
use crate::domain::time::Timestamp;
use crate::telemetry::names;

/// How long a statement waits for another process's write lock: people's commands write for
/// milliseconds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The writer folds the log back into the file after this many pages (40 MB): less often costs disk, more often costs
/// inserts.
const CHECKPOINT_PAGES: u32 = 10_000;

/// What the log is cut back to when it starts anew, should a reader have let it grow.
const WAL_KEPT_BYTES: u64 = 64 << 20;

/// Pages held in memory, in KiB: the right edges of the indexes and the state of some ten thousand subjects.
const CACHE_KIB: u32 = 16 << 10;

/// Opens the journal for writing, making it where there is none.
///
/// A damaged file is renamed, with its log, and a new journal begun under a new epoch.
///
/// # Errors
/// Where the folder is missing or not ours to write, another daemon holds the file, the file is another
/// program's, another node's or of a newer format, or its disk is full; the text says what to do.
pub async fn open(config: &JournalConfig, node: &NodeId, now: Timestamp) -> Result<Opened, JournalError> {
    let path = config.path.as_path();
    let lock = file::lock(path)?;
    let set_aside = match file::inspect(path).await? {
        Condition::Absent | Condition::Sound => None,
        Condition::Damaged(damage) => {
            let aside = file::set_aside(path, now)?;
            metrics::counter!(names::JOURNAL_SET_ASIDE).increment(1);
            tracing::error!(journal = %path.display(), set_aside = %aside.display(), damage,
                "the journal is damaged: it was set aside, and a new one begun");
            Some(aside)
        }
    };
    file::clear_suspect(path)?;

    let mut conn = connect(path).await?;
    schema::migrate(&mut conn, schema::MIGRATIONS)
        .await
        .map_err(|source| JournalError::sql(Operation::Migrate, path, source))?;
    let meta = meta::ensure(path, &mut conn, node).await?;
    if meta.created {
        file::sync_folder(path).map_err(|source| JournalError::io(Operation::Open, path, source))?;
    }
    let writer = Writer::new(config, conn, lock, &meta).await?;
    let reader = Reader::open(path).await?.beside(&writer);
    let state = StatePages::of(reader.clone());
    Ok(Opened { writer, reader, state, meta, set_aside })
}

async fn connect(path: &Path) -> Result<SqliteConnection, JournalError> {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("journal_size_limit", WAL_KEPT_BYTES.to_string())
        .pragma("cache_size", format!("-{CACHE_KIB}"))
        // What is deleted or replaced is overwritten where that costs no write of its own.
        .pragma("secure_delete", "FAST")
        .thread_name(|_| "journal-writer".to_owned())
        .disable_statement_logging()
        .connect()
        .await
        .map_err(|source| JournalError::sql(Operation::Open, path, source))
}

/// Writes beside a running daemon: no lock of ours, one short transaction.
pub(super) async fn connect_beside(path: &Path) -> Result<SqliteConnection, JournalError> {
    let failed = |source| JournalError::sql(Operation::Open, path, source);
    refuse_missing(path)?;
    let mut conn = SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(failed)?;
    match refuse_other_format(path, &mut conn).await {
        Ok(()) => Ok(conn),
        Err(error) => {
            conn.close().await.map_err(failed)?;
            Err(error)
        }
    }
}

pub(super) fn refuse_missing(path: &Path) -> Result<(), JournalError> {
    match std::fs::metadata(path) {
        Ok(file) if file.is_dir() => Err(JournalError::NotAJournal { path: path.to_owned() }),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(JournalError::Missing { path: path.to_owned() })
        }
        Err(error) => Err(JournalError::io(Operation::Open, path, error)),
    }
}

/// A reader takes the file as it is: only the daemon migrates.
pub(super) async fn refuse_other_format(
    path: &Path,
    conn: &mut SqliteConnection,
) -> Result<(), JournalError> {
    let found = schema::refuse_foreign(path, conn).await?;
    if found < schema::MIGRATIONS.len() as i64 {
        return Err(JournalError::Older { path: path.to_owned(), found });
    }
    Ok(())
}
