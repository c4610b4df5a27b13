//! The daemon under `strace`: no PUBACK leaves before the fsync that makes its message durable.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tallyman_simulators::load::{Load, LoadOptions};

use super::recorded::accounts;
use super::trace::Trace;
use crate::daemon::Daemon;
use crate::servers::{Mosquitto, find};

const TEST: &str = "kill: no PUBACK before its fsync";
const BROKER: &str = "fleet";
const FIXES: u64 = 3000;
const FIXES_PER_S: f64 = 1000.0;
/// Everything that moves bytes over a socket or makes a file durable.
const CALLS: &str = "trace=read,readv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync,sync_file_range,io_uring_enter";
/// Longer than any one read.
const WHOLE_STRINGS: &str = "1048576";

#[tokio::test(flavor = "multi_thread")]
async fn no_puback_leaves_before_its_fsync() {
    let Some(strace) = find("TALLYMAN_TEST_STRACE", "strace", TEST).filter(|strace| may_trace(strace)) else {
        return;
    };
    // However slow this machine is, they are acknowledged in many writes: no more are ever on their way.
    let lines = "allow_anonymous true\nmax_inflight_messages 100\nmax_queued_messages 100000";
    let Some(broker) = Mosquitto::start(TEST, lines) else { return };
    let mut daemon = Daemon::prepare(|place| {
        let journal = place.tables("");
        let port = broker.port;
        format!(
            r#"
node = "traced"
{journal}
[[site]]
name = "hamburg"
timezone = "Europe/Berlin"

[[broker]]
name = "{BROKER}"
address = "127.0.0.1:{port}"
client_id = "tallyman-traced"

[[broker.topic]]
filter = "owntracks/+/+"
format = "owntracks"
"#
        )
    });
    let file = daemon.path("trace");
    let strace = strace.display().to_string();
    let output = file.display().to_string();
    let wrapper = [&strace, "-f", "-yy", "-xx", "-s", WHOLE_STRINGS, "-e", CALLS, "-o", &output];
    daemon.start_under(&wrapper);
    daemon.up(&[format!("tallyman_source_up{{source=\"{BROKER}\"}}")]).await;

    let sent = publish(&broker, &daemon).await;
    let arrived = async |daemon: &Daemon| {
        accounts(daemon, &[(BROKER, "fix")]).await.iter().any(|account| account.events >= sent)
    };
    daemon.until(&format!("all {sent} fixes"), arrived).await;
    let traced = traced_process(&file);
    let status = daemon.stop_process(traced).await;
    assert!(status.success(), "the daemon did not stop cleanly: {status:?}\n{}", daemon.log());

    let text = std::fs::read_to_string(&file).expect("a trace");
    assert!(!text.contains("io_uring_enter("), "what goes through io_uring this trace does not show");
    let trace = Trace::parse(&text, broker.port, &["journal.db", "journal.db-wal"]);
    let early = trace.early();
    println!(
        "{} PUBLISH in, {} PUBACK out, {} syncs of the journal, {} PUBACK before their message was durable",
        trace.publishes.len(),
        trace.pubacks.len(),
        trace.syncs.len(),
        early.len()
    );
    assert!(early.is_empty(), "{}", early[..early.len().min(20)].join("\n"));
    assert_eq!(trace.pubacks.len() as u64, sent, "every message is acknowledged, and in the trace");
    let instants: BTreeSet<_> = trace.pubacks.iter().map(|(line, _)| line).collect();
    assert!(instants.len() > 10, "acknowledgements in {} writes say little", instants.len());
}

/// Publishes [`FIXES`] at least; gives the number of those that the broker has.
async fn publish(broker: &Mosquitto, daemon: &Daemon) -> u64 {
    let options = LoadOptions {
        readers: 0,
        broker: Some(([127, 0, 0, 1], broker.port).into()),
        devices: FIXES_PER_S as usize,
        fixes_per_s: FIXES_PER_S,
        ..LoadOptions::default()
    };
    let mut trackers = Load::start(options).await.expect("trackers");
    let deadline = std::time::Instant::now() + crate::servers::PATIENCE;
    while trackers.emitted().total_fixes() < FIXES {
        assert!(std::time::Instant::now() < deadline, "too few fixes got through\n{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    trackers.stop_emitting().await;
    let sent = trackers.emitted().total_fixes();
    trackers.stop().await.expect("the truth");
    sent
}

/// Whether this process may trace another: a container may forbid it.
fn may_trace(strace: &Path) -> bool {
    let tried = Command::new(strace).args(["-o", "/dev/null", "true"]).output().expect("strace starts");
    if !tried.status.success() {
        let required = std::env::var_os("TALLYMAN_REQUIRE_SERVERS").is_some_and(|value| value == "1");
        let said = String::from_utf8_lossy(&tried.stderr).into_owned();
        assert!(!required, "strace is required and may not trace: {said}");
        eprintln!("skipped: {TEST} (strace may not trace: {said})");
    }
    tried.status.success()
}

/// The process that strace started: the first one it wrote a line about.
fn traced_process(trace: &Path) -> u32 {
    let text = std::fs::read_to_string(trace).expect("a trace");
    let thread = text.split_whitespace().next().expect("a line");
    thread.parse().expect("a process id")
}
