//! Events and alerts, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Api;
use super::assets::{DEFAULT_PAGE, MAX_PAGE};
use super::problem::Problem;
use crate::domain::alerts::{Alert, AlertState};
use crate::domain::ids::EventId;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::{EventQuery, StoredEvent};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventFilter {
    subject: Option<String>,
    /// Kinds, separated by commas.
    kind: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    before: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct Events {
    events: Vec<EventView>,
    /// Give it as `before` to read on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// The envelope of an event, as the API shows it.
#[derive(Serialize)]
pub struct EventView {
    pub id: EventId,
    pub seq: u64,
    pub version: u16,
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    pub subject: String,
    pub source: String,
    pub observed_at: Timestamp,
    pub received_at: Timestamp,
    pub recorded_at: Timestamp,
    pub late: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    pub body: Box<RawValue>,
}

impl TryFrom<StoredEvent> for EventView {
    type Error = serde_json::Error;

    fn try_from(event: StoredEvent) -> Result<Self, Self::Error> {
        Ok(Self {
            id: event.id,
            seq: event.seq,
            version: event.version,
            kind: event.kind,
            site: event.site,
            subject: event.subject,
            source: event.source,
            observed_at: event.observed_at,
            received_at: event.received_at,
            recorded_at: event.recorded_at,
            late: event.late,
            confidence: event.confidence,
            body: RawValue::from_string(event.body)?,
        })
    }
}

pub(super) async fn events(
    State(api): State<Arc<Api>>,
    filter: Result<Query<EventFilter>, QueryRejection>,
) -> Result<Json<Events>, Problem> {
    let Query(filter) = filter?;
    let limit = filter.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    let kinds = filter.kind.map(|kinds| kinds.split(',').map(str::to_owned).collect());
    let query = EventQuery {
        subject: filter.subject,
        kinds: kinds.unwrap_or_default(),
        observed_from: filter.from,
        observed_until: filter.to,
        before_seq: filter.before,
        limit,
    };
    let stored = api.reader.events(&query).await?;
    let next = (stored.len() == limit).then(|| stored.last().map(|event| event.seq)).flatten();
    let events = stored.into_iter().map(EventView::try_from).collect::<Result<_, _>>()?;
    Ok(Json(Events { events, next }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertFilter {
    state: Option<AlertState>,
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct Alerts {
    alerts: Vec<Alert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The latest incident of each alert; `state` keeps those that stand in it.
pub(super) async fn alerts(
    State(api): State<Arc<Api>>,
    filter: Result<Query<AlertFilter>, QueryRejection>,
) -> Result<Json<Alerts>, Problem> {
    let Query(filter) = filter?;
    let limit = filter.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    let rows = api.reader.states(StateKind::Alert, filter.after.as_deref(), limit).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|(key, _)| key.clone())).flatten();
    let alerts: Vec<Alert> =
        rows.iter().map(|(_, value)| serde_json::from_slice(value)).collect::<Result<_, _>>()?;
    let alerts =
        alerts.into_iter().filter(|alert| filter.state.is_none_or(|state| alert.state == state)).collect();
    Ok(Json(Alerts { alerts, next }))
}
