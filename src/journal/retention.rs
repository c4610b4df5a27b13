//! Deleting what is older than its kind is kept, in bounded steps, oldest number first.
//!
//! Each group walks the numbers with a cursor of its own, below which nothing of the group is left;
//! cursors are kept in the file, so a restart does not walk again over what another group keeps for a year.
//! Age is counted from `recorded_at`, which rises with the numbers: a group stops at its first young row.

use std::path::Path;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::error::{JournalError, Operation};
use super::rows::signed;
use super::{Maintained, Writer, dead_letters, file, meta, writer};
use crate::config::JournalConfig;
use crate::domain::time::Timestamp;
use crate::telemetry::names;

/// Rows that one step of one group looks at: some ten milliseconds of deleting, between two commits.
const STEP_ROWS: usize = 10_000;

/// Where somebody's badge was, and whom a badge made a candidate of.
const OF_PEOPLE: &str = "class = 0 AND (kind = 'proposal' OR substr(subject, 1, 7) = 'person:')";

/// Where somebody set out and came to rest.
const OF_DRIVERS: &str = "class = 0 AND kind = 'motion'";

#[derive(Debug)]
pub struct Retention {
    /// Nothing beyond what was forwarded is deleted.
    pub protect_unforwarded: bool,
    groups: [Group; 6],
}

/// Classes that are kept for the same time.
#[derive(Debug)]
struct Group {
    /// As the metric's label and the cursor's key have it.
    name: &'static str,
    cursor_key: &'static str,
    /// Of the column `class`, see [`super::rows::class_code`].
    condition: &'static str,
    keep: Duration,
    /// Nothing of this group is left up to here.
    cursor: u64,
}

/// What a step found to do.
struct Step {
    /// The group's rows up to here go.
    end: u64,
    more: bool,
}

impl Retention {
    pub fn new(config: &JournalConfig) -> Self {
        let group =
            |name, cursor_key, condition, keep| Group { name, cursor_key, condition, keep, cursor: 0 };
        Self {
            protect_unforwarded: false,
            groups: [
                // Badges are read as well.
                group("reads", "pruned_reads", "class = 7", config.retain_reads.min(config.retain_people)),
                // Where a vehicle was is a measurement, and is where its driver was.
                group(
                    "positions",
                    "pruned_positions",
                    "class = 5",
                    config.retain_measurements.min(config.retain_drivers),
                ),
                group("measurements", "pruned_measurements", "class = 6", config.retain_measurements),
                group("events", "pruned_events", "class < 5", config.retain_events),
                group("people", "pruned_people", OF_PEOPLE, config.retain_people),
                group("motion", "pruned_motion", OF_DRIVERS, config.retain_drivers),
            ],
        }
    }

    pub async fn restore(&mut self, conn: &mut SqliteConnection, path: &Path) -> Result<(), JournalError> {
        let failed = |source| JournalError::sql(Operation::Load, path, source);
        let rows = meta::all(conn).await.map_err(failed)?;
        for group in &mut self.groups {
            group.cursor = meta::number(path, &rows, group.cursor_key)?.unwrap_or(0);
        }
        Ok(())
    }
}

