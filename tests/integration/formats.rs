//! Trackers of several formats at one real broker, through the whole daemon: each message to its decoder, what is
//! none to the dead letters, the books balanced.

use std::collections::BTreeSet;

use tallyman::journal::Reader;

use crate::daemon::Daemon;
use crate::servers::Mosquitto;

const TOPICS: &str = r#"
[[broker.topic]]
topic = "owntracks/{user}/{device}"
format = "owntracks"
[[broker.topic]]
filter = "traccar"
format = "json"
mapping = { preset = "traccar" }
[[broker.topic]]
filter = "things"
format = "json"
mapping = { preset = "thingsboard" }
[[broker.topic]]
topic = "features/{device}"
format = "json"
mapping = { preset = "geojson" }
[[broker.topic]]
topic = "fleet/{device}/position"
format = "json"
[broker.topic.mapping]
device = "id"
latitude = "lat"
longitude = "lon"
time = "ts"
time_format = "unix"
[[broker.topic]]
topic = "gps/{device}/nmea"
format = "nmea"
[[broker.topic]]
topic = "avl/{device}"
format = "teltonika"
"#;

fn config(port: u16) -> impl FnOnce(&crate::daemon::Place<'_>) -> String {
    move |place| {
        format!(
            "node = \"n\"\n{}[[site]]\nname = \"depot\"\ntimezone = \"UTC\"\n[[broker]]\nname = \"fleet\"\n\
             address = \"127.0.0.1:{port}\"\nclient_id = \"n\"\n{TOPICS}",
            place.tables("")
        )
    }
}

pub fn now() -> jiff::Timestamp {
    tallyman::source::clock::WallClock::new().now().to_jiff()
}

fn checked(text: &str) -> String {
    let sum = text.bytes().fold(0, |sum, byte| sum ^ byte);
    format!("${text}*{sum:02X}\r\n")
}

/// One record of Codec 8 without I/O elements, written by hand.
pub fn avl_packet(millis: i64, lat: f64, lon: f64) -> Vec<u8> {
    let mut data = vec![8, 1];
    data.extend(millis.to_be_bytes());
    data.push(0);
    data.extend(((lon * 1e7).round() as i32).to_be_bytes());
    data.extend(((lat * 1e7).round() as i32).to_be_bytes());
    data.extend([0, 10, 0, 90, 7, 0, 36]);
    data.extend([0; 6]);
    data.push(1);
    avl_framed(&data)
}

/// With its header and check sum.
pub fn avl_framed(data: &[u8]) -> Vec<u8> {
    let crc = data.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 })
    });
    let length = (data.len() as u32).to_be_bytes();
    [&[0; 4][..], &length, data, &u32::from(crc).to_be_bytes()].concat()
}

