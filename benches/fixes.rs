//! Fixes from a real Mosquitto through the whole daemon to their acknowledgement, against a client of the same library that
//! receives and acknowledges and does nothing else, and against `mosquitto_sub` and Telegraf, where those are on the path.
//!
//! `cargo bench --bench fixes [-- [through] [FIXES [TRACKERS]]]`; default 500,000, QoS 1, of 1,000 trackers. Mosquitto holds all of
//! them before the clock begins; `through`: a publisher that has them encoded sends them meanwhile, as fast as Mosquitto
//! takes them, so that its own work counts for all. Mosquitto is the one on the path, or
//! `TALLYMAN_TEST_MOSQUITTO`. With `TALLYMAN_TEST_DATABASE_URL` the daemon forwards to a TimescaleDB on the same machine
//! all the while, and its rows are counted; and Telegraf (`TALLYMAN_TEST_TELEGRAF`) writes the same to it. An acknowledgement
//! leaves after the fsync of what it acknowledges.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rumqttc::{
    AsyncClient, Connect, Event, Incoming, MqttOptions, Packet, Publish, PublishOptions, QoS, Subscribe,
};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tallyman::source::clock::WallClock;
use tallyman_simulators::mqtt::owntracks::{Location, topic};
use tokio_util::bytes::BytesMut;

mod daemon;
mod hall;
mod telegraf;

use daemon::{Daemon, Series};
use telegraf::Telegraf;

const TRACKERS: u64 = 1000;
const IN_FLIGHT: u16 = 1000;
const STEP: Duration = Duration::from_millis(100);
const CLIENT: &str = "tallyman-bench";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let through = words.iter().any(|word| word == "through");
    let mut numbers = words.iter().filter_map(|word| word.parse::<u64>().ok());
    let (fixes, trackers) = (numbers.next().unwrap_or(500_000), numbers.next().unwrap_or(TRACKERS));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let broker = Broker::start(folder.path())?;
    let bare = bare(&broker, Load::new(&broker, fixes, trackers, through)?).await?;
    println!("{bare:.0} fixes/s received and acknowledged by a bare client ({fixes})");
    let usual = usual(&broker, Load::new(&broker, fixes, trackers, through)?)?;
    println!(
        "{} by mosquitto_sub",
        usual.map_or("not measured".to_owned(), |usual| format!("{usual:.0} fixes/s"))
    );
    let peer = peer(folder.path(), &broker, || Load::new(&broker, fixes, trackers, through)).await?;
    println!(
        "{} by telegraf into the database",
        peer.map_or("not measured".to_owned(), |(rate, mib)| format!("{rate:.0} fixes/s with {mib} MiB"))
    );
    let load = Load::new(&broker, fixes, trackers, through)?;
    let database = Database::make("tallyman").await?;
    let durable = durable(folder.path(), &broker, load, database.as_ref()).await?;
    let beside = if database.is_some() { ", while forwarding" } else { "" };
    println!(
        "{durable:.0} fixes/s acknowledged after their fsync{beside}: {:.2} x the bare client{}{}",
        durable / bare,
        usual.map_or(String::new(), |usual| format!(", {:.2} x mosquitto_sub", durable / usual)),
        peer.map_or(String::new(), |(peer, _)| format!(", {:.2} x telegraf", durable / peer))
    );
    Ok(())
}

/// The client library's own loop, with nothing to do.
async fn bare(broker: &Broker, mut load: Load) -> Result<f64> {
    let mut options = MqttOptions::new(CLIENT, ("127.0.0.1", broker.port));
    options.set_clean_session(false).set_keep_alive(60);
    options.set_max_request_batch(IN_FLIGHT.into());
    let (client, mut events) = AsyncClient::builder(options).capacity(16).build();
    client.try_subscribe("owntracks/#", QoS::AtLeastOnce)?;
    let (mut count, mut began) = (0, None);
    while count < load.fixes {
        match events.poll().await? {
            Event::Incoming(Incoming::SubAck(_)) => load.begin()?,
            Event::Incoming(Incoming::Publish(_)) => {
                began.get_or_insert_with(Instant::now);
                count += 1;
            }
            _ => {}
        }
    }
    // The broker takes what we send in order: when it has taken this, it has taken the acknowledgements too.
    client.try_publish("bench/end", "", PublishOptions::at_least_once())?;
    while !matches!(events.poll().await?, Event::Incoming(Incoming::PubAck(_))) {}
    let took = began.context("nothing came")?.elapsed();
    client.try_disconnect()?;
    while events.poll().await.is_ok() {}
    load.end()?;
    Ok(count as f64 / took.as_secs_f64())
}

