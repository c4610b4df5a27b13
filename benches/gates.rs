//! The whole daemon under the reads of many readers, over TCP, to the commit.
//!
//! `cargo bench --bench gates [-- SECONDS [READS_A_SECOND TAGS_A_REPORT]]`; default 60 seconds of 200,000 reads a
//! second at 20 tags a report, then of 50,000 at one. 64 simulated LLRP readers in this process; the daemon in its own,
//! on the same machine, with every tag in its register. At the end the reads that were sent are compared with those
//! that the daemon counts. How long a commit took, from the receipt of its first frame until it was durable, is the
//! daemon's own metric, and so known only between two of its buckets' bounds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tallyman_simulators::load::{Load, LoadOptions};
use tokio::time::{interval, sleep};

mod hall;

use hall::HALL;

const READERS: usize = 64;
const TAGS: usize = 500;
const ANTENNAS: u16 = 4;
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const LATENCY: &str = "tallyman_journal_latency_seconds";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let numbers = words.iter().map(|word| word.parse::<f64>()).collect::<Result<Vec<_>, _>>();
    let numbers = numbers.context("SECONDS [READS_A_SECOND TAGS_A_REPORT]")?;
    let seconds = numbers.first().copied().unwrap_or(60.0);
    let runs = match numbers.get(1..3) {
        Some(&[rate, tags]) => vec![(rate, tags as u16)],
        _ => vec![(200_000.0, 20), (50_000.0, 1)],
    };
    for (rate, tags_a_report) in runs {
        run(Duration::from_secs_f64(seconds), rate, tags_a_report).await?;
    }
    Ok(())
}

async fn run(span: Duration, rate: f64, tags_a_report: u16) -> Result<()> {
    let options = LoadOptions {
        readers: READERS,
        reads_per_s: rate / READERS as f64,
        tags: TAGS,
        antennas: ANTENNAS,
        buffer_reads: 10_000_000 / READERS,
        keeps_truth: false,
        ..LoadOptions::default()
    };
    let codes: Vec<Vec<String>> = (0..READERS).map(|reader| options.codes(reader)).collect();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut load = Load::start(options).await?;
    let daemon = Daemon::start(folder.path(), &load, tags_a_report)?;
    daemon.import(&codes).await?;
    // Readers read from the moment on at which they are asked: until all are, it is not the full load.
    let up = |series: &Series| series.sum("tallyman_source_up") >= READERS as f64;
    daemon.wait(up).await?;
    let before = daemon.scrape().await?;
    let (began, sent_before) = (Instant::now(), load.emitted().total_tag_reads());
    let cpu_before = daemon.cpu()?;
    sleep(span).await;
    let took = began.elapsed().as_secs_f64();
    let sent_meanwhile = load.emitted().total_tag_reads() - sent_before;
    let cpu = daemon.cpu()? - cpu_before;
    let after = daemon.scrape().await?;
    load.stop_emitting().await;
    let emitted = load.emitted();
    let sent = emitted.total_tag_reads();
    let dropped: u64 = emitted.tag_reads.values().map(|count| count.dropped).sum();
    let all = |series: &Series| series.reads() >= sent as f64;
    let counted = match daemon.wait(all).await {
        Ok(series) => series,
        Err(_) => daemon.scrape().await?,
    };
    let balance = counted.sum("tallyman_books_imbalance");
    println!(
        "{:.0} reads/s sent at {tags_a_report} a report ({rate:.0} asked), {:.0}/s taken by the daemon, \
         for {took:.0} s",
        sent_meanwhile as f64 / took,
        (after.reads() - before.reads()) / took
    );
    println!(
        "  sent {sent}, counted {:.0}, dropped by the readers {dropped}, books out of balance by {balance:.0}",
        counted.reads()
    );
    println!("  durable after: p50 {}, p99 {}", after.quantile(&before, 0.5), after.quantile(&before, 0.99));
    println!("  the daemon took {:.2} of a core, {} MiB", cpu / took, daemon.memory()?);
    load.stop().await?;
    daemon.stop()?;
    ensure!(counted.reads() as u64 == sent && dropped == 0 && balance == 0.0, "not every read arrived once");
    Ok(())
}

