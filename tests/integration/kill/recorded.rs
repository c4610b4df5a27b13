//! What the daemon recorded, by natural key: from the journal, and from TimescaleDB's tables, which have no
//! uniqueness that could have tidied a double away.

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};
use tallyman::domain::books::Book;
use tallyman::domain::events::EventBody;
use tallyman::journal::Reader;

use super::grade::{Connected, FixKey, ReadKey};
use crate::daemon::Daemon;
use crate::timescale::rig::Database;

/// Events read at once.
const PAGE: usize = 5000;

#[derive(Debug, Default)]
pub struct Recorded {
    pub reads: Vec<ReadKey>,
    pub fixes: Vec<FixKey>,
    /// From and to, as the restarts told it; the journal alone is asked.
    pub gaps: Vec<(Timestamp, Timestamp)>,
    /// The same.
    pub connected: Connected,
}

pub async fn in_journal(reader: &Reader) -> Recorded {
    let mut recorded = Recorded::default();
    let mut seq = 0;
    loop {
        let page = reader.events_after(seq, PAGE).await.expect("events");
        let Some(last) = page.last() else { return recorded };
        seq = last.seq;
        for event in page {
            let body = serde_json::from_str(&event.body).expect("a body of this version");
            match body {
                EventBody::TagRead { epc, antenna, .. } => recorded.reads.push(ReadKey {
                    reader: event.source.to_string(),
                    epc: hex::encode(epc.bytes()),
                    antenna,
                    reader_time_us: event.observed_at.as_micros(),
                }),
                EventBody::Fix(fix) => recorded
                    .fixes
                    .push(FixKey { device: fix.device.to_string(), time_us: fix.observed_at.as_micros() }),
                EventBody::Gap { from, to, .. } => recorded.gaps.push((time(from), time(to))),
                EventBody::Link { up: true, .. } => {
                    let times = recorded.connected.entry(event.source.to_string()).or_default();
                    times.push(time(event.received_at));
                }
                _ => {}
            }
        }
    }
}

fn time(at: tallyman::domain::time::Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_micros()).expect("a time in our age")
}

pub async fn in_database(database: &Database) -> Recorded {
    const MICROS: &str = "(extract(epoch FROM observed_at) * 1000000)::bigint AS micros";
    let reads = format!("SELECT source, epc, antenna, {MICROS} FROM tallyman.tag_read");
    let reads = sqlx::query(sqlx::AssertSqlSafe(reads)).fetch_all(&database.pool).await.expect("reads");
    let fixes = format!("SELECT device, {MICROS} FROM tallyman.fix");
    let fixes = sqlx::query(sqlx::AssertSqlSafe(fixes)).fetch_all(&database.pool).await.expect("fixes");
    let read = |row: &sqlx::postgres::PgRow| ReadKey {
        reader: row.get("source"),
        epc: row.get("epc"),
        antenna: u16::try_from(row.get::<i32, _>("antenna")).expect("an antenna's number"),
        reader_time_us: row.get("micros"),
    };
    let fix = |row: &sqlx::postgres::PgRow| FixKey { device: row.get("device"), time_us: row.get("micros") };
    Recorded {
        reads: reads.iter().map(read).collect(),
        fixes: fixes.iter().map(fix).collect(),
        ..Recorded::default()
    }
}

/// The books of one source, with the events of `kind` that were committed with them.
pub struct Account {
    pub source: String,
    pub book: Book,
    pub events: u64,
}

/// One statement a source, so that both numbers are of one moment, whatever the daemon commits meanwhile.
pub async fn accounts(daemon: &Daemon, sources: &[(&str, &str)]) -> Vec<Account> {
    let options = SqliteConnectOptions::new().filename(daemon.journal()).read_only(true);
    let mut connection = options.connect().await.expect("the journal");
    let mut accounts = Vec::new();
    for (source, kind) in sources {
        accounts.extend(account(&mut connection, source, kind).await);
    }
    accounts
}

/// `None` where nothing came from the source yet.
async fn account(connection: &mut SqliteConnection, source: &str, kind: &str) -> Option<Account> {
    let sql = "SELECT (SELECT value FROM state WHERE kind = 'book' AND key = ?1) AS book, \
               (SELECT count(*) FROM event WHERE source = ?1 AND kind = ?2) AS events";
    let row = sqlx::query(sql).bind(source).bind(kind).fetch_one(connection).await.expect("the books");
    let book: Vec<u8> = row.get::<Option<Vec<u8>>, _>("book")?;
    let events = u64::try_from(row.get::<i64, _>("events")).expect("a count");
    Some(Account { source: source.to_owned(), book: serde_json::from_slice(&book).expect("a book"), events })
}
