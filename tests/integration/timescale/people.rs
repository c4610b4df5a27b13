//! People in the database: erased in bounded steps, whatever their number is and whatever else goes on; and what tells
//! of everybody gone after its time.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tallyman::domain::alerts::{Alert, AlertKey, AlertTransition, Rule, Severity};
use tallyman::domain::epc::Epc;
use tallyman::domain::erasure::{Erasure, Stage};
use tallyman::domain::events::{Event, EventBody, RegisterChange, Subject};
use tallyman::domain::motion::{Motion, MotionChange};
use tallyman::domain::register::{Carrier, Checkout, Person, Record, TagAttachment};
use tallyman::domain::sightings::{Direction, PassageEvidence};
use tallyman::domain::state::{StateKind, StateRow};
use tallyman::domain::time::Timestamp;
use tallyman::journal::Batch;
use tallyman::source::clock::WallClock;
use tallyman::store::timescale::Keep;

use super::events::{asset, at, epc, event, fix, samples};
use super::rig::{Database, Node, eventually};

pub(super) const LABEL: &str = "erased-00112233aabbccdd";

pub(super) fn checked_out(n: u64, holder: &str) -> Event {
    let body = EventBody::CheckedOut(Checkout {
        asset: "FL-07".into(),
        holder: holder.to_owned(),
        checked_out_at: at(n),
        due_back: Some(at(n + 1_830)),
        note: Some(format!("07:30, {holder}")),
        waived: Vec::new(),
    });
    event(n, asset("FL-07"), body)
}

pub(super) fn registered(n: u64, record: Record) -> Event {
    let (by, table, key) = ("erp".to_owned(), record.table().to_owned(), record.key());
    let subject = Subject::Record(record.table(), key.clone());
    let change = RegisterChange { by, table, key, before: None, after: Some(record) };
    event(n, subject, EventBody::Register(Box::new(change)))
}

pub(super) fn person(id: &str, name: &str) -> Record {
    Record::Person(Person { id: id.into(), name: Some(name.to_owned()), team: None, site: None })
}

pub(super) fn badge(of: &str) -> Record {
    Record::Tag(TagAttachment::new(epc(), Carrier::Person(of.into())))
}

pub(super) fn other_badge() -> Epc {
    Epc::from_hex("3034257bf7194e4000001a99").unwrap()
}

pub(super) fn passed(n: u64, who: &str) -> Event {
    let evidence = PassageEvidence { started_at: at(n), ended_at: at(n), antennas: Vec::new(), beams: None };
    let (portal, direction) = ("door-1".into(), Direction::Out);
    let body = EventBody::Passage { direction, epc: epc(), portal, from: None, to: None, evidence };
    event(n, Subject::Person(who.into()), body)
}

pub(super) fn read(n: u64, code: &str) -> Event {
    let epc = Epc::from_hex(code).unwrap();
    let body = EventBody::TagRead { epc, antenna: 2, seen_count: 5, peak_rssi_dbm: None };
    event(n, Subject::Tag(epc), body)
}

fn stopped(n: u64) -> Event {
    let (change, position) = (MotionChange::Stopped, fix(n).position);
    let motion = Motion { change, position, since: None, left_by: None, trip: None };
    event(n, asset("FL-07"), EventBody::Motion { device: "truck/7".into(), motion })
}

pub(super) async fn begin(test: &str) -> Option<(Database, tempfile::TempDir, Node)> {
    let db = Database::create(test).await?;
    let folder = tempfile::tempdir().unwrap();
    let node = Node::open("north-1", &folder.path().join("journal.db"), &db.url).await;
    Some((db, folder, node))
}

/// As if the journal had come so far that it is the database's turn.
pub(super) async fn erase(node: &Node, id: &str, names: &[&str]) {
    let texts = [id].iter().chain(names).map(|text| (*text).to_owned()).collect();
    let mut erasure = Erasure::new(LABEL.to_owned(), id.to_owned(), texts, Vec::new(), at(0));
    erasure.stage = Stage::Database { seq: node.reader.meta().await.unwrap().last_seq, until: None };
    let row = StateRow::put(StateKind::Erasure, LABEL, &erasure);
    node.commit(Batch { state: vec![row], ..Batch::default() }).await;
}

pub(super) async fn is_erased(node: &Node) -> bool {
    let rows = node.reader.all_states(StateKind::Erasure).await.unwrap();
    let erasure: Erasure = serde_json::from_slice(&rows[0].1).unwrap();
    erasure.stage == Stage::File
}

