//! Light barriers on a reader's inputs: what they tell of a passage is kept with it, and shown.

use serde_json::{Value, json};

use super::vehicles::{command, explained};
use super::*;

/// The outer one hangs on an input that is high while it is free. Nobody is judged in the middle of the door, however
/// busy the machine that carries him through it.
const BEAMS: &str = r#"settle = "3s"
beams = [
    { reader = "dock", gpi = 1, side = "outside", broken = "low" },
    { reader = "dock", gpi = 2, side = "inside" },
]"#;

fn passage(found: &Value) -> Option<&Value> {
    found["recent"].as_array()?.iter().find(|event| event["kind"] == "passage")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_light_barriers_tell_is_kept_with_the_passage_and_outlives_a_restart() {
    let mut door = Door::new("").await;
    let config = fs::read_to_string(door.daemon.path("tallyman.toml")).expect("our own file");
    let config = config.replace("settle = \"300ms\"", BEAMS);
    fs::write(door.daemon.path("tallyman.toml"), config).expect("our own file");
    door.reader.input(1, true, wall_now());
    door.start().await;

    door.carry_out(1).await;
    let told = eventually("a passage", async || passage(&explained(&door, "FL-1")).cloned()).await;
    assert_eq!(told["body"]["direction"], "out", "{told}");
    let beams = &told["body"]["evidence"]["beams"];
    assert_eq!(beams["say"], "outward", "{told}");
    let sides: Vec<&Value> = beams["broken"].as_array().unwrap().iter().map(|one| &one["inside"]).collect();
    assert_eq!(sides, [&json!(true), &json!(false)], "the inner one first: {told}");
    assert!(beams["broken"][1]["free_at"].is_string(), "{told}");
    let said = command(&door, &["explain", "FL-1"]);
    assert!(said.contains("% sure; light barriers: outward)"), "{said}");

    // The daemon dies with somebody in the door, who is through it before anybody listens again. What the reader says
    // just then may reach nobody: it is asked how its inputs stand.
    let used = "tallyman_readings_used_total{source=\"dock\"}";
    let before = door.daemon.metric(used).await.expect("the passage");
    let by_now = wall_now();
    for (port, high) in [(2, true), (1, false)] {
        door.reader.input(port, high, by_now);
    }
    let both = async || door.daemon.metric(used).await.filter(|now| *now >= before + 2.0);
    eventually("word of both beams", both).await;
    door.daemon.kill();
    for (port, high) in [(2, false), (1, true)] {
        door.reader.input(port, high, wall_now());
    }
    door.start().await;
    // Were they asked only once somebody stands in both, the answer would not say which was broken first.
    let asked = async || door.daemon.metric(used).await.filter(|now| *now >= 2.0);
    eventually("word of how both stand", asked).await;
    door.carry_out(2).await;
    let told = eventually("a passage", async || passage(&explained(&door, "FL-2")).cloned()).await;
    assert_eq!(told["body"]["evidence"]["beams"]["say"], "outward", "{told}");
    assert_eq!(door.daemon.stop().await.code(), Some(0), "{}", door.daemon.log());
}
