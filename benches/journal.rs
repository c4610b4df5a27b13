//! The journal's insert rate beside that of a bare multi-row loop in the same run, same folder, same settings.
//!
//! `cargo bench --bench journal [-- FOLDER]`; the folder decides which disk is measured (default: the
//! build's target folder). Prints rows a second, the median of the rounds, and the ratio.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tallyman::config::JournalConfig;
use tallyman::domain::events::{Event, EventBody, Subject};
use tallyman::domain::geodesy::Position;
use tallyman::domain::ids::{Digest, EventId, NodeId};
use tallyman::domain::readings::Fix;
use tallyman::domain::sightings::PresenceChange;
use tallyman::domain::state::{StateKind, StateRow};
use tallyman::domain::time::Timestamp;
use tallyman::journal::{self, Batch};

const SUBJECTS: u64 = 10_000;
const EVENTS_A_ROUND: u64 = 200_000;
const ROUNDS: usize = 5;
/// Rows a statement of the bare loop.
const BARE_ROWS: usize = 100;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A measurement: indexed by its id alone.
    Fix,
    /// Lasting: indexed by its subject as well.
    Presence,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let folder = given.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    println!(
        "{EVENTS_A_ROUND} events a round, {ROUNDS} rounds, {SUBJECTS} subjects, in {}",
        folder.display()
    );
    println!("rows/s, median (lowest to highest)");
    for commit in [1000, 5000] {
        let mut bare = Vec::new();
        let mut state = Vec::new();
        let mut runs: [Vec<f64>; 3] = Default::default();
        // Turn by turn, so that whatever else the machine does meets them all alike.
        for round in 0..ROUNDS {
            bare.push(bare_loop(&folder, commit, false).await?);
            state.push(bare_loop(&folder, commit, true).await?);
            runs[0].push(journal_rate(&folder, commit, Kind::Fix, false, round).await?);
            runs[1].push(journal_rate(&folder, commit, Kind::Fix, true, round).await?);
            runs[2].push(journal_rate(&folder, commit, Kind::Presence, true, round).await?);
        }
        let baseline = median(&mut bare);
        let with_state = median(&mut state);
        println!("\n{commit} events a commit");
        report("bare loop, seq the only key", &mut bare, baseline, with_state);
        report("bare loop + a state row a touched subject", &mut state, baseline, with_state);
        report("journal, fixes, no state", &mut runs[0], baseline, with_state);
        report("journal, fixes + state", &mut runs[1], baseline, with_state);
        report("journal, presences + state", &mut runs[2], baseline, with_state);
    }
    reading(&folder).await
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn report(what: &str, rates: &mut [f64], bare: f64, bare_with_state: f64) {
    let middle = median(rates);
    let (low, high) = (rates[0], rates[rates.len() - 1]);
    println!(
        "  {what:<42} {middle:>9.0}  ({low:.0} to {high:.0})  {:.2} of bare, {:.2} of bare with state",
        middle / bare,
        middle / bare_with_state
    );
}

fn config(folder: &Path) -> JournalConfig {
    let day = Duration::from_secs(86_400);
    JournalConfig {
        path: folder.join("journal.db"),
        max_bytes: 8 << 30,
        reserve_bytes: 64 << 20,
        keep_reads: false,
        max_dead_letters: 10_000,
        max_dead_letter_bytes: 256 << 20,
        retain_events: 400 * day,
        retain_people: 400 * day,
        retain_drivers: 400 * day,
        retain_measurements: 30 * day,
        retain_reads: day,
    }
}

fn at(nth: u64) -> Timestamp {
    Timestamp::from_micros(1_780_000_000_000_000 + nth as i64 * 200)
}

fn body(nth: u64, kind: Kind) -> EventBody {
    match kind {
        Kind::Fix => EventBody::Fix(Fix {
            accuracy_m: Some(6.0),
            speed_mps: Some(3.5),
            ..Fix::bare(
                format!("truck/{}", nth % SUBJECTS).as_str().into(),
                at(nth),
                Position { lat: 48.2 + nth as f64 * 1e-7, lon: 16.37 },
                Digest(nth),
            )
        }),
        Kind::Presence => EventBody::Presence {
            change: PresenceChange::Arrived,
            epc: tallyman::domain::epc::Epc::new(96, &[7; 12])
                .unwrap_or_else(|| unreachable!("12 bytes are 96 bits")),
            read_point: "dock-3".into(),
            zone: Some("yard".into()),
            beside: false,
            weighed: None,
        },
    }
}

fn event(nth: u64, kind: Kind) -> Event {
    Event {
        id: EventId::derive(at(nth), &[&nth.to_be_bytes()]),
        site: Some("north".into()),
        subject: Subject::Asset(format!("A-{:05}", nth % SUBJECTS).into()),
        source: "broker".into(),
        observed_at: at(nth),
        received_at: at(nth),
        late: false,
        confidence: None,
        body: body(nth, kind),
    }
}

