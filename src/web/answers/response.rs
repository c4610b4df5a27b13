//! How fast alerts are answered: mean time to acknowledge and to restore, by rule and site.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::super::Api;
use super::super::auth::Caller;
use super::super::extract::Query;
use super::super::problem::Problem;
use super::super::routes::Operation;
use super::walk::{Since, Span, walk};
use crate::domain::alerts::{AlertTransition, Rule};
use crate::domain::events::EventBody;
use crate::domain::ids::{EventId, SiteId};
use crate::domain::time::Timestamp;

/// How far back is looked where nothing is said.
const SPAN: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn operation() -> Operation {
    let example = json!({ "since": "2026-02-01T00:00:00Z", "complete": true, "items": [{ "rule": "ghost",
        "site": "hamburg", "incidents": 3, "acknowledged": 2, "restored": 3, "mean_s_to_acknowledge": 420.0,
        "mean_s_to_restore": 5400.0 }] });
    let summary = "Mean time to acknowledge and to restore, by rule and site";
    Operation::get("/answers/alert-response", "answerAlertResponse", summary, alert_response)
        .query::<Span>()
        .answers::<Since<Response>>(StatusCode::OK, "The answer.", example)
}

#[derive(Serialize, JsonSchema)]
struct Response {
    rule: Rule,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<SiteId>,
    incidents: u64,
    acknowledged: u64,
    restored: u64,
    /// Seconds from firing; absent where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_s_to_acknowledge: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_s_to_restore: Option<f64>,
}

#[derive(Default)]
struct Times {
    incidents: u64,
    acknowledged: Vec<f64>,
    restored: Vec<f64>,
}

async fn alert_response(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(span): Query<Span>,
) -> Result<Json<Since<Response>>, Problem> {
    let since = span.since(&api, SPAN);
    let mut rules: BTreeMap<(Rule, Option<SiteId>), Times> = BTreeMap::new();
    // Open incidents: when they fired, and whether somebody was on them.
    let mut open: BTreeMap<EventId, (Timestamp, bool)> = BTreeMap::new();
    let complete = walk(&api, &caller, span.site.as_ref(), &["alert"], since, |event, body| {
        let EventBody::Alert { transition, alert } = body else { return };
        let times = || (alert.key.rule, alert.site.clone());
        match transition {
            AlertTransition::Fired if event.observed_at >= since => {
                open.insert(alert.incident, (event.observed_at, false));
                rules.entry(times()).or_default().incidents += 1;
            }
            AlertTransition::Acknowledged => {
                if let Some((fired, seen @ false)) = open.get_mut(&alert.incident) {
                    *seen = true;
                    let took = event.observed_at.since(*fired).as_secs_f64();
                    rules.entry(times()).or_default().acknowledged.push(took);
                }
            }
            AlertTransition::Resolved => {
                if let Some((fired, _)) = open.remove(&alert.incident) {
                    let took = event.observed_at.since(fired).as_secs_f64();
                    rules.entry(times()).or_default().restored.push(took);
                }
            }
            _ => {}
        }
    });
    let complete = complete.await?;
    let mean = |times: &[f64]| (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64);
    let items = rules.into_iter().map(|((rule, site), times)| Response {
        rule,
        site,
        incidents: times.incidents,
        acknowledged: times.acknowledged.len() as u64,
        restored: times.restored.len() as u64,
        mean_s_to_acknowledge: mean(&times.acknowledged),
        mean_s_to_restore: mean(&times.restored),
    });
    Ok(Json(Since { since, complete, items: items.collect() }))
}
