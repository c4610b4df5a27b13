//! The walk test: `tallyman watch` and the API's stream, against a running daemon that two simulated doors report to.

use std::process::{Command, Output};
use std::sync::{Arc, Weak};
use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tallyman_simulators::clock::wall_now;
use tallyman_simulators::llrp::{Reader, ReaderOptions, TagObservation};
use tallyman_simulators::truth::TruthLog;
use tokio::time::timeout;

use crate::daemon::Daemon;
use crate::servers::{PATIENCE, free_port};

const LOCAL: &str = "token-of-hamburg";
/// What lies between the doors: its last byte; how loud dock2 hears it, and dock3.
const TAGS: [(u8, Option<i8>, Option<i8>); 3] =
    [(1, Some(-66), Some(-45)), (2, Some(-48), Some(-70)), (3, Some(-40), None)];
const READ_EVERY: Duration = Duration::from_millis(20);

struct Doors {
    dock2: Reader,
    dock3: Reader,
}

impl Doors {
    async fn open() -> Self {
        let truth = Arc::new(TruthLog::default());
        let [dock2, dock3] =
            ["dock2", "dock3"].map(|name| Reader::start(ReaderOptions::named(name), truth.clone()));
        Self { dock2: dock2.await.unwrap(), dock3: dock3.await.unwrap() }
    }

    fn read(&self) {
        for (tag, at_dock2, at_dock3) in TAGS {
            for (reader, antenna, rssi_dbm) in [(&self.dock2, 1, at_dock2), (&self.dock3, 2, at_dock3)] {
                let Some(rssi_dbm) = rssi_dbm else { continue };
                reader.read(TagObservation { antenna, epc: epc(tag), rssi_dbm, at: wall_now(), count: 1 });
            }
        }
    }
}

/// Until the doors are gone.
async fn keep_reading(doors: Weak<Doors>) {
    let mut tick = tokio::time::interval(READ_EVERY);
    while let Some(doors) = doors.upgrade() {
        doors.read();
        drop(doors);
        tick.tick().await;
    }
}

fn epc(tag: u8) -> Vec<u8> {
    [[0x30; 11].as_slice(), &[tag]].concat()
}

fn hex(tag: u8) -> String {
    hex::encode(epc(tag))
}

/// A daemon that listens at `port` too, and hears both doors.
async fn daemon(doors: &Doors, port: u16) -> Daemon {
    let mut daemon = Daemon::prepare(|place| {
        let reader = |name: &str, site: &str, address: std::net::SocketAddr| {
            format!(
                "[[reader]]\nname = \"{name}-reader\"\nsite = \"{site}\"\nprotocol = \"llrp\"\naddress = \"{address}\"\n\
                 backoff = {{ first = \"50ms\", last = \"200ms\" }}\n"
            )
        };
        let door = |name: &str| {
            format!(
                "[[read_point]]\nname = \"{name}\"\nkind = \"portal\"\ninside = \"{name} hall\"\nantennas = [\
                 {{ reader = \"{name}-reader\", antenna = 1, side = \"inside\" }},\
                 {{ reader = \"{name}-reader\", antenna = 2, side = \"outside\" }}]\n"
            )
        };
        let site = |name: &str, zone: &str| {
            format!(
                "[[site]]\nname = \"{name}\"\ntimezone = \"UTC\"\n[[zone]]\nname = \"{zone}\"\nsite = \"{name}\"\n"
            )
        };
        [
            format!("node = \"n\"\n{}\n[web]\nlisten = \"127.0.0.1:{port}\"\n", place.tables("")),
            format!(
                "[[web.token]]\nname = \"local\"\nsha256 = \"{}\"\nrole = \"viewer\"\nsites = [\"hamburg\"]\n",
                hex::encode(Sha256::digest(LOCAL))
            ),
            site("leeds", "dock2 hall"),
            site("hamburg", "dock3 hall"),
            reader("dock2", "leeds", doors.dock2.address()),
            reader("dock3", "hamburg", doors.dock3.address()),
            door("dock2"),
            door("dock3"),
        ]
        .concat()
    });
    daemon.start();
    daemon.ready().await;
    daemon
        .up(&["dock2", "dock3"].map(|door| format!("tallyman_source_up{{source=\"{door}-reader\"}}")))
        .await;
    daemon
}

