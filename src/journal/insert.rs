//! Many rows a statement: through sqlx, one `execute` a row costs ten times a row of a long `VALUES` list.
//!
//! A statement has one of few lengths, so that few texts are prepared and each stays in the statement cache. It may have
//! fewer rows than that: parameters that are not bound are NULL to SQLite, and rows of NULL are left out, which costs a
//! fifteenth of a row that is written, and less than a second statement. Everything here runs in the transaction that its
//! caller opened.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};

use super::rows::{class_code, signed};
use super::{DeadLetter, StoredEvent};
use crate::domain::events::{EVENT_VERSION, Event};
use crate::domain::ids::{EventId, SiteId};
use crate::domain::state::StateRow;
use crate::domain::time::Timestamp;

/// Powers of two from 1 to the largest statement: longer ones gained little, and take longer to prepare.
const SIZES: usize = 9;
const LARGEST: usize = 1 << (SIZES - 1);

/// One statement in all its lengths, by the power of two.
struct MultiRow([String; SIZES]);

impl MultiRow {
    /// `tail` leaves out rows of NULL.
    fn new(head: &str, columns: usize, tail: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        Self(std::array::from_fn(|power| {
            format!("{head} (VALUES {}) {tail}", vec![row.as_str(); 1 << power].join(","))
        }))
    }

    /// For up to [`LARGEST`] rows.
    fn query(&'static self, rows: usize) -> Query<'static, Sqlite, SqliteArguments> {
        sqlx::query(self.text(rows))
    }

    fn text(&'static self, rows: usize) -> &'static str {
        self.0[rows.next_power_of_two().ilog2() as usize].as_str()
    }
}

static EVENTS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO event (seq, id, class, recorded_at, received_at, observed_at, kind, version, late, \
         confidence, site, source, subject, body) SELECT * FROM",
        14,
        "WHERE column1 IS NOT NULL",
    )
});
static STATE: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO state (kind, key, value) SELECT * FROM",
        3,
        "WHERE column1 IS NOT NULL ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
    )
});
static STATE_GONE: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("DELETE FROM state WHERE (kind, key) IN", 2, ""));
static DEAD_LETTERS: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO dead_letter (recorded_at, received_at, source, protocol, topic, reason, detail, \
         payload, full_bytes, sha256) SELECT * FROM",
        10,
        "WHERE column1 IS NOT NULL",
    )
});
static KNOWN_IDS: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("SELECT id FROM event WHERE id IN", 1, ""));

/// Statements for `rows`, each made when it is asked for.
fn statements<'a, T>(
    rows: &'a [T],
    statement: impl Fn(&[T]) -> Query<'static, Sqlite, SqliteArguments> + 'a,
) -> impl Iterator<Item = Query<'static, Sqlite, SqliteArguments>> + 'a {
    rows.chunks(LARGEST).map(statement)
}

/// Runs them in turn; the next is made while the one before runs, which is elsewhere.
async fn run(
    conn: &mut SqliteConnection,
    mut statements: impl Iterator<Item = Query<'static, Sqlite, SqliteArguments>>,
) -> Result<(), sqlx::Error> {
    let mut next = statements.next();
    while let Some(statement) = next {
        let (done, following) =
            tokio::join!(biased; statement.execute(&mut *conn), async { statements.next() });
        done?;
        next = following;
    }
    Ok(())
}

/// A text that is the same in row after row, held once while it is.
#[derive(Default)]
struct Repeated(Option<Arc<str>>);

impl Repeated {
    fn text(&mut self, text: &str) -> Arc<str> {
        match &self.0 {
            Some(held) if **held == *text => held.clone(),
            _ => self.0.insert(Arc::from(text)).clone(),
        }
    }
}

/// An event with what is computed once for it, however often its insertion is tried.
pub struct Row<'a> {
    pub event: &'a Event,
    kind: Arc<str>,
    site: Option<Arc<str>>,
    source: Arc<str>,
    subject: Arc<str>,
    body: Arc<str>,
}

/// Makes the rows of a commit.
#[derive(Default)]
pub struct Rows {
    kinds: Repeated,
    room: Vec<u8>,
}

