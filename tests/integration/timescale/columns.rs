//! What arrives: every kind in its table, its columns, current state.

use serde_json::json;
use tallyman::domain::events::{Event, EventBody, Subject};
use tallyman::domain::geodesy::Position;
use tallyman::domain::ids::EventId;
use tallyman::domain::motion::{Motion, MotionChange};
use tallyman::domain::readings::{Fix, Quality, Sample};
use tallyman::domain::register::Utilisation;
use tallyman::domain::sightings::FenceChange;
use tallyman::journal::Batch;

use super::events::{asset, at, event, fix, one_of_each, sample, samples};
use super::rig::{Database, Node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_arrives_in_its_table() {
    let Some(db) = Database::create("every_kind").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    let events = one_of_each();
    let last = node.commit(Batch { events: events.clone(), ..Batch::default() }).await;
    db.forwarded("n1", last).await;

    for (table, rows) in [
        ("location_event", 7),
        ("fix", 1),
        ("sample", 1),
        ("condition_event", 3),
        ("tag_read", 1),
        ("alert_event", 1),
        ("command_log", 1),
        ("gap", 2),
        ("rejected_event", 0),
    ] {
        assert_eq!(db.number(&format!("SELECT count(*) FROM tallyman.{table}")).await, rows, "{table}");
    }
    envelope(&db, &events).await;
    own_columns(&db).await;
    current(&db).await;
    node.close().await;
    db.drop().await;
}

async fn envelope(db: &Database, events: &[Event]) {
    let id = events[0].id.to_string();
    let sql =
        "SELECT replace(event_id::text, '-', '') AS id, node, seq, version, kind, site, subject, source,
        extract(epoch FROM observed_at)::text AS observed, extract(epoch FROM received_at)::text AS received,
        extract(epoch FROM recorded_at)::text AS recorded, late, confidence, body->>'read_point' AS in_body
        FROM tallyman.location_event WHERE kind = 'presence'";
    assert_eq!(
        db.json(sql).await,
        json!({
            "id": id, "node": "n1", "seq": 1, "version": 1, "kind": "presence", "site": "north",
            "subject": "asset:FL-07", "source": "dock-1", "observed": "1777615201.123456",
            "received": "1777615201.124456", "recorded": "1778615200.123456", "late": false,
            "confidence": null, "in_body": "crib",
        })
    );
}

async fn own_columns(db: &Database) {
    let location = |kind: &str| {
        format!(
            "SELECT asset, epc, change, direction, zone, from_zone, read_point, fence, lat, lon, holder,
               due_back IS NOT NULL AS due FROM tallyman.location_event WHERE kind = '{kind}' LIMIT 1"
        )
    };
    let row = |changes: serde_json::Value| {
        let mut row = json!({"asset": "FL-07", "epc": null, "change": null, "direction": null, "zone": null,
            "from_zone": null, "read_point": null, "fence": null, "lat": null, "lon": null, "holder": null,
            "due": false});
        row.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        row
    };
    let epc = "3034257bf7194e4000001a85";
    assert_eq!(
        db.json(&location("presence")).await,
        row(json!({"epc": epc, "change": "arrived", "zone": "tool-crib", "read_point": "crib"}))
    );
    assert_eq!(
        db.json(&location("passage")).await,
        row(
            json!({"epc": epc, "direction": "out", "zone": "yard", "from_zone": "hall", "read_point": "door-1"})
        )
    );
    assert_eq!(
        db.json(&location("geofence")).await,
        row(json!({"change": "entered", "fence": "depot", "lat": 52.5, "lon": 13.25}))
    );
    assert_eq!(
        db.json(&location("motion")).await,
        row(json!({"change": "stopped", "lat": 52.5, "lon": 13.4}))
    );
    assert_eq!(db.json(&location("checked-out")).await, row(json!({"holder": "Ada", "due": true})));
    assert_eq!(db.json(&location("checked-in")).await, row(json!({"holder": "Ada", "due": true})));

    let fix =
        "SELECT asset, device, lat, lon, accuracy_m, altitude_m, speed_mps, course_deg, battery_percent,
          ignition, odometer_m FROM tallyman.fix";
    assert_eq!(
        db.json(fix).await,
        json!({"asset": "FL-07", "device": "truck/7", "lat": 52.5, "lon": 13.25, "accuracy_m": 8,
            "altitude_m": null, "speed_mps": 3.5, "course_deg": 90, "battery_percent": 77,
            "ignition": true, "odometer_m": 123_456})
    );
    let sample = "SELECT asset, device, point, value, quality FROM tallyman.sample";
    assert_eq!(
        db.json(sample).await,
        json!({"asset": null, "device": "cold-1", "point": "temperature", "value": 13, "quality": "good"})
    );
    let condition = |which: &str| {
        format!(
            "SELECT device, point, limit_name, change, began_at IS NOT NULL AS began, value, threshold, quality,
               zone FROM tallyman.condition_event WHERE {which}"
        )
    };
    assert_eq!(
        db.json(&condition("change = 'began'")).await,
        json!({"device": "cold-1", "point": "temperature", "limit_name": "hi", "change": "began",
            "began": true, "value": 9.5, "threshold": 8, "quality": null, "zone": "cold-room"})
    );
    assert_eq!(
        db.json(&condition("change = 'ended'")).await,
        json!({"device": "cold-1", "point": "temperature", "limit_name": "hi", "change": "ended",
            "began": true, "value": 11.25, "threshold": null, "quality": null, "zone": "cold-room"})
    );
    assert_eq!(
        db.json(&condition("kind = 'sensor-quality'")).await,
        json!({"device": "cold-1", "point": "temperature", "limit_name": null, "change": null,
            "began": false, "value": null, "threshold": null, "quality": "no-communication", "zone": null})
    );
    let read = "SELECT subject, epc, antenna, seen_count, peak_rssi_dbm FROM tallyman.tag_read";
    assert_eq!(
        db.json(read).await,
        json!({"subject": format!("tag:{epc}"), "epc": epc, "antenna": 2, "seen_count": 5,
            "peak_rssi_dbm": -61.5})
    );
    let alert = "SELECT rule, about, transition, state, severity, incident::text FROM tallyman.alert_event";
    assert_eq!(
        db.json(alert).await,
        json!({"rule": "ghost", "about": "FL-07", "transition": "fired", "state": "firing",
            "severity": "warning", "incident": "09090909-0909-0909-0909-090909090909"})
    );
    let command = "SELECT given_by, command FROM tallyman.command_log";
    assert_eq!(db.json(command).await, json!({"given_by": "ada", "command": "check-in"}));
    let gaps = "SELECT gap_from IS NOT NULL AS bounded, up, reason FROM tallyman.gap WHERE kind = ";
    assert_eq!(
        db.json(&format!("{gaps} 'gap'")).await,
        json!({"bounded": true, "up": null, "reason": "restart"})
    );
    assert_eq!(
        db.json(&format!("{gaps} 'link'")).await,
        json!({"bounded": false, "up": false, "reason": "closed"})
    );
}

async fn current(db: &Database) {
    let asset =
        "SELECT asset, site, zone, present, read_point, lat, lon, holder, due_back IS NOT NULL AS due,
        sensed_by, last_kind, seq FROM tallyman.asset_current";
    assert_eq!(
        db.json(asset).await,
        json!({"asset": "FL-07", "site": "north", "zone": "yard", "present": true, "read_point": "door-1",
            "lat": 52.5, "lon": 13.25, "holder": "Ada", "due": true, "sensed_by": "truck/7",
            "last_kind": "checked-out", "seq": 7})
    );
    let sensor = "SELECT device, point, value, quality, limits, seq FROM tallyman.sensor_current";
    assert_eq!(
        db.json(sensor).await,
        json!({"device": "cold-1", "point": "temperature", "value": null, "quality": "no-communication",
            "limits": {"hi": null}, "seq": 11})
    );
    let alert = "SELECT rule, about, state, last_transition, fired_at IS NOT NULL AS fired
        FROM tallyman.alert_current";
    assert_eq!(
        db.json(alert).await,
        json!({"rule": "ghost", "about": "FL-07", "state": "firing", "last_transition": "fired", "fired": true})
    );
}

/// Of what comes in thousands, the body holds only what no column does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_a_column_is_in_no_body() {
    let Some(db) = Database::create("parted").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    let read = one_of_each().into_iter().find(|event| event.body.kind() == "tag-read").unwrap();
    let said = Sample { text: Some("Defrost".to_owned()), ..sample_of(41) };
    let (plain, retained, of_another_time) = (fix(31), Fix { retained: true, ..fix(32) }, fix(4));
    let events = vec![
        read,
        event(31, asset("FL-07"), EventBody::Fix(plain)),
        event(32, asset("FL-07"), EventBody::Fix(retained)),
        event(33, asset("FL-07"), EventBody::Fix(of_another_time)),
        event(40, asset("FL-07"), EventBody::Sample(sample_of(40))),
        event(41, asset("FL-07"), EventBody::Sample(said)),
    ];
    let last = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("n1", last).await;
    let bodies = "SELECT json_agg(body ORDER BY seq) AS bodies FROM (SELECT seq, body FROM tallyman.tag_read
        UNION ALL SELECT seq, body FROM tallyman.fix UNION ALL SELECT seq, body FROM tallyman.sample) e";
    let expected = json!([
        {}, {}, {"retained": true}, {"observed_at": "2026-05-01T06:00:04.123456Z"}, {}, {"text": "Defrost"},
    ]);
    assert_eq!(db.json(bodies).await, json!({"bodies": expected}));
    node.close().await;
    db.drop().await;
}