pub(super) async fn erased(node: &Node) {
    eventually("the database names them no more", async || is_erased(node).await.then_some(())).await;
}

#[tokio::test]
async fn a_number_like_a_time_spoils_no_row() {
    for id in ["30", "07", "4711"] {
        let Some((db, _folder, node)) = begin(&format!("people_{id}")).await else { return };
        let site = json!({ "table": "site", "name": "north", "timezone": "UTC",
            "calendar": { "working_hours": "mon-fri 07:00-17:30", "holidays": ["2026-11-30"] } });
        let site: Record = serde_json::from_value(site).unwrap();
        let class = json!({ "table": "class", "name": id, "criticality": "normal", "ghost_after": 30.0,
            "needs": [id], "allowed_zones": [id] });
        let class: Record = serde_json::from_value(class).unwrap();
        let owned = json!({ "table": "asset", "id": id, "class": id, "owner": id, "number": id,
            "attributes": { "of": format!("{id}, since 07:30") } });
        let owned: Record = serde_json::from_value(owned).unwrap();
        let records = [site, class, owned, person(id, "Ada"), badge(id)];
        let records = records.into_iter().enumerate().map(|(n, record)| registered(n as u64, record));
        let held = (10..30).map(|n| checked_out(n, id));
        let gap = event(
            40,
            Subject::Node,
            EventBody::Gap { from: at(1), to: at(30), reason: format!("{id} pulled a plug") },
        );
        let events = records.chain(held).chain([gap, passed(41, id)]).collect();
        let node = node.forward();
        let newest = node.commit(Batch { events, ..Batch::default() }).await;
        db.forwarded("north-1", newest).await;
        // All rows, without what may say who.
        let rest = "SELECT to_jsonb(t) - 'body' - 'holder' - 'subject' - 'reason' - 'epc' AS row
            FROM (SELECT * FROM tallyman.location_event ORDER BY seq) t
            UNION ALL SELECT to_jsonb(s) FROM tallyman.site s UNION ALL SELECT to_jsonb(c) FROM tallyman.asset_class c
            UNION ALL SELECT to_jsonb(g) - 'body' - 'reason' FROM tallyman.gap g
            UNION ALL SELECT to_jsonb(a) - 'owner' - 'attributes' FROM tallyman.asset a";
        let before = db.rows_of(rest).await;
        erase(&node, id, &["Ada"]).await;
        erased(&node).await;
        assert_eq!(db.rows_of(rest).await, before);
        let bodies = db
            .rows_of("SELECT body FROM tallyman.location_event WHERE kind = 'checked-out' ORDER BY seq")
            .await;
        for (n, row) in (10..30).zip(bodies.as_array().unwrap()) {
            let body: EventBody = serde_json::from_value(row["body"].clone()).unwrap();
            assert_eq!(body, checked_out(n, LABEL).body);
        }
        assert_eq!(
            db.number(&format!("SELECT count(*) FROM tallyman.location_event WHERE holder = '{LABEL}'"))
                .await,
            20
        );
        let owned = db.json("SELECT owner, attributes, number FROM tallyman.asset").await;
        assert_eq!(
            owned,
            json!({ "owner": LABEL, "attributes": { "of": format!("{LABEL}, since 07:30") }, "number": id })
        );
        assert_eq!(
            db.number("SELECT (SELECT count(*) FROM tallyman.person) + (SELECT count(*) FROM tallyman.tag)")
                .await,
            0
        );
        let reasons =
            "SELECT count(*) FROM tallyman.gap WHERE reason = 'erased-00112233aabbccdd pulled a plug'";
        assert_eq!(db.number(reasons).await, 1);
        node.close().await;
        db.drop().await;
    }
}

#[tokio::test]
async fn names_and_badges_that_only_the_database_remembers_go_too() {
    let Some((db, _folder, node)) = begin("people_earlier").await else { return };
    let node = node.forward();
    let mut events =
        vec![registered(1, person("P-7", "Ada King")), registered(2, person("P-7", "Ada Lovelace"))];
    events.push(checked_out(3, "ada king"));
    events.extend([passed(4, "P-7"), read(5, &epc().to_string()), read(6, "30aabb")]);
    let newest = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    erase(&node, "P-7", &["Ada Lovelace"]).await;
    erased(&node).await;
    let left = |table: &str, what: &str| {
        format!("SELECT count(*) FROM tallyman.{table} t WHERE to_jsonb(t)::text ILIKE '%{what}%'")
    };
    for (table, what) in [
        ("location_event", "ada king"),
        ("command_log", "king"),
        ("tag_read", &epc().to_string()),
        ("asset_current", "king"),
    ] {
        assert_eq!(db.number(&left(table, what)).await, 0, "{table}: {what}");
    }
    assert_eq!(db.number(&left("tag_read", "30aabb")).await, 1);
    node.close().await;
    db.drop().await;
}

