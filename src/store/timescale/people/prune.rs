//! What is kept of everybody for a shorter time: what is older goes, a stretch of time in a transaction of its own.
//!
//! A node deletes what it wrote, as its configuration says, and what was written by nodes that have not forwarded
//! anything for as long: nobody else would. Of a stretch, it is first looked whose rows go: the columns by which
//! compressed chunks are cut are the time and the subject, so no more of them is unpacked than has to be.

use std::time::Duration;

use tokio::time::Instant;

use super::Step;
use super::register::{Register, holds};
use super::span::{self, Pace, Span};
use super::transaction::{Patience, transacted};
use crate::domain::time::Timestamp;
use crate::store::timescale::batch::Lineage;
use crate::store::timescale::connection::{Connection, column};
use crate::store::timescale::error::StoreError;

/// How much time is gone through first.
const FIRST_WIDTH_US: i64 = 3_600_000_000;
/// Subjects whose rows go at once: a compressed chunk has up to 1,000 rows of each in one piece, and unpacks no more
/// than 100,000 in a transaction.
const SUBJECTS: i64 = 50;
/// What came late may be older than what is gone through already, so all is gone through this often.
const WHOLE_EVERY: Duration = Duration::from_secs(86_400);

/// How long what tells of people is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// What names people by their badges.
    pub people: Duration,
    /// Positions, stops and trips: where a vehicle was is where its driver was.
    pub drivers: Duration,
}

pub struct Prune {
    table: &'static str,
    /// Rows of table `t` that go.
    rows: &'static str,
    /// Which these are, the register says.
    by_register: bool,
    keep: Duration,
    patience: Patience,
    span: Option<Span>,
    subjects: Pace,
    walked: Option<Walked>,
}

/// How far it was gone through lately.
#[derive(Clone, Copy)]
struct Walked {
    until: i64,
    /// Since when it is, from the very first.
    whole_at: Instant,
}

impl Walked {
    /// Where to go on; `None`: from the first row again.
    fn from(&self, now: Instant) -> Option<i64> {
        (now - self.whole_at < WHOLE_EVERY).then_some(self.until)
    }
}

