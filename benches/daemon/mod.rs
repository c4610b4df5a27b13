//! `tallyman run` in a process of its own, and what its `/metrics` say.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::time::interval;

use crate::hall::HALL;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// The beginning of a configuration: the node, its journal in the folder, its metrics, and where things are.
pub fn head(folder: &Path, listen: &str) -> String {
    format!(
        "node = \"bench\"\n[journal]\npath = {:?}\nmax_bytes = \"16GiB\"\n[metrics]\nlisten = \"{listen}\"\n{HALL}",
        folder.join("journal.db").display().to_string()
    )
}

/// Killed when dropped.
pub struct Daemon {
    child: Child,
    http: reqwest::Client,
    metrics: String,
}

impl Daemon {
    /// Runs on what `config` says, given where its metrics are to be found: `tallyman.toml` in the folder, the log
    /// `daemon.log`.
    pub fn start(folder: &Path, config: impl FnOnce(&str) -> String) -> Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let text = config(&listen);
        let config = folder.join("tallyman.toml");
        std::fs::write(&config, text)?;
        let log = std::fs::File::create(folder.join("daemon.log"))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallyman"));
        command.args(["run", "-c"]).arg(&config).env_remove("RUST_LOG");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let metrics = format!("http://{listen}/metrics");
        Ok(Self { child, http: reqwest::Client::new(), metrics })
    }

    pub async fn scrape(&self) -> Result<Series> {
        let text = self.http.get(&self.metrics).send().await?.error_for_status()?.text().await?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Ok(Series(series.collect()))
    }

    /// Looks every `step` until it is so.
    pub async fn wait(&self, step: Duration, is_there: impl Fn(&Series) -> bool) -> Result<Series> {
        let deadline = Instant::now() + PATIENCE;
        let mut look_again = interval(step);
        while Instant::now() < deadline {
            if let Ok(series) = self.scrape().await
                && is_there(&series)
            {
                return Ok(series);
            }
            look_again.tick().await;
        }
        bail!("the daemon did not get there in {PATIENCE:?}")
    }

    /// Seconds of processor time so far.
    pub fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, rest) = stat.rsplit_once(')').context("no such process")?;
        let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.collect::<Result<Vec<_>, _>>()?.iter().sum();
        Ok(ticks as f64 / 100.0)
    }

    /// The most that it ever had, in MiB.
    pub fn memory(&self) -> Result<u64> {
        most_memory(self.child.id())
    }
}

/// The most that a process ever had, in MiB.
pub fn most_memory(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).context("no figure")?;
    Ok(line.split_whitespace().nth(1).context("no figure")?.parse::<u64>()? / 1024)
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What `/metrics` said, by series with its labels.
#[derive(Default)]
pub struct Series(BTreeMap<String, f64>);

impl Series {
    /// Over all labels.
    pub fn sum(&self, name: &str) -> f64 {
        let of_it = |series: &&String| {
            series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        // The sum of nothing is minus zero.
        0.0 + self.0.iter().filter(|(series, _)| of_it(series)).map(|(_, value)| value.abs()).sum::<f64>()
    }

    /// Between which two of this histogram's bounds this share of what came since `before` lies, in milliseconds.
    #[allow(dead_code, reason = "not every benchmark asks")]
    pub fn quantile(&self, before: &Self, histogram: &str, share: f64) -> String {
        let bucket = format!("{histogram}_bucket{{le=\"");
        let mut bounds: Vec<(f64, f64)> = self
            .0
            .iter()
            .filter_map(|(series, value)| {
                let bound = series.strip_prefix(&bucket)?.strip_suffix("\"}")?;
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
                Some((bound, value - before.0.get(series).copied().unwrap_or(0.0)))
            })
            .collect();
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some(&(_, count)) = bounds.last() else { return "not known".to_owned() };
        let found =
            bounds.iter().position(|(_, within)| *within >= share * count).unwrap_or(bounds.len() - 1);
        let from = found.checked_sub(1).map_or(0.0, |before| bounds[before].0);
        format!("{:.1} to {:.1} ms of {count:.0} commits", from * 1e3, bounds[found].0 * 1e3)
    }
}
