//! `tallyman-sim`: each simulator on its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tallyman_simulators::load::{Load, LoadOptions};
use tallyman_simulators::portal;
use tallyman_simulators::serial::Protocol;
use tallyman_simulators::{Parts, Scenario, ScenarioFile, StartOptions, World};
use tracing_subscriber::EnvFilter;

/// Readers, trackers and sensors that speak the real transports and write down the truth.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The scenario's RFID readers, over LLRP
    ///
    /// Prints one JSON line with the address of each reader. Reads are made while a client has an ROSpec active.
    Llrp(Scene),
    /// The scenario's serial readers, each on a pseudo-terminal
    ///
    /// Prints one JSON line with the path of each reader's line. Reads are made while a client makes it read.
    Serial {
        #[command(flatten)]
        scene: Scene,
        /// Every reader of the scenario speaks this, the LLRP ones too: line, mercury, r2000, chafon, r200
        #[arg(long, value_parser = protocol)]
        protocol: Option<Protocol>,
        /// Where the lines are found
        #[arg(long)]
        folder: Option<PathBuf>,
    },
    /// The scenario's GPS trackers, as OwnTracks messages over MQTT
    Gps {
        #[command(flatten)]
        scene: Scene,
        /// Broker to publish to
        #[arg(long, default_value = "127.0.0.1:1883")]
        broker: SocketAddr,
    },
    /// The scenario's cold rooms, over Modbus TCP
    Modbus(Scene),
    /// One run of a portal that is physics: reads, light barriers and the truth, as JSON lines
    ///
    /// Time is virtual: the whole run is printed at once.
    Portal(PortalRun),
    /// Tag reports and fixes at a steady rate, every one of them in the truth
    Load(LoadArguments),
}

#[derive(Args)]
struct Scene {
    /// TOML file; the default demo's company where none is given
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// The same seed gives the same happenings; drawn and printed where none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Write the truth there, one JSON object a line
    #[arg(long)]
    truth: Option<PathBuf>,
    /// The truth of every single read and fix, too
    #[arg(long)]
    raw: bool,
    /// How long to emit, in seconds, for instance 60 or 60s; 0: until Ctrl-C
    #[arg(long = "for", default_value = "60s", value_parser = seconds)]
    emit_for: Duration,
    /// First port to listen on, the further devices on the following ones; any free ones where none is given
    #[arg(long)]
    port: Option<u16>,
    /// Begin once every device has a client, rather than at once; give up after this many seconds
    #[arg(long, value_parser = seconds)]
    wait: Option<Duration>,
}

#[derive(Args)]
struct PortalRun {
    /// TOML file; `scenarios/portal/standard/one_pallet.toml` explains the keys
    #[arg(long)]
    scenario: PathBuf,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Args)]
struct LoadArguments {
    /// A scenario has no say in load; given, its readers' number is taken
    #[arg(long)]
    scenario: Option<PathBuf>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write the truth there, one JSON object a line
    #[arg(long)]
    truth: Option<PathBuf>,
    /// How long to emit; 0: until Ctrl-C
    #[arg(long = "for", default_value = "60s", value_parser = seconds)]
    emit_for: Duration,
    #[arg(long, default_value_t = 1)]
    readers: usize,
    /// Tag reads a second, of each reader
    #[arg(long, default_value_t = 1000.0)]
    reads_per_s: f64,
    /// Different tags at each reader
    #[arg(long, default_value_t = 500)]
    tags: usize,
    /// Reads that a reader holds while nobody takes them
    #[arg(long, default_value_t = 1_000_000)]
    buffer: usize,
    /// Broker to publish fixes to
    #[arg(long)]
    broker: Option<SocketAddr>,
    /// Fixes a second, of all trackers together
    #[arg(long, default_value_t = 0.0)]
    fixes_per_s: f64,
    /// Trackers; at least as many as fixes a second
    #[arg(long, default_value_t = 0)]
    devices: usize,
    /// MQTT connections that the trackers share
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// First port to listen on; any free one where none is given
    #[arg(long)]
    port: Option<u16>,
}

/// Emission "until Ctrl-C" is planned this far ahead.
const A_DAY: Duration = Duration::from_secs(24 * 3600);

