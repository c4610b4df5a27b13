//! Draining a backlog into TimescaleDB, against a bare binary COPY of the same rows into the same tables.
//!
//! `TALLYMAN_TEST_DATABASE_URL=… cargo bench --bench forward [-- EVENTS [ROUNDS]]`
//!
//! Each round: the forwarder fills an empty database from a journal of EVENTS events (samples, fixes and
//! presences, about 500 assets and 50 sensors) while nothing else is done; then the rows that it wrote are
//! copied out, the tables emptied, and the same bytes copied in, one COPY a table. Both start from a
//! checkpoint. A ratio of 1 means that forwarding costs what the server needs to take in the rows.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tallyman::config::{JournalConfig, RegisterOwner, Secret, TimescaleConfig};
use tallyman::domain::epc::Epc;
use tallyman::domain::events::{Event, EventBody, Subject};
use tallyman::domain::geodesy::Position;
use tallyman::domain::ids::{Digest, EventId};
use tallyman::domain::readings::{Fix, Quality, Sample};
use tallyman::domain::sightings::PresenceChange;
use tallyman::domain::time::Timestamp;
use tallyman::journal::{self, Batch, Control, Reader};
use tallyman::store::timescale;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const TABLES: [&str; 3] = ["tallyman.sample", "tallyman.fix", "tallyman.location_event"];
const COMMIT: u64 = 5_000;

fn main() {
    let Ok(url) = std::env::var("TALLYMAN_TEST_DATABASE_URL") else {
        eprintln!("skipped: benches/forward: TALLYMAN_TEST_DATABASE_URL is not set");
        return;
    };
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let events = numbers.next().unwrap_or(400_000);
    let rounds = numbers.next().unwrap_or(3);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(bench(&url, events, rounds));
}

async fn bench(url: &str, events: u64, rounds: u64) {
    let dir = tempfile::tempdir().unwrap();
    let empty = fill(&dir.path().join("empty"), 0).await;
    let reader = fill(&dir.path().join("journal"), events).await;
    for round in 1..=rounds {
        let database = format!("tallyman_bench_{}", std::process::id());
        let server = PgConnectOptions::from_str(url).unwrap();
        let mut admin = server.connect().await.unwrap();
        execute(&mut admin, &format!("CREATE DATABASE {database}")).await;
        let target = format!("{}/{database}", url.rsplit_once('/').unwrap().0);
        forward("schema", &empty, &target, 0).await;
        execute(&mut admin, "CHECKPOINT").await;
        let forwarded = forward("bench", &reader, &target, events).await;
        let mut connection = server.clone().database(&database).connect().await.unwrap();
        let (copied, rows) = copy_again(&mut connection).await;
        assert_eq!(rows, events);

        connection.close().await.unwrap();
        execute(&mut admin, &format!("DROP DATABASE {database} WITH (FORCE)")).await;
        let rate = |took: Duration| (events as f64 / took.as_secs_f64()).round();
        let ratio = copied.as_secs_f64() / forwarded.as_secs_f64();
        println!(
            "{{\"round\":{round},\"events\":{events},\"forwarded_rows_per_s\":{},\"copy_rows_per_s\":{},\
             \"ratio\":{ratio:.2}}}",
            rate(forwarded),
            rate(copied),
        );
    }
}

/// From the first event to the last.
async fn forward(node: &str, reader: &Reader, url: &str, events: u64) -> Duration {
    let config = TimescaleConfig {
        url: Secret::new(url),
        batch_rows: 20_000,
        chunk_interval: Duration::from_secs(86_400),
        statement_timeout: Duration::from_secs(60),
        register: RegisterOwner::Journal,
    };
    let (committing, committed) = watch::channel(events);
    // The journal is complete: the forwarder ends when it has written all of it.
    drop(committing);
    let (control, mut controls) = mpsc::channel::<Control>(16);
    let (health, _keep) = mpsc::channel(16);
    tokio::spawn(async move { while controls.recv().await.is_some() {} });
    let started = Instant::now();
    let shutdown = CancellationToken::new();
    let day = Duration::from_secs(86_400);
    let keep = timescale::Keep { people: 90 * day, drivers: 400 * day };
    timescale::run(
        config,
        node.into(),
        reader.clone(),
        committed,
        control,
        health,
        Vec::new(),
        keep,
        shutdown,
    )
    .await;
    started.elapsed()
}

