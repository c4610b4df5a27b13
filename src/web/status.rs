//! How the daemon itself is doing: its sources and their books.

use std::collections::BTreeMap;
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
use super::sites::Sites;
use crate::domain::alerts::{Alert, Rule};
use crate::domain::books::Book;
use crate::domain::ids::SourceId;
use crate::domain::register::{Maintained, Maintenance, Record};
use crate::domain::state::{LinkCurrent, StateKind};
use crate::domain::time::Timestamp;
use crate::journal::StateRows;
use crate::notify::Receiver;

/// Plans, and alerts of devices, that are looked through.
const PLANS: usize = 10_000;
/// Changes of alerts that are counted for how far a receiver is behind.
const COUNTED: usize = 1000;

pub(super) fn operations() -> Vec<Operation> {
    let example = json!({
        "node": "hamburg-1", "epoch": "5f2d7c0e9a1b4c3d8e6f7a8b9c0d1e2f", "now": "2026-05-01T06:00:00Z",
        "last_seq": 1042, "forwarded_seq": 1042, "sources": [],
        "receivers": [{
            "name": "dispatch", "kind": "webhook", "address": "https://dispatch.example.com/hooks/tallyman",
            "last_success": "2026-05-01T05:12:40Z",
            "last_error": { "at": "2026-05-01T05:58:03Z", "reason": "it answered 503 Service Unavailable" },
            "waiting_since": "2026-05-01T05:58:03Z", "disabled_since": null, "behind": 3, "told_seq": 1031,
        }],
        "maintenance": [],
    });
    vec![
        Operation::get(
            "/status",
            "status",
            "How the daemon is doing: sources and their books, receivers of alerts",
            status,
        )
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
    /// Who is told of alerts. Empty for who sees only some sites.
    receivers: Vec<Receiver>,
    /// Planned work that is in force.
    maintenance: Vec<InForce>,
}

/// Planned work, and how many alerts it keeps quiet.
#[derive(Serialize, JsonSchema)]
struct InForce {
    planned: Maintenance,
    inhibited: usize,
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
    let receivers = if caller.scope.is_everywhere() { receivers(&api).await? } else { Vec::new() };
    let maintenance = in_force(&api, &caller).await?;
    Ok(Json(Status {
        node: meta.node.to_string(),
        epoch: meta.epoch,
        now: api.clock.now(),
        last_seq: meta.last_seq,
        forwarded_seq: meta.forwarded_seq,
        sources,
        receivers,
        maintenance,
    }))
}

/// What those who walk the journal have before them is counted there.
async fn receivers(api: &Api) -> Result<Vec<Receiver>, Problem> {
    let mut receivers = api.receivers.all();
    for receiver in &mut receivers {
        if let Some(seq) = receiver.told_seq {
            receiver.behind = api.reader.count_alert_events_after(seq, COUNTED).await?;
        }
    }
    Ok(receivers)
}

/// Planned work that is in force now and concerns the caller's sites.
async fn in_force(api: &Api, caller: &Caller) -> Result<Vec<InForce>, Problem> {
    let now = api.clock.now();
    let rows = StateRows::Of { kind: StateKind::Register, prefix: "maintenance/" };
    let mut planned = Vec::new();
    for row in api.reader.state_rows(rows, None, PLANS).await? {
        if let Record::Maintenance(one) = serde_json::from_slice(&row.value)? {
            planned.push(one);
        }
    }
    planned.retain(|one| one.from <= now && now < one.to);
    if planned.is_empty() {
        return Ok(Vec::new());
    }
    let sites = Sites::load(api).await?;
    let mut quiet: BTreeMap<String, usize> = BTreeMap::new();
    for rule in [Rule::ReaderDown, Rule::SensorBad, Rule::WatcherSuspect] {
        let prefix = format!("{}/", rule.as_str());
        let rows = StateRows::Of { kind: StateKind::Alert, prefix: &prefix };
        for row in api.reader.state_rows(rows, None, PLANS).await? {
            let alert: Alert = serde_json::from_slice(&row.value)?;
            if let Some(by) = alert.inhibited_by.filter(|by| by.rule == Rule::Maintenance) {
                *quiet.entry(by.subject).or_default() += 1;
            }
        }
    }
    let shown = planned.into_iter().filter(|one| match &one.of {
        Maintained::Site(site) => caller.scope.covers(Some(site)),
        Maintained::Zone(zone) => caller.scope.covers(sites.of_zone(Some(zone))),
        Maintained::Source(source) => caller.scope.covers(api.rules.source_sites.get(source)),
        Maintained::ReadPoint(_) => caller.scope.is_everywhere(),
    });
    Ok(shown
        .map(|planned| InForce { inhibited: quiet.get(&planned.name).copied().unwrap_or(0), planned })
        .collect())
}
