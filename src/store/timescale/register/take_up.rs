//! Whose register this is, before any of it is followed.
//!
//! ```text
//! the database's register          journal                     →
//! the one that it follows          follows it                  compare, follow
//! empty, and nobody's yet           anything                    filled from the journal, then followed
//! our own mirror, or one that      anything                    the same
//!   we were filling when we ended
//! anything else with rows          anything                    left alone, and told, until somebody says
//!                                                              `tallyman register adopt --from db|journal`
//! ```

use super::compare::compare;
use super::desk::{OWNERSHIP, tell};
use super::mirror::{self, Holder};
use super::session::Following;
use crate::config::RegisterOwner;
use crate::domain::ids::NodeId;
use crate::domain::register::Reached;
use crate::store::timescale::connection::{Connection, column};
use crate::store::timescale::error::StoreError;
use crate::store::timescale::progress::Progress;
use crate::store::timescale::{capabilities, migrations};

pub enum Register {
    /// It is followed.
    Ours,
    /// Somebody has to say which one holds.
    Strange,
}

/// What there is to be decided by.
struct Found {
    holder: Holder,
    empty: bool,
    /// Number and source of the newest adoption that was asked for.
    asked: Option<(i64, String)>,
}

pub async fn take_up(
    following: &mut Following<'_>,
    recent: Option<&Reached>,
) -> Result<Register, StoreError> {
    let epoch = following.session.journal.meta().await?.epoch;
    let node = following.session.node.clone();
    let remembered = following.remembered().await?;
    let found = found(following).await?;
    let ours = found.holder.is_of(&node, &epoch);
    let follows = found.holder.owner == RegisterOwner::Database
        && remembered.as_ref().is_some_and(|seen| seen.register == found.holder.id);
    // What somebody emptied that had an owner is no invitation to fill it.
    let unowned = found.empty && found.holder.owner == RegisterOwner::Journal;
    let from_database = match (&found.asked, follows) {
        (Some((_, source)), _) => source == "db",
        (None, true) => true,
        (None, false) if unowned || (ours && remembered.is_none()) => {
            // A filling that was cut short before we noted it: the database has it already.
            ours && found.holder.owner == RegisterOwner::Database
        }
        (None, false) => {
            tell(&following.session.health, OWNERSHIP, Some(strange(&found.holder))).await;
            return Ok(Register::Strange);
        }
    };
    if !from_database {
        fill(following, &epoch).await?;
    } else if found.holder.owner == RegisterOwner::Journal {
        let own = "UPDATE tallyman.register_owner SET owner = 'database', since = now()";
        following.connection.execute("make the database the owner of the register", own).await?;
    }
    let id = mirror_id(following).await?;
    match recent.filter(|seen| follows && found.asked.is_none() && seen.register == id) {
        Some(seen) if reaches(following, seen).await? => following.seen = Some(seen.clone()),
        _ => compare(following, id).await?,
    }
    if let Some((number, _)) = found.asked {
        let done = sqlx::query(
            "UPDATE tallyman.register_adoption SET done_at = now() WHERE node = $1 AND id <= $2 AND done_at IS NULL",
        );
        following.connection.run("note the adoption", done.bind(node.to_string()).bind(number)).await?;
    }
    tell(&following.session.health, OWNERSHIP, None).await;
    tracing::info!(from_database, "following the register in the database");
    Ok(Register::Ours)
}

fn strange(holder: &Holder) -> String {
    let whose = match (holder.owner, &holder.node) {
        (RegisterOwner::Journal, Some(node)) => format!("it mirrors the journal of node {node}"),
        _ => "it is not the one that this journal follows".to_owned(),
    };
    format!(
        "the database has a register with rows, and {whose}: going on with the journal's and mixing nothing; say \
         `tallyman register adopt --from db` or `--from journal`"
    )
}

async fn found(following: &mut Following<'_>) -> Result<Found, StoreError> {
    const OPERATION: &str = "look for an adoption";
    let holder = mirror::holder(&mut following.connection).await?;
    let empty = mirror::is_empty(&mut following.connection).await?;
    let query = sqlx::query(
        "SELECT id, source FROM tallyman.register_adoption WHERE node = $1 AND done_at IS NULL
         ORDER BY id DESC LIMIT 1",
    );
    let query = query.bind(following.session.node.to_string());
    let asked = following.connection.row(OPERATION, query).await?;
    let asked = match asked {
        Some(row) => Some((column(&row, OPERATION, "id")?, column(&row, OPERATION, "source")?)),
        None => None,
    };
    Ok(Found { holder, empty, asked })
}

async fn mirror_id(following: &mut Following<'_>) -> Result<String, StoreError> {
    Ok(mirror::holder(&mut following.connection).await?.id)
}

/// Whether the database has everything that we saw: one that was restored from an older copy has not.
async fn reaches(following: &mut Following<'_>, seen: &Reached) -> Result<bool, StoreError> {
    const OPERATION: &str = "compare snapshots";
    let query = sqlx::query(
        "SELECT pg_snapshot_xmax(pg_current_snapshot()) >= pg_snapshot_xmax($1::text::pg_snapshot) AS reaches",
    );
    let row = following.connection.row(OPERATION, query.bind(seen.snapshot.clone())).await?;
    row.map_or(Ok(false), |row| column(&row, OPERATION, "reaches"))
}

/// Makes the journal's register the database's, under a new name.
async fn fill(following: &mut Following<'_>, epoch: &str) -> Result<(), StoreError> {
    let connection = &mut following.connection;
    connection.begin().await?;
    mirror::holder(connection).await?;
    mirror::write_as_mirror(connection).await?;
    mirror::clear(connection).await?;
    mirror::fill(connection, &following.session.journal).await?;
    let own = sqlx::query(
        "UPDATE tallyman.register_owner SET owner = 'database', id = gen_random_uuid(), node = $1,
           epoch = $2::uuid, since = now()",
    );
    let own = own.bind(following.session.node.to_string()).bind(epoch.to_owned());
    connection.run("make the database the owner of the register", own).await?;
    connection.commit().await
}

/// Asks the daemon of `node` to adopt a register; gives the number of what was asked.
///
/// # Errors
/// The database is out of reach, or has no TimescaleDB.
pub async fn ask_to_adopt(url: &str, node: &NodeId, source: &str) -> Result<Adoption, StoreError> {
    const OPERATION: &str = "ask for an adoption";
    let timeout = std::time::Duration::from_secs(30);
    let mut connection = Connection::open(url, node.as_str(), timeout, Progress::default()).await?;
    capabilities::detect(&mut connection).await?;
    migrations::bring_forward(&mut connection).await?;
    let query =
        sqlx::query("INSERT INTO tallyman.register_adoption (node, source) VALUES ($1, $2) RETURNING id");
    let row = connection.row(OPERATION, query.bind(node.to_string()).bind(source.to_owned())).await?;
    let id = row.map_or(Err(StoreError::NoRegister), |row| column(&row, OPERATION, "id"))?;
    Ok(Adoption { connection, id })
}

/// An adoption that was asked for.
pub struct Adoption {
    connection: Connection,
    id: i64,
}

impl Adoption {
    /// Whether the daemon has done it.
    pub async fn is_done(&mut self) -> Result<bool, StoreError> {
        const OPERATION: &str = "look for the adoption";
        let query =
            sqlx::query("SELECT done_at IS NOT NULL AS done FROM tallyman.register_adoption WHERE id = $1");
        let row = self.connection.row(OPERATION, query.bind(self.id)).await?;
        row.map_or(Ok(false), |row| column(&row, OPERATION, "done"))
    }
}