impl Group {
    async fn look(
        &self,
        conn: &mut SqliteConnection,
        ceiling: u64,
        now: Timestamp,
    ) -> Result<Option<Step>, sqlx::Error> {
        let condition = self.condition;
        // Both stop early: at the first young row, and after a step's rows.
        let young = format!(
            "SELECT seq FROM (SELECT seq, class, kind, subject, recorded_at FROM event WHERE seq > ? AND seq <= ? \
             ORDER BY seq LIMIT {STEP_ROWS}) WHERE {condition} AND recorded_at >= ? LIMIT 1"
        );
        let young: Option<i64> = sqlx::query_scalar(AssertSqlSafe(young))
            .bind(signed(self.cursor))
            .bind(signed(ceiling))
            .bind((now - self.keep).as_micros())
            .fetch_optional(&mut *conn)
            .await?;
        if let Some(young) = young {
            let end = young.unsigned_abs() - 1;
            return Ok((end > self.cursor).then_some(Step { end, more: false }));
        }
        let window = format!(
            "SELECT max(seq), count(*) FROM (SELECT seq FROM event WHERE seq > ? AND seq <= ? \
             ORDER BY seq LIMIT {STEP_ROWS})"
        );
        let (last, rows): (Option<i64>, i64) = sqlx::query_as(AssertSqlSafe(window))
            .bind(signed(self.cursor))
            .bind(signed(ceiling))
            .fetch_one(conn)
            .await?;
        let full = rows.unsigned_abs() as usize >= STEP_ROWS;
        Ok(last.map(|last| Step { end: last.unsigned_abs(), more: full }))
    }

    async fn delete(&self, conn: &mut SqliteConnection, step: &Step) -> Result<u64, sqlx::Error> {
        let condition = self.condition;
        let sql = format!("DELETE FROM event WHERE seq > ? AND seq <= ? AND {condition}");
        let done = sqlx::query(AssertSqlSafe(sql)).bind(signed(self.cursor)).bind(signed(step.end));
        let deleted = done.execute(&mut *conn).await?.rows_affected();
        // A few rows of other groups are not worth a write: after a restart they are looked at again.
        if deleted > 0 || step.more {
            meta::put(conn, self.cursor_key, step.end).await?;
        }
        Ok(deleted)
    }
}

impl Writer {
    /// One bounded step of everything that keeps the file in order: retention by age, the dead letters'
    /// cap, the log. Call it about once a second, and again at once while it says `more` and nothing else waits.
    pub async fn maintain(&mut self, now: Timestamp) -> Result<Maintained, JournalError> {
        let done = self.try_maintain(now).await;
        done.map_err(|source| self.failed(Operation::Maintain, source))
    }

    async fn try_maintain(&mut self, now: Timestamp) -> Result<Maintained, sqlx::Error> {
        let mut done = Maintained::default();
        let protect = self.retention.protect_unforwarded;
        let ceiling = if protect { self.counted.forwarded_seq } else { u64::MAX };
        for nth in 0..self.retention.groups.len() {
            let (pruned, more) = self.prune(nth, ceiling, now).await?;
            done.pruned += pruned;
            done.more |= more;
        }
        done.dead_letters_dropped = self.cap_dead_letters().await?;
        done.more |= self.counted.dead_letters.exceed(&self.letter_caps);
        self.tend_log().await?;
        let used = writer::used_bytes(&mut self.conn).await?;
        self.set_usage(used);
        self.busy = false;
        done.wal_bytes = file::wal_bytes(&self.path);
        Ok(done)
    }

    async fn prune(&mut self, nth: usize, ceiling: u64, now: Timestamp) -> Result<(u64, bool), sqlx::Error> {
        let group = &self.retention.groups[nth];
        let Some(step) = group.look(&mut self.conn, ceiling, now).await? else { return Ok((0, false)) };
        self.begin().await?;
        let deleted = self.retention.groups[nth].delete(&mut self.conn, &step).await;
        let deleted = self.end(deleted).await?;
        let group = &mut self.retention.groups[nth];
        group.cursor = step.end;
        metrics::counter!(names::JOURNAL_PRUNED_EVENTS, "class" => group.name).increment(deleted);
        Ok((deleted, step.more))
    }

    async fn cap_dead_letters(&mut self) -> Result<u64, sqlx::Error> {
        let (held, caps) = (self.counted.dead_letters, self.letter_caps);
        if !held.exceed(&caps) {
            return Ok(0);
        }
        self.begin().await?;
        let gone = dead_letters::drop_oldest(&mut self.conn, held, caps, 0).await;
        let gone = self.end(gone).await?;
        self.counted.dead_letters = held.minus(gone);
        dead_letters::dropped(gone.count);
        Ok(gone.count)
    }
}
