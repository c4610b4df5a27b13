//! Audit accuracy over time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::Api;
use super::super::auth::Caller;
use super::super::extract::Query;
use super::super::problem::Problem;
use super::super::routes::Operation;
use super::super::sites::Sites;
use super::WINDOW;
use crate::domain::audits::{Audit, AuditState};
use crate::domain::ids::{AuditId, SiteId, ZoneId};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::StateRows;

pub(super) fn operation() -> Operation {
    let example = json!({ "items": [{ "audit": "crib-2026-05", "zones": ["crib"], "ended_at": "2026-05-01T06:00:00Z",
        "expected": 120, "found": 118, "missing": 2, "unexpected": 1, "accuracy": 0.983 }] });
    let summary = "Audit accuracy over time, the oldest first";
    Operation::get("/answers/audits", "answerAudits", summary, audit_accuracy)
        .query::<Place>()
        .answers::<Accuracy>(StatusCode::OK, "The answer.", example)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    site: Option<SiteId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Accuracy {
    items: Vec<Counted>,
}

#[derive(Serialize, JsonSchema)]
struct Counted {
    audit: AuditId,
    zones: Vec<ZoneId>,
    ended_at: Timestamp,
    expected: u64,
    found: u64,
    missing: u64,
    unexpected: u64,
    /// Of what had to be there, what was; absent where nothing had to.
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
}

/// Audits that somebody closed; what was given up or ran out says nothing.
async fn audit_accuracy(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(place): Query<Place>,
) -> Result<Json<Accuracy>, Problem> {
    let sites = Sites::load(&api).await?;
    let _turn = api.scans.acquire().await.map_err(|_| Problem::Stopping)?;
    let rows = StateRows::Of { kind: StateKind::Audit, prefix: "" };
    let mut items = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let window = api.reader.state_rows(rows, after.as_deref(), WINDOW).await?;
        let end = window.len() < WINDOW;
        for row in window {
            let audit: Audit = serde_json::from_slice(&row.value)?;
            after = Some(row.key);
            let mut of = audit.zones.iter().map(|zone| sites.of_zone(Some(zone)));
            let seen = of.clone().all(|site| caller.scope.covers(site));
            let wanted = place.site.as_ref().is_none_or(|wanted| of.any(|site| site == Some(wanted)));
            if let (AuditState::Closed, Some(ended_at), true, true) =
                (audit.state, audit.ended_at, seen, wanted)
            {
                let figures = audit.figures;
                items.push(Counted {
                    audit: audit.id,
                    zones: audit.zones.clone(),
                    ended_at,
                    expected: figures.expected,
                    found: figures.found,
                    missing: figures.missing,
                    unexpected: figures.unexpected,
                    accuracy: figures.accuracy(),
                });
            }
        }
        if end {
            break;
        }
    }
    items.sort_by(|a, b| (a.ended_at, &a.audit).cmp(&(b.ended_at, &b.audit)));
    Ok(Json(Accuracy { items }))
}