impl Prune {
    pub fn all(keep: Keep, patience: Patience) -> [Self; 4] {
        // Word for word the conditions of the indexes `location_event_people` and `location_event_motion`.
        const BADGES: &str = "(t.kind = 'proposal' OR t.subject LIKE 'person:%')";
        const TRIPS: &str = "t.kind = 'motion'";
        // A read names the tag alone, and whose badge that was nobody may know any more: all go but those of tags that
        // were on an asset.
        const READS: &str =
            "NOT EXISTS (SELECT FROM tallyman.tag a WHERE a.epc = t.epc AND a.asset IS NOT NULL
            AND a.valid_from <= t.observed_at AND t.observed_at < a.valid_to)";
        let prune = |table, rows, keep| {
            let (by_register, span, walked) = (false, None, None);
            Self { table, rows, by_register, keep, patience, span, subjects: Pace::new(SUBJECTS), walked }
        };
        [
            prune("tallyman.location_event", BADGES, keep.people),
            Self { by_register: true, ..prune("tallyman.tag_read", READS, keep.people) },
            prune("tallyman.location_event", TRIPS, keep.drivers),
            prune("tallyman.fix", "true", keep.drivers),
        ]
    }

    pub fn table(&self) -> &'static str {
        self.table
    }

    /// One bounded step. On an error nothing of it is done.
    pub async fn step(
        &mut self,
        connection: &mut Connection,
        lineage: &Lineage,
        register: &Register,
        now: Timestamp,
    ) -> Result<Step, StoreError> {
        let outcome = self.try_step(connection, lineage, register, now).await;
        self.patience.after(&outcome);
        outcome
    }

    async fn try_step(
        &mut self,
        connection: &mut Connection,
        lineage: &Lineage,
        register: &Register,
        now: Timestamp,
    ) -> Result<Step, StoreError> {
        let limit = now - self.keep;
        let judged = if self.by_register { register.is_ours(lineage).await? } else { "true".to_owned() };
        let Some(span) = &self.span else { return self.begin(connection, &judged, limit).await };
        let Some((from, to)) = span.stretch() else {
            let until = span.until();
            self.walked = self.walked.map(|walked| Walked { until, ..walked });
            self.span = None;
            return Ok(Step::Done);
        };
        // The register may be put in the place of another meanwhile, so each statement asks anew.
        let rows = format!("{} AND {judged}", self.rows_of(&lineage.node, limit, from, to));
        let (table, subjects) = (self.table, self.subjects.width());
        let began = Instant::now();
        let pruned =
            transacted(connection, self.patience, async |it| prune(it, table, &rows, subjects).await).await;
        match pruned {
            Ok(found) => {
                let took = began.elapsed();
                self.subjects.passed(took);
                self.subjects.at_most(SUBJECTS);
                // Where there may be more of it, it is looked at again.
                if let Some(span) = self.span.as_mut().filter(|_| found < subjects) {
                    span.passed(took);
                }
                Ok(Step::More)
            }
            Err(error) if error.is_too_much_at_once() && self.shorten() => Ok(Step::More),
            Err(error) => Err(error),
        }
    }

    /// Finds where to begin.
    async fn begin(
        &mut self,
        connection: &mut Connection,
        judged: &str,
        limit: Timestamp,
    ) -> Result<Step, StoreError> {
        let (now, limit) = (Instant::now(), limit.as_micros());
        let (table, by_register) = (self.table, self.by_register);
        let walked = self.walked.and_then(|walked| walked.from(now));
        let asked = transacted(connection, self.patience, async |it| {
            let judged = !by_register || holds(it, judged).await?;
            let oldest = if judged && walked.is_some() { None } else { oldest(it, table).await? };
            Ok((judged, oldest))
        });
        let (judged, oldest) = asked.await?;
        if !judged {
            // What was gone through by another register was not judged by ours.
            self.walked = None;
            self.tell_of_no_judge(oldest.is_some_and(|oldest| oldest < limit));
            return Ok(Step::Done);
        }
        if walked.is_none() {
            // Of a walk that ends early, nothing counts as gone through.
            self.walked = Some(Walked { until: oldest.unwrap_or(limit), whole_at: now });
        }
        match walked.or(oldest).filter(|from| *from < limit) {
            Some(from) => {
                self.span = Some(Span::new(from, limit, FIRST_WIDTH_US));
                Ok(Step::More)
            }
            None => {
                self.walked = self.walked.map(|walked| Walked { until: limit, ..walked });
                Ok(Step::Done)
            }
        }
    }

    /// The register cannot say what goes: that is told where something would.
    fn tell_of_no_judge(&self, something: bool) {
        if something {
            tracing::warn!(
                table = self.table,
                "nothing of it is forgotten: the register in the database is not the one that this node mirrors or \
                 follows"
            );
        }
    }

    /// The condition on rows of `t` that go, of a stretch of time.
    fn rows_of(&self, node: &str, limit: Timestamp, from: i64, to: i64) -> String {
        format!(
            "{within} AND {rows} AND (t.node = {node} OR NOT EXISTS (
               SELECT FROM tallyman.forward_watermark w WHERE w.node = t.node AND w.updated_at >= '{limit}'))",
            within = span::within_time(from, to),
            rows = self.rows,
            node = span::quoted(node),
        )
    }

    /// `false`: it cannot be less.
    fn shorten(&mut self) -> bool {
        let fewer = self.subjects.shorten();
        self.span.as_mut().is_some_and(Span::shorten) || fewer
    }
}

/// Deletes rows of at most so many subjects; gives how many there were.
async fn prune(
    connection: &mut Connection,
    table: &str,
    rows: &str,
    subjects: i64,
) -> Result<i64, StoreError> {
    const OPERATION: &str = "look for what is older than it is kept";
    let look = format!("SELECT DISTINCT t.subject FROM {table} t WHERE {rows} LIMIT {subjects}");
    let found = connection.rows(OPERATION, sqlx::query(sqlx::AssertSqlSafe(look)).persistent(false)).await?;
    let found = found.iter().map(|row| column(row, OPERATION, "subject"));
    let found = found.collect::<Result<Vec<String>, _>>()?;
    if !found.is_empty() {
        let sql = format!("DELETE FROM {table} t WHERE {rows} AND t.subject = ANY ({})", span::array(&found));
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false);
        connection.run("forget what is older than it is kept", query).await?;
    }
    Ok(found.len() as i64)
}

/// Of anybody's rows, by the index over time, in whatever number of chunks.
async fn oldest(connection: &mut Connection, table: &str) -> Result<Option<i64>, StoreError> {
    const OPERATION: &str = "look for the oldest row";
    let sql =
        format!("SELECT (extract(epoch FROM min(observed_at)) * 1000000)::bigint AS oldest FROM {table}");
    let row = connection.row(OPERATION, sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false)).await?;
    row.map_or(Ok(None), |row| column(&row, OPERATION, "oldest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_gone_through_is_left_for_a_day() {
        let whole_at = Instant::now();
        let walked = Walked { until: 42, whole_at };
        assert_eq!(walked.from(whole_at + WHOLE_EVERY - Duration::from_secs(1)), Some(42));
        assert_eq!(walked.from(whole_at + WHOLE_EVERY), None);
    }
}