/// Every row that is changed or deleted takes `ms`.
pub(super) async fn slow(db: &Database, table: &str, act: &str, ms: u32) {
    let row = if act == "DELETE" { "OLD" } else { "NEW" };
    db.execute_all(&format!(
        "CREATE OR REPLACE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN PERFORM pg_sleep({ms} / 1000.0); RETURN {row}; END $$;
         CREATE TRIGGER slow BEFORE {act} ON tallyman.{table} FOR EACH ROW EXECUTE FUNCTION public.slow()"
    ))
    .await;
}

#[tokio::test]
async fn what_takes_longer_than_a_statement_may_is_done_in_parts() {
    let Some((db, _folder, mut node)) = begin("people_slow").await else { return };
    node.config.statement_timeout = Duration::from_secs(2);
    let node = node.forward();
    let events = (0..100).map(|n| checked_out(n, "P-7")).collect();
    let newest = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    // Six seconds for all of them.
    slow(&db, "location_event", "UPDATE", 60).await;
    erase(&node, "P-7", &[]).await;
    erased(&node).await;
    assert_eq!(db.number("SELECT count(*) FROM tallyman.location_event WHERE holder = 'P-7'").await, 0);
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn an_erasure_that_cannot_be_done_waits_and_forwarding_goes_on() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    // One thread: every task of this test reports to this recorder.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let Some((db, _folder, mut node)) = begin("people_stuck").await else { return };
    // What a busy machine needs for the schema and a first chunk is less.
    node.config.statement_timeout = Duration::from_secs(1);
    let node = node.forward();
    let newest = node.commit(Batch { events: vec![checked_out(1, "P-7")], ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    // One row takes longer than a statement may.
    slow(&db, "location_event", "UPDATE", 5_000).await;
    erase(&node, "P-7", &[]).await;
    let failed = || metrics.render().contains(r#"tallyman_store_errors_total{kind="people"} "#).then_some(());
    eventually("it was tried", async || failed()).await;
    for n in 2..12 {
        let newest = node.commit(Batch { events: vec![checked_out(n, "Q-1")], ..Batch::default() }).await;
        db.forwarded("north-1", newest).await;
    }
    assert!(!is_erased(&node).await);
    db.execute("DROP TRIGGER slow ON tallyman.location_event").await;
    erased(&node).await;
    assert_eq!(db.number("SELECT count(*) FROM tallyman.location_event WHERE holder = 'P-7'").await, 0);
    assert_eq!(db.number("SELECT count(*) FROM tallyman.location_event WHERE holder = 'Q-1'").await, 10);
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn alerts_about_several_names_of_one_person_do_not_collide() {
    let Some((db, _folder, node)) = begin("people_alerts").await else { return };
    let node = node.forward();
    let offends = |n: u64, who: &str| {
        let key = AlertKey::new(Rule::RepeatOffender, who);
        let id = tallyman::domain::ids::EventId::derive(at(n), &[who.as_bytes()]);
        let begun = Alert::begin(key, id, Severity::Warning, None, format!("talk to {who}"), at(n));
        let body = EventBody::Alert { transition: AlertTransition::Fired, alert: Box::new(begun) };
        event(n, Subject::Node, body)
    };
    let events = vec![offends(1, "P-7"), offends(2, "Ada"), offends(3, "Bo")];
    let newest = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    erase(&node, "P-7", &["Ada"]).await;
    erased(&node).await;
    let current = db.rows_of("SELECT about FROM tallyman.alert_current").await;
    assert_eq!(current, json!([{ "about": "Bo" }]));
    let told = db.rows_of("SELECT about, summary FROM tallyman.alert_event WHERE about <> 'Bo'").await;
    let row = json!({ "about": LABEL, "summary": format!("talk to {LABEL}") });
    assert_eq!(told, json!([row, row]));
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn what_tells_of_people_and_drivers_goes_after_its_time() {
    let Some((db, _folder, mut node)) = begin("people_age").await else { return };
    let day = Duration::from_secs(86_400);
    // A badge that is on nobody any more, an asset's tag that was a badge once, one that only assets ever had.
    let (lost, inherited, plain) = ("30aacc", epc().to_string(), "30aabb");
    let on = |code: &str| TagAttachment::new(Epc::from_hex(code).unwrap(), Carrier::Asset("FL-07".into()));
    let moved_at = WallClock::new().now() - day * 15;
    let was =
        TagAttachment { to: Some(moved_at), ..TagAttachment::new(epc(), Carrier::Person("P-7".into())) };
    let is = TagAttachment { from: Some(moved_at), ..on(&inherited) };
    let mut events: Vec<Event> = [was, is, on(plain)]
        .into_iter()
        .enumerate()
        .map(|(n, tag)| registered(n as u64, Record::Tag(tag)))
        .collect();
    for ago in [1, 8, 20, 100] {
        let n = u64::from(ago) * 10;
        events.extend([
            ago_by(passed(n, "P-7"), ago, n),
            ago_by(checked_out(n, "P-7"), ago, n + 1),
            ago_by(read(n, lost), ago, n + 2),
            ago_by(read(n, plain), ago, n + 3),
            ago_by(event(n, asset("FL-07"), EventBody::Fix(fix(n))), ago, n + 4),
            ago_by(read(n, &inherited), ago, n + 5),
            ago_by(stopped(n), ago, n + 6),
        ]);
    }
    node.keep = Keep { people: day * 7, drivers: day * 30 };
    node.config.statement_timeout = Duration::from_secs(1);
    node.config.batch_rows = 5;
    let newest = node.commit(Batch { events, ..Batch::default() }).await;
    let node = node.forward();
    db.forwarded("north-1", newest).await;
    let rows = format!(
        "SELECT (SELECT count(*) FROM tallyman.location_event WHERE subject LIKE 'person:%') * 10000
           + (SELECT count(*) FROM tallyman.location_event WHERE kind = 'checked-out') * 1000
           + (SELECT count(*) FROM tallyman.tag_read WHERE epc = '{lost}') * 100
           + (SELECT count(*) FROM tallyman.tag_read WHERE epc <> '{lost}') * 10
           + (SELECT count(*) FROM tallyman.fix)
           + (SELECT count(*) FROM tallyman.location_event WHERE kind = 'motion') * 100000"
    );
    begin_anew(&node, &db).await;
    eventually("only what is young enough is left", async || {
        (db.number(&rows).await == 314_163).then_some(())
    })
    .await;
    node.close().await;
    db.drop().await;
}

/// As if it had been observed so many days ago.
pub(super) fn ago_by(event: Event, days: u32, n: u64) -> Event {
    let now = WallClock::new().now();
    let observed_at = now - Duration::from_secs(86_400) * days;
    let id = tallyman::domain::ids::EventId::derive(observed_at, &[&n.to_be_bytes()]);
    Event { id, observed_at, ..event }
}

/// A new session looks at once for what is older than it is kept: the old one finds its connection gone when there
/// is something to forward.
pub(super) async fn begin_anew(node: &Node, db: &Database) {
    let end =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tallyman north-1'";
    db.execute(end).await;
    let n = 900_000 + node.reader.meta().await.unwrap().last_seq;
    node.commit(samples(n..n + 1)).await;
}

#[tokio::test]
async fn pruning_that_takes_longer_than_a_statement_may_is_done_in_parts() {
    let Some((db, _folder, mut node)) = begin("people_age_slow").await else { return };
    node.config.statement_timeout = Duration::from_millis(500);
    let day = Duration::from_secs(86_400);
    node.keep = Keep { people: day, drivers: day };
    let old = Timestamp::parse("2020-05-01T06:00:00Z").unwrap();
    let events = (0..100u64).map(|n| {
        let observed_at = old.offset(n as i64 * 1_000_000);
        let id = tallyman::domain::ids::EventId::derive(observed_at, &[&n.to_be_bytes()]);
        Event { id, observed_at, ..passed(n, "P-7") }
    });
    let newest = node.commit(Batch { events: events.collect(), ..Batch::default() }).await;
    // The tables first, so that the first look already takes long.
    let node = node.forward();
    eventually("there are tables", async || {
        (db.number("SELECT count(*) FROM tallyman.location_event").await >= 0).then_some(())
    })
    .await;
    slow(&db, "location_event", "DELETE", 10).await;
    db.forwarded("north-1", newest).await;
    begin_anew(&node, &db).await;
    eventually("they are gone", async || {
        (db.number("SELECT count(*) FROM tallyman.location_event").await == 0).then_some(())
    })
    .await;
    node.close().await;
    db.drop().await;
}
