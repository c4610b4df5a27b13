//! Signals and starts: a stop drains and ends with 0; what cannot start says why.

use std::process::Command;

use tallyman::journal::EventQuery;
use tallyman_simulators::llrp::{Reader, ReaderOptions, TagObservation, Taken};
use tallyman_simulators::truth::TruthLog;

use crate::cli::tallyman;
use crate::daemon::{Daemon, Place};
use crate::servers::free_port;

/// Every device is absent, and asked for often.
fn absent(place: &Place<'_>) -> String {
    let port = free_port();
    format!(
        r#"
node = "n"
{}
[[site]]
name = "depot"
timezone = "UTC"
[[zone]]
name = "hall"
[[reader]]
name = "dock"
protocol = "llrp"
address = "127.0.0.1:{port}"
backoff = {{ first = "50ms", last = "100ms" }}
[[broker]]
name = "fleet"
address = "127.0.0.1:{port}"
client_id = "n"
backoff = {{ first = "50ms", last = "100ms" }}
[[broker.topic]]
filter = "owntracks/+/+"
format = "owntracks"
[[modbus]]
name = "cold"
address = "127.0.0.1:{port}"
poll = "100ms"
backoff = {{ first = "50ms", last = "100ms" }}
base = 0
[[modbus.point]]
name = "temperature"
table = "input"
address = 0
type = "i16"
"#,
        place.tables("")
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_without_any_device_starts_and_stops_cleanly_again_and_again() {
    let mut daemon = Daemon::prepare(absent);
    // A stop may come at any moment of the start and of a reconnection.
    for _ in 0..8 {
        daemon.start();
        daemon.ready().await;
        let status = daemon.stop().await;
        assert_eq!(status.code(), Some(0), "{}", daemon.log());
        assert!(daemon.log().contains("stopped cleanly"), "{}", daemon.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_without_any_source_runs_and_takes_commands() {
    let mut daemon = Daemon::prepare(|place| {
        format!("node = \"n\"\n{}[[site]]\nname = \"depot\"\ntimezone = \"UTC\"\n", place.tables(""))
    });
    daemon.start();
    daemon.ready().await;
    std::fs::write(daemon.path("zones.csv"), "name,site\nhall,depot\n").unwrap();
    let config = daemon.path("tallyman.toml").display().to_string();
    let zones = daemon.path("zones.csv").display().to_string();
    assert_eq!(
        tallyman(&["import", "-c", &config, &zones]).succeeds(),
        "1 created, 0 updated, 0 unchanged\n"
    );
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_nothing_that_the_reader_was_rid_of() {
    let truth = std::sync::Arc::new(TruthLog::new(None, false, false).unwrap());
    let reader = Reader::start(ReaderOptions::named("dock"), truth).await.unwrap();
    let address = reader.address();
    let mut daemon = Daemon::prepare(|place| {
        format!(
            r#"
node = "n"
{}
[[site]]
name = "depot"
timezone = "UTC"
[[zone]]
name = "hall"
[[reader]]
name = "dock"
protocol = "llrp"
address = "{address}"
backoff = {{ first = "50ms", last = "100ms" }}
[[read_point]]
name = "shelf"
kind = "presence"
zone = "hall"
antennas = [{{ reader = "dock", antenna = 1 }}]
"#,
            place.tables("keep_reads = true")
        )
    });
    daemon.start();
    daemon.ready().await;
    reader.listening().await;
    let mut offered = 0_u32;
    let mut read = |count: u32| {
        for _ in 0..count {
            offered += 1;
            let epc = [&[0x30, 0x14, 0, 0, 0, 0, 0, 0][..], &offered.to_be_bytes()].concat();
            let at = tallyman_simulators::clock::wall_now();
            let taken = reader.read(TagObservation { antenna: 1, epc, rssi_dbm: -50, at, count: 1 });
            assert_eq!(taken, Taken::Held);
        }
    };
    read(2000);
    // Twice, as an impatient service manager does.
    let pid = daemon.pid().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    let status = daemon.stop().await;
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    // What the reader still holds it replays to the next start; together it is everything, once.
    daemon.start();
    daemon.ready().await;
    let journal = daemon.reader().await;
    daemon
        .until("every read is in the journal", async |_| {
            let query =
                EventQuery { kinds: vec!["tag-read".to_owned()], limit: 5000, ..EventQuery::default() };
            journal.events(&query).await.unwrap().len() >= 2000
        })
        .await;
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    reader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_named() {
    let mut first = Daemon::prepare(absent);
    first.start();
    first.ready().await;
    let second = Daemon::prepare(absent);
    let taken = std::fs::read_to_string(first.path("tallyman.toml")).unwrap();
    let listen = taken.lines().find(|line| line.starts_with("listen = ")).unwrap();
    let text = std::fs::read_to_string(second.path("tallyman.toml")).unwrap();
    let own = text.lines().find(|line| line.starts_with("listen = ")).unwrap();
    let path = second.path("tallyman.toml");
    std::fs::write(&path, text.replace(own, listen)).unwrap();
    let address = listen.trim_start_matches("listen = ").trim_matches('"');
    let path = path.display().to_string();
    tallyman(&["run", "-c", &path]).fails_with(1, &["failed to listen", address, "metrics", "in use"]);
    std::fs::write(&path, format!("{text}\n[web]\n{listen}\n")).unwrap();
    tallyman(&["run", "-c", &path]).fails_with(1, &["failed to listen", address, "API", "in use"]);
    assert_eq!(first.stop().await.code(), Some(0), "{}", first.log());
}