async fn copy_again(connection: &mut PgConnection) -> (Duration, u64) {
    let mut files = Vec::new();
    for table in TABLES {
        let sql = format!("COPY (SELECT * FROM {table} ORDER BY seq) TO STDOUT (FORMAT BINARY)");
        let mut chunks = Vec::new();
        let mut stream = connection.copy_out_raw(&sql).await.unwrap();
        while let Some(chunk) = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            chunks.extend_from_slice(&chunk.unwrap());
        }
        drop(stream);
        files.push(chunks);
    }
    execute(connection, &format!("TRUNCATE {}", TABLES.join(", "))).await;
    execute(connection, "CHECKPOINT").await;
    let started = Instant::now();
    let mut rows = 0;
    for (table, bytes) in TABLES.iter().zip(&files) {
        let sql = format!("COPY {table} FROM STDIN (FORMAT BINARY)");
        let mut copy = connection.copy_in_raw(&sql).await.unwrap();
        for chunk in bytes.chunks(256 * 1024) {
            copy.send(chunk).await.unwrap();
        }
        rows += copy.finish().await.unwrap();
    }
    (started.elapsed(), rows)
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

async fn fill(path: &Path, events: u64) -> Reader {
    let config = JournalConfig {
        path: path.to_owned(),
        max_bytes: 1 << 40,
        reserve_bytes: 1 << 20,
        keep_reads: false,
        max_dead_letters: 10,
        max_dead_letter_bytes: 256 << 20,
        retain_events: Duration::from_secs(400 * 86_400),
        retain_people: Duration::from_secs(400 * 86_400),
        retain_drivers: Duration::from_secs(400 * 86_400),
        retain_measurements: Duration::from_secs(30 * 86_400),
        retain_reads: Duration::from_secs(86_400),
    };
    let start = Timestamp::parse("2026-05-01T00:00:00Z").unwrap();
    let mut opened = journal::open(&config, &"bench".into(), start).await.unwrap();
    for first in (0..events).step_by(COMMIT as usize) {
        let events = (first..(first + COMMIT).min(events)).map(|n| event(start, n)).collect();
        let batch = Batch { events, ..Batch::default() };
        opened.writer.commit(&batch, start.offset(first as i64 * 10_000)).await.unwrap();
    }
    opened.writer.close().await.unwrap();
    opened.reader
}

/// Six samples, three fixes and a presence in ten, a hundred events a second.
fn event(start: Timestamp, n: u64) -> Event {
    let at = start.offset(n as i64 * 10_000);
    let asset = format!("FL-{:03}", n % 500);
    let (subject, body) = match n % 10 {
        0..6 => {
            let device = format!("cold-{}", n % 50);
            let body = EventBody::Sample(Sample {
                text: None,
                device: device.as_str().into(),
                point: "temperature".into(),
                observed_at: at,
                value: Some(4.0 + (n % 17) as f64 / 8.0),
                quality: Quality::Good,
            });
            (Subject::Device(device.into()), body)
        }
        6..9 => {
            let body = EventBody::Fix(Fix {
                device: format!("truck/{}", n % 500).into(),
                observed_at: at,
                position: Position {
                    lat: 52.5 + (n % 997) as f64 / 1e4,
                    lon: 13.25 + (n % 991) as f64 / 1e4,
                },
                accuracy_m: Some(8.0),
                altitude_m: Some(34.0),
                speed_mps: Some(3.5),
                course_deg: Some(90.0),
                battery_percent: Some(77.0),
                ignition: None,
                odometer_m: None,
                digest: Digest(n),
                retained: false,
                clockless: false,
                redelivered: false,
            });
            (Subject::Asset(asset.into()), body)
        }
        _ => {
            let body = EventBody::Presence {
                change: PresenceChange::Refreshed,
                epc: Epc::from_hex(&format!("3034257bf7194e40{n:08x}")).unwrap(),
                read_point: "crib".into(),
                zone: Some("tool-crib".into()),
                beside: false,
                weighed: None,
            };
            (Subject::Asset(asset.into()), body)
        }
    };
    Event {
        id: EventId::derive(at, &[&n.to_be_bytes()]),
        site: Some("north".into()),
        subject,
        source: "dock-1".into(),
        observed_at: at,
        received_at: at.offset(2_000),
        late: false,
        confidence: None,
        body,
    }
}
