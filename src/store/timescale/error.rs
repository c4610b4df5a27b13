//! Why forwarding stopped, and what then is to be done.

use super::batch::Epoch;
use crate::journal::JournalError;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the address of the database is not one: {0}")]
    Address(#[source] sqlx::Error),
    #[error("failed to connect: {0}")]
    Connect(#[source] sqlx::Error),
    #[error("failed to {operation}: {source}")]
    Statement { operation: &'static str, source: sqlx::Error },
    #[error("nothing came back for {seconds} s while trying to {operation}")]
    Stalled { operation: &'static str, seconds: u64 },
    #[error(
        "database `{database}` has no TimescaleDB and it could not be added ({source}): put \
         shared_preload_libraries = 'timescaledb' into postgresql.conf, restart PostgreSQL, and say \
         `CREATE EXTENSION timescaledb` in that database as a superuser"
    )]
    NoTimescale { database: String, source: sqlx::Error },
    #[error(
        "TimescaleDB {found} is too old: {needed} or newer is needed; `ALTER EXTENSION timescaledb UPDATE`"
    )]
    OldTimescale { found: String, needed: &'static str },
    #[error(
        "the database's schema `tallyman` is at version {found} and this program knows {known}: \
         install the newer program, or name another database"
    )]
    NewerSchema { found: i32, known: i32 },
    #[error("failed to bring schema `tallyman` to version {version}: {source}")]
    Migrate { version: i32, source: sqlx::Error },
    #[error(
        "another connection forwards as node `{node}`: a second daemon with this name (give each its own), \
         or our own last connection until the server notices that it is gone"
    )]
    Occupied { node: String },
    #[error(
        "the watermark of node `{node}` was moved by somebody else: is there a second daemon with this name?"
    )]
    Contested { node: String },
    #[error("rows of {table} moved while a person was taken out of them")]
    Moved { table: String },
    #[error("a row of {table} would be no event any more without the person that it names")]
    Spoiled { table: String },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("failed to write current state as JSON: {0}")]
    Current(#[source] serde_json::Error),
    #[error("the journal's epoch `{0}` is not 32 hex digits")]
    JournalEpoch(String),
    #[error(
        "tallyman.register_owner has no row; it was made with one: put it back with \
         `INSERT INTO tallyman.register_owner DEFAULT VALUES`"
    )]
    NoRegister,
    #[error("the register in the database is another one now, or no longer the database's")]
    OtherRegister,
    #[error("the journal's writer is gone")]
    WriterGone,
    #[error("the journal's epoch stayed {0} though a new one was asked for")]
    EpochUnchanged(Epoch),
}

impl StoreError {
    /// A stable word for the metric.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address(_) => "address",
            Self::Connect(_) => "connect",
            Self::Statement { .. } => "statement",
            Self::Stalled { .. } => "stalled",
            Self::NoTimescale { .. } | Self::OldTimescale { .. } => "no-timescale",
            Self::NewerSchema { .. } => "newer-schema",
            Self::Migrate { .. } => "migrate",
            Self::Occupied { .. } => "occupied",
            Self::Contested { .. } => "contested",
            Self::Moved { .. } | Self::Spoiled { .. } => "people",
            Self::Current(_) => "current",
            Self::NoRegister | Self::OtherRegister => "register",
            Self::Journal(_) | Self::JournalEpoch(_) => "journal",
            Self::WriterGone | Self::EpochUnchanged(_) => "epoch",
        }
    }

    /// Whether somebody has to do something: told at once, tried again slowly.
    pub fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::Address(_)
                | Self::NoTimescale { .. }
                | Self::OldTimescale { .. }
                | Self::NewerSchema { .. }
                | Self::Migrate { .. }
                | Self::Contested { .. }
                | Self::NoRegister
                | Self::JournalEpoch(_)
        )
    }

    /// What PostgreSQL says of the data itself, rather than of the connection or the server.
    ///
    /// SQLSTATE classes 22 (data exception), 23 (integrity), 54 (program limit exceeded): PostgreSQL 17
    /// documentation, appendix A.
    pub fn is_about_the_data(&self) -> bool {
        self.sqlstate().is_some_and(|code| matches!(code.get(..2), Some("22" | "23" | "54")))
    }

    /// The same, or a trigger of ours that says no (55000).
    pub fn is_a_refusal(&self) -> bool {
        self.is_about_the_data() || self.sqlstate().is_some_and(|code| code == "55000")
    }

    /// `statement_timeout` (57014), or more rows of compressed chunks than one transaction may unpack (53400): less at
    /// once may do.
    pub fn is_too_much_at_once(&self) -> bool {
        self.sqlstate().is_some_and(|code| code == "57014" || code == "53400")
    }

    /// Whether the connection is as good as before: the server refused a statement, or had no time for it, or we did
    /// not like what it gave. Not where it shuts down or has lost us (SQLSTATE classes 08, 57P, 58).
    pub fn is_about_one_statement(&self) -> bool {
        let lost = |code: String| ["08", "57P", "58"].iter().any(|class| code.starts_with(class));
        match self {
            Self::Moved { .. } | Self::Spoiled { .. } | Self::Current(_) => true,
            _ => self.sqlstate().is_some_and(|code| !lost(code)),
        }
    }

    fn sqlstate(&self) -> Option<String> {
        let Self::Statement { source: sqlx::Error::Database(error), .. } = self else { return None };
        error.code().map(|code| code.into_owned())
    }
}
