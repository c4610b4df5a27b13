//! One question to each kind of device or server: enough to know that it is there, is the right one and
//! takes our credentials. No secret is part of an answer.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::values::mask_url;
use crate::config::{
    BrokerConfig, ModbusConfig, ModbusUnitConfig, NmeaConfig, PointConfig, Reach, ReaderConfig, Secret,
    SerialCommands, SerialReaderConfig,
};
use crate::decode::gps::nmea::speaks;
use crate::decode::modbus::{ASKED_WRONGLY, PointDecoder};
use crate::decode::serial::{Framed, Framer, Side};
use crate::domain::frames::{ModbusAnswer, ModbusFailure};
use crate::domain::readings::{Quality, Reading};
use crate::domain::time::Timestamp;
use crate::notify::http::{HttpClient, HttpError};
use crate::source::modbus::plan::PlannedRequest;
use crate::source::modbus::{self, Fault};
use crate::source::mqtt::Limits;
use crate::source::mqtt::handshake::{self, SUBSCRIBE_ID, Session};
use crate::source::mqtt::packets::{FromBroker, ToBroker};
use crate::source::mqtt::wire::{Connection, Incoming};
use crate::{source, store};

/// Of retained messages that come with a subscription, which nobody looks at.
const LIMITS: Limits = Limits { max_payload: 64 << 10, max_kept: 0 };

/// What the reader says of itself. One that connects by itself is not there to be asked.
pub async fn llrp(config: ReaderConfig, limit: Duration) -> Result<String, String> {
    match config.reach {
        Reach::FromReader { .. } => Ok("connects by itself: see the daemon's log and metrics".to_owned()),
        // Leaves time for the last word.
        Reach::ToReader { .. } => source::llrp::probe(&config, limit.mul_f32(0.4)).await,
    }
}

/// Opens the line, makes the reader read, and waits for its first frame.
pub async fn serial(config: SerialReaderConfig, limit: Duration) -> Result<String, String> {
    let mut line = source::serial::open(&config.line, config.connect_timeout.min(limit)).await?;
    let SerialCommands { start, stop, .. } = &config.commands;
    line.write_all(start).await.map_err(|error| format!("failed to write: {error}"))?;
    let mut framer = Framer::new(config.protocol.clone(), Side::Reader);
    let mut buffer = [0; 1024];
    let (mut frames, mut garbage) = (0, 0);
    // Leaves time for the last word.
    let deadline = tokio::time::Instant::now() + limit.mul_f32(0.7);
    while frames == 0 {
        let count = match tokio::time::timeout_at(deadline, line.read(&mut buffer)).await {
            Err(_) => break,
            Ok(Ok(0)) => return Err("the line was closed".to_owned()),
            Ok(Ok(count)) => count,
            Ok(Err(error)) => return Err(format!("failed to read: {error}")),
        };
        framer.push(&buffer[..count]);
        while let Some(framed) = framer.next_piece() {
            match framed {
                Framed::Frame { .. } => frames += 1,
                Framed::Garbage { bytes, .. } => garbage += bytes.len(),
            }
        }
    }
    line.write_all(stop).await.map_err(|error| format!("failed to write: {error}"))?;
    let name = config.protocol.name();
    match (frames, garbage) {
        (0, 0) if config.silent_after.is_none() => Ok("open, nothing was read yet".to_owned()),
        (0, 0) => {
            Err(format!("open, and the reader says nothing: is it on, is it {name}, is the baud rate right?"))
        }
        (0, bytes) => Err(format!("{bytes} bytes came that are no {name}: is the baud rate right?")),
        _ => Ok(format!("it speaks {name}")),
    }
}

