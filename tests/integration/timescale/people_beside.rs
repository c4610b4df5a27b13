//! People in the database, beside whoever else is there: others that hold locks or write the same rows, other nodes,
//! and who has a number or a badge after them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tallyman::domain::erasure::Erasure;
use tallyman::domain::events::{Event, EventBody, RegisterChange, Subject};
use tallyman::domain::register::{Carrier, Record, TagAttachment};
use tallyman::domain::state::{StateKind, StateRow};
use tallyman::journal::Batch;
use tallyman::store::timescale::Keep;
use tokio_util::sync::CancellationToken;

use super::events::{at, epc, event, samples};
use super::people::{
    LABEL, ago_by, badge, begin, begin_anew, checked_out, erase, erased, is_erased, other_badge, passed,
    person, read, registered, slow,
};
use super::rig::{Database, Node, eventually};

#[tokio::test]
async fn what_is_rewritten_of_a_hypertable_is_looked_for_in_the_chunks_of_its_time_alone() {
    let Some((db, _folder, node)) = begin("people_chunks").await else { return };
    let node = node.forward();
    let days = [0, 3, 9].map(|day| checked_out(day * 86_400, if day == 0 { "P-7" } else { "Bo" }));
    let newest = node.commit(Batch { events: days.into(), ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    assert_eq!(db.number("SELECT count(*) FROM show_chunks('tallyman.location_event')").await, 3);
    // How often each chunk was scanned, before the statement and after it.
    db.execute_all(
        "CREATE TABLE public.scans (chunk oid, times bigint, told text);
         CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO public.scans SELECT relid, coalesce(seq_scan, 0) + coalesce(idx_scan, 0), TG_WHEN
             FROM pg_stat_xact_all_tables WHERE relid IN (SELECT show_chunks('tallyman.location_event'));
           RETURN NULL; END $$;
         CREATE TRIGGER before BEFORE UPDATE ON tallyman.location_event EXECUTE FUNCTION public.note();
         CREATE TRIGGER after AFTER UPDATE ON tallyman.location_event EXECUTE FUNCTION public.note()",
    )
    .await;
    erase(&node, "P-7", &[]).await;
    erased(&node).await;
    let scanned = "SELECT count(*) FROM public.scans b JOIN public.scans a USING (chunk)
        WHERE b.told = 'BEFORE' AND a.told = 'AFTER' AND a.times > b.times";
    assert_eq!(db.number(scanned).await, 1);
    node.close().await;
    db.drop().await;
}

/// Forwards a few events, one after the other, in far less time than a statement may take.
async fn forwarding_goes_on(db: &Database, node: &Node, from: u64) {
    let forwarding = async {
        for n in from..from + 20 {
            let newest = node.commit(samples(n..n + 1)).await;
            db.forwarded("north-1", newest).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), forwarding).await.expect("forwarding waited for the lock");
}

#[tokio::test]
async fn what_somebody_else_holds_is_left_for_later_and_forwarding_goes_on() {
    let Some((db, _folder, mut node)) = begin("people_locked").await else { return };
    let day = Duration::from_secs(86_400);
    node.keep = Keep { people: day * 7, drivers: day * 30 };
    node.config.statement_timeout = Duration::from_secs(60);
    let mut forwarder = node.forwarder();
    forwarder.timing.tend_longest = Duration::from_secs(60);
    let stop = CancellationToken::new();
    let forwarding = tokio::spawn(forwarder.run(stop.clone()));
    let newest = node.commit(Batch { events: vec![checked_out(1, "P-7")], ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    // A table of the walk, and one that is pruned.
    for (table, from) in [("gap", 100), ("location_event", 200)] {
        let old = (0..5).map(|n| ago_by(passed(from + n, "P-9"), 20, from + n)).collect();
        let newest = node.commit(Batch { events: old, ..Batch::default() }).await;
        db.forwarded("north-1", newest).await;
        let mut holding = db.pool.begin().await.unwrap();
        let lock = format!("LOCK TABLE tallyman.{table} IN ACCESS EXCLUSIVE MODE");
        sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut *holding).await.unwrap();
        if table == "gap" {
            erase(&node, "P-7", &[]).await;
        } else {
            begin_anew(&node, &db).await;
        }
        forwarding_goes_on(&db, &node, from).await;
        assert_eq!(is_erased(&node).await, table != "gap");
        holding.rollback().await.unwrap();
        erased(&node).await;
    }
    let left = "SELECT count(*) FROM tallyman.location_event WHERE holder = 'P-7' OR subject = 'person:P-9'";
    eventually("all is done", async || (db.number(left).await == 0).then_some(())).await;
    stop.cancel();
    forwarding.await.unwrap();
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn a_row_that_somebody_writes_meanwhile_is_neither_lost_nor_passed_over() {
    const ASSETS: u64 = 3_000;
    let Some((db, _folder, node)) = begin("people_written").await else { return };
    let node = node.forward();
    let assets = (0..ASSETS).map(|n| {
        let asset = json!({ "table": "asset", "id": format!("D-{n:04}"), "class": "drill", "owner": "P-7",
            "number": "0" });
        registered(n, serde_json::from_value(asset).unwrap())
    });
    let newest = node.commit(Batch { events: assets.collect(), ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    // Somebody counts in the same rows all the time, part after part, and so moves them.
    let stop = CancellationToken::new();
    let counted = Arc::new(AtomicI64::new(0));
    let (pool, stopped, rounds) = (db.pool.clone(), stop.clone(), counted.clone());
    let counting = tokio::spawn(async move {
        for part in (0..10).cycle() {
            if part == 0 && stopped.is_cancelled() {
                break;
            }
            let mut transaction = pool.begin().await.unwrap();
            let count = format!(
                "SET LOCAL tallyman.writer = 'mirror';
                 UPDATE tallyman.asset SET number = (number::int + 1)::text WHERE id LIKE 'D-__{part}_'"
            );
            sqlx::raw_sql(sqlx::AssertSqlSafe(count)).execute(&mut *transaction).await.unwrap();
            transaction.commit().await.unwrap();
            rounds.fetch_add(i64::from(part == 9), Ordering::SeqCst);
        }
    });
    let more_than = async |than: i64| {
        eventually("somebody counts", async || (counted.load(Ordering::SeqCst) > than).then_some(())).await;
    };
    more_than(0).await;
    let before = counted.load(Ordering::SeqCst);
    erase(&node, "P-7", &[]).await;
    erased(&node).await;
    assert!(counted.load(Ordering::SeqCst) > before, "nobody counted meanwhile");
    stop.cancel();
    counting.await.unwrap();
    let rounds = counted.load(Ordering::SeqCst);
    assert_eq!(db.number("SELECT count(*) FROM tallyman.asset WHERE owner = 'P-7'").await, 0);
    let all = format!("SELECT count(*) FROM tallyman.asset WHERE number = '{rounds}'");
    assert_eq!(db.number(&all).await, ASSETS as i64);
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn who_has_the_number_after_them_is_not_erased() {
    let Some((db, _folder, node)) = begin("people_after").await else { return };
    let node = node.forward();
    let on = |code: &str, of: &str| {
        let code = tallyman::domain::epc::Epc::from_hex(code).unwrap();
        Record::Tag(TagAttachment::new(code, Carrier::Person(of.into())))
    };
    let owned = |id: &str| -> Record {
        let asset = json!({ "table": "asset", "id": id, "class": "drill", "owner": "P-7",
            "attributes": { "of": "Ada" } });
        serde_json::from_value(asset).unwrap()
    };
    let out = |n: u64, asset: &str, holder: &str| {
        let mut event = checked_out(n, holder);
        event.subject = Subject::Asset(asset.into());
        if let EventBody::CheckedOut(checkout) = &mut event.body {
            checkout.asset = asset.into();
        }
        event
    };
    let events = vec![
        registered(1, person("P-7", "Ada")),
        registered(2, badge("P-7")),
        registered(3, Record::Tag(TagAttachment::new(other_badge(), Carrier::Person("P-7".into())))),
        registered(4, owned("D-1")),
        registered(5, owned("D-2")),
        out(6, "D-1", "P-7"),
        out(7, "D-2", "P-7"),
        out(8, "D-3", "Bo"),
        read(9, &epc().to_string()),
        read(10, "30dd"),
    ];
    let newest = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    let texts = vec!["P-7".to_owned(), "Ada".to_owned()];
    let had = vec![tallyman::domain::epc::Epc::from_hex("30dd").unwrap()];
    let erasure = Erasure::new(LABEL.to_owned(), "P-7".to_owned(), texts, had, at(0));
    let row = StateRow::put(StateKind::Erasure, LABEL, &erasure);
    node.commit(Batch { state: vec![row], ..Batch::default() }).await;
    assert!(node.erase_step().await);
    // On the register again, with one of the badges, while the journal is being rewritten; another badge has moved on.
    let (again, theirs) = (person("P-7", "Bo"), badge("P-7"));
    let mut state: Vec<StateRow> = [&again, &theirs, &owned("D-1")]
        .map(|record| StateRow::put(StateKind::Register, record.state_key(), record))
        .into();
    // As the journal has them by now: nobody of before is named.
    let has = |asset: &str, holder: &str| {
        let custody = json!({ "asset": asset, "checkout": { "holder": holder } });
        StateRow::put(StateKind::Asset, asset, &custody)
    };
    state.extend([has("D-1", "P-7"), has("D-2", LABEL)]);
    let events = vec![
        registered(11, again.clone()),
        registered(12, theirs.clone()),
        registered(13, on("30dd", "Q-1")),
        out(14, "D-1", "P-7"),
        read(15, "30dd"),
    ];
    let newest = node.commit(Batch { events, state, ..Batch::default() }).await;
    while node.erase_step().await {}
    erased(&node).await;
    let holders = db.rows_of("SELECT asset, holder FROM tallyman.location_event ORDER BY seq").await;
    assert_eq!(
        holders,
        json!([{ "asset": "D-1", "holder": LABEL }, { "asset": "D-2", "holder": LABEL },
            { "asset": "D-3", "holder": "Bo" }, { "asset": "D-1", "holder": "P-7" }])
    );
    let current = db.rows_of("SELECT asset, holder FROM tallyman.asset_current ORDER BY asset").await;
    assert_eq!(
        current,
        json!([{ "asset": "D-1", "holder": "P-7" }, { "asset": "D-2", "holder": LABEL },
            { "asset": "D-3", "holder": "Bo" }])
    );
    let owners = db.rows_of("SELECT id, owner, attributes FROM tallyman.asset ORDER BY id").await;
    assert_eq!(
        owners,
        json!([{ "id": "D-1", "owner": "P-7", "attributes": { "of": "Ada" } },
            { "id": "D-2", "owner": LABEL, "attributes": { "of": LABEL } }])
    );
    assert_eq!(
        db.rows_of("SELECT id, name FROM tallyman.person").await,
        json!([{ "id": "P-7", "name": "Bo" }])
    );
    let badges = db.rows_of("SELECT epc, person FROM tallyman.tag ORDER BY epc").await;
    assert_eq!(
        badges,
        json!([{ "epc": epc().to_string(), "person": "P-7" }, { "epc": "30dd", "person": "Q-1" }])
    );
    let reads = db.rows_of("SELECT seq FROM tallyman.tag_read WHERE epc = '30dd'").await;
    assert_eq!(reads, json!([{ "seq": newest }]));
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn a_restart_in_the_middle_still_knows_what_only_the_database_said_of_them() {
    let Some((db, _folder, mut node)) = begin("people_restart").await else { return };
    node.config.statement_timeout = Duration::from_secs(1);
    let node = node.forward();
    let mut elsewhere = passed(5, "P-7");
    elsewhere.subject = Subject::Tag(epc());
    let events = vec![
        registered(1, person("P-7", "Ada King")),
        registered(2, person("P-7", "Ada Lovelace")),
        registered(3, badge("P-7")),
        passed(4, "P-7"),
        elsewhere,
        checked_out(6, "ada king"),
    ];
    let newest = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    // The walk comes as far as the last table, whose rows take longer than the server lets them.
    slow(&db, "location_event", "UPDATE", 5_000).await;
    erase(&node, "P-7", &["Ada Lovelace"]).await;
    let told = "SELECT count(*) FROM tallyman.command_log t WHERE to_jsonb(t)::text ILIKE '%king%'";
    eventually("what told of them is gone", async || (db.number(told).await == 0).then_some(())).await;
    let session = "SELECT pid::bigint FROM pg_stat_activity WHERE application_name = 'tallyman north-1'";
    let first = db.number(session).await;
    begin_anew(&node, &db).await;
    let again = format!("SELECT count(*) FROM ({session} AND pid <> {first}) s");
    eventually("another session", async || (db.number(&again).await == 1).then_some(())).await;
    db.execute("DROP TRIGGER slow ON tallyman.location_event").await;
    erased(&node).await;
    let named = format!(
        "SELECT to_jsonb(t) FROM tallyman.location_event t
         WHERE to_jsonb(t)::text ILIKE ANY (ARRAY['%king%', '%{}%'])",
        epc()
    );
    assert_eq!(db.rows_of(&named).await, json!([]));
    assert_eq!(db.number("SELECT count(*) FROM tallyman.erasure").await, 0);
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn what_takes_longer_than_usual_and_has_no_parts_is_given_the_time() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    // One thread: every task of this test reports to this recorder.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let Some((db, _folder, node)) = begin("people_patience").await else { return };
    let mut forwarder = node.forwarder();
    forwarder.timing.tend_longest = Duration::from_millis(100);
    let stop = CancellationToken::new();
    let forwarding = tokio::spawn(forwarder.run(stop.clone()));
    let newest = node.commit(Batch { events: vec![checked_out(1, "P-7")], ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    // One row, and the server lets it take thirty seconds.
    slow(&db, "location_event", "UPDATE", 1_000).await;
    erase(&node, "P-7", &[]).await;
    erased(&node).await;
    assert_eq!(db.number("SELECT count(*) FROM tallyman.location_event WHERE holder = 'P-7'").await, 0);
    // 100, 200, 400 and 800 ms were too short.
    let given_up = metrics.render().lines().find_map(|line| {
        line.strip_prefix(r#"tallyman_store_errors_total{kind="people"} "#)?.parse::<u32>().ok()
    });
    assert!(given_up >= Some(4), "{given_up:?}");
    stop.cancel();
    forwarding.await.unwrap();
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn a_badge_that_was_somebody_elses_too_stays() {
    let Some((db, _folder, node)) = begin("people_shared").await else { return };
    let node = node.forward();
    let was = |of: &str, code: &str| {
        let code = tallyman::domain::epc::Epc::from_hex(code).unwrap();
        TagAttachment::new(code, Carrier::Person(of.into()))
    };
    let gone = |n: u64, tag: TagAttachment| {
        let (by, table, key) = ("erp".to_owned(), "tag".to_owned(), tag.record_key());
        let before = Some(Record::Tag(tag));
        let change = RegisterChange { by, table, key: key.clone(), before, after: None };
        event(n, Subject::Record("tag", key), EventBody::Register(Box::new(change)))
    };
    let since = |tag: TagAttachment| TagAttachment { from: Some(at(7)), ..tag };
    let carries = |n: u64, code: &str| {
        let code = tallyman::domain::epc::Epc::from_hex(code).unwrap();
        let mut passage = passed(n, "P-7");
        if let EventBody::Passage { epc, .. } = &mut passage.body {
            *epc = code;
        }
        passage
    };
    let events: Vec<Event> = vec![
        gone(1, was("Q-1", "30bb01")),
        gone(2, since(was("Q-1", "30bb02"))),
        gone(3, was("P-7", "30bb03")),
        carries(4, "30bb01"),
        carries(5, "30bb02"),
        carries(6, "30bb03"),
        read(7, "30bb01"),
        read(8, "30bb02"),
        read(9, "30bb03"),
    ];
    let newest = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    erase(&node, "P-7", &[]).await;
    erased(&node).await;
    let left = db.rows_of("SELECT epc FROM tallyman.tag_read WHERE epc LIKE '30bb%' ORDER BY epc").await;
    assert_eq!(left, json!([{ "epc": "30bb01" }, { "epc": "30bb02" }]));
    node.close().await;
    db.drop().await;
}
