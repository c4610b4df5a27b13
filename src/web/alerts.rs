//! Alerts: the latest incident of each, and what people do about it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::auth::Caller;
use super::command::Done;
use super::etag::Seen;
use super::extract::{Body, Path, Query, Writing};
use super::lists::List;
use super::page::{Cursor, Limit, Page, look};
use super::problem::Problem;
use super::routes::Operation;
use crate::config::Role;
use crate::domain::alerts::{Alert, AlertKey, AlertState, Rule, Severity};
use crate::domain::commands::Command;
use crate::domain::ids::SiteId;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::StateRows;

pub(super) fn operations() -> Vec<Operation> {
    let act = json!({ "action": "acknowledge", "note": "looking for it" });
    let updated = json!({ "created": 0, "updated": 1, "unchanged": 0, "removed": 0 });
    vec![
        Operation::get(
            "/alerts",
            "listAlerts",
            "The latest incident of each alert, by rule and subject",
            list,
        )
        .query::<AlertFilter>()
        .answers::<Page<Alert>>(StatusCode::OK, "A page of alerts.", json!({ "items": [example()] })),
        Operation::get("/alerts/{rule}/{*subject}", "readAlert", "The latest incident of one alert", read)
            .tagged()
            .answers::<Alert>(StatusCode::OK, "The alert.", example()),
        Operation::post(
            "/alerts/{rule}/{*subject}",
            "actOnAlert",
            "Acknowledges, assigns or snoozes an open alert",
            act_on,
        )
        .role(Role::Operator)
        .body::<AlertAction>(act)
        .command(StatusCode::OK, updated),
    ]
}

fn example() -> Value {
    json!({
        "key": { "rule": "ghost", "subject": "FL-07" }, "incident": "0196889f2c00a1b2c3d4e5f60718293a",
        "state": "firing", "severity": "critical", "site": "hamburg", "summary": "FL-07 was not heard for 4h",
        "pending_since": "2026-05-01T06:00:00Z", "fired_at": "2026-05-01T06:00:00Z", "resolved_at": null,
        "acknowledged": null, "snoozed_until": null, "inhibited_by": null, "previous_incident": null,
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertFilter {
    /// One of these, separated by commas.
    state: Option<List<AlertState>>,
    /// One of these, separated by commas.
    rule: Option<List<Rule>>,
    /// One of these, separated by commas.
    severity: Option<List<Severity>>,
    site: Option<SiteId>,
    subject: Option<String>,
    acknowledged: Option<bool>,
    cursor: Option<Cursor>,
    limit: Option<Limit>,
}

impl AlertFilter {
    fn lets(&self, alert: &Alert) -> bool {
        List::allows(self.state.as_ref(), &alert.state)
            && List::allows(self.rule.as_ref(), &alert.key.rule)
            && List::allows(self.severity.as_ref(), &alert.severity)
            && (self.site.is_none() || self.site == alert.site)
            && self.subject.as_ref().is_none_or(|subject| *subject == alert.key.subject)
            && self.acknowledged.is_none_or(|wanted| wanted == alert.acknowledged.is_some())
    }
}

/// What to do with an alert.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum AlertAction {
    Acknowledge {
        #[serde(default)]
        note: Option<String>,
    },
    /// A time that is past ends a snooze.
    Snooze { until: Timestamp },
    /// Who is to see to it, in place of who was.
    Assign { to: String },
}

async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(filter): Query<AlertFilter>,
) -> Result<Json<Page<Alert>>, Problem> {
    let rule = filter.rule.as_ref().and_then(List::sole);
    let prefix = rule.map(|rule| format!("{}/", rule.as_str())).unwrap_or_default();
    let rows = StateRows::Of { kind: StateKind::Alert, prefix: &prefix };
    let page = look(&api, rows, filter.cursor.clone(), filter.limit, |_, value, _| {
        let alert: Alert = serde_json::from_slice(value)?;
        let shown = caller.scope.covers(alert.site.as_ref()) && filter.lets(&alert);
        Ok(shown.then_some(alert))
    });
    page.await.map(Json)
}

async fn read(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((rule, subject)): Path<(String, String)>,
    seen: Seen,
) -> Result<Response, Problem> {
    let name = format!("{rule}/{subject}");
    let row = api.reader.state(StateKind::Alert, &name).await?;
    let alert: Option<Alert> = row.map(|row| serde_json::from_slice(&row)).transpose()?;
    let alert = alert.filter(|alert| caller.scope.covers(alert.site.as_ref()));
    seen.answer(&alert.ok_or(Problem::NotFound { what: "alert", name })?)
}

async fn act_on(
    State(api): State<Arc<Api>>,
    Path((rule, subject)): Path<(String, String)>,
    writing: Writing,
    Body(action): Body<AlertAction>,
) -> Result<Done, Problem> {
    let rule = Rule::parse(&rule).ok_or(Problem::NotFound { what: "alert rule", name: rule })?;
    let alert = AlertKey::new(rule, subject);
    let command = match action {
        AlertAction::Acknowledge { note } => Command::Acknowledge { alert, note },
        AlertAction::Assign { to } => Command::Assign { alert, to },
        AlertAction::Snooze { until } => Command::Snooze { alert, until },
    };
    api.give(writing, command, None).await
}
