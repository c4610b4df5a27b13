//! Events, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Api;
use super::auth::Caller;
use super::etag::Seen;
use super::extract::{Path, Query};
use super::lists::{EventKind, List};
use super::page::{Cursor, Limit, Page};
use super::problem::Problem;
use super::routes::Operation;
use crate::domain::events::EventBody;
use crate::domain::ids::{EventId, SiteId};
use crate::domain::orders::Scope;
use crate::domain::time::Timestamp;
use crate::journal::{EventQuery, StoredEvent};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/events", "listEvents", "What happened, newest first", list)
            .query::<EventFilter>()
            .answers::<Page<EventView>>(StatusCode::OK, "A page of events.", json!({ "items": [example()] })),
        Operation::get("/events/{event}", "readEvent", "One event by its id", read)
            .tagged()
            .answers::<EventView>(StatusCode::OK, "The event.", example()),
    ]
}

pub(super) fn example() -> Value {
    json!({
        "id": "0196889f2c00a1b2c3d4e5f60718293a", "seq": 1042, "version": 1, "kind": "link", "site": "hamburg",
        "subject": "source:dock-1", "source": "dock-1", "observed_at": "2026-05-01T06:00:00Z",
        "received_at": "2026-05-01T06:00:00Z", "recorded_at": "2026-05-01T06:00:00.05Z", "late": false,
        "body": { "kind": "link", "up": true, "reason": "connected" },
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventFilter {
    /// Whom it is about, for instance `asset:FL-07`.
    subject: Option<String>,
    /// One of these, separated by commas. Measurements (`fix`, `sample`, `tag-read`) have to be named. Of them at
    /// most a million rows are looked through at once: only there, a page may be empty and have a `next`.
    kind: Option<List<EventKind>>,
    site: Option<SiteId>,
    /// Observed at or after this.
    from: Option<Timestamp>,
    /// Observed before this.
    to: Option<Timestamp>,
    cursor: Option<Cursor>,
    limit: Option<Limit>,
}

/// The envelope of an event, as the API shows it.
#[derive(Serialize, JsonSchema)]
pub struct EventView {
    pub id: EventId,
    /// Its number in the journal: without a gap, and never given twice.
    pub seq: u64,
    pub version: u16,
    pub kind: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Arc<str>>,
    pub subject: Arc<str>,
    pub source: Arc<str>,
    pub observed_at: Timestamp,
    pub received_at: Timestamp,
    pub recorded_at: Timestamp,
    pub late: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    #[schemars(with = "EventBody")]
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
            body: RawValue::from_string(event.body.to_string())?,
        })
    }
}

/// The sites that a filter and the caller's scope leave: none for all, `None` where nothing is left.
pub(super) fn sites(scope: &Scope, wanted: Option<&SiteId>) -> Option<Vec<String>> {
    match (scope, wanted) {
        (scope, Some(site)) => scope.covers(Some(site)).then(|| vec![site.to_string()]),
        (Scope::Everywhere, None) => Some(Vec::new()),
        (Scope::Sites(sites), None) => Some(sites.iter().map(ToString::to_string).collect()),
    }
}

pub(super) fn kinds(wanted: Option<List<EventKind>>) -> Vec<String> {
    wanted.iter().flat_map(List::words).map(|kind| kind.0.clone()).collect()
}

async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(filter): Query<EventFilter>,
) -> Result<Json<Page<EventView>>, Problem> {
    let Some(sites) = sites(&caller.scope, filter.site.as_ref()) else {
        return Ok(Json(Page { items: Vec::new(), next: None }));
    };
    let has_kind = |subject: &String| subject == "node" || subject.contains(':');
    if let Some(subject) = filter.subject.as_ref().filter(|subject| !has_kind(subject)) {
        return Err(Problem::BadRequest(format!(
            "a subject has its kind before it: write `asset:{subject}`, or `device:`, `tag:`, `person:` or `source:`"
        )));
    }
    let before_seq = filter.cursor.map(|cursor| seq(&cursor)).transpose()?;
    let limit = Limit::of(filter.limit);
    let query = EventQuery {
        subject: filter.subject,
        kinds: kinds(filter.kind),
        sites,
        observed_from: filter.from,
        observed_until: filter.to,
        before_seq,
        // One more than is shown says whether there is a next page.
        limit: limit + 1,
    };
    let found = api.reader.newest_events(&query).await?;
    let looked_to = found.looked_to.filter(|_| found.events.len() <= limit);
    let events = found.events.into_iter().map(EventView::try_from).collect::<Result<_, _>>()?;
    let mut page = Page::cut(events, limit, |event: &EventView| event.seq.to_string());
    page.next = page.next.or(looked_to.map(|seq| Cursor(seq.to_string())));
    Ok(Json(page))
}

fn seq(cursor: &Cursor) -> Result<u64, Problem> {
    cursor.0.parse().map_err(|_| Problem::BadRequest("the cursor is not one of this list".to_owned()))
}

async fn read(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(event): Path<String>,
    seen: Seen,
) -> Result<Response, Problem> {
    let found = match EventId::parse(&event) {
        Some(id) => api.reader.event(id).await?,
        None => None,
    };
    let site = |found: &StoredEvent| found.site.as_ref().map(SiteId::new);
    let found = found.filter(|found| caller.scope.covers(site(found).as_ref()));
    let found = found.ok_or(Problem::NotFound { what: "event", name: event })?;
    seen.answer(&EventView::try_from(found)?)
}
