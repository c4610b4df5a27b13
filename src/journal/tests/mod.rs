//! The journal on real files. What the tests share, and what does not need a file of its own.

use std::path::Path;
use std::time::Duration;

use crate::config::JournalConfig;
use crate::domain::epc::Epc;
use crate::domain::events::{Event, EventBody, Subject};
use crate::domain::geodesy::Position;
use crate::domain::ids::{Digest, EventId, NodeId};
use crate::domain::readings::Fix;
use crate::domain::register::Checkout;
use crate::domain::state::{StateKind, StateRow};
use crate::domain::time::Timestamp;
use crate::journal::{Batch, Cut, DeadLetter, EventQuery, Opened, open, request_replay};

mod erase;
mod faults;
mod kill;
mod letters;
mod model;
mod retention;

const DAY: Duration = Duration::from_secs(86_400);

fn config(folder: &Path) -> JournalConfig {
    JournalConfig {
        path: folder.join("journal.db"),
        max_bytes: 1 << 30,
        reserve_bytes: 1 << 20,
        keep_reads: false,
        max_dead_letters: 10,
        max_dead_letter_bytes: 256 << 20,
        retain_events: 400 * DAY,
        retain_people: 400 * DAY,
        retain_drivers: 400 * DAY,
        retain_measurements: 30 * DAY,
        retain_reads: DAY,
    }
}

async fn opened(folder: &Path) -> Opened {
    open(&config(folder), &node(), noon(0)).await.unwrap()
}

fn node() -> NodeId {
    NodeId::new("dock-1")
}

/// Noon of a day, so many seconds later.
fn noon(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_780_056_000 + seconds)
}

fn event(nth: u64, subject: Subject, body: EventBody) -> Event {
    let at = noon(nth as i64);
    Event {
        id: EventId::derive(at, &[&nth.to_be_bytes()]),
        site: nth.is_multiple_of(2).then(|| "north".into()),
        subject,
        source: "gate".into(),
        observed_at: at,
        received_at: at.offset(250),
        late: nth.is_multiple_of(3),
        confidence: nth.is_multiple_of(5).then_some(0.1),
        body,
    }
}

/// Something that lasts, about one of five assets.
fn location(nth: u64) -> Event {
    let body = EventBody::Link { up: true, reason: format!("it's \"{nth}\" → ü") };
    event(nth, Subject::Asset(format!("A-{}", nth % 5).into()), body)
}

fn fix(nth: u64) -> Event {
    let at = noon(nth as i64);
    let body = EventBody::Fix(Fix {
        accuracy_m: Some(5.0),
        ..Fix::bare("truck/1".into(), at, Position { lat: 48.2, lon: 16.3 }, Digest(nth))
    });
    event(nth, Subject::Device("truck/1".into()), body)
}

fn read(nth: u64) -> Event {
    let epc = Epc::from_hex("3034257bf7194e4000001a85").unwrap();
    event(nth, Subject::Tag(epc), EventBody::TagRead { epc, antenna: 1, seen_count: 3, peak_rssi_dbm: None })
}

fn letter(nth: u64) -> DeadLetter {
    DeadLetter {
        source: "broker".into(),
        received_at: noon(nth as i64),
        reason: "not-json".to_owned(),
        detail: format!("letter {nth}"),
        protocol: "mqtt",
        topic: nth.is_multiple_of(2).then(|| "owntracks/a/b".to_owned()),
        payload: vec![nth as u8, 0, 255],
        cut: nth.is_multiple_of(3).then_some(Cut { full_bytes: 1 << 33, sha256: [nth as u8; 32] }),
    }
}

fn events(events: impl IntoIterator<Item = Event>) -> Batch {
    Batch { events: events.into_iter().collect(), ..Batch::default() }
}

