//! What is deleted, what is not, and that a step is bounded.

use super::*;
use crate::domain::motion::{Motion, MotionChange};

async fn seqs(journal: &Opened) -> Vec<u64> {
    journal.reader.events_after(0, 100_000).await.unwrap().iter().map(|event| event.seq).collect()
}

/// Day by day one read, one fix and one lasting event: numbers 3d+1, 3d+2, 3d+3.
async fn days(journal: &mut Opened, days: u64) {
    for day in 0..days {
        let batch = events([read(3 * day), fix(3 * day + 1), location(3 * day + 2)]);
        journal.writer.commit(&batch, noon(0) + day as u32 * DAY).await.unwrap();
    }
}

#[tokio::test]
async fn each_kind_goes_at_its_own_age() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    days(&mut journal, 60).await;
    // At noon of day 60: reads for 1 day, fixes for 30.
    let done = journal.writer.maintain(noon(0) + 60 * DAY).await.unwrap();
    assert_eq!((done.pruned, done.more), (59 + 30, false));
    let left = seqs(&journal).await;
    assert_eq!(left.iter().filter(|&seq| seq % 3 == 0).count(), 60, "a lasting event went");
    assert_eq!(left.iter().filter(|&seq| seq % 3 == 2).min(), Some(&(30 * 3 + 2)));
    assert_eq!(left.iter().filter(|&seq| seq % 3 == 1).copied().collect::<Vec<_>>(), [59 * 3 + 1]);
    // A fix is a position and no other measurement, so it is counted once.
    let marks = crate::journal::meta::all(&mut journal.writer.conn).await.unwrap();
    assert_eq!(marks.get("pruned_positions").map(String::as_str), Some("91"));
    assert_eq!(marks.get("pruned_measurements"), None);
    // Nothing happens twice, and a restart goes on where it was.
    assert_eq!(journal.writer.maintain(noon(0) + 60 * DAY).await.unwrap().pruned, 0);
    journal.reader.close().await;
    journal.writer.close().await.unwrap();
    let mut journal = opened(folder.path()).await;
    assert_eq!(journal.writer.maintain(noon(0) + 61 * DAY).await.unwrap().pruned, 2);
    assert_eq!(journal.writer.maintain(noon(0) + 500 * DAY).await.unwrap().pruned, 29 + 60);
    assert!(seqs(&journal).await.is_empty());
    // Numbers go on where they were, though no event is left.
    let next = journal.writer.commit(&events([location(999)]), noon(0)).await.unwrap();
    assert_eq!(next.last_seq, 181);
}

#[tokio::test]
async fn stops_and_trips_go_with_the_positions_of_drivers() {
    let folder = tempfile::tempdir().unwrap();
    let config = JournalConfig { retain_drivers: 10 * DAY, ..config(folder.path()) };
    let mut journal = open(&config, &node(), noon(0)).await.unwrap();
    let stopped = |nth| {
        let (change, position) = (MotionChange::Stopped, Position { lat: 48.2, lon: 16.3 });
        let motion = Motion { change, position, since: None, left_by: None, trip: None };
        event(nth, Subject::Asset("A-1".into()), EventBody::Motion { device: "truck/1".into(), motion })
    };
    journal.writer.commit(&events([stopped(1), location(2), fix(3)]), noon(0)).await.unwrap();
    journal.writer.commit(&events([stopped(4)]), noon(0) + DAY).await.unwrap();
    assert_eq!(journal.writer.maintain(noon(0) + 10 * DAY).await.unwrap().pruned, 0);
    while journal.writer.maintain(noon(1) + 10 * DAY).await.unwrap().more {}
    assert_eq!(seqs(&journal).await, [2, 4]);
}

#[tokio::test]
async fn numbers_go_on_after_a_restart_of_an_emptied_journal() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    days(&mut journal, 2).await;
    journal.writer.maintain(noon(0) + 500 * DAY).await.unwrap();
    journal.reader.close().await;
    journal.writer.close().await.unwrap();
    let mut journal = opened(folder.path()).await;
    assert_eq!((journal.meta.last_seq, journal.reader.first_seq().await.unwrap()), (6, None));
    assert_eq!(journal.writer.commit(&events([location(9)]), noon(0)).await.unwrap().last_seq, 7);
    assert_eq!(journal.reader.first_seq().await.unwrap(), Some(7));
}

#[tokio::test]
async fn what_was_not_forwarded_stays_however_old() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    days(&mut journal, 5).await;
    journal.writer.protect_unforwarded(true);
    assert_eq!(journal.writer.maintain(noon(0) + 500 * DAY).await.unwrap().pruned, 0);
    journal.writer.set_forwarded(7).await.unwrap();
    assert_eq!(journal.writer.maintain(noon(0) + 500 * DAY).await.unwrap().pruned, 7);
    assert_eq!(seqs(&journal).await, (8..=15).collect::<Vec<_>>());
    journal.writer.protect_unforwarded(false);
    assert_eq!(journal.writer.maintain(noon(0) + 500 * DAY).await.unwrap().pruned, 8);
}

#[tokio::test]
async fn a_step_is_bounded_and_says_that_there_is_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    journal.writer.commit(&events((0..25_000).map(fix)), noon(0)).await.unwrap();
    let mut steps = Vec::new();
    loop {
        let done = journal.writer.maintain(noon(0) + 31 * DAY).await.unwrap();
        steps.push(done.pruned);
        if !done.more {
            break;
        }
    }
    assert_eq!(steps, [10_000, 10_000, 5_000]);
}

#[tokio::test]
async fn a_clock_that_fell_back_deletes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    days(&mut journal, 5).await;
    assert_eq!(journal.writer.maintain(Timestamp::from_secs(0)).await.unwrap().pruned, 0);
}
