//! What the server can do: TimescaleDB's version and its edition.
//!
//! The Apache edition (Debian's package) has hypertables and `drop_chunks`; compression, continuous
//! aggregates and policies are in the Community edition alone. We ask once a connection and use what is
//! there; what only Community has is switched on as far as that goes and never needed.

use metrics::gauge;

use super::connection::{Connection, column};
use super::error::StoreError;
use crate::telemetry::names;

/// `by_range` dimensions came with this version.
const OLDEST: &str = "2.13";

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Of TimescaleDB, for instance `2.19.3`.
    pub version: String,
    pub edition: Edition,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edition {
    Apache,
    Community,
}

impl Edition {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apache => "apache",
            Self::Community => "community",
        }
    }
}

/// Asks the server; adds the extension to the database where it is only missing there.
pub async fn detect(connection: &mut Connection) -> Result<Capabilities, StoreError> {
    let version = match version(connection).await? {
        Some(version) => version,
        None => {
            add_extension(connection).await?;
            version(connection).await?.unwrap_or_default()
        }
    };
    if older(&version, OLDEST) {
        return Err(StoreError::OldTimescale { found: version, needed: OLDEST });
    }
    let capabilities = Capabilities { version, edition: edition(connection).await? };
    gauge!(names::STORE_EDITION, "edition" => capabilities.edition.as_str(),
        "version" => capabilities.version.clone())
    .set(1.0);
    Ok(capabilities)
}

async fn version(connection: &mut Connection) -> Result<Option<String>, StoreError> {
    const OPERATION: &str = "ask for TimescaleDB's version";
    let query = sqlx::query("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'");
    let row = connection.row(OPERATION, query).await?;
    row.map(|row| column(&row, OPERATION, "extversion")).transpose()
}

async fn add_extension(connection: &mut Connection) -> Result<(), StoreError> {
    const OPERATION: &str = "add TimescaleDB to the database";
    let added = connection.execute(OPERATION, "CREATE EXTENSION IF NOT EXISTS timescaledb").await;
    let source = match added {
        Ok(_) => return Ok(()),
        // The server refuses: not installed, not preloaded, not allowed to us.
        Err(StoreError::Statement { source: source @ sqlx::Error::Database(_), .. }) => source,
        Err(other) => return Err(other),
    };
    let row =
        connection.row("ask for the database's name", sqlx::query("SELECT current_database()::text AS name"));
    let database = match row.await {
        Ok(Some(row)) => column(&row, OPERATION, "name")?,
        // A server that hangs up on the extension (it was not preloaded) does not answer this one.
        Ok(None) | Err(_) => String::new(),
    };
    Err(StoreError::NoTimescale { database, source })
}

async fn edition(connection: &mut Connection) -> Result<Edition, StoreError> {
    const OPERATION: &str = "ask for TimescaleDB's edition";
    let query = sqlx::query("SELECT coalesce(current_setting('timescaledb.license', true), '') AS license");
    let Some(row) = connection.row(OPERATION, query).await? else { return Ok(Edition::Apache) };
    let license: String = column(&row, OPERATION, "license")?;
    Ok(if license == "timescale" { Edition::Community } else { Edition::Apache })
}

/// Whether dotted version `a` comes before `b`; what is no number counts as 0.
fn older(a: &str, b: &str) -> bool {
    let numbers = |version: &str| -> Vec<u32> {
        version.split(['.', '-']).take(2).map(|part| part.parse().unwrap_or(0)).collect()
    };
    numbers(a) < numbers(b)
}

#[cfg(test)]
mod tests {
    use super::older;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(older("2.9.1", "2.13"));
        assert!(older("", "2.13"));
        assert!(!older("2.13.0", "2.13"));
        assert!(!older("2.19.3", "2.13"));
        assert!(!older("3.0.0-dev", "2.13"));
    }
}
