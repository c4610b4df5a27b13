//! A database of the test's own, a journal with its writer, and a forwarder between them.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use tallyman::config::{BackoffConfig, JournalConfig, RegisterOwner, Secret, TimescaleConfig};
use tallyman::domain::health::Health;
use tallyman::domain::register::Record;
use tallyman::domain::time::Timestamp;
use tallyman::journal::{self, Batch, Control, Reader, Writer};
use tallyman::store::timescale::{Forwarder, Keep, Timing};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::events::at;

const FOR_GOOD: Duration = Duration::from_secs(36_500 * 86_400);
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `condition` gives something, or fails the test with what was awaited.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < until, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Away for half a second is already worth telling.
pub fn timing() -> Timing {
    Timing {
        backoff: BackoffConfig { first: Duration::from_millis(20), last: Duration::from_millis(200) },
        slow: Duration::from_millis(200),
        away_after: Duration::from_millis(500),
        history_hold: Duration::from_secs(3600),
        stall_margin: Duration::from_secs(1),
        stop_within: Duration::from_secs(10),
        tend_every: Duration::from_millis(20),
        tend_longest: Duration::from_secs(5),
        tend_retry: BackoffConfig { first: Duration::from_millis(50), last: Duration::from_millis(200) },
    }
}

/// Dropped, with its connections, when the test ends.
pub struct Database {
    server: PgConnectOptions,
    name: String,
    pub url: String,
    pub pool: PgPool,
}

impl Database {
    /// `None`, with a line that says so, where there is no server to test with.
    pub async fn create(test: &str) -> Option<Self> {
        let Ok(url) = std::env::var("TALLYMAN_TEST_DATABASE_URL") else {
            let required = std::env::var("TALLYMAN_REQUIRE_SERVERS").is_ok_and(|it| it == "1");
            assert!(!required, "{test}: TALLYMAN_TEST_DATABASE_URL is not set");
            eprintln!("skipped: timescale::{test}: TALLYMAN_TEST_DATABASE_URL is not set");
            return None;
        };
        let server = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("tallyman_test_{test}_{}", std::process::id());
        let mut connection = server.connect().await.unwrap();
        for sql in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")]
        {
            connection.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        let options = server.clone().database(&name);
        let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options);
        let url = with_database(&url, &name);
        Some(Self { server, name, url, pool })
    }

    pub async fn drop(self) {
        self.pool.close().await;
        let mut connection = self.server.connect().await.unwrap();
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    pub async fn execute(&self, sql: &str) {
        self.pool.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    /// One number; -1 where the statement fails (no schema yet).
    pub async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&self.pool).await.unwrap_or(-1)
    }

    /// Several statements.
    pub async fn execute_all(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await.unwrap();
    }

    /// What the server says against a statement; empty where it says nothing.
    pub async fn refusal(&self, sql: &str) -> String {
        let done = self.pool.execute(AssertSqlSafe(sql.to_owned())).await;
        done.err().map(|error| error.to_string()).unwrap_or_default()
    }

    /// Every row, as a JSON array.
    pub async fn rows_of(&self, sql: &str) -> serde_json::Value {
        let sql = format!("SELECT coalesce(jsonb_agg(to_jsonb(row)), '[]') FROM ({sql}) AS row");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await.unwrap()
    }

    /// One row as JSON.
    pub async fn json(&self, sql: &str) -> serde_json::Value {
        let sql = format!("SELECT to_jsonb(row) FROM ({sql}) AS row");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await.unwrap()
    }

    pub async fn forwarded(&self, node: &str, seq: u64) {
        let sql = format!("SELECT last_seq FROM tallyman.forward_watermark WHERE node = '{node}'");
        eventually(&format!("{node} forwarded to {seq}"), async || {
            (self.number(&sql).await == i64::try_from(seq).unwrap()).then_some(())
        })
        .await;
    }

    /// Rows in all event tables, and distinct events among them.
    pub async fn rows(&self) -> (i64, i64) {
        let tables = ["location_event", "condition_event", "fix", "sample", "tag_read", "alert_event"];
        let ids = tables.map(|table| format!("SELECT event_id FROM tallyman.{table}")).join(" UNION ALL ");
        let count = format!("SELECT count(*) FROM ({ids}) AS ids");
        let distinct = format!("SELECT count(DISTINCT event_id) FROM ({ids}) AS ids");
        (self.number(&count).await, self.number(&distinct).await)
    }
}

