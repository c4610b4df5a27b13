//! Events as they are committed, as server-sent events.
//!
//! A stream is a number in the journal that moves on: what comes next is read from there, in order, so a
//! connection that is taken up again with `Last-Event-ID` skips nothing and repeats nothing. A client that
//! reads slowly falls behind in the journal, where its events are kept anyway; one that is cut off goes on later
//! from where it was.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Api;
use super::auth::Caller;
use super::events::{EventView, kinds, sites};
use super::extract::Query;
use super::lists::{EventKind, List};
use super::openapi::EventStream;
use super::problem::Problem;
use super::routes::Operation;
use super::sse::{Client, HEARTBEAT};
use crate::domain::commands::Refused;
use crate::domain::ids::SiteId;
use crate::journal::{EventQuery, FoundEvents};

/// Between two looks into the journal: a commit may follow another within milliseconds.
const PACE: Duration = Duration::from_millis(50);
/// Events in a chunk, at most.
const CHUNK_EVENTS: usize = 64;
/// What a client is asked to wait before it connects anew, in milliseconds.
const RETRY_MS: u64 = 2000;

pub(super) fn operations() -> Vec<Operation> {
    let summary =
        "What happens, as it is committed. It begins behind `Last-Event-ID`, else behind `after`, else now";
    vec![
        Operation::get("/events/stream", "streamEvents", summary, stream)
            .query::<StreamFilter>()
            .header("Last-Event-ID", "The `id` of the last event that was taken in.", r"^\d{1,18}$")
            .problem(409)
            .answers_as::<EventStream>(StatusCode::OK, "The stream.", "text/event-stream", Value::Null),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamFilter {
    /// Whom it is about, for instance `asset:FL-07`.
    subject: Option<String>,
    /// One of these, separated by commas. Measurements (`fix`, `sample`, `tag-read`) have to be named.
    kind: Option<List<EventKind>>,
    site: Option<SiteId>,
    /// Only what has a higher number; 0: from the beginning.
    after: Option<u64>,
}

async fn stream(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(filter): Query<StreamFilter>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let newest = *api.committed.borrow();
    let at = last_event_id(&headers)?.or(filter.after).unwrap_or(newest);
    if at > newest {
        return Err(Problem::Conflict(format!(
            "the journal's newest event is {newest}: it is not the one that {at} was read from; begin anew"
        )));
    }
    let elsewhere = || Refused::Forbidden { reason: "this token is for other sites".to_owned() };
    let sites = sites(&caller.scope, filter.site.as_ref()).ok_or_else(elsewhere)?;
    let query = EventQuery {
        subject: filter.subject,
        kinds: kinds(filter.kind),
        sites,
        limit: CHUNK_EVENTS,
        ..EventQuery::default()
    };
    let (client, response) = Client::connect(api, caller)?;
    // A task of its own: a client that goes away cuts off no read of the journal half-way.
    tokio::spawn(Feed { client, query, at }.run());
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = || Problem::BadRequest("Last-Event-ID is the number of an event".to_owned());
    number.map(Some).ok_or_else(wrong)
}

/// One client's stream.
struct Feed {
    client: Client,
    query: EventQuery,
    /// Everything up to here was told, or is not wanted.
    at: u64,
}

impl Feed {
    /// Runs until the client has gone, its token has ended, or we stop.
    async fn run(mut self) {
        let mut committed = self.client.api.committed.clone();
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if !self.client.send(format!("retry: {RETRY_MS}\n\n")).await {
            return;
        }
        loop {
            let until = *committed.borrow_and_update();
            if !self.tell(until).await {
                break;
            }
            tokio::select! {
                changed = committed.changed() => if changed.is_err() { break },
                _ = beat.tick() => if !self.beat().await { break },
                () = self.client.ended() => break,
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Tells what there is up to `until`; false when the stream is to end.
    async fn tell(&mut self, until: u64) -> bool {
        while self.at < until {
            let found = match self.client.api.reader.following_events(&self.query, self.at, until).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(%error, "a stream of events ends: the journal could not be read");
                    return false;
                }
            };
            self.at = found.looked_to.unwrap_or(until);
            let text = match text(found) {
                Ok(text) => text,
                Err(error) => {
                    tracing::warn!(%error, "a stream of events ends: an event could not be read");
                    return false;
                }
            };
            if !text.is_empty() && !self.client.send(text).await {
                return false;
            }
        }
        true
    }

    /// A sign of life, with the number up to which there was nothing more for this client: an id without data is
    /// remembered by the client and tells it nothing else.
    async fn beat(&self) -> bool {
        self.client.send(format!(": alive\nid: {}\n\n", self.at)).await
    }
}

/// As the HTML standard's "Server-sent events" has them. JSON on one line holds no newline.
fn text(found: FoundEvents) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for event in found.events {
        let view = EventView::try_from(event)?;
        let data = serde_json::to_string(&view)?;
        // Writing to a String does not fail.
        write!(text, "id: {}\ndata: {data}\n\n", view.seq).map_err(serde::ser::Error::custom)?;
    }
    Ok(text)
}
