//! What Prometheus sees: the running daemon's exposition, a real Prometheus that scrapes it, and the rules
//! that we ship.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::Connection;

use crate::daemon::Daemon;
use crate::plant::{self, Plant, tell};
use crate::servers::{PATIENCE, find, free_port};

const RULES: &str = include_str!("../../deploy/prometheus/tallyman.rules.yml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/health.json");
const NAMES: &str = include_str!("../../src/telemetry/names.rs");

/// Parts of `text` that are names of ours, without what a histogram appends.
fn our_names(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !word(c)).filter(|text| text.starts_with("tallyman_"));
    words.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_there_are() {
    let known = our_names(NAMES);
    for (text, least) in [(RULES, 7), (DASHBOARD, 20)] {
        let asked = our_names(text);
        assert!(asked.len() >= least, "{asked:?}");
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn the_rules_fire_when_they_should() {
    let Some(promtool) = promtool("the rules fire when they should") else { return };
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let output = Command::new(promtool)
        .args(["test", "rules", "tallyman.rules.test.yml"])
        .current_dir(rules)
        .output()
        .expect("promtool runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn promtool(test: &str) -> Option<PathBuf> {
    find("TALLYMAN_TEST_PROMTOOL", "promtool", test)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exposition_is_well_formed_and_names_no_asset() {
    let (_plant, mut daemon) = at_work().await;
    let samples = ["tallyman_readings_used_total{source=\"crib-reader\"} ", "tallyman_alerts{rule=\"ghost\""];
    daemon
        .until("everything has been counted", async |daemon| {
            let text = daemon.get("/metrics").await.unwrap_or_default();
            samples.iter().all(|sample| text.contains(sample))
        })
        .await;
    let text = daemon.get("/metrics").await.expect("it just answered");
    assert!(text.contains("tallyman_journal_commit_seconds_bucket{le=\"0.1\"}"), "{text}");
    let latency = "tallyman_journal_latency_seconds_bucket{le=\"+Inf\"} ";
    let commits = text.lines().find_map(|line| line.strip_prefix(latency)?.parse::<u64>().ok());
    assert!(commits.is_some_and(|commits| commits > 0), "{text}");
    assert!(
        text.contains("tallyman_journal_max_bytes"),
        "what is set once, at the start, is there too\n{text}"
    );
    assert!(text.contains("tallyman_source_up{source=\"crib-reader\"} 1"), "{text}");
    let known = our_names(NAMES);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap_or_default();
            assert!(known.contains(name), "{name} is not one of telemetry/names.rs");
            assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
        }
        let labels = line.split_once('{').map_or("", |(_, labels)| labels).to_lowercase();
        let secret = ["fl-0", "303425"].iter().any(|part| labels.contains(part));
        assert!(!secret, "a label holds an asset or an EPC: {line}");
    }
    let Some(promtool) = promtool("the exposition is well formed and names no asset") else { return };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_is_who_can_write_his_journal_and_alive_is_who_answers() {
    let (_plant, mut daemon) = at_work().await;
    assert_eq!(daemon.get("/healthz").await.as_deref(), Some("alive\n"));
    assert_eq!(daemon.get("/readyz").await.as_deref(), Some("ready\n"));
    // Another writer keeps the journal to itself.
    let url = format!("sqlite://{}", daemon.journal().display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.expect("the journal is a SQLite file");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("between two commits it is free");
    daemon.until("no longer ready", async |daemon| daemon.get("/readyz").await.is_none()).await;
    assert_eq!(daemon.get("/healthz").await.as_deref(), Some("alive\n"));
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("nothing was written");
    daemon.ready().await;
    other.close().await.expect("the other writer leaves");
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_it_and_evaluates_the_rules() {
    let Some(program) =
        find("TALLYMAN_TEST_PROMETHEUS", "prometheus", "Prometheus scrapes it and evaluates the rules")
    else {
        return;
    };
    let (_plant, daemon) = at_work().await;
    let prometheus = Prometheus::start(&program, &metrics_address(&daemon));
    let target = prometheus
        .until("targets", |answer| {
            let target = answer["data"]["activeTargets"][0].clone();
            (target["health"] == "up").then_some(target)
        })
        .await;
    assert_eq!(target["labels"]["job"], "tallyman");
    // Before the first scrape the daemon is absent, and that rule is pending.
    let rules = prometheus
        .until("rules", |answer| {
            let rules = answer["data"]["groups"][0]["rules"].as_array()?.clone();
            let calm = |rule: &Value| rule["health"] == "ok" && rule["state"] == "inactive";
            rules.iter().all(calm).then_some(rules)
        })
        .await;
    assert_eq!(rules.len(), RULES.matches("- alert:").count());
    let value = prometheus
        .until("query?query=tallyman_source_up", |answer| {
            let sources = answer["data"]["result"].as_array()?.clone();
            (sources.len() == 2).then_some(sources)
        })
        .await;
    assert!(value.iter().all(|source| source["value"][1] == "1"), "{value:?}");
}

async fn at_work() -> (std::sync::Arc<Plant>, Daemon) {
    let plant = Plant::start().await;
    let mut daemon = plant::daemon(&plant.addresses(), "");
    daemon.start();
    daemon.ready().await;
    plant.crib.listening().await;
    plant.cold.polled().await;
    let plant = plant.begin();
    daemon
        .until("an asset is sensed", async |daemon| {
            tell(daemon, "explain", &["FL-01"]).contains("in zone crib")
        })
        .await;
    (plant, daemon)
}

/// As the configuration has it.
fn metrics_address(daemon: &Daemon) -> String {
    let text = fs::read_to_string(daemon.path("tallyman.toml")).expect("a configuration file");
    let document: toml::Table = text.parse().expect("TOML");
    document["metrics"]["listen"].as_str().expect("an address").to_owned()
}

struct Prometheus {
    port: u16,
    http: reqwest::Client,
    child: Child,
    folder: tempfile::TempDir,
}

impl Prometheus {
    fn start(program: &Path, target: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("tallyman.rules.yml"), RULES).expect("a rules file");
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [tallyman.rules.yml]\n\
             scrape_configs:\n  - job_name: tallyman\n    static_configs: [{{ targets: [\"{target}\"] }}]\n"
        );
        fs::write(path("prometheus.yml"), text).expect("a configuration file");
        let port = free_port();
        let child = Command::new(program)
            .arg(format!("--config.file={}", path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(path("log")).expect("a log file"))
            .spawn()
            .expect("Prometheus starts");
        let http = reqwest::Client::builder().timeout(PATIENCE).build().expect("an HTTP client");
        Self { port, http, child, folder }
    }

    /// Asks its API until the answer has what is wanted.
    async fn until<T>(&self, path: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = match self.http.get(&url).send().await {
                Ok(answer) => answer.json().await.unwrap_or_default(),
                Err(_) => Value::Null,
            };
            if let Some(found) = wanted(&answer) {
                return found;
            }
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{path}: {answer}\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().expect("Prometheus is ours to kill");
        self.child.wait().expect("Prometheus ends");
    }
}
