//! Schema `tallyman`, brought forward version by version, never back.
//!
//! All missing versions go in one transaction under an advisory lock, so daemons that start together
//! migrate once. A schema that is newer than this program is left alone.

use std::time::Duration;

use super::capabilities::{Capabilities, Edition};
use super::connection::{Connection, column};
use super::error::StoreError;
use super::tables::Table;

/// Each file is one version, counted from 1.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_events.sql"),
    include_str!("migrations/0002_register.sql"),
    include_str!("migrations/0003_answers.sql"),
    include_str!("migrations/0004_readiness.sql"),
    include_str!("migrations/0005_people.sql"),
    include_str!("migrations/0006_audits.sql"),
    include_str!("migrations/0007_class_limits.sql"),
    include_str!("migrations/0008_custody_and_use.sql"),
    include_str!("migrations/0009_badges.sql"),
    include_str!("migrations/0010_last_holder.sql"),
    include_str!("migrations/0011_erasures.sql"),
    include_str!("migrations/0012_erasures_of_nodes.sql"),
    include_str!("migrations/0013_motion.sql"),
    include_str!("migrations/0014_vehicles.sql"),
    include_str!("migrations/0015_odometers.sql"),
    include_str!("migrations/0016_asset_limits.sql"),
    include_str!("migrations/0017_returns_in_time.sql"),
];

/// Any number, the same in every release: "tallyman" in ASCII.
const LOCK: i64 = 0x74_61_6c_6c_79_6d_61_6e;

/// Chunks older than this are compressed, where the edition can.
const COMPRESS_AFTER: &str = "30 days";

pub const KNOWN: i32 = MIGRATIONS.len() as i32;

pub async fn bring_forward(connection: &mut Connection) -> Result<(), StoreError> {
    match version(connection).await? {
        found if found == KNOWN => return Ok(()),
        found if found > KNOWN => return Err(StoreError::NewerSchema { found, known: KNOWN }),
        _ => {}
    }
    connection.begin().await?;
    let outcome = migrate(connection).await;
    match outcome {
        Ok(()) => connection.commit().await,
        Err(error) => {
            connection.rollback().await?;
            Err(error)
        }
    }
}

async fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
    connection.run("lock the schema", lock).await?;
    let found = version(connection).await?;
    if found > KNOWN {
        return Err(StoreError::NewerSchema { found, known: KNOWN });
    }
    if found == 0 {
        let preparation = "CREATE SCHEMA IF NOT EXISTS tallyman;
            CREATE TABLE IF NOT EXISTS tallyman.schema_version (
                version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())";
        connection.execute("create the schema", preparation).await.map_err(|error| failed(1, error))?;
    }
    for (version, sql) in (1..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(0)) {
        connection.execute("migrate", sql).await.map_err(|error| failed(version, error))?;
        let note = sqlx::query("INSERT INTO tallyman.schema_version (version) VALUES ($1)").bind(version);
        connection.run("note the schema's version", note).await?;
        tracing::info!(version, "schema `tallyman` migrated");
    }
    Ok(())
}

/// What PostgreSQL refuses of a migration somebody has to look at; a lost connection is just that.
fn failed(version: i32, error: StoreError) -> StoreError {
    match error {
        StoreError::Statement { source: source @ sqlx::Error::Database(_), .. } => {
            StoreError::Migrate { version, source }
        }
        other => other,
    }
}

/// 0 where there is no schema.
async fn version(connection: &mut Connection) -> Result<i32, StoreError> {
    const OPERATION: &str = "ask for the schema's version";
    let there = sqlx::query("SELECT to_regclass('tallyman.schema_version') IS NOT NULL AS there");
    let Some(row) = connection.row(OPERATION, there).await? else { return Ok(0) };
    if !column::<bool>(&row, OPERATION, "there")? {
        return Ok(0);
    }
    let newest = sqlx::query("SELECT coalesce(max(version), 0) AS version FROM tallyman.schema_version");
    let row = connection.row(OPERATION, newest).await?;
    row.map_or(Ok(0), |row| column(&row, OPERATION, "version"))
}

/// What the configuration and the edition decide: chunk intervals, and compression where there is any.
/// Nothing of it is needed to forward, so what fails is said and left.
pub async fn tune(
    connection: &mut Connection,
    capabilities: &Capabilities,
    chunk_interval: Duration,
) -> Result<(), StoreError> {
    for table in Table::HYPERTABLES {
        let name = table.name();
        let seconds = chunk_interval.as_secs().max(1);
        let mut statements = vec![format!(
            "SELECT set_chunk_time_interval('{name}', INTERVAL '{seconds} seconds')
             WHERE NOT EXISTS (SELECT FROM timescaledb_information.dimensions
               WHERE format('%I.%I', hypertable_schema, hypertable_name) = '{name}'
                 AND time_interval = INTERVAL '{seconds} seconds')"
        )];
        if capabilities.edition == Edition::Community {
            statements.push(format!(
                "DO $$ BEGIN
                   IF NOT (SELECT compression_enabled FROM timescaledb_information.hypertables
                           WHERE format('%I.%I', hypertable_schema, hypertable_name) = '{name}') THEN
                     ALTER TABLE {name} SET (timescaledb.compress, timescaledb.compress_segmentby = 'subject',
                       timescaledb.compress_orderby = 'observed_at DESC');
                     PERFORM add_compression_policy('{name}', INTERVAL '{COMPRESS_AFTER}', if_not_exists => true);
                   END IF;
                 END $$"
            ));
        }
        for statement in statements {
            match connection.execute("tune a table", &statement).await {
                Ok(_) => {}
                Err(StoreError::Statement { source: sqlx::Error::Database(error), .. }) => {
                    tracing::warn!(table = name, %error, "the table stays as it is");
                }
                Err(other) => return Err(other),
            }
        }
    }
    Ok(())
}
