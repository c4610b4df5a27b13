//! The answers over known data, each with what it must say.

use serde_json::json;

use super::rig::{Database, Node};

/// Two sites, two classes, five assets that are expected and one that is not.
const REGISTER: &str = "BEGIN; SET LOCAL tallyman.writer = 'mirror';
INSERT INTO tallyman.site (name, timezone) VALUES ('hamburg', 'Europe/Berlin'), ('leeds', 'Europe/London');
INSERT INTO tallyman.zone (name, site) VALUES ('hall', 'hamburg'), ('yard', 'hamburg'), ('shed', 'leeds');
INSERT INTO tallyman.asset_class (name, ghost_after, utilisation, needs) VALUES
  ('drill', '4 hours', 'custody', '{}'), ('forklift', NULL, 'movement', '{charger}'), ('charger', NULL, 'movement', '{}');
INSERT INTO tallyman.person (id, name, team) VALUES ('P-7', 'Ada', 'night shift');
INSERT INTO tallyman.asset (id, class, home_zone, lifecycle, part_of) VALUES
  ('D-1', 'drill', 'hall', 'in-service', NULL), ('D-2', 'drill', 'hall', 'in-service', NULL),
  ('D-3', 'drill', 'shed', 'in-maintenance', NULL), ('D-9', 'drill', 'hall', 'retired', NULL),
  ('F-1', 'forklift', 'yard', 'in-service', NULL), ('F-2', 'forklift', 'yard', 'in-service', NULL),
  ('C-1', 'charger', 'yard', 'in-service', 'F-1');
INSERT INTO tallyman.sensor (device, asset) VALUES ('bms/1', 'F-1');
COMMIT;
CREATE FUNCTION pg_temp_event(k text, subject_asset text, ago interval, seq bigint, who text, due interval, z text)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO tallyman.location_event (event_id, node, epoch, seq, version, kind, subject, source, observed_at, received_at,
    recorded_at, late, asset, holder, due_back, zone, body)
  VALUES (gen_random_uuid(), 'n1', gen_random_uuid(), seq, 1, k, 'asset:' || subject_asset, 's', now() - ago,
    now() - ago, now() - ago, false, subject_asset, who, now() + due, z, '{\"how\": \"dock-1\"}') $$;
CREATE FUNCTION pg_temp_alert(i int, r text, a text, t text, ago interval) RETURNS void LANGUAGE sql AS $$
  INSERT INTO tallyman.alert_event (event_id, node, epoch, seq, version, kind, site, subject, source, observed_at,
    received_at, recorded_at, late, rule, about, transition, incident, body)
  VALUES (gen_random_uuid(), 'n1', gen_random_uuid(), 1, 1, 'alert', 'hamburg', 'node', 's', now() - ago, now() - ago,
    now() - ago, false, r, a, t, lpad(i::text, 32, '0')::uuid, '{}') $$;";

/// D-1 went to Ada twice, late both times, and is back; D-2 is out to Bo, past due. F-1 drove through a door; F-2 was
/// used too long ago.
const EVENTS: &str = "
SELECT pg_temp_event('checked-out', 'D-1', '20 days', 1, 'P-7', '-19 days', NULL);
SELECT pg_temp_event('checked-in', 'D-1', '18 days', 2, 'P-7', NULL, NULL);
SELECT pg_temp_event('checked-out', 'D-1', '10 days', 3, 'P-7', '-9 days', NULL);
SELECT pg_temp_event('checked-in', 'D-1', '8 days', 4, 'P-7', NULL, NULL);
SELECT pg_temp_event('checked-out', 'D-2', '2 days', 5, 'Bo', '-1 day', NULL);
SELECT pg_temp_event('passage', 'F-1', '3 hours', 6, NULL, NULL, 'hall');
SELECT pg_temp_event('used', 'F-1', '3 hours', 6, NULL, NULL, NULL);
SELECT pg_temp_event('used', 'F-2', '31 days', 1, NULL, NULL, NULL);
SELECT pg_temp_event('presence', 'F-2', '3 hours', 7, NULL, NULL, 'yard');
SELECT pg_temp_event('presence', 'F-2', '2 hours', 8, NULL, NULL, 'yard');
SELECT pg_temp_alert(1, 'overdue-return', 'D-1', 'fired', '19 days');
SELECT pg_temp_alert(1, 'overdue-return', 'D-1', 'acknowledged', '19 days'::interval - '10 minutes'::interval);
SELECT pg_temp_alert(1, 'overdue-return', 'D-1', 'resolved', '18 days');
SELECT pg_temp_alert(2, 'overdue-return', 'D-1', 'fired', '9 days');
SELECT pg_temp_alert(2, 'overdue-return', 'D-1', 'acknowledged', '9 days'::interval - '30 minutes'::interval);
SELECT pg_temp_alert(2, 'overdue-return', 'D-1', 'resolved', '7 days');
SELECT pg_temp_alert(3, 'overdue-return', 'D-2', 'fired', '1 day');
INSERT INTO tallyman.asset_current (asset, holder, due_back, sensed_at, last_kind, last_event_id, node, epoch, seq, recorded_at)
VALUES ('D-1', NULL, NULL, now() - interval '1 hour', 'presence', gen_random_uuid(), 'n1', gen_random_uuid(), 1, now()),
  ('D-2', 'Bo', now() - interval '1 day', now() - interval '5 hours', 'checked-out', gen_random_uuid(), 'n1', gen_random_uuid(), 1, now()),
  ('F-1', NULL, NULL, now() - interval '5 hours', 'passage', gen_random_uuid(), 'n1', gen_random_uuid(), 1, now());
