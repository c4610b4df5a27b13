//! What a running daemon says of itself: metrics, alerts, log, command line.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tallyman::journal::{Reader, StoredEvent};

use crate::daemon::Daemon;
use crate::servers::PATIENCE;

/// What `/metrics` said, by series: `name` or `name{label="value"}`.
#[derive(Debug)]
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    pub async fn of(daemon: &Daemon) -> Self {
        let text = daemon.get("/metrics").await.unwrap_or_else(|| panic!("no metrics\n{}", daemon.log()));
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    /// 0 where there is no such series yet.
    pub fn get(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or(0.0)
    }
}

/// `GET /api/v1/{path}` over the control socket.
pub async fn api(daemon: &Daemon, path: &str) -> Value {
    let client = reqwest::Client::builder().unix_socket(daemon.path("journal.db.sock")).timeout(PATIENCE);
    let request = client.build().unwrap().get(format!("http://control/api/v1/{path}"));
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.unwrap()
}

/// The alerts that are open, `rule/subject`, with their summaries.
pub async fn alerts(daemon: &Daemon) -> BTreeMap<String, String> {
    let answer = api(daemon, "alerts?limit=1000").await;
    let open = answer["items"].as_array().unwrap().iter().filter(|alert| alert["state"] != "resolved");
    open.map(|alert| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let key = format!("{}/{}", text(&alert["key"]["rule"]), text(&alert["key"]["subject"]));
        (key, text(&alert["summary"]))
    })
    .collect()
}

/// Lines of the log that tell of data lost, since the daemon's last start.
pub fn errors(daemon: &Daemon) -> Vec<String> {
    daemon.log().lines().filter(|line| line.contains(" ERROR ")).map(str::to_owned).collect()
}

/// Runs a subcommand on the daemon's configuration.
pub fn cli(daemon: &Daemon, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallyman"));
    command.args(&arguments[..1]).arg("-c").arg(daemon.path("tallyman.toml")).args(&arguments[1..]);
    command.env_remove("RUST_LOG").output().unwrap()
}

/// …which must succeed: what it printed.
pub fn cli_ok(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = cli(daemon, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every event that the journal at `path` holds, in order.
pub async fn events(path: &Path) -> Vec<StoredEvent> {
    let reader = Reader::open(path).await.unwrap();
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = reader.events_after(after, 5000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        events.extend(page);
    }
    reader.close().await;
    events
}
