//! One connection's life: find out what the server is, take the node's lock, find the place to go on from,
//! then batch after batch until something ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, Epoch, Lineage, Mark};
use super::connection::{Connection, column};
use super::error::StoreError;
use super::feed::{self, Feed};
use super::people::Tending;
use super::progress::Progress;
use super::register::mirror;
use super::tables::Table;
use super::watermark::{self, Resume, Watermark, resume};
use super::write::{Hole, Writer, note_gap};
use super::{capabilities, migrations};
use crate::config::TimescaleConfig;
use crate::domain::erasure::{Erasure, Stage};
use crate::domain::ids::NodeId;
use crate::domain::register::Record;
use crate::domain::state::StateKind;
use crate::journal::{Control, Meta, Reader};
use crate::source::clock::WallClock;
use crate::telemetry::names;

/// What the session tells its supervisor.
pub enum Note {
    /// Connected, and in agreement with the database about where we are.
    Aligned,
    /// Something of the history in the database is missing or in doubt: in words.
    History(String),
}

pub struct Session {
    pub config: TimescaleConfig,
    pub node: NodeId,
    pub journal: Reader,
    pub committed: watch::Receiver<u64>,
    pub control: mpsc::Sender<Control>,
    pub declared: Vec<Record>,
    /// What is done for people beside forwarding, and how often it is looked for.
    pub tending: Tending,
    pub tend_every: Duration,
    pub notes: mpsc::Sender<Note>,
    pub forwarded: Arc<AtomicU64>,
    pub progress: Progress,
    pub clock: WallClock,
    pub shutdown: CancellationToken,
}

impl Session {
    /// Ends well at shutdown, or when the journal is complete and all of it is written.
    pub async fn run(mut self) -> Result<(), StoreError> {
        let mut writer = self.align().await?;
        self.forwarded_to(writer.mark()).await;
        self.note(Note::Aligned).await;
        let (batches, mut ready) = mpsc::channel(feed::QUEUE);
        let feed = Feed {
            journal: self.journal.clone(),
            lineage: writer.lineage().clone(),
            batch_rows: self.config.batch_rows.max(1),
            committed: self.committed.clone(),
            shutdown: self.shutdown.clone(),
        };
        // It ends when `ready` is dropped: never aborted, because it reads the journal.
        tokio::spawn(feed.run(writer.mark(), batches));
        let mut tick = tokio::time::interval(self.tend_every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // Only channels and the timer are awaited here: no database future is ever dropped half way.
            tokio::select! {
                batch = ready.recv() => match batch {
                    Some(batch) => self.write(&mut writer, batch?).await?,
                    None => return Ok(()),
                },
                _ = tick.tick() => {
                    if self.tend(&mut writer).await? {
                        tick.reset_immediately();
                    }
                }
            }
        }
    }

    /// A share of time for people: those whom the journal no longer names, once everything that it read before is
    /// here, and what is kept for a shorter time. `true`: there is more to do at once.
    async fn tend(&mut self, writer: &mut Writer) -> Result<bool, StoreError> {
        let mut erasures = Vec::new();
        for (_, row) in self.journal.all_states(StateKind::Erasure).await? {
            let erasure: Erasure = serde_json::from_slice(&row).map_err(StoreError::Current)?;
            if matches!(erasure.stage, Stage::Database { seq, .. } if seq <= writer.mark().seq) {
                erasures.push(erasure);
            }
        }
        let now = self.clock.now();
        let lineage = writer.lineage().clone();
        let tended = self.tending.tend(writer.connection(), &lineage, erasures, now).await?;
        for label in tended.erased {
            self.control.send(Control::Erased { label }).await.map_err(|_| StoreError::WriterGone)?;
        }
        Ok(tended.more)
    }

    /// Connects, and brings journal and database to agree on where to go on.
    async fn align(&self) -> Result<Writer, StoreError> {
        let node = self.node.as_str();
        let timeout = self.config.statement_timeout;
        let url = self.config.url.reveal();
        let mut connection = Connection::open(url, node, timeout, self.progress.clone()).await?;
        let capabilities = capabilities::detect(&mut connection).await?;
        migrations::bring_forward(&mut connection).await?;
        migrations::tune(&mut connection, &capabilities, self.config.chunk_interval).await?;
        connection.lock_node(node).await?;
        let meta = self.journal.meta().await?;
        let epoch = parse_epoch(&meta.epoch)?;
        let held = match watermark::read(&mut connection, node).await? {
            None => {
                if meta.forwarded_seq > 0 {
                    self.refills(0, meta.forwarded_seq).await;
                }
                watermark::begin(&mut connection, node, epoch).await?
            }
            Some(held) => self.agree(&mut connection, &meta, epoch, held).await?,
        };
        let owner = self.config.register;
        let mirrors =
            mirror::begin(&mut connection, &self.node, held.epoch, &self.journal, owner, &self.declared)
                .await?;
        tracing::info!(
            node,
            seq = held.mark.seq,
            journal_seq = meta.last_seq,
            version = capabilities.version,
            edition = capabilities.edition.as_str(),
            "forwarding to TimescaleDB"
        );
        let lineage = Lineage { node: node.to_owned(), epoch: held.epoch, overlap_until: held.overlap_until };
        Ok(Writer::new(connection, lineage, held, mirrors))
    }