#[tokio::test]
async fn what_is_committed_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    assert!(journal.meta.created && journal.set_aside.is_none());
    assert_eq!(journal.meta.epoch.len(), 32);
    assert_eq!(journal.meta.last_heartbeat, None);
    let committed = events((0..300).map(|nth| if nth % 2 == 0 { location(nth) } else { fix(nth) }));
    journal.writer.commit(&committed, noon(900)).await.unwrap();

    let stored = journal.reader.events_after(0, 1000).await.unwrap();
    assert_eq!(stored.len(), 300);
    for (stored, event) in stored.iter().zip(&committed.events) {
        assert_eq!(stored.id, event.id);
        assert_eq!(*stored.subject, event.subject.to_string());
        assert_eq!(stored.site.as_deref(), event.site.as_ref().map(|site| site.as_str()));
        assert_eq!((&*stored.source, &*stored.kind), (event.source.as_str(), event.body.kind()));
        assert_eq!((stored.observed_at, stored.received_at), (event.observed_at, event.received_at));
        assert_eq!((stored.recorded_at, stored.late), (noon(900), event.late));
        assert_eq!(stored.confidence, event.confidence);
        assert_eq!(serde_json::from_str::<EventBody>(&stored.body).unwrap(), event.body);
    }
    assert_eq!(stored.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=300).collect::<Vec<_>>());
    // As one text, and row by row.
    assert_eq!(journal.reader.joined_events_after(270, 20).await.as_deref(), Some(&stored[270..290]));
    for stored in &stored[270..290] {
        assert_eq!(journal.reader.event(stored.id).await.unwrap().as_ref(), Some(stored));
    }
    assert_eq!(journal.reader.joined_events_after(300, 20).await, Some(vec![]));
    assert_eq!(journal.reader.event_id_at(17).await.unwrap(), Some(stored[16].id));
    assert_eq!(journal.reader.event_id_at(301).await.unwrap(), None);
    assert_eq!(journal.reader.meta().await.unwrap().last_heartbeat, Some(noon(900)));
}

/// Statements have few lengths, and the last of a commit seldom has as many rows.
#[tokio::test]
async fn lists_of_any_length_are_written_whole_and_nothing_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let mut all = 0;
    for length in [1, 2, 3, 129, 255, 256, 257, 600] {
        let keys = || (0..length).map(|nth| format!("a-{nth}"));
        let state = keys().map(|key| StateRow::put(StateKind::Asset, key, &length)).collect();
        let dead_letters = (0..length).map(letter).collect();
        let batch = Batch { state, dead_letters, ..events((all..all + length).map(location)) };
        assert_eq!(journal.writer.commit(&batch, noon(0)).await.unwrap().inserted, length);
        let again = journal.writer.commit(&events(batch.events.clone()), noon(1)).await.unwrap();
        assert_eq!(again.inserted, 0, "{length}");
        all += length;
        let stored = journal.reader.events_after(0, 10_000).await.unwrap();
        assert_eq!(stored.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=all).collect::<Vec<_>>());
        let rows = journal.reader.all_states(StateKind::Asset).await.unwrap();
        assert_eq!(rows.len() as u64, length);
        assert!(rows.iter().all(|(_, value)| *value == length.to_string().into_bytes()), "{length}");
        let ids = journal.reader.dead_letter_ids().await.unwrap();
        assert_eq!(ids.last().copied(), Some(all));
        let state = keys().map(|key| StateRow::delete(StateKind::Asset, key)).collect();
        journal.writer.commit(&Batch { state, ..Batch::default() }, noon(2)).await.unwrap();
        assert_eq!(journal.reader.all_states(StateKind::Asset).await.unwrap(), []);
    }
}