pub fn with_database(url: &str, name: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

/// The server's `host:port`, and the address with another one in its place.
pub fn through(url: &str, address: std::net::SocketAddr) -> (String, String) {
    let options = PgConnectOptions::from_str(url).unwrap();
    let server = format!("{}:{}", options.get_host(), options.get_port());
    let url = url.replace(&format!("@{server}"), &format!("@{address}"));
    (server, url)
}

pub fn journal_config(path: PathBuf) -> JournalConfig {
    JournalConfig {
        path,
        max_bytes: 1 << 30,
        reserve_bytes: 1 << 20,
        keep_reads: true,
        max_dead_letters: 10,
        max_dead_letter_bytes: 256 << 20,
        retain_events: Duration::from_secs(400 * 86_400),
        retain_people: Duration::from_secs(400 * 86_400),
        retain_drivers: Duration::from_secs(400 * 86_400),
        retain_measurements: Duration::from_secs(30 * 86_400),
        retain_reads: Duration::from_secs(86_400),
    }
}

/// A journal, open, and forwarded where a forwarder is started.
pub struct Node {
    pub name: String,
    pub reader: Reader,
    pub config: TimescaleConfig,
    pub committed: watch::Receiver<u64>,
    pub health: Arc<Mutex<Vec<Health>>>,
    /// What its configuration file declares of the register.
    pub declared: Vec<Record>,
    /// What tells of people stays for good, unless a test says otherwise.
    pub keep: Keep,
    requests: mpsc::Sender<Request>,
    control: mpsc::Sender<Control>,
    health_sender: mpsc::Sender<Health>,
    keeper: JoinHandle<()>,
    shutdown: CancellationToken,
    forwarder: Option<JoinHandle<()>>,
}

enum Request {
    Commit(Batch, Timestamp, oneshot::Sender<u64>),
    Maintain(Timestamp, oneshot::Sender<u64>),
    Erase(oneshot::Sender<bool>),
}

impl Node {
    pub async fn open(name: &str, path: &Path, url: &str) -> Self {
        let opened = journal::open(&journal_config(path.to_owned()), &name.into(), at(0)).await.unwrap();
        let (requests, asked) = mpsc::channel(8);
        let (control, controls) = mpsc::channel(8);
        let (committing, committed) = watch::channel(opened.meta.last_seq);
        let (health_sender, mut told) = mpsc::channel::<Health>(8);
        let health = Arc::new(Mutex::new(Vec::new()));
        let heard = health.clone();
        tokio::spawn(async move {
            while let Some(it) = told.recv().await {
                heard.lock().unwrap().push(it);
            }
        });
        let mut writer = opened.writer;
        writer.protect_unforwarded(true);
        Self {
            name: name.to_owned(),
            reader: opened.reader,
            config: TimescaleConfig {
                url: Secret::new(url),
                batch_rows: 500,
                chunk_interval: Duration::from_secs(86_400),
                statement_timeout: Duration::from_secs(30),
                register: RegisterOwner::Journal,
            },
            committed,
            health,
            declared: Vec::new(),
            keep: Keep { people: FOR_GOOD, drivers: FOR_GOOD },
            requests,
            control,
            health_sender,
            keeper: tokio::spawn(keep(writer, asked, controls, committing)),
            shutdown: CancellationToken::new(),
            forwarder: None,
        }
    }

    pub fn forwarder(&self) -> Forwarder {
        Forwarder {
            config: self.config.clone(),
            node: self.name.as_str().into(),
            journal: self.reader.clone(),
            committed: self.committed.clone(),
            control: self.control.clone(),
            health: self.health_sender.clone(),
            declared: self.declared.clone(),
            keep: self.keep,
            timing: timing(),
        }
    }

    pub fn forward(mut self) -> Self {
        self.forwarder = Some(tokio::spawn(self.forwarder().run(self.shutdown.clone())));
        self
    }

    /// Gives the number of the newest event.
    pub async fn commit(&self, batch: Batch) -> u64 {
        self.commit_at(batch, at(1_000_000)).await
    }

    pub async fn commit_at(&self, batch: Batch, recorded_at: Timestamp) -> u64 {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Commit(batch, recorded_at, reply)).await.unwrap();
        answer.await.unwrap()
    }

    /// Gives the number of events pruned, as of a time.
    pub async fn maintain(&self, now: Timestamp) -> u64 {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Maintain(now, reply)).await.unwrap();
        answer.await.unwrap()
    }

    /// A step of what is erased in the journal; gives whether there is more to do there.
    pub async fn erase_step(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Erase(reply)).await.unwrap();
        answer.await.unwrap()
    }

    /// What was last said of `subject`.
    pub fn problem(&self, subject: &str) -> Option<String> {
        let health = self.health.lock().unwrap();
        health.iter().rev().find(|it| it.subject == subject)?.problem.clone()
    }

    pub async fn problem_with(&self, subject: &str, words: &str) {
        eventually(&format!("{subject}: {words}"), async || {
            self.problem(subject).filter(|problem| problem.contains(words)).map(drop)
        })
        .await;
    }

    /// Stops forwarding, and closes the journal.
    pub async fn close(self) {
        self.shutdown.cancel();
        if let Some(forwarder) = self.forwarder {
            forwarder.await.unwrap();
        }
        drop((self.requests, self.control, self.reader));
        self.keeper.await.unwrap();
    }
}

async fn keep(
    mut writer: Writer,
    mut asked: mpsc::Receiver<Request>,
    mut controls: mpsc::Receiver<Control>,
    committed: watch::Sender<u64>,
) {
    loop {
        tokio::select! {
            Some(request) = asked.recv() => match request {
                Request::Commit(batch, recorded_at, reply) => {
                    let done = writer.commit(&batch, recorded_at).await.unwrap();
                    committed.send_replace(done.last_seq);
                    reply.send(done.last_seq).unwrap_or(());
                }
                Request::Maintain(now, reply) => {
                    let done = writer.maintain(now).await.unwrap();
                    reply.send(done.pruned).unwrap_or(());
                }
                Request::Erase(reply) => reply.send(writer.erase().await.unwrap()).unwrap_or(()),
            },
            Some(control) = controls.recv() => match control {
                Control::Note(row) => writer.note(&row).await.unwrap(),
                Control::Forwarded { seq } => writer.set_forwarded(seq).await.unwrap(),
                Control::Erased { label } => writer.erased_in_database(&label).await.unwrap(),
                Control::NewEpoch { reply } => reply.send(writer.new_epoch().await.unwrap()).unwrap_or(()),
            },
            else => break,
        }
    }
    writer.close().await.unwrap();
}
