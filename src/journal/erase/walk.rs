//! One bounded step over events, dead letters or rows of state. What is rewritten is read back as what it is before
//! it is written: an erasure that would spoil a row ends loudly, with the row as it was.

use std::collections::BTreeSet;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use crate::domain::alerts::Alert;
use crate::domain::audits::{Audit, AuditPart, Item};
use crate::domain::epc::Epc;
use crate::domain::erasure::Eraser;
use crate::domain::events::EventBody;
use crate::domain::register::{Misfit, Record};
use crate::domain::state::{AssetCurrent, StateKind, StateRow};
use crate::journal::rows::signed;

/// Rows that a step passes over: some ten milliseconds.
const STEP_PASSED: i64 = 20_000;
/// Rows that a step reads.
const STEP_ROWS: i64 = 2_000;
/// Dead letters are larger.
const STEP_LETTERS: i64 = 50;

/// Fixes and samples name devices alone, and are the bulk: they are passed over.
pub(super) async fn events(
    conn: &mut SqliteConnection,
    eraser: &Eraser,
    after: u64,
    until: u64,
) -> Result<Option<u64>, sqlx::Error> {
    let Some(end) = end_of_step(conn, after, until).await? else { return Ok(None) };
    let rows = sqlx::query(
        "SELECT seq, subject, body FROM event WHERE seq > ? AND seq <= ? AND class NOT IN (5, 6)
         ORDER BY seq LIMIT ?",
    );
    let rows = rows.bind(signed(after)).bind(signed(end)).bind(STEP_ROWS).fetch_all(&mut *conn).await?;
    let is_full = rows.len() == STEP_ROWS.unsigned_abs() as usize;
    let mut last = after;
    for row in rows {
        let (seq, subject, body): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        last = seq.unsigned_abs();
        let (erased_subject, erased_body) = (eraser.subject(&subject), eraser.json_text(&body));
        if erased_subject.is_none() && erased_body.is_none() {
            continue;
        }
        if let Some(erased) = &erased_body {
            still::<EventBody>(body.as_bytes(), erased.as_bytes())?;
        }
        sqlx::query("UPDATE event SET subject = ?, body = ? WHERE seq = ?")
            .bind(erased_subject.unwrap_or(subject))
            .bind(erased_body.unwrap_or(body))
            .bind(seq)
            .execute(&mut *conn)
            .await?;
    }
    Ok(Some(if is_full { last } else { end }))
}

/// The number up to which a step goes, whatever is in between: numbers are found without reading what they number.
pub(super) async fn end_of_step(
    conn: &mut SqliteConnection,
    after: u64,
    until: u64,
) -> Result<Option<u64>, sqlx::Error> {
    let end = sqlx::query_scalar::<_, Option<i64>>(
        "SELECT max(seq) FROM (SELECT seq FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?)",
    );
    let end = end.bind(signed(after)).bind(signed(until)).bind(STEP_PASSED).fetch_one(conn).await?;
    Ok(end.map(i64::unsigned_abs))
}

/// The id of the newest dead letter; one that comes later has a greater one, whatever goes meanwhile.
pub(super) async fn newest_letter(conn: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let newest = sqlx::query_scalar::<_, i64>("SELECT coalesce(max(id), 0) FROM dead_letter");
    newest.fetch_one(conn).await.map(i64::unsigned_abs)
}

/// A dead letter is bytes as they came, and a part of it cannot be replaced: it goes whole.
pub(super) async fn dead_letters(
    conn: &mut SqliteConnection,
    eraser: &Eraser,
    after: u64,
    until: u64,
) -> Result<Option<u64>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT id, detail, coalesce(topic, ''), payload FROM dead_letter WHERE id > ? AND id <= ?
         ORDER BY id LIMIT ?",
    );
    let rows = rows.bind(signed(after)).bind(signed(until)).bind(STEP_LETTERS).fetch_all(&mut *conn).await?;
    let mut last = None;
    for row in rows {
        let (id, detail, topic, payload): (i64, &str, &str, &[u8]) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        last = Some(id.unsigned_abs());
        let parts = [detail.as_bytes(), topic.as_bytes(), payload];
        if parts.iter().any(|part| eraser.is_in_message(part)) {
            sqlx::query("DELETE FROM dead_letter WHERE id = ?").bind(id).execute(&mut *conn).await?;
        }
    }
    Ok(last)
}

