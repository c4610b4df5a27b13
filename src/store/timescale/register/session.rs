//! One connection's life with a register that the database owns: take it up, then follow its changes and
//! write those that are asked of us (`edit.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgRow};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RegisterRequest;
use super::desk::{ROWS, tell};
use super::edit::Edit;
use super::rows::PAGE;
use super::take_up::{Register, take_up};
use crate::config::TimescaleConfig;
use crate::domain::health::Health;
use crate::domain::ids::NodeId;
use crate::domain::register::{Change, Misfit, News, Reached};
use crate::domain::state::StateKind;
use crate::journal::Reader;
use crate::store::timescale::connection::{Connection, column};
use crate::store::timescale::error::StoreError;
use crate::store::timescale::progress::Progress;
use crate::store::timescale::{capabilities, migrations};

/// Without a word from the database we look by ourselves this often.
const LOOK: Duration = Duration::from_secs(2);
/// What did not fit is tried again this often, should something else have changed.
const RETRY: Duration = Duration::from_secs(30);
/// Away for longer than this, the whole is compared: the log is kept for so long only.
const TRUST_THE_LOG: Duration = Duration::from_secs(86_400);
/// Between two times of pruning the log of changes.
const PRUNE: Duration = Duration::from_secs(3600);
/// A word in the database's ear.
const CHANNEL: &str = "tallyman_register";

/// What a session leaves to the next one of the same process.
#[derive(Default)]
pub struct Known {
    pub seen: Option<(Reached, Instant)>,
}

impl Known {
    /// Where following can go on without comparing.
    pub fn recent(&self) -> Option<&Reached> {
        self.seen.as_ref().filter(|(_, at)| at.elapsed() < TRUST_THE_LOG).map(|(seen, _)| seen)
    }
}

pub struct Session {
    pub config: TimescaleConfig,
    pub node: NodeId,
    pub journal: Reader,
    pub core: mpsc::Sender<RegisterRequest>,
    pub health: mpsc::Sender<Health>,
    pub progress: Progress,
    /// Whether the register can be written.
    pub follows: watch::Sender<bool>,
    pub shutdown: CancellationToken,
}

/// A session that has connected.
pub struct Following<'a> {
    pub session: &'a Session,
    pub connection: Connection,
    pub seen: Option<Reached>,
    pub misfits: BTreeMap<String, Misfit>,
}

impl Session {
    pub async fn run(
        self,
        mut known: Known,
        mut edits: mpsc::Receiver<Edit>,
    ) -> (Known, Result<(), StoreError>) {
        let outcome = self.follow(&mut known, &mut edits).await;
        self.follows.send_replace(false);
        (known, outcome)
    }

    async fn follow(&self, known: &mut Known, edits: &mut mpsc::Receiver<Edit>) -> Result<(), StoreError> {
        let url = self.config.url.reveal();
        let timeout = self.config.statement_timeout;
        let mut connection =
            Connection::open(url, self.node.as_str(), timeout, self.progress.clone()).await?;
        capabilities::detect(&mut connection).await?;
        migrations::bring_forward(&mut connection).await?;
        let (told, mut word) = watch::channel(());
        let _listener = Listener(tokio::spawn(listen(url.to_owned(), told)));
        let mut following = Following { session: self, connection, seen: None, misfits: BTreeMap::new() };
        following.restore().await?;
        let mut tick = tokio::time::interval(LOOK);
        let mut retry_at = Instant::now() + RETRY;
        let mut prune_at = Instant::now();
        let mut silent = false;
        loop {
            if following.seen.is_none() {
                if let Register::Ours = take_up(&mut following, known.recent()).await? {
                    following.tell_problems().await?;
                    self.follows.send_replace(true);
                }
            } else {
                following.catch_up().await?;
                if retry_at <= Instant::now() {
                    retry_at = Instant::now() + RETRY;
                    following.retry().await?;
                }
                if prune_at <= Instant::now() {
                    prune_at = Instant::now() + PRUNE;
                    following.prune().await?;
                }
            }
            known.seen = following.seen.clone().map(|seen| (seen, Instant::now()));
            // Only channels and the timer are awaited here: no database future is ever dropped half way.
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                Some(edit) = edits.recv() => following.edit(edit).await?,
                changed = word.changed(), if !silent => silent = changed.is_err(),
                _ = tick.tick() => {}
            }
        }
    }
}