    async fn agree(
        &self,
        connection: &mut Connection,
        meta: &Meta,
        epoch: Epoch,
        held: Watermark,
    ) -> Result<Watermark, StoreError> {
        let at_mark = match held.mark.seq {
            0 => None,
            seq => {
                let events = self.journal.events_after(seq - 1, 1).await?;
                events.into_iter().find(|event| event.seq == seq).map(|event| (event.id, event.recorded_at))
            }
        };
        match resume(epoch, meta.last_seq, meta.forwarded_seq, &held, at_mark) {
            Resume::Continue => {
                if held.mark.seq < meta.forwarded_seq {
                    self.refills(held.mark.seq, meta.forwarded_seq).await;
                }
                Ok(held)
            }
            Resume::Diverged { why } => {
                let epoch = self.new_epoch(epoch).await?;
                self.take_over(connection, meta, epoch, held, &why).await
            }
        }
    }

    /// The database is older than what was forwarded to it. What the journal no longer holds becomes a gap.
    async fn refills(&self, database_seq: u64, forwarded_seq: u64) {
        tracing::warn!(
            database_seq,
            forwarded_seq,
            "the database is older than what was forwarded to it: refilling it from the journal"
        );
        self.note(Note::History(format!(
            "the database is older than what was forwarded to it: it was at event {database_seq} and had been \
             at {forwarded_seq}; what the journal still holds is written again, for the rest see tallyman.gap"
        )))
        .await;
    }

    /// Makes the database follow this journal from the last event that both have.
    async fn take_over(
        &self,
        connection: &mut Connection,
        meta: &Meta,
        epoch: Epoch,
        held: Watermark,
        why: &str,
    ) -> Result<Watermark, StoreError> {
        let mark = self.last_common(connection, meta.forwarded_seq).await?;
        let overlap_until = held.overlap_until.max(held.newest_recorded_at);
        let to = Watermark { epoch, mark, overlap_until, ..held.clone() };
        let lineage = Lineage { node: self.node.to_string(), epoch, overlap_until };
        let hole = Hole { from: mark.seq + 1, to: held.mark.seq.max(mark.seq), missing: None };
        connection.begin().await?;
        watermark::advance(connection, &lineage.node, &held, &to).await?;
        note_gap(connection, &lineage, "epoch", why, hole).await?;
        connection.commit().await?;
        tracing::error!(why, from_seq = mark.seq, epoch = %epoch,
            "the journal is not the one that the database was filled from: what that one had acknowledged \
             and not forwarded is lost; forwarding this one, without what is there already");
        counter!(names::STORE_EPOCHS).increment(1);
        self.note(Note::History(format!(
            "{why}; what the former journal had not forwarded is not in the database: see tallyman.gap"
        )))
        .await;
        Ok(to)
    }

