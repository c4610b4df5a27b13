//! People in the database: how much of it is touched at once and for what, and what goes after its time, by whose
//! register.

use std::time::Duration;

use serde_json::{Value, json};
use tallyman::config::RegisterOwner;
use tallyman::domain::erasure::Erasure;
use tallyman::domain::events::{Event, EventBody, Subject};
use tallyman::domain::register::Reached;
use tallyman::domain::state::{StateKind, StateRow};
use tallyman::journal::Batch;
use tallyman::store::timescale::Keep;

use super::events::{asset, at, event, fix};
use super::people::{LABEL, ago_by, begin, begin_anew, checked_out, erase, erased, passed, read};
use super::rig::eventually;

#[tokio::test]
async fn what_an_import_did_at_one_moment_is_done_in_parts() {
    const CHECKOUTS: u64 = 2_500;
    let Some((db, _folder, node)) = begin("people_import").await else { return };
    let node = node.forward();
    // As many again are of somebody whose number has theirs in it.
    let at_once = (0..2 * CHECKOUTS).map(|n| {
        let holder = if n % 2 == 0 { "P-7" } else { "XP-70" };
        Event { observed_at: at(1), ..checked_out(n, holder) }
    });
    let newest = node.commit(Batch { events: at_once.collect(), ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    db.execute_all(
        "CREATE TABLE public.written (part xid8 NOT NULL);
         CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO public.written VALUES (pg_current_xact_id()); RETURN NEW; END $$;
         CREATE TRIGGER note BEFORE UPDATE ON tallyman.location_event FOR EACH ROW EXECUTE FUNCTION public.note()",
    )
    .await;
    erase(&node, "P-7", &[]).await;
    erased(&node).await;
    let theirs = format!("SELECT count(*) FROM tallyman.location_event WHERE holder = '{LABEL}'");
    assert_eq!(db.number(&theirs).await, CHECKOUTS as i64);
    assert_eq!(db.number("SELECT count(*) FROM public.written").await, CHECKOUTS as i64);
    let largest = "SELECT max(rows) FROM (SELECT count(*) AS rows FROM public.written GROUP BY part::text) p";
    let largest = db.number(largest).await;
    assert!((1..=2_000).contains(&largest), "{largest} rows at once");
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn what_a_node_wrote_that_is_gone_is_pruned_by_those_that_are_left() {
    let Some((db, _folder, mut node)) = begin("people_nodes").await else { return };
    let day = Duration::from_secs(86_400);
    node.keep = Keep { people: day * 7, drivers: day * 30 };
    let node = node.forward();
    let newest =
        node.commit(Batch { events: vec![ago_by(passed(1, "P-7"), 1, 1)], ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    // One that keeps them for longer, one that is silent for as long as we keep them, one of which nothing is left.
    for (n, (other, silent)) in
        [("keeps-1", Some("6 days")), ("silent-1", Some("8 days")), ("gone-1", None)].iter().enumerate()
    {
        if let Some(silent) = silent {
            db.execute(&format!(
                "INSERT INTO tallyman.forward_watermark (node, epoch, last_seq, updated_at)
                 VALUES ('{other}', gen_random_uuid(), 1, now() - interval '{silent}')"
            ))
            .await;
        }
        db.execute(&format!(
            "INSERT INTO tallyman.location_event (event_id, node, epoch, seq, version, kind, subject, source,
               observed_at, received_at, recorded_at, late, body)
             SELECT gen_random_uuid(), '{other}', gen_random_uuid(), {n}, 1, 'presence', 'person:Q-' || d, 's',
               now() - make_interval(days => d), now(), now(), false, '{{}}' FROM generate_series(3, 300, 3) d"
        ))
        .await;
    }
    begin_anew(&node, &db).await;
    let left = "SELECT node, count(*) FROM tallyman.location_event GROUP BY node ORDER BY node";
    let expected: Value = json!([{ "node": "gone-1", "count": 2 }, { "node": "keeps-1", "count": 100 },
        { "node": "north-1", "count": 1 }, { "node": "silent-1", "count": 2 }]);
    eventually("theirs are gone", async || (db.rows_of(left).await == expected).then_some(())).await;
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn what_other_journals_recorded_since_it_was_asked_for_is_not_erased() {
    let Some((db, _folder, node)) = begin("people_others").await else { return };
    let node = node.forward();
    // Of this journal the number says it: all are recorded later than it is asked for.
    let events = vec![checked_out(1, "P-7"), checked_out(2, "Ada King"), checked_out(3, "Bo Diaz")];
    let newest = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("north-1", newest).await;
    let envelope = "event_id, node, epoch, seq, version, kind, subject, source, observed_at, received_at,
        recorded_at, late, body";
    let recorded = |of: &str, seq: u64, seconds: &str, kind: &str, subject: &str| {
        format!(
            "gen_random_uuid(), '{of}', gen_random_uuid(), {seq}, 1, '{kind}', '{subject}', 's', now(), now(),
               timestamptz '{}' + interval '{seconds} s', false",
            at(0)
        )
    };
    // Another node, and a journal that this node had before; both before it is asked for, and after.
    for (seq, (of, seconds)) in
        (101..).zip([("south-1", "-1"), ("south-1", "1"), ("north-1", "-1"), ("north-1", "1")])
    {
        let row = recorded(of, seq, seconds, "checked-out", "asset:D-1");
        let sql = format!(
            "INSERT INTO tallyman.location_event ({envelope}, holder) SELECT {row}, '{{}}'::jsonb, 'P-7'"
        );
        db.execute(&sql).await;
    }
    for (seq, name, seconds) in [(201, "Ada King", "-1"), (202, "Bo Diaz", "1")] {
        let row = recorded("south-1", seq, seconds, "register", "person:P-7");
        let body = json!({ "after": { "name": name } });
        db.execute(&format!("INSERT INTO tallyman.command_log ({envelope}) SELECT {row}, '{body}'::jsonb"))
            .await;
    }
    // The current state, as another node wrote it.
    for (name, seconds) in [("before", "-1"), ("since", "1")] {
        let at = format!("timestamptz '{}' + interval '{seconds} s'", at(0));
        let row = format!("'south-1', gen_random_uuid(), 1, {at}");
        db.execute_all(&format!(
            "INSERT INTO tallyman.asset_current (node, epoch, seq, recorded_at, asset, holder, custody_at,
               last_kind, last_event_id) SELECT {row}, '{name}', 'P-7', {at}, 'checked-out', gen_random_uuid();
             INSERT INTO tallyman.alert_current (node, epoch, seq, recorded_at, rule, about, state, severity,
               summary, incident, last_transition, pending_since)
             SELECT {row}, 'overdue-return', '{name}', 'firing', 'warning', 'P-7 has it', gen_random_uuid(),
               'fired', {at}"
        ))
        .await;
    }
    // When an event was recorded that did not fit, nothing says: only a number tells that it is newer.
    db.execute(
        r#"INSERT INTO tallyman.rejected_event (event_id, node, epoch, seq, kind, subject, observed_at_us, error,
             body) SELECT gen_random_uuid(), 'south-1', gen_random_uuid(), 1, 'k', 'asset:D-1', 0, 'no',
             '{"holder": "P-7"}'"#,
    )
    .await;
    erase(&node, "P-7", &[]).await;
    erased(&node).await;
    let holders = db.rows_of("SELECT seq, holder FROM tallyman.location_event ORDER BY seq").await;
    let expected =
        [(1, LABEL), (2, LABEL), (3, "Bo Diaz"), (101, LABEL), (102, "P-7"), (103, LABEL), (104, "P-7")];
    let expected: Vec<Value> =
        expected.iter().map(|(seq, holder)| json!({ "seq": seq, "holder": holder })).collect();
    assert_eq!(holders, Value::Array(expected));
    let current = "SELECT asset AS about, holder AS says FROM tallyman.asset_current WHERE node = 'south-1'
        UNION ALL SELECT about, summary FROM tallyman.alert_current WHERE node = 'south-1' ORDER BY about, says";
    assert_eq!(
        db.rows_of(current).await,
        json!([{ "about": "before", "says": LABEL }, { "about": "before", "says": format!("{LABEL} has it") },
            { "about": "since", "says": "P-7" }, { "about": "since", "says": "P-7 has it" }])
    );
    let rejected = "SELECT count(*) FROM tallyman.rejected_event WHERE body LIKE '%P-7%'";
    assert_eq!(db.number(rejected).await, 0);
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn the_journal_is_asked_of_rows_that_would_change_and_of_no_others() {
    let Some((db, _folder, node)) = begin("people_asked").await else { return };
    let node = node.forward();
    let mut other = checked_out(2, "XP-70");
    other.subject = Subject::Asset("D-9".into());
    if let EventBody::CheckedOut(checkout) = &mut other.body {
        checkout.asset = "D-9".into();
    }
    // Who asks for this row cannot read it.
    let unreadable = StateRow { value: Some(b"?".to_vec()), ..StateRow::delete(StateKind::Asset, "D-9") };
    let batch =
        Batch { events: vec![checked_out(1, "P-7"), other], state: vec![unreadable], ..Batch::default() };
    let newest = node.commit(batch).await;
    db.forwarded("north-1", newest).await;
    erase(&node, "P-7", &[]).await;
    erased(&node).await;
    let holders = db.rows_of("SELECT holder FROM tallyman.asset_current ORDER BY asset").await;
    assert_eq!(holders, json!([{ "holder": "XP-70" }, { "holder": LABEL }]));
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn what_was_noted_of_somebody_goes_where_no_journal_knows_of_it() {
    let Some((db, _folder, node)) = begin("people_forsaken").await else { return };
    let node = node.forward();
    let texts = vec!["P-7".to_owned()];
    // Under way, and not the database's turn yet.
    let erasure = Erasure::new(LABEL.to_owned(), "P-7".to_owned(), texts, Vec::new(), at(0));
    let row = StateRow::put(StateKind::Erasure, LABEL, &erasure);
    let newest = node
        .commit(Batch { events: vec![checked_out(1, "P-7")], state: vec![row], ..Batch::default() })
        .await;
    db.forwarded("north-1", newest).await;
    let note = |label: &str, node: &str| {
        format!("INSERT INTO tallyman.erasure VALUES ('{label}', ARRAY['Ada King'], ARRAY['30aa'], {node})")
    };
    for (label, node) in
        [(LABEL, "'north-1'"), ("erased-1", "'north-1'"), ("erased-2", "'south-1'"), ("erased-3", "NULL")]
    {
        db.execute(&note(label, node)).await;
    }
    let other = "INSERT INTO tallyman.forward_watermark (node, epoch, last_seq)
        VALUES ('south-1', gen_random_uuid(), 1)";
    db.execute(other).await;
    begin_anew(&node, &db).await;
    let labels = "SELECT string_agg(label, ' ' ORDER BY label) AS labels FROM tallyman.erasure";
    let only = async |expected: &[&str]| {
        let expected = json!({ "labels": expected.join(" ") });
        eventually("nothing forsaken is left", async || (db.json(labels).await == expected).then_some(()))
            .await;
    };
    only(&[LABEL, "erased-2", "erased-3"]).await;
    // Where there is no other node, it is of nobody else.
    db.execute("DELETE FROM tallyman.forward_watermark WHERE node = 'south-1'").await;
    begin_anew(&node, &db).await;
    only(&[LABEL, "erased-2"]).await;
    node.close().await;
    db.drop().await;
}

#[tokio::test]
async fn raw_reads_are_judged_by_no_register_but_the_one_that_is_mirrored_or_followed() {
    for (owner, test) in
        [(RegisterOwner::Journal, "people_mirrored"), (RegisterOwner::Database, "people_followed")]
    {
        let Some((db, _folder, mut node)) = begin(test).await else { return };
        let day = Duration::from_secs(86_400);
        node.keep = Keep { people: day * 7, drivers: day * 7 };
        node.config.register = owner;
        let node = node.forward();
        eventually("there are tables", async || {
            (db.number("SELECT count(*) FROM tallyman.fix").await >= 0).then_some(())
        })
        .await;
        db.execute("UPDATE tallyman.register_owner SET owner = 'database'").await;
        let seen = |register: &str| {
            let reached = Reached { register: register.to_owned(), snapshot: "1:1:".to_owned() };
            StateRow::put(StateKind::Followed, "seen", &reached)
        };
        let old = [(20, read(1, "30aacc")), (21, event(2, asset("FL-07"), EventBody::Fix(fix(2))))];
        let events = old.into_iter().map(|(days, event)| ago_by(event, days, days.into())).collect();
        let strange = seen("00000000-0000-0000-0000-000000000000");
        let newest = node.commit(Batch { events, state: vec![strange], ..Batch::default() }).await;
        db.forwarded("north-1", newest).await;
        begin_anew(&node, &db).await;
        // Fixes come after reads.
        eventually("reads were looked at", async || {
            (db.number("SELECT count(*) FROM tallyman.fix").await == 0).then_some(())
        })
        .await;
        assert_eq!(db.number("SELECT count(*) FROM tallyman.tag_read").await, 1, "{owner:?}");
        match owner {
            RegisterOwner::Journal => {
                db.execute("UPDATE tallyman.register_owner SET owner = 'journal'").await;
            }
            RegisterOwner::Database => {
                let id = db.json("SELECT id::text AS id FROM tallyman.register_owner").await;
                let followed = seen(id["id"].as_str().unwrap());
                node.commit(Batch { state: vec![followed], ..Batch::default() }).await;
            }
        }
        begin_anew(&node, &db).await;
        eventually("the read is gone", async || {
            (db.number("SELECT count(*) FROM tallyman.tag_read").await == 0).then_some(())
        })
        .await;
        node.close().await;
        db.drop().await;
    }
}
