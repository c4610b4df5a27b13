//! Brings the journal's register to what the database's tables hold, whole, from one snapshot.

use std::collections::VecDeque;

use super::rows::{PAGE, is_attachment};
use super::session::{Following, snapshot};
use crate::domain::register::{Change, Reached, Record};
use crate::domain::state::StateKind;
use crate::journal::Reader;
use crate::store::timescale::connection::column;
use crate::store::timescale::error::StoreError;

/// As whom we write what we found by comparing.
const BY: &str = "timescale";

/// Both sides of a table in the order of their keys; only differences are held. Those of an attachment
/// are taken up together: one may have to end before another begins.
pub async fn compare(following: &mut Following<'_>, register: String) -> Result<(), StoreError> {
    const OPERATION: &str = "compare the register";
    following.connection.execute(OPERATION, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let snapshot = snapshot(&mut following.connection).await?;
    // What did not fit is found again where it is still so.
    let stale = std::mem::take(&mut following.misfits);
    let mut gone = Vec::new();
    for table in Record::TABLES {
        let sql = format!(
            "DECLARE whole NO SCROLL CURSOR FOR SELECT key, record::text AS record FROM tallyman.register_record
             WHERE table_name = '{table}' AND declared_by IS NULL ORDER BY key COLLATE \"C\""
        );
        following.connection.execute(OPERATION, &sql).await?;
        let mut ours = Ours::new(following.session.journal.clone(), table);
        let mut changes = Vec::new();
        loop {
            let page = following
                .connection
                .rows(OPERATION, sqlx::query("FETCH 5000 FROM whole").persistent(false))
                .await?;
            for row in &page {
                let key: String = column(row, OPERATION, "key")?;
                let record: String = column(row, OPERATION, "record")?;
                while let Some(missing) = ours.before(&key).await? {
                    gone.push(change(table, missing, None));
                }
                let record: serde_json::Value = serde_json::from_str(&record).map_err(StoreError::Current)?;
                if ours.at(&key).as_ref() != serde_json::from_value(record.clone()).ok().as_ref() {
                    changes.push(change(table, key, Some(record)));
                }
            }
            if changes.len() >= PAGE && !is_attachment(table) {
                following.take(std::mem::take(&mut changes), None).await?;
            }
            if page.len() < PAGE {
                break;
            }
        }
        while let Some(missing) = ours.rest().await? {
            gone.push(change(table, missing, None));
        }
        if is_attachment(table) {
            changes.append(&mut gone.extract_if(.., |change| change.table == table).collect());
        }
        if !changes.is_empty() {
            following.take(changes, None).await?;
        }
        following.connection.execute(OPERATION, "CLOSE whole").await?;
    }
    following.take(gone, Some(Reached { register, snapshot })).await?;
    following.connection.commit().await?;
    following.forget(stale).await?;
    following.retry().await
}

fn change(table: &str, key: String, record: Option<serde_json::Value>) -> Change {
    Change { table: table.to_owned(), key, by: BY.to_owned(), renewed: record.is_some(), record }
}

/// The journal's records of one table, in the order of their keys.
struct Ours {
    journal: Reader,
    prefix: String,
    after: String,
    held: VecDeque<(String, Vec<u8>)>,
    done: bool,
}

impl Ours {
    fn new(journal: Reader, table: &str) -> Self {
        let prefix = format!("{table}/");
        Self { journal, after: prefix.clone(), prefix, held: VecDeque::new(), done: false }
    }

    async fn fetch(&mut self) -> Result<(), StoreError> {
        if !self.held.is_empty() || self.done {
            return Ok(());
        }
        let page = self.journal.states(StateKind::Register, Some(&self.after), PAGE).await?;
        let full = page.len() == PAGE;
        let mine = page.into_iter().map_while(|(key, value)| {
            let key = key.strip_prefix(&self.prefix)?.to_owned();
            Some((key, value))
        });
        self.held.extend(mine);
        match self.held.back() {
            Some((key, _)) if full => self.after = format!("{}{key}", self.prefix),
            _ => self.done = true,
        }
        Ok(())
    }

    /// The next key that comes before `key`.
    async fn before(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        self.fetch().await?;
        Ok(self.held.pop_front_if(|(held, _)| held.as_str() < key).map(|(held, _)| held))
    }

    /// The record of that key, once every one before it is out.
    fn at(&mut self, key: &str) -> Option<Record> {
        let (_, value) = self.held.pop_front_if(|(held, _)| held == key)?;
        serde_json::from_slice(&value).ok()
    }

    async fn rest(&mut self) -> Result<Option<String>, StoreError> {
        self.fetch().await?;
        Ok(self.held.pop_front().map(|(held, _)| held))
    }
}
