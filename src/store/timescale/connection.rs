//! One connection of our own: no pool, so that one given up can poison no other.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{ConnectOptions, Executor, Row};

use super::error::StoreError;
use super::progress::Progress;

/// A server that lost us (no answer to keepalives for this long) ends the session, and with it the lock.
const KEEPALIVE_IDLE_S: u32 = 20;
const KEEPALIVE_INTERVAL_S: u32 = 5;
const KEEPALIVE_COUNT: u32 = 4;

pub struct Connection {
    connection: PgConnection,
    progress: Progress,
}

impl Connection {
    /// `statement_timeout` is the server's limit on one statement.
    pub async fn open(
        url: &str,
        node: &str,
        statement_timeout: Duration,
        progress: Progress,
    ) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(StoreError::Address)?;
        let options = options
            .application_name(&format!("tallyman {node}"))
            .options([
                ("statement_timeout", statement_timeout.as_millis().to_string()),
                ("idle_in_transaction_session_timeout", statement_timeout.as_millis().to_string()),
                ("tcp_keepalives_idle", KEEPALIVE_IDLE_S.to_string()),
                ("tcp_keepalives_interval", KEEPALIVE_INTERVAL_S.to_string()),
                ("tcp_keepalives_count", KEEPALIVE_COUNT.to_string()),
                ("client_encoding", "UTF8".to_owned()),
                ("TimeZone", "UTC".to_owned()),
            ])
            // A batch takes as long as it takes.
            .disable_statement_logging();
        let connection = progress.of("connect", options.connect()).await.map_err(StoreError::Connect)?;
        Ok(Self { connection, progress })
    }

    /// A statement without parameters, or several.
    pub async fn execute(&mut self, operation: &'static str, sql: &str) -> Result<u64, StoreError> {
        let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
        let done = self.progress.of(operation, self.connection.execute(statement)).await;
        Ok(done.map_err(|source| StoreError::Statement { operation, source })?.rows_affected())
    }

    /// A prepared statement; gives the number of rows it touched.
    pub async fn run(
        &mut self,
        operation: &'static str,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<u64, StoreError> {
        let done = self.progress.of(operation, self.connection.execute(query)).await;
        Ok(done.map_err(|source| StoreError::Statement { operation, source })?.rows_affected())
    }

    pub async fn row(
        &mut self,
        operation: &'static str,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Option<PgRow>, StoreError> {
        let row = self.progress.of(operation, self.connection.fetch_optional(query)).await;
        row.map_err(|source| StoreError::Statement { operation, source })
    }

    pub async fn rows(
        &mut self,
        operation: &'static str,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<PgRow>, StoreError> {
        let rows = self.progress.of(operation, self.connection.fetch_all(query)).await;
        rows.map_err(|source| StoreError::Statement { operation, source })
    }

    /// `COPY target FROM STDIN (FORMAT BINARY)`; gives the number of rows.
    pub async fn copy(&mut self, target: &str, rows: &[u8]) -> Result<u64, StoreError> {
        /// One message: large enough that their headers do not count, small enough not to be copied whole.
        const CHUNK: usize = 256 * 1024;
        let statement = format!("COPY {target} FROM STDIN (FORMAT BINARY)");
        let exchange = async {
            let mut copy = self.connection.copy_in_raw(&statement).await?;
            for chunk in rows.chunks(CHUNK) {
                copy.send(chunk).await?;
            }
            copy.finish().await
        };
        let copied = self.progress.of("copy rows", exchange).await;
        copied.map_err(|source| StoreError::Statement { operation: "copy rows", source })
    }

    pub async fn begin(&mut self) -> Result<(), StoreError> {
        self.execute("begin a transaction", "BEGIN").await.map(drop)
    }

    pub async fn commit(&mut self) -> Result<(), StoreError> {
        self.execute("commit", "COMMIT").await.map(drop)
    }

    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        self.execute("roll back", "ROLLBACK").await.map(drop)
    }

    /// Holds the node's lock for as long as the connection lives: one daemon forwards for a node. It also
    /// waits out a predecessor's last transaction, whose session holds the lock until that has ended.
    pub async fn lock_node(&mut self, node: &str) -> Result<(), StoreError> {
        let query =
            sqlx::query("SELECT pg_try_advisory_lock(hashtextextended('tallyman/forward/' || $1, 0))")
                .bind(node);
        let row = self.row("take the node's lock", query).await?;
        match row.map(|row| row.try_get::<bool, _>(0)) {
            Some(Ok(true)) => Ok(()),
            Some(Ok(false)) | None => Err(StoreError::Occupied { node: node.to_owned() }),
            Some(Err(source)) => Err(StoreError::Statement { operation: "take the node's lock", source }),
        }
    }
}

/// A column that the statement itself made, so that its absence is the statement's fault.
pub fn column<'r, T>(row: &'r PgRow, operation: &'static str, name: &str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(name).map_err(|source| StoreError::Statement { operation, source })
}
