//! Erasing a person from what is on disk, in bounded steps between commits.
//!
//! ```text
//!  asked ─▶ events ─▶ dead letters ─▶ rows of state ─▶ TimescaleDB (where there is one) ─▶ the file ─▶ done
//! ```
//!
//! What is to be done, and how far it has come, is one row of state, committed with each step: a daemon that
//! dies goes on where it was. That row names the person until everything else no longer does; then it is
//! emptied, the file is rewritten whole (`VACUUM`), so that nothing is left in freed space either, the log is cut
//! to nothing, and the row goes. Events keep their number, their id and everything that names nobody.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Executor, Row};

use super::error::{JournalError, Operation};
use super::rows::signed;
use super::{Batch, Writer, insert};
use crate::domain::epc::Epc;
use crate::domain::erasure::{Eraser, Erasure, Stage};
use crate::domain::state::{StateKind, StateRow};
use crate::telemetry::names;

/// Rows that a step looks at: some ten milliseconds.
const STEP_ROWS: i64 = 2_000;
/// Dead letters are larger.
const STEP_LETTERS: i64 = 50;

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

    /// A commit asked for more.
    pub(super) fn note_erasures(&mut self, batch: &Batch) {
        let rows = batch.state.iter().filter(|row| row.kind == StateKind::Erasure);
        let asked = rows.filter_map(|row| serde_json::from_slice::<Erasure>(row.value.as_deref()?).ok());
        let before = self.erasures.len();
        self.erasures.extend(asked);
        if self.erasures.len() != before {
            self.show_erasures();
        }
    }

    /// One step of the erasure that was asked for first. `true`: there is more to do here.
    pub async fn erase(&mut self) -> Result<bool, JournalError> {
        let forwarded = self.retention.protect_unforwarded;
        let ours = |erasure: &Erasure| !forwarded || !matches!(erasure.stage, Stage::Database { .. });
        let Some(place) = self.erasures.iter().position(ours) else { return Ok(false) };
        let erasure = self.erasures[place].clone();
        if erasure.stage == Stage::File {
            return self
                .rewrite(place, &erasure)
                .await
                .map_err(|source| self.failed(Operation::Erase, source));
        }
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
        let done = Erasure { stage: self.after_state(), ..erasure.clone() };
        let newest = self.counted.last_seq;
        self.begin().await?;
        let next = step(&mut self.conn, erasure, newest, done).await;
        let next = self.end(next).await?;
        if letters {
            self.count_anew().await?;
        }
        Ok(next)
    }

    /// Where it goes on when nothing else of the journal names them.
    fn after_state(&self) -> Stage {
        match self.retention.protect_unforwarded {
            true => Stage::Database { seq: self.counted.last_seq },
            false => Stage::File,
        }
    }

    /// Nobody is named any more: freed space goes too, and then the row.
    async fn rewrite(&mut self, place: usize, erasure: &Erasure) -> Result<bool, sqlx::Error> {
        if !self.rewritten {
            self.conn.execute("VACUUM").await?;
            self.rewritten = true;
        }
        if !self.cut_log().await? {
            // A reader still reads from the log; the next call tries again.
            return Ok(false);
        }
        self.begin().await?;
        let row = StateRow::delete(StateKind::Erasure, erasure.label.as_str());
        let gone = insert::state(&mut self.conn, std::slice::from_ref(&row)).await;
        self.end(gone).await?;
        self.erasures.remove(place);
        self.rewritten = false;
        self.show_erasures();
        tracing::info!(label = erasure.label, "a person is erased");
        Ok(true)
    }

    fn show_erasures(&self) {
        metrics::gauge!(names::ERASURES_PENDING).set(self.erasures.len() as f64);
    }
}

async fn put(conn: &mut SqliteConnection, erasure: &Erasure) -> Result<(), sqlx::Error> {
    let row = StateRow::put(StateKind::Erasure, erasure.label.as_str(), erasure);
    insert::state(conn, std::slice::from_ref(&row)).await
}

async fn step(
    conn: &mut SqliteConnection,
    erasure: Erasure,
    newest: u64,
    done: Erasure,
) -> Result<Erasure, sqlx::Error> {
    let eraser = Eraser::new(&erasure);
    let stage = match erasure.stage.clone() {
        Stage::Events { after, until } => {
            let until = until.unwrap_or(newest);
            match events(conn, &eraser, after, until).await? {
                Some(after) => Stage::Events { after, until: Some(until) },
                None => Stage::DeadLetters { after: 0 },
            }
        }
        Stage::DeadLetters { after } => match dead_letters(conn, &eraser, after).await? {
            Some(after) => Stage::DeadLetters { after },
            None => Stage::State { kind: String::new(), key: String::new() },
        },
        Stage::State { kind, key } => match state(conn, &eraser, &kind, &key).await? {
            Some((kind, key)) => Stage::State { kind, key },
            None => done.stage.clone(),
        },
        // There is no database any more, or there never was.
        Stage::Database { .. } | Stage::File => done.stage.clone(),
    };
    let next = if stage == Stage::File { erasure.forgotten() } else { Erasure { stage, ..erasure } };
    put(conn, &next).await?;
    Ok(next)
}