/// Opens the line and waits for a sentence.
pub async fn nmea(config: NmeaConfig, limit: Duration) -> Result<String, String> {
    let mut line = source::serial::open(&config.line, config.connect_timeout.min(limit)).await?;
    let deadline = tokio::time::Instant::now() + limit.mul_f32(0.8);
    let (mut heard, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        match tokio::time::timeout_at(deadline, line.read(&mut buffer)).await {
            Err(_) if heard.is_empty() => return Err("open, and nothing comes: is it on?".to_owned()),
            Err(_) => {
                return Err(format!("{} bytes came, no sentence: {}", heard.len(), config.line.doubt()));
            }
            Ok(Ok(0)) => return Err("the line was closed".to_owned()),
            Ok(Ok(count)) => heard.extend_from_slice(&buffer[..count]),
            Ok(Err(error)) => return Err(format!("failed to read: {error}")),
        }
        if speaks(&heard) {
            return Ok("it speaks NMEA 0183".to_owned());
        }
    }
}

/// Connects with the credentials under another client id and a clean session, so that the daemon's own
/// session is left alone, and subscribes as the daemon does, to learn whether the broker allows it, and with which QoS. It
/// leaves at once: what comes meanwhile it does not acknowledge, and nobody misses. Of a shared subscription it asks for the
/// filter alone, or it would take messages from those who share it.
pub async fn mqtt(config: BrokerConfig) -> Result<String, String> {
    let broker = BrokerConfig { client_id: format!("{}-check", config.client_id), ..config };
    let connected = handshake::connect(&broker, Session::Clean, LIMITS, None).await;
    let (mut connection, _) = connected.map_err(|error| format!("cannot connect: {error}"))?;
    let filters = broker.topics.iter().map(|topic| (topic.pattern.unshared_filter(), topic.qos.min(1)));
    let subscribe = ToBroker::Subscribe { packet_id: SUBSCRIBE_ID, filters: filters.collect() };
    let granted = subscribed(&mut connection, &subscribe, &broker).await;
    let left = async {
        connection.output.queue(&ToBroker::Leave)?;
        connection.close().await
    };
    let lowered = granted.map_err(|why| format!("connected, but {why}"))?;
    left.await.map_err(|error| format!("it answers, but does not let us go: {error}"))?;
    let over = if broker.tls.is_some() { " over TLS" } else { "" };
    let (version, count) = (broker.version, broker.topics.len());
    let warnings = lowered.iter().map(|filter| {
        format!(
            "\nwarning: it serves `{filter}` with QoS 0 only: what comes while the daemon is away, or is lost on the way, is \
             not delivered again; see its limits (`max_qos` of Mosquitto)"
        )
    });
    let warnings: String = warnings.collect();
    Ok(format!("connected with MQTT {version}{over}, {count} subscriptions granted{warnings}"))
}

/// Gives the filters that the broker serves with a lower QoS than asked for.
async fn subscribed<'b>(
    connection: &mut Connection,
    subscribe: &ToBroker<'_>,
    broker: &'b BrokerConfig,
) -> Result<Vec<&'b str>, String> {
    let asked = async {
        connection.output.queue(subscribe)?;
        connection.output.write().await
    };
    asked.await.map_err(|error| error.to_string())?;
    loop {
        match connection.input.next().map_err(|error| error.to_string())? {
            Some(Incoming::Packet(FromBroker::Granted { packet_id, results })) => {
                let granted = handshake::granted(&broker.topics, packet_id, &results);
                return granted.map_err(|error| error.to_string());
            }
            Some(Incoming::Packet(FromBroker::Farewell(why))) => return Err(why),
            Some(_) => {}
            None => connection.input.fill().await.map_err(|error| error.to_string())?,
        }
    }
}

