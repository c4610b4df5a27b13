//! Columns ↔ types: event classes, stored events, stored dead letters.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::joined::Joined;
use super::{Cut, StoredDeadLetter, StoredEvent};
use crate::domain::events::EventClass;
use crate::domain::ids::EventId;
use crate::domain::time::Timestamp;

/// What [`event`] reads, in its order.
pub const EVENT_COLUMNS: &str = "seq, id, version, kind, site, subject, source, observed_at, received_at, \
                                 recorded_at, late, confidence, body";

/// What [`joined_event`] reads, in its order: one text.
pub const JOINED_EVENT: &str = "concat(seq, ' ', hex(id), ' ', version, ' ', observed_at, ' ', received_at, ' ', \
                                recorded_at, ' ', late, ' ', confidence, ' ', octet_length(kind), ' ', \
                                octet_length(site), ' ', octet_length(subject), ' ', octet_length(source), ' ', \
                                octet_length(body), ' ', kind, site, subject, source, body)";

/// What [`dead_letter`] reads, in its order.
pub const DEAD_LETTER_COLUMNS: &str =
    "id, source, received_at, recorded_at, reason, detail, protocol, topic, payload, full_bytes, sha256";

/// The class as the journal's column has it. From [`FIRST_MEASUREMENT`] on they are the bulk, and only their number
/// and id are indexed; the partial indexes of the schema repeat that bound.
pub const fn class_code(class: EventClass) -> i64 {
    match class {
        EventClass::Location => 0,
        EventClass::Condition => 1,
        EventClass::Alert => 2,
        EventClass::Command => 3,
        EventClass::Gap => 4,
        EventClass::Fix => FIRST_MEASUREMENT,
        EventClass::Sample => 6,
        EventClass::Read => 7,
    }
}

pub const FIRST_MEASUREMENT: i64 = 5;

/// Whether events of this kind are the bulk; an unknown kind is not.
pub fn is_measurement(kind: &str) -> bool {
    EventClass::of_kind(kind).is_some_and(|class| class_code(class) >= FIRST_MEASUREMENT)
}

pub fn event(row: &SqliteRow) -> Result<StoredEvent, sqlx::Error> {
    let id: &[u8] = row.try_get(1)?;
    Ok(StoredEvent {
        seq: unsigned(row, 0)?,
        id: event_id(id)?,
        version: row.try_get(2)?,
        kind: row.try_get(3)?,
        site: row.try_get(4)?,
        subject: row.try_get(5)?,
        source: row.try_get(6)?,
        observed_at: Timestamp::from_micros(row.try_get(7)?),
        received_at: Timestamp::from_micros(row.try_get(8)?),
        recorded_at: Timestamp::from_micros(row.try_get(9)?),
        late: row.try_get(10)?,
        confidence: row.try_get::<Option<f64>, _>(11)?.map(|confidence| confidence as f32),
        body: row.try_get(12)?,
    })
}

pub fn joined_event(text: &mut Joined<'_>) -> Option<StoredEvent> {
    let (seq, id) = (text.number()?, hex::decode(text.word()?).ok()?);
    let version = text.number()?;
    let [observed_at, received_at, recorded_at] = [text.number()?, text.number()?, text.number()?];
    let late = text.number::<u8>()? != 0;
    let confidence = text.maybe::<f64>()?.map(|confidence| confidence as f32);
    let (kind, site) = (text.number()?, text.maybe()?);
    let (subject, source, body) = (text.number()?, text.number()?, text.number()?);
    Some(StoredEvent {
        seq,
        id: event_id(&id).ok()?,
        version,
        observed_at: Timestamp::from_micros(observed_at),
        received_at: Timestamp::from_micros(received_at),
        recorded_at: Timestamp::from_micros(recorded_at),
        late,
        confidence,
        kind: text.text(kind)?.into(),
        site: match site {
            Some(site) => Some(text.text(site)?.into()),
            None => None,
        },
        subject: text.text(subject)?.into(),
        source: text.text(source)?.into(),
        body: text.text(body)?.into(),
    })
}

pub fn dead_letter(row: &SqliteRow) -> Result<StoredDeadLetter, sqlx::Error> {
    let (full_bytes, sha256): (Option<i64>, Option<&[u8]>) = (row.try_get(9)?, row.try_get(10)?);
    let cut = full_bytes.zip(sha256).map(|(full_bytes, sha256)| {
        let sha256 = sha256.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok::<_, sqlx::Error>(Cut { full_bytes: full_bytes.unsigned_abs(), sha256 })
    });
    Ok(StoredDeadLetter {
        id: unsigned(row, 0)?,
        source: row.try_get(1)?,
        received_at: Timestamp::from_micros(row.try_get(2)?),
        recorded_at: Timestamp::from_micros(row.try_get(3)?),
        reason: row.try_get(4)?,
        detail: row.try_get(5)?,
        protocol: row.try_get(6)?,
        topic: row.try_get(7)?,
        payload: row.try_get(8)?,
        cut: cut.transpose()?,
    })
}

pub fn event_id(bytes: &[u8]) -> Result<EventId, sqlx::Error> {
    bytes.try_into().map(EventId).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// SQLite's integers are signed; ours (numbers of rows) are not, and never get that far.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(row: &SqliteRow, column: usize) -> Result<u64, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