INSERT INTO tallyman.alert_current (node, rule, about, state, severity, summary, incident, last_transition, epoch, seq, recorded_at)
VALUES ('n1', 'ghost', 'D-2', 'firing', 'warning', '', gen_random_uuid(), 'fired', gen_random_uuid(), 1, now()),
  ('n1', 'ghost', 'D-1', 'resolved', 'warning', '', gen_random_uuid(), 'resolved', gen_random_uuid(), 1, now()),
  ('n1', 'condition', 'bms/1/temperature/hi', 'firing', 'warning', '', gen_random_uuid(), 'fired', gen_random_uuid(), 1, now());";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answers_are_right() {
    let Some(db) = Database::create("answers").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open("n1", &dir.path().join("journal"), &db.url).await.forward();
    let last = node.commit(super::events::samples(0..1)).await;
    db.forwarded("n1", last).await;
    node.close().await;
    db.execute_all(REGISTER).await;
    db.execute_all(EVENTS).await;
    custody(&db).await;
    register(&db).await;
    readiness(&db).await;
    audits(&db).await;
    dashboard(&db).await;
    db.drop().await;
}

/// What the dashboard asks is what the database answers; Grafana puts in its macros before.
async fn dashboard(db: &Database) {
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../../deploy/grafana/operations.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
    let (mut asked, mut answered) = (0, Vec::new());
    for panel in panels {
        let sql = panel["targets"][0]["rawSql"].as_str().unwrap();
        let sql = sql
            .replace("$__timeFilter(observed_at)", "observed_at BETWEEN now() - interval '30 days' AND now()")
            .replace("${site:sqlstring}", "'hamburg', 'leeds'")
            .replace("$__interval", "5m");
        assert!(!sql.contains('$'), "{sql}");
        asked += 1;
        if db.rows_of(&sql).await.as_array().is_some_and(|rows| !rows.is_empty()) {
            answered.push(panel["title"].as_str().unwrap());
        }
    }
    assert!(asked >= 15 && answered.len() >= asked - 3, "{answered:?} of {asked}");
}

async fn audits(db: &Database) {
    let audit = |ago: &str, change: &str, found: u32| {
        format!(
            "INSERT INTO tallyman.command_log (event_id, node, epoch, seq, version, kind, subject, source, observed_at,
               received_at, recorded_at, late, given_by, body)
             VALUES (gen_random_uuid(), 'n1', gen_random_uuid(), 1, 1, 'audit', 'node', 's', now() - interval '{ago}', now(),
               now(), false, 'crib', '{{\"change\": \"{change}\", \"audit\": {{\"id\": \"a-{found}\", \"zones\": [\"hall\"],
               \"figures\": {{\"expected\": 9, \"found\": {found}, \"missing\": 2, \"elsewhere\": 1, \"unexpected\": 3}}}}}}')"
        )
    };
    for sql in [audit("2 days", "closed", 6), audit("1 day", "closed", 8), audit("1 hour", "cancelled", 7)] {
        db.execute(&sql).await;
    }
    assert_eq!(
        db.rows_of("SELECT audit, zones, expected, found, unexpected, accuracy FROM tallyman.audit_accuracy ORDER BY ended_at").await,
        json!([
            {"audit": "a-6", "zones": ["hall"], "expected": 9, "found": 6, "unexpected": 3, "accuracy": 0.75},
            {"audit": "a-8", "zones": ["hall"], "expected": 9, "found": 8, "unexpected": 3, "accuracy": 1.0},
        ])
    );
}

