use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::domain::alerts::Alert;
use crate::domain::audits::{Audit, AuditPart};
use crate::domain::commands::Command;
use crate::domain::events::EventBody;
use crate::domain::register::{Checkout, Record};
use crate::domain::state::AssetCurrent;

const BADGE: &str = "3034257bf7194e4000001a85";
const LABEL: &str = "erased-00112233aabbccdd";
const CODE: &str = "00112233aabbccdd";

fn eraser_of(person: &str, names: &[&str]) -> Eraser {
    let texts = [person].iter().chain(names).map(|text| (*text).to_owned()).collect();
    let badges = vec![Epc::from_hex(BADGE).unwrap()];
    let erase = Erasure::new(LABEL.to_owned(), person.to_owned(), texts, badges, Timestamp::from_secs(0));
    Eraser::new(&erase)
}

fn eraser() -> Eraser {
    eraser_of("P-7", &["Ada Lovelace", "Ada"])
}

#[test]
fn a_name_goes_before_a_part_of_it() {
    let text = |text: &str| eraser().text(text);
    assert_eq!(text("to P-7, then (ada lovelace)").unwrap(), format!("to {LABEL}, then ({LABEL})"));
    assert_eq!(text(&BADGE.to_uppercase()).unwrap(), CODE);
    assert_eq!(text("nobody of ours"), None);
}

#[test]
fn what_is_called_the_same_and_is_no_person_stays() {
    let mut body = json!({
        "kind": "handed-over", "asset": "P-7", "holder": "Ada Lovelace", "from": "P-7", "zone": "Ada",
        "how": "sensed passing P-7 with P-7", "candidates": [{ "person": "P-7" }],
        "alert": { "key": { "rule": "ghost", "subject": "P-7" } },
    });
    assert!(eraser().json(&mut body));
    assert_eq!(body["asset"], "P-7");
    assert_eq!(body["zone"], "Ada");
    assert_eq!(body["alert"]["key"]["subject"], "P-7");
    assert_eq!([&body["holder"], &body["from"], &body["candidates"][0]["person"]], [LABEL; 3]);
    for same in [
        json!({ "kind": "passage", "from": "Ada", "to": "P-7", "portal": "P-7" }),
        json!({ "table": "asset", "id": "P-7" }),
        json!({ "table": "zone", "name": "Ada", "site": "P-7", "key": "P-7" }),
        json!({ "table": "asset", "key": "P-7", "before": { "table": "asset", "id": "P-7", "class": "Ada" } }),
        json!({ "subject": "asset:P-7", "asset": "P-7" }),
        json!({ "rule": "zombie", "subject": "at P-7" }),
    ] {
        assert!(!eraser().json(&mut same.clone()), "{same}");
    }
}

