//! One transaction a batch: the watermark first, by compare-and-set, then the rows, then current state.

use serde::Serialize;

use super::batch::{Batch, Lineage, Mark, Span};
use super::connection::Connection;
use super::current;
use super::encode::without_nul;
use super::error::StoreError;
use super::register::mirror;
use super::tables::Table;
use super::watermark::{self, Watermark, seq};
use crate::journal::StoredEvent;

/// Writes for one node over one connection, and knows where its watermark stands.
pub struct Writer {
    connection: Connection,
    lineage: Lineage,
    held: Watermark,
    /// Changes of the register go into its tables too.
    mirrors: bool,
}

impl Writer {
    pub fn new(connection: Connection, lineage: Lineage, held: Watermark, mirrors: bool) -> Self {
        Self { connection, lineage, held, mirrors }
    }

    pub fn mark(&self) -> Mark {
        self.held.mark
    }

    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// What else is done over the same connection, between two batches.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Writes `batch`, which begins behind [`mark`](Self::mark), and moves the mark; gives the number of
    /// rows written. On an error nothing of it is there, unless the connection broke during the commit:
    /// then the watermark tells.
    pub async fn write(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        let to = self.held.after(batch);
        self.connection.begin().await?;
        let outcome = self.statements(batch, &to).await;
        self.settle(outcome, to).await
    }

    /// Puts an event that PostgreSQL refuses beside the others, with what was said of it.
    pub async fn set_aside(&mut self, event: &StoredEvent, error: &str) -> Result<(), StoreError> {
        let mark = Mark { seq: event.seq, id: Some(event.id) };
        let to = Watermark { mark, ..self.held.clone() };
        self.connection.begin().await?;
        let outcome = match self.advance(&to).await {
            Ok(()) => self.reject(event, error).await.map(|()| 0),
            Err(error) => Err(error),
        };
        self.settle(outcome, to).await.map(drop)
    }

    /// Ends the transaction: as `outcome` says.
    async fn settle(&mut self, outcome: Result<u64, StoreError>, to: Watermark) -> Result<u64, StoreError> {
        match outcome {
            Ok(rows) => {
                self.connection.commit().await?;
                self.held = to;
                Ok(rows)
            }
            Err(error) => {
                self.connection.rollback().await?;
                Err(error)
            }
        }
    }

    async fn advance(&mut self, to: &Watermark) -> Result<(), StoreError> {
        watermark::advance(&mut self.connection, &self.lineage.node, &self.held, to).await
    }

    async fn statements(&mut self, batch: &Batch, to: &Watermark) -> Result<u64, StoreError> {
        self.advance(to).await?;
        let mut written = 0;
        for (table, rows) in &batch.rows {
            let target = format!("{} ({})", table.name(), table.columns());
            written += self.connection.copy(&target, rows).await?;
        }
        for (table, (rows, span)) in &batch.doubtful {
            written += self.insert_absent(*table, rows, *span).await?;
        }
        self.current("write current assets", current::ASSETS, batch.current.assets.values()).await?;
        self.current("write current alerts", current::ALERTS, batch.current.alerts.values()).await?;
        self.current("write current sensors", current::SENSORS, batch.current.sensors.values()).await?;
        if self.mirrors {
            mirror::mirror(&mut self.connection, &batch.current.register()).await?;
        }
        for event in &batch.unknown {
            self.reject(event, "events of this kind have no table").await?;
        }
        if batch.missing > 0 {
            let hole = Hole { from: batch.after.seq + 1, to: batch.last.seq, missing: Some(batch.missing) };
            let reason = "pruned from the journal before they came here";
            note_gap(&mut self.connection, &self.lineage, "pruned", reason, hole).await?;
        }
        Ok(written)
    }

    /// Inserts those rows whose event is not there. An id begins with the millisecond of its event, so one
    /// that is there is there within a millisecond of the same time.
    async fn insert_absent(&mut self, table: Table, rows: &[u8], span: Span) -> Result<u64, StoreError> {
        let (name, columns) = (table.name(), table.columns());
        let stage = format!("CREATE TEMP TABLE stage (LIKE {name}) ON COMMIT DROP");
        self.connection.execute("stage rows", &stage).await?;
        self.connection.copy(&format!("stage ({columns})"), rows).await?;
        let sql = format!(
            "INSERT INTO {name} ({columns}) SELECT {columns} FROM stage s WHERE NOT EXISTS (
               SELECT FROM {name} t WHERE t.event_id = s.event_id
                 AND t.observed_at BETWEEN s.observed_at - interval '1 ms' AND s.observed_at + interval '1 ms'
                 AND t.observed_at >= timestamptz 'epoch' + $1 * interval '1 microsecond' - interval '1 ms'
                 AND t.observed_at <= timestamptz 'epoch' + $2 * interval '1 microsecond' + interval '1 ms')"
        );
        let query =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(span.from.as_micros()).bind(span.to.as_micros());
        let inserted = self.connection.run("insert what is not there", query.persistent(false)).await?;
        self.connection.execute("drop the stage", "DROP TABLE stage").await?;
        Ok(inserted)
    }

    async fn current<'a, T: Serialize + 'a>(
        &mut self,
        operation: &'static str,
        sql: &'static str,
        rows: impl ExactSizeIterator<Item = &'a T>,
    ) -> Result<(), StoreError> {
        if rows.len() == 0 {
            return Ok(());
        }
        let rows: Vec<&'a T> = rows.collect();
        let json = serde_json::to_string(&rows).map_err(StoreError::Current)?;
        let query = sqlx::query(sql)
            .bind(without_nul(&json).into_owned())
            .bind(self.lineage.node.clone())
            .bind(self.lineage.epoch.to_string());
        self.connection.run(operation, query).await.map(drop)
    }

    async fn reject(&mut self, event: &StoredEvent, error: &str) -> Result<(), StoreError> {
        let without_nul = |text: &str| text.replace('\0', "\u{fffd}");
        let query = sqlx::query(
            "INSERT INTO tallyman.rejected_event
               (event_id, node, epoch, seq, kind, subject, observed_at_us, error, body)
             VALUES ($1::uuid, $2, $3::uuid, $4, $5, $6, $7, $8, $9)",
        )
        .bind(event.id.to_string())
        .bind(self.lineage.node.clone())
        .bind(self.lineage.epoch.to_string())
        .bind(seq(event.seq))
        .bind(without_nul(&event.kind))
        .bind(without_nul(&event.subject))
        .bind(event.observed_at.as_micros())
        .bind(without_nul(error))
        .bind(without_nul(&event.body));
        self.connection.run("set an event aside", query).await.map(drop)
    }
}

/// Numbers of events, and how many of them are known to be gone.
pub struct Hole {
    pub from: u64,
    pub to: u64,
    pub missing: Option<u64>,
}

/// A row of our own in `gap`.
pub async fn note_gap(
    connection: &mut Connection,
    lineage: &Lineage,
    kind: &str,
    reason: &str,
    hole: Hole,
) -> Result<(), StoreError> {
    let query = sqlx::query(
        "INSERT INTO tallyman.gap (node, epoch, kind, subject, source, observed_at, received_at, recorded_at,
           late, reason, from_seq, to_seq, missing)
         VALUES ($1, $2::uuid, $3, 'node', $1, now(), now(), now(), false, $4, $5, $6, $7)",
    )
    .bind(lineage.node.clone())
    .bind(lineage.epoch.to_string())
    .bind(kind.to_owned())
    .bind(reason.to_owned())
    .bind(seq(hole.from))
    .bind(seq(hole.to))
    .bind(hole.missing.map(seq));
    connection.run("record a gap", query).await.map(drop)
}
