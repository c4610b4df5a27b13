//! The write-ahead log: kept short when nothing happens, spoken of when it grows.
//!
//! The writer checkpoints by itself at commits. That never shortens the log while some reader still
//! reads from it, so a log that stays large means a reader with a long transaction.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor};

use super::{Writer, file, open};
use crate::telemetry::names;

/// Four times what the automatic checkpoint lets it become.
const LARGE_BYTES: u64 = 160 << 20;

/// Below this it is left as it is, even when idle.
const WORTH_TRUNCATING_BYTES: u64 = 1 << 20;

/// How long a checkpoint may wait for readers to finish; the pipeline waits with it.
const PATIENCE: Duration = Duration::from_millis(50);

impl Writer {
    pub(super) async fn tend_log(&mut self) -> Result<(), sqlx::Error> {
        let before = file::wal_bytes(&self.path);
        let large = before > LARGE_BYTES;
        if large || (!self.busy && before > WORTH_TRUNCATING_BYTES) {
            self.truncate_log().await?;
        }
        let after = file::wal_bytes(&self.path);
        metrics::gauge!(names::JOURNAL_WAL_BYTES).set(after as f64);
        let large = after > LARGE_BYTES;
        if large && !self.wal_is_large {
            tracing::warn!(bytes = after, journal = %self.path.display(),
                "the journal's write-ahead log is large: some program reads the journal in one long transaction");
        }
        self.wal_is_large = large;
        Ok(())
    }

    /// Folds the whole log into the file and cuts it to nothing; where a reader is in the way, as much as goes.
    pub(super) async fn truncate_log(&mut self) -> Result<(), sqlx::Error> {
        self.cut_log().await.map(drop)
    }

    /// The same; says whether the log is empty now.
    pub(super) async fn cut_log(&mut self) -> Result<bool, sqlx::Error> {
        self.set_patience(PATIENCE).await?;
        let (refused, _, _): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut self.conn).await?;
        self.set_patience(open::BUSY_TIMEOUT).await?;
        if refused != 0 {
            tracing::debug!(journal = %self.path.display(), "a reader keeps the log from being cut");
        }
        Ok(refused == 0)
    }

    async fn set_patience(&mut self, patience: Duration) -> Result<(), sqlx::Error> {
        let pragma = format!("PRAGMA busy_timeout = {}", patience.as_millis());
        self.conn.execute(AssertSqlSafe(pragma)).await?;
        Ok(())
    }
}
