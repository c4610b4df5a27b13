//! A walk through what happened, for answers over a span of time: from where the span begins, through the events
//! of a few kinds, in windows, on the turns of long looks.
//!
//! It looks through no more than [`LOOK_EVENTS`] events, whatever they are; an answer that stopped there says so
//! in `complete`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Api;
use super::super::auth::Caller;
use super::super::problem::Problem;
use crate::domain::events::EventBody;
use crate::domain::ids::SiteId;
use crate::domain::time::Timestamp;
use crate::journal::{EventQuery, StoredEvent};

/// Events looked through in one answer, at most: those that last, so no fixes, samples or reads.
const LOOK_EVENTS: u64 = 2_000_000;
/// Events taken over at once.
const WINDOW: usize = 5_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    pub site: Option<SiteId>,
    /// What began then or later; not set: 90 days ago, and 30 days ago for the response to alerts.
    since: Option<Timestamp>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Since<T> {
    pub since: Timestamp,
    /// Whether all events since then were looked at.
    pub complete: bool,
    pub items: Vec<T>,
}

impl Span {
    pub fn since(&self, api: &Api, otherwise: Duration) -> Timestamp {
        self.since.unwrap_or_else(|| api.clock.now() - otherwise)
    }
}

/// Shows every event of these kinds recorded since then that the caller may see, in order; gives whether that were
/// all. What was observed before is among them: an overdue return is observed when it fell due, also where the
/// checkout was imported long after.
pub(super) async fn walk(
    api: &Api,
    caller: &Caller,
    site: Option<&SiteId>,
    kinds: &[&str],
    since: Timestamp,
    mut each: impl FnMut(&StoredEvent, EventBody) + Send,
) -> Result<bool, Problem> {
    let _turn = api.scans.acquire().await.map_err(|_| Problem::Stopping)?;
    let query = EventQuery {
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        sites: site.iter().map(ToString::to_string).collect(),
        limit: WINDOW,
        ..EventQuery::default()
    };
    let until = *api.committed.borrow();
    let mut after = api.reader.before_observed(since, until).await?;
    let mut looked = 0;
    while after < until && looked < LOOK_EVENTS {
        let found = api.reader.following_events(&query, after, until).await?;
        for event in &found.events {
            let site = event.site.as_ref().map(SiteId::new);
            // What another version wrote and this one does not read answers nothing.
            if let (true, Ok(body)) = (caller.scope.covers(site.as_ref()), serde_json::from_str(&event.body))
            {
                each(event, body);
            }
        }
        looked += found.looked;
        after = found.looked_to.unwrap_or(until);
    }
    Ok(after >= until)
}
