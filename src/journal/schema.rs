//! The file's format: numbered migrations, each in a transaction with its number.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor};

use super::error::{JournalError, Operation};

/// In order; the number of the last one is the format that this build reads and writes.
pub const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_journal.sql"),
    include_str!("migrations/0002_dead_letters_cut.sql"),
    include_str!("migrations/0003_check_ins.sql"),
    include_str!("migrations/0004_packed_rows.sql"),
    include_str!("migrations/0005_alike_records.sql"),
    include_str!("migrations/0006_messagepack_rows.sql"),
];

/// SQLite's `application_id` of a journal: `TALY`.
const APPLICATION_ID: i64 = 0x5441_4c59;

/// The format of the file, from SQLite's `user_version`; 0 for a new one.
pub async fn version(conn: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA user_version").fetch_one(conn).await
}

/// Refuses a file that another program made, and one that a newer build made.
pub async fn refuse_foreign(path: &Path, conn: &mut SqliteConnection) -> Result<i64, JournalError> {
    let failed = |source| JournalError::sql(Operation::Inspect, path, source);
    let application: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *conn).await.map_err(failed)?;
    let found = version(conn).await.map_err(failed)?;
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(conn).await.map_err(failed)?;
    let empty = application == 0 && found == 0 && tables == 0;
    if application != APPLICATION_ID && !empty {
        return Err(JournalError::NotAJournal { path: path.to_owned() });
    }
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(JournalError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// Takes the file from the format it has to the last of `migrations`. Each step happens whole or not.
pub async fn migrate(conn: &mut SqliteConnection, migrations: &[&'static str]) -> Result<(), sqlx::Error> {
    let found = usize::try_from(version(conn).await?).unwrap_or(0);
    for (step, migration) in migrations.iter().enumerate().skip(found) {
        let number = step + 1;
        let whole = format!(
            "BEGIN IMMEDIATE; {migration}; PRAGMA application_id = {APPLICATION_ID}; \
             PRAGMA user_version = {number}; COMMIT;"
        );
        if let Err(error) = conn.execute(AssertSqlSafe(whole)).await {
            // Where SQLite has rolled back already, this says so, and that is all.
            if let Err(unneeded) = conn.execute("ROLLBACK").await {
                tracing::debug!(%unneeded, "no rollback after a failed migration");
            }
            return Err(error);
        }
        if found > 0 {
            tracing::info!(from = step, to = number, "migrated the journal's format");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;

    use super::*;

    #[tokio::test]
    async fn an_older_file_goes_forward_and_a_failed_step_leaves_no_trace() {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        migrate(&mut conn, &MIGRATIONS[..1]).await.unwrap();
        sqlx::query("INSERT INTO meta (key, value) VALUES ('node', 'n')").execute(&mut conn).await.unwrap();

        let broken = [MIGRATIONS[0], "ALTER TABLE meta ADD COLUMN note TEXT; INSERT INTO nowhere VALUES (1)"];
        migrate(&mut conn, &broken).await.unwrap_err();
        assert_eq!(version(&mut conn).await.unwrap(), 1);

        let good = [MIGRATIONS[0], "ALTER TABLE meta ADD COLUMN note TEXT; UPDATE meta SET note = 'kept'"];
        migrate(&mut conn, &good).await.unwrap();
        assert_eq!(version(&mut conn).await.unwrap(), 2);
        let note: (String, String) =
            sqlx::query_as("SELECT value, note FROM meta").fetch_one(&mut conn).await.unwrap();
        assert_eq!(note, ("n".to_owned(), "kept".to_owned()));
    }
}
