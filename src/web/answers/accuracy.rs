//! Audit accuracy over time: of the newest audits, so that the answer is bounded; SQL has all of them.

use std::collections::BTreeMap;
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
use super::{LOOK_ROWS, WINDOW};
use crate::domain::audits::{Audit, AuditState};
use crate::domain::ids::{AuditId, SiteId, ZoneId};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::StateRows;

/// Audits in one answer.
const AUDITS: usize = 10_000;

pub(super) fn operation() -> Operation {
    let example = json!({ "complete": true, "items": [{ "audit": "crib-2026-05", "zones": ["crib"],
        "ended_at": "2026-05-01T06:00:00Z", "expected": 120, "found": 118, "missing": 2, "unexpected": 1,
        "accuracy": 0.983 }] });
    let summary = "Audit accuracy over time, of the newest 10,000 audits, the oldest first";
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
    /// Whether all audits were looked at, and all that were closed are told.
    complete: bool,
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

/// The newest of what is added, in order.
struct Newest {
    most: usize,
    items: BTreeMap<(Timestamp, AuditId), Counted>,
    /// Something older was left out.
    cut: bool,
}

impl Newest {
    fn new(most: usize) -> Self {
        Self { most, items: BTreeMap::new(), cut: false }
    }

    fn add(&mut self, counted: Counted) {
        self.items.insert((counted.ended_at, counted.audit.clone()), counted);
        if self.items.len() > self.most {
            self.items.pop_first();
            self.cut = true;
        }
    }
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
    let mut newest = Newest::new(AUDITS);
    let mut after: Option<String> = None;
    let mut looked = 0;
    let whole = loop {
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
                newest.add(Counted {
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
        looked += WINDOW;
        if end || looked >= LOOK_ROWS {
            break end;
        }
    };
    Ok(Json(Accuracy { complete: whole && !newest.cut, items: newest.items.into_values().collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_told_the_oldest_first_and_what_is_left_out_is_said() {
        let counted = |at: i64| Counted {
            audit: AuditId::new(format!("hall-{at}")),
            zones: Vec::new(),
            ended_at: Timestamp::from_secs(at),
            expected: 0,
            found: 0,
            missing: 0,
            unexpected: 0,
            accuracy: None,
        };
        let mut newest = Newest::new(2);
        for at in [3, 1] {
            newest.add(counted(at));
        }
        assert!(!newest.cut);
        newest.add(counted(2));
        assert!(newest.cut);
        let times: Vec<_> =
            newest.items.into_values().map(|it| it.ended_at.as_micros() / 1_000_000).collect();
        assert_eq!(times, [2, 3]);
    }
}
