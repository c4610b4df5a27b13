//! Measurements, not tests: the memory of `tallyman run` under the demo's load, and of the whole demo.
//! Ignored unless asked for: `deploy/dev/memory`.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use tallyman::clean::{Cleaned, Cleaner};
use tallyman::cli::demo::plant::{self, Surroundings};
use tallyman::config::{IntakeConfig, Rules};
use tallyman::domain::geodesy::Position;
use tallyman::domain::ids::{DeviceId, Digest, SourceId};
use tallyman::domain::readings::{Fix, Reading};
use tallyman::domain::time::Timestamp;
use tallyman::pipeline;
use tallyman::source::clock::WallClock;
use tallyman_simulators::{Scenario, StartOptions, World};

use crate::daemon::Daemon;
use crate::servers::{Mosquitto, PATIENCE};

const SEED: u64 = 1;
/// As long as the demo by default emits, and as long as it takes by default.
const EMISSION: Duration = Duration::from_secs(50);
const RUN_BOUND_MB: f64 = 150.0;
const DEMO_BOUND_MB: f64 = 250.0;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of a minute: deploy/dev/memory"]
async fn memory_of_run_under_the_load_of_the_demo() {
    let Some(broker) = Mosquitto::start("memory: run", "allow_anonymous true\nmax_inflight_messages 1000")
    else {
        return;
    };
    let broker = SocketAddr::from(([127, 0, 0, 1], broker.port));
    let world = World::plan(&Scenario::demo(), SEED, EMISSION);
    let options = StartOptions { broker: Some(broker), ..StartOptions::default() };
    let mut running = world.start(options).await.expect("simulated devices");
    let (addresses, lines) = (running.addresses().clone(), running.lines());
    let mut daemon = Daemon::prepare(|place| {
        let around = Surroundings {
            node: "memory",
            journal: place.journal,
            broker,
            timescale: None,
            address: &|name| addresses.get(name).copied(),
            line: &|name| lines.get(name).cloned(),
        };
        let text = plant::config(running.plant(), &around).expect("a configuration");
        text.replace("127.0.0.1:0", &format!("127.0.0.1:{}", place.metrics_port))
    });
    let config = tallyman::config::load(&daemon.path("tallyman.toml")).expect("the demo's configuration");
    let checkouts = plant::checkouts(running.plant(), WallClock::new().now());
    for command in [plant::register(running.plant()), checkouts] {
        pipeline::offline(&config, "memory", command).await.expect("a journal").expect("the demo's register");
    }
    daemon.start();
    daemon.ready().await;
    let missing = running.clients(PATIENCE).await;
    assert!(missing.is_empty(), "nobody came to {missing:?}\n{}", daemon.log());
    daemon.up(&["tallyman_source_up{source=\"fleet\"}".to_owned()]).await;
    running.begin();
    running.emission_over().await;
    running.stop_emitting().await;
    let (peak, now) = (megabytes(daemon.pid(), "VmHWM:"), megabytes(daemon.pid(), "VmRSS:"));
    let emitted = running.emitted();
    println!(
        "tallyman run, {EMISSION:?} of the demo's load ({} reads, {} fixes, {} samples; {}): \
         VmHWM {:.1} MB, VmRSS at the end {:.1} MB (bound {RUN_BOUND_MB} MB)",
        emitted.total_tag_reads(),
        emitted.total_fixes(),
        emitted.total_samples(),
        profile(),
        peak.expect("the daemon runs"),
        now.expect("the daemon runs")
    );
    assert!(daemon.stop().await.success(), "{}", daemon.log());
    running.stop().await.expect("the truth");
    assert!(peak < Some(RUN_BOUND_MB));
}

#[tokio::test]
#[ignore = "a measurement of a minute: deploy/dev/memory"]
async fn memory_of_the_demo() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_tallyman"))
        .args(["demo", "--for", "60s", "--seed", &SEED.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("the demo starts");
    let mut peak = None;
    let status = loop {
        // The peak only grows, so the last look before the end is as good as one at the end.
        peak = megabytes(demo.id(), "VmHWM:").or(peak);
        if let Some(status) = demo.try_wait().expect("our own child") {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(status.success(), "the demo failed: {status:?}");
    let peak = peak.expect("the demo ran");
    println!(
        "tallyman demo, 60 s, seed {SEED} ({}): VmHWM {peak:.1} MB (bound {DEMO_BOUND_MB} MB)",
        profile()
    );
    assert!(peak < DEMO_BOUND_MB);
}

/// What a hostile fleet can make cleaning hold: 100,000 trackers, each known by its newest messages, and the
/// budget for the rest full.
#[test]
#[ignore = "a measurement: deploy/dev/memory"]
fn memory_of_a_hundred_thousand_trackers() {
    const TRACKERS: u32 = 100_000;
    const MESSAGES: i64 = 150;
    let intake = IntakeConfig::default();
    let budget = intake.redelivery_memory as f64 / 1e6;
    let mut cleaner = Cleaner::new(&Rules::default(), &intake);
    let (mut out, mut rows) = (Cleaned::default(), Vec::new());
    let before = megabytes(std::process::id(), "VmRSS:").expect("Linux");
    let source = SourceId::new("broker");
    let started = std::time::Instant::now();
    for message in 0..MESSAGES {
        for tracker in 0..TRACKERS {
            let observed_at = Timestamp::from_secs(1_780_000_000 + message * 60);
            let fix = Fix {
                accuracy_m: Some(5.0),
                ..Fix::bare(
                    DeviceId::new(format!("fleet/tracker-{tracker:06}")),
                    observed_at,
                    Position { lat: 53.5, lon: 10.0 },
                    Digest(message as u64),
                )
            };
            cleaner.tend_trackers(&fix.device, observed_at, |_| false);
            cleaner.reading(Reading::Fix(fix), &source, observed_at, &mut out);
            out.sightings.clear();
            if tracker % 1000 == 0 {
                cleaner.take_dirty(&mut rows);
                rows.clear();
            }
        }
    }
    let took = started.elapsed();
    let remembered = cleaner.remembered();
    let held = megabytes(std::process::id(), "VmRSS:").expect("Linux") - before;
    let each = (held * 1e6 - remembered.redelivery_bytes as f64) / f64::from(TRACKERS);
    println!(
        "{TRACKERS} trackers, {MESSAGES} messages each ({}): {held:.1} MB, of which {:.1} MB of the budget of \
         {budget:.1} MB; without that {each:.0} bytes a tracker; {:.0} fixes/s",
        profile(),
        remembered.redelivery_bytes as f64 / 1e6,
        (i64::from(TRACKERS) * MESSAGES) as f64 / took.as_secs_f64(),
    );
    assert_eq!((out.used, remembered.trackers), (15_000_000, 100_000));
    assert!(remembered.redelivery_bytes <= intake.redelivery_memory && remembered.evicted > 0);
    assert!(each <= 1024.0, "a kibibyte a tracker");
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) { "debug build" } else { "release build" }
}

/// One line of `/proc/PID/status`, in units of 10^6 bytes; `None` where the process has ended.
fn megabytes(pid: u32, line: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|it| it.strip_prefix(line))?;
    let kibibytes: f64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}
