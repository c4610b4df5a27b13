//! A person is gone from the file, byte for byte, however often the daemon died meanwhile; what names nobody stays.

use std::path::Path;

use super::*;
use crate::domain::erasure::{Erasure, Stage};
use crate::domain::events::RegisterChange;
use crate::domain::ids::PersonId;
use crate::domain::register::{Checkout, Person, Record};
use crate::domain::sightings::{Direction, PassageEvidence};

mod newcomer;

const ID: &str = "P-4711-Q";
const NAME: &str = "Zelda Quixote";
const BADGE: &str = "3034257bf7194e40000099aa";
const LABEL: &str = "erased-00112233aabbccdd";

fn badge() -> Epc {
    Epc::from_hex(BADGE).unwrap()
}

fn passage(nth: u64) -> Event {
    let at = noon(nth as i64);
    let evidence = PassageEvidence { started_at: at, ended_at: at, antennas: Vec::new(), beams: None };
    let (epc, portal, direction) = (badge(), "dock".into(), Direction::Out);
    let body = EventBody::Passage { direction, epc, portal, from: None, to: None, evidence };
    event(nth, Subject::Person(PersonId::new(ID)), body)
}

fn checkout(nth: u64) -> Event {
    let note = Some(format!("for {NAME}, badge {BADGE}"));
    let (asset, holder, checked_out_at) = ("A-1".into(), ID.to_owned(), noon(nth as i64));
    let held = Checkout { asset, holder, checked_out_at, due_back: None, note, waived: Vec::new() };
    event(nth, Subject::Asset("A-1".into()), EventBody::CheckedOut(held))
}

fn registered(nth: u64) -> Event {
    let person = Person { id: ID.into(), name: Some(NAME.to_owned()), team: None, site: None };
    let (by, table, key) = ("erp".to_owned(), "person".to_owned(), ID.to_owned());
    let change = RegisterChange { by, table, key, before: None, after: Some(Record::Person(person)) };
    event(nth, Subject::Record("person", ID.to_owned()), EventBody::Register(Box::new(change)))
}

fn everything() -> Batch {
    let mut batch = events((0..3000).map(location).chain([passage(3000), checkout(3001), registered(3002)]));
    batch.events.extend((4000..6500).map(location));
    let mut onair = vec![4, 61];
    onair.extend(badge().bytes());
    batch.dead_letters = vec![
        DeadLetter { payload: format!("{{\"who\":\"{NAME}\"}}").into_bytes(), ..letter(1) },
        letter(2),
        DeadLetter { payload: onair, protocol: "llrp", topic: None, ..letter(3) },
    ];
    batch.state = vec![
        StateRow::put(
            StateKind::AuditPart,
            "a#00000",
            &serde_json::json!({ "items": [{ "how": format!("by {NAME}") }] }),
        ),
        StateRow::put(StateKind::Holder, ID, &serde_json::json!({})),
        StateRow::put(
            StateKind::Register,
            format!("tag/{BADGE}@2026-01-01T00:00:00Z"),
            &serde_json::json!({}),
        ),
        StateRow::put(
            StateKind::Asset,
            ID,
            &serde_json::json!({ "asset": ID.to_lowercase(), "zone": "yard" }),
        ),
        StateRow { kind: StateKind::Tracker, key: ID.to_owned(), value: Some(binary()) },
    ];
    batch
}

/// A row that is no text, of a device that is called like them: MessagePack.
fn binary() -> Vec<u8> {
    [b"\x82\xa6device\xa8", ID.as_bytes(), b"\xa2at\xcf\0\xff\0\0\0\0\0\0\0\0"].concat()
}

fn asked() -> Batch {
    let texts = vec![ID.to_owned(), NAME.to_owned()];
    let erasure = Erasure::new(LABEL.to_owned(), ID.to_owned(), texts, vec![badge()], noon(0));
    let row = StateRow::put(StateKind::Erasure, LABEL, &erasure);
    Batch { state: vec![row], ..Batch::default() }
}

/// Files beside one another that hold `needle`, in any case.
fn holding(folder: &Path, needle: &[u8]) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let holds = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
    };
    files.filter(holds).map(|path| path.display().to_string()).collect()
}

