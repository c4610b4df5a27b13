//! Events as people ask for them: newest first, by whom, what and when.
//!
//! What lasts is answered from an index. Measurements have none (it would cost the writer more than the
//! rows), so they are looked for backwards in windows, each a statement of its own.

use sqlx::sqlite::{Sqlite, SqlitePool};
use sqlx::{QueryBuilder, Row};

use super::rows::{self, EVENT_COLUMNS, FIRST_MEASUREMENT, signed};
use super::{EventQuery, StoredEvent};

/// Rows looked through by one statement: some ten milliseconds.
const WINDOW_ROWS: i64 = 20_000;

/// Rows looked through for measurements in all.
const SCAN_ROWS: i64 = 1_000_000;

pub async fn events(pool: &SqlitePool, query: &EventQuery) -> Result<Vec<StoredEvent>, sqlx::Error> {
    if query.kinds.iter().any(|kind| rows::is_measurement(kind)) {
        scanned(pool, query).await
    } else {
        indexed(pool, query).await
    }
}

async fn indexed(pool: &SqlitePool, query: &EventQuery) -> Result<Vec<StoredEvent>, sqlx::Error> {
    let index = if query.subject.is_some() { "event_of_subject" } else { "event_lasting" };
    let mut text = QueryBuilder::new(format!(
        "SELECT {EVENT_COLUMNS} FROM event INDEXED BY {index} WHERE class < {FIRST_MEASUREMENT}"
    ));
    if let Some(seq) = query.before_seq {
        text.push(" AND seq < ").push_bind(signed(seq));
    }
    finish(pool, query, text, query.limit).await
}

async fn scanned(pool: &SqlitePool, query: &EventQuery) -> Result<Vec<StoredEvent>, sqlx::Error> {
    let mut found = Vec::new();
    let mut before = query.before_seq.map_or(i64::MAX, signed);
    let mut looked = 0;
    while looked < SCAN_ROWS && found.len() < query.limit {
        let window = sqlx::query(
            "SELECT min(seq), count(*) FROM (SELECT seq FROM event WHERE seq < ? ORDER BY seq DESC LIMIT ?)",
        );
        let window = window.bind(before).bind(WINDOW_ROWS).fetch_one(pool).await?;
        let Some(first) = window.try_get::<Option<i64>, _>(0)? else { break };
        looked += window.try_get::<i64, _>(1)?;
        let mut text =
            QueryBuilder::new(format!("SELECT {EVENT_COLUMNS} FROM event NOT INDEXED WHERE seq >= "));
        text.push_bind(first).push(" AND seq < ").push_bind(before);
        found.append(&mut finish(pool, query, text, query.limit - found.len()).await?);
        before = first;
    }
    Ok(found)
}

async fn finish(
    pool: &SqlitePool,
    query: &EventQuery,
    mut text: QueryBuilder<Sqlite>,
    limit: usize,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    if let Some(subject) = &query.subject {
        text.push(" AND subject = ").push_bind(subject);
    }
    if !query.kinds.is_empty() {
        text.push(" AND kind IN (");
        let mut kinds = text.separated(", ");
        for kind in &query.kinds {
            kinds.push_bind(kind);
        }
        text.push(")");
    }
    if let Some(from) = query.observed_from {
        text.push(" AND observed_at >= ").push_bind(from.as_micros());
    }
    if let Some(until) = query.observed_until {
        text.push(" AND observed_at < ").push_bind(until.as_micros());
    }
    text.push(" ORDER BY seq DESC LIMIT ").push_bind(signed(limit as u64));
    text.build().try_map(|row| rows::event(&row)).fetch_all(pool).await
}
