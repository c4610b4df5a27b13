//! Events as they are committed, as server-sent events.
//!
//! A stream is a number in the journal that moves on: what comes next is read from there, in order, so a
//! connection that is taken up again with `Last-Event-ID` skips nothing and repeats nothing. A client that
//! reads slowly falls behind in the journal, where its events are kept anyway; of it we hold
//! [`CHUNKS`] chunks, and one that takes none for [`SLOW`] is cut off, to go on later from where it was.

use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::Api;
use super::auth::Caller;
use super::events::{EventView, kinds, sites};
use super::extract::Query;
use super::lists::{EventKind, List};
use super::openapi::EventStream;
use super::problem::Problem;
use super::routes::Operation;
use crate::domain::commands::Refused;
use crate::domain::ids::SiteId;
use crate::journal::{EventQuery, FoundEvents};

/// A sign of life, with the number up to which there was nothing more for this client.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Between two looks into the journal: a commit may follow another within milliseconds.
const PACE: Duration = Duration::from_millis(50);
/// Chunks on their way to a client, beside what its connection holds. When full, its stream waits.
const CHUNKS: usize = 4;
/// Events in a chunk, at most.
const CHUNK_EVENTS: usize = 64;
/// How long a stream waits for its client.
const SLOW: Duration = Duration::from_secs(60);
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
    let turn = api.streams.clone().try_acquire_owned().map_err(|_| Problem::NoStreamLeft)?;
    let (chunks, body) = mpsc::channel(CHUNKS);
    // A task of its own: a client that goes away cuts off no read of the journal half-way.
    tokio::spawn(Feed { api, caller, query, at, chunks }.run(turn));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(Chunks(body))).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = || Problem::BadRequest("Last-Event-ID is the number of an event".to_owned());
    number.map(Some).ok_or_else(wrong)
}

/// One client's stream.
struct Feed {
    api: Arc<Api>,
    caller: Caller,
    query: EventQuery,
    /// Everything up to here was told, or is not wanted.
    at: u64,
    chunks: mpsc::Sender<Bytes>,
}

impl Feed {
    /// Runs until the client has gone, its token has ended, or we stop.
    async fn run(mut self, turn: OwnedSemaphorePermit) {
        let mut committed = self.api.committed.clone();
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if !self.send(format!("retry: {RETRY_MS}\n\n")).await {
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
                () = self.api.stopping.cancelled() => break,
                () = self.chunks.closed() => break,
            }
            tokio::time::sleep(PACE).await;
        }
        drop(turn);
    }

    /// Tells what there is up to `until`; false when the stream is to end.
    async fn tell(&mut self, until: u64) -> bool {
        while self.at < until {
            let found = match self.api.reader.following_events(&self.query, self.at, until).await {
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
            if !text.is_empty() && !self.send(text).await {
                return false;
            }
        }
        true
    }

    /// An id without data is remembered by the client and tells it nothing else.
    async fn beat(&self) -> bool {
        self.send(format!(": alive\nid: {}\n\n", self.at)).await
    }

    async fn send(&self, text: String) -> bool {
        if !self.caller.is_still_let_in(&self.api.config.tokens, self.api.clock.now()) {
            return false;
        }
        tokio::select! {
            sent = self.chunks.send(Bytes::from(text)) => sent.is_ok(),
            () = tokio::time::sleep(SLOW) => false,
            () = self.api.stopping.cancelled() => false,
        }
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

/// The body of the answer: chunks as they come.
struct Chunks(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
