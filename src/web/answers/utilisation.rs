//! Utilised and idle assets, by class and home site.
//!
//! What use is, each class says; tracking notes of each asset when it was last used so (`track/idle.rs`), and
//! that is all that has to be looked at, however far back is asked. TimescaleDB's view counts the events of the
//! same notes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
use super::{Expected, Wanted, classes, expected};
use crate::domain::ids::{ClassId, SiteId};
use crate::domain::register::Utilisation;
use crate::domain::time::Timestamp;

/// How far back use counts where nothing is said.
const SPAN: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn operation() -> Operation {
    let example = json!({ "since": "2026-04-01T00:00:00Z", "complete": true, "groups": [{ "class": "forklift",
        "site": "hamburg", "assets": 12, "utilised": 9, "idle": 3, "utilised_share": 0.75 }] });
    let summary = "Utilised and idle assets, by class and home site, as each class says what use is";
    Operation::get("/answers/utilisation", "answerUtilisation", summary, utilisation)
        .query::<Span>()
        .answers::<InUse>(StatusCode::OK, "The answer.", example)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    /// Where it is at home.
    site: Option<SiteId>,
    class: Option<ClassId>,
    /// Use counts from then on; not set: 30 days ago.
    since: Option<Timestamp>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct InUse {
    since: Timestamp,
    /// Whether all assets were looked at.
    complete: bool,
    groups: Vec<Group>,
}

/// Assets of one class that are at home in one site, and that should be somewhere.
#[derive(Serialize, JsonSchema)]
struct Group {
    class: ClassId,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<SiteId>,
    assets: u64,
    utilised: u64,
    idle: u64,
    utilised_share: f64,
}

async fn utilisation(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(span): Query<Span>,
) -> Result<Json<InUse>, Problem> {
    let since = span.since.unwrap_or_else(|| api.clock.now() - SPAN);
    let classes = classes(&api).await?;
    let mut groups: BTreeMap<(ClassId, Option<SiteId>), (u64, u64)> = BTreeMap::new();
    let wanted = Wanted { site: span.site.as_ref(), class: span.class.as_ref() };
    let complete = expected(&api, &caller, wanted, |found| {
        let signal = classes.get(&found.class).map_or(&Utilisation::Movement, |class| &class.utilisation);
        let used = used_since(&found, signal, since);
        let (assets, utilised) = groups.entry((found.class, found.site)).or_default();
        *assets += 1;
        *utilised += u64::from(used);
    });
    let complete = complete.await?;
    let groups = groups.into_iter().map(|((class, site), (assets, utilised))| {
        let (idle, utilised_share) = (assets - utilised, utilised as f64 / assets as f64);
        Group { class, site, assets, utilised, idle, utilised_share }
    });
    Ok(Json(InUse { since, complete, groups: groups.collect() }))
}

fn used_since(found: &Expected, signal: &Utilisation, since: Timestamp) -> bool {
    let noted = match signal {
        Utilisation::Custody if found.current.checkout.is_some() => return true,
        Utilisation::Custody => found.memory.returned_at,
        Utilisation::Movement | Utilisation::Sensor(_) => found.memory.used_at,
    };
    noted.is_some_and(|at| at >= since)
}
