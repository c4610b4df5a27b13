//! Assets: where they are, who has them, and everything behind it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Api;
use super::auth::Caller;
use super::etag::Seen;
use super::explain::{self, Explanation};
use super::extract::{Path, Query};
use super::lists::List;
use super::page::{Cursor, Limit, Page, look};
use super::problem::Problem;
use super::routes::Operation;
use super::sites::Sites;
use crate::domain::ids::{AssetId, ClassId, SiteId, ZoneId};
use crate::domain::readiness::Unready;
use crate::domain::register::{Asset, Record};
use crate::domain::state::{AssetCurrent, Location};
use crate::journal::StateRows;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get(
            "/assets",
            "listAssets",
            "Assets with where they are and who has them, by number",
            list,
        )
        .query::<AssetFilter>()
        .answers::<Page<AssetView>>(
            StatusCode::OK,
            "A page of assets.",
            json!({ "items": [example()] }),
        ),
        Operation::get(
            "/assets/{asset}",
            "explainAsset",
            "Everything behind what is said of one asset",
            explain,
        )
        .tagged()
        .answers::<Explanation>(StatusCode::OK, "The explanation.", Value::Null),
    ]
}

fn example() -> Value {
    json!({
        "asset": "FL-07", "location": { "zone": "hall" }, "since": "2026-05-01T06:00:00Z", "last_sensed": null,
        "reason": "passed in through dock-1-door", "confidence": 0.98, "checkout": null, "site": "hamburg",
        "register": { "id": "FL-07", "class": "forklift", "home_zone": "hall" },
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AssetFilter {
    /// Where it is, else where it is at home.
    site: Option<SiteId>,
    /// Where it is.
    zone: Option<ZoneId>,
    /// What it is in: a vehicle.
    vehicle: Option<AssetId>,
    class: Option<ClassId>,
    /// Who has it.
    holder: Option<String>,
    /// One of these, separated by commas.
    state: Option<List<AssetStanding>>,
    /// Whether it may go out.
    ready: Option<bool>,
    /// Not ready for one of these reasons, separated by commas.
    reason: Option<List<Reason>>,
    cursor: Option<Cursor>,
    limit: Option<Limit>,
}

/// How an asset stands; it may stand in several of these ways.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum AssetStanding {
    CheckedOut,
    CheckedIn,
    Ghost,
    Retired,
    /// Nobody knows where it is.
    Unknown,
}

/// Why it may not go out.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Reason {
    Ordered,
    Retired,
    InMaintenance,
    Quarantined,
    AwaitingInspection,
    InspectionDue,
    ConditionAlarm,
    BatteryLow,
    KitMisses,
    KitPart,
}

impl Reason {
    fn of(unready: &Unready) -> Self {
        match unready {
            Unready::Ordered => Self::Ordered,
            Unready::Retired => Self::Retired,
            Unready::InMaintenance { .. } => Self::InMaintenance,
            Unready::Quarantined { .. } => Self::Quarantined,
            Unready::AwaitingInspection { .. } => Self::AwaitingInspection,
            Unready::InspectionDue { .. } => Self::InspectionDue,
            Unready::ConditionAlarm { .. } => Self::ConditionAlarm,
            Unready::BatteryLow { .. } => Self::BatteryLow,
            Unready::KitMisses { .. } => Self::KitMisses,
            Unready::KitPart { .. } => Self::KitPart,
        }
    }
}

/// The current answer for an asset, beside what the register has of it.
#[derive(Serialize, JsonSchema)]
pub(super) struct AssetView {
    #[serde(flatten)]
    current: AssetCurrent,
    /// Where it is, else where it is at home.
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<SiteId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    register: Option<Asset>,
}

impl AssetView {
    fn stands(&self, standing: AssetStanding) -> bool {
        match standing {
            AssetStanding::CheckedOut => self.current.checkout.is_some(),
            AssetStanding::CheckedIn => self.current.checkout.is_none(),
            AssetStanding::Ghost => self.current.ghost_since.is_some(),
            AssetStanding::Retired => self.register.as_ref().is_some_and(Asset::is_retired),
            AssetStanding::Unknown => matches!(self.current.location, Location::Unknown),
        }
    }
}

impl AssetFilter {
    fn lets(&self, view: &AssetView) -> bool {
        let same = |wanted: Option<&str>, is: Option<&str>| wanted.is_none() || wanted == is;
        let zone = match &view.current.location {
            Location::Zone(zone) => Some(zone.as_str()),
            _ => None,
        };
        let vehicle = match &view.current.location {
            Location::In(vehicle) => Some(vehicle.as_str()),
            _ => None,
        };
        let holder = view.current.checkout.as_ref().map(|checkout| checkout.holder.as_str());
        let class = view.register.as_ref().map(|asset| asset.class.as_str());
        same(self.site.as_ref().map(SiteId::as_str), view.site.as_ref().map(SiteId::as_str))
            && same(self.zone.as_ref().map(ZoneId::as_str), zone)
            && same(self.vehicle.as_ref().map(AssetId::as_str), vehicle)
            && same(self.class.as_ref().map(ClassId::as_str), class)
            && same(self.holder.as_deref(), holder)
            && self.ready.is_none_or(|ready| ready == view.current.ready)
            && self.reason.as_ref().is_none_or(|list| {
                view.current.not_ready.iter().any(|unready| list.words().contains(&Reason::of(unready)))
            })
            && self.state.as_ref().is_none_or(|list| list.words().iter().any(|word| view.stands(*word)))
    }
}

async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(filter): Query<AssetFilter>,
) -> Result<Json<Page<AssetView>>, Problem> {
    let sites = Sites::load(&api).await?;
    let page = look(&api, StateRows::Assets, filter.cursor.clone(), filter.limit, |_, value, record| {
        let current: AssetCurrent = serde_json::from_slice(value)?;
        let register = match record.map(serde_json::from_slice).transpose()? {
            Some(Record::Asset(asset)) => Some(asset),
            _ => None,
        };
        if !sites.show_asset(&caller.scope, Some(&current), register.as_ref()) {
            return Ok(None);
        }
        let site = sites.of_asset(Some(&current), register.as_ref()).cloned();
        let view = AssetView { current, site, register };
        Ok(filter.lets(&view).then_some(view))
    });
    page.await.map(Json)
}

async fn explain(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(asset): Path<String>,
    seen: Seen,
) -> Result<Response, Problem> {
    let found = explain::explain(&api.reader, &api.rules, &asset, &caller.scope, api.clock.now()).await?;
    let sites = if caller.scope.is_everywhere() { None } else { Some(Sites::load(&api).await?) };
    let found = found.filter(|found| {
        let shows =
            |sites: &Sites| sites.show_asset(&caller.scope, found.current.as_ref(), Some(&found.asset));
        sites.as_ref().is_none_or(shows)
    });
    seen.answer(&found.ok_or(Problem::NotFound { what: "asset", name: asset })?)
}
