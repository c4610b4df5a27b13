//! What of the journal arrived in TimescaleDB, event by event.

use std::collections::BTreeMap;

use anyhow::Context;
use sqlx::{Connection, PgConnection, Row};

use crate::domain::ids::NodeId;
use crate::journal::Reader;

/// The tables that events are forwarded to.
const TABLES: [&str; 8] =
    ["location_event", "condition_event", "fix", "sample", "tag_read", "alert_event", "command_log", "gap"];
/// Events read at once.
const PAGE: usize = 5000;

pub struct Comparison {
    pub expected: u64,
    pub found: u64,
    pub lost: u64,
    pub duplicated: u64,
}

/// Counts how often each event of the journal stands in the database.
pub async fn compare(url: &str, node: &NodeId, reader: &Reader, last_seq: u64) -> anyhow::Result<Comparison> {
    let mut held: BTreeMap<[u8; 16], u64> = BTreeMap::new();
    let mut database = PgConnection::connect(url).await.context("failed to connect to TimescaleDB")?;
    for table in TABLES {
        let sql = format!("SELECT uuid_send(id) FROM tallyman.{table} WHERE node = $1");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(node.as_str())
            .fetch_all(&mut database)
            .await
            .with_context(|| format!("failed to read tallyman.{table}"))?;
        for row in rows {
            let id: Vec<u8> = row.try_get(0)?;
            let id = <[u8; 16]>::try_from(id.as_slice()).context("an id is not 16 bytes long")?;
            *held.entry(id).or_default() += 1;
        }
    }
    database.close().await?;
    let mut comparison = Comparison { expected: 0, found: 0, lost: 0, duplicated: 0 };
    let mut seen = 0;
    while seen < last_seq {
        let events = reader.events_after(seen, PAGE).await?;
        let Some(last) = events.last() else { break };
        seen = last.seq;
        for event in events {
            comparison.expected += 1;
            match held.get(&event.id.0) {
                Some(times) => {
                    comparison.found += 1;
                    comparison.duplicated += times - 1;
                }
                None => comparison.lost += 1,
            }
        }
    }
    Ok(comparison)
}