impl Rows {
    pub fn row<'a>(&mut self, event: &'a Event) -> Result<Row<'a>, serde_json::Error> {
        self.room.clear();
        serde_json::to_writer(&mut self.room, &event.body)?;
        Ok(Row {
            event,
            kind: self.kinds.text(event.body.kind()),
            site: event.site.as_ref().map(SiteId::shared),
            source: event.source.shared(),
            subject: event.subject.to_string().into(),
            body: std::str::from_utf8(&self.room).map_err(serde::ser::Error::custom)?.into(),
        })
    }
}

impl Row<'_> {
    /// As it is read once it is written.
    pub fn stored(self, seq: u64, recorded_at: Timestamp) -> StoredEvent {
        let Self { event, kind, site, source, subject, body } = self;
        StoredEvent {
            seq,
            id: event.id,
            version: EVENT_VERSION,
            kind,
            site,
            subject,
            source,
            observed_at: event.observed_at,
            received_at: event.received_at,
            recorded_at,
            late: event.late,
            confidence: event.confidence,
            body,
        }
    }
}

/// Events, numbered from `first_seq` on, and state rows, each (kind, key) at most once. An id that is there already fails
/// it (a unique violation).
pub async fn events_and_state(
    conn: &mut SqliteConnection,
    rows: &[Row<'_>],
    first_seq: u64,
    recorded_at: Timestamp,
    state: &[StateRow],
) -> Result<(), sqlx::Error> {
    let numbered: Vec<_> = rows.iter().zip(first_seq..).collect();
    let events = statements(&numbered, |chunk| {
        chunk.iter().fold(EVENTS.query(chunk.len()), |query, (row, seq)| {
            let Row { event, kind, site, source, subject, body } = row;
            query
                .bind(signed(*seq))
                .bind(&event.id.0[..])
                .bind(class_code(event.body.class()))
                .bind(recorded_at.as_micros())
                .bind(event.received_at.as_micros())
                .bind(event.observed_at.as_micros())
                .bind(kind.clone())
                .bind(EVENT_VERSION)
                .bind(event.late)
                .bind(event.confidence)
                .bind(site.clone())
                .bind(source.clone())
                .bind(subject.clone())
                .bind(body.clone())
        })
    });
    let (put, gone) = split(state);
    run(conn, events.chain(upserts(&put)).chain(deletions(&gone))).await
}

/// Upserts and deletions; each (kind, key) at most once.
pub async fn state(conn: &mut SqliteConnection, rows: &[StateRow]) -> Result<(), sqlx::Error> {
    let (put, gone) = split(rows);
    run(conn, upserts(&put).chain(deletions(&gone))).await
}

/// Rows that are put, with their value, and those that go.
fn split(rows: &[StateRow]) -> (Vec<(&StateRow, &[u8])>, Vec<&StateRow>) {
    let put = rows.iter().filter_map(|row| row.value.as_deref().map(|value| (row, value))).collect();
    (put, rows.iter().filter(|row| row.value.is_none()).collect())
}

fn upserts(rows: &[(&StateRow, &[u8])]) -> impl Iterator<Item = Query<'static, Sqlite, SqliteArguments>> {
    statements(rows, |chunk| {
        let mut kinds = Repeated::default();
        chunk.iter().fold(STATE.query(chunk.len()), |query, (row, value)| {
            query.bind(kinds.text(row.kind.as_str())).bind(row.key.as_str()).bind(*value)
        })
    })
}

fn deletions(rows: &[&StateRow]) -> impl Iterator<Item = Query<'static, Sqlite, SqliteArguments>> {
    statements(rows, |chunk| {
        let mut kinds = Repeated::default();
        chunk.iter().fold(STATE_GONE.query(chunk.len()), |query, row| {
            query.bind(kinds.text(row.kind.as_str())).bind(row.key.as_str())
        })
    })
}

pub async fn dead_letters(
    conn: &mut SqliteConnection,
    letters: &[DeadLetter],
    recorded_at: Timestamp,
) -> Result<(), sqlx::Error> {
    let statements = statements(letters, |chunk| {
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
    });
    run(conn, statements).await
}

/// Leaves the first of each id that the journal does not hold; gives back how many went.
pub async fn retain_new(conn: &mut SqliteConnection, rows: &mut Vec<Row<'_>>) -> Result<u64, sqlx::Error> {
    let mut known: BTreeSet<EventId> = BTreeSet::new();
    for chunk in rows.chunks(LARGEST) {
        let mut query = sqlx::query_scalar::<_, Vec<u8>>(KNOWN_IDS.text(chunk.len()));
        for row in chunk {
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
