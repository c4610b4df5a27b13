//! How the daemon itself is doing: its sources and their books.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::Api;
use super::auth::Caller;
use super::problem::Problem;
use super::routes::Operation;
use crate::domain::books::Book;
use crate::domain::ids::SourceId;
use crate::domain::state::{LinkCurrent, StateKind};
use crate::domain::time::Timestamp;

pub(super) fn operations() -> Vec<Operation> {
    let example = json!({
        "node": "hamburg-1", "epoch": "5f2d7c0e9a1b4c3d8e6f7a8b9c0d1e2f", "now": "2026-05-01T06:00:00Z",
        "last_seq": 1042, "forwarded_seq": 1042, "sources": [],
    });
    vec![
        Operation::get("/status", "status", "How the daemon is doing: sources and their books", status)
            .answers::<Status>(StatusCode::OK, "The status.", example),
    ]
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Status {
    node: String,
    epoch: String,
    now: Timestamp,
    /// Number of the newest event.
    last_seq: u64,
    /// Everything up to here is in TimescaleDB.
    forwarded_seq: u64,
    sources: Vec<SourceStatus>,
}

#[derive(Serialize, JsonSchema)]
struct SourceStatus {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkCurrent>,
    book: Book,
    balances: bool,
}

async fn status(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Status>, Problem> {
    let meta = api.reader.meta().await?;
    let mut sources = Vec::new();
    for (name, value) in api.reader.all_states(StateKind::Book).await? {
        if !caller.scope.covers(api.rules.source_sites.get(&SourceId::from(name.as_str()))) {
            continue;
        }
        let book: Book = serde_json::from_slice(&value)?;
        let link = api.reader.state(StateKind::Link, &name).await?;
        let link = link.map(|row| serde_json::from_slice(&row)).transpose()?;
        sources.push(SourceStatus { balances: book.balances(), name, link, book });
    }
    Ok(Json(Status {
        node: meta.node.to_string(),
        epoch: meta.epoch,
        now: api.clock.now(),
        last_seq: meta.last_seq,
        forwarded_seq: meta.forwarded_seq,
        sources,
    }))
}