fn protocol(text: &str) -> Result<Protocol, String> {
    let quoted = serde_json::Value::String(text.to_owned());
    serde_json::from_value(quoted).map_err(|_| "line, mercury, r2000, chafon or r200".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let digits = text.strip_suffix('s').unwrap_or(text);
    let seconds: f64 = digits.parse().map_err(|_| format!("{text} is not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let none = Parts { readers: false, serial: false, trackers: false, modbus: false };
    match Arguments::parse().command {
        Command::Llrp(scene) => {
            let (scenario, options) = prepare(&scene, Parts { readers: true, ..none })?;
            act_out(scene, scenario, options).await
        }
        Command::Serial { scene, protocol, folder } => {
            let (mut scenario, options) = prepare(&scene, Parts { serial: true, ..none })?;
            for reader in scenario.readers.iter_mut().filter(|_| protocol.is_some()) {
                reader.serial = protocol;
            }
            act_out(scene, scenario, StartOptions { serial_folder: folder, ..options }).await
        }
        Command::Gps { scene, broker } => {
            let (scenario, options) = prepare(&scene, Parts { trackers: true, ..none })?;
            act_out(scene, scenario, StartOptions { broker: Some(broker), ..options }).await
        }
        Command::Modbus(scene) => {
            let (scenario, options) = prepare(&scene, Parts { modbus: true, ..none })?;
            act_out(scene, scenario, options).await
        }
        Command::Load(arguments) => load(arguments).await,
        Command::Portal(run) => act_out_portal(&run),
    }
}

fn act_out_portal(run: &PortalRun) -> anyhow::Result<()> {
    let path = run.scenario.display();
    let text = std::fs::read_to_string(&run.scenario).with_context(|| format!("failed to read {path}"))?;
    let scenario = portal::Scenario::parse(&text).with_context(|| format!("{path} cannot be acted out"))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    scenario.run(run.seed).write(&mut out).context("failed to write the run")
}

fn prepare(scene: &Scene, parts: Parts) -> anyhow::Result<(Scenario, StartOptions)> {
    let options = StartOptions {
        parts,
        raw: scene.raw,
        truth_file: scene.truth.clone(),
        first_port: scene.port,
        ..StartOptions::default()
    };
    Ok((read_scenario(scene.scenario.as_ref())?, options))
}

async fn act_out(scene: Scene, scenario: Scenario, options: StartOptions) -> anyhow::Result<()> {
    let seed = scene.seed.unwrap_or_else(rand::random);
    let emit_for = if scene.emit_for.is_zero() { A_DAY } else { scene.emit_for };
    let world = World::plan(&scenario, seed, emit_for);
    let mut running = world.start(options).await?;
    println!(
        "{}",
        serde_json::json!({
            "seed": seed, "listening": running.addresses(), "lines": running.lines(),
        })
    );
    if let Some(wait) = scene.wait {
        let missing = running.clients(wait).await;
        anyhow::ensure!(missing.is_empty(), "nobody came to {}", missing.join(", "));
    }
    running.begin();
    tokio::select! {
        () = running.emission_over() => {}
        pressed = tokio::signal::ctrl_c() => pressed.context("failed to wait for Ctrl-C")?,
    }
    running.stop_emitting().await;
    println!("{}", serde_json::json!({ "emitted": running.emitted() }));
    running.stop().await.context("failed to write the truth")?;
    Ok(())
}

fn read_scenario(path: Option<&PathBuf>) -> anyhow::Result<Scenario> {
    let Some(path) = path else { return Ok(Scenario::demo()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    Scenario::parse(&text).with_context(|| format!("{} cannot be acted out", path.display()))
}

async fn load(arguments: LoadArguments) -> anyhow::Result<()> {
    let readers = match &arguments.scenario {
        Some(path) => read_scenario(Some(path))?.readers.len(),
        None => arguments.readers,
    };
    let options = LoadOptions {
        readers,
        reads_per_s: arguments.reads_per_s,
        tags: arguments.tags,
        buffer_reads: arguments.buffer,
        broker: arguments.broker,
        devices: arguments.devices,
        fixes_per_s: arguments.fixes_per_s,
        connections: arguments.connections,
        seed: arguments.seed,
        truth_file: arguments.truth,
        first_port: arguments.port,
        ..LoadOptions::default()
    };
    let mut load = Load::start(options).await?;
    println!("{}", serde_json::json!({ "listening": load.addresses() }));
    let over = async {
        if arguments.emit_for.is_zero() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(arguments.emit_for).await;
    };
    tokio::select! {
        () = over => {}
        pressed = tokio::signal::ctrl_c() => pressed.context("failed to wait for Ctrl-C")?,
    }
    load.stop_emitting().await;
    println!("{}", serde_json::json!({ "emitted": load.emitted() }));
    load.stop().await.context("failed to write the truth")?;
    Ok(())
}