fn sample_of(n: u64) -> Sample {
    let EventBody::Sample(said) = sample(n).body else { panic!("a sample") };
    said
}

/// In the same transaction as the sample, or in a later one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_value_stays_with_the_time_at_which_it_was_read() {
    let Some(db) = Database::create("current_stale").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    let kinds = |kind: &str| one_of_each().into_iter().find(|event| event.body.kind() == kind).unwrap();
    let (sample, quality) = (kinds("sample"), kinds("sensor-quality"));
    let EventBody::Sample(said) = &sample.body else { panic!("{sample:?}") };
    let good = EventBody::Sample(Sample { value: Some(4.5), quality: Quality::Good, ..said.clone() });
    let (device, point) = (said.device.clone(), said.point.clone());
    let stale = EventBody::SensorQuality { device, point, quality: Quality::Stale };
    let sample = Event { observed_at: at(50), body: good, ..sample };
    let stale = Event { observed_at: at(60), body: stale, ..quality };
    let current =
        "SELECT value, quality, extract(epoch FROM observed_at)::bigint AS at FROM tallyman.sensor_current";
    let expected = json!({"value": 4.5, "quality": "stale", "at": at(50).as_micros() / 1_000_000});
    let first = node.commit(Batch { events: vec![sample.clone(), stale.clone()], ..Batch::default() }).await;
    db.forwarded("n1", first).await;
    assert_eq!(db.json(current).await, expected);
    let (sample, stale) = (Event { id: EventId([7; 16]), ..sample }, Event { id: EventId([8; 16]), ..stale });
    node.commit(Batch { events: vec![sample], ..Batch::default() }).await;
    node.commit(Batch { events: vec![stale], ..Batch::default() }).await;
    db.forwarded("n1", first + 2).await;
    assert_eq!(db.json(current).await, expected);
}

