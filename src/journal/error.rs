//! What can go wrong with the journal, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// What was being done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    Open,
    Inspect,
    Lock,
    SetAside,
    Migrate,
    Load,
    Commit,
    Heartbeat,
    Forwarded,
    NewEpoch,
    Note,
    Maintain,
    Erase,
    Replay,
    Read,
    Close,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Inspect => "inspect",
            Self::Lock => "lock",
            Self::SetAside => "set aside",
            Self::Migrate => "migrate",
            Self::Load => "load",
            Self::Commit => "commit to",
            Self::Heartbeat => "write the heartbeat to",
            Self::Forwarded => "note what was forwarded in",
            Self::NewEpoch => "begin a new epoch in",
            Self::Erase => "erase a person from",
            Self::Note => "write a note to",
            Self::Maintain => "maintain",
            Self::Replay => "ask for a replay in",
            Self::Read => "read",
            Self::Close => "close",
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(
        "the folder of the journal {} does not exist: create it, owned by the daemon's user, or correct `journal.path`",
        path.display()
    )]
    MissingDirectory { path: PathBuf },
    #[error("there is no journal at {}: has the daemon run with this configuration?", path.display())]
    Missing { path: PathBuf },
    #[error(
        "no permission to {operation} the journal {}: its folder, the file and its -wal and -shm must be \
         writable by the user who runs this",
        path.display()
    )]
    Permission {
        operation: Operation,
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "another daemon{} holds the journal {}: stop it, or give this one a journal of its own",
        holder.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default(),
        path.display()
    )]
    Locked { path: PathBuf, holder: Option<String> },
    #[error(
        "the journal {} has format {found}, and this build knows formats up to {known}: run the newer \
         version that wrote it",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "the journal {} has the older format {found}: start the daemon once, it migrates the file",
        path.display()
    )]
    Older { path: PathBuf, found: i64 },
    #[error(
        "{} is not a journal (a folder, or another program's database): correct `journal.path`",
        path.display()
    )]
    NotAJournal { path: PathBuf },
    #[error(
        "the journal {} belongs to node `{found}`, and this is node `{configured}`: name the node \
         `{found}` again, or move the file away to begin a new one",
        path.display()
    )]
    OtherNode { path: PathBuf, found: String, configured: String },
    #[error(
        "no room to {operation} the journal {}: free space on its disk; nothing was written by halves, \
         and the same can be tried again",
        path.display()
    )]
    Full {
        operation: Operation,
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "could not {operation} the journal {} because another program holds its write lock: end what \
         has it open for writing (a backup, a database shell)",
        path.display()
    )]
    Busy {
        operation: Operation,
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error(
        "the journal {} is damaged (found when it was to {operation}): restart the daemon, which sets \
         the file aside under a dated name and begins a new one",
        path.display()
    )]
    Corrupt {
        operation: Operation,
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error("failed to {operation} the journal {}", path.display())]
    Database {
        operation: Operation,
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error("failed to {operation} the journal {}", path.display())]
    File {
        operation: Operation,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to write the body of event {id} as JSON")]
    Body {
        id: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the journal {} holds a value that it cannot hold: {what}", path.display())]
    Unreadable { path: PathBuf, what: String },
}

impl JournalError {
    /// Whether the same call may succeed later without anybody restarting the daemon.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Busy { .. })
    }

    pub(super) fn sql(operation: Operation, path: &Path, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        match Condition::of(&source) {
            Condition::Full => Self::Full { operation, path, source: source.into() },
            Condition::Busy => Self::Busy { operation, path, source },
            Condition::Corrupt => Self::Corrupt { operation, path, source },
            Condition::Denied => Self::Permission { operation, path, source: source.into() },
            Condition::Failed => Self::Database { operation, path, source },
        }
    }

    pub(super) fn io(operation: Operation, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::MissingDirectory { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { operation, path, source: source.into() }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Permission { operation, path, source: source.into() }
            }
            _ => Self::File { operation, path, source },
        }
    }
}

/// What SQLite's result code means for us (sqlite.org, "Result and Error Codes").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Condition {
    Full,
    Busy,
    Corrupt,
    Denied,
    Failed,
}

impl Condition {
    fn of(error: &sqlx::Error) -> Self {
        const PERM: i32 = 3;
        const BUSY: i32 = 5;
        const READONLY: i32 = 8;
        const CORRUPT: i32 = 11;
        const FULL: i32 = 13;
        const CANTOPEN: i32 = 14;
        const NOTADB: i32 = 26;
        let code = error.as_database_error().and_then(|error| error.code());
        let Some(code) = code.and_then(|code| code.parse::<i32>().ok()) else {
            return Self::Failed;
        };
        // The low byte is the primary code, the rest details it.
        match code & 0xff {
            FULL => Self::Full,
            BUSY => Self::Busy,
            CORRUPT | NOTADB => Self::Corrupt,
            PERM | READONLY | CANTOPEN => Self::Denied,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_system_says_becomes_advice() {
        let path = Path::new("/var/lib/tallyman/journal.db");
        let text = |kind: io::ErrorKind| JournalError::io(Operation::Open, path, kind.into()).to_string();
        assert!(text(io::ErrorKind::NotFound).contains("create it"));
        assert!(text(io::ErrorKind::PermissionDenied).contains("writable by the user"));
        assert!(text(io::ErrorKind::StorageFull).contains("free space"));
        assert!(JournalError::io(Operation::Commit, path, io::ErrorKind::StorageFull.into()).is_passing());
    }
}