/// Everything that an event or a row has of times, states and figures, with somebody in it whose number is `id`.
fn history(id: &str) -> Vec<Value> {
    let at = "2026-11-30T07:30:07Z";
    let checkout = json!({
        "asset": id, "holder": id, "checked_out_at": at, "due_back": at, "note": format!("for {id}"),
        "waived": [{ "reason": "quarantined", "why": format!("{id} dropped it") },
                   { "reason": "inspection-due", "since": at },
                   { "reason": "kit-part", "part": id, "class": id, "trouble": { "checked-out": id } }],
    });
    let with = |more: Value| {
        let mut all = checkout.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    vec![
        with(json!({ "kind": "checked-out" })),
        with(json!({ "kind": "handed-over", "from": id, "how": format!("with {id} at {at}") })),
        json!({ "kind": "passage", "direction": "out", "epc": BADGE, "portal": id, "from": id, "to": id,
            "evidence": { "started_at": at, "ended_at": at, "antennas": [] } }),
        json!({ "kind": "gap", "from": at, "to": at, "reason": "away" , "by": id}),
        json!({ "kind": "proposal", "change": "made", "from": id, "candidates": [{ "person": id, "passed_at": at }],
            "portal": id, "direction": "out", "passed_at": at, "confidence": 0.5 }),
        json!({ "kind": "command", "by": id, "command": "snooze", "until": at,
            "alert": { "rule": "repeat-offender", "subject": id } }),
        json!({ "kind": "register", "by": id, "table": "site", "key": id,
            "after": { "table": "site", "name": id, "timezone": "UTC",
                "calendar": { "working_hours": "mon-fri 07:00-17:30", "holidays": ["2026-11-30"] } } }),
        json!({ "kind": "register", "by": "erp", "table": "tag", "key": format!("{BADGE}@{at}"),
            "before": { "table": "tag", "epc": BADGE, "person": id, "from": at, "to": "2026-12-30T07:30:07Z" } }),
        json!({ "kind": "register", "by": "erp", "table": "person", "key": id,
            "before": { "table": "person", "id": id, "name": "Ada" } }),
        json!({ "kind": "audit", "change": "closed", "by": id, "audit": {
            "id": id, "scope": { "zones": [id] }, "zones": [id], "parts": 1, "state": "closed",
            "opened_at": at, "opened_by": id, "expires_at": at, "ended_at": at, "ended_by": id,
            "figures": { "expected": 30, "found": 7, "missing": 0, "elsewhere": 0, "unexpected": 0,
                "out_at_start": 0 } } }),
        json!({ "kind": "fix", "device": id, "observed_at": at, "lat": 30.0, "lon": 7.0, "digest": 4711, "by": id }),
    ]
}

#[test]
fn times_hours_and_figures_stay_when_a_number_is_like_one_of_them() {
    for id in ["30", "07", "4711", "7", "2026", "mon-fri", "UTC", "closed"] {
        let eraser = eraser_of(id, &[]);
        for before in history(id) {
            let mut after = before.clone();
            assert!(eraser.json(&mut after), "{id}: {before}");
            for pointer in [
                "/checked_out_at",
                "/due_back",
                "/until",
                "/passed_at",
                "/observed_at",
                "/evidence",
                "/waived/1/since",
                "/waived/0/reason",
                "/after/calendar",
                "/after/timezone",
                "/before/from",
                "/before/to",
                "/audit/opened_at",
                "/audit/figures",
                "/audit/state",
                "/audit/id",
                "/audit/scope",
                "/asset",
                "/portal",
                "/device",
                "/digest",
                "/waived/2/part",
                "/candidates/0/passed_at",
            ] {
                assert_eq!(after.pointer(pointer), before.pointer(pointer), "{id}: {pointer} of {before}");
            }
            if before["kind"] == "gap" || before["kind"] == "passage" {
                assert_eq!([&after["from"], &after["to"]], [&before["from"], &before["to"]]);
            }
            let same_type = serde_json::from_value::<EventBody>(after.clone());
            assert!(same_type.is_ok(), "{id}: {after}: {same_type:?}");
        }
    }
}

#[test]
fn a_value_that_would_be_none_any_more_is_an_error() {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Strict {
        by: Timestamp,
    }
    let strict = Strict { by: Timestamp::from_secs(0) };
    let eraser = eraser_of("1970-01-01T00:00:00Z", &[]);
    assert!(eraser.value(&strict).is_err());
    let note = Checkout {
        asset: "A".into(),
        holder: "1970-01-01T00:00:00Z".to_owned(),
        checked_out_at: Timestamp::from_secs(0),
        due_back: None,
        note: None,
        waived: Vec::new(),
    };
    assert_eq!(eraser.value(&note).unwrap().unwrap().holder, LABEL);
}

#[test]
fn records_subjects_and_keys_of_theirs_go() {
    let mut change = json!({
        "kind": "register", "by": "erp", "table": "person", "key": "P-7",
        "before": { "table": "person", "id": "P-7", "name": "Ada Lovelace", "team": "night" },
    });
    assert!(eraser().json(&mut change));
    assert_eq!(change["key"], LABEL);
    assert_eq!(change["before"], json!({ "table": "person", "id": LABEL }));
    let mut tag = json!({
        "table": "tag", "key": format!("{BADGE}@2026-01-01T00:00:00Z"),
        "after": { "table": "tag", "epc": BADGE, "person": "P-7", "from": "2026-01-01T00:00:00Z" },
    });
    assert!(eraser().json(&mut tag));
    assert!(!eraser().mentions(tag.to_string().as_bytes()), "{tag}");
    serde_json::from_value::<Record>(tag["after"].take()).unwrap();
    let eraser = eraser();
    let subject = |text: &str| eraser.subject(text);
    assert_eq!(subject("person:P-7"), Some(format!("person:{LABEL}")));
    assert_eq!(subject(&format!("tag:{BADGE}@2026-01-01T00:00:00Z")), Some(format!("tag:{CODE}")));
    assert_eq!(subject("asset:P-7"), None);
    assert_eq!(subject("node"), None);
}

#[test]
fn rows_of_the_database_are_erased_by_the_same_fields() {
    let eraser = eraser();
    let mut row = json!({
        "rule": "repeat-offender", "about": "Ada Lovelace", "subject": "node", "body": "{\"holder\":\"P-7\"}",
        "observed_at": "2026-05-07T00:00:00Z",
    });
    assert!(eraser.json(&mut row));
    assert_eq!((&row["about"], &row["subject"]), (&LABEL.into(), &"node".into()));
    assert!(!eraser.mentions(row.to_string().as_bytes()), "{row}");
    let mut zombie = json!({ "rule": "zombie", "about": BADGE, "subject": format!("tag:{BADGE}") });
    assert!(eraser.json(&mut zombie));
    assert_eq!((&zombie["about"], &zombie["subject"]), (&CODE.into(), &format!("tag:{CODE}").into()));
    let record = json!({ "table": "person", "id": "P-7" });
    let mut log = json!({ "table_name": "person", "key": "P-7", "changed_by": "ada", "record": record });
    assert!(eraser.json(&mut log));
    assert!(!eraser.mentions(log.to_string().as_bytes()), "{log}");
}

#[test]
fn a_message_holds_a_badge_as_it_is_written_and_as_it_is_on_the_air() {
    let eraser = eraser();
    let onair = Epc::from_hex(BADGE).unwrap();
    assert!(eraser.is_in_message(&[&[4, 61], onair.bytes(), &[7]].concat()));
    assert!(eraser.is_in_message(format!("<{}>", BADGE.to_uppercase()).as_bytes()));
    // Part of a longer code: another tag's.
    assert!(!eraser.is_in_message(format!("{BADGE}ff").as_bytes()));
    assert!(!eraser.is_in_message(b"{}"));
}

/// Names of all properties of a schema and of what it refers to.
fn properties(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                names.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| properties_of_each(value, names));
        }
        other => properties_of_each(other, names),
    }
}

