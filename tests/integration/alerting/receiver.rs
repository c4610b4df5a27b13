//! A real Alertmanager, and what it holds.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tallyman::domain::time::Timestamp;

use crate::servers::{PATIENCE, find, free_port};

/// Between two looks at what it holds.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub struct Alertmanager {
    program: PathBuf,
    folder: tempfile::TempDir,
    pub port: u16,
    prefix: &'static str,
    http: reqwest::Client,
    child: Option<Child>,
}

/// One alert as Alertmanager shows it.
#[derive(Clone, Debug)]
pub struct Shown(pub Value);

impl Shown {
    pub fn label(&self, name: &str) -> &str {
        self.0["labels"][name].as_str().unwrap_or_default()
    }

    pub fn annotation(&self, name: &str) -> &str {
        self.0["annotations"][name].as_str().unwrap_or_default()
    }

    pub fn starts_at(&self) -> Timestamp {
        self.time("startsAt")
    }

    pub fn ends_at(&self) -> Timestamp {
        self.time("endsAt")
    }

    fn time(&self, name: &str) -> Timestamp {
        Timestamp::parse(self.0[name].as_str().expect("a time")).expect("RFC 3339")
    }
}

impl Alertmanager {
    /// Not running yet. `prefix`: the path under which it serves, `/` or for instance `/alerts`.
    pub fn prepare(test: &str, prefix: &'static str) -> Option<Self> {
        let variable = "TALLYMAN_TEST_ALERTMANAGER";
        let debian = PathBuf::from("/usr/bin/prometheus-alertmanager");
        let name = if debian.is_file() { "prometheus-alertmanager" } else { "alertmanager" };
        let program = find(variable, name, test)?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        // A receiver that tells nobody. What gives no end would be over after a second.
        let text =
            "global: { resolve_timeout: 1s }\nroute: { receiver: nobody }\nreceivers: [{ name: nobody }]\n";
        fs::write(folder.path().join("alertmanager.yml"), text).expect("a configuration file");
        let http = reqwest::Client::builder().timeout(PATIENCE).build().expect("an HTTP client");
        Some(Self { program, folder, port: free_port(), prefix, http, child: None })
    }

    pub fn started(mut self) -> Self {
        self.start();
        self
    }

    pub fn start(&mut self) {
        assert!(self.child.is_none(), "Alertmanager runs already");
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let log = fs::File::create(path("log")).expect("a log file");
        let child = Command::new(&self.program)
            .arg(format!("--config.file={}", path("alertmanager.yml")))
            .arg(format!("--storage.path={}", path("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port))
            .arg(format!("--web.route-prefix={}", self.prefix))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("Alertmanager starts"));
    }

    /// Waits until it answers.
    pub async fn ready(self) -> Self {
        let deadline = Instant::now() + PATIENCE;
        while self.look().await.is_none() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "Alertmanager does not answer\n{log}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.prefix.trim_end_matches('/'))
    }

    /// Everything that stands there now; `None` where it does not answer.
    pub async fn look(&self) -> Option<Vec<Shown>> {
        let url = format!("{}/api/v2/alerts", self.url());
        let answer = self.http.get(url).send().await.ok()?.error_for_status().ok()?;
        let alerts: Vec<Value> = answer.json().await.ok()?;
        Some(alerts.into_iter().map(Shown).collect())
    }

    pub async fn alert(&self, name: &str, subject: &str) -> Option<Shown> {
        let alerts = self.look().await?;
        alerts.into_iter().find(|alert| alert.label("alertname") == name && alert.label("subject") == subject)
    }

    /// Waits until the alert stands there, such that `fits`.
    pub async fn until(&self, name: &str, subject: &str, fits: impl Fn(&Shown) -> bool) -> Shown {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let alert = self.alert(name, subject).await;
            if let Some(alert) = alert.clone().filter(&fits) {
                return alert;
            }
            assert!(Instant::now() < deadline, "{name} {subject} is not as it should be: {alert:?}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    pub async fn fires(&self, name: &str, subject: &str) -> Shown {
        self.until(name, subject, |_| true).await
    }

    /// Waits until the alert no longer stands there.
    pub async fn ends(&self, name: &str, subject: &str) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(alert) = self.alert(name, subject).await {
            assert!(Instant::now() < deadline, "{name} {subject} does not end: {alert:?}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("Alertmanager is ours to kill");
            child.wait().expect("Alertmanager ends");
        }
    }
}
