//! Journal and database that no longer agree: one was deleted, restored, or shared by two.

use std::path::Path;

use tallyman::domain::events::Event;
use tallyman::domain::ids::EventId;
use tallyman::journal::Batch;

use super::events::{at, one_of_each, sample, samples};
use super::rig::{Database, Node, eventually};

/// A closed journal is one file.
fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
    for suffix in ["-wal", "-shm"] {
        let aside =
            |path: &Path| path.with_file_name(format!("{}{suffix}", path.file_name().unwrap().display()));
        if aside(from).exists() {
            std::fs::copy(aside(from), aside(to)).unwrap();
        } else if aside(to).exists() {
            std::fs::remove_file(aside(to)).unwrap();
        }
    }
}

/// The same thing happening again at another time, so under another id.
fn retold(n: u64) -> Event {
    Event { id: EventId::derive(at(n), &[b"retold", &n.to_be_bytes()]), ..sample(n) }
}

async fn epoch_gaps(db: &Database) -> i64 {
    db.number("SELECT count(*) FROM tallyman.gap WHERE kind = 'epoch'").await
}

/// Some of what the database has comes again from the devices, with the same ids; the rest is new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_journal_begins_anew_without_doubles() {
    let Some(db) = Database::create("deleted").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(0..1000)).await;
    db.forwarded("n1", 1000).await;
    node.close().await;
    std::fs::remove_file(&path).unwrap();

    let node = Node::open("n1", &path, &db.url).await.forward();
    let last = node.commit(samples(900..1200)).await;
    assert_eq!(last, 300);
    db.forwarded("n1", 300).await;
    assert_eq!(db.rows().await, (1200, 1200));
    assert_eq!(epoch_gaps(&db).await, 1);
    node.problem_with("timescale-history", "is journal").await;
    node.close().await;
    db.drop().await;
}

/// A copy from the middle: the database has more of the old line than the copy, the copy goes its own way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_restored_from_an_older_copy_skips_nothing_and_doubles_nothing() {
    let Some(db) = Database::create("restored").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let (path, backup) = (dir.path().join("journal"), dir.path().join("backup"));
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(0..100)).await;
    db.forwarded("n1", 100).await;
    node.close().await;
    // In the copy: 100 forwarded, 50 that are not yet.
    let node = Node::open("n1", &path, &db.url).await;
    node.commit(samples(100..150)).await;
    node.close().await;
    copy(&path, &backup);
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(150..300)).await;
    db.forwarded("n1", 300).await;
    node.close().await;

    copy(&backup, &path);
    let node = Node::open("n1", &path, &db.url).await;
    let old = node.reader.meta().await.unwrap();
    assert!(old.last_seq == 150 && old.forwarded_seq == 100);
    let node = node.forward();
    // Ten of what the old line had as well, ten that only happened in this one.
    let events = (290..300).map(sample).chain((300..310).map(retold)).collect();
    let last = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("n1", last).await;
    assert_eq!(db.rows().await, (310, 310));
    assert_eq!(epoch_gaps(&db).await, 1);
    assert_ne!(node.reader.meta().await.unwrap().epoch, old.epoch);
    node.problem_with("timescale-history", "former journal").await;
    node.close().await;

    // Under its new epoch it goes on like any other, and still knows of the overlap.
    let node = Node::open("n1", &path, &db.url).await.forward();
    let events = vec![Event { id: sample(200).id, ..sample(200) }, retold(400)];
    let last = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("n1", last).await;
    assert_eq!(db.rows().await, (311, 311));
    assert_eq!(epoch_gaps(&db).await, 1);
    node.close().await;
    db.drop().await;
}

/// A copy of the first journal comes back after a second one took its place. The database has later numbers
/// of its old epoch: what it tells now must not be taken for older than those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_comes_back_after_another_one_tells_of_the_present() {
    let Some(db) = Database::create("came_back").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let (path, backup) = (dir.path().join("journal"), dir.path().join("backup"));
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(0..100)).await;
    db.forwarded("n1", 100).await;
    let old = node.reader.meta().await.unwrap().epoch;
    node.close().await;
    copy(&path, &backup);
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(100..300)).await;
    db.forwarded("n1", 300).await;
    node.close().await;
    std::fs::remove_file(&path).unwrap();
    let node = Node::open("n1", &path, &db.url).await.forward();
    let presence = Event { id: EventId([5; 16]), ..one_of_each().swap_remove(0) };
    node.commit(Batch { events: vec![presence], ..Batch::default() }).await;
    db.forwarded("n1", 1).await;
    node.close().await;

    copy(&backup, &path);
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(Batch { events: vec![sample(1001)], ..Batch::default() }).await;
    db.forwarded("n1", 101).await;
    assert_eq!(db.rows().await, (302, 302));
    assert_eq!(epoch_gaps(&db).await, 2);
    assert_ne!(node.reader.meta().await.unwrap().epoch, old);
    assert_eq!(db.json("SELECT value FROM tallyman.sensor_current").await, serde_json::json!({"value": 5}));
    node.close().await;
    db.drop().await;
}

/// The copy went on while nobody looked, past the database's number: only the ids tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_journal_that_has_overtaken_the_watermark_is_noticed_by_the_id() {
    let Some(db) = Database::create("overtaken").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let (path, backup) = (dir.path().join("journal"), dir.path().join("backup"));
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(0..10)).await;
    db.forwarded("n1", 10).await;
    node.close().await;
    copy(&path, &backup);
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(10..20)).await;
    db.forwarded("n1", 20).await;
    node.close().await;
    copy(&backup, &path);
    let node = Node::open("n1", &path, &db.url).await;
    node.commit(Batch { events: (10..40).map(retold).collect(), ..Batch::default() }).await;
    let node = node.forward();
    db.forwarded("n1", 40).await;
    assert_eq!(db.rows().await, (50, 50));
    assert_eq!(epoch_gaps(&db).await, 1);
    node.close().await;
    db.drop().await;
}

