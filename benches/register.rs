//! What a large register costs: start, memory, a sighting, and many deadlines at once.
//!
//! `cargo bench --bench register [-- ASSETS [start|sightings|deadlines]]`; default 1,000,000 assets with a
//! tag each, all of which have been sensed, and all three. Each start is measured in a process of its own, so that
//! its memory is its own; sightings likewise, in one that has taken both registers up from their journals. Ratios
//! stand beside a register of 1,000 assets in the same run.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tallyman::clean::{Cleaned, Cleaner};
use tallyman::config::{self, Config};
use tallyman::domain::commands::Command;
use tallyman::domain::events::Event;
use tallyman::domain::frames::{LinkChange, LinkState};
use tallyman::domain::ids::{AssetId, Pool, ReadPointId, SourceId};
use tallyman::domain::readings::{DeviceTime, Reading, TagRead};
use tallyman::domain::register::{Asset, Checkout, Record, TagAttachment};
use tallyman::domain::sightings::{PresenceChange, Seen, Sighting};
use tallyman::domain::state::StateRow;
use tallyman::domain::time::Timestamp;
use tallyman::journal::{self, Batch};
use tallyman::pipeline;
use tallyman::track::Tracker;

mod clock;
mod hall;
mod tags;

use hall::HALL;
use tags::{epc, shuffled};

/// The daemon's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SMALL: u32 = 1_000;
const LARGE: u32 = 1_000_000;
const SIGHTINGS: u32 = 300_000;
const ROUNDS: usize = 5;
/// Tags a report.
const REPORT: usize = 20;
/// Sightings between two commits.
const COMMIT: u32 = 500;
const DEADLINES: u32 = 100_000;
/// Deadlines that pass in one step, as the pipeline has it.
const STEP: usize = 500;
const ROWS_A_COMMIT: usize = 50_000;
const START: i64 = 1_780_000_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["child-start", folder] => return start(Path::new(folder)).await,
        ["child-sightings", folder, large] => return sightings(Path::new(folder), large.parse()?).await,
        _ => {}
    }
    let large = arguments.first().map_or(Ok(LARGE), |count| count.parse()).context("a number of assets")?;
    let only = arguments.get(1).map(String::as_str);
    let is_asked = |part| only.is_none_or(|only| only == part);
    println!("{large} assets with a tag each, all of them sensed, beside {SMALL}");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    if is_asked("start") || is_asked("sightings") {
        for count in [SMALL, large] {
            prepare(&folder.path().join(count.to_string()), count, false).await?;
        }
    }
    if is_asked("start") {
        let all_there = folder.path().join(format!("{large}, all in the field"));
        prepare(&all_there, large, true).await?;
        for count in [SMALL, large] {
            child(&["child-start".as_ref(), folder.path().join(count.to_string()).as_os_str()])?;
        }
        child(&["child-start".as_ref(), all_there.as_os_str()])?;
    }
    if is_asked("sightings") {
        child(&["child-sightings".as_ref(), folder.path().as_os_str(), large.to_string().as_ref()])?;
    }
    if is_asked("deadlines") {
        deadlines(large)?;
    }
    Ok(())
}

/// A part in a process of its own.
fn child(arguments: &[&OsStr]) -> Result<()> {
    let status = std::process::Command::new(std::env::current_exe()?).args(arguments).status()?;
    ensure!(status.success(), "{arguments:?} failed");
    Ok(())
}

/// A journal that holds so many assets.
async fn prepare(folder: &Path, count: u32, is_present: bool) -> Result<()> {
    std::fs::create_dir(folder)?;
    let mut rows = Vec::new();
    sensed(count)?.take_dirty(&mut rows);
    if is_present {
        present(count)?.take_dirty(&mut rows);
    }
    store(folder, rows).await
}

fn config(folder: &Path) -> Result<Config> {
    let text = format!(
        r#"
node = "bench"
[journal]
path = "{}"
max_bytes = "16GiB"
[metrics]
listen = "off"
[intake]
max_tags = 10000000
{HALL}[[reader]]
name = "r1"
protocol = "llrp"
address = "127.0.0.1:5084"
[[read_point]]
name = "shelf"
kind = "presence"
zone = "hall"
antennas = [{{ reader = "r1", antenna = 1 }}]
"#,
        folder.join("journal.db").display()
    );
    Ok(config::parse(&text, Path::new(""), &|_| None)?)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(START * 1_000_000 + millis * 1000)
}