#[tokio::test]
async fn an_erasure_goes_on_after_every_crash_and_leaves_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    // Pages of theirs that were freed long ago, and rows that were rewritten.
    journal.writer.commit(&events((10_000..10_400).map(checkout)), noon(1)).await.unwrap();
    let old = "DELETE FROM event";
    sqlx::Executor::execute(&mut journal.writer.conn, old).await.unwrap();
    journal.writer.commit(&everything(), noon(2)).await.unwrap();
    journal.writer.commit(&asked(), noon(3)).await.unwrap();
    for needle in [ID, NAME, BADGE] {
        assert!(!holding(folder.path(), needle.as_bytes()).is_empty(), "{needle} was there");
    }
    let mut steps = 0;
    let mut more = true;
    while more {
        more = journal.writer.erase().await.unwrap();
        steps += 1;
        // As if killed: nothing is closed in order.
        drop(journal);
        journal = opened(folder.path()).await;
    }
    assert!(steps > 6, "{steps} steps");
    assert_eq!(journal.reader.all_states(StateKind::Erasure).await.unwrap(), []);
    for needle in [NAME.as_bytes(), BADGE.as_bytes(), badge().bytes()] {
        assert_eq!(
            holding(folder.path(), needle),
            Vec::<String>::new(),
            "{}",
            String::from_utf8_lossy(needle)
        );
    }
    // The number is still there as that of an asset that has the same, and nowhere else.
    assert_eq!(journal.reader.all_states(StateKind::Asset).await.unwrap().len(), 1);
    let tracker = [(ID.to_owned(), binary())];
    assert_eq!(journal.reader.all_states(StateKind::Tracker).await.unwrap(), tracker);
    assert_eq!(journal.reader.all_states(StateKind::Holder).await.unwrap(), []);
    assert_eq!(journal.reader.all_states(StateKind::Register).await.unwrap(), []);
    assert_eq!(journal.reader.dead_letter_ids().await.unwrap().len(), 1);

    let stored = journal.reader.events_after(0, 10_000).await.unwrap();
    assert_eq!(stored.len(), 5503);
    let held = stored.iter().find(|event| &*event.kind == "checked-out").unwrap();
    let body: serde_json::Value = serde_json::from_str(&held.body).unwrap();
    assert_eq!((&*held.subject, &body["holder"]), ("asset:A-1", &LABEL.into()));
    assert_eq!(body["note"], format!("for {LABEL}, badge 00112233aabbccdd"));
    assert_eq!(held.id, checkout(3001).id);
    let passed = stored.iter().find(|event| &*event.kind == "passage").unwrap();
    assert_eq!(*passed.subject, format!("person:{LABEL}"));
    serde_json::from_str::<EventBody>(&passed.body).unwrap();
}

#[tokio::test]
async fn where_events_are_forwarded_it_waits_for_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    journal.writer.protect_unforwarded(true);
    journal.writer.commit(&everything(), noon(2)).await.unwrap();
    assert!(journal.reader.recent.after(0, 1).is_some());
    journal.writer.commit(&asked(), noon(3)).await.unwrap();
    while journal.writer.erase().await.unwrap() {}
    // Nothing of before is left in memory, nor is what comes meanwhile kept there.
    journal.writer.commit(&events([location(7_000)]), noon(4)).await.unwrap();
    let before = journal.reader.meta().await.unwrap().last_seq - 1;
    assert!(journal.reader.recent.after(0, 1).is_none() && journal.reader.recent.after(before, 1).is_none());
    let forwarded = journal.reader.next_events(0, 10_000).await.unwrap();
    assert_eq!(forwarded, journal.reader.events_after(0, 10_000).await.unwrap());
    let rows = journal.reader.all_states(StateKind::Erasure).await.unwrap();
    let [(_, row)] = &rows[..] else { panic!("{rows:?}") };
    let waiting: Erasure = serde_json::from_slice(row).unwrap();
    assert_eq!(waiting.stage, Stage::Database { seq: before, until: Some(before) });
    assert_eq!(waiting.person, ID);

    journal.writer.erased_in_database(LABEL).await.unwrap();
    while journal.writer.erase().await.unwrap() {}
    assert_eq!(holding(folder.path(), NAME.as_bytes()), Vec::<String>::new());
    assert_eq!(journal.reader.all_states(StateKind::Erasure).await.unwrap(), []);
}