async fn custody(db: &Database) {
    let last = "SELECT asset, holder, holder_name, team, checked_in_at IS NOT NULL AS back, how FROM tallyman.last_holder ORDER BY asset";
    assert_eq!(
        db.rows_of(last).await,
        json!([
            {"asset": "D-1", "holder": "P-7", "holder_name": "Ada", "team": "night shift", "back": true, "how": "dock-1"},
            {"asset": "D-2", "holder": "Bo", "holder_name": null, "team": null, "back": false, "how": null},
        ])
    );
    assert_eq!(
        db.rows_of("SELECT * FROM tallyman.repeat_offender").await,
        json!([{"holder": "P-7", "holder_name": "Ada", "team": "night shift", "checkouts": 2, "overdue": 2, "overdue_share": 1.0}])
    );
    assert_eq!(
        db.rows_of("SELECT * FROM tallyman.unreturned").await,
        json!([{"site": "hamburg", "home_zone": "hall", "checkouts": 3, "returned": 2, "still_out": 1, "past_due": 1,
            "unreturned_share": 0.3333}])
    );
    let response = "SELECT rule, site, incidents, acknowledged, restored,
        extract(epoch FROM mean_time_to_acknowledge)::int AS ack_s, extract(epoch FROM mean_time_to_restore)::int AS restore_s
        FROM tallyman.alert_response";
    assert_eq!(
        db.rows_of(response).await,
        json!([{"rule": "overdue-return", "site": "hamburg", "incidents": 3, "acknowledged": 2, "restored": 2,
            "ack_s": 1200, "restore_s": 129_600}])
    );
}

async fn register(db: &Database) {
    let row = |class: &str, site: &str, assets: u32, utilised: u32, share: f64| {
        json!({"class": class, "site": site, "assets": assets, "utilised": utilised, "idle": assets - utilised,
            "utilised_share": share})
    };
    assert_eq!(
        db.rows_of("SELECT * FROM tallyman.utilisation").await,
        json!([
            row("charger", "hamburg", 1, 0, 0.0),
            row("drill", "hamburg", 2, 2, 1.0),
            row("drill", "leeds", 1, 0, 0.0),
            row("forklift", "hamburg", 2, 1, 0.5),
        ])
    );
    // Over the last day D-1 was not out: only what Bo still holds is in use.
    let day =
        "SELECT utilised FROM tallyman.utilisation_over('1 day') WHERE class = 'drill' AND site = 'hamburg'";
    assert_eq!(db.number(day).await, 1);
    let sensed =
        "SELECT class, site, assets, sensed, sensed_share FROM tallyman.register_sensed ORDER BY class, site";
    assert_eq!(
        db.rows_of(sensed).await,
        json!([
            {"class": "charger", "site": "hamburg", "assets": 1, "sensed": 0, "sensed_share": 0.0},
            {"class": "drill", "site": "hamburg", "assets": 2, "sensed": 1, "sensed_share": 0.5},
            {"class": "drill", "site": "leeds", "assets": 1, "sensed": 0, "sensed_share": 0.0},
            {"class": "forklift", "site": "hamburg", "assets": 2, "sensed": 1, "sensed_share": 0.5},
        ])
    );
    let ghosts = "SELECT class, site, assets, ghosts, ghost_share FROM tallyman.ghost_share WHERE ghosts > 0";
    assert_eq!(
        db.rows_of(ghosts).await,
        json!([{"class": "drill", "site": "hamburg", "assets": 2, "ghosts": 1, "ghost_share": 0.5}])
    );
}

async fn readiness(db: &Database) {
    let ready = "SELECT asset, ready, reasons FROM tallyman.ready_tomorrow ORDER BY asset";
    assert_eq!(
        db.rows_of(ready).await,
        json!([
            {"asset": "C-1", "ready": true, "reasons": []},
            {"asset": "D-1", "ready": true, "reasons": []},
            {"asset": "D-2", "ready": false, "reasons": ["checked out to Bo, past due", "alert ghost"]},
            {"asset": "D-3", "ready": false, "reasons": ["in-maintenance"]},
            {"asset": "F-1", "ready": false, "reasons": ["alert condition"]},
            {"asset": "F-2", "ready": false, "reasons": ["kit lacks charger"]},
        ])
    );
    // Six in the morning of the site, whatever its offset is then.
    let clock = "SELECT DISTINCT at_site, (at AT TIME ZONE s.timezone)::time::text AS clock,
        (at AT TIME ZONE s.timezone)::date - (now() AT TIME ZONE s.timezone)::date AS days
        FROM tallyman.ready_tomorrow JOIN tallyman.site s ON s.name = at_site ORDER BY at_site";
    assert_eq!(
        db.rows_of(clock).await,
        json!([{"at_site": "hamburg", "clock": "06:00:00", "days": 1}, {"at_site": "leeds", "clock": "06:00:00", "days": 1}])
    );
}
