use serde_json::json;

use super::*;

fn back_and_forth(json: serde_json::Value) {
    let record: Record = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&record).unwrap(), json);
}

#[test]
fn records_are_written_as_they_are_read() {
    for record in [
        json!({"table": "site", "name": "hamburg", "timezone": "Europe/Berlin",
            "calendar": {"working_hours": "mon-fri 07:00-17:00", "holidays": ["2026-12-25"]}}),
        json!({"table": "site", "name": "leeds", "timezone": "Europe/London"}),
        json!({"table": "person", "id": "P-7", "name": "Ada", "team": "night shift"}),
        json!({"table": "asset", "id": "FL-07", "class": "forklift", "lifecycle": "quarantined",
            "part_of": "KIT-1", "owner": "leasing", "acquired_on": "2024-02-29", "attributes": {"colour": "red"}}),
        json!({"table": "tag", "epc": "3034", "asset": "FL-07"}),
        json!({"table": "tag", "epc": "3035", "person": "P-7", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}),
        json!({"table": "sensor", "device": "cold-1", "zone": "cold room"}),
        json!({"table": "maintenance", "name": "M-1", "of": {"read-point": "dock-1"},
            "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}),
    ] {
        back_and_forth(record);
    }
}

#[test]
fn rows_of_earlier_versions_are_still_read() {
    let old = json!({"table": "asset", "id": "FL-07", "class": "forklift", "retired": true});
    let Record::Asset(asset) = serde_json::from_value(old).unwrap() else { panic!("an asset") };
    assert_eq!(asset.lifecycle, Lifecycle::Retired);
    let old = json!({"table": "class", "name": "forklift", "ghost_after": 14400.0, "criticality": "normal"});
    let Record::Class(class) = serde_json::from_value(old).unwrap() else { panic!("a class") };
    assert_eq!(class.ghost_after, Some(std::time::Duration::from_secs(14400)));
}

#[test]
fn what_a_record_does_not_know_is_refused() {
    for wrong in [
        json!({"table": "asset", "id": "FL-07", "class": "forklift", "home-zone": "hall"}),
        json!({"table": "tag", "epc": "3034"}),
        json!({"table": "tag", "epc": "3034", "asset": "A", "person": "P"}),
        json!({"table": "site", "name": "x", "timezone": "Europe/Atlantis"}),
        json!({"table": "site", "name": "x", "timezone": "UTC", "calendar": {"working_hours": "always"}}),
    ] {
        assert!(serde_json::from_value::<Record>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn keys_of_attachments_hold_their_beginning() {
    let mut tag = TagAttachment::on_asset(crate::domain::epc::Epc::from_hex("3034").unwrap(), "A");
    assert_eq!(Record::Tag(tag.clone()).state_key(), "tag/3034");
    let from = Timestamp::parse("2026-01-01T00:00:00Z");
    tag.from = from;
    assert_eq!(Record::Tag(tag).key(), "3034@2026-01-01T00:00:00Z");
    assert_eq!(attachment::split_key("3034@2026-01-01T00:00:00Z"), ("3034", from));
    assert_eq!(attachment::split_key("fleet@home"), ("fleet@home", None));
}