async fn watch(daemon: &Daemon, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallyman"));
    command.args(["watch", "-c"]).arg(daemon.path("tallyman.toml")).args(arguments);
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_test_counts_what_is_heard_and_marks_what_belongs_next_door() {
    let doors = Arc::new(Doors::open().await);
    let mut daemon = daemon(&doors, free_port()).await;
    tokio::spawn(keep_reading(Arc::downgrade(&doors)));

    let output = watch(&daemon, &["--read-point", "dock3", "--for", "2s", "--json"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["type"], &lines[0]["kind"]), (&"read-point".into(), &"portal".into()));
    assert!(lines.iter().any(|line| line["readers"][0]["up"] == true), "{lines:?}");
    let of = |point: &str| {
        lines.iter().filter(|line| line["read_point"] == point && line["type"] == "read").count()
    };
    assert!(of("dock2") > 0 && of("dock3") > 0, "{lines:?}");
    let summary = lines.last().unwrap();
    assert_eq!((&summary["type"], &summary["cross_read_tags"]), (&"summary".into(), &1.into()), "{summary}");
    let [silent, hears] = [&summary["antennas"][0], &summary["antennas"][1]];
    assert_eq!((&silent["antenna"], &silent["reads"]), (&1.into(), &0.into()));
    assert_eq!(
        (&hears["tags"], &hears["weakest_dbm"], &hears["strongest_dbm"]),
        (&2.into(), &(-70.0).into(), &(-45.0).into())
    );
    // The cross-read first; what is heard next door alone is no matter to us.
    let whose = |nth: usize| {
        let tag = &summary["tags"][nth];
        let there = &tag["elsewhere"][0];
        [&tag["epc"], &tag["whose"], &there["read_point"], &there["louder_db"]].map(Value::clone)
    };
    assert_eq!(json!(whose(0)), json!([hex(2), "theirs", "dock2", 22.0]));
    assert_eq!(json!(whose(1)), json!([hex(1), "ours", "dock2", -21.0]));
    assert_eq!(summary["tags"].as_array().unwrap().len(), 2);

    // Where nobody looks at a terminal, the table comes once, at the end.
    let output = watch(&daemon, &["--read-point", "dock3", "--for", "1s"]).await;
    let table = text(&output.stdout);
    assert!(table.starts_with("dock3 (portal) "), "{table}");
    assert!(
        table
            .lines()
            .any(|line| line.starts_with(&format!("! {} ", hex(2)))
                && line.contains("dock2 -48: 22 dB LOUDER")),
        "{table}"
    );
    assert!(!table.contains('\x1b'), "{table}");
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_watched_is_said() {
    let doors = Doors::open().await;
    let mut daemon = daemon(&doors, free_port()).await;
    let output = watch(&daemon, &["--read-point", "dock9"]).await;
    assert_eq!(text(&output.stderr), "error: there is no read point `dock9`; there are: dock2, dock3\n");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    let output = watch(&daemon, &["--read-point", "dock3"]).await;
    let said = text(&output.stderr);
    assert!(
        said.starts_with("error: no daemon runs on the journal ") && said.contains("tallyman run -c "),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1));
}

/// The next event of a stream.
async fn next(stream: &mut Response, rest: &mut String) -> Value {
    loop {
        if let Some((event, more)) = rest.split_once("\n\n") {
            let data = event.strip_prefix("data: ").map(|data| serde_json::from_str(data).unwrap());
            *rest = more.to_owned();
            if let Some(data) = data {
                return data;
            }
            continue;
        }
        let chunk = timeout(PATIENCE, stream.chunk()).await.expect("the stream goes on").unwrap();
        rest.push_str(&text(&chunk.expect("it has not ended")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_a_site_watches_what_that_site_hears() {
    let doors = Arc::new(Doors::open().await);
    let port = free_port();
    let mut daemon = daemon(&doors, port).await;
    let reading = tokio::spawn(keep_reading(Arc::downgrade(&doors)));
    let client = reqwest::Client::new();
    let ask = |point: &str| client.get(format!("http://127.0.0.1:{port}/api/v1/read-points/{point}/stream"));
    assert_eq!(ask("dock3").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let elsewhere = ask("dock2").bearer_auth(LOCAL).send().await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);
    let problem: Value = elsewhere.json().await.unwrap();
    assert_eq!(problem["detail"], "there is no read point `dock2`; there are: dock3");

    let mut stream = ask("dock3").bearer_auth(LOCAL).send().await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    let mut rest = String::new();
    let mut reads = 0;
    // That its reader is up is told as soon as it is committed.
    let mut up = false;
    while reads < 50 || !up {
        let told = next(&mut stream, &mut rest).await;
        assert_eq!(told["read_point"], "dock3", "{told}");
        up |= told["readers"][0]["up"] == true;
        reads += usize::from(told["type"] == "read");
    }
    // Its reader goes, and that is told.
    reading.abort();
    assert!(reading.await.is_err_and(|ended| ended.is_cancelled()));
    Arc::into_inner(doors).expect("nobody reads").dock3.stop().await;
    let down = loop {
        let told = next(&mut stream, &mut rest).await;
        if told["type"] == "read-point" {
            break told;
        }
    };
    assert_eq!(down["readers"][0]["up"], false, "{down}");
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    while let Ok(Some(_)) = stream.chunk().await {}
}
