//! Who had it last: of each asset on the register that anybody had since it is there.

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
use super::super::page::{Cursor, Limit, Page, look};
use super::super::problem::Problem;
use super::super::routes::Operation;
use super::super::sites::Sites;
use super::{Remembered, asset_of};
use crate::domain::events::EventBody;
use crate::domain::ids::{AssetId, ClassId, SiteId};
use crate::domain::state::AssetCurrent;
use crate::domain::time::Timestamp;
use crate::journal::StateRows;

/// Assets in one page: each that is in takes a look at its newest return.
const HOLDERS: u32 = 100;

pub(super) fn operation() -> Operation {
    let example = json!({ "items": [{ "asset": "FL-07", "class": "forklift", "holder": "night shift",
        "since": "2026-04-30T18:00:00Z", "returned_at": "2026-05-01T06:00:00Z", "how": "command" }] });
    let summary = "Who had it last: of each asset on the register that anybody had since it is there";
    Operation::get("/answers/last-holders", "answerLastHolders", summary, last_holders)
        .query::<Wanted>()
        .answers::<Page<LastHolder>>(StatusCode::OK, "A page of answers.", example)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Where it is, else where it is at home.
    site: Option<SiteId>,
    class: Option<ClassId>,
    cursor: Option<Cursor>,
    limit: Option<Limit>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct LastHolder {
    asset: AssetId,
    class: ClassId,
    holder: String,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_back: Option<Timestamp>,
    /// Absent while it is out.
    #[serde(skip_serializing_if = "Option::is_none")]
    returned_at: Option<Timestamp>,
    /// What said that it came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<String>,
}

async fn last_holders(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<LastHolder>>, Problem> {
    let sites = Sites::load(&api).await?;
    let limit = Some(Limit::at_most(wanted.limit, HOLDERS));
    let page = look(&api, StateRows::Assets, wanted.cursor.clone(), limit, |_, value, record| {
        let current: AssetCurrent = serde_json::from_slice(value)?;
        let memory: Remembered = serde_json::from_slice(value)?;
        // What went from the register has no answer, here as in SQL, nor has what got its id: its history says who
        // had it.
        let Some(asset) = asset_of(record)? else { return Ok(None) };
        let had = current.checkout.is_some() || memory.memory.custody_acts > 0;
        if !had || !sites.show_asset(&caller.scope, Some(&current), Some(&asset)) {
            return Ok(None);
        }
        let site = sites.of_asset(Some(&current), Some(&asset));
        let class = asset.class.clone();
        let same = wanted.class.as_ref().is_none_or(|wanted| *wanted == class);
        let there = wanted.site.is_none() || wanted.site.as_ref() == site;
        Ok((same && there).then_some((current, class)))
    });
    let Page { items, next } = page.await?;
    let mut holders = Vec::with_capacity(items.len());
    for (current, class) in items {
        let asset = current.asset.clone();
        match current.checkout {
            Some(held) => holders.push(LastHolder {
                asset,
                class,
                holder: held.holder,
                since: held.checked_out_at,
                due_back: held.due_back,
                returned_at: None,
                how: None,
            }),
            None => holders.extend(returned(&api, asset, class).await?),
        }
    }
    Ok(Json(Page { items: holders, next }))
}

/// By its newest return; `None` where the journal no longer has it.
async fn returned(api: &Api, asset: AssetId, class: ClassId) -> Result<Option<LastHolder>, Problem> {
    let Some(event) = api.reader.newest_check_in(&format!("asset:{asset}")).await? else { return Ok(None) };
    let EventBody::CheckedIn { checkout, how } = serde_json::from_str(&event.body)? else { return Ok(None) };
    let (holder, since, due_back) = (checkout.holder, checkout.checked_out_at, checkout.due_back);
    let returned_at = Some(event.observed_at);
    Ok(Some(LastHolder { asset, class, holder, since, due_back, returned_at, how: Some(how) }))
}
