//! The journal's register as rows: filled from what is there, kept by its events, closed to others.

use serde_json::json;
use tallyman::domain::events::{Event, EventBody, RegisterChange, Subject};
use tallyman::domain::register::Record;
use tallyman::domain::state::{StateKind, StateRow};
use tallyman::journal::Batch;

use super::events::event;
use super::rig::{Database, Node};

pub fn record(json: serde_json::Value) -> Record {
    serde_json::from_value(json).unwrap()
}

fn change(n: u64, before: Option<&Record>, after: Option<&Record>) -> Event {
    let record = after.or(before).unwrap();
    let (table, key) = (record.table().to_owned(), record.key());
    let change =
        RegisterChange { by: "ada".to_owned(), table, key, before: before.cloned(), after: after.cloned() };
    event(n, Subject::Node, EventBody::Register(Box::new(change)))
}

/// A record of every table, each with all that it can hold.
pub fn one_of_each() -> Vec<Record> {
    let records = json!([
        {"table": "site", "name": "hamburg", "timezone": "Europe/Berlin",
         "calendar": {"working_hours": "mon-fri 07:00-17:00", "holidays": ["2026-12-25"]}},
        {"table": "zone", "name": "hall", "site": "hamburg", "coverage": "continuous"},
        {"table": "class", "name": "forklift", "ghost_after": 14400.0, "criticality": "high",
         "utilisation": {"sensor": "ignition"}, "inspect_on_return": true, "allowed_zones": ["hall"],
         "low_battery_percent": 20.0, "vehicle": true,
         "limits": [{"point": "oil", "name": "hot", "high": 110.5, "deadband": 5.0, "on_delay": 90.0,
           "severity": "critical"}]},
        {"table": "person", "id": "P-7", "name": "Ada", "team": "night shift", "site": "hamburg"},
        {"table": "asset", "id": "FL-07", "class": "forklift", "lifecycle": "quarantined", "home_zone": "hall",
         "owner": "leasing", "acquired_on": "2024-02-29", "attributes": {"colour": "red"},
         "limits": [{"point": "oil", "name": "rising", "rise_per_min": 2.0, "over": 300.0, "deadband": 0.0,
           "severity": "warning"}]},
        {"table": "tag", "epc": "3035", "person": "P-7", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00.25Z"},
        {"table": "tracker", "device": "fleet@home", "asset": "FL-07"},
        {"table": "sensor", "device": "cold-1", "zone": "hall"},
        {"table": "maintenance", "name": "M-1", "of": {"read-point": "dock-1"},
         "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "reason": "paint"},
    ]);
    records.as_array().unwrap().iter().cloned().map(record).collect()
}

/// Rows as records, as the database gives them back.
pub async fn records(db: &Database) -> Vec<Record> {
    let rows = db.rows_of("SELECT record FROM tallyman.register_record WHERE declared_by IS NULL").await;
    rows.as_array().unwrap().iter().map(|row| record(row["record"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mirror_has_what_the_journal_has() {
    let Some(db) = Database::create("mirror").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::open("n1", &dir.path().join("journal"), &db.url).await;
    node.declared = vec![record(json!({"table": "zone", "name": "yard", "site": "hamburg"}))];
    // Known before the database was: a row of the state, whose event is long gone.
    let records_there = one_of_each();
    let state = |record: &Record| StateRow::put(StateKind::Register, record.state_key(), record);
    let state = records_there.iter().map(state).collect();
    node.commit(Batch { state, ..Batch::default() }).await;
    let node = node.forward();
    let last = node.commit(super::events::samples(0..1)).await;
    db.forwarded("n1", last).await;
    assert_eq!(records(&db).await, records_there);

    let renamed =
        record(json!({"table": "asset", "id": "FL-07", "class": "forklift", "name": "the old one"}));
    let tag = record(json!({"table": "tag", "epc": "3036", "asset": "FL-07"}));
    let [asset, badge] = [&records_there[4], &records_there[5]];
    let events = vec![
        change(10, Some(asset), Some(&renamed)),
        change(11, None, Some(&tag)),
        change(12, Some(badge), None),
    ];
    let last = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("n1", last).await;
    let mut expected = records_there.clone();
    expected[4] = renamed;
    expected[5] = tag;
    assert_eq!(records(&db).await, expected);
    let history = "SELECT count(*) FROM tallyman.command_log WHERE kind = 'register'";
    assert_eq!(db.number(history).await, 3);

    let refusal = db.refusal("UPDATE tallyman.asset SET name = 'mine'").await;
    assert!(refusal.contains("belongs to the journal of node n1"), "{refusal}");
    let declared = "SELECT declared_by FROM tallyman.zone WHERE name = 'yard'";
    assert_eq!(db.json(declared).await, json!({"declared_by": "n1"}));
    assert_eq!(db.number("SELECT count(*) FROM tallyman.register_change").await, 0);
    node.close().await;
    db.drop().await;
}

/// What is no longer declared is no longer shown; another journal's register takes the place of the old one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_journal_replaces_the_mirror() {
    let Some(db) = Database::create("mirror_new").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::open("n1", &dir.path().join("one"), &db.url).await;
    node.declared = vec![record(json!({"table": "zone", "name": "yard", "site": "hamburg"}))];
    let first = record(json!({"table": "asset", "id": "A", "class": "c"}));
    let second = record(json!({"table": "asset", "id": "B", "class": "c"}));
    let put = |record: &Record| Batch {
        state: vec![StateRow::put(StateKind::Register, record.state_key(), record)],
        events: super::events::samples(0..1).events,
        ..Batch::default()
    };
    let node = node.forward();
    let last = node.commit(put(&first)).await;
    db.forwarded("n1", last).await;
    node.close().await;

    let node = Node::open("n1", &dir.path().join("two"), &db.url).await;
    let last = node.commit(put(&second)).await;
    let node = node.forward();
    node.problem_with("timescale-history", "is journal").await;
    db.forwarded("n1", last).await;
    assert_eq!(records(&db).await, [second]);
    assert_eq!(db.number("SELECT count(*) FROM tallyman.zone").await, 0);
    node.close().await;
    db.drop().await;
}

/// The tables say what they are for, column by column.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_and_column_of_the_register_is_explained() {
    let Some(db) = Database::create("register_comments").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    let last = node.commit(super::events::samples(0..1)).await;
    db.forwarded("n1", last).await;
    let silent = "SELECT c.relname AS name, a.attname AS col FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'tallyman'
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind = 'r' AND (c.relname IN ('site', 'zone', 'asset_class', 'person', 'asset', 'tag', 'tracker', 'sensor',
            'maintenance') OR c.relname LIKE 'register%')
          AND (obj_description(c.oid) IS NULL OR col_description(c.oid, a.attnum) IS NULL)";
    assert_eq!(db.rows_of(silent).await, json!([]));
    let silent = "SELECT c.relname AS name FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'tallyman'
        WHERE c.relkind = 'v' AND obj_description(c.oid) IS NULL";
    assert_eq!(db.rows_of(silent).await, json!([]));
    node.close().await;
    db.drop().await;
}
