//! Events as people ask for them, by whom, what, where and when: newest first, or on from a number.
//!
//! What lasts has an index; measurements have none but their number (another would cost the writer more
//! than the rows). Either is looked through in windows, each a statement of its own, so that no read
//! transaction is long. What one subject did is answered from its index in one statement.

use sqlx::sqlite::{Sqlite, SqlitePool};
use sqlx::{QueryBuilder, Row};

use super::rows::{self, EVENT_COLUMNS, FIRST_MEASUREMENT, signed};
use super::{EventQuery, FoundEvents, StoredEvent};
use crate::domain::time::Timestamp;

/// Rows looked through by one statement: some ten milliseconds.
const WINDOW_ROWS: i64 = 20_000;

/// Rows looked through in all, for measurements or once something was found.
const SCAN_ROWS: i64 = 1_000_000;

/// Nothing is recorded longer than this before it was observed: `intake.ahead_tolerance` ends at a day.
const RECORDED_BEFORE_US: i64 = 86_400_000_000;

/// Newest first.
pub async fn newest(pool: &SqlitePool, query: &EventQuery) -> Result<FoundEvents, sqlx::Error> {
    let measurements = names_measurements(query);
    if query.subject.is_some() && !measurements {
        return by_subject(pool, query).await;
    }
    let mut found = FoundEvents::default();
    let mut before = query.before_seq.map_or(i64::MAX, signed);
    let mut looked = 0;
    while found.events.len() < query.limit {
        let bounded = measurements || !found.events.is_empty();
        if bounded && looked >= SCAN_ROWS {
            found.looked_to = Some(before.unsigned_abs());
            return Ok(found);
        }
        let text = format!(
            "SELECT min(seq), count(*), min(recorded_at) FROM (SELECT seq, recorded_at FROM event \
             WHERE {} AND seq < ? ORDER BY seq DESC LIMIT ?)",
            class(measurements)
        );
        let window = sqlx::query(sqlx::AssertSqlSafe(text)).bind(before).bind(WINDOW_ROWS);
        let window = window.fetch_one(pool).await?;
        let Some(first) = window.try_get::<Option<i64>, _>(0)? else { return Ok(found) };
        looked += window.try_get::<i64, _>(1)?;
        let mut text = select(measurements);
        text.push(" AND seq >= ").push_bind(first).push(" AND seq < ").push_bind(before);
        found.events.append(&mut finish(pool, query, text, "DESC", query.limit - found.events.len()).await?);
        before = first;
        let recorded: i64 = window.try_get(2)?;
        let too_old = |from: i64| recorded < from.saturating_sub(RECORDED_BEFORE_US);
        if query.observed_from.is_some_and(|from| too_old(from.as_micros())) {
            return Ok(found);
        }
    }
    found.looked_to = found.events.last().map(|event| event.seq);
    Ok(found)
}

/// In order, those behind `after` and up to `until`; one window's worth. `looked_to` says where to go on.
pub async fn following(
    pool: &SqlitePool,
    query: &EventQuery,
    after: u64,
    until: u64,
) -> Result<FoundEvents, sqlx::Error> {
    let measurements = names_measurements(query);
    let text = format!(
        "SELECT max(seq), count(*) FROM (SELECT seq FROM event WHERE {} AND seq > ? AND seq <= ? \
         ORDER BY seq LIMIT ?)",
        class(measurements)
    );
    let window = sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(after)).bind(signed(until));
    let window = window.bind(WINDOW_ROWS).fetch_one(pool).await?;
    let last = window.try_get::<Option<i64>, _>(0)?;
    let rows = window.try_get::<i64, _>(1)?;
    let whole = rows < WINDOW_ROWS;
    let Some(last) = last else {
        return Ok(FoundEvents { looked_to: Some(until), ..FoundEvents::default() });
    };
    let mut text = select(measurements);
    text.push(" AND seq > ").push_bind(signed(after)).push(" AND seq <= ").push_bind(last);
    let events = finish(pool, query, text, "ASC", query.limit).await?;
    let (looked_to, looked) = match events.last() {
        // What is behind it in this window is looked through next time.
        Some(event) if events.len() == query.limit => {
            (event.seq, rows_between(pool, measurements, after, event.seq).await?)
        }
        _ if whole => (until, rows),
        _ => (last.unsigned_abs(), rows),
    };
    Ok(FoundEvents { events, looked_to: Some(looked_to), looked: looked.unsigned_abs() })
}

