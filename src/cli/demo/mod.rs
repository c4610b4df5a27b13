//! `tallyman demo`: the whole system on loopback in one process. Simulated devices, an embedded broker,
//! and the daemon exactly as `tallyman run` starts it, on a real configuration and a real journal. Only
//! intervals and due dates are short; no code of the daemon knows that it is a demo.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use rand::Rng;
use serde_json::json;
use tallyman_simulators::{Running, Scenario, StartOptions, World};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::grade::{Fact, Grade};
use self::plant::Surroundings;
use super::control;
use super::run::cancel_on_signal;
use super::story::WallClocks;
use crate::config::{self, Config, values};
use crate::domain::books::Book;
use crate::domain::state::{LinkCurrent, StateKind};
use crate::journal::Reader;
use crate::pipeline::{self, RunError};
use crate::source::clock::WallClock;

mod broker;
mod cargo;
mod database;
mod grade;
mod narrate;
pub mod plant;

/// Emission stops this long before the end, so that everything can arrive and be graded.
const DRAIN: Duration = Duration::from_secs(10);
/// A shorter demo would show nothing.
const SHORTEST: Duration = Duration::from_secs(20);
/// How long the daemon may take until it hears every device.
const CONNECT: Duration = Duration::from_secs(15);
/// Differences told in words at the end.
const REMARKS: usize = 20;