/// Fixes and samples name devices alone, and are the bulk: they are not looked at.
async fn events(
    conn: &mut SqliteConnection,
    eraser: &Eraser,
    after: u64,
    until: u64,
) -> Result<Option<u64>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT seq, subject, body FROM event WHERE seq > ? AND seq <= ? AND class NOT IN (5, 6) ORDER BY seq LIMIT ?",
    );
    let rows = rows.bind(signed(after)).bind(signed(until)).bind(STEP_ROWS).fetch_all(&mut *conn).await?;
    let mut last = None;
    for row in rows {
        let (seq, subject, body): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        last = Some(seq.unsigned_abs());
        let (erased_subject, erased_body) = (eraser.subject(&subject), eraser.json_text(&body));
        if erased_subject.is_none() && erased_body.is_none() {
            continue;
        }
        sqlx::query("UPDATE event SET subject = ?, body = ? WHERE seq = ?")
            .bind(erased_subject.unwrap_or(subject))
            .bind(erased_body.unwrap_or(body))
            .bind(seq)
            .execute(&mut *conn)
            .await?;
    }
    Ok(last)
}

/// A dead letter is bytes as they came, and a part of it cannot be replaced: it goes whole.
async fn dead_letters(
    conn: &mut SqliteConnection,
    eraser: &Eraser,
    after: u64,
) -> Result<Option<u64>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT id, detail, coalesce(topic, ''), payload FROM dead_letter WHERE id > ? ORDER BY id LIMIT ?",
    );
    let rows = rows.bind(signed(after)).bind(STEP_LETTERS).fetch_all(&mut *conn).await?;
    let mut last = None;
    for row in rows {
        let (id, detail, topic, payload): (i64, &str, &str, &[u8]) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        last = Some(id.unsigned_abs());
        let named = eraser.text(detail).is_some()
            || eraser.text(topic).is_some()
            || eraser.text(&String::from_utf8_lossy(payload)).is_some()
            || eraser.holds_badge(payload);
        if named {
            sqlx::query("DELETE FROM dead_letter WHERE id = ?").bind(id).execute(&mut *conn).await?;
        }
    }
    Ok(last)
}

async fn state(
    conn: &mut SqliteConnection,
    eraser: &Eraser,
    kind: &str,
    key: &str,
) -> Result<Option<(String, String)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT kind, key, value FROM state WHERE (kind, key) > (?, ?) AND kind <> 'erasure' ORDER BY kind, key LIMIT ?",
    );
    let rows = rows.bind(kind).bind(key).bind(STEP_ROWS).fetch_all(&mut *conn).await?;
    let mut last = None;
    for row in rows {
        let (kind, key, value): (String, String, Vec<u8>) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if is_theirs(eraser, &kind, &key) {
            let gone = sqlx::query("DELETE FROM state WHERE kind = ? AND key = ?");
            gone.bind(&kind).bind(&key).execute(&mut *conn).await?;
        } else if let Some(erased) = eraser.json_text(&String::from_utf8_lossy(&value)) {
            let put = sqlx::query("UPDATE state SET value = ? WHERE kind = ? AND key = ?");
            put.bind(erased.into_bytes()).bind(&kind).bind(&key).execute(&mut *conn).await?;
        }
        last = Some((kind, key));
    }
    Ok(last)
}

/// Whether a row's key names them or their badge: what it says is of nobody else.
fn is_theirs(eraser: &Eraser, kind: &str, key: &str) -> bool {
    let badge = |code: &str| Epc::from_hex(code).is_some_and(|epc| eraser.is_badge(&epc));
    let record = |key: &str| match key.split_once('/') {
        Some(("person", id)) => eraser.is_name(id),
        Some(("tag", tag)) => badge(tag.split('@').next().unwrap_or_default()),
        _ => false,
    };
    match StateKind::parse(kind) {
        Some(StateKind::Holder) => eraser.is_name(key),
        Some(StateKind::Register) => record(key),
        Some(StateKind::Followed) => key.strip_prefix("unfit/").is_some_and(record),
        Some(StateKind::Stranger) => badge(key),
        Some(StateKind::TagWindow) => key.rsplit('/').next().is_some_and(badge),
        Some(StateKind::AuditItem) => key.rsplit("tag:").next().is_some_and(badge),
        Some(StateKind::Alert) => match key.split_once('/') {
            Some(("repeat-offender", holder)) => eraser.is_name(holder),
            Some(("zombie", code)) => badge(code),
            _ => false,
        },
        _ => false,
    }
}