/// Device and latitude of every fix in the journal.
pub async fn fixes(reader: &Reader) -> BTreeSet<(String, String)> {
    let events = reader.events_after(0, 1000).await.expect("events");
    let fixes = events.iter().filter(|event| &*event.kind == "fix").map(|event| {
        let body: serde_json::Value = serde_json::from_str(&event.body).expect("JSON");
        (body["device"].as_str().expect("a name").to_owned(), body["lat"].to_string())
    });
    fixes.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_topic_has_its_format_and_poison_costs_nothing_else() {
    let Some(broker) = Mosquitto::start("formats", "allow_anonymous true\n") else { return };
    let mut daemon = Daemon::prepare(config(broker.port));
    daemon.start();
    daemon.up(&["tallyman_source_up{source=\"fleet\"}".to_owned()]).await;
    let (now, seconds) = (now(), now().as_second());
    let fix = |lat: f64| format!(r#"{{"lat":{lat},"lon":13.4,"ts":{seconds}}}"#);

    broker.publish(
        "owntracks/jane/phone",
        format!(r#"{{"_type":"location","lat":50.1,"lon":8,"tst":{seconds}}}"#).as_bytes(),
    );
    let position = format!(r#"{{"fixTime":"{now}","valid":true,"latitude":50.2,"longitude":8,"speed":1}}"#);
    broker.publish(
        "traccar",
        format!(r#"{{"position":{position},"device":{{"uniqueId":"356307042441013"}}}}"#).as_bytes(),
    );
    let values = r#""values":{"latitude":50.3,"longitude":8}"#;
    broker.publish(
        "things",
        format!(r#"{{"van 1":[{{"ts":{}000,{values}}},{{"ts":0,"values":{{"latitude":1}}}}]}}"#, seconds)
            .as_bytes(),
    );
    let geometry = r#""geometry":{"type":"Point","coordinates":[8,50.4]}"#;
    broker.publish(
        "features/boat",
        format!(r#"{{"type":"Feature",{geometry},"properties":{{"time":"{now}"}}}}"#).as_bytes(),
    );
    broker.publish("fleet/truck-7/position", format!("[{},{}]", fix(50.5), fix(91.0)).as_bytes());
    let (date, time) = (now.strftime("%d%m%y"), now.strftime("%H%M%S"));
    broker.publish(
        "gps/tug/nmea",
        checked(&format!("GPRMC,{time},A,5036.0,N,00800.0,E,0,,{date},,")).as_bytes(),
    );

    let packet = avl_packet(now.as_millisecond(), 50.7, 8.0);
    broker.publish("avl/356307042441014", &packet);
    let mut damaged = packet.clone();
    damaged[20] ^= 1;
    broker.publish("avl/356307042441014", &damaged);

    let deep = "[".repeat(100_000);
    let long = "x".repeat(1_000_000);
    let other = fix(50.6).replace('{', r#"{"id":"truck-8","#);
    let poison = [
        ("fleet/truck-7/position", other.as_str(), "topic-mismatch"),
        ("fleet/truck-7/position", "hello", "json"),
        ("fleet/truck-7/position", r#"{"lat":NaN}"#, "json"),
        ("fleet/truck-7/position", r#"{"lat":1e308,"lon":1,"ts":1}"#, "range"),
        ("fleet/truck-7/position", r#"{"lat":"1","lon":1,"ts":1}"#, "type"),
        ("fleet/truck-7/position", r#"{"lat":1,"lon":1}"#, "missing"),
        ("fleet/truck-7/position", &deep, "depth"),
        ("fleet/truck-7/position", &long, "too-long"),
        ("fleet//position", "{}", "topic"),
        ("gps/tug/nmea", "$GPRMC,06", "truncated"),
        ("owntracks/jane/phone", r#"{"_type":"encrypted","data":"AAAA"}"#, "encrypted"),
    ];
    for (topic, payload, _) in poison {
        broker.publish(topic, payload.as_bytes());
    }
    broker.publish("fleet/truck-7/position", b"{\"lat\":\"\xff\"}");
    // Sent again: known again, in whatever message.
    broker.publish("fleet/truck-7/position", fix(50.5).as_bytes());

    let frames = (8 + poison.len() + 2) as f64;
    daemon
        .until("every message is taken in", async |daemon| {
            daemon.metric("tallyman_frames_total{source=\"fleet\"}").await == Some(frames)
        })
        .await;
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    let reader = daemon.reader().await;
    let expected = [
        ("jane/phone", "50.1"),
        ("356307042441013", "50.2"),
        ("van 1", "50.3"),
        ("boat", "50.4"),
        ("truck-7", "50.5"),
        ("tug", "50.6"),
        ("356307042441014", "50.7"),
    ];
    let expected = expected.map(|(device, lat)| (device.to_owned(), lat.to_owned()));
    assert_eq!(fixes(&reader).await, BTreeSet::from(expected));
    let mut reasons: Vec<String> = reader
        .dead_letters(None, 100)
        .await
        .expect("dead letters")
        .into_iter()
        .map(|letter| letter.reason)
        .collect();
    reasons.sort();
    let mut wanted: Vec<&str> = poison.iter().map(|(_, _, reason)| *reason).collect();
    // One element each of two messages that stand; the one that is no text; the packet whose check sum is wrong.
    wanted.extend(["missing", "range", "utf-8", "crc"]);
    wanted.sort_unstable();
    assert_eq!(reasons, wanted);
    assert!(!daemon.log().contains("the books do not balance"), "{}", daemon.log());
}