#[tokio::test]
async fn who_follows_closely_is_given_from_memory_what_the_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    journal.writer.commit(&events((0..5).map(fix)), noon(0)).await.unwrap();
    assert!(journal.reader.recent.after(0, 1).is_none(), "nobody follows");
    journal.writer.protect_unforwarded(true);
    journal.writer.commit(&events((5..10).map(location)), noon(1)).await.unwrap();
    // 9 is there already.
    let others = (9..300).map(fix).chain([Event { site: None, confidence: None, late: true, ..fix(300) }]);
    journal.writer.commit(&events(others), noon(2)).await.unwrap();

    let stored = journal.reader.events_after(0, 1000).await.unwrap();
    assert_eq!(stored.len(), 301);
    assert_eq!(journal.reader.recent.after(5, 1000).as_deref(), Some(&stored[5..]));
    for (after, limit) in [(0, 1000), (4, 7), (5, 7), (299, 1000), (300, 10), (301, 10)] {
        let next = journal.reader.next_events(after, limit).await.unwrap();
        assert_eq!(next, journal.reader.events_after(after, limit).await.unwrap(), "{after} {limit}");
    }
    journal.writer.set_forwarded(300).await.unwrap();
    assert!(journal.reader.recent.after(299, 10).is_none());
    assert_eq!(journal.reader.recent.after(300, 10).as_deref(), Some(&stored[300..]));
}

#[tokio::test]
async fn an_id_that_is_there_is_left_out_and_burns_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    journal.writer.commit(&events((0..10).map(location)), noon(0)).await.unwrap();
    // 5 to 9 are there already, and 12 comes twice within the batch.
    let again = events((5..15).chain([12]).map(location));
    let committed = journal.writer.commit(&again, noon(1)).await.unwrap();
    assert_eq!((committed.last_seq, committed.inserted), (15, 5));
    let ids: Vec<_> = journal.reader.events_after(0, 100).await.unwrap().iter().map(|e| e.id).collect();
    assert_eq!(ids, (0..15).map(|nth| location(nth).id).collect::<Vec<_>>());
}

#[tokio::test]
async fn questions_are_answered_newest_first_from_both_sides_of_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let mixed = (0..100).map(|nth| if nth % 2 == 0 { location(nth) } else { fix(nth) });
    journal.writer.commit(&events(mixed), noon(0)).await.unwrap();
    let reader = &journal.reader;
    let seqs = async |query: EventQuery| -> Vec<u64> {
        reader.events(&query).await.unwrap().iter().map(|event| event.seq).collect()
    };

    // Number n holds event n - 1: odd numbers last, even ones are fixes.
    assert_eq!(seqs(EventQuery { limit: 3, ..EventQuery::default() }).await, [99, 97, 95]);
    let page = EventQuery { before_seq: Some(95), limit: 2, ..EventQuery::default() };
    assert_eq!(seqs(page).await, [93, 91]);
    let subject = EventQuery { subject: Some("asset:A-0".to_owned()), ..EventQuery::default() };
    assert_eq!(seqs(subject.clone()).await, [91, 81, 71, 61, 51, 41, 31, 21, 11, 1]);
    let between = EventQuery { observed_from: Some(noon(30)), observed_until: Some(noon(60)), ..subject };
    assert_eq!(seqs(between).await, [51, 41, 31]);
    let fixes = EventQuery { kinds: vec!["fix".to_owned()], limit: 2, ..EventQuery::default() };
    assert_eq!(seqs(fixes).await, [100, 98]);
    let none = EventQuery { kinds: vec!["passage".to_owned()], ..EventQuery::default() };
    assert!(seqs(none).await.is_empty());
}