    async fn new_epoch(&self, old: Epoch) -> Result<Epoch, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.control.send(Control::NewEpoch { reply }).await.map_err(|_| StoreError::WriterGone)?;
        let epoch = parse_epoch(&answer.await.map_err(|_| StoreError::WriterGone)?)?;
        if epoch == old { Err(StoreError::EpochUnchanged(old)) } else { Ok(epoch) }
    }

    /// The event up to which the journal was forwarded, if this database has it: events go there in order,
    /// so it then has those before it too. Else the very beginning.
    async fn last_common(&self, connection: &mut Connection, forwarded: u64) -> Result<Mark, StoreError> {
        let Some(before) = forwarded.checked_sub(1) else { return Ok(Mark::default()) };
        let events = self.journal.events_after(before, 1).await?;
        let Some(event) = events.into_iter().find(|event| event.seq == forwarded) else {
            return Ok(Mark::default());
        };
        let Some(table) = Table::of_kind(&event.kind) else { return Ok(Mark::default()) };
        const OPERATION: &str = "look for the last common event";
        let sql = format!(
            "SELECT EXISTS (SELECT FROM {} WHERE node = $1 AND event_id = $2::uuid AND observed_at
               BETWEEN timestamptz 'epoch' + $3 * interval '1 microsecond' - interval '1 ms'
                   AND timestamptz 'epoch' + $3 * interval '1 microsecond' + interval '1 ms') AS there",
            table.name()
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.node.to_string())
            .bind(event.id.to_string())
            .bind(event.observed_at.as_micros());
        let row = connection.row(OPERATION, query).await?;
        let there = row.map(|row| column::<bool>(&row, OPERATION, "there")).transpose()?;
        let mark = Mark { seq: forwarded, id: Some(event.id) };
        Ok(if there == Some(true) { mark } else { Mark::default() })
    }

    /// Writes `batch`; where PostgreSQL refuses something in it, finds that and sets it aside.
    async fn write(&self, writer: &mut Writer, batch: Batch) -> Result<(), StoreError> {
        match writer.write(&batch).await {
            Ok(rows) => {
                self.written(writer, &batch, rows).await;
                Ok(())
            }
            Err(error) if error.is_about_the_data() || error.is_too_much_at_once() => {
                tracing::warn!(%error, from_seq = batch.after.seq + 1, to_seq = batch.last.seq,
                    "a batch was refused: trying it in parts");
                self.write_in_parts(writer, batch.last.seq, batch.events).await
            }
            Err(error) => Err(error),
        }
    }

    /// Halves what is written at once until the refused event stands alone; doubles it after each success.
    async fn write_in_parts(&self, writer: &mut Writer, until: u64, events: u64) -> Result<(), StoreError> {
        let mut size = usize::try_from(events / 2).unwrap_or(usize::MAX).max(1);
        while writer.mark().seq < until {
            let part = feed::build(&self.journal, writer.lineage(), writer.mark(), size, until).await?;
            let Some(part) = part else { return Ok(()) };
            match writer.write(&part).await {
                Ok(rows) => {
                    self.written(writer, &part, rows).await;
                    size = size.saturating_mul(2);
                }
                Err(error) if part.events == 1 && error.is_about_the_data() => {
                    self.set_aside(writer, part.last, &error).await?;
                    size = size.saturating_mul(2);
                }
                Err(error)
                    if part.events > 1 && (error.is_about_the_data() || error.is_too_much_at_once()) =>
                {
                    size = usize::try_from(part.events / 2).unwrap_or(usize::MAX).max(1);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn set_aside(&self, writer: &mut Writer, at: Mark, error: &StoreError) -> Result<(), StoreError> {
        let events = self.journal.events_after(at.seq.saturating_sub(1), 1).await?;
        let Some(event) = events.into_iter().find(|event| event.seq == at.seq) else { return Ok(()) };
        writer.set_aside(&event, &error.to_string()).await?;
        counter!(names::STORE_REJECTED).increment(1);
        tracing::error!(id = %event.id, seq = event.seq, kind = &*event.kind, %error,
            "PostgreSQL refused an event: it is whole in tallyman.rejected_event and in no event table");
        self.note(Note::History(format!(
            "PostgreSQL refused event {}: see tallyman.rejected_event",
            event.id
        )))
        .await;
        self.forwarded_to(writer.mark()).await;
        Ok(())
    }

    async fn written(&self, writer: &Writer, batch: &Batch, rows: u64) {
        counter!(names::STORE_ROWS).increment(rows);
        counter!(names::STORE_BATCHES).increment(1);
        gauge!(names::STORE_LAST_SUCCESS).set(self.clock.now().as_secs_f64());
        if batch.missing > 0 {
            counter!(names::STORE_MISSING).increment(batch.missing);
            tracing::error!(
                missing = batch.missing,
                from_seq = batch.after.seq + 1,
                to_seq = batch.last.seq,
                "events were pruned from the journal before they came to TimescaleDB: see tallyman.gap"
            );
            self.note(Note::History(format!(
                "{} events up to number {} were pruned from the journal before they came to the database: \
                 see tallyman.gap",
                batch.missing, batch.last.seq
            )))
            .await;
        }
        for event in &batch.unknown {
            counter!(names::STORE_REJECTED).increment(1);
            tracing::error!(id = %event.id, seq = event.seq, kind = &*event.kind,
                "an event of a kind without a table: it is whole in tallyman.rejected_event");
        }
        self.forwarded_to(writer.mark()).await;
    }

    async fn forwarded_to(&self, mark: Mark) {
        self.forwarded.store(mark.seq, Ordering::Release);
        let newest = *self.committed.borrow();
        gauge!(names::STORE_BACKLOG).set(newest.saturating_sub(mark.seq) as f64);
        if self.control.send(Control::Forwarded { seq: mark.seq }).await.is_err() {
            // The journal's owner has stopped; the database holds the watermark.
            tracing::debug!(seq = mark.seq, "the journal is not told how far forwarding came");
        }
    }

    async fn note(&self, note: Note) {
        if self.notes.send(note).await.is_err() {
            tracing::debug!("the supervisor of forwarding has ended");
        }
    }
}

fn parse_epoch(text: &str) -> Result<Epoch, StoreError> {
    Epoch::parse(text).ok_or_else(|| StoreError::JournalEpoch(text.to_owned()))
}