fn name(number: u32) -> AssetId {
    AssetId::from(format!("ASSET-{number:07}"))
}

/// Names are held once, as cleaning has them.
struct Names {
    source: SourceId,
    read_point: ReadPointId,
}

impl Names {
    fn new() -> Self {
        Self { source: "r1".into(), read_point: "shelf".into() }
    }
}

fn arrival(names: &Names, number: u32, millis: i64) -> Sighting {
    let what = Seen::Presence {
        epc: epc(number),
        read_point: names.read_point.clone(),
        change: PresenceChange::Arrived,
        ears: Default::default(),
        beside: false,
        weighed: None,
    };
    let source = names.source.clone();
    Sighting { source, observed_at: at(millis), received_at: at(millis), late: false, what }
}

/// The shelf is listened to.
fn hearing(millis: i64) -> Sighting {
    let what = Seen::Hearing { read_point: "shelf".into(), hearing: true };
    Sighting { source: "r1".into(), observed_at: at(millis), received_at: at(millis), late: false, what }
}

/// A tracker that has sensed each of `count` assets once.
fn sensed(count: u32) -> Result<Tracker> {
    let mut tracker = Tracker::new(&config(Path::new("."))?.rules);
    let mut out = Vec::new();
    tracker.started(None, at(0), &mut out);
    tracker.sighting(hearing(0), &mut out);
    let records = (0..count).flat_map(|number| {
        let asset = Asset { home_zone: Some("hall".into()), ..Asset::new(name(number), "tool".into()) };
        [Record::Asset(asset), Record::Tag(TagAttachment::on_asset(epc(number), name(number)))]
    });
    let import = Command::Import { records: records.collect(), checkouts: Vec::new() };
    tracker.command("bench", import, at(0), &mut out)?;
    let names = Names::new();
    for number in 0..count {
        out.clear();
        tracker.sighting(arrival(&names, number, i64::from(number % 1000)), &mut out);
    }
    Ok(tracker)
}

/// Cleaning in which each of `count` tags is present.
fn present(count: u32) -> Result<Cleaner> {
    let config = config(Path::new("."))?;
    let mut cleaner = Cleaner::new(&config.rules, &config.intake);
    let mut cleaned = Cleaned::default();
    let change = LinkChange { source: "r1".into(), state: LinkState::Up { replaying: false }, at: at(0) };
    cleaner.link(&change, &mut cleaned);
    let source = SourceId::new("r1");
    for number in 0..count {
        let read = TagRead {
            source: source.clone(),
            antenna: 1,
            epc: epc(number),
            first_seen: DeviceTime::Utc(at(0)),
            last_seen: DeviceTime::Utc(at(0)),
            seen_count: 10,
            peak_rssi_dbm: None,
            pc: None,
            crc: None,
            doppler_hz: None,
            phase_deg: None,
            channel: None,
        };
        cleaner.reading(Reading::Tag(read), &source, at(0), &mut cleaned);
        cleaned.sightings.clear();
    }
    Ok(cleaner)
}

async fn store(folder: &Path, rows: Vec<StateRow>) -> Result<()> {
    let config = config(folder)?;
    let mut opened = journal::open(&config.journal, &config.node, at(0)).await?;
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let state = rows.by_ref().take(ROWS_A_COMMIT).collect();
        opened.writer.commit(&Batch { state, ..Batch::default() }, at(2000)).await?;
    }
    opened.writer.close().await?;
    Ok(())
}

/// From the first look at the file to a machine that takes its first frame, as `tallyman run` does it.
async fn start(folder: &Path) -> Result<()> {
    let config = config(folder)?;
    let began = Instant::now();
    let mut opened = journal::open(&config.journal, &config.node, at(3000)).await?;
    let opened_after = began.elapsed();
    let mut core = pipeline::take_up(&config, &mut opened.state).await?;
    core.started(opened.meta.last_heartbeat, at(3000));
    drop(core.take_group());
    let took = began.elapsed();
    println!(
        "  start of {}: {:.2} s ({:.2} s to open the file), memory {:>5} MiB now, {:>5} MiB at the most",
        folder.file_name().unwrap_or_default().display(),
        took.as_secs_f64(),
        opened_after.as_secs_f64(),
        memory("VmRSS")?,
        memory("VmHWM")?
    );
    drop(core);
    Ok(())
}