/// The broker's own client, whose words nobody reads; `None` where it is not there.
fn usual(broker: &Broker, mut load: Load) -> Result<Option<f64>> {
    let mut command = Command::new("mosquitto_sub");
    command.args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-i", CLIENT, "-c", "-q", "1"]);
    command.args(["-t", "owntracks/#", "-F", "", "-C", &load.fixes.to_string()]).stdout(Stdio::null());
    let began = Instant::now();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    load.begin()?;
    let status = child.wait()?;
    ensure!(status.success(), "mosquitto_sub: {status}");
    let took = began.elapsed();
    load.end()?;
    Ok(Some(load.fixes as f64 / took.as_secs_f64()))
}

/// Telegraf: fixes a second, and the most memory that it had, in MiB; `None` where it or a database is not there.
async fn peer(
    folder: &Path,
    broker: &Broker,
    load: impl FnOnce() -> Result<Load>,
) -> Result<Option<(f64, u64)>> {
    if !Telegraf::is_there()? {
        return Ok(None);
    }
    let Some(database) = Database::make("telegraf").await? else { return Ok(None) };
    let mut own = database.own().connect().await?;
    own.execute("CREATE EXTENSION IF NOT EXISTS timescaledb").await?;
    own.close().await?;
    let mut load = load()?;
    let mut telegraf = Telegraf::start(folder, broker.port, CLIENT, IN_FLIGHT, &database.url)?;
    load.begin()?;
    let rate = telegraf.rate(load.fixes, &database.own()).await?;
    load.end()?;
    let memory = telegraf.memory()?;
    drop(telegraf);
    database.end().await?;
    Ok(Some((rate, memory)))
}

/// The daemon, until every fix is acknowledged; and that each was taken once.
async fn durable(folder: &Path, broker: &Broker, mut load: Load, database: Option<&Database>) -> Result<f64> {
    let fixes = load.fixes;
    let daemon = Daemon::start(folder, |listen| text(folder, broker.port, listen, database))?;
    daemon.wait(STEP, |series| series.sum("tallyman_source_up") > 0.0).await?;
    load.begin()?;
    let acks = |series: &Series| series.sum("tallyman_mqtt_acks_total");
    let first = daemon.wait(STEP, |series| acks(series) > 0.0).await?;
    let began = Instant::now();
    let last = daemon.wait(STEP, |series| acks(series) >= fixes as f64).await?;
    let took = began.elapsed();
    println!(
        "  the daemon took {:.2} of a core, {} MiB; {:.0} events of a backlog for TimescaleDB",
        daemon.cpu()? / took.as_secs_f64(),
        daemon.memory()?,
        last.sum("tallyman_store_backlog_events")
    );
    load.end()?;
    let used = last.sum("tallyman_readings_used_total");
    let imbalance = last.sum("tallyman_books_imbalance");
    ensure!(
        used == fixes as f64 && imbalance == 0.0,
        "{used} of {fixes} fixes used, books out by {imbalance}"
    );
    if let Some(database) = database {
        let began = Instant::now();
        daemon.wait(STEP, |series| series.sum("tallyman_store_backlog_events") == 0.0).await?;
        println!("  the rest of the backlog was forwarded {:.1} s later", began.elapsed().as_secs_f64());
        let rows = database.rows().await?;
        ensure!(rows == (fixes as i64, fixes as i64), "{rows:?} rows and distinct rows of {fixes} fixes");
    }
    Ok((fixes as f64 - acks(&first)) / took.as_secs_f64())
}

fn text(folder: &Path, port: u16, listen: &str, database: Option<&Database>) -> String {
    let store =
        database.map_or(String::new(), |database| format!("[store.timescale]\nurl = \"{}\"\n", database.url));
    format!(
        r#"{}{store}
[[broker]]
name = "fleet"
site = "hq"
address = "127.0.0.1:{port}"
client_id = "{CLIENT}"
max_inflight = {IN_FLIGHT}
[[broker.topic]]
topic = "owntracks/{{user}}/{{device}}"
format = "owntracks"
"#,
        daemon::head(folder, listen)
    )
}

/// A Mosquitto of our own; killed when dropped.
struct Broker {
    child: Child,
    port: u16,
}

impl Broker {
    fn start(folder: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let file = folder.join("mosquitto.conf");
        let settings = "allow_anonymous true\nmax_queued_messages 0\nlog_type error";
        std::fs::write(
            &file,
            format!("listener {port} 127.0.0.1\nuser root\nmax_inflight_messages {IN_FLIGHT}\n{settings}\n"),
        )?;
        let program = std::env::var("TALLYMAN_TEST_MOSQUITTO").unwrap_or_else(|_| "mosquitto".to_owned());
        let mut command = Command::new(&program);
        let child = command.arg("-c").arg(file).stdin(Stdio::null()).spawn();
        let broker = Self { child: child.with_context(|| format!("start {program}"))?, port };
        let deadline = Instant::now() + daemon::PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(Instant::now() < deadline, "{program} does not listen");
            std::thread::yield_now();
        }
        Ok(broker)
    }

    fn connect(&self, client: &str, clean: bool) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let hello = Connect { clean_session: clean, keep_alive: 0, ..Connect::new(client) };
        send(&mut stream, &[Packet::Connect(hello)])?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        ensure!(answer[3] == 0, "the broker refuses us");
        Ok(stream)
    }

    /// Makes a session that holds what comes, and nothing of before.
    fn remember(&self, client: &str) -> Result<()> {
        drop(self.connect(client, true)?);
        let mut stream = self.connect(client, false)?;
        let mut subscribe = Subscribe::new("owntracks/#", QoS::AtLeastOnce);
        subscribe.pkid = 1;
        send(&mut stream, &[Packet::Subscribe(subscribe)])?;
        stream.read_exact(&mut [0; 5])?;
        send(&mut stream, &[Packet::Disconnect])
    }
}

