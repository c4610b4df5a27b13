//! Erasing a person from what is on disk, in bounded steps between commits.
//!
//! ```text
//!  asked ─▶ events ─▶ dead letters ─▶ rows of state ─▶ (TimescaleDB) ─▶ the file ─▶ done
//! ```
//!
//! What is to be done, and how far it has come, is one row of state, committed with each step: a daemon that
//! dies goes on where it was. That row names the person until everything else no longer does; then it is
//! emptied, the file is rewritten whole (`VACUUM`), so that nothing is left in freed space either, the log is cut
//! to nothing, and the row goes. Events keep their number, their id and everything that names nobody. Whoever is
//! given the number, a name or a badge meanwhile keeps it: the commit that asks notes the newest event and the newest
//! dead letter, and what came since is not looked at; rows of state that came since are not theirs (`newer.rs`).

use std::collections::BTreeSet;

use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;

mod newer;
mod walk;

use super::error::{JournalError, Operation};
use super::{Batch, Writer, insert};
use crate::domain::erasure::{Eraser, Erasure, Stage};
use crate::domain::state::{StateKind, StateRow};
use crate::telemetry::names;

impl Writer {
    /// What the file has under way. Called when it is opened.
    pub(super) async fn restore_erasures(&mut self) -> Result<(), JournalError> {
        let rows = sqlx::query_scalar::<_, Vec<u8>>("SELECT value FROM state WHERE kind = ? ORDER BY key");
        let rows = rows.bind(StateKind::Erasure.as_str()).fetch_all(&mut self.conn).await;
        for row in rows.map_err(|source| self.failed(Operation::Load, source))? {
            self.erasures.push(serde_json::from_slice(&row).map_err(|source| {
                JournalError::sql(Operation::Load, &self.path, sqlx::Error::Decode(source.into()))
            })?);
        }
        self.show_erasures();
        Ok(())
    }

    /// Those that have to be written with a commit: under way, where it says something of them, and asked for by it.
    pub(super) fn erasures_with(&self, batch: &Batch) -> Vec<Erasure> {
        let rows = batch.state.iter().filter(|row| row.kind == StateKind::Erasure);
        let asked = rows.filter_map(|row| serde_json::from_slice(row.value.as_deref()?).ok());
        newer::noted(&self.erasures, &batch.state).into_iter().chain(asked).collect()
    }

    /// After a commit: those that were written with it.
    pub(super) fn note_erasures(&mut self, written: Vec<Erasure>) {
        for erasure in written {
            match self.erasures.iter_mut().find(|known| known.label == erasure.label) {
                Some(known) => *known = erasure,
                None => self.erasures.push(erasure),
            }
        }
        self.show_erasures();
    }

    /// One step of the erasure that was asked for first. `true`: there is more to do here.
    pub async fn erase(&mut self) -> Result<bool, JournalError> {
        let forwarded = self.retention.protect_unforwarded;
        let is_walk = |erasure: &Erasure| match erasure.stage {
            Stage::File => false,
            Stage::Database { .. } => !forwarded,
            _ => true,
        };
        // The file is rewritten once for all who are that far, when nobody else's walk is left.
        let Some(place) = self.erasures.iter().position(is_walk) else {
            let rewritten = self.rewrite().await;
            return rewritten.map_err(|source| self.failed(Operation::Erase, source));
        };
        let erasure = self.erasures[place].clone();
        let next = self.step(erasure).await.map_err(|source| self.failed(Operation::Erase, source))?;
        self.erasures[place] = next;
        Ok(true)
    }

    /// TimescaleDB no longer names them.
    pub async fn erased_in_database(&mut self, label: &str) -> Result<(), JournalError> {
        let Some(place) = self.erasures.iter().position(|it| it.label == label) else { return Ok(()) };
        let next = self.erasures[place].forgotten();
        let done = self.save(&next).await;
        done.map_err(|source| self.failed(Operation::Erase, source))?;
        self.erasures[place] = next;
        Ok(())
    }

    async fn save(&mut self, erasure: &Erasure) -> Result<(), sqlx::Error> {
        self.begin().await?;
        let put = put(&mut self.conn, erasure).await;
        self.end(put).await
    }

