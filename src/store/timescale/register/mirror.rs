//! The journal's register as rows, where the register belongs to the journal: filled once, then kept by the
//! same transactions that bring its events, so it is never ahead of the history and never a half of it.
//!
//! What the configuration file declares is shown in either case: the answers need it.

use super::rows::{self, PAGE, Writes};
use crate::config::RegisterOwner;
use crate::domain::ids::NodeId;
use crate::domain::register::Record;
use crate::domain::state::StateKind;
use crate::journal::Reader;
use crate::store::timescale::batch::Epoch;
use crate::store::timescale::connection::{Connection, column};
use crate::store::timescale::error::StoreError;

/// To whom the register belongs, as the database has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    pub owner: RegisterOwner,
    pub id: String,
    pub node: Option<String>,
    pub epoch: Option<String>,
}

impl Holder {
    pub fn is_of(&self, node: &NodeId, epoch: &str) -> bool {
        self.node.as_deref() == Some(node.as_str()) && self.epoch.as_deref() == Some(epoch)
    }
}

/// Reads the holder, and keeps it as it is until the transaction ends.
pub async fn holder(connection: &mut Connection) -> Result<Holder, StoreError> {
    const OPERATION: &str = "ask to whom the register belongs";
    let query = sqlx::query(
        "SELECT owner, id::text AS id, node, encode(uuid_send(epoch), 'hex') AS epoch
         FROM tallyman.register_owner FOR UPDATE",
    );
    let Some(row) = connection.row(OPERATION, query).await? else { return Err(StoreError::NoRegister) };
    let owner: String = column(&row, OPERATION, "owner")?;
    Ok(Holder {
        owner: if owner == "database" { RegisterOwner::Database } else { RegisterOwner::Journal },
        id: column(&row, OPERATION, "id")?,
        node: column(&row, OPERATION, "node")?,
        epoch: column(&row, OPERATION, "epoch")?,
    })
}

/// From here on this transaction writes what needs no follower.
pub async fn write_as_mirror(connection: &mut Connection) -> Result<(), StoreError> {
    connection.execute("write as the mirror", "SET LOCAL tallyman.writer = 'mirror'").await.map(drop)
}

/// Brings the tables to where events go on from; gives whether the events' changes are to be mirrored.
pub async fn begin(
    connection: &mut Connection,
    node: &NodeId,
    epoch: Epoch,
    journal: &Reader,
    owner: RegisterOwner,
    declared: &[Record],
) -> Result<bool, StoreError> {
    connection.begin().await?;
    let outcome = begin_within(connection, node, epoch, journal, owner, declared).await;
    match outcome {
        Ok(mirrors) => connection.commit().await.map(|()| mirrors),
        Err(error) => {
            connection.rollback().await?;
            Err(error)
        }
    }
}

async fn begin_within(
    connection: &mut Connection,
    node: &NodeId,
    epoch: Epoch,
    journal: &Reader,
    owner: RegisterOwner,
    declared: &[Record],
) -> Result<bool, StoreError> {
    let holder = holder(connection).await?;
    write_as_mirror(connection).await?;
    let mirrors = owner == RegisterOwner::Journal && holder.owner == RegisterOwner::Journal;
    if owner == RegisterOwner::Journal && !mirrors {
        tracing::warn!(
            "the register in the database belongs to the database; nothing of it is read or written while \
             store.timescale.register is \"journal\""
        );
    }
    if mirrors && !holder.is_of(node, &epoch.to_string()) {
        if holder.node.is_none() && !is_empty(connection).await? {
            tracing::warn!(
                "the database's register has rows that nobody took up: it is left alone; see `tallyman register adopt`"
            );
            return Ok(false);
        }
        if holder.node.as_deref() == Some(node.as_str()) {
            clear(connection).await?;
        }
        fill(connection, journal).await?;
        let claim = sqlx::query(
            "UPDATE tallyman.register_owner SET node = $1, epoch = $2::uuid, since = now() WHERE owner = 'journal'",
        );
        let claim = claim.bind(node.to_string()).bind(epoch.to_string());
        connection.run("claim the register's mirror", claim).await?;
    }
    declare(connection, node, declared).await?;
    Ok(mirrors)
}