fn properties_of_each(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| properties(item, names)),
        Value::Object(_) => properties(value, names),
        _ => {}
    }
}

/// Fields that name nobody by themselves: times, figures, states, names of things and of places.
const NOBODY: &str = "
    against beside here_dbm silent_s there_dbm weighed
    accuracy_m acknowledged acquired_on after alert allowed_zones altitude_m antenna antennas antennas_alone
    asset assigned at audit audit_every awaiting_inspection battery battery_percent beams before began began_at broken broken_at by_odometer
    calendar candidates change
    checked_out_at checkout checkouts class classes clockless command confidence cost_centre course_deg coverage criticality
    deadband device digest direction distance_m door due_back elsewhere end ended ended_at escalated_at evidence
    expected expires_at explains exposed fall_per_min fence fences figures fired_at first_at fix flapping_since
    found free_at ghost_after ghost_after_in_maintenance ghost_since handover high holds holidays home_zone id idle_after
    ignition in incident inferred inhibited_by inside inspect_every inspect_on_return inspected_at items kind
    last_at last_sensed lat left_by lifecycle limit limits location lon low low_battery_percent measure missing nearing_mps needs
    needs_checkout not_ready number observed_at odometer_m of off_delay on_delay opened_at out-through out_at_start over over_s
    overdue_grace part part_of parts passed passed_at peak peak_at peak_rssi_dbm pending_since percent phase point portal
    previous_incident proposal quality quiet_until read-point read_point reads ready reasons receivers records
    resolved_at retained retired retired_on returns rise_per_min rule say scope seen_count sensor severity since site
    sites snoozed_until source speed_mps standing start started_at state table team text threshold timezone told_at
    tracker tracker_silent_after transition trip trouble unexpected until up utilisation value vehicle waived
    warranty_until what working_hours zone zones";

#[test]
fn of_every_field_it_is_decided_whether_it_can_hold_a_person() {
    let mut names = BTreeSet::new();
    for schema in [
        schemars::schema_for!(EventBody),
        schemars::schema_for!(Command),
        schemars::schema_for!(Record),
        schemars::schema_for!(Alert),
        schemars::schema_for!(AssetCurrent),
        schemars::schema_for!(Audit),
        schemars::schema_for!(AuditPart),
    ] {
        properties(&schema.to_value(), &mut names);
    }
    let decided = NOBODY.split_whitespace();
    let open: Vec<_> =
        names.iter().filter(|name| !can_hold(name) && !decided.clone().any(|it| it == *name)).collect();
    assert!(
        open.is_empty(),
        "say in fields.rs, or in NOBODY here, whether these can hold a person: {open:?}"
    );
}