/// Reads the first point of each device, and looks which of the others it refuses.
pub async fn modbus(config: ModbusConfig, limit: Duration) -> Result<String, String> {
    // Leaves time for the last word.
    let deadline = tokio::time::Instant::now() + limit.mul_f32(0.6);
    let mut line = modbus::Line::open(config.clone()).await.map_err(|failure| modbus::describe(&failure))?;
    let (mut said, mut wrong) = (Vec::new(), false);
    for unit in &config.units {
        let Some(point) = unit.points.first() else {
            said.push(format!("{}: connected; no points to read", unit.device));
            continue;
        };
        let answer = line.read(unit.unit, alone(point)).await;
        let (device, name, address) = (&unit.device, &point.name, point.address);
        wrong |= answer.is_err();
        said.push(match answer {
            Ok(registers) => {
                let refused = refused(&mut line, &config, unit, deadline).await;
                wrong |= !refused.is_empty();
                let meant = meant(unit, point, &registers);
                format!("{device}: point {name} reads {meant} (registers {registers:?}){refused}")
            }
            Err(Fault::Exception(code)) => format!(
                "{device}: answers exception {code} to point {name} (zero-based address {address}): see its base, \
                 table and address"
            ),
            Err(fault) => {
                let failure = modbus::describe(&fault.into());
                if renew(&mut line, &config).await.is_err() {
                    return Err(failure);
                }
                format!("{device}: connected, but does not answer: {failure}")
            }
        });
    }
    let said = said.join("; ");
    if wrong { Err(said) } else { Ok(said) }
}

/// The points that a device refuses, in words; nothing where it refuses none, or there was no time to ask for all.
async fn refused(
    line: &mut modbus::Line,
    config: &ModbusConfig,
    unit: &ModbusUnitConfig,
    deadline: tokio::time::Instant,
) -> String {
    let mut refused = Vec::new();
    for point in unit.points.iter().skip(1) {
        if tokio::time::Instant::now() >= deadline {
            break;
        }
        match line.read(unit.unit, alone(point)).await {
            Err(Fault::Exception(code)) if ASKED_WRONGLY.contains(&code) => {
                refused
                    .push(format!("{} (zero-based address {}, exception {code})", point.name, point.address));
            }
            Err(Fault::Exception(_)) | Ok(_) => {}
            // It is down by now, or too slow for this; what is asked next says so.
            Err(_) => {
                renew(line, config).await.ok();
                break;
            }
        }
    }
    match &refused[..] {
        [] => String::new(),
        points => format!(", but it refuses {}: see base, table and address", points.join(", ")),
    }
}

/// An answer may still come: of a connection that has no order, on a new one.
async fn renew(line: &mut modbus::Line, config: &ModbusConfig) -> Result<(), ModbusFailure> {
    match config.transport.is_port() {
        true => line.settle().await.map_err(ModbusFailure::from),
        false => modbus::Line::open(config.clone()).await.map(|opened| *line = opened),
    }
}

fn alone(point: &PointConfig) -> PlannedRequest {
    PlannedRequest { table: point.table, address: point.address, count: point.kind.registers() }
}

/// What the point makes of its registers.
fn meant(unit: &ModbusUnitConfig, point: &PointConfig, registers: &[u16]) -> String {
    let answer = ModbusAnswer {
        device: unit.device.clone(),
        table: point.table,
        address: point.address,
        count: point.kind.registers(),
        interval: unit.poll,
        registers: Ok(registers.to_vec()),
    };
    let alone = PointConfig { poll: None, ..point.clone() };
    let mut readings = Vec::new();
    PointDecoder::new(&[alone], unit.poll).decode(&answer, Timestamp::FIRST, &mut readings);
    let Some(Reading::Sample(sample)) = readings.pop() else { return "nothing".to_owned() };
    let of_unit = point.unit.as_deref().map(|of| format!(" {of}")).unwrap_or_default();
    // As people read it: 8.3, where arithmetic has 8.300000000000001.
    let value = || sample.value.map(|value| format!("{}{of_unit}", (value * 1e6).round() / 1e6));
    match (sample.quality, sample.text.clone().or_else(value)) {
        (Quality::Good, Some(value)) => value,
        (Quality::NoData, _) => "\"no value\"".to_owned(),
        (_, Some(value)) => format!("{value}, which is not in its range"),
        (_, None) => "no number".to_owned(),
    }
}

