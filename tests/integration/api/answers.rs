//! Answers, each with the numbers that a short history must give.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{ADMIN, Api, OPERATOR, VIEWER};
use crate::timescale::rig::eventually;

const CLASSES: &str = "[[class]]\nname = \"drill\"\nutilisation = \"custody\"\n";

/// Ada has D-1 twice, late both times; Bo has D-2, past due. D-3 nobody had.
async fn history(api: &Api) {
    let drill = |id: &str| json!({ "table": "asset", "id": id, "class": "drill", "home_zone": "hall" });
    let lift = json!({ "table": "asset", "id": "F-1", "class": "forklift", "home_zone": "yard" });
    let records = json!({ "records": [drill("D-1"), drill("D-2"), drill("D-3"), lift] });
    done(api.post(ADMIN, "/api/v1/register", records).await);
    for (asset, holder, out, due) in [
        ("D-1", "Ada", "2026-01-01T06:00:00Z", "2026-01-02T06:00:00Z"),
        ("D-1", "Ada", "2026-01-03T06:00:00Z", "2026-01-04T06:00:00Z"),
        ("D-2", "Bo", "2026-01-03T06:00:00Z", "2026-01-04T06:00:00Z"),
    ] {
        let checkout = json!({ "asset": asset, "holder": holder, "checked_out_at": out, "due_back": due });
        done(api.post(ADMIN, "/api/v1/register", json!({ "checkouts": [checkout] })).await);
        let overdue = format!("/api/v1/alerts/overdue-return/{asset}");
        eventually("the overdue return fires", async || {
            let (_, alert) = api.get(VIEWER, &overdue).await;
            (alert["state"] == "firing" && alert["acknowledged"].is_null()).then_some(())
        })
        .await;
        if holder == "Ada" {
            let command =
                json!({ "command": "acknowledge", "alert": { "rule": "overdue-return", "subject": asset } });
            done(api.post(OPERATOR, "/api/v1/commands", command).await);
            done(api.post(OPERATOR, &format!("/api/v1/assets/{asset}/check-in"), json!({})).await);
        }
    }
}

fn done((status, answer): (StatusCode, Value)) {
    assert!(status.is_success(), "{status} {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_right_over_a_known_history() {
    let mut api = Api::start_with("", CLASSES).await;
    history(&api).await;
    let ask = async |path: &str| {
        let (status, answer) = api.get(VIEWER, &format!("/api/v1/answers/{path}")).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    };
    let since = "since=2025-12-01T00:00:00Z";

    let last = ask("last-holders").await;
    let last = last["items"].as_array().unwrap();
    let names: Vec<_> =
        last.iter().map(|it| (&it["asset"], &it["holder"], it["returned_at"].is_string())).collect();
    assert_eq!(names, [(&json!("D-1"), &json!("Ada"), true), (&json!("D-2"), &json!("Bo"), false)]);
    assert_eq!(last[1]["since"], "2026-01-03T06:00:00Z");
    let first = ask("last-holders?limit=1").await;
    assert_eq!(first["items"][0]["asset"], "D-1");
    let second = ask(&format!("last-holders?limit=1&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!(second["items"][0]["asset"], "D-2");

    let offenders = ask(&format!("repeat-offenders?{since}")).await;
    assert_eq!(
        (&offenders["complete"], &offenders["items"]),
        (&true.into(), &json!([{ "holder": "Ada", "checkouts": 2, "overdue": 2, "overdue_share": 1.0 }]))
    );

    let unreturned = ask(&format!("unreturned?{since}")).await;
    assert_eq!(
        unreturned["items"],
        json!([{ "site": "depot", "home_zone": "hall", "checkouts": 3, "returned": 2, "still_out": 1, "past_due": 1,
            "unreturned_share": 1.0 / 3.0 }])
    );
    assert_eq!(ask(&format!("unreturned?{since}&site=leeds")).await["items"], json!([]));

    let response = ask(&format!("alert-response?{since}")).await;
    let overdue =
        response["items"].as_array().unwrap().iter().find(|it| it["rule"] == "overdue-return").unwrap();
    assert_eq!([&overdue["incidents"], &overdue["acknowledged"], &overdue["restored"]], [3, 2, 2]);
    let times =
        [&overdue["mean_s_to_acknowledge"], &overdue["mean_s_to_restore"]].map(|it| it.as_f64().unwrap());
    assert!(0.0 <= times[0] && times[0] <= times[1], "{times:?}");

    let used = ask(&format!("utilisation?{since}")).await;
    assert_eq!(
        used["groups"],
        json!([
            { "class": "drill", "site": "depot", "assets": 3, "utilised": 2, "idle": 1, "unknown": 0,
                "utilised_share": 2.0 / 3.0 },
            { "class": "forklift", "site": "leeds", "assets": 1, "utilised": 0, "idle": 1, "unknown": 0,
                "utilised_share": 0.0 },
        ])
    );
    audits_and_readiness(&api, ask).await;
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

async fn audits_and_readiness(api: &Api, ask: impl AsyncFn(&str) -> Value) {
    let open = json!({ "audit": "hall-1", "zones": ["hall"] });
    done(api.post(OPERATOR, "/api/v1/audits", open).await);
    done(api.post(OPERATOR, "/api/v1/audits/hall-1/counts", json!({ "asset": "D-1" })).await);
    done(api.post(OPERATOR, "/api/v1/audits/hall-1/close", json!({})).await);
    // D-2 is out, and not expected; D-3 is missing, and a ghost for it.
    let audits = ask("audits").await;
    let counted = &audits["items"][0];
    assert_eq!(audits["items"].as_array().unwrap().len(), 1);
    assert_eq!([&counted["expected"], &counted["found"], &counted["missing"]], [2, 1, 1]);
    assert_eq!(counted["accuracy"], 0.5);
    assert_eq!(ask("audits?site=leeds").await["items"], json!([]));

    done(api.post(OPERATOR, "/api/v1/assets/F-1/quarantine", json!({ "reason": "fork bent" })).await);
    let (_, register) = api.get(VIEWER, "/api/v1/answers/register?class=drill").await;
    let drills = &register["groups"][0];
    assert_eq!([&drills["assets"], &drills["ready"], &drills["ghosts"], &drills["overdue"]], [3, 1, 1, 1]);
    assert_eq!([&drills["sensed_share"], &drills["ghost_share"]], [1.0 / 3.0; 2]);
    let ids = async |query: &str| {
        let (status, page) = api.get(VIEWER, &format!("/api/v1/assets?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["asset"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("ready=false").await, ["F-1"]);
    assert_eq!(ids("reason=quarantined,battery-low").await, ["F-1"]);
    assert_eq!(ids("reason=battery-low").await, Vec::<String>::new());
    assert_eq!(ids("ready=true&class=drill").await, ["D-1", "D-2", "D-3"]);
    let inspected = api.post(OPERATOR, "/api/v1/assets/F-1/inspections", json!({ "passed": true })).await;
    assert_eq!(inspected.0, StatusCode::CREATED, "{}", inspected.1);
    done(api.post(OPERATOR, "/api/v1/assets/F-1/release", json!({ "note": "straightened" })).await);
    assert_eq!(ids("ready=false").await, Vec::<String>::new());
    let (nothing, problem) = api.post(OPERATOR, "/api/v1/assets/F-1/accept", json!({})).await;
    assert_eq!(nothing, StatusCode::CONFLICT, "{problem}");
    let (nothing, _) = api.post(OPERATOR, "/api/v1/assets/F-1/reject", json!({})).await;
    assert_eq!(nothing, StatusCode::CONFLICT);
}
