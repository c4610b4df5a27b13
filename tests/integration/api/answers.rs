//! Answers, each with the numbers that a short history must give; the same ones in SQL; and nothing of another
//! site's to whoever may see one.

use reqwest::StatusCode;
use serde_json::{Value, json};

use tallyman::domain::time::Timestamp;

use super::{ADMIN, Api, OPERATOR, VIEWER, token_lines};
use crate::servers::Mosquitto;
use crate::timescale::rig::{Database, eventually};

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
            { "class": "drill", "site": "depot", "assets": 3, "utilised": 2, "idle": 1,
                "utilised_share": 2.0 / 3.0 },
            { "class": "forklift", "site": "leeds", "assets": 1, "utilised": 0, "idle": 1,
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
    assert_eq!((audits["items"].as_array().unwrap().len(), &audits["complete"]), (1, &true.into()));
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

/// Of each kind of class: custody, movement (one that may fall idle, and so has a clock), a sensor.
const KINDS: &str = "[[class]]\nname = \"drill\"\nutilisation = \"custody\"\n
[[class]]\nname = \"crane\"\nidle_after = \"2d\"\n
[[class]]\nname = \"press\"\nutilisation = \"sensor:load\"\nidle_after = \"2d\"\n";

const EPCS: [&str; 5] = [
    "3034257bf7194e4000001a85",
    "3034257bf7194e4000001a86",
    "3034257bf7194e4000001a87",
    "3034257bf7194e4000001a88",
    "3034257bf7194e4000001a89",
];

/// H-5 and H-6 are with Di, overdue, and a handheld tells then that they had been back in time.
async fn back_in_time(api: &Api) {
    let now = now_of(api).await;
    let hours_ago = |hours: i64| now.offset(-hours * 3_600_000_000).to_string();
    for (asset, epc) in [("H-5", EPCS[3]), ("H-6", EPCS[4])] {
        let checkout = json!({ "asset": asset, "holder": "Di", "checked_out_at": hours_ago(9),
            "due_back": hours_ago(5) });
        done(api.post(ADMIN, "/api/v1/register", json!({ "checkouts": [checkout] })).await);
        overdue(api, asset, true).await;
        let read = json!({ "zone": "hall", "reader": "handheld-3", "epcs": [epc], "at": hours_ago(7) });
        done(api.post(OPERATOR, "/api/v1/reads", read).await);
        overdue(api, asset, false).await;
    }
}

/// H-1 and H-2 go out to Ada, are overdue, are handed to Cy and overdue again; H-1 comes back. H-3 goes from Ada to
/// Bo and comes back. F-1 and C-1 are read in one zone and then in another, F-2 in one only.
async fn hands(api: &Api) {
    let record = |id: &str, class: &str, zone: &str| json!({ "table": "asset", "id": id, "class": class, "home_zone": zone });
    let tag = |nth: usize, asset: &str| json!({ "table": "tag", "epc": EPCS[nth], "asset": asset });
    let drills = ["H-1", "H-2", "H-3", "H-4", "H-5", "H-6"].map(|id| record(id, "drill", "hall"));
    let others = [
        record("F-1", "forklift", "yard"),
        record("F-2", "forklift", "yard"),
        record("C-1", "crane", "yard"),
        record("C-2", "crane", "yard"),
        record("P-1", "press", "hall"),
    ];
    let tags = [tag(0, "F-1"), tag(1, "F-2"), tag(2, "C-1"), tag(3, "H-5"), tag(4, "H-6")];
    let records: Vec<Value> = drills.into_iter().chain(others).chain(tags).collect();
    done(api.post(ADMIN, "/api/v1/register", json!({ "records": records })).await);
    for asset in ["H-1", "H-2"] {
        let checkout = json!({ "asset": asset, "holder": "Ada", "checked_out_at": "2026-01-01T06:00:00Z",
            "due_back": "2026-01-02T06:00:00Z" });
        done(api.post(ADMIN, "/api/v1/register", json!({ "checkouts": [checkout] })).await);
        overdue(api, asset, true).await;
        let soon = now_of(api).await.offset(1_500_000).to_string();
        let to = json!({ "holder": "Cy", "due_back": soon });
        done(api.post(OPERATOR, &format!("/api/v1/assets/{asset}/hand-over"), to).await);
        overdue(api, asset, false).await;
        overdue(api, asset, true).await;
    }
    done(api.post(OPERATOR, "/api/v1/checkouts", json!({ "asset": "H-3", "holder": "Ada" })).await);
    done(api.post(OPERATOR, "/api/v1/assets/H-3/hand-over", json!({ "holder": "Bo" })).await);
    for asset in ["H-1", "H-3"] {
        done(api.post(OPERATOR, &format!("/api/v1/assets/{asset}/check-in"), json!({})).await);
    }
    for (zone, epcs) in [("hall", &EPCS[..3]), ("yard", &[EPCS[0], EPCS[2]][..])] {
        let reads = json!({ "zone": zone, "reader": "handheld-3", "epcs": epcs });
        done(api.post(OPERATOR, "/api/v1/reads", reads).await);
    }
}

async fn now_of(api: &Api) -> Timestamp {
    let (_, register) = api.get(VIEWER, "/api/v1/answers/register").await;
    Timestamp::parse(register["at"].as_str().unwrap()).unwrap()
}

async fn overdue(api: &Api, asset: &str, firing: bool) {
    let path = format!("/api/v1/alerts/overdue-return/{asset}");
    eventually("the overdue return fires, or ends", async || {
        let (_, alert) = api.get(VIEWER, &path).await;
        ((alert["state"] == "firing") == firing).then_some(())
    })
    .await;
}

async fn has_history(db: &Database, newest: u64) {
    eventually("the database has the history", async || {
        let sql = "SELECT max(last_seq) FROM tallyman.forward_watermark";
        (db.number(sql).await >= i64::try_from(newest).unwrap()).then_some(())
    })
    .await;
}

async fn newest_event(api: &Api) -> u64 {
    let got = api.get(VIEWER, "/api/v1/events?limit=1").await;
    got.1["items"][0]["seq"].as_u64().unwrap_or_else(|| panic!("{got:?}"))
}

/// Takes an asset from the register; gives the number of the event that says so.
async fn off_the_register(api: &Api, asset: &str) -> u64 {
    done(api.ask(ADMIN, reqwest::Method::DELETE, &format!("/api/v1/register/asset/{asset}"), None).await);
    newest_event(api).await
}

/// The fields of these names of each item, in order; moments as moments, shares to four places.
fn fields(items: &Value, names: &[&str]) -> Vec<Vec<Value>> {
    let told = |value: &Value| match value {
        Value::String(text) => Timestamp::parse(text).map_or(value.clone(), |at| at.as_micros().into()),
        Value::Number(number) if number.is_f64() => {
            (number.as_f64().unwrap() * 10_000.0).round().to_string().into()
        }
        Value::Number(number) => number.to_string().into(),
        other => other.clone(),
    };
    let item = |item: &Value| names.iter().map(|name| told(&item[name])).collect();
    items.as_array().unwrap().iter().map(item).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_and_the_views_answer_the_same() {
    let Some(db) = Database::create("same_answers").await else { return };
    let store = format!("{KINDS}\n[store.timescale]\nurl = {:?}\n", db.url);
    let mut api = Api::start_with("", &store).await;
    hands(&api).await;
    back_in_time(&api).await;
    let ask = async |path: &str| {
        let (status, answer) = api.get(VIEWER, &format!("/api/v1/answers/{path}")).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    };
    has_history(&db, newest_event(&api).await).await;

    let same_holders = async |expected: Value| {
        let names = ["asset", "holder", "since", "due_back", "returned_at", "how"];
        let ours = fields(&ask("last-holders").await["items"], &names);
        let theirs =
            "SELECT asset, holder, checked_out_at AS since, due_back, checked_in_at AS returned_at, how
            FROM tallyman.last_holder ORDER BY asset";
        assert_eq!(ours, fields(&db.rows_of(theirs).await, &names));
        let who: Vec<[&Value; 2]> = ours.iter().map(|row| [&row[0], &row[1]]).collect();
        assert_eq!(json!(who), expected);
    };
    same_holders(json!([["H-1", "Cy"], ["H-2", "Cy"], ["H-3", "Bo"], ["H-5", "Di"], ["H-6", "Di"]])).await;

    let ours = ask("register").await;
    let sensed: Vec<_> =
        ours["groups"].as_array().unwrap().iter().map(|it| (&it["class"], &it["sensed"])).collect();
    assert_eq!(json!(sensed), json!([["crane", 1], ["drill", 2], ["forklift", 2], ["press", 0]]));
    for (view, names) in [
        ("register_sensed", ["class", "site", "assets", "sensed", "sensed_share"]),
        ("ghost_share", ["class", "site", "assets", "ghosts", "ghost_share"]),
    ] {
        let theirs = db.rows_of(&format!("SELECT * FROM tallyman.{view} ORDER BY class, site")).await;
        assert_eq!(fields(&ours["groups"], &names), fields(&theirs, &names), "{view}");
    }

    let names = ["holder", "checkouts", "overdue"];
    let ours = ask("repeat-offenders").await;
    assert_eq!(
        fields(&ours["items"], &names),
        [[json!("Cy"), json!("2"), json!("2")], [json!("Ada"), json!("3"), json!("2")]]
    );
    assert_eq!(
        fields(&ours["items"], &names),
        fields(&db.rows_of("SELECT * FROM tallyman.repeat_offender").await, &names)
    );

    let names = ["site", "home_zone", "checkouts", "returned", "still_out", "past_due"];
    let ours = ask("unreturned").await;
    assert_eq!(
        fields(&ours["items"], &names),
        fields(&db.rows_of("SELECT * FROM tallyman.unreturned").await, &names)
    );
    assert_eq!([&ours["items"][0]["checkouts"], &ours["items"][0]["past_due"]], [5, 1]);

    let names = ["class", "site", "assets", "utilised", "idle"];
    let ours = ask("utilisation").await;
    assert_eq!(
        fields(&ours["groups"], &names),
        fields(&db.rows_of("SELECT * FROM tallyman.utilisation").await, &names)
    );
    let used: Vec<_> = ours["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["class"], &it["utilised"], &it["idle"]))
        .collect();
    let expected = [("crane", 1, 1), ("drill", 5, 1), ("forklift", 1, 1), ("press", 0, 1)];
    assert_eq!(json!(used), json!(expected));

    let names = ["rule", "site", "incidents", "acknowledged", "restored"];
    let ours = ask("alert-response").await;
    assert_eq!(
        fields(&ours["items"], &names),
        fields(&db.rows_of("SELECT * FROM tallyman.alert_response").await, &names)
    );

    // What went from the register has no last holder, here as there; nor has what gets its id.
    has_history(&db, off_the_register(&api, "H-3").await).await;
    same_holders(json!([["H-1", "Cy"], ["H-2", "Cy"], ["H-5", "Di"], ["H-6", "Di"]])).await;
    let again = json!({ "table": "asset", "id": "H-3", "class": "forklift", "home_zone": "yard" });
    done(api.post(ADMIN, "/api/v1/register", json!({ "records": [again] })).await);
    has_history(&db, newest_event(&api).await).await;
    same_holders(json!([["H-1", "Cy"], ["H-2", "Cy"], ["H-5", "Di"], ["H-6", "Di"]])).await;
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
    db.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_a_site_sees_nothing_of_another_in_any_answer() {
    let scoped =
        |site: &str| token_lines(site, &format!("{site}-token"), "viewer") + &format!("sites = [{site:?}]\n");
    let more = [scoped("depot"), scoped("leeds"), CLASSES.to_owned()].concat();
    let mut api = Api::start_with("", &more).await;
    history(&api).await;
    for out in ["2026-02-01T06:00:00Z", "2026-02-02T06:00:00Z"] {
        let due = "2026-02-08T06:00:00Z";
        let late = json!({ "asset": "F-1", "holder": "Eve", "checked_out_at": out, "due_back": due });
        done(api.post(ADMIN, "/api/v1/register", json!({ "checkouts": [late] })).await);
        overdue(&api, "F-1", true).await;
        done(api.post(OPERATOR, "/api/v1/assets/F-1/check-in", json!({})).await);
        overdue(&api, "F-1", false).await;
    }
    for (audit, zone) in [("hall-1", "hall"), ("yard-1", "yard")] {
        done(api.post(OPERATOR, "/api/v1/audits", json!({ "audit": audit, "zones": [zone] })).await);
        done(api.post(OPERATOR, &format!("/api/v1/audits/{audit}/close"), json!({})).await);
    }
    let depots = ["\"depot\"", "\"hall", "\"D-", "\"Ada\"", "\"Bo\"", "\"drill\""];
    let leedses = ["\"leeds\"", "\"yard", "\"F-", "\"Eve\"", "\"forklift\""];
    let since = "?since=2025-12-01T00:00:00Z";
    for path in [
        "register".to_owned(),
        "last-holders".to_owned(),
        "audits".to_owned(),
        format!("utilisation{since}"),
        format!("repeat-offenders{since}"),
        format!("unreturned{since}"),
        format!("alert-response{since}"),
    ] {
        for (token, own, others) in
            [("depot-token", &depots[..], &leedses[..]), ("leeds-token", &leedses[..], &depots[..])]
        {
            let (status, answer) = api.get(token, &format!("/api/v1/answers/{path}")).await;
            assert_eq!(status, StatusCode::OK, "{path}: {answer}");
            let text = answer.to_string();
            assert!(own.iter().any(|word| text.contains(word)), "{token} {path}: {text}");
            assert!(!others.iter().any(|word| text.contains(word)), "{token} {path}: {text}");
            // Asking for it by name does not help.
            let other = if token == "depot-token" { "leeds" } else { "depot" };
            let sign = if path.contains('?') { '&' } else { '?' };
            let (_, answer) = api.get(token, &format!("/api/v1/answers/{path}{sign}site={other}")).await;
            let items = answer.get("items").or(answer.get("groups")).unwrap();
            assert_eq!(*items, json!([]), "{token} {path}");
        }
    }
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

/// One on the register that is heard, one that is misspelt there, one that was taken off its asset, and one on an asset
/// that is retired.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trackers_that_nobody_heard_and_such_as_hang_on_nothing_are_told() {
    let Some(broker) = Mosquitto::start("api: unmatched trackers", "allow_anonymous true") else { return };
    let feed = format!(
        "[[broker]]\nname = \"fleet\"\nsite = \"depot\"\naddress = \"127.0.0.1:{}\"\nclient_id = \"n\"\n[[broker.topic]]\n\
         topic = \"fleet/{{device}}\"\nformat = \"json\"\nmapping = {{ latitude = \"lat\", longitude = \"lon\", \
         time = \"ts\", time_format = \"unix\" }}\n",
        broker.port
    );
    let more = [token_lines("leeds", "leeds-token", "viewer") + "sites = [\"leeds\"]\n", feed].concat();
    let mut api = Api::start_with("", &more).await;
    api.daemon.up(&[r#"tallyman_source_up{source="fleet"}"#.to_owned()]).await;
    let asset = |id: &str, zone: &str, lifecycle: &str| json!({ "table": "asset", "id": id, "class": "forklift", "home_zone": zone, "lifecycle": lifecycle });
    let tracker = |device: &str, asset: &str| json!({ "table": "tracker", "device": device, "asset": asset });
    let mut was = tracker("taken-off", "F-1");
    was["to"] = json!("2026-01-01T00:00:00Z");
    let records = json!({ "records": [
        asset("F-1", "hall", "in-service"), asset("F-2", "yard", "in-service"), asset("F-3", "hall", "ordered"),
        tracker("heard", "F-1"), tracker("mispelt", "F-2"), tracker("in-a-drawer", "F-3"), was,
    ] });
    done(api.post(ADMIN, "/api/v1/register", records).await);
    let ask = async |token: &str, query: &str| {
        let (status, answer) = api.get(token, &format!("/api/v1/answers/unmatched-trackers{query}")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["complete"], true);
        let devices: Vec<_> =
            answer["items"].as_array().unwrap().iter().map(|it| it["device"].clone()).collect();
        (json!(devices), answer["on_no_asset"].clone())
    };
    assert_eq!(ask(VIEWER, "").await, (json!(["heard", "mispelt"]), json!([])));
    let now = crate::formats::now().as_second();
    for device in ["heard", "misspelt", "taken-off"] {
        let fix = json!({ "lat": 50.1, "lon": 8.2, "ts": now });
        broker.publish(&format!("fleet/{device}"), fix.to_string().as_bytes());
    }
    let told = eventually("the last of them is heard", async || {
        let (unheard, on_no_asset) = ask(VIEWER, "").await;
        on_no_asset.to_string().contains("taken-off").then_some((unheard, on_no_asset))
    });
    assert_eq!(told.await, (json!(["mispelt"]), json!(["misspelt", "taken-off"])));
    for (token, query, unheard) in [
        (VIEWER, "?site=leeds", json!(["mispelt"])),
        (VIEWER, "?site=depot", json!([])),
        (VIEWER, "?class=crane", json!([])),
        ("leeds-token", "", json!(["mispelt"])),
        ("leeds-token", "?site=depot", json!([])),
    ] {
        assert_eq!(ask(token, query).await, (unheard, json!([])), "{token} {query}");
    }
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}
