//! Audits: what was counted, what is to be counted, and a handheld's reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Api;
use super::auth::Caller;
use super::command::Done;
use super::extract::{Body, Path, Query, Writing};
use super::lists::List;
use super::page::{Cursor, Limit, Page, look};
use super::problem::Problem;
use super::routes::Operation;
use super::sites::Sites;
use crate::config::Role;
use crate::domain::audits::{
    Audit, AuditPart, AuditPlan, AuditState, Counted, Item, Scope as Counting, Standing,
};
use crate::domain::commands::{Command, HandCount, Reads};
use crate::domain::ids::{AssetId, AuditId, ClassId, SiteId, ZoneId};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::{JournalError, Reader, StateRows};

/// Rows read by one statement.
const WINDOW: usize = 1000;

pub(super) fn operations() -> Vec<Operation> {
    let did = |created: u64, updated: u64| json!({ "created": created, "updated": updated, "unchanged": 0, "removed": 0 });
    let reads = json!({ "zone": "crib", "epcs": ["3034257bf7194e4000001a85"], "reader": "handheld-3" });
    vec![
        Operation::get("/audits", "listAudits", "Audits, by name", list)
            .query::<AuditFilter>()
            .answers::<Page<Audit>>(StatusCode::OK, "A page of audits.", json!({ "items": [example()] })),
        Operation::post("/audits", "openAudit", "Begins a count: what is expected is frozen now", open)
            .role(Role::Operator)
            .body::<NewAudit>(json!({ "audit": "crib-2026-05", "zones": ["crib"] }))
            .command(StatusCode::CREATED, did(1, 0)),
        Operation::get(
            "/audits/{audit}",
            "readAudit",
            "The report of an audit: figures and differences",
            read,
        )
        .answers::<Report>(
            StatusCode::OK,
            "The report.",
            json!({ "audit": example(), "accuracy": 1.0, "differences": [] }),
        ),
        Operation::post("/audits/{audit}/counts", "countByHand", "An asset counted by hand", count)
            .role(Role::Operator)
            .body::<NewCount>(json!({ "asset": "FL-07", "zone": "crib" }))
            .command(StatusCode::OK, did(0, 1)),
        Operation::post(
            "/audits/{audit}/close",
            "closeAudit",
            "The count is complete: what was not found is missing",
            close,
        )
        .role(Role::Operator)
        .command(StatusCode::OK, did(0, 1)),
        Operation::post("/audits/{audit}/cancel", "cancelAudit", "Gives a count up: nothing follows", cancel)
            .role(Role::Operator)
            .command(StatusCode::OK, did(0, 1)),
        Operation::get("/audit-plans", "listAuditPlans", "When which class is counted next", plans)
            .query::<Paging>()
            .answers::<Page<AuditPlan>>(
                StatusCode::OK,
                "A page of plans.",
                json!({ "items": [{
                    "class": "tool", "every_s": 2_592_000, "since": "2026-05-01T06:00:00Z",
                    "next_at": "2026-05-31T06:00:00Z",
                }] }),
            ),
        Operation::post("/reads", "handheldReads", "What a handheld reader read in a zone", take_reads)
            .role(Role::Operator)
            .body::<Reads>(reads)
            .command(StatusCode::OK, did(0, 1)),
    ]
}