/// A later batch rewrites a group of columns and leaves the others; what is late rewrites nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn current_state_moves_forward_group_by_group() {
    let Some(db) = Database::create("current_forward").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    let events = one_of_each();
    let checked_in = Event { id: EventId([7; 16]), observed_at: at(50), ..events[5].clone() };
    let late = Event { id: EventId([8; 16]), late: true, ..events[0].clone() };
    let told_of = events[5].clone();
    let first = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("n1", first).await;
    // What says that it is used says nothing new of where it is.
    let body = EventBody::Used { by: Utilisation::Movement };
    let used = Event { id: EventId([9; 16]), observed_at: at(60), body, ..told_of };
    node.commit(Batch { events: vec![checked_in, late, used], ..Batch::default() }).await;
    db.forwarded("n1", first + 3).await;
    assert_eq!(db.number("SELECT count(*) FROM tallyman.location_event WHERE kind = 'used'").await, 1);
    let asset = "SELECT zone, holder, due_back, lat, last_kind FROM tallyman.asset_current";
    assert_eq!(
        db.json(asset).await,
        json!({"zone": "yard", "holder": null, "due_back": null, "lat": 52.5, "last_kind": "checked-in"})
    );
    assert_eq!(db.number("SELECT count(*) FROM tallyman.location_event WHERE late").await, 1);
    node.close().await;
    db.drop().await;
}

