//! Every state row, in order, a page at a time: what a daemon takes up when it starts.
//!
//! A register of a million assets is three million rows. SQLite hands each page over as one text, since a
//! row at a time through the driver takes several times as long; and the next page is read while the one
//! before is taken up.

use sqlx::SqlitePool;
use tokio::sync::mpsc;

use super::error::{JournalError, Operation};
use super::joined::Joined;
use super::reader::Reader;
use crate::domain::state::StateKind;

/// Rows in a page: some hundred kilobytes.
const PAGE_ROWS: i64 = 2_000;
/// Pages read ahead.
const AHEAD: usize = 2;

/// A row: its kind, its key, its value as the stage that owns it wrote it.
pub type StateRowRead = (StateKind, String, Vec<u8>);

/// The rows on their way.
#[derive(Debug)]
pub struct StatePages(mpsc::Receiver<Result<Vec<StateRowRead>, JournalError>>);

impl StatePages {
    /// Begins to read.
    pub(super) fn of(reader: Reader) -> Self {
        let (pages, state) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let read = read(&reader, &pages).await;
            if let Err(error) = read
                && pages.send(Err(error)).await.is_err()
            {
                tracing::debug!("nobody waits for the state any more");
            }
        });
        Self(state)
    }

    /// The next rows, by kind and key; `None` behind the last.
    pub async fn next(&mut self) -> Option<Result<Vec<StateRowRead>, JournalError>> {
        self.0.recv().await
    }

    /// All that are left.
    pub async fn all(&mut self) -> Result<Vec<StateRowRead>, JournalError> {
        let mut rows = Vec::new();
        while let Some(page) = self.next().await {
            rows.extend(page?);
        }
        Ok(rows)
    }
}

async fn read(
    reader: &Reader,
    pages: &mpsc::Sender<Result<Vec<StateRowRead>, JournalError>>,
) -> Result<(), JournalError> {
    let failed = |source| JournalError::sql(Operation::Load, reader.path(), source);
    let kinds: Vec<String> = sqlx::query_scalar("SELECT DISTINCT kind FROM state ORDER BY kind")
        .fetch_all(reader.pool())
        .await
        .map_err(failed)?;
    for name in kinds {
        let kind = StateKind::parse(&name).ok_or_else(|| JournalError::Unreadable {
            path: reader.path().to_owned(),
            what: format!("a state row of kind `{name}`"),
        })?;
        let mut after = String::new();
        loop {
            let rows = page(reader.pool(), &name, &after).await.map_err(failed)?;
            let Some((last, _)) = rows.last() else { break };
            after.clone_from(last);
            let rows = rows.into_iter().map(|(key, value)| (kind, key, value)).collect();
            if pages.send(Ok(rows)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Rows of a kind after a key. No key is empty, so the empty one stands before them all.
async fn page(pool: &SqlitePool, kind: &str, after: &str) -> Result<Vec<(String, Vec<u8>)>, sqlx::Error> {
    let text: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT CAST(group_concat(length(CAST(key AS BLOB)) || ' ' || length(value) || ' ' || key \
         || CAST(value AS TEXT), '') AS BLOB) \
         FROM (SELECT key, value FROM state WHERE kind = ? AND key > ? ORDER BY key LIMIT ?)",
    )
    .bind(kind)
    .bind(after)
    .bind(PAGE_ROWS)
    .fetch_one(pool)
    .await?;
    match split(&text.unwrap_or_default()) {
        Some(rows) => Ok(rows),
        // A byte that ends SQLite's texts stands in one of them.
        None => {
            sqlx::query_as("SELECT key, value FROM state WHERE kind = ? AND key > ? ORDER BY key LIMIT ?")
                .bind(kind)
                .bind(after)
                .bind(PAGE_ROWS)
                .fetch_all(pool)
                .await
        }
    }
}

/// Takes `length of key, length of value, key, value` apart, over and over.
fn split(text: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let (mut text, mut rows) = (Joined(text), Vec::new());
    while !text.is_empty() {
        let (key, value) = (text.number()?, text.number()?);
        rows.push((text.text(key)?.to_owned(), text.bytes(value)?.to_vec()));
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let rows = split("3 2 a\u{e4}{}1 5 k[1 2]".as_bytes()).unwrap();
        assert_eq!(rows, [("a\u{e4}".to_owned(), b"{}".to_vec()), ("k".to_owned(), b"[1 2]".to_vec())]);
        for broken in ["3", "3 2 ab", "x 2 ab", "1 2 a{} "] {
            assert_eq!(split(broken.as_bytes()), None, "{broken}");
        }
    }
}
