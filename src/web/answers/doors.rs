//! Which vehicle stands at which door, and stood there lately.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::Api;
use super::super::auth::Caller;
use super::super::doors::{self, Door};
use super::super::extract::Query;
use super::super::problem::Problem;
use super::super::routes::Operation;
use super::super::sites::Sites;
use crate::domain::ids::{AssetId, SiteId};
use crate::domain::time::Timestamp;

pub(super) fn operation() -> Operation {
    let example = json!({ "at": "2026-05-01T06:00:00Z", "items": [{ "door": "hall-door-3", "site": "hamburg", "bay": "bay-3",
        "standing": [{ "vehicle": "TR-07", "since": "2026-05-01T05:40:00Z", "said": false }],
        "lately": [{ "vehicle": "TR-02", "since": "2026-05-01T03:10:00Z", "until": "2026-05-01T04:02:00Z", "said": false }] }] });
    let summary = "Which vehicle stands at which door, since when, and who stood there before";
    Operation::get("/answers/doors", "answerDoors", summary, at_doors).query::<Filter>().answers::<AtDoors>(
        StatusCode::OK,
        "The answer.",
        example,
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    site: Option<SiteId>,
    /// Only doors at which this one stands, or stood lately.
    vehicle: Option<AssetId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AtDoors {
    at: Timestamp,
    /// Doors with a bay, and those at which a vehicle stood, by name.
    items: Vec<AtSite>,
}

#[derive(Serialize, JsonSchema)]
struct AtSite {
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<SiteId>,
    #[serde(flatten)]
    door: Door,
}

async fn at_doors(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<AtDoors>, Problem> {
    let at = api.clock.now();
    let sites = Sites::load(&api).await?;
    let mut items = Vec::new();
    for door in doors::doors(&api.reader, &api.rules).await? {
        let site = sites.of_read_point(&api.rules, &door.door);
        let stood = |vehicle| door.standing.iter().chain(&door.lately).any(|stay| stay.vehicle == vehicle);
        if caller.scope.covers(site)
            && filter.site.as_ref().is_none_or(|wanted| Some(wanted) == site)
            && filter.vehicle.as_ref().is_none_or(|vehicle| stood(vehicle.clone()))
        {
            items.push(AtSite { site: site.cloned(), door });
        }
    }
    Ok(Json(AtDoors { at, items }))
}
