//! How the daemon itself is doing: its sources and their books.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::problem::Problem;
use crate::domain::books::Book;
use crate::domain::state::{LinkCurrent, StateKind};
use crate::domain::time::Timestamp;

#[derive(Serialize)]
pub(super) struct Status {
    node: String,
    epoch: String,
    now: Timestamp,
    last_seq: u64,
    forwarded_seq: u64,
    sources: Vec<SourceStatus>,
}

#[derive(Serialize)]
struct SourceStatus {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkCurrent>,
    book: Book,
    balances: bool,
}

pub(super) async fn status(State(api): State<Arc<Api>>) -> Result<Json<Status>, Problem> {
    let meta = api.reader.meta().await?;
    let mut sources = Vec::new();
    for (name, value) in api.reader.all_states(StateKind::Book).await? {
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