#[tokio::test]
async fn a_look_begins_where_the_time_asked_for_begins_and_counts_what_it_looks_through() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    // One event a day is recorded as it is observed; every second one lasts.
    let day = 86_400;
    for nth in 0..100 {
        let what = if nth % 2 == 0 { location(nth * day) } else { fix(nth * day) };
        journal.writer.commit(&events([what]), noon((nth * day) as i64)).await.unwrap();
    }
    let reader = &journal.reader;
    // What is observed on day 50 may have been recorded a day before.
    assert_eq!(reader.before_observed(noon(50 * day as i64), 100).await.unwrap(), 49);
    assert_eq!(reader.before_observed(noon(-5 * day as i64), 100).await.unwrap(), 0);
    assert_eq!(reader.before_observed(noon(500 * day as i64), 100).await.unwrap(), 100);
    let nothing = EventQuery { kinds: vec!["passage".to_owned()], ..EventQuery::default() };
    let found = reader.following_events(&nothing, 49, 100).await.unwrap();
    assert_eq!((found.events.len(), found.looked, found.looked_to), (0, 25, Some(100)));
    // What is asked for in small parts is looked through once all the same.
    for (limit, kinds, looked) in [(3, vec!["link".to_owned()], 50), (4, vec!["fix".to_owned()], 100)] {
        let few = EventQuery { kinds, limit, ..EventQuery::default() };
        let (mut after, mut events, mut looked_through) = (0, 0, 0);
        while after < 100 {
            let found = reader.following_events(&few, after, 100).await.unwrap();
            events += found.events.len();
            looked_through += found.looked;
            after = found.looked_to.unwrap();
        }
        assert_eq!((events, looked_through), (50, looked), "{:?}", few.kinds);
    }
}

#[tokio::test]
async fn the_newest_check_in_is_found_among_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let back = |nth: u64, asset: &str| {
        let checkout = Checkout {
            asset: asset.into(),
            holder: format!("holder {nth}"),
            checked_out_at: noon(0),
            due_back: None,
            note: None,
            waived: Vec::new(),
        };
        let body = EventBody::CheckedIn { checkout, how: "command".to_owned() };
        event(nth, Subject::Asset(asset.into()), body)
    };
    let mixed = [back(1, "A-0"), back(2, "A-0"), back(3, "A-1"), location(5), location(10)];
    journal.writer.commit(&events(mixed), noon(0)).await.unwrap();
    let found = journal.reader.newest_check_in("asset:A-0").await.unwrap().unwrap();
    assert_eq!(found.seq, 2);
    assert_eq!(journal.reader.newest_check_in("asset:A-2").await.unwrap(), None);
    // By its index, so that a busy asset costs no more.
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(
        "EXPLAIN QUERY PLAN SELECT body FROM event INDEXED BY event_checked_in \
         WHERE kind = 'checked-in' AND subject = 'asset:A-0' ORDER BY seq DESC LIMIT 1",
    )
    .fetch_all(journal.reader.pool())
    .await
    .unwrap();
    assert!(plan.iter().all(|step| step.3.contains("subject=?")), "{plan:?}");
}

#[tokio::test]
async fn a_reader_beside_the_writer_sees_whole_commits_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let reader = journal.reader.clone();
    let writing = tokio::spawn(async move {
        for commit in 0..100 {
            let mut batch = events((commit * 10..commit * 10 + 10).map(location));
            batch.state = vec![StateRow::put(StateKind::Book, "commits", &commit)];
            journal.writer.commit(&batch, noon(0)).await.unwrap();
        }
        journal
    });
    let mut seen = 0;
    while seen < 1000 {
        let new = reader.events_after(seen, 1000).await.unwrap();
        assert_eq!(new.len() % 10, 0, "a part of a commit was seen");
        seen += new.len() as u64;
    }
    let journal = writing.await.unwrap();
    assert_eq!(journal.reader.state(StateKind::Book, "commits").await.unwrap().unwrap(), b"99");
}

/// A start takes rows up joined to one text, whatever bytes are in them.
#[tokio::test]
async fn rows_of_any_bytes_are_taken_up_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let every: Vec<u8> = (0..=u8::MAX).collect();
    let rows = (0..=u8::MAX).map(|nth| {
        let value = [&every[usize::from(nth)..], b"\0 12 \0", &every[..usize::from(nth)]].concat();
        (StateKind::Tracker, format!("{nth:03} \u{e4}"), value)
    });
    let rows: Vec<_> = rows.collect();
    let state = rows.iter().cloned().map(|(kind, key, value)| StateRow { kind, key, value: Some(value) });
    let batch = Batch { state: state.collect(), ..Batch::default() };
    journal.writer.commit(&batch, noon(0)).await.unwrap();
    journal.writer.close().await.unwrap();
    let mut journal = opened(folder.path()).await;
    assert_eq!(journal.state.all().await.unwrap(), rows);
    journal.writer.close().await.unwrap();
}