/// Connects and asks for the versions.
pub async fn timescale(url: Secret) -> Result<String, String> {
    let mut connection = PgConnection::connect(url.reveal()).await.map_err(|error| {
        // Some of the client's errors quote the address.
        format!("cannot connect: {}", error.to_string().replace(url.reveal(), &mask_url(url.reveal())))
    })?;
    let row = sqlx::query(
        "SELECT current_setting('server_version') AS server,
                (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS extension,
                (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb') AS available,
                current_setting('timescaledb.license', true) AS license",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(|error| format!("connected, but cannot ask: {error}"))?;
    let text = |column: &str| row.try_get::<Option<String>, _>(column).ok().flatten();
    let server = text("server").unwrap_or_default();
    let schema = schema_version(&mut connection)
        .await
        .map_err(|error| format!("connected, but may not read the schema `tallyman`: {error}"))?;
    connection.close().await.map_err(|error| format!("closing failed: {error}"))?;
    let known = store::timescale::KNOWN_SCHEMA;
    if schema > known {
        return Err(format!(
            "its schema `tallyman` is at version {schema} and this program knows {known}: install the newer \
             program, or name another database"
        ));
    }
    match (text("extension"), text("available")) {
        (Some(version), _) => {
            let license = text("license").unwrap_or_else(|| "unknown".to_owned());
            Ok(format!("PostgreSQL {server}, timescaledb {version}, license {license}"))
        }
        (None, Some(version)) => Ok(format!(
            "PostgreSQL {server}, timescaledb {version} is installed and will be created in this database"
        )),
        (None, None) => Err(format!("PostgreSQL {server} has no timescaledb: install the extension")),
    }
}

/// 0 where the daemon has not made its tables yet.
async fn schema_version(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let there = sqlx::query_scalar("SELECT to_regclass('tallyman.schema_version') IS NOT NULL");
    if !there.fetch_one(&mut *connection).await? {
        return Ok(0);
    }
    let newest = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM tallyman.schema_version");
    newest.fetch_one(connection).await
}

/// An Alertmanager's status holds its whole configuration.
const STATUS_BYTES: usize = 16 << 20;

/// `GET /api/v2/status`.
pub async fn alertmanager(
    url: String,
    ca_file: Option<PathBuf>,
    timeout: Duration,
) -> Result<String, String> {
    let in_words = |error: HttpError| format!("cannot ask: {error}");
    let status = format!("{url}/api/v2/status");
    let client = HttpClient::new(&status, ca_file.as_deref(), timeout).map_err(in_words)?;
    let mut client = client.reading(STATUS_BYTES);
    let answer = client.send(hyper::Method::GET, &[], String::new()).await.map_err(in_words)?;
    if !answer.status.is_success() {
        return Err(format!("answers {}", answer.status));
    }
    let unknown = "answers, but is not an Alertmanager";
    let status: serde_json::Value = serde_json::from_slice(&answer.body).map_err(|_| unknown)?;
    let version = status["versionInfo"]["version"].as_str().ok_or(unknown)?;
    let cluster = status["cluster"]["status"].as_str().unwrap_or("unknown");
    Ok(format!("Alertmanager {version}, cluster {cluster}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One whose configuration is longer than what other receivers' answers are read for.
    #[tokio::test]
    async fn an_alertmanager_with_a_long_configuration_is_known() {
        use tokio::io::AsyncWriteExt;

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            let status = serde_json::json!({
                "config": { "original": "x".repeat(200 << 10) },
                "versionInfo": { "version": "0.28.1" },
                "cluster": { "status": "ready" },
            });
            let body = status.to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
        });
        let told = alertmanager(url, None, Duration::from_secs(10)).await;
        assert_eq!(told, Ok("Alertmanager 0.28.1, cluster ready".to_owned()));
    }
}