    async fn step(&mut self, erasure: Erasure) -> Result<Erasure, sqlx::Error> {
        let letters = matches!(erasure.stage, Stage::DeadLetters { .. });
        let (newest, forwarded) = (self.counted.last_seq, self.retention.protect_unforwarded);
        self.begin().await?;
        let next = step(&mut self.conn, erasure, newest, forwarded).await;
        let next = self.end(next).await?;
        if letters {
            self.count_anew().await?;
        }
        Ok(next)
    }

    /// Of those who are named nowhere any more: freed space goes too, and then their rows.
    async fn rewrite(&mut self) -> Result<bool, sqlx::Error> {
        let is_left = |erasure: &Erasure| erasure.stage == Stage::File;
        let rows = self.erasures.iter().filter(|erasure| is_left(erasure));
        let rows: Vec<_> =
            rows.map(|erasure| StateRow::delete(StateKind::Erasure, erasure.label.as_str())).collect();
        if rows.is_empty() {
            return Ok(false);
        }
        // Somebody else may have come as far while a reader held the log: then once more.
        if self.rewritten != rows.len() {
            self.conn.execute("VACUUM").await?;
            self.rewritten = rows.len();
        }
        if !self.cut_log().await? {
            // A reader still reads from the log; the next call tries again.
            return Ok(false);
        }
        self.begin().await?;
        let gone = insert::state(&mut self.conn, &rows).await;
        self.end(gone).await?;
        self.erasures.retain(|erasure| !is_left(erasure));
        self.rewritten = 0;
        self.show_erasures();
        for row in &rows {
            tracing::info!(label = row.key, "a person is erased");
        }
        Ok(true)
    }

    fn show_erasures(&self) {
        metrics::gauge!(names::ERASURES_PENDING).set(self.erasures.len() as f64);
    }
}

/// In the transaction of a commit, behind everything else that it writes: all of it is older than what it asks for.
/// Gives them as they were written.
pub(super) async fn put_with(
    conn: &mut SqliteConnection,
    erasures: &[Erasure],
    newest: u64,
) -> Result<Vec<Erasure>, sqlx::Error> {
    let mut written = Vec::with_capacity(erasures.len());
    for erasure in erasures {
        let letter = walk::newest_letter(conn).await?;
        let erasure = erasure.clone().asked_for(newest, letter);
        put(conn, &erasure).await?;
        written.push(erasure);
    }
    Ok(written)
}

async fn put(conn: &mut SqliteConnection, erasure: &Erasure) -> Result<(), sqlx::Error> {
    let row = StateRow::put(StateKind::Erasure, erasure.label.as_str(), erasure);
    insert::state(conn, std::slice::from_ref(&row)).await
}

async fn step(
    conn: &mut SqliteConnection,
    mut erasure: Erasure,
    newest: u64,
    forwarded: bool,
) -> Result<Erasure, sqlx::Error> {
    let eraser = Eraser::new(&erasure);
    let stage = match erasure.stage.clone() {
        Stage::Events { after, until } => {
            let until = until.unwrap_or(newest);
            match walk::events(conn, &eraser, after, until).await? {
                Some(after) => Stage::Events { after, until: Some(until) },
                None => Stage::DeadLetters { after: 0, until: Some(until) },
            }
        }
        Stage::DeadLetters { after, until } => {
            let last = match erasure.letters {
                Some(last) => last,
                None => walk::newest_letter(conn).await?,
            };
            erasure.letters = Some(last);
            match walk::dead_letters(conn, &eraser, after, last).await? {
                Some(after) => Stage::DeadLetters { after, until },
                None => Stage::State { kind: String::new(), key: String::new(), until },
            }
        }
        Stage::State { kind, key, until } => {
            match walk::state(conn, &eraser, &erasure.newer, (&kind, &key)).await? {
                Some((kind, key)) => Stage::State { kind, key, until },
                None if forwarded => Stage::Database { seq: newest, until },
                None => Stage::File,
            }
        }
        // There is no database any more, or there never was.
        Stage::Database { .. } | Stage::File => Stage::File,
    };
    let next = match stage {
        Stage::File => erasure.forgotten(),
        // What was newer is known of the journal's rows by now.
        Stage::Database { .. } => Erasure { stage, newer: BTreeSet::new(), ..erasure },
        stage => Erasure { stage, ..erasure },
    };
    put(conn, &next).await?;
    Ok(next)
}