fn state_row(nth: u64) -> StateRow {
    let value = format!(
        "{{\"asset\":\"A-{nth:05}\",\"location\":{{\"zone\":\"yard\"}},\"reason\":\"a fix inside the yard\",\"n\":{nth}}}"
    );
    StateRow { kind: StateKind::Asset, key: format!("A-{:05}", nth % SUBJECTS), value: Some(value.into()) }
}

fn batches(commit: u64, kind: Kind, state: bool) -> Vec<Batch> {
    (0..EVENTS_A_ROUND / commit)
        .map(|batch| {
            let numbers = batch * commit..(batch + 1) * commit;
            Batch {
                events: numbers.clone().map(|nth| event(nth, kind)).collect(),
                state: if state { numbers.map(state_row).collect() } else { Vec::new() },
                dead_letters: Vec::new(),
                replayed: Vec::new(),
            }
        })
        .collect()
}

async fn journal_rate(folder: &Path, commit: u64, kind: Kind, state: bool, round: usize) -> Result<f64> {
    let folder = tempfile::tempdir_in(folder)?;
    let mut opened = journal::open(&config(folder.path()), &NodeId::new("bench"), at(0)).await?;
    let batches = batches(commit, kind, state);
    let started = Instant::now();
    for batch in &batches {
        opened.writer.commit(batch, at(round as u64)).await?;
    }
    let rate = EVENTS_A_ROUND as f64 / started.elapsed().as_secs_f64();
    opened.reader.close().await;
    opened.writer.close().await?;
    Ok(rate)
}

async fn bare_loop(folder: &Path, commit: u64, state: bool) -> Result<f64> {
    let folder = tempfile::tempdir_in(folder)?;
    let mut conn = SqliteConnectOptions::new()
        .filename(folder.path().join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "10000")
        .disable_statement_logging()
        .connect()
        .await?;
    conn.execute(
        "CREATE TABLE event (seq INTEGER PRIMARY KEY, id BLOB, at INTEGER, subject TEXT, body TEXT)",
    )
    .await?;
    conn.execute("CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID").await?;
    let batches = batches(commit, Kind::Fix, state);
    let bodies: Vec<Vec<(String, String)>> = batches
        .iter()
        .map(|batch| {
            let row = |event: &Event| Ok((event.subject.to_string(), serde_json::to_string(&event.body)?));
            batch.events.iter().map(row).collect::<Result<_>>()
        })
        .collect::<Result<_>>()?;
    let started = Instant::now();
    let mut seq = 0;
    for (batch, bodies) in batches.iter().zip(&bodies) {
        conn.execute("BEGIN IMMEDIATE").await?;
        bare_events(&mut conn, batch, bodies, &mut seq).await?;
        bare_state(&mut conn, batch).await?;
        conn.execute("COMMIT").await?;
    }
    let rate = EVENTS_A_ROUND as f64 / started.elapsed().as_secs_f64();
    conn.close().await?;
    Ok(rate)
}

async fn bare_events(
    conn: &mut SqliteConnection,
    batch: &Batch,
    bodies: &[(String, String)],
    seq: &mut i64,
) -> Result<()> {
    let text = format!("INSERT INTO event VALUES {}", vec!["(?,?,?,?,?)"; BARE_ROWS].join(","));
    for (events, bodies) in batch.events.chunks(BARE_ROWS).zip(bodies.chunks(BARE_ROWS)) {
        let mut query = sqlx::query(AssertSqlSafe(text.as_str()));
        for (event, (subject, body)) in events.iter().zip(bodies) {
            *seq += 1;
            query = query.bind(*seq).bind(&event.id.0[..]).bind(event.observed_at.as_micros());
            query = query.bind(subject.as_str()).bind(body.as_str());
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

async fn bare_state(conn: &mut SqliteConnection, batch: &Batch) -> Result<()> {
    let text = format!(
        "INSERT INTO state VALUES {} ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        vec!["(?,?)"; BARE_ROWS].join(",")
    );
    for rows in batch.state.chunks(BARE_ROWS) {
        let mut query = sqlx::query(AssertSqlSafe(text.as_str()));
        for row in rows {
            query = query.bind(row.key.as_str()).bind(row.value.as_deref());
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// Reading back in order, as the forwarder does, and deleting what is too old.
async fn reading(folder: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(folder)?;
    let mut opened = journal::open(&config(folder.path()), &NodeId::new("bench"), at(0)).await?;
    for batch in batches(5000, Kind::Fix, true) {
        opened.writer.commit(&batch, at(0)).await?;
    }
    let started = Instant::now();
    let mut seq = 0;
    while seq < EVENTS_A_ROUND {
        let events = opened.reader.events_after(seq, 20_000).await?;
        seq = events.last().context("an event")?.seq;
    }
    println!(
        "\nread back, 20000 at once  {:>9.0} rows/s",
        EVENTS_A_ROUND as f64 / started.elapsed().as_secs_f64()
    );
    let started = Instant::now();
    let later = at(0) + Duration::from_secs(31 * 86_400);
    while opened.writer.maintain(later).await?.more {}
    println!(
        "pruned by steps           {:>9.0} rows/s",
        EVENTS_A_ROUND as f64 / started.elapsed().as_secs_f64()
    );
    opened.reader.close().await;
    opened.writer.close().await?;
    Ok(())
}