/// A visit to a fence says where the first of its fixes was, a stop where it began: whatever is told later, the newest
/// position stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_never_goes_back() {
    let Some(db) = Database::create("current_position").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    let placed = |n: u64, lat: f64| Fix { position: Position { lat, lon: 13.0 }, ..fix(n) };
    let fixed = |n: u64, lat: f64| event(n, asset("FL-07"), EventBody::Fix(placed(n, lat)));
    let visit = |n: u64, lat: f64, inferred: bool| {
        let (change, fence) = (FenceChange::Entered, "depot".into());
        event(n, asset("FL-07"), EventBody::Geofence { change, fence, fix: placed(n, lat), inferred })
    };
    let stopped = |n: u64| {
        let (change, position) = (MotionChange::Stopped, Position { lat: 50.0, lon: 13.0 });
        let motion = Motion { change, position, since: None, left_by: None, trip: None };
        event(n, asset("FL-07"), EventBody::Motion { device: "truck/7".into(), motion })
    };
    let current =
        "SELECT lat, positioned_at = sensed_at AS sensed, extract(epoch FROM positioned_at)::bigint AS at,
        last_kind, seq FROM tallyman.asset_current";
    let start = at(0).as_micros() / 1_000_000;
    // Older ones in the same transaction, in one of their own, and a newer one.
    for (events, lat, n, kind, seq) in [
        (vec![fixed(20, 52.3), visit(10, 51.1, false), stopped(5)], 52.3, 20, "geofence", 2_u64),
        (vec![visit(12, 51.2, false)], 52.3, 20, "geofence", 4),
        (vec![visit(19, 51.9, true)], 52.3, 20, "geofence", 5),
        (vec![fixed(20, 52.4)], 52.4, 20, "fix", 6),
        (vec![stopped(15)], 52.4, 20, "fix", 6),
        (vec![visit(30, 53.1, true)], 53.1, 30, "geofence", 8),
    ] {
        let events = events.into_iter().enumerate().map(|(nth, it)| {
            let id =
                EventId::derive(it.observed_at, &[&seq.to_be_bytes(), &nth.to_be_bytes(), kind.as_bytes()]);
            Event { id, ..it }
        });
        let last = node.commit(Batch { events: events.collect(), ..Batch::default() }).await;
        db.forwarded("n1", last).await;
        let row = json!({"lat": lat, "sensed": true, "at": start + n, "last_kind": kind, "seq": seq});
        assert_eq!(db.json(current).await, row, "after event {last}");
    }
    node.close().await;
    db.drop().await;
}

/// What is in a vehicle is where that is, in whatever it is itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_a_vehicle_is_where_the_outermost_is() {
    let Some(db) = Database::create("vehicles").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    let loaded = |n: u64, what: &str, vehicle: &str| {
        let how = "passed DOCK out".to_owned();
        event(n, asset(what), EventBody::Loaded { vehicle: vehicle.into(), how })
    };
    let truck = Fix { position: Position { lat: 52.3, lon: 13.0 }, ..fix(9) };
    let (docked, undocked) = (
        EventBody::Docked { door: "DOCK".into(), how: "heard at BAY".to_owned() },
        EventBody::Undocked { door: "DOCK".into(), since: at(1) },
    );
    let events = vec![
        event(1, asset("TR-07"), docked),
        loaded(2, "FL-07", "CAGE-1"),
        loaded(3, "CAGE-1", "TR-07"),
        loaded(4, "FL-08", "TR-07"),
        event(
            5,
            asset("FL-08"),
            EventBody::Unloaded { vehicle: "TR-07".into(), how: "passed DOCK in".to_owned() },
        ),
        event(6, asset("TR-07"), undocked),
        event(9, asset("TR-07"), EventBody::Fix(truck)),
    ];
    let last = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("n1", last).await;
    let carried = "SELECT vehicle, vehicles, lat FROM tallyman.whereabouts WHERE asset = 'FL-07'";
    assert_eq!(
        db.json(carried).await,
        json!({"vehicle": "CAGE-1", "vehicles": ["CAGE-1", "TR-07"], "lat": 52.3})
    );
    let out = "SELECT vehicle, vehicles, lat FROM tallyman.whereabouts WHERE asset = 'FL-08'";
    assert_eq!(db.json(out).await, json!({"vehicle": null, "vehicles": [], "lat": null}));
    let told = "SELECT array_agg(kind || ' ' || coalesce(vehicle, read_point) ORDER BY seq) AS told
        FROM tallyman.location_event";
    let expected =
        ["docked DOCK", "loaded CAGE-1", "loaded TR-07", "loaded TR-07", "unloaded TR-07", "undocked DOCK"];
    assert_eq!(db.json(told).await, json!({"told": expected}));
    node.close().await;
    db.drop().await;
}

