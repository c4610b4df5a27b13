//! The daemon as its users run it: a process of its own, on a configuration in a temporary folder. It can
//! be killed and started again, any number of times, on the same journal.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tallyman::journal::Reader;

use crate::servers::{PATIENCE, free_port};

/// Between two looks at whether something has happened in another process.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Killed when dropped.
pub struct Daemon {
    folder: tempfile::TempDir,
    metrics_port: u16,
    http: reqwest::Client,
    starts: u64,
    child: Option<Child>,
}

/// Where a configuration is to put things.
pub struct Place<'a> {
    pub journal: &'a Path,
    pub metrics_port: u16,
}

impl Place<'_> {
    /// The tables `[journal]` and `[metrics]`, the first with these lines in it.
    pub fn tables(&self, journal_lines: &str) -> String {
        format!(
            "[journal]\npath = {:?}\n{journal_lines}\n\n[metrics]\nlisten = \"127.0.0.1:{}\"\n",
            self.journal.display().to_string(),
            self.metrics_port
        )
    }
}

impl Daemon {
    /// Not running yet. `config` gives the configuration file's text.
    pub fn prepare(config: impl FnOnce(&Place<'_>) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let metrics_port = free_port();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().expect("an HTTP client");
        let daemon = Self { folder, metrics_port, http, starts: 0, child: None };
        let text = config(&Place { journal: &daemon.journal(), metrics_port });
        fs::write(daemon.path("tallyman.toml"), text).expect("a configuration file");
        daemon
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn journal(&self) -> PathBuf {
        self.path("journal.db")
    }

    pub fn start(&mut self) {
        self.start_under::<&str>(&[]);
    }

    /// Started by another program: `wrapper` is it and its arguments, which the daemon's follow.
    pub fn start_under<S: AsRef<OsStr>>(&mut self, wrapper: &[S]) {
        assert!(self.child.is_none(), "the daemon runs already");
        self.starts += 1;
        let log = fs::File::create(self.log_path()).expect("a log file");
        let binary = env!("CARGO_BIN_EXE_tallyman");
        let mut command = match wrapper.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        command.args(["run", "-c"]).arg(self.path("tallyman.toml"));
        command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("the daemon starts"));
    }

    /// How often it was started.
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// The process that was started: the daemon, or what it was started under.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the daemon runs").id()
    }

    fn log_path(&self) -> PathBuf {
        self.path(&format!("daemon-{}.log", self.starts))
    }

    /// What it has logged since its last start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// What `/metrics`, `/readyz` and so on say; `None` where nobody answers, or not with 200.
    pub async fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.metrics_port);
        let answer = self.http.get(url).send().await.ok()?;
        if answer.status() != reqwest::StatusCode::OK {
            return None;
        }
        answer.text().await.ok()
    }

    /// One sample of a metric, its labels as they are written: `tallyman_source_up{source="fleet"}`.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").await?;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    /// Waits for `/readyz`.
    pub async fn ready(&mut self) {
        self.until("ready", async |daemon| daemon.get("/readyz").await.is_some()).await;
    }

    /// Waits until every one of `series` is 1.
    pub async fn up(&mut self, series: &[String]) {
        for one in series {
            self.until(one, async |daemon| daemon.metric(one).await == Some(1.0)).await;
        }
    }

    /// Waits for a condition; fails where the daemon ends before, or it takes too long.
    pub async fn until(&mut self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self).await {
            let ended = self.child.as_mut().expect("the daemon runs").try_wait().expect("our own child");
            assert!(ended.is_none(), "{what}: the daemon ended with {ended:?}\n{}", self.log());
            assert!(Instant::now() < deadline, "waited in vain: {what}\n{}", self.log());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// `kill -9`; returns when the process is gone.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the daemon runs");
        child.kill().expect("the daemon is ours to kill");
        let status = child.wait().expect("our own child");
        assert_eq!(status.signal(), Some(9), "the daemon ended before it was killed\n{}", self.log());
    }

    /// As a service manager does.
    pub async fn stop(&mut self) -> ExitStatus {
        let pid = self.pid();
        self.stop_process(pid).await
    }

    /// Sends SIGTERM to `pid`, and waits for the end of what was started.
    pub async fn stop_process(&mut self, pid: u32) -> ExitStatus {
        let asked = Command::new("kill").arg(pid.to_string()).status().expect("kill runs");
        assert!(asked.success(), "the daemon was gone before it was stopped\n{}", self.log());
        let mut child = self.child.take().expect("the daemon runs");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().expect("our own child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the daemon does not stop\n{}", self.log());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The journal, beside the daemon or without it.
    pub async fn reader(&self) -> Reader {
        Reader::open(&self.journal()).await.expect("a journal")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the daemon is ours to kill");
            child.wait().expect("our own child");
        }
    }
}
