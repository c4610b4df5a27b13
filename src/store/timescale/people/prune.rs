//! What is kept of everybody for a shorter time: what is older goes, a stretch of time in a statement of its own.

use std::time::{Duration, Instant};

use super::Step;
use super::span::Span;
use crate::domain::time::Timestamp;
use crate::store::timescale::connection::{Connection, column};
use crate::store::timescale::error::StoreError;

/// How much time is gone through first.
const FIRST_WIDTH_US: i64 = 3_600_000_000;

/// How long what tells of people is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// What names people by their badges.
    pub people: Duration,
    /// Positions: where a vehicle was is where its driver was.
    pub drivers: Duration,
}

pub struct Prune {
    table: &'static str,
    /// Rows that go.
    rows: &'static str,
    /// Finds the oldest of them before a time, in whatever number of chunks, by indexes; of what has no such index, the
    /// oldest of anybody's.
    oldest: &'static str,
    keep: Duration,
    span: Option<Span>,
}

impl Prune {
    pub fn all(keep: Keep) -> [Self; 3] {
        // Word for word the condition of the index `location_event_people`.
        const BADGES: &str = "(kind = 'proposal' OR subject LIKE 'person:%')";
        // Raw reads name the tag alone: whose it is says the register.
        const READS: &str = "subject IN (SELECT 'tag:' || epc FROM tallyman.tag WHERE person IS NOT NULL)";
        const OLDEST_BADGE: &str = "SELECT min(observed_at) AS at FROM tallyman.location_event
            WHERE (kind = 'proposal' OR subject LIKE 'person:%') AND observed_at < $1";
        const OLDEST_READ: &str = "SELECT min(first.at) AS at FROM tallyman.tag b,
            LATERAL (SELECT min(observed_at) AS at FROM tallyman.tag_read
              WHERE subject = 'tag:' || b.epc AND observed_at < $1) first
            WHERE b.person IS NOT NULL";
        const OLDEST_FIX: &str = "SELECT min(observed_at) AS at FROM tallyman.fix WHERE observed_at < $1";
        let prune = |table, rows, oldest, keep| Self { table, rows, oldest, keep, span: None };
        [
            prune("tallyman.location_event", BADGES, OLDEST_BADGE, keep.people),
            prune("tallyman.tag_read", READS, OLDEST_READ, keep.people),
            prune("tallyman.fix", "true", OLDEST_FIX, keep.drivers),
        ]
    }

    pub fn table(&self) -> &'static str {
        self.table
    }

    /// One bounded step. On an error nothing of it is done.
    pub async fn step(
        &mut self,
        connection: &mut Connection,
        node: &str,
        now: Timestamp,
    ) -> Result<Step, StoreError> {
        let Some(span) = &mut self.span else {
            let limit = (now - self.keep).as_micros();
            let oldest = oldest(connection, self.oldest, limit).await?;
            self.span = oldest.map(|oldest| Span::new(oldest, limit, FIRST_WIDTH_US));
            return Ok(if self.span.is_some() { Step::More } else { Step::Done });
        };
        let Some((from, to)) = span.stretch() else {
            self.span = None;
            return Ok(Step::Done);
        };
        let sql = format!(
            "DELETE FROM {} WHERE {} AND node = $1
               AND observed_at >= timestamptz 'epoch' + {from} * interval '1 microsecond'
               AND observed_at < timestamptz 'epoch' + {to} * interval '1 microsecond'",
            self.table, self.rows
        );
        let began = Instant::now();
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(node.to_owned());
        match connection.run("forget what is older than it is kept", query.persistent(false)).await {
            Ok(_) => {
                span.passed(began.elapsed());
                Ok(Step::More)
            }
            Err(error) if error.is_too_much_at_once() && span.shorten() => Ok(Step::More),
            Err(error) => Err(error),
        }
    }
}

async fn oldest(
    connection: &mut Connection,
    find: &'static str,
    limit: i64,
) -> Result<Option<i64>, StoreError> {
    const OPERATION: &str = "look for what is older than it is kept";
    let limit = format!("timestamptz 'epoch' + {limit} * interval '1 microsecond'");
    let find = find.replace("$1", &limit);
    let sql = format!("SELECT (extract(epoch FROM at) * 1000000)::bigint AS oldest FROM ({find}) found");
    let row = connection.row(OPERATION, sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false)).await?;
    row.map_or(Ok(None), |row| column(&row, OPERATION, "oldest"))
}