pub(super) async fn state(
    conn: &mut SqliteConnection,
    eraser: &Eraser,
    newer: &BTreeSet<(String, String)>,
    (kind, key): (&str, &str),
) -> Result<Option<(String, String)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT kind, key, value FROM state WHERE (kind, key) > (?, ?) AND kind <> 'erasure'
         ORDER BY kind, key LIMIT ?",
    );
    let rows = rows.bind(kind).bind(key).bind(STEP_ROWS).fetch_all(&mut *conn).await?;
    let mut last = None;
    for row in rows {
        let (kind, key, value): (String, String, Vec<u8>) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let place = (kind, key);
        if !newer.contains(&place) {
            row_of_state(conn, eraser, &place.0, &place.1, &value).await?;
        }
        last = Some(place);
    }
    Ok(last)
}

async fn row_of_state(
    conn: &mut SqliteConnection,
    eraser: &Eraser,
    kind: &str,
    key: &str,
    value: &[u8],
) -> Result<(), sqlx::Error> {
    if is_theirs(eraser, kind, key) {
        let gone = sqlx::query("DELETE FROM state WHERE kind = ? AND key = ?");
        gone.bind(kind).bind(key).execute(conn).await?;
    } else if let Some(erased) = without(eraser, value) {
        still_a_row(kind, key, value, erased.as_bytes())?;
        let put = sqlx::query("UPDATE state SET value = ? WHERE kind = ? AND key = ?");
        put.bind(erased.into_bytes()).bind(kind).bind(key).execute(conn).await?;
    }
    Ok(())
}

/// Whether a row is one that this walk would change, or take away.
pub(super) fn names(eraser: &Eraser, row: &StateRow, value: &[u8]) -> bool {
    row.kind != StateKind::Erasure
        && (is_theirs(eraser, row.kind.as_str(), &row.key) || without(eraser, value).is_some())
}

/// A row's value without the person; `None` where it does not name them. What is no text is a tracker's, and holds nobody:
/// what names a device or a fence stays.
fn without(eraser: &Eraser, value: &[u8]) -> Option<String> {
    eraser.json_text(std::str::from_utf8(value).ok()?)
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
        Some(StateKind::Holder | StateKind::Answer) => eraser.is_named_in(key),
        Some(StateKind::Register) => record(key),
        Some(StateKind::Followed) => key.strip_prefix("unfit/").is_some_and(record),
        Some(StateKind::Stranger) => badge(key),
        Some(StateKind::TagWindow) => key.rsplit('/').next().is_some_and(badge),
        Some(StateKind::AuditItem) => key.rsplit("tag:").next().is_some_and(badge),
        Some(StateKind::Alert) => match key.split_once('/') {
            Some(("repeat-offender", holder)) => eraser.is_named_in(holder),
            Some(("zombie", code)) => badge(code),
            _ => false,
        },
        _ => false,
    }
}

/// Of rows that outlive what is in memory, that they still are what they were.
fn still_a_row(kind: &str, key: &str, before: &[u8], after: &[u8]) -> Result<(), sqlx::Error> {
    match StateKind::parse(kind) {
        Some(StateKind::Asset) => still::<AssetCurrent>(before, after),
        Some(StateKind::Alert) => still::<Alert>(before, after),
        Some(StateKind::Audit) => still::<Audit>(before, after),
        Some(StateKind::AuditItem) => still::<Item>(before, after),
        Some(StateKind::AuditPart) => still::<AuditPart>(before, after),
        Some(StateKind::Register) => still::<Record>(before, after),
        Some(StateKind::Followed) if key.starts_with("unfit/") => still::<Misfit>(before, after),
        _ => still::<serde_json::Value>(before, after),
    }
}

/// What could be read before can be read after; what could not (of another version) is taken as it is.
fn still<T: serde::de::DeserializeOwned>(before: &[u8], after: &[u8]) -> Result<(), sqlx::Error> {
    match serde_json::from_slice::<T>(after) {
        Err(error) if serde_json::from_slice::<T>(before).is_ok() => Err(sqlx::Error::Encode(error.into())),
        _ => Ok(()),
    }
}
