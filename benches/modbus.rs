//! The whole daemon polling many Modbus devices over TCP, and how evenly it asks them.
//!
//! `cargo bench --bench modbus [-- SECONDS [DEVICES]]`; default 30 seconds of 1,000 devices, 20 registers a second each, one
//! request. The devices are in this process, on the same cores. First every value is another one every time, and all are
//! events; then values leave their deadband twice a minute, as those of processes do; then one device accepts connections
//! and says nothing. Jitter is by how much a request came before or after the moment at which it was due, which is a
//! second after the one before, by each device's own clock.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

mod daemon;
mod hall;

use daemon::{Daemon, Series};

const PERIOD: Duration = Duration::from_secs(1);
const POINTS: u16 = 20;
/// A deadband that values, which count up by one each time, leave twice a minute.
const CALM: u16 = 30;
const STEP: Duration = Duration::from_millis(200);
/// Connections come up one after the other; then the polls settle.
const SETTLES: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let words: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let seconds = words.first().copied().unwrap_or(30);
    let devices = usize::try_from(words.get(1).copied().unwrap_or(1000))?;
    for (deadband, hung, what) in [
        (0, false, "every value another one each time"),
        (CALM, false, "values leave their deadband twice a minute"),
        (CALM, true, "the same, one of them hung"),
    ] {
        let told = run(Duration::from_secs(seconds), devices, deadband, hung).await?;
        println!("{devices} devices, {what}: {told}");
    }
    Ok(())
}

async fn run(span: Duration, devices: usize, deadband: u16, hung: bool) -> Result<String> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (mut addresses, mut asked) = (Vec::new(), Vec::new());
    for nth in 0..devices {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        addresses.push(listener.local_addr()?.to_string());
        let requests = Arc::new(Mutex::new(Vec::new()));
        asked.push(requests.clone());
        let answers = !(hung && nth == 0);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers, requests.clone()));
            }
        });
    }
    let daemon = Daemon::start(folder.path(), |listen| text(folder.path(), &addresses, deadband, listen))?;
    let up = devices - usize::from(hung);
    daemon.wait(STEP, |series| series.sum("tallyman_source_up") >= up as f64).await?;
    sleep(SETTLES).await;
    let before = daemon.scrape().await?;
    let (began, cpu_before) = (Instant::now(), daemon.cpu()?);
    sleep(span).await;
    let (ended, cpu) = (Instant::now(), daemon.cpu()? - cpu_before);
    let series = daemon.scrape().await?;
    let events = series.sum("tallyman_journal_events_total") - before.sum("tallyman_journal_events_total");
    let mut jitters = Vec::new();
    let mut requests = 0;
    for asked in asked.iter().skip(usize::from(hung)) {
        let asked = asked.lock().map_err(|_| anyhow::anyhow!("a device failed"))?;
        let during: Vec<Instant> = asked.iter().copied().filter(|at| (began..ended).contains(at)).collect();
        requests += during.len();
        jitters.extend(during.windows(2).map(|pair| off(pair[1] - pair[0])));
    }
    jitters.sort_by(f64::total_cmp);
    let p99 = jitters.get(jitters.len() * 99 / 100).context("nothing was asked")?;
    let due = up as f64 * span.as_secs_f64();
    let missed = skipped(&series);
    ensure!(series.sum("tallyman_books_imbalance") == 0.0, "the books do not balance");
    Ok(format!(
        "{:.2} of a core, {} MiB, {:.0} events/s; jitter p50 {:.1} ms, p99 {:.1} ms; {requests} requests of {due:.0} due, {missed:.0} polls skipped",
        cpu / span.as_secs_f64(),
        daemon.memory()?,
        events / span.as_secs_f64(),
        jitters[jitters.len() / 2] * 1e3,
        p99 * 1e3,
    ))
}

fn skipped(series: &Series) -> f64 {
    series.sum("tallyman_modbus_polls_skipped_total")
}

/// By how much two requests are further apart than a period, or nearer, in seconds.
fn off(apart: Duration) -> f64 {
    (apart.as_secs_f64() - PERIOD.as_secs_f64()).abs()
}

/// Answers every read of holding registers (Modbus application protocol 1.1b3, section 6.3) with what counts up.
async fn serve(mut stream: TcpStream, answers: bool, asked: Arc<Mutex<Vec<Instant>>>) {
    let mut request = [0; 12];
    let mut count = 0_u16;
    while stream.read_exact(&mut request).await.is_ok() {
        if let Ok(mut asked) = asked.lock() {
            asked.push(Instant::now());
        }
        if !answers {
            continue;
        }
        count = count.wrapping_add(1);
        let registers = u16::from_be_bytes([request[10], request[11]]);
        let bytes = (registers * 2) as u8;
        let mut answer = request[..4].to_vec();
        answer.extend((u16::from(bytes) + 3).to_be_bytes());
        answer.extend([request[6], request[7], bytes]);
        answer.extend((0..registers).flat_map(|nth| (count + nth).to_be_bytes()));
        if stream.write_all(&answer).await.is_err() {
            break;
        }
    }
}

fn text(folder: &Path, addresses: &[String], deadband: u16, listen: &str) -> String {
    let points: String = (0..POINTS)
        .map(|nth| {
            format!(
                "[[profile.point]]\nname = \"p{nth}\"\ntable = \"holding\"\naddress = {nth}\ntype = \"u16\"\n\
                 deadband = {deadband}\n"
            )
        })
        .collect();
    let devices: String = addresses
        .iter()
        .enumerate()
        .map(|(nth, address)| {
            format!(
                "[[modbus]]\nname = \"m{nth}\"\nsite = \"hq\"\naddress = \"{address}\"\nprofile = \"meter\"\npoll = \"1s\"\n"
            )
        })
        .collect();
    let head = daemon::head(folder, listen);
    format!("{head}[[profile]]\nname = \"meter\"\nbase = 0\n{points}{devices}")
}