/// Ends with the session.
struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Passes the database's word on, over a connection of its own; without it there is still the timer.
async fn listen(url: String, told: watch::Sender<()>) {
    let outcome = async {
        let mut listener = PgListener::connect(&url).await?;
        listener.listen(CHANNEL).await?;
        loop {
            listener.recv().await?;
            told.send_replace(());
        }
    };
    let outcome: Result<(), sqlx::Error> = outcome.await;
    if let Err(error) = outcome {
        tracing::debug!(%error, "the database's word is not heard; looking every {LOOK:?}");
    }
}

/// Changes of transactions that `$1` does not show, the last word on each record.
const NEWS: &str = "SELECT table_name, key, (array_agg(record ORDER BY seq DESC))[1]::text AS record,
    (array_agg(changed_by ORDER BY seq DESC))[1] AS changed_by, bool_or(record IS NULL) AS renewed
  FROM tallyman.register_change
  WHERE xid >= pg_snapshot_xmin($1::text::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, $1::text::pg_snapshot)
  GROUP BY table_name, key
  ORDER BY (array_agg(record ORDER BY seq DESC))[1] IS NULL,
    array_position(ARRAY['site','zone','class','person','asset','tag','tracker','sensor','maintenance'], table_name),
    key";

impl Following<'_> {
    /// What the journal has of an earlier time.
    async fn restore(&mut self) -> Result<(), StoreError> {
        for (key, value) in self.session.journal.all_states(StateKind::Followed).await? {
            if key.starts_with("unfit/") {
                let misfit: Misfit = serde_json::from_slice(&value).map_err(StoreError::Current)?;
                self.misfits.insert(misfit.change.state_key(), misfit);
            }
        }
        Ok(())
    }

    /// Which register the journal follows.
    pub async fn remembered(&self) -> Result<Option<Reached>, StoreError> {
        let row = self.session.journal.state(StateKind::Followed, "seen").await?;
        row.map(|row| serde_json::from_slice(&row).map_err(StoreError::Current)).transpose()
    }

    /// Takes up every transaction that has come since.
    pub async fn catch_up(&mut self) -> Result<(), StoreError> {
        const OPERATION: &str = "look for changes of the register";
        let Some(seen) = self.seen.clone() else { return Ok(()) };
        let query = sqlx::query(
            "SELECT id::text AS id, owner, EXISTS (SELECT FROM tallyman.register_change
                WHERE xid >= pg_snapshot_xmin($1::text::pg_snapshot)
                  AND NOT pg_visible_in_snapshot(xid, $1::text::pg_snapshot)) AS news
             FROM tallyman.register_owner",
        );
        let query = query.bind(seen.snapshot.clone());
        let Some(row) = self.connection.row(OPERATION, query).await? else {
            return Err(StoreError::NoRegister);
        };
        let (id, owner): (String, String) =
            (column(&row, OPERATION, "id")?, column(&row, OPERATION, "owner")?);
        if id != seen.register || owner != "database" {
            return Err(StoreError::OtherRegister);
        }
        if !column::<bool>(&row, OPERATION, "news")? {
            return Ok(());
        }
        self.connection.execute(OPERATION, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let snapshot = snapshot(&mut self.connection).await?;
        let sql = format!(
            "DECLARE news NO SCROLL CURSOR FOR {}",
            NEWS.replace("$1", &format!("'{}'", seen.snapshot))
        );
        self.connection.execute(OPERATION, &sql).await?;
        loop {
            let page = self
                .connection
                .rows(OPERATION, sqlx::query("FETCH 5000 FROM news").persistent(false))
                .await?;
            let last = page.len() < PAGE;
            let changes = page.iter().map(|row| change(row, OPERATION)).collect::<Result<Vec<_>, _>>()?;
            let seen = last.then(|| Reached { register: seen.register.clone(), snapshot: snapshot.clone() });
            self.take(changes, seen).await?;
            if last {
                break;
            }
        }
        self.connection.commit().await?;
        self.retry().await?;
        self.tell_problems().await
    }

    /// Has the core take changes up, and waits for their commit.
    pub async fn take(&mut self, changes: Vec<Change>, seen: Option<Reached>) -> Result<(), StoreError> {
        let keys: Vec<String> = changes.iter().map(Change::state_key).collect();
        let unfit = keys.iter().filter_map(|key| Some((key.clone(), self.misfits.get(key)?.clone())));
        let news = News { unfit: unfit.collect(), changes, seen: seen.clone() };
        let (reply, answer) = oneshot::channel();
        let request = RegisterRequest::Follow { news, reply };
        self.session.core.send(request).await.map_err(|_| StoreError::WriterGone)?;
        let misfits = answer.await.map_err(|_| StoreError::WriterGone)?;
        for key in &keys {
            self.misfits.remove(key);
        }
        for misfit in misfits {
            self.misfits.insert(misfit.change.state_key(), misfit);
        }
        if let Some(seen) = seen {
            self.seen = Some(seen);
        }
        Ok(())
    }

    /// Of those that did not fit once, the ones that are no problem any more.
    pub async fn forget(&mut self, mut unfit: BTreeMap<String, Misfit>) -> Result<(), StoreError> {
        unfit.retain(|key, _| !self.misfits.contains_key(key));
        let (reply, answer) = oneshot::channel();
        let news = News { unfit, ..News::default() };
        let request = RegisterRequest::Follow { news, reply };
        self.session.core.send(request).await.map_err(|_| StoreError::WriterGone)?;
        answer.await.map_err(|_| StoreError::WriterGone).map(drop)
    }

    /// Tries again what did not fit, as long as that helps.
    pub async fn retry(&mut self) -> Result<(), StoreError> {
        loop {
            let before = self.misfits.len();
            if before == 0 {
                return Ok(());
            }
            let changes = self.misfits.values().map(|misfit| misfit.change.clone()).collect();
            self.take(changes, None).await?;
            if self.misfits.len() == before {
                return self.tell_problems().await;
            }
        }
    }

    /// Shows in the database, and to whoever is on call, what does not fit.
    pub async fn tell_problems(&mut self) -> Result<(), StoreError> {
        let node = self.session.node.to_string();
        let problems: Vec<&Misfit> = self.misfits.values().collect();
        let json = serde_json::to_string(&problems).map_err(StoreError::Current)?;
        let json = crate::store::timescale::encode::without_nul(&json).into_owned();
        self.connection.begin().await?;
        let clear = sqlx::query("DELETE FROM tallyman.register_problem WHERE node = $1").bind(node.clone());
        self.connection.run("clear the register's problems", clear).await?;
        let insert = sqlx::query(
            "INSERT INTO tallyman.register_problem (node, table_name, key, reason, record, changed_by, since)
             SELECT $1, p.\"table\", p.key, p.reason, p.record, p.by, p.since FROM jsonb_to_recordset($2::jsonb)
               AS p(\"table\" text, key text, reason text, record jsonb, by text, since timestamptz)",
        );
        self.connection.run("tell the register's problems", insert.bind(node.clone()).bind(json)).await?;
        if let Some(seen) = &self.seen {
            let follower = sqlx::query(
                "INSERT INTO tallyman.register_follower (node, register, seen)
                 VALUES ($1, $2::uuid, $3::text::pg_snapshot) ON CONFLICT (node) DO UPDATE
                 SET register = excluded.register, seen = excluded.seen, seen_at = now()",
            );
            let follower = follower.bind(node).bind(seen.register.clone()).bind(seen.snapshot.clone());
            self.connection.run("tell how far the register was followed", follower).await?;
        }
        self.connection.commit().await?;
        let first = self.misfits.values().next().map(|first| {
            format!(
                "{} rows of the register do not fit and are not taken up, the first {} `{}`: {}; \
                 see tallyman.register_problem",
                self.misfits.len(),
                first.change.table,
                first.change.key,
                first.reason
            )
        });
        metrics::gauge!(crate::telemetry::names::REGISTER_PROBLEMS).set(self.misfits.len() as f64);
        tell(&self.session.health, ROWS, first).await;
        Ok(())
    }

    async fn prune(&mut self) -> Result<(), StoreError> {
        let old = "DELETE FROM tallyman.register_change WHERE changed_at < now() - interval '90 days'";
        self.connection.execute("prune the register's changes", old).await.map(drop)
    }
}

/// The snapshot of the statement, or of the transaction where that keeps one.
pub async fn snapshot(connection: &mut Connection) -> Result<String, StoreError> {
    const OPERATION: &str = "take a snapshot";
    let row =
        connection.row(OPERATION, sqlx::query("SELECT pg_current_snapshot()::text AS snapshot")).await?;
    row.map_or(Err(StoreError::NoRegister), |row| column(&row, OPERATION, "snapshot"))
}

fn change(row: &PgRow, operation: &'static str) -> Result<Change, StoreError> {
    let record: Option<String> = column(row, operation, "record")?;
    let record = record.map(|json| serde_json::from_str(&json)).transpose().map_err(StoreError::Current)?;
    Ok(Change {
        table: column(row, operation, "table_name")?,
        key: column(row, operation, "key")?,
        by: column(row, operation, "changed_by")?,
        renewed: record.is_some() && column(row, operation, "renewed")?,
        record,
    })
}
