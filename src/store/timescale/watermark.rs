//! How far a node's events have come, as the database holds it, and where that lets us go on.
//!
//! ```text
//! database knows      journal says                                  →
//! nothing             anything                                      refill from its first event
//! same epoch          the same event at that number, or it is       go on behind it (the database may be
//!                     pruned and was forwarded                      older than what we forwarded: refill)
//! same epoch          fewer events, or another one there            new epoch, from the last common event
//! another epoch       anything                                      new epoch, from the last common event
//! ```
//!
//! A journal whose epoch the database does not stand at gets a new one even so: it may be an old copy, of
//! whose epoch the database has later numbers already.
//!
//! Never takes the journal's word for what is in the database: `forwarded_seq` counts only where the event
//! at it is found there.

use sqlx::postgres::PgRow;

use super::batch::{Batch, Epoch, Mark};
use super::connection::{Connection, column};
use super::error::StoreError;
use crate::domain::ids::EventId;
use crate::domain::time::Timestamp;

/// A row of `forward_watermark`.
#[derive(Clone, PartialEq, Debug)]
pub struct Watermark {
    pub epoch: Epoch,
    pub mark: Mark,
    pub newest_recorded_at: Option<Timestamp>,
    pub overlap_until: Option<Timestamp>,
}

/// What is to be done before the first batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resume {
    /// Behind the watermark.
    Continue,
    /// The journal is another one than the database was filled from.
    Diverged { why: String },
}

/// `at_mark` is the journal's event at the watermark's number, and when that was recorded, where it holds one.
///
/// The id alone does not tell two lines apart: what follows from state that both began with (a presence
/// whose first read lies before the copy was made, a due date) has the same id in both. What was recorded
/// later than anything the database has seen cannot have been forwarded to it.
pub fn resume(
    epoch: Epoch,
    last_seq: u64,
    forwarded_seq: u64,
    held: &Watermark,
    at_mark: Option<(EventId, Timestamp)>,
) -> Resume {
    let diverged = |why: String| Resume::Diverged { why };
    let seq = held.mark.seq;
    if held.epoch != epoch {
        let why = format!("the database was filled from journal {} and this is journal {epoch}", held.epoch);
        return diverged(why);
    }
    if seq > last_seq {
        return diverged(format!("the database is at event {seq} and the journal ends at {last_seq}"));
    }
    match (at_mark, held.mark.id) {
        (Some((ours, _)), Some(theirs)) if ours != theirs => {
            diverged(format!("event {seq} is {ours} in the journal and {theirs} in the database"))
        }
        (Some((ours, at)), _) if held.newest_recorded_at.is_some_and(|newest| newest < at) => {
            diverged(format!("event {seq}, {ours}, was recorded after all that the database has"))
        }
        (None, Some(_)) if seq > forwarded_seq => {
            diverged(format!("event {seq} is in the database and no longer in the journal"))
        }
        _ => Resume::Continue,
    }
}

const READ: &str = "SELECT encode(uuid_send(epoch), 'hex') AS epoch, last_seq,
    encode(uuid_send(last_id), 'hex') AS last_id,
    (extract(epoch FROM newest_recorded_at) * 1000000)::bigint AS newest_us,
    (extract(epoch FROM overlap_until) * 1000000)::bigint AS overlap_us
  FROM tallyman.forward_watermark WHERE node = $1";

pub async fn read(connection: &mut Connection, node: &str) -> Result<Option<Watermark>, StoreError> {
    const OPERATION: &str = "read the watermark";
    let Some(row) = connection.row(OPERATION, sqlx::query(READ).bind(node)).await? else { return Ok(None) };
    watermark(&row, OPERATION).map(Some)
}

fn watermark(row: &PgRow, operation: &'static str) -> Result<Watermark, StoreError> {
    let epoch: String = column(row, operation, "epoch")?;
    let last_id: Option<String> = column(row, operation, "last_id")?;
    let newest: Option<i64> = column(row, operation, "newest_us")?;
    let overlap: Option<i64> = column(row, operation, "overlap_us")?;
    Ok(Watermark {
        epoch: Epoch::parse(&epoch).ok_or(StoreError::JournalEpoch(epoch))?,
        mark: Mark {
            seq: u64::try_from(column::<i64>(row, operation, "last_seq")?).unwrap_or(0),
            id: last_id.as_deref().and_then(EventId::parse),
        },
        newest_recorded_at: newest.map(Timestamp::from_micros),
        overlap_until: overlap.map(Timestamp::from_micros),
    })
}

const MOVE: &str =
    "UPDATE tallyman.forward_watermark SET epoch = $5::uuid, last_seq = $6, last_id = $7::uuid,
    newest_recorded_at = greatest(newest_recorded_at, timestamptz 'epoch' + $8 * interval '1 microsecond'),
    overlap_until = greatest(overlap_until, timestamptz 'epoch' + $9 * interval '1 microsecond'),
    updated_at = now()
  WHERE node = $1 AND epoch = $2::uuid AND last_seq = $3 AND last_id IS NOT DISTINCT FROM $4::uuid";