async fn rows_between(
    pool: &SqlitePool,
    measurements: bool,
    after: u64,
    to: u64,
) -> Result<i64, sqlx::Error> {
    let text = format!("SELECT count(*) FROM event WHERE {} AND seq > ? AND seq <= ?", class(measurements));
    let count = sqlx::query_scalar(sqlx::AssertSqlSafe(text)).bind(signed(after)).bind(signed(to));
    count.fetch_one(pool).await
}

/// Behind this number stands everything that was observed at or after `from`: found by halving, since numbers
/// and times of recording grow together. (Our clock may have been set back; by less than what is allowed for.)
pub async fn before_observed(pool: &SqlitePool, from: Timestamp, until: u64) -> Result<u64, sqlx::Error> {
    const RECORDED: &str = "SELECT recorded_at FROM event WHERE seq > ? ORDER BY seq LIMIT 1";
    let from = from.as_micros().saturating_sub(RECORDED_BEFORE_US);
    let (mut before, mut behind) = (0, until);
    while before < behind {
        let middle = before + (behind - before) / 2;
        let next: Option<i64> =
            sqlx::query_scalar(RECORDED).bind(signed(middle)).fetch_optional(pool).await?;
        match next {
            Some(recorded) if recorded < from => before = middle + 1,
            _ => behind = middle,
        }
    }
    Ok(before)
}

/// The newest check-in of a subject.
pub async fn newest_check_in(pool: &SqlitePool, subject: &str) -> Result<Option<StoredEvent>, sqlx::Error> {
    let text = format!(
        "SELECT {EVENT_COLUMNS} FROM event INDEXED BY event_checked_in \
         WHERE kind = 'checked-in' AND subject = ? ORDER BY seq DESC LIMIT 1"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(subject);
    query.try_map(|row| rows::event(&row)).fetch_optional(pool).await
}

async fn by_subject(pool: &SqlitePool, query: &EventQuery) -> Result<FoundEvents, sqlx::Error> {
    let mut text = QueryBuilder::new(format!(
        "SELECT {EVENT_COLUMNS} FROM event INDEXED BY event_of_subject WHERE class < {FIRST_MEASUREMENT}"
    ));
    if let Some(seq) = query.before_seq {
        text.push(" AND seq < ").push_bind(signed(seq));
    }
    let events = finish(pool, query, text, "DESC", query.limit).await?;
    let looked_to = events.last().filter(|_| events.len() == query.limit).map(|event| event.seq);
    Ok(FoundEvents { events, looked_to, looked: 0 })
}

fn names_measurements(query: &EventQuery) -> bool {
    query.kinds.iter().any(|kind| rows::is_measurement(kind))
}

/// The rows that a window is made of.
fn class(measurements: bool) -> String {
    if measurements { "TRUE".to_owned() } else { format!("class < {FIRST_MEASUREMENT}") }
}

fn select(measurements: bool) -> QueryBuilder<Sqlite> {
    let index = if measurements { "NOT INDEXED" } else { "INDEXED BY event_lasting" };
    QueryBuilder::new(format!("SELECT {EVENT_COLUMNS} FROM event {index} WHERE {}", class(measurements)))
}

async fn finish(
    pool: &SqlitePool,
    query: &EventQuery,
    mut text: QueryBuilder<Sqlite>,
    order: &str,
    limit: usize,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    if let Some(subject) = &query.subject {
        text.push(" AND subject = ").push_bind(subject);
    }
    one_of(&mut text, "kind", &query.kinds);
    one_of(&mut text, "site", &query.sites);
    if let Some(from) = query.observed_from {
        text.push(" AND observed_at >= ").push_bind(from.as_micros());
    }
    if let Some(until) = query.observed_until {
        text.push(" AND observed_at < ").push_bind(until.as_micros());
    }
    text.push(format!(" ORDER BY seq {order} LIMIT ")).push_bind(signed(limit as u64));
    text.build().try_map(|row| rows::event(&row)).fetch_all(pool).await
}

fn one_of(text: &mut QueryBuilder<Sqlite>, column: &str, names: &[String]) {
    if names.is_empty() {
        return;
    }
    text.push(format!(" AND {column} IN ("));
    let mut list = text.separated(", ");
    for name in names {
        list.push_bind(name.clone());
    }
    text.push(")");
}