/// Puts the database back to where it stood after event `seq`.
async fn restore_database(db: &Database, seq: u64) {
    let id = format!("SELECT event_id FROM tallyman.sample WHERE seq = {seq}");
    let sql = format!(
        "UPDATE tallyman.forward_watermark SET last_seq = {seq}, last_id = ({id});
         DELETE FROM tallyman.sample WHERE seq > {seq}; DELETE FROM tallyman.location_event WHERE seq > {seq}"
    );
    db.execute(&sql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_database_is_refilled() {
    let Some(db) = Database::create("refilled").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(0..300)).await;
    db.forwarded("n1", 300).await;
    node.close().await;
    restore_database(&db, 120).await;
    assert_eq!(db.rows().await, (120, 120));
    let node = Node::open("n1", &path, &db.url).await.forward();
    db.forwarded("n1", 300).await;
    assert_eq!(db.rows().await, (300, 300));
    assert_eq!(db.number("SELECT count(*) FROM tallyman.gap").await, 0);
    node.close().await;
    db.drop().await;
}

/// The samples between are pruned from the journal, the location event behind them is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pruned_before_a_refill_is_recorded_as_a_gap() {
    let Some(db) = Database::create("pruned").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(0..300)).await;
    let mut presence = one_of_each().swap_remove(0);
    presence.id = EventId([5; 16]);
    presence.observed_at = at(500);
    let last = node.commit(Batch { events: vec![presence], ..Batch::default() }).await;
    db.forwarded("n1", last).await;
    eventually("the journal knows", async || {
        (node.reader.meta().await.unwrap().forwarded_seq == last).then_some(())
    })
    .await;
    let later = at(1_000_000).offset(40 * 86_400 * 1_000_000);
    assert_eq!(node.maintain(later).await, 300);
    node.close().await;
    restore_database(&db, 120).await;
    let node = Node::open("n1", &path, &db.url).await.forward();
    db.forwarded("n1", last).await;
    assert_eq!(db.rows().await, (121, 121));
    let gap = "SELECT from_seq, to_seq, missing, kind FROM tallyman.gap";
    assert_eq!(
        db.json(gap).await,
        serde_json::json!({"from_seq": 121, "to_seq": 301, "missing": 180, "kind": "pruned"})
    );
    node.problem_with("timescale-history", "180 events").await;
    node.close().await;
    db.drop().await;
}

/// What the journal remembers as forwarded went to another database: this one gets it as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_forwarded_elsewhere_is_not_taken_for_forwarded_here() {
    let Some(db) = Database::create("here").await else { return };
    let Some(elsewhere) = Database::create("elsewhere").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("first"), &db.url).await.forward();
    node.commit(samples(0..50)).await;
    db.forwarded("n1", 50).await;
    node.close().await;
    let second = dir.path().join("second");
    let node = Node::open("n1", &second, &elsewhere.url).await.forward();
    node.commit(samples(50..150)).await;
    elsewhere.forwarded("n1", 100).await;
    node.close().await;
    let node = Node::open("n1", &second, &db.url).await;
    assert_eq!(node.reader.meta().await.unwrap().forwarded_seq, 100);
    let node = node.forward();
    db.forwarded("n1", 100).await;
    assert_eq!(db.rows().await, (150, 150));
    node.close().await;
    elsewhere.drop().await;
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_database_is_refilled_from_the_first_event() {
    let Some(db) = Database::create("emptied").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let node = Node::open("n1", &path, &db.url).await.forward();
    node.commit(samples(0..50)).await;
    db.forwarded("n1", 50).await;
    node.close().await;
    db.execute("DROP SCHEMA tallyman CASCADE").await;
    let node = Node::open("n1", &path, &db.url).await.forward();
    db.forwarded("n1", 50).await;
    assert_eq!(db.rows().await, (50, 50));
    node.close().await;
    db.drop().await;
}

/// A second daemon with the same name gets nothing in while the first one lives, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_of_one_name_do_not_mix() {
    let Some(db) = Database::create("two").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let first = Node::open("n1", &dir.path().join("first"), &db.url).await.forward();
    first.commit(samples(0..10)).await;
    db.forwarded("n1", 10).await;
    let second = Node::open("n1", &dir.path().join("second"), &db.url).await.forward();
    second.commit(samples(1000..1020)).await;
    second.problem_with("timescale", "a second daemon with this name").await;
    first.commit(samples(10..30)).await;
    db.forwarded("n1", 30).await;
    assert_eq!(db.rows().await, (30, 30));
    assert_eq!(first.problem("timescale"), None);
    first.close().await;
    // The first one is gone: what the second one holds is another journal's, and nothing of it is lost.
    db.forwarded("n1", 20).await;
    assert_eq!(db.rows().await, (50, 50));
    assert_eq!(epoch_gaps(&db).await, 1);
    second.close().await;
    db.drop().await;
}

/// Somebody moves the watermark under a session that holds the lock: nothing is written on a false footing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watermark_that_somebody_moved_stops_the_batch() {
    let Some(db) = Database::create("contested").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    node.commit(samples(0..10)).await;
    db.forwarded("n1", 10).await;
    restore_database(&db, 5).await;
    node.commit(samples(10..20)).await;
    node.problem_with("timescale", "moved by somebody else").await;
    db.forwarded("n1", 20).await;
    assert_eq!(db.rows().await, (20, 20));
    node.close().await;
    db.drop().await;
}
