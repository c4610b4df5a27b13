//! The whole daemon under the reads of many readers, over TCP, to the commit.
//!
//! `cargo bench --bench gates [-- SECONDS [READS_A_SECOND TAGS_A_REPORT]]`; default 60 seconds of 200,000 reads a
//! second at 20 tags a report, then of 50,000 at one. 64 simulated LLRP readers in this process; the daemon in its own,
//! on the same machine, with every tag in its register. At the end the reads that were sent are compared with those
//! that the daemon counts. How long a commit took, from the receipt of its first frame until it was durable, is the
//! daemon's own metric, and so known only between two of its buckets' bounds.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tallyman_simulators::load::{Load, LoadOptions};
use tokio::time::{interval, sleep};

mod daemon;
mod hall;

use daemon::{Daemon, PATIENCE, Series};

const LOOK_AGAIN: Duration = Duration::from_millis(200);
const READERS: usize = 64;
const TAGS: usize = 500;
const ANTENNAS: u16 = 4;
/// What came while the readers were connected one by one is worked off first; all of it counts but for how long it took.
const SETTLES: Duration = Duration::from_secs(5);
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
    let daemon = Daemon::start(folder.path(), |listen| text(folder.path(), &load, listen, tags_a_report))?;
    import(folder.path(), &codes).await?;
    // Readers read from the moment on at which they are asked: until all are, it is not the full load.
    let up = |series: &Series| series.sum("tallyman_source_up") >= READERS as f64;
    daemon.wait(LOOK_AGAIN, up).await?;
    sleep(SETTLES).await;
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
    let all = |series: &Series| reads(series) >= sent as f64;
    let counted = match daemon.wait(LOOK_AGAIN, all).await {
        Ok(series) => series,
        Err(_) => daemon.scrape().await?,
    };
    let balance = counted.sum("tallyman_books_imbalance");
    println!(
        "{:.0} reads/s sent at {tags_a_report} a report ({rate:.0} asked), {:.0}/s taken by the daemon, \
         for {took:.0} s",
        sent_meanwhile as f64 / took,
        (reads(&after) - reads(&before)) / took
    );
    println!(
        "  sent {sent}, counted {:.0}, dropped by the readers {dropped}, books out of balance by {balance:.0}",
        reads(&counted)
    );
    println!(
        "  durable after: p50 {}, p99 {}",
        after.quantile(&before, LATENCY, 0.5),
        after.quantile(&before, LATENCY, 0.99)
    );
    println!("  the daemon took {:.2} of a core, {} MiB", cpu / took, daemon.memory()?);
    load.stop().await?;
    drop(daemon);
    ensure!(reads(&counted) as u64 == sent && dropped == 0 && balance == 0.0, "not every read arrived once");
    Ok(())
}

/// Puts every tag on an asset of its own.
async fn import(folder: &Path, codes: &[Vec<String>]) -> Result<()> {
    let (mut assets, mut tags) = ("id,class,home_zone\n".to_owned(), "epc,asset\n".to_owned());
    for (reader, codes) in codes.iter().enumerate() {
        for (tag, code) in codes.iter().enumerate() {
            writeln!(assets, "A-{reader}-{tag},tool,hall")?;
            writeln!(tags, "{code},A-{reader}-{tag}")?;
        }
    }
    let files = [("assets.csv", assets), ("tags.csv", tags)].map(|(name, text)| (folder.join(name), text));
    for (file, text) in &files {
        std::fs::write(file, text)?;
    }
    let files = files.map(|(file, _)| file);
    let deadline = Instant::now() + PATIENCE;
    let mut look_again = interval(LOOK_AGAIN);
    loop {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallyman"));
        let output =
            command.args(["import", "-c"]).arg(folder.join("tallyman.toml")).args(&files).output()?;
        if output.status.success() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&output.stderr));
        look_again.tick().await;
    }
}

/// Tag reads that were judged.
fn reads(series: &Series) -> f64 {
    series.sum("tallyman_reader_reads_total")
}

/// The daemon's configuration: a shelf to a reader.
fn text(folder: &Path, load: &Load, listen: &str, tags_a_report: u16) -> String {
    let mut text = daemon::head(folder, listen);
    for (name, address) in load.addresses() {
        let antennas =
            (1..=ANTENNAS).map(|antenna| format!("{{ reader = \"{name}\", antenna = {antenna} }}"));
        text.push_str(&format!(
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
        ));
    }
    text
}
