//! Who stands at which door.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::*;

/// A door at each of two sites; nobody hears anything there.
const DOORS: &str = r#"
[[class]]
name = "truck"
vehicle = true

[[zone]]
name = "bay"
site = "depot"

[[reader]]
name = "r1"
protocol = "llrp"
site = "depot"
address = "127.0.0.1:9"

[[reader]]
name = "r2"
protocol = "llrp"
site = "leeds"
address = "127.0.0.1:10"

[[read_point]]
name = "depot-door"
kind = "portal"
inside = "hall"
bay = "bay"
antennas = [{ reader = "r1", antenna = 1, side = "inside" }, { reader = "r1", antenna = 2, side = "outside" }]

[[read_point]]
name = "leeds-door"
kind = "portal"
inside = "yard"
antennas = [{ reader = "r2", antenna = 1, side = "inside" }, { reader = "r2", antenna = 2, side = "outside" }]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stands_at_which_door_and_who_did() {
    let leeds = token_lines("leeds", "leeds-token", "viewer") + "sites = [\"leeds\"]\n";
    let mut api = Api::start_with("", &[leeds, DOORS.to_owned()].concat()).await;
    let trucks = ["TR-1", "TR-2"]
        .map(|id| json!({ "table": "asset", "id": id, "class": "truck", "home_zone": "yard" }));
    assert_eq!(api.post(ADMIN, "/api/v1/register", json!({ "records": trucks })).await.0, StatusCode::OK);
    let ask = async |token: &str, query: &str| {
        let (status, answer) = api.get(token, &format!("/api/v1/answers/doors{query}")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["items"].clone()
    };
    let empty =
        json!([{ "door": "depot-door", "site": "depot", "bay": "bay", "standing": [], "lately": [] }]);
    assert_eq!(
        ask(VIEWER, "").await,
        empty,
        "one without a bay is none until somebody is said to stand there"
    );
    let dock = async |truck: &str, door: &str| {
        let (path, body) = (format!("/api/v1/assets/{truck}/dock"), json!({ "door": door }));
        assert!(api.post(OPERATOR, &path, body).await.0.is_success());
    };
    dock("TR-1", "depot-door").await;
    dock("TR-2", "leeds-door").await;
    // It drives to the other one, where the first is told to go.
    dock("TR-1", "leeds-door").await;
    let names = |stays: &Value| {
        let stays = stays.as_array().unwrap().iter();
        stays.map(|stay| stay["vehicle"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let told = ask(VIEWER, "").await;
    assert_eq!((names(&told[0]["standing"]), names(&told[0]["lately"])), (vec![], vec!["TR-1".to_owned()]));
    let leeds = &told[1];
    assert_eq!((&leeds["door"], &leeds["site"]), (&json!("leeds-door"), &json!("leeds")));
    assert_eq!(
        (names(&leeds["standing"]), names(&leeds["lately"])),
        (vec!["TR-1".to_owned()], vec!["TR-2".to_owned()])
    );
    assert_eq!(leeds["standing"][0]["said"], true);
    assert!(leeds["standing"][0].get("until").is_none() && leeds["lately"][0]["until"].is_string());
    for (token, query, doors) in [
        ("leeds-token", "", vec!["leeds-door"]),
        ("leeds-token", "?site=depot", vec![]),
        (VIEWER, "?site=depot", vec!["depot-door"]),
        (VIEWER, "?vehicle=TR-2", vec!["leeds-door"]),
        (VIEWER, "?vehicle=TR-1", vec!["depot-door", "leeds-door"]),
    ] {
        let told = ask(token, query).await;
        let told: Vec<&str> =
            told.as_array().unwrap().iter().map(|door| door["door"].as_str().unwrap()).collect();
        assert_eq!(told, doors, "{token} {query}");
    }
    // What it did at the other site is told to nobody who may not see that.
    let doors_of = async |token: &str| {
        let (status, found) = api.get(token, "/api/v1/assets/TR-1").await;
        assert_eq!((status, &found["doors"][0]["door"]), (StatusCode::OK, &json!("leeds-door")));
        let doors = found["recent"].as_array().unwrap().iter().filter(|event| event["kind"] == "docked");
        doors.map(|event| event["body"]["door"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(doors_of(VIEWER).await, ["leeds-door", "depot-door"]);
    assert_eq!(doors_of("leeds-token").await, ["leeds-door"]);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}
