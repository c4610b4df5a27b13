//! The journal as files: its folder, its lock, whether it is sound, and setting a damaged one aside.
//!
//! Looks at a journal through read-only connections, so that nothing of a damaged file is changed
//! before it is set aside. Nothing here deletes a journal.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::error::{JournalError, Operation};
use super::schema;
use crate::domain::time::Timestamp;

/// Up to here a journal is checked whole at every start: about half a second from a slow disk's cache.
/// A larger one is checked whole once damage was met in it, see [`mark_suspect`].
const CHECK_WHOLE_UP_TO_BYTES: u64 = 256 << 20;

/// `journal.db` → `journal.db-wal`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The folder the journal lies in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Size of the write-ahead log; 0 where there is none.
pub fn wal_bytes(path: &Path) -> u64 {
    fs::metadata(beside(path, "-wal")).map_or(0, |file| file.len())
}

/// Held for as long as the journal is open for writing; the system lets go of it when the process ends,
/// however it ends.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    /// Closing alone would not do while a process that is just being started has inherited the file.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the journal's lock goes when its file is closed");
        }
    }
}

pub fn lock(path: &Path) -> Result<Lock, JournalError> {
    if !folder(path).is_dir() {
        return Err(JournalError::MissingDirectory { path: path.to_owned() });
    }
    let failed = |source| JournalError::io(Operation::Lock, path, source);
    let lock_path = beside(path, ".lock");
    let mut lock =
        File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&lock_path).ok().map(|pid| pid.trim().to_owned());
            let holder = holder.filter(|pid| !pid.is_empty());
            return Err(JournalError::Locked { path: path.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    lock.set_len(0).map_err(failed)?;
    writeln!(lock, "{}", std::process::id()).map_err(failed)?;
    Ok(Lock(lock))
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// No file yet, or one without a byte in it.
    Absent,
    Sound,
    /// In SQLite's words.
    Damaged(String),
}

/// Looks without touching. Refuses what is another's or of a newer format.
pub async fn inspect(path: &Path) -> Result<Condition, JournalError> {
    let length = match fs::metadata(path) {
        Ok(file) if file.is_dir() => return Err(JournalError::NotAJournal { path: path.to_owned() }),
        Ok(file) => file.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Condition::Absent),
        Err(error) => return Err(JournalError::io(Operation::Inspect, path, error)),
    };
    if length == 0 && wal_bytes(path) == 0 {
        return Ok(Condition::Absent);
    }
    match look(path, length).await {
        Ok(condition) => Ok(condition),
        Err(JournalError::Corrupt { source, .. }) => Ok(Condition::Damaged(source.to_string())),
        Err(error) => Err(error),
    }
}

async fn look(path: &Path, length: u64) -> Result<Condition, JournalError> {
    let failed = |source| JournalError::sql(Operation::Inspect, path, source);
    let options = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
    let mut conn = options.connect().await.map_err(failed)?;
    let seen = check(path, length, &mut conn).await;
    conn.close().await.map_err(failed)?;
    seen
}

async fn check(path: &Path, length: u64, conn: &mut SqliteConnection) -> Result<Condition, JournalError> {
    let failed = |source| JournalError::sql(Operation::Inspect, path, source);
    schema::refuse_foreign(path, conn).await?;
    let pragma = if suspect_marker(path).exists() {
        "PRAGMA integrity_check(1)"
    } else if length <= CHECK_WHOLE_UP_TO_BYTES {
        "PRAGMA quick_check(1)"
    } else {
        return Ok(Condition::Sound);
    };
    let verdict: String = sqlx::query_scalar(pragma).fetch_one(conn).await.map_err(failed)?;
    Ok(if verdict == "ok" { Condition::Sound } else { Condition::Damaged(verdict) })
}

fn suspect_marker(path: &Path) -> PathBuf {
    beside(path, ".suspect")
}

/// Damage was met while running: the next start checks the whole file, however large.
pub fn mark_suspect(path: &Path) {
    if let Err(error) = File::create(suspect_marker(path)) {
        tracing::warn!(journal = %path.display(), %error, "the damaged journal could not be marked");
    }
}

/// The file was checked, or is a new one.
pub fn clear_suspect(path: &Path) -> Result<(), JournalError> {
    match fs::remove_file(suspect_marker(path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(JournalError::io(Operation::Open, path, error))
        }
        _ => Ok(()),
    }
}

/// What the name of a journal that was set aside has after its own.
const DAMAGED: &str = ".damaged-";

/// Renames the journal with its -wal and -shm; the new name says when. The log keeps the name that SQLite looks
/// for, so that what can be saved can be read there.
pub fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, JournalError> {
    let failed = |source| JournalError::io(Operation::SetAside, path, source);
    let stamp = now.to_jiff().strftime("%Y%m%dT%H%M%SZ");
    let names = std::iter::once(String::new())
        .chain((2..).map(|nth| format!("-{nth}")))
        .map(|nth| beside(path, &format!("{DAMAGED}{stamp}{nth}")));
    let Some(aside) = names.take(1000).find(|name| !name.exists()) else {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    };
    // The log first: one left behind alone would be deleted by SQLite when the new journal is made.
    for suffix in ["-wal", "-shm", ""] {
        match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
            Err(error) if suffix.is_empty() || error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
    }
    sync_folder(path).map_err(failed)?;
    Ok(aside)
}

/// Whether a journal that was set aside still lies beside this one; where that cannot be seen, as if one did.
pub fn has_set_aside(path: &Path) -> bool {
    let (Some(name), Ok(files)) = (path.file_name(), fs::read_dir(folder(path))) else { return true };
    let start = beside(Path::new(name), DAMAGED);
    let start = start.as_os_str().as_encoded_bytes();
    files.flatten().any(|file| file.file_name().as_encoded_bytes().starts_with(start))
}

/// A file's name is durable once its folder is.
pub fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(folder(path))?.sync_all()
}