/// Hypertables are hypertables, with the configured interval, and nothing forbids a double.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_is_as_documented() {
    let Some(db) = Database::create("schema").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    node.commit(samples(0..1)).await;
    db.forwarded("n1", 1).await;
    let hypertables = "SELECT count(*) FROM timescaledb_information.dimensions
        WHERE hypertable_schema = 'tallyman' AND time_interval = INTERVAL '1 day'";
    assert_eq!(db.number(hypertables).await, 5);
    let unique = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'tallyman' AND i.indisunique AND c.relname LIKE '%\\_event'";
    assert_eq!(db.number(unique).await, 0);
    node.close().await;
    db.drop().await;
}

/// A subject that no table column is made for still arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_and_bodies_with_nul_arrive() {
    let Some(db) = Database::create("nul").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    let link = |reason: &str| EventBody::Link { up: false, reason: reason.to_owned() };
    let events = vec![
        event(1, Subject::Node, link("a\0b")),
        event(2, asset("FL\0"), one_of_each()[0].body.clone()),
        event(3, Subject::Node, link("a\\u0000b")),
    ];
    let last = node.commit(Batch { events, ..Batch::default() }).await;
    db.forwarded("n1", last).await;
    let reasons = "SELECT array_agg(reason ORDER BY seq) AS reasons,
        array_agg(body->>'reason' ORDER BY seq) AS bodies FROM tallyman.gap";
    let expected = json!(["a\u{fffd}b", "a\\u0000b"]);
    assert_eq!(db.json(reasons).await, json!({"reasons": expected, "bodies": expected}));
    let subject = "SELECT subject, asset FROM tallyman.location_event";
    assert_eq!(db.json(subject).await, json!({"subject": "asset:FL\u{fffd}", "asset": "FL\u{fffd}"}));
    assert_eq!(db.number("SELECT count(*) FROM tallyman.asset_current").await, 1);
    assert_eq!(db.number("SELECT count(*) FROM tallyman.rejected_event").await, 0);
    node.close().await;
    db.drop().await;
}

/// What the daemon says of readiness stands in the current row, and in the answer, until it says otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_moves_forward() {
    let Some(db) = Database::create("readiness").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    let said =
        |n: u64, body: serde_json::Value| event(n, asset("FL-07"), serde_json::from_value(body).unwrap());
    let not = json!({"kind": "readiness", "ready": false, "reasons": [{"reason": "kit-misses", "class": "charger"}]});
    let last = node.commit(Batch { events: vec![said(1, not)], ..Batch::default() }).await;
    db.forwarded("n1", last).await;
    db.execute_all(
        "BEGIN; SET LOCAL tallyman.writer = 'mirror';
         INSERT INTO tallyman.asset (id, class) VALUES ('FL-07', 'forklift'); COMMIT",
    )
    .await;
    let current = "SELECT ready, not_ready FROM tallyman.asset_current";
    assert_eq!(
        db.json(current).await,
        json!({"ready": false, "not_ready": [{"reason": "kit-misses", "class": "charger"}]})
    );
    let answer = "SELECT ready, reasons FROM tallyman.readiness_at(now())";
    assert_eq!(db.json(answer).await, json!({"ready": false, "reasons": ["kit-misses charger"]}));
    let ready = said(2, json!({"kind": "readiness", "ready": true}));
    let moved = Event { id: EventId([9; 16]), observed_at: at(3), ..one_of_each()[0].clone() };
    let last = node.commit(Batch { events: vec![ready, moved], ..Batch::default() }).await;
    db.forwarded("n1", last).await;
    assert_eq!(db.json(current).await, json!({"ready": true, "not_ready": []}));
    assert_eq!(db.json(answer).await, json!({"ready": true, "reasons": []}));
    node.close().await;
    db.drop().await;
}