#[test]
fn a_row_of_an_earlier_build_says_nothing_of_when_it_was_asked_for() {
    let row = |stage: &str| {
        format!(
            r#"{{"label":"{LABEL}","asked_at":"2026-05-01T12:00:00Z","person":"P-7","texts":["P-7"],"badges":[],
            "stage":{stage}}}"#
        )
    };
    for (stage, expected) in [
        (r#"{"at":"dead-letters","after":3}"#, Stage::DeadLetters { after: 3, until: None }),
        (
            r#"{"at":"state","kind":"asset","key":"A-1"}"#,
            Stage::State { kind: "asset".to_owned(), key: "A-1".to_owned(), until: None },
        ),
        (r#"{"at":"database","seq":9}"#, Stage::Database { seq: 9, until: None }),
    ] {
        let read: Erasure = serde_json::from_str(&row(stage)).unwrap();
        assert_eq!(read.stage, expected);
    }
}

#[tokio::test]
async fn what_names_people_by_their_badges_is_kept_for_a_shorter_time() {
    let folder = tempfile::tempdir().unwrap();
    let config = JournalConfig { retain_people: DAY, ..config(folder.path()) };
    let mut journal = open(&config, &node(), noon(0)).await.unwrap();
    journal.writer.commit(&events([passage(1), checkout(2), location(3)]), noon(0)).await.unwrap();
    journal.writer.commit(&events([passage(4)]), noon(2 * 86_400 - 10)).await.unwrap();
    let kinds = async |journal: &Opened| {
        let stored = journal.reader.events_after(0, 10).await.unwrap();
        stored.iter().map(|event| event.kind.to_string()).collect::<Vec<_>>()
    };
    journal.writer.maintain(noon(86_399)).await.unwrap();
    assert_eq!(kinds(&journal).await, ["passage", "checked-out", "link", "passage"]);
    while journal.writer.maintain(noon(2 * 86_400)).await.unwrap().more {}
    assert_eq!(kinds(&journal).await, ["checked-out", "link", "passage"]);
}

fn held_by(nth: u64, holder: &str) -> Event {
    let (asset, checked_out_at) = ("A-1".into(), noon(nth as i64));
    let due_back = Some(noon(nth as i64 + 1_830));
    let held = Checkout {
        asset,
        holder: holder.to_owned(),
        checked_out_at,
        due_back,
        note: None,
        waived: Vec::new(),
    };
    event(nth, Subject::Asset("A-1".into()), EventBody::CheckedOut(held))
}

#[tokio::test]
async fn a_number_like_a_time_spoils_no_row() {
    for id in ["30", "07", "4711"] {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = opened(folder.path()).await;
        let mut batch = events((0..20).map(|nth| held_by(nth, id)));
        let part = serde_json::json!({ "items": [{
            "what": { "asset": id }, "standing": "found", "at": "2026-11-30T07:30:00Z", "how": format!("by {id}"),
        }] });
        let site = serde_json::json!({ "table": "site", "name": id, "timezone": "UTC",
            "calendar": { "working_hours": "mon-fri 07:00-17:30", "holidays": ["2026-11-30"] } });
        batch.state = vec![
            StateRow::put(StateKind::AuditPart, "a#00000", &part),
            StateRow::put(StateKind::Register, format!("site/{id}"), &site),
        ];
        batch.dead_letters =
            vec![DeadLetter { payload: format!("{{\"t\":{id}}}").into_bytes(), ..letter(1) }];
        journal.writer.commit(&batch, noon(1)).await.unwrap();
        let texts = vec![id.to_owned()];
        let erasure = Erasure::new(LABEL.to_owned(), id.to_owned(), texts, Vec::new(), noon(0));
        let row = StateRow::put(StateKind::Erasure, LABEL, &erasure);
        journal.writer.commit(&Batch { state: vec![row], ..Batch::default() }, noon(2)).await.unwrap();
        while journal.writer.erase().await.unwrap() {}
        for (nth, stored) in journal.reader.events_after(0, 100).await.unwrap().iter().enumerate() {
            let body: EventBody = serde_json::from_str(&stored.body).unwrap();
            assert_eq!(body, held_by(nth as u64, LABEL).body);
        }
        let parts = journal.reader.all_states(StateKind::AuditPart).await.unwrap();
        let part: crate::domain::audits::AuditPart = serde_json::from_slice(&parts[0].1).unwrap();
        assert_eq!((part.items[0].how.as_str(), part.items.len()), (&*format!("by {LABEL}"), 1));
        let sites = journal.reader.all_states(StateKind::Register).await.unwrap();
        let kept: serde_json::Value = serde_json::from_slice(&sites[0].1).unwrap();
        assert_eq!(kept, site);
        assert_eq!(journal.reader.dead_letter_ids().await.unwrap().len(), 1, "a figure is nobody");
    }
}

#[tokio::test]
async fn a_step_passes_over_a_bounded_number_of_rows_whatever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    for page in 0..5 {
        let fixes = (page * 10_000..(page + 1) * 10_000).map(fix);
        journal.writer.commit(&events(fixes), noon(1)).await.unwrap();
    }
    journal.writer.commit(&events([passage(60_000)]), noon(2)).await.unwrap();
    journal.writer.commit(&asked(), noon(3)).await.unwrap();
    let mut places = Vec::new();
    while let Some(Stage::Events { after, .. }) = journal.writer.erasures.first().map(|it| it.stage.clone()) {
        places.push(after);
        journal.writer.erase().await.unwrap();
    }
    assert_eq!(places, [0, 20_000, 40_000, 50_001]);
    let last = journal.reader.events_after(50_000, 10).await.unwrap();
    assert_eq!(*last[0].subject, format!("person:{LABEL}"));
}