/// Whether nobody has written anything there.
pub async fn is_empty(connection: &mut Connection) -> Result<bool, StoreError> {
    const OPERATION: &str = "look whether the register is empty";
    let query = sqlx::query(
        "SELECT NOT EXISTS (SELECT FROM tallyman.register_record WHERE declared_by IS NULL) AS empty",
    );
    let row = connection.row(OPERATION, query).await?;
    row.map_or(Ok(true), |row| column(&row, OPERATION, "empty"))
}

/// Removes every row that no configuration file declares.
pub async fn clear(connection: &mut Connection) -> Result<(), StoreError> {
    const CLEAR: &str = "DELETE FROM tallyman.tag; DELETE FROM tallyman.tracker; DELETE FROM tallyman.sensor;
        DELETE FROM tallyman.maintenance; DELETE FROM tallyman.asset; DELETE FROM tallyman.person;
        DELETE FROM tallyman.asset_class WHERE declared_by IS NULL;
        DELETE FROM tallyman.zone WHERE declared_by IS NULL; DELETE FROM tallyman.site WHERE declared_by IS NULL";
    connection.execute("clear the register's tables", CLEAR).await.map(drop)
}

/// Writes every record that the journal has.
pub async fn fill(connection: &mut Connection, journal: &Reader) -> Result<(), StoreError> {
    let mut after: Option<String> = None;
    loop {
        let page = journal.states(StateKind::Register, after.as_deref(), PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        let mut writes = Writes::default();
        for (key, value) in &page {
            let Some((table, _)) = key.split_once('/') else { continue };
            writes.put(table, serde_json::from_slice(value).map_err(StoreError::Current)?);
        }
        rows::write(connection, &writes, None).await?;
    }
}

/// Shows what the configuration file declares, and no longer what it declared once.
async fn declare(connection: &mut Connection, node: &NodeId, declared: &[Record]) -> Result<(), StoreError> {
    let mut writes = Writes::default();
    for record in declared {
        writes.put(record.table(), serde_json::to_value(record).map_err(StoreError::Current)?);
    }
    for (table, name) in [("site", "site"), ("zone", "zone"), ("class", "asset_class")] {
        let names = declared.iter().filter(|record| record.table() == table).map(Record::key);
        let sql = format!("DELETE FROM tallyman.{name} WHERE declared_by = $1 AND name <> ALL ($2)");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(node.to_string());
        let query = query.bind(names.collect::<Vec<String>>());
        connection.run("forget what is no longer declared", query).await?;
    }
    rows::write(connection, &writes, Some(node.as_str())).await
}

/// Mirrors what a batch of events changed. What PostgreSQL refuses of it is told and left out: the
/// events themselves say it.
pub async fn mirror(connection: &mut Connection, writes: &Writes) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    write_as_mirror(connection).await?;
    if attempt(connection, writes).await?.is_none() {
        return Ok(());
    }
    for write in writes.apart() {
        if let Some(error) = attempt(connection, &write).await? {
            tracing::error!(%error, ?write, "PostgreSQL refused a register row: its mirror lacks it");
        }
    }
    Ok(())
}

/// Writes behind a savepoint; gives what PostgreSQL said against the data.
async fn attempt(connection: &mut Connection, writes: &Writes) -> Result<Option<StoreError>, StoreError> {
    connection.execute("set a savepoint", "SAVEPOINT mirror").await?;
    match rows::write(connection, writes, None).await {
        Ok(()) => connection.execute("release a savepoint", "RELEASE SAVEPOINT mirror").await.map(|_| None),
        Err(error) if error.is_about_the_data() => {
            connection.execute("go back to a savepoint", "ROLLBACK TO SAVEPOINT mirror").await?;
            Ok(Some(error))
        }
        Err(error) => Err(error),
    }
}