/// `tallyman run`, in a process of its own.
struct Daemon {
    child: Child,
    config: std::path::PathBuf,
    http: reqwest::Client,
    metrics: String,
}

impl Daemon {
    fn start(folder: &Path, load: &Load, tags_a_report: u16) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = folder.join("tallyman.toml");
        std::fs::write(&config, text(folder, load, port, tags_a_report)?)?;
        let log = std::fs::File::create(folder.join("daemon.log"))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallyman"));
        command.args(["run", "-c"]).arg(&config).env_remove("RUST_LOG");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let metrics = format!("http://127.0.0.1:{port}/metrics");
        Ok(Self { child, config, http: reqwest::Client::new(), metrics })
    }

    /// Puts every tag on an asset of its own.
    async fn import(&self, codes: &[Vec<String>]) -> Result<()> {
        let (mut assets, mut tags) = ("id,class,home_zone\n".to_owned(), "epc,asset\n".to_owned());
        for (reader, codes) in codes.iter().enumerate() {
            for (tag, code) in codes.iter().enumerate() {
                writeln!(assets, "A-{reader}-{tag},tool,hall")?;
                writeln!(tags, "{code},A-{reader}-{tag}")?;
            }
        }
        let files = [("assets.csv", assets), ("tags.csv", tags)]
            .map(|(name, text)| (self.config.with_file_name(name), text));
        for (file, text) in &files {
            std::fs::write(file, text)?;
        }
        let deadline = Instant::now() + PATIENCE;
        let mut look_again = interval(LOOK_AGAIN);
        loop {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tallyman"));
            command.args(["import", "-c"]).arg(&self.config).args(files.iter().map(|(file, _)| file));
            let output = command.output()?;
            if output.status.success() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&output.stderr));
            look_again.tick().await;
        }
    }

    async fn scrape(&self) -> Result<Series> {
        let text = self.http.get(&self.metrics).send().await?.error_for_status()?.text().await?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Ok(Series(series.collect()))
    }

    async fn wait(&self, is_there: impl Fn(&Series) -> bool) -> Result<Series> {
        let deadline = Instant::now() + PATIENCE;
        let mut look_again = interval(LOOK_AGAIN);
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
    fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, rest) = stat.rsplit_once(')').context("no such process")?;
        let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.collect::<Result<Vec<_>, _>>()?.iter().sum();
        Ok(ticks as f64 / 100.0)
    }

    fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM")).context("no figure")?;
        Ok(line.split_whitespace().nth(1).context("no figure")?.parse::<u64>()? / 1024)
    }

    fn stop(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
    }
}

/// What `/metrics` said, by series with its labels.
#[derive(Default)]
struct Series(BTreeMap<String, f64>);

impl Series {
    /// Over all labels.
    fn sum(&self, name: &str) -> f64 {
        let of_it = |series: &&String| {
            series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        self.0.iter().filter(|(series, _)| of_it(series)).map(|(_, value)| value.abs()).sum()
    }

    /// Tag reads that were judged.
    fn reads(&self) -> f64 {
        self.sum("tallyman_reader_reads_total")
    }

    /// Between which two bounds this share of the commits since `before` lies.
    fn quantile(&self, before: &Self, share: f64) -> String {
        let bucket = format!("{LATENCY}_bucket{{le=\"");
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

/// The daemon's configuration: a shelf to a reader.
fn text(folder: &Path, load: &Load, port: u16, tags_a_report: u16) -> Result<String> {
    let mut text = format!(
        r#"
node = "bench"
[journal]
path = "{}"
max_bytes = "16GiB"
[metrics]
listen = "127.0.0.1:{port}"
{HALL}"#,
        folder.join("journal.db").display()
    );
    for (name, address) in load.addresses() {
        let antennas =
            (1..=ANTENNAS).map(|antenna| format!("{{ reader = \"{name}\", antenna = {antenna} }}"));
        write!(
            text,
            r#"
[[reader]]
name = "{name}"
protocol = "llrp"
address = "{address}"
report_every = {tags_a_report}
[[read_point]]
name = "{name}-shelf"
kind = "presence"
zone = "hall"
antennas = [{}]
"#,
            antennas.collect::<Vec<_>>().join(", ")
        )?;
    }
    Ok(text)
}