/// Moves the watermark to `to` if it still stands at `from`; holds its row until the transaction ends.
pub async fn advance(
    connection: &mut Connection,
    node: &str,
    from: &Watermark,
    to: &Watermark,
) -> Result<(), StoreError> {
    let query = sqlx::query(MOVE)
        .bind(node)
        .bind(from.epoch.to_string())
        .bind(seq(from.mark.seq))
        .bind(from.mark.id.map(|id| id.to_string()))
        .bind(to.epoch.to_string())
        .bind(seq(to.mark.seq))
        .bind(to.mark.id.map(|id| id.to_string()))
        .bind(to.newest_recorded_at.map(Timestamp::as_micros))
        .bind(to.overlap_until.map(Timestamp::as_micros));
    match connection.run("move the watermark", query).await? {
        1 => Ok(()),
        _ => Err(StoreError::Contested { node: node.to_owned() }),
    }
}

const BEGIN: &str = "INSERT INTO tallyman.forward_watermark (node, epoch, last_seq)
  VALUES ($1, $2::uuid, 0) ON CONFLICT DO NOTHING";

/// A first watermark, before the first event.
pub async fn begin(connection: &mut Connection, node: &str, epoch: Epoch) -> Result<Watermark, StoreError> {
    let query = sqlx::query(BEGIN).bind(node).bind(epoch.to_string());
    match connection.run("make a watermark", query).await? {
        1 => Ok(Watermark { epoch, mark: Mark::default(), newest_recorded_at: None, overlap_until: None }),
        _ => Err(StoreError::Contested { node: node.to_owned() }),
    }
}

impl Watermark {
    /// Where it stands after `batch`.
    pub fn after(&self, batch: &Batch) -> Self {
        Self {
            mark: batch.last,
            newest_recorded_at: self.newest_recorded_at.max(batch.newest_recorded_at),
            ..self.clone()
        }
    }
}

pub fn seq(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Epoch = Epoch([1; 16]);
    const OTHER: Epoch = Epoch([2; 16]);

    fn id(n: u8) -> EventId {
        EventId([n; 16])
    }

    fn event(n: u8, recorded_s: i64) -> Option<(EventId, Timestamp)> {
        Some((id(n), Timestamp::from_secs(recorded_s)))
    }

    fn held(epoch: Epoch, seq: u64, event: u8) -> Watermark {
        let mark = Mark { seq, id: Some(id(event)) };
        Watermark { epoch, mark, newest_recorded_at: None, overlap_until: None }
    }

    #[test]
    fn the_same_event_at_the_watermark_goes_on() {
        assert_eq!(resume(OURS, 10, 7, &held(OURS, 7, 7), event(7, 0)), Resume::Continue);
        // The database was restored from before what we forwarded.
        assert_eq!(resume(OURS, 10, 9, &held(OURS, 3, 3), event(3, 0)), Resume::Continue);
        // The journal was not yet told how far we came.
        assert_eq!(resume(OURS, 10, 2, &held(OURS, 7, 7), event(7, 0)), Resume::Continue);
    }

    #[test]
    fn a_forwarded_event_that_was_pruned_is_no_divergence() {
        assert_eq!(resume(OURS, 10, 7, &held(OURS, 7, 7), None), Resume::Continue);
        assert!(matches!(resume(OURS, 10, 6, &held(OURS, 7, 7), None), Resume::Diverged { .. }));
    }

    #[test]
    fn a_shorter_or_different_journal_diverged() {
        for (last_seq, at_mark) in [(6, None), (10, event(8, 0))] {
            let found = resume(OURS, last_seq, 5, &held(OURS, 7, 7), at_mark);
            assert!(matches!(found, Resume::Diverged { .. }));
        }
    }

    #[test]
    fn the_same_id_recorded_later_than_all_of_the_database_diverged() {
        let held = Watermark { newest_recorded_at: Some(Timestamp::from_secs(5)), ..held(OURS, 7, 7) };
        assert_eq!(resume(OURS, 10, 7, &held, event(7, 5)), Resume::Continue);
        // Our clock went back after the newest was recorded.
        assert_eq!(resume(OURS, 10, 7, &held, event(7, 4)), Resume::Continue);
        assert!(matches!(resume(OURS, 10, 5, &held, event(7, 6)), Resume::Diverged { .. }));
    }

    #[test]
    fn another_epoch_diverged_even_with_the_same_event() {
        let found = resume(OURS, 10, 0, &held(OTHER, 7, 7), event(7, 0));
        assert!(matches!(found, Resume::Diverged { .. }));
    }
}