/// What is published with QoS 1: of each tracker a fix a second, 7 m further on, up to a minute ago.
struct Load {
    fixes: u64,
    /// Encoded, until they are sent.
    parts: Vec<BytesMut>,
    stream: TcpStream,
    sending: Vec<JoinHandle<Result<()>>>,
}

impl Load {
    /// For a session that holds nothing of before; sent already, unless it is to go through while it is received.
    fn new(broker: &Broker, fixes: u64, trackers: u64, through: bool) -> Result<Self> {
        broker.remember(CLIENT)?;
        let now = WallClock::new().now().as_micros() / 1_000_000;
        let first = now - i64::try_from(fixes / trackers)? - 60;
        let mut parts = Vec::new();
        for nth in 0..fixes {
            let (tracker, step) = (nth % trackers, nth / trackers);
            let (lat, lon) = (50.0 + (tracker % 1000) as f64 * 1e-3, 8.0 + step as f64 * 1e-4);
            let mut location = Location::new("t1", lat, lon, first + i64::try_from(step)?);
            (location.vel, location.acc) = (25, 5);
            let topic = topic("fleet", &format!("truck-{tracker}"));
            let mut publish = Publish::new(topic, QoS::AtLeastOnce, location.to_json());
            publish.pkid = u16::try_from(nth % 60_000)? + 1;
            if nth % 1000 == 0 {
                parts.push(BytesMut::new());
            }
            let part = parts.last_mut().context("the first is the 0th")?;
            Packet::Publish(publish).write(part, usize::MAX)?;
        }
        let stream = broker.connect("publisher", true)?;
        let mut load = Self { fixes, parts, stream, sending: Vec::new() };
        if !through {
            load.begin()?;
            load.end()?;
        }
        Ok(load)
    }

    /// Sends what is not sent yet, and takes the broker's answers.
    fn begin(&mut self) -> Result<()> {
        if self.parts.is_empty() {
            return Ok(());
        }
        let (mut stream, mut answers) = (self.stream.try_clone()?, self.stream.try_clone()?);
        let parts = std::mem::take(&mut self.parts);
        let mut left = self.fixes * 4;
        self.sending.push(std::thread::spawn(move || {
            Ok(parts.iter().try_for_each(|part| stream.write_all(part))?)
        }));
        self.sending.push(std::thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while left > 0 {
                match answers.read(&mut buffer)? {
                    0 => bail!("the broker left"),
                    count => left = left.saturating_sub(count as u64),
                }
            }
            Ok(())
        }));
        Ok(())
    }

    /// Until the broker has taken all of it.
    fn end(&mut self) -> Result<()> {
        for sending in self.sending.drain(..) {
            sending.join().map_err(|_| anyhow!("publishing failed"))??;
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn send(stream: &mut TcpStream, packets: &[Packet]) -> Result<()> {
    let mut bytes = BytesMut::new();
    for packet in packets {
        packet.write(&mut bytes, usize::MAX)?;
    }
    Ok(stream.write_all(&bytes)?)
}

/// A database of our own, on the server that is there.
struct Database {
    server: PgConnectOptions,
    name: String,
    url: String,
}

impl Database {
    async fn make(whose: &str) -> Result<Option<Self>> {
        let Ok(url) = std::env::var("TALLYMAN_TEST_DATABASE_URL") else { return Ok(None) };
        let server = PgConnectOptions::from_str(&url)?;
        let name = format!("tallyman_bench_{whose}_{}", std::process::id());
        let mut admin = server.connect().await?;
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        let base = url.rsplit_once('/').context("no database in the address")?.0;
        Ok(Some(Self { server, url: format!("{base}/{name}"), name }))
    }

    fn own(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name)
    }

    /// Rows, and those that differ; the database is gone after it.
    async fn rows(&self) -> Result<(i64, i64)> {
        let mut own = self.own().connect().await?;
        let rows: (i64, i64) =
            sqlx::query_as("SELECT count(*), count(DISTINCT (subject, observed_at)) FROM tallyman.fix")
                .fetch_one(&mut own)
                .await?;
        own.close().await?;
        self.end().await?;
        Ok(rows)
    }

    async fn end(&self) -> Result<()> {
        let mut admin = self.server.connect().await?;
        admin.execute(AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name))).await?;
        Ok(())
    }
}