#[tokio::test]
async fn state_is_listed_by_key_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let row = |nth: usize| StateRow::put(StateKind::Asset, format!("A-{nth:03}"), &nth);
    let batch = Batch { state: (0..300).map(row).collect(), ..Batch::default() };
    journal.writer.commit(&batch, noon(0)).await.unwrap();
    let page = journal.reader.states(StateKind::Asset, Some("A-254"), 2).await.unwrap();
    assert_eq!(page, [("A-255".to_owned(), b"255".to_vec()), ("A-256".to_owned(), b"256".to_vec())]);
    assert_eq!(journal.reader.states(StateKind::Asset, None, 1000).await.unwrap().len(), 300);
    assert!(journal.reader.states(StateKind::Alert, None, 1000).await.unwrap().is_empty());
    let keys = ["A-007", "A-299", "A-300"].map(str::to_owned);
    let mut some = journal.reader.states_of(StateKind::Asset, &keys).await.unwrap();
    some.sort();
    assert_eq!(some, [("A-007".to_owned(), b"7".to_vec()), ("A-299".to_owned(), b"299".to_vec())]);
}

#[tokio::test]
async fn a_new_epoch_and_what_was_forwarded_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    journal.writer.commit(&events((0..4).map(location)), noon(0)).await.unwrap();
    journal.writer.set_forwarded(3).await.unwrap();
    let epoch = journal.writer.new_epoch().await.unwrap();
    assert_ne!(epoch, journal.meta.epoch);
    journal.writer.heartbeat(noon(77)).await.unwrap();
    journal.reader.close().await;
    journal.writer.close().await.unwrap();
    let meta = opened(folder.path()).await.meta;
    assert!(!meta.created);
    assert_eq!((meta.epoch, meta.last_seq, meta.forwarded_seq), (epoch, 4, 3));
    assert_eq!(meta.last_heartbeat, Some(noon(77)));
}

#[tokio::test]
async fn usage_falls_when_rows_go_and_full_means_only_the_reserve_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let small =
        crate::config::JournalConfig { max_bytes: 600_000, reserve_bytes: 200_000, ..config(folder.path()) };
    let mut journal = open(&small, &node(), noon(0)).await.unwrap();
    assert!(!journal.writer.usage().is_full());
    let empty = journal.writer.usage().used_bytes;
    journal.writer.commit(&events((0..2000).map(fix)), noon(0)).await.unwrap();
    let full = journal.writer.usage();
    assert!(full.is_full() && full.share() > 400.0 / 600.0, "{full:?}");
    journal.writer.maintain(noon(0) + 31 * DAY).await.unwrap();
    let pruned = journal.writer.usage();
    assert!(!pruned.is_full() && pruned.used_bytes < empty + 20_000, "{pruned:?}");
}

#[tokio::test]
async fn an_idle_maintenance_cuts_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    journal.writer.commit(&events((0..10_000).map(fix)), noon(0)).await.unwrap();
    let busy = journal.writer.maintain(noon(0)).await.unwrap();
    assert!(busy.wal_bytes > 1 << 20, "{busy:?}");
    let idle = journal.writer.maintain(noon(1)).await.unwrap();
    assert_eq!(idle.wal_bytes, 0);
    // Whatever it waited for readers, the writer waits for other writers as before.
    let patience: i64 =
        sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&mut journal.writer.conn).await.unwrap();
    assert_eq!(patience, 5000);
}
