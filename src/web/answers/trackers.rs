//! Trackers that the register and the air do not agree on: on an asset and never heard, or heard and on no asset. Most are
//! one device whose id was misspelt in one of the two places.

use std::collections::BTreeSet;
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
use super::{LOOK_ROWS, WINDOW, asset_of};
use crate::domain::ids::{AssetId, ClassId, DeviceId, SiteId};
use crate::domain::register::{Asset, Record};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::{FoundRow, StateRows};

/// Where cleaning and tracking note that a tracker was heard, by device.
const HEARD: [StateKind; 2] = [StateKind::Tracker, StateKind::TrackerHeard];

pub(super) fn operation() -> Operation {
    let example = json!({ "at": "2026-05-01T06:00:00Z", "complete": true,
        "items": [{ "device": "356307042441013", "asset": "TR-07", "class": "truck", "site": "hamburg" }],
        "on_no_asset": ["356307042441031"] });
    let summary = "Trackers on an asset that were never heard, and such as are heard and on no asset";
    Operation::get("/answers/unmatched-trackers", "answerUnmatchedTrackers", summary, unmatched)
        .query::<Filter>()
        .answers::<Unmatched>(StatusCode::OK, "The answer.", example)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Where its asset is at home.
    site: Option<SiteId>,
    class: Option<ClassId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Unmatched {
    at: Timestamp,
    /// Whether all trackers were looked at.
    complete: bool,
    /// On an asset that should be somewhere, and never heard.
    items: Vec<Unheard>,
    /// Heard, and now on no asset; none of them where one site or class is asked for, or may be seen.
    on_no_asset: Vec<DeviceId>,
}

#[derive(Serialize, JsonSchema)]
struct Unheard {
    device: DeviceId,
    asset: AssetId,
    class: ClassId,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<SiteId>,
}

async fn unmatched(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Unmatched>, Problem> {
    let at = api.clock.now();
    let sites = Sites::load(&api).await?;
    let _turn = api.scans.acquire().await.map_err(|_| Problem::Stopping)?;
    let mut heard: BTreeSet<DeviceId> = BTreeSet::new();
    let mut complete = true;
    for kind in HEARD {
        let rows = StateRows::Of { kind, prefix: "" };
        complete &= each(&api, rows, |row| {
            heard.insert(DeviceId::new(&row.key));
            Ok(())
        })
        .await?;
    }
    let (mut items, mut attached) = (Vec::new(), BTreeSet::new());
    complete &= each(&api, StateRows::Register { prefix: "tracker/" }, |row| {
        let Record::Tracker(tracker) = serde_json::from_slice(&row.value)? else { return Ok(()) };
        if !tracker.holds_at(at) {
            return Ok(());
        }
        attached.insert(tracker.key.clone());
        let asset = asset_of(row.record.as_deref())?.filter(Asset::is_expected);
        let Some(asset) = asset.filter(|_| !heard.contains(&tracker.key)) else { return Ok(()) };
        let site = sites.home(Some(&asset)).cloned();
        let wanted = filter.site.is_none() || filter.site == site;
        if wanted
            && filter.class.as_ref().is_none_or(|class| *class == asset.class)
            && caller.scope.covers(site.as_ref())
        {
            items.push(Unheard { device: tracker.key, asset: asset.id, class: asset.class, site });
        }
        Ok(())
    })
    .await?;
    let all = caller.scope.is_everywhere() && filter.site.is_none() && filter.class.is_none();
    let on_no_asset = heard.into_iter().filter(|device| all && !attached.contains(device)).collect();
    Ok(Json(Unmatched { at, complete, items, on_no_asset }))
}

/// Shows every row; whether that were all.
async fn each(
    api: &Api,
    rows: StateRows<'_>,
    mut show: impl FnMut(FoundRow) -> Result<(), Problem> + Send,
) -> Result<bool, Problem> {
    let mut after: Option<String> = None;
    for _ in 0..LOOK_ROWS / WINDOW {
        let window = api.reader.state_rows(rows, after.as_deref(), WINDOW).await?;
        let is_last = window.len() < WINDOW;
        after = window.last().map(|row| row.key.clone());
        window.into_iter().try_for_each(&mut show)?;
        if is_last {
            return Ok(true);
        }
    }
    Ok(false)
}
