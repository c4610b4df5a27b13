//! One connection's life with a register that the database owns: take it up, then follow its changes and
//! write those that are asked of us.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgRow};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::desk::{ROWS, tell};
use super::rows::{self, PAGE, Writes};
use super::take_up::{Register, take_up};
use super::{RegisterRequest, mirror};
use crate::config::{RegisterOwner, TimescaleConfig};
use crate::domain::commands::{Command, Outcome, Refused};
use crate::domain::erasure::Erase;
use crate::domain::health::Health;
use crate::domain::ids::NodeId;
use crate::domain::orders::{Answer, Order};
use crate::domain::register::{Change, Misfit, News, Plan, Reached};
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

/// A change of the register that was asked of us.
pub struct Edit {
    pub order: Order,
    pub reply: oneshot::Sender<Answer>,
}

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
    array_position(ARRAY['site','zone','class','person','asset','tag','tracker','sensor','maintenance'], table_name), key";

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
                "{} rows of the register do not fit and are not taken up, the first {} `{}`: {}; see tallyman.register_problem",
                self.misfits.len(), first.change.table, first.change.key, first.reason
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

    async fn edit(&mut self, edit: Edit) -> Result<(), StoreError> {
        let Edit { order, reply } = edit;
        self.catch_up().await?;
        let (to, planned) = oneshot::channel();
        let request = RegisterRequest::Plan { order: order.clone(), reply: to };
        self.session.core.send(request).await.map_err(|_| StoreError::WriterGone)?;
        let answer = match planned.await.map_err(|_| StoreError::WriterGone)? {
            Err(answer) => answer,
            Ok(plan) => {
                let result = self.carry_out(&order, plan).await?;
                let request = RegisterRequest::Answered { order, result: result.clone() };
                self.session.core.send(request).await.map_err(|_| StoreError::WriterGone)?;
                Answer { result, repeated: false }
            }
        };
        if reply.send(answer).is_err() {
            tracing::debug!("who changed the register did not wait for the answer");
        }
        Ok(())
    }

    /// Writes a plan to the database, and waits until it has come back.
    async fn carry_out(&mut self, order: &Order, plan: Plan) -> Result<Result<Outcome, Refused>, StoreError> {
        let mut writes = Writes::default();
        for record in &plan.puts {
            writes.put(record.table(), serde_json::to_value(record).map_err(StoreError::Current)?);
        }
        for (table, key) in &plan.removals {
            writes.remove(table, key);
        }
        // Rows of theirs that did not fit stand there as well, and would come when they do.
        let unfit = plan.erase.as_ref().map(|erase| self.misfits_of(erase)).unwrap_or_default();
        for misfit in unfit.values() {
            writes.remove(&misfit.change.table, &misfit.change.key);
        }
        if !writes.is_empty()
            && let Err(refused) = self.write(&order.by, &writes).await?
        {
            return Ok(Err(refused));
        }
        self.catch_up().await?;
        let puts = plan.puts.iter().map(crate::domain::register::Record::state_key);
        let gone = plan.removals.iter().map(|(table, key)| format!("{table}/{key}"));
        if let Some(misfit) = puts.chain(gone).find_map(|key| self.misfits.get(&key)) {
            return Ok(Err(Refused::Conflict { reason: misfit.reason.clone() }));
        }
        if let Some(erase) = plan.erase {
            self.misfits.retain(|key, _| !unfit.contains_key(key));
            self.forget(unfit).await?;
            self.tell_problems().await?;
            return self.hand_on(order, Command::ErasePerson(erase), plan.outcome).await;
        }
        if plan.checkouts.is_empty() {
            return Ok(Ok(plan.outcome));
        }
        self.check_out(order, plan).await
    }

    /// What of somebody did not fit: their record, their badges.
    fn misfits_of(&self, erase: &Erase) -> BTreeMap<String, Misfit> {
        let theirs = |misfit: &Misfit| {
            let change = &misfit.change;
            let of = change.record.as_ref().and_then(|record| record.get("person")?.as_str());
            match change.table.as_str() {
                "person" => change.key == erase.person.as_str(),
                "tag" => of == Some(erase.person.as_str()),
                _ => false,
            }
        };
        let unfit = self.misfits.iter().filter(|(_, misfit)| theirs(misfit));
        unfit.map(|(key, misfit)| (key.clone(), misfit.clone())).collect()
    }

    /// The records are there: what of an import is custody goes to the core itself.
    async fn check_out(&mut self, order: &Order, plan: Plan) -> Result<Result<Outcome, Refused>, StoreError> {
        let command = Command::Import { records: Vec::new(), checkouts: plan.checkouts };
        self.hand_on(order, command, plan.outcome).await
    }

    /// What of an order is not the register's goes to the core itself.
    async fn hand_on(
        &mut self,
        order: &Order,
        command: Command,
        outcome: Outcome,
    ) -> Result<Result<Outcome, Refused>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = RegisterRequest::Custody {
            order: Order { once: None, only_if: None, command, ..order.clone() },
            reply,
        };
        self.session.core.send(request).await.map_err(|_| StoreError::WriterGone)?;
        let answer = answer.await.map_err(|_| StoreError::WriterGone)?;
        Ok(answer.result.map(|_| outcome))
    }

    async fn write(&mut self, by: &str, writes: &Writes) -> Result<Result<(), Refused>, StoreError> {
        self.connection.begin().await?;
        let outcome = async {
            let who = sqlx::query(
                "SELECT set_config('tallyman.writer', 'edit', true), set_config('tallyman.by', $1, true)",
            );
            self.connection.row("say who writes", who.bind(by.to_owned())).await?;
            if mirror::holder(&mut self.connection).await?.owner != RegisterOwner::Database {
                return Err(StoreError::OtherRegister);
            }
            rows::write(&mut self.connection, writes, None).await
        };
        match outcome.await {
            Ok(()) => self.connection.commit().await.map(Ok),
            Err(error) if error.is_a_refusal() => {
                self.connection.rollback().await?;
                Ok(Err(Refused::Invalid { reason: error.to_string() }))
            }
            Err(error) => Err(error),
        }
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