fn example() -> Value {
    json!({
        "id": "crib-2026-05", "scope": { "zones": ["crib"] }, "zones": ["crib"], "state": "closed",
        "opened_at": "2026-05-01T06:00:00Z", "opened_by": "ada", "expires_at": "2026-05-08T06:00:00Z",
        "ended_at": "2026-05-01T09:00:00Z", "ended_by": "ada", "parts": 1,
        "figures": {
            "expected": 120, "found": 120, "missing": 0, "elsewhere": 0, "unexpected": 0, "out_at_start": 3,
        },
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AuditFilter {
    /// One of these, separated by commas.
    state: Option<List<AuditState>>,
    cursor: Option<Cursor>,
    limit: Option<Limit>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Paging {
    cursor: Option<Cursor>,
    limit: Option<Limit>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewAudit {
    audit: AuditId,
    #[serde(default)]
    zones: Vec<ZoneId>,
    /// All zones of these sites.
    #[serde(default)]
    sites: Vec<SiteId>,
    /// Only assets of these.
    #[serde(default)]
    classes: Vec<ClassId>,
    /// When it ends if nobody ends it; not set: after seven days.
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewCount {
    asset: AssetId,
    /// Needed where the audit counts several.
    #[serde(default)]
    zone: Option<ZoneId>,
    /// Somebody looked for it, and it is not there.
    #[serde(default)]
    missing: bool,
}

/// What an audit says.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub audit: Audit,
    /// Share of what had to be there that was found, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Everything that is not as it was expected to be, in order of name.
    pub differences: Vec<Item>,
    /// Expected and not counted yet; of an audit that ended without being closed: never counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<AssetId>,
}

/// `None` where there is no such audit.
pub async fn report(reader: &Reader, audit: &str) -> Result<Option<Report>, ReportError> {
    let Some(header) = reader.state(StateKind::Audit, audit).await? else { return Ok(None) };
    let audit: Audit = serde_json::from_slice(&header)?;
    let mut expected: BTreeSet<AssetId> = BTreeSet::new();
    let mut items: Vec<Item> = Vec::new();
    for part in 0..audit.parts {
        let Some(row) = reader.state(StateKind::AuditPart, &AuditPart::key(&audit.id, part)).await? else {
            continue;
        };
        let part: AuditPart = serde_json::from_slice(&row)?;
        expected.extend(part.expected);
        items.extend(part.items);
    }
    let prefix = format!("{}/", audit.id);
    let mut after: Option<String> = None;
    loop {
        let rows = StateRows::Of { kind: StateKind::AuditItem, prefix: &prefix };
        let window = reader.state_rows(rows, after.as_deref(), WINDOW).await?;
        let Some(last) = window.last() else { break };
        after = Some(last.key.clone());
        for row in window {
            items.push(serde_json::from_slice(&row.value)?);
        }
    }
    for item in &items {
        if let Counted::Asset(asset) = &item.what {
            expected.remove(asset);
        }
    }
    let mut differences: Vec<Item> =
        items.into_iter().filter(|item| item.standing != Standing::Found).collect();
    differences.sort_by(|a, b| a.what.cmp(&b.what));
    let accuracy = audit.figures.accuracy();
    Ok(Some(Report { audit, accuracy, differences, pending: expected.into_iter().collect() }))
}

/// Why a report could not be given.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("failed to read the journal")]
    Journal(#[from] JournalError),
    #[error("failed to read a row of the journal")]
    Row(#[from] serde_json::Error),
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Journal(error) => error.into(),
            ReportError::Row(error) => error.into(),
        }
    }
}

/// An audit is seen by those who may see all of what it counts.
fn visible(sites: &Sites, caller: &Caller, audit: &Audit) -> bool {
    audit.zones.iter().all(|zone| caller.scope.covers(sites.of_zone(Some(zone))))
}

async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(filter): Query<AuditFilter>,
) -> Result<Json<Page<Audit>>, Problem> {
    let sites = Sites::load(&api).await?;
    let rows = StateRows::Of { kind: StateKind::Audit, prefix: "" };
    let AuditFilter { state, cursor, limit } = filter;
    let page = look(&api, rows, cursor, limit, |_, row, _| {
        let audit: Audit = serde_json::from_slice(row)?;
        let shown = visible(&sites, &caller, &audit) && List::allows(state.as_ref(), &audit.state);
        Ok(shown.then_some(audit))
    });
    Ok(Json(page.await?))
}

async fn read(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(audit): Path<String>,
) -> Result<Json<Report>, Problem> {
    let sites = Sites::load(&api).await?;
    let found = report(&api.reader, &audit).await?;
    let found = found.filter(|report| visible(&sites, &caller, &report.audit));
    found.map(Json).ok_or(Problem::NotFound { what: "audit", name: audit })
}

async fn plans(
    State(api): State<Arc<Api>>,
    _: Caller,
    Query(Paging { cursor, limit }): Query<Paging>,
) -> Result<Json<Page<AuditPlan>>, Problem> {
    let rows = StateRows::Of { kind: StateKind::AuditPlan, prefix: "" };
    Ok(Json(look(&api, rows, cursor, limit, |_, row, _| Ok(Some(serde_json::from_slice(row)?))).await?))
}

async fn open(
    State(api): State<Arc<Api>>,
    writing: Writing,
    Body(told): Body<NewAudit>,
) -> Result<Done, Problem> {
    let NewAudit { audit, zones, sites, classes, expires_at, note } = told;
    let scope = Counting { zones, sites, classes };
    Ok(api.give(writing, Command::AuditOpen { audit, scope, expires_at, note }, None).await?.created())
}

async fn count(
    State(api): State<Arc<Api>>,
    Path(audit): Path<AuditId>,
    writing: Writing,
    Body(NewCount { asset, zone, missing }): Body<NewCount>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Count(HandCount { audit, asset, zone, missing }), None).await
}

async fn close(
    State(api): State<Arc<Api>>,
    Path(audit): Path<AuditId>,
    writing: Writing,
) -> Result<Done, Problem> {
    api.give(writing, Command::AuditClose { audit }, None).await
}

async fn cancel(
    State(api): State<Arc<Api>>,
    Path(audit): Path<AuditId>,
    writing: Writing,
) -> Result<Done, Problem> {
    api.give(writing, Command::AuditCancel { audit }, None).await
}

async fn take_reads(
    State(api): State<Arc<Api>>,
    writing: Writing,
    Body(reads): Body<Reads>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Reads(reads), None).await
}
