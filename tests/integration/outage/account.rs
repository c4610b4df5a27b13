//! Journal and database, event by event: what is missing, and what is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sqlx::AssertSqlSafe;

use super::look::events;
use crate::timescale::rig::Database;

/// Every table that holds events.
pub const TABLES: [&str; 9] = [
    "location_event",
    "condition_event",
    "fix",
    "sample",
    "tag_read",
    "alert_event",
    "command_log",
    "gap",
    "rejected_event",
];

pub type Id = [u8; 16];

/// How often each event is in the database.
pub async fn in_database(db: &Database) -> BTreeMap<Id, u64> {
    let mut held = BTreeMap::new();
    for table in TABLES {
        let sql = format!("SELECT uuid_send(event_id) FROM tallyman.{table} WHERE event_id IS NOT NULL");
        let ids: Vec<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&db.pool).await.unwrap();
        for id in ids {
            *held.entry(id.try_into().unwrap()).or_default() += 1;
        }
    }
    held
}

/// What the journal at `path` holds.
pub async fn in_journal(path: &Path) -> Journal {
    let (mut ids, mut reads) = (BTreeSet::new(), 0);
    for event in events(path).await {
        reads += u64::from(&*event.kind == "tag-read");
        assert!(ids.insert(event.id.0), "event {} is in the journal twice", event.id);
    }
    Journal { ids, reads }
}

#[derive(Clone, Default)]
pub struct Journal {
    pub ids: BTreeSet<Id>,
    /// How many of them are raw reads.
    pub reads: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Account {
    /// In a journal and not in the database.
    pub lost: u64,
    /// Times that an event is in the database beyond the first.
    pub doubled: u64,
    /// In the database and in no journal.
    pub unexplained: u64,
}

pub const BALANCED: Account = Account { lost: 0, doubled: 0, unexplained: 0 };

/// Compares the database with everything that the journals held.
pub fn account(journals: &BTreeSet<Id>, database: &BTreeMap<Id, u64>) -> Account {
    Account {
        lost: journals.iter().filter(|id| !database.contains_key(*id)).count() as u64,
        doubled: database.values().map(|count| count - 1).sum(),
        unexplained: database.keys().filter(|id| !journals.contains(*id)).count() as u64,
    }
}

#[test]
fn an_account_sees_what_is_lost_doubled_and_unexplained() {
    let (a, b, c) = ([1; 16], [2; 16], [3; 16]);
    let found = account(&BTreeSet::from([a, b]), &BTreeMap::from([(b, 3), (c, 1)]));
    assert_eq!(found, Account { lost: 1, doubled: 2, unexplained: 1 });
}