#[derive(clap::Args)]
pub struct DemoArgs {
    /// How long; 0s: until Ctrl-C
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    length: Duration,
    /// A company of your own: see simulators/scenarios/demo.toml
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// The same seed acts out the same story; it varies unless given
    #[arg(long)]
    seed: Option<u64>,
    /// Forward to this TimescaleDB too, and grade what arrived there
    #[arg(long, value_name = "URL")]
    timescale: Option<String>,
    /// Write the report here too, as one JSON object
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keep the configuration and the journal here, to look at afterwards
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    if !args.length.is_zero() && args.length < SHORTEST {
        bail!("a demo takes at least {SHORTEST:?}");
    }
    let stage = Stage::set(&args).await?;
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_on_signal(shutdown.clone())?);
    let report = stage.play(args.length, shutdown).await?;
    let text = serde_json::to_string(&report.json)?;
    println!("{text}");
    if let Some(path) = &args.report {
        std::fs::write(path, text + "\n").with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(if report.sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything in place, nobody moving yet.
struct Stage {
    config: Config,
    running: Running,
    timescale: Option<String>,
    clock: WallClock,
    /// Keeps the temporary folder until the end.
    _folder: Option<tempfile::TempDir>,
}

struct Report {
    json: serde_json::Value,
    /// Nothing lost, nothing doubled.
    sound: bool,
}

impl Stage {
    async fn set(args: &DemoArgs) -> anyhow::Result<Self> {
        let seed = args.seed.unwrap_or_else(|| u64::from(rand::rng().next_u32()));
        let scenario = match &args.scenario {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("failed to read {}", path.display()))?;
                Scenario::parse(&text).with_context(|| path.display().to_string())?
            }
            None => Scenario::demo(),
        };
        let emit_for =
            if args.length.is_zero() { Duration::from_secs(365 * 86_400) } else { args.length - DRAIN };
        let world = World::plan(&scenario, seed, emit_for);
        println!("tallyman demo: {}, seed {seed}", scenario.name);
        narrate::company(world.plant());

        let (folder, temporary) = folder(args.keep.as_deref())?;
        let broker = broker::start().await?;
        let serial_folder = Some(folder.clone());
        let options = StartOptions { broker: Some(broker), serial_folder, ..StartOptions::default() };
        let running = world.start(options).await.context("failed to start the simulated devices")?;
        let (addresses, lines) = (running.addresses(), running.lines());
        let node = format!("demo-{seed}-{}", std::process::id());
        let around = Surroundings {
            node: &node,
            journal: &folder.join("journal.db"),
            broker,
            timescale: args.timescale.as_deref(),
            address: &|name| addresses.get(name).copied(),
            line: &|name| lines.get(name).cloned(),
        };
        let text = plant::config(running.plant(), &around)?;
        let path = folder.join("tallyman.toml");
        std::fs::write(&path, &text).with_context(|| format!("failed to write {}", path.display()))?;
        let config = config::load(&path).context("the demo's own configuration has problems")?;
        if args.keep.is_some() {
            println!("  configuration and journal are kept in {}", folder.display());
        }
        let clock = WallClock::new();
        Ok(Self { config, running, timescale: args.timescale.clone(), clock, _folder: temporary })
    }

    async fn play(mut self, length: Duration, stopped: CancellationToken) -> anyhow::Result<Report> {
        let import = plant::register(self.running.plant());
        pipeline::offline(&self.config, "demo", import).await??;
        let daemon_stop = CancellationToken::new();
        let daemon = tokio::spawn(pipeline::run(self.config.clone(), daemon_stop.clone()));
        let reader = self.connected(&daemon).await?;
        let clocks = WallClocks::of(&self.config.rules);
        let narrator =
            tokio::spawn(narrate::follow(reader.clone(), self.clock.clone(), clocks, daemon_stop.clone()));
        let lights = narrate::lights(&self.running, &self.clock);
        // Due dates count from the moment in which the story begins.
        let begin = self.clock.now();
        control::carry_out(&self.config, plant::checkouts(self.running.plant(), begin)).await?;
        self.running.begin_at(begin.to_jiff());
        println!("  everything is connected; the working day begins\n");
        let emission = if length.is_zero() { Duration::MAX } else { length - DRAIN };
        tokio::select! {
            () = stopped.cancelled() => {}
            () = tokio::time::sleep(emission) => {}
        }
        self.running.stop_emitting().await;
        println!(
            "\n  the devices are silent now; what is under way arrives, and antennas that hear nothing are told of"
        );
        tokio::time::sleep(DRAIN).await;
        daemon_stop.cancel();
        daemon.await.context("the daemon panicked")?.context("the daemon did not stop cleanly")?;
        narrator.await.context("the narrator panicked")?;
        drop(lights);
        let report = self.report(&reader).await?;
        self.running.stop().await.context("failed to write the truth down")?;
        Ok(report)
    }

    /// Waits until the daemon hears every device.
    async fn connected(&self, daemon: &JoinHandle<Result<(), RunError>>) -> anyhow::Result<Reader> {
        let readers = self.config.readers.len() + self.config.serial_readers.len();
        let sources = readers + self.config.brokers.len() + self.config.modbus.len();
        let reader = Reader::open(&self.config.journal.path).await?;
        let deadline = tokio::time::Instant::now() + CONNECT;
        while tokio::time::Instant::now() < deadline {
            let rows = reader.all_states(StateKind::Link).await?;
            let up = rows
                .iter()
                .filter_map(|(_, value)| serde_json::from_slice::<LinkCurrent>(value).ok())
                .filter(|link| link.up);
            if up.count() == sources {
                return Ok(reader);
            }
            if daemon.is_finished() {
                bail!("the daemon stopped before it was connected; its log says why");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("not every device was connected within {CONNECT:?}")
    }

    async fn report(&self, reader: &Reader) -> anyhow::Result<Report> {
        let trackers = &self.running.plant().trackers;
        let device_of = |name: &str| {
            let tracker = trackers.iter().find(|tracker| tracker.name == name);
            tracker.map_or_else(|| name.to_owned(), |t| format!("{}/{}", t.user, t.device))
        };
        let truth = self.running.truth();
        let truth: Vec<Fact> =
            truth.iter().filter_map(|truth| grade::fact_of_truth(truth, device_of)).collect();
        let recorded = narrate::recorded(reader).await?;
        let mut grade = grade::grade(&truth, &recorded);
        let mut lost = self.unaccounted(reader, &mut grade.remarks).await?;
        if let Some(url) = &self.timescale {
            let meta = reader.meta().await?;
            let stored = database::compare(url, &self.config.node, reader, meta.last_seq).await?;
            lost += stored.lost;
            grade.duplicated += stored.duplicated as usize;
            println!("  TimescaleDB holds {} of {} events", stored.found, stored.expected);
        }
        narrate::table(&grade);
        for remark in grade.remarks.iter().take(REMARKS) {
            println!("  {remark}");
        }
        Ok(self.rendered(&grade, lost))
    }

    fn rendered(&self, grade: &Grade, lost: u64) -> Report {
        let emitted = self.running.emitted();
        let mut by_source = serde_json::Map::new();
        for (name, count) in &emitted.tag_reads {
            by_source.insert(name.clone(), count.sent.into());
        }
        by_source.insert("fleet".to_owned(), emitted.total_fixes().into());
        for (name, count) in &emitted.samples {
            by_source.insert(name.clone(), (*count).into());
        }
        let json = json!({
            "emitted": by_source,
            "truth": grade.truth,
            "recorded": grade.recorded,
            "missed": grade.missed,
            "spurious": grade.spurious,
            "lost": lost,
            "duplicated": grade.duplicated,
        });
        Report { json, sound: lost == 0 && grade.duplicated == 0 }
    }

    /// Readings that left a device and are not in the books, and what the books do not account for.
    async fn unaccounted(&self, reader: &Reader, remarks: &mut Vec<String>) -> anyhow::Result<u64> {
        let emitted = self.running.emitted();
        let mut lost = 0;
        for (name, value) in reader.all_states(StateKind::Book).await? {
            let book: Book = serde_json::from_slice(&value).context("failed to read the books")?;
            let (frames, readings) = book.imbalance();
            if !book.balances() {
                remarks.push(format!(
                    "the books of {name} do not balance: {frames} frames, {readings} readings"
                ));
                lost += frames.unsigned_abs() + readings.unsigned_abs();
            }
            // The registers of an answer are fewer points than registers, so only reads and fixes are
            // held against the books one by one.
            let sent = match emitted.tag_reads.get(&name) {
                Some(count) => count.sent,
                None if name == "fleet" => emitted.total_fixes(),
                None => continue,
            };
            let received = book.readings + book.dead_letters;
            if received < sent {
                remarks.push(format!("{name} sent {sent} readings, and {received} arrived"));
                lost += sent - received;
            }
        }
        Ok(lost)
    }
}

/// The folder to work in, and what removes it at the end.
fn folder(keep: Option<&std::path::Path>) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    if let Some(keep) = keep {
        std::fs::create_dir_all(keep).with_context(|| format!("failed to create {}", keep.display()))?;
        return Ok((keep.to_owned(), None));
    }
    let temporary = tempfile::tempdir().context("failed to create a temporary folder")?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

fn duration(text: &str) -> Result<Duration, String> {
    values::parse_duration(text).ok_or_else(|| format!("write {}", values::DURATION_ALLOWED))
}