/// Of this process, in MiB.
fn memory(field: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).context("no such field")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kib / 1024)
}

/// The cost of a sighting of any asset, with the rows that it makes, turn by turn.
async fn sightings(folder: &Path, large: u32) -> Result<()> {
    let mut trackers = Vec::new();
    for count in [SMALL, large] {
        trackers.push((shuffled(count), restored(&folder.join(count.to_string())).await?));
    }
    let mut costs = [Vec::new(), Vec::new()];
    let mut millis = 10_000;
    for _ in 0..ROUNDS {
        for ((order, tracker), costs) in trackers.iter_mut().zip(&mut costs) {
            millis += 10_000;
            costs.push(round(tracker, order, millis)?);
        }
    }
    let [small, large_cost] = costs.map(clock::median);
    println!(
        "  a sighting with its rows: {small:.2} µs of {SMALL}, {large_cost:.2} µs of {large}: {:.2} ×",
        large_cost / small
    );
    Ok(())
}

/// A tracker as a start makes it.
async fn restored(folder: &Path) -> Result<Tracker> {
    let config = config(folder)?;
    let mut opened = journal::open(&config.journal, &config.node, at(3000)).await?;
    let (mut tracker, mut pool) = (Tracker::new(&config.rules), Pool::default());
    while let Some(page) = opened.state.next().await {
        for (kind, key, value) in page? {
            tracker.restore_row(kind, &key, &value, &mut pool)?;
        }
    }
    tracker.restored();
    tracker.started(opened.meta.last_heartbeat, at(3000), &mut Vec::new());
    tracker.sighting(hearing(3000), &mut Vec::new());
    tracker.take_dirty(&mut Vec::new());
    Ok(tracker)
}

/// Microseconds of a core a sighting. Every commit is of as many different assets, however many there are, so that
/// the work is the same: as many rows to write.
fn round(tracker: &mut Tracker, order: &[u32], millis: i64) -> Result<f64> {
    let (mut events, mut rows): (Vec<Event>, Vec<StateRow>) = Default::default();
    let began = clock::of_a_core()?;
    let (names, mut report) = (Names::new(), Vec::new());
    for (nth, number) in (0..SIGHTINGS).zip(order.iter().cycle()) {
        report.push(arrival(&names, *number, millis + i64::from(nth / 100)));
        if report.len() == REPORT {
            tracker.sightings(&mut report, &mut events);
        }
        if nth % COMMIT == COMMIT - 1 {
            tracker.take_dirty(&mut rows);
            rows.clear();
            events.clear();
        }
    }
    Ok((clock::of_a_core()? - began).as_secs_f64() * 1e6 / f64::from(SIGHTINGS))
}

/// Many due dates in one second, while sightings go on: how long until all are told, and how long the
/// longest step holds the others up.
fn deadlines(large: u32) -> Result<()> {
    let mut tracker = sensed(large)?;
    let mut events = Vec::new();
    let checkouts = (0..DEADLINES.min(large)).map(|number| Checkout {
        asset: name(number),
        holder: "night shift".to_owned(),
        checked_out_at: at(4000),
        due_back: Some(at(60_000 + i64::from(number % 1000))),
        note: None,
        waived: Vec::new(),
    });
    let import = Command::Import { records: Vec::new(), checkouts: checkouts.collect() };
    tracker.command("bench", import, at(5000), &mut events)?;
    tracker.take_dirty(&mut Vec::new());
    events.clear();
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    let mut told = 0;
    let mut rows = Vec::new();
    while tracker.next_deadline().is_some_and(|deadline| deadline <= at(61_000)) {
        let step = Instant::now();
        tracker.tick(at(61_000), STEP, &mut events);
        tracker.take_dirty(&mut rows);
        told += events.len();
        events.clear();
        rows.clear();
        longest = longest.max(step.elapsed());
    }
    println!(
        "  {} due dates within a second: {told} events in {:.2} s, the longest step {:.0} ms",
        DEADLINES.min(large),
        began.elapsed().as_secs_f64(),
        longest.as_secs_f64() * 1e3
    );
    Ok(())
}