#[tokio::test]
async fn several_people_are_gone_with_the_file_rewritten_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    journal.writer.commit(&everything(), noon(2)).await.unwrap();
    for nth in 0..3 {
        let texts = vec![format!("Q-{nth}")];
        let label = format!("erased-{nth:016x}");
        let erasure = Erasure::new(label.clone(), texts[0].clone(), texts, Vec::new(), noon(0));
        let row = StateRow::put(StateKind::Erasure, label, &erasure);
        journal.writer.commit(&Batch { state: vec![row], ..Batch::default() }, noon(3)).await.unwrap();
    }
    let mut left = Vec::new();
    while journal.writer.erase().await.unwrap() {
        left.push(journal.writer.erasures.len());
    }
    // All of them walk before anything is rewritten; then all are done at once.
    left.dedup();
    assert_eq!(left, [3, 0]);
    assert_eq!(journal.reader.all_states(StateKind::Erasure).await.unwrap(), []);
}

#[tokio::test]
async fn earlier_names_and_badges_are_found_among_many_events() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let attached = |nth: u64, person: &str, code: &str| {
        let carrier = crate::domain::register::Carrier::Person(person.into());
        let tag = crate::domain::register::TagAttachment::new(Epc::from_hex(code).unwrap(), carrier);
        let (by, table, key) = ("erp".to_owned(), "tag".to_owned(), tag.record_key());
        let before = Some(Record::Tag(tag));
        let change = RegisterChange { by, table, key: key.clone(), before, after: None };
        event(nth, Subject::Record("tag", key), EventBody::Register(Box::new(change)))
    };
    journal.writer.commit(&events([registered(1), attached(2, ID, "30aa")]), noon(1)).await.unwrap();
    journal.writer.commit(&events((10..9_000).map(location)), noon(2)).await.unwrap();
    // One badge was somebody else's before, one is somebody else's by now.
    let more = [
        attached(9_001, "Q-1", "30bb"),
        attached(9_002, ID, "30cc"),
        passage(9_003),
        attached(9_004, "Q-1", "30dd"),
        attached(9_005, ID, "30dd"),
        attached(9_006, ID, "30ee"),
        attached(9_007, "Q-1", "30ee"),
    ];
    journal.writer.commit(&events(more), noon(3)).await.unwrap();
    let erase = |person: &str| {
        let (also, badges, label) = (Vec::new(), Vec::new(), String::new());
        crate::domain::erasure::Erase { person: person.into(), also, badges, label }
    };
    let command = crate::domain::commands::Command::ErasePerson(erase(ID));
    let whole = crate::journal::whole_erasure(&journal.reader, command).await.unwrap();
    let crate::domain::commands::Command::ErasePerson(whole) = whole else { panic!("{whole:?}") };
    assert_eq!(whole.also, [ID, NAME]);
    let codes: Vec<String> = whole.badges.iter().map(Epc::to_string).collect();
    assert_eq!(codes, ["30aa", "30cc", BADGE]);
    assert!(whole.label.starts_with("erased-"));
}
