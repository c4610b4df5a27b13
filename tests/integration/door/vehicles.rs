//! RFID and GPS on one timeline: what was carried out at the door is where the truck is.

use serde_json::{Value, json};

use super::*;
use crate::formats::now;

/// So many degrees of latitude are a kilometre.
const KM: f64 = 1.0 / 111.195;

pub(super) fn command(door: &Door, arguments: &[&str]) -> String {
    let config = door.daemon.path("tallyman.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_tallyman"))
        .args([arguments[0], "-c"])
        .arg(config)
        .args(&arguments[1..])
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

pub(super) fn explained(door: &Door, asset: &str) -> Value {
    serde_json::from_str(&command(door, &["explain", asset, "--json"])).expect("JSON")
}

/// Two fixes make sure of a fence.
async fn drives_to(door: &mut Door, broker: &Mosquitto, km: f64, first: i64) {
    let now = now().as_second();
    for tst in [now + first, now + first + 1] {
        let fix = json!({ "_type": "location", "lat": 53.5 + km * KM, "lon": 10.0, "acc": 5, "tst": tst });
        broker.publish("owntracks/fleet/truck", fix.to_string().as_bytes());
    }
    let there = |found: &Value| {
        let location = &found["current"]["location"];
        let zone = location["zone"] == "bay";
        let lat = location["at"]["lat"].as_f64();
        if km == 0.0 { zone } else { lat.is_some_and(|lat| (lat - 53.5 - km * KM).abs() < 1e-9) }
    };
    eventually("the truck is there", async || there(&explained(door, "TR-1")).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_carried_out_where_a_truck_stands_is_where_the_truck_is() {
    let test = "what is carried out where a truck stands is where the truck is";
    let Some(broker) = Mosquitto::start(test, "allow_anonymous true") else { return };
    let more = format!(
        r#"
[[class]]
name = "truck"
vehicle = true

[[zone]]
name = "bay"

[[fence]]
name = "the-bay"
zone = "bay"
center = {{ lat = 53.5, lon = 10.0 }}
radius_m = 100

[[broker]]
name = "mqtt"
address = "127.0.0.1:{}"
client_id = "door"

[[broker.topic]]
topic = "owntracks/{{user}}/{{device}}"
format = "owntracks"
"#,
        broker.port
    );
    let mut door = Door::new(&more).await;
    let config = fs::read_to_string(door.daemon.path("tallyman.toml")).expect("our own file");
    let config = config.replace("settle = \"300ms\"", "settle = \"300ms\"\nbay = \"bay\"");
    fs::write(door.daemon.path("tallyman.toml"), config).expect("our own file");
    fs::write(door.daemon.path("assets.csv"), "id,class\nTR-1,truck\n").expect("a file");
    fs::write(door.daemon.path("trackers.csv"), "device,asset\nfleet/truck,TR-1\n").expect("a file");
    let files = ["assets.csv", "trackers.csv"].map(|name| door.daemon.path(name).display().to_string());
    command(&door, &["import", &files[0], &files[1]]);
    let connected = ["tallyman_source_up{source=\"mqtt\"}".to_owned()];
    door.start().await;
    door.daemon.up(&connected).await;
    drives_to(&mut door, &broker, 0.0, -60).await;
    let trackers = command(&door, &["trackers"]);
    assert!(trackers.contains("fleet/truck") && trackers.contains("its position is of"), "{trackers}");
    let doors = command(&door, &["doors"]);
    assert!(doors.contains("door") && doors.contains("  TR-1 (for "), "{doors}");
    let told = command(&door, &["explain", "TR-1"]);
    assert!(told.contains("  at door  door since "), "{told}");
    door.carry_out(1).await;
    let loaded = |found: &Value| found["current"]["location"] == json!({ "in": "TR-1" });
    eventually("it is in the truck", async || loaded(&explained(&door, "FL-1")).then_some(())).await;
    let reason = explained(&door, "FL-1")["current"]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.starts_with("passed door out, where TR-1 stood since"), "{reason}");

    // Whatever becomes of us, it is on the road with the truck.
    door.daemon.kill();
    door.start().await;
    door.daemon.up(&connected).await;
    // It leaves after what it took was carried out.
    drives_to(&mut door, &broker, 1.0, 0).await;
    let found = explained(&door, "FL-1");
    assert!(loaded(&found), "{found}");
    assert_eq!(found["vehicles"][0]["asset"], "TR-1");
    let doors = command(&door, &["doors"]);
    assert!(doors.contains("  nobody; TR-1 left "), "{doors}");
    assert!(explained(&door, "TR-1").get("doors").is_none());
    assert!((found["vehicles"][0]["location"]["at"]["lat"].as_f64().unwrap() - 53.5 - KM).abs() < 1e-9);
    let told = command(&door, &["explain", "FL-1"]);
    assert!(told.contains("in TR-1 since") && told.contains("TR-1 is at 53.50"), "{told}");
    // Nobody stands at the door any more, and somebody says that this one went along.
    door.carry_out(2).await;
    eventually("it is out", async || {
        (explained(&door, "FL-2")["current"]["location"] == json!({ "out-through": "door" })).then_some(())
    })
    .await;
    command(&door, &["load", "FL-2", "--into", "TR-1"]);
    assert!(loaded(&explained(&door, "FL-2")));
    command(&door, &["unload", "FL-1", "--zone", "hall"]);
    assert_eq!(explained(&door, "FL-1")["current"]["location"], json!({ "zone": "hall" }));
    assert_eq!(door.daemon.stop().await.code(), Some(0), "{}", door.daemon.log());
}
