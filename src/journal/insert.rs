//! Many rows a statement: through sqlx, one `execute` a row costs ten times a row of a long `VALUES` list.
//!
//! A list is cut into powers of two, largest first, so that few texts are prepared and each stays in
//! the statement cache. Everything here runs in the transaction that its caller opened.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};

use super::DeadLetter;
use super::rows::{class_code, signed};
use crate::domain::events::{EVENT_VERSION, Event};
use crate::domain::ids::EventId;
use crate::domain::state::StateRow;
use crate::domain::time::Timestamp;

/// Powers of two from 1 to the largest chunk, 128: longer lists gained little, and take longer to prepare.
const SIZES: usize = 8;
const LARGEST: usize = 1 << (SIZES - 1);

/// One statement in all its lengths, by the power of two.
struct MultiRow([String; SIZES]);

impl MultiRow {
    fn new(head: &str, columns: usize, tail: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        Self(std::array::from_fn(|power| {
            format!("{head} {} {tail}", vec![row.as_str(); 1 << power].join(","))
        }))
    }

    /// For a power of two up to [`LARGEST`].
    fn query(&'static self, rows: usize) -> Query<'static, Sqlite, SqliteArguments> {
        sqlx::query(self.0[rows.ilog2() as usize].as_str())
    }
}

static EVENTS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO event (seq, id, class, recorded_at, received_at, observed_at, kind, version, late, \
         confidence, site, source, subject, body) VALUES",
        14,
        "",
    )
});
static STATE: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO state (kind, key, value) VALUES",
        3,
        "ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
    )
});
static STATE_GONE: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("DELETE FROM state WHERE (kind, key) IN (VALUES", 2, ")"));
static DEAD_LETTERS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO dead_letter (recorded_at, received_at, source, protocol, topic, reason, detail, \
         payload, full_bytes, sha256) VALUES",
        10,
        "",
    )
});
static KNOWN_IDS: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("SELECT id FROM event WHERE id IN (VALUES", 1, ")"));

fn chunks(length: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let left = length - start;
        if left == 0 {
            return None;
        }
        let size = if left >= LARGEST { LARGEST } else { 1 << left.ilog2() };
        start += size;
        Some(start - size..start)
    })
}

/// Runs the statement of each chunk of `rows`; the next is made while the one before runs, which is elsewhere.
async fn in_chunks<T>(
    conn: &mut SqliteConnection,
    rows: &[T],
    statement: impl Fn(&[T]) -> Query<'static, Sqlite, SqliteArguments>,
) -> Result<(), sqlx::Error> {
    let mut statements = chunks(rows.len()).map(|range| statement(&rows[range]));
    let mut next = statements.next();
    while let Some(statement) = next {
        let (done, following) =
            tokio::join!(biased; statement.execute(&mut *conn), async { statements.next() });
        done?;
        next = following;
    }
    Ok(())
}

/// An event with what is computed once for it, however often its insertion is tried.
pub struct Row<'a> {
    pub event: &'a Event,
    subject: String,
    body: String,
}

impl<'a> Row<'a> {
    pub fn new(event: &'a Event) -> Result<Self, serde_json::Error> {
        let body = serde_json::to_string(&event.body)?;
        Ok(Self { event, subject: event.subject.to_string(), body })
    }
}

/// Numbers the rows from `first_seq` on. An id that is there already fails it (a unique violation).
pub async fn events(
    conn: &mut SqliteConnection,
    rows: &[Row<'_>],
    first_seq: u64,
    recorded_at: Timestamp,
) -> Result<(), sqlx::Error> {
    let numbered: Vec<_> = rows.iter().zip(first_seq..).collect();
    in_chunks(conn, &numbered, |chunk| {
        chunk.iter().fold(EVENTS.query(chunk.len()), |query, (Row { event, subject, body }, seq)| {
            query
                .bind(signed(*seq))
                .bind(&event.id.0[..])
                .bind(class_code(event.body.class()))
                .bind(recorded_at.as_micros())
                .bind(event.received_at.as_micros())
                .bind(event.observed_at.as_micros())
                .bind(event.body.kind())
                .bind(EVENT_VERSION)
                .bind(event.late)
                .bind(event.confidence)
                .bind(event.site.as_ref().map(|site| site.as_str()))
                .bind(event.source.as_str())
                .bind(subject.as_str())
                .bind(body.as_str())
        })
    })
    .await
}

/// Upserts and deletions; each (kind, key) at most once.
pub async fn state(conn: &mut SqliteConnection, rows: &[StateRow]) -> Result<(), sqlx::Error> {
    let put: Vec<_> = rows.iter().filter_map(|row| row.value.as_ref().map(|value| (row, value))).collect();
    in_chunks(&mut *conn, &put, |chunk| {
        chunk.iter().fold(STATE.query(chunk.len()), |query, (row, value)| {
            query.bind(row.kind.as_str()).bind(row.key.as_str()).bind(value.as_slice())
        })
    })
    .await?;
    let gone: Vec<_> = rows.iter().filter(|row| row.value.is_none()).collect();
    in_chunks(conn, &gone, |chunk| {
        chunk.iter().fold(STATE_GONE.query(chunk.len()), |query, row| {
            query.bind(row.kind.as_str()).bind(row.key.as_str())
        })
    })
    .await
}

pub async fn dead_letters(
    conn: &mut SqliteConnection,
    letters: &[DeadLetter],
    recorded_at: Timestamp,
) -> Result<(), sqlx::Error> {
    in_chunks(conn, letters, |chunk| {
        chunk.iter().fold(DEAD_LETTERS.query(chunk.len()), |query, letter| {
            query
                .bind(recorded_at.as_micros())
                .bind(letter.received_at.as_micros())
                .bind(letter.source.as_str())
                .bind(letter.protocol)
                .bind(letter.topic.as_deref())
                .bind(letter.reason.as_str())
                .bind(letter.detail.as_str())
                .bind(letter.payload.as_slice())
                .bind(letter.cut.map(|cut| signed(cut.full_bytes)))
                .bind(letter.cut.as_ref().map(|cut| &cut.sha256[..]))
        })
    })
    .await
}

/// Leaves the first of each id that the journal does not hold; gives back how many went.
pub async fn retain_new(conn: &mut SqliteConnection, rows: &mut Vec<Row<'_>>) -> Result<u64, sqlx::Error> {
    let mut known: BTreeSet<EventId> = BTreeSet::new();
    for range in chunks(rows.len()) {
        let mut query = sqlx::query_scalar::<_, Vec<u8>>(KNOWN_IDS.0[range.len().ilog2() as usize].as_str());
        for row in &rows[range] {
            query = query.bind(&row.event.id.0[..]);
        }
        for id in query.fetch_all(&mut *conn).await? {
            known.insert(super::rows::event_id(&id)?);
        }
    }
    let before = rows.len();
    rows.retain(|row| known.insert(row.event.id));
    Ok((before - rows.len()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_everything_once_in_powers_of_two() {
        for length in [0, 1, 2, 3, 127, 128, 129, 1000, 5000] {
            let mut next = 0;
            for range in chunks(length) {
                assert_eq!(range.start, next);
                assert!(range.len().is_power_of_two() && range.len() <= LARGEST);
                next = range.end;
            }
            assert_eq!(next, length);
        }
    }
}
