//! Custody over a span of time: who brings things back late, again and again, and which places check out and do
//! not return. What an asset was handed over counts for who took it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::Api;
use super::super::auth::Caller;
use super::super::extract::Query;
use super::super::problem::Problem;
use super::super::routes::Operation;
use super::super::sites::Sites;
use super::asset_of;
use super::walk::{Since, Span, walk};
use crate::domain::alerts::{AlertTransition, Rule};
use crate::domain::events::EventBody;
use crate::domain::ids::{AssetId, SiteId, ZoneId};
use crate::domain::register::Asset;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;

/// How far back is looked where nothing is said.
const SPAN: Duration = Duration::from_secs(90 * 86_400);
/// Fewer incidents are nobody's habit.
const REPEATED: u64 = 2;
/// Records asked for by one statement.
const RECORDS: usize = 500;

pub(super) fn operations() -> Vec<Operation> {
    let answer = |items: Value| json!({ "since": "2026-02-01T00:00:00Z", "complete": true, "items": items });
    let offenders =
        answer(json!([{ "holder": "night shift", "checkouts": 8, "overdue": 3, "overdue_share": 0.375 }]));
    let unreturned =
        answer(json!([{ "site": "hamburg", "home_zone": "crib", "checkouts": 40, "returned": 36,
        "still_out": 4, "past_due": 2, "unreturned_share": 0.1 }]));
    vec![
        Operation::get(
            "/answers/repeat-offenders",
            "answerRepeatOffenders",
            "Holders with two or more overdue returns, the worst first",
            repeat_offenders,
        )
        .query::<Span>()
        .answers::<Since<Offender>>(StatusCode::OK, "The answer.", offenders),
        Operation::get(
            "/answers/unreturned",
            "answerUnreturned",
            "Places that check out and do not return: by the home zone of what was taken",
            unreturned_places,
        )
        .query::<Span>()
        .answers::<Since<Unreturned>>(StatusCode::OK, "The answer.", unreturned),
    ]
}

#[derive(Serialize, JsonSchema)]
struct Offender {
    holder: String,
    /// What they checked out, and what was handed over to them.
    checkouts: u64,
    overdue: u64,
    overdue_share: f64,
}

#[derive(Serialize, JsonSchema)]
struct Unreturned {
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<SiteId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    home_zone: Option<ZoneId>,
    checkouts: u64,
    returned: u64,
    still_out: u64,
    past_due: u64,
    unreturned_share: f64,
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

async fn repeat_offenders(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(span): Query<Span>,
) -> Result<Json<Since<Offender>>, Problem> {
    let since = span.since(&api, SPAN);
    // Of each holder what they had, and how much of it was overdue; of each asset that is out who has it, until it
    // was overdue with them once.
    let mut holders: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut with: BTreeMap<String, String> = BTreeMap::new();
    // Who is late with an asset, since when: it may be told later that it was back before.
    let mut late: BTreeMap<String, (String, Timestamp)> = BTreeMap::new();
    let kinds = ["checked-out", "handed-over", "checked-in", "alert"];
    let complete = walk(&api, &caller, span.site.as_ref(), &kinds, since, |event, body| match body {
        EventBody::CheckedOut(checkout) | EventBody::HandedOver { checkout, .. } => {
            with.remove(checkout.asset.as_str());
            late.remove(checkout.asset.as_str());
            if event.observed_at >= since {
                holders.entry(checkout.holder.clone()).or_default().0 += 1;
                with.insert(checkout.asset.to_string(), checkout.holder);
            }
        }
        EventBody::CheckedIn { checkout, .. } => {
            with.remove(checkout.asset.as_str());
            if let Some((holder, since)) = late.remove(checkout.asset.as_str())
                && event.observed_at <= since
                && let Some((_, overdue)) = holders.get_mut(&holder)
            {
                *overdue -= 1;
            }
        }
        EventBody::Alert { transition: AlertTransition::Fired, alert }
            if alert.key.rule == Rule::OverdueReturn =>
        {
            if let Some(holder) = with.remove(&alert.key.subject) {
                holders.entry(holder.clone()).or_default().1 += 1;
                late.insert(alert.key.subject, (holder, event.observed_at));
            }
        }
        _ => {}
    });
    let complete = complete.await?;
    let repeated = holders.into_iter().filter(|(_, (_, overdue))| *overdue >= REPEATED);
    let mut items: Vec<Offender> = repeated
        .map(|(holder, (checkouts, overdue))| {
            let overdue_share = share(overdue, checkouts);
            Offender { holder, checkouts, overdue, overdue_share }
        })
        .collect();
    items.sort_by(|a, b| b.overdue.cmp(&a.overdue).then(b.overdue_share.total_cmp(&a.overdue_share)));
    Ok(Json(Since { since, complete, items }))
}

/// Checkouts of one asset.
#[derive(Default)]
struct Taken {
    checkouts: u64,
    returned: u64,
    /// Until when it is out, while it is.
    out: Option<Option<Timestamp>>,
}

impl Taken {
    fn note(&mut self, body: &EventBody) {
        match body {
            EventBody::CheckedOut(checkout) => {
                self.checkouts += 1;
                self.out = Some(checkout.due_back);
            }
            // The same checkout goes on with somebody else.
            EventBody::HandedOver { checkout, .. } if self.out.is_some() => {
                self.out = Some(checkout.due_back);
            }
            EventBody::CheckedIn { .. } => self.returned += u64::from(self.out.take().is_some()),
            _ => {}
        }
    }
}

async fn unreturned_places(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(span): Query<Span>,
) -> Result<Json<Since<Unreturned>>, Problem> {
    let (since, now) = (span.since(&api, SPAN), api.clock.now());
    let mut assets: BTreeMap<AssetId, Taken> = BTreeMap::new();
    let kinds = ["checked-out", "handed-over", "checked-in"];
    let complete = walk(&api, &caller, span.site.as_ref(), &kinds, since, |event, body| {
        let asset = match &body {
            EventBody::CheckedOut(_) if event.observed_at < since => return,
            EventBody::CheckedOut(checkout)
            | EventBody::HandedOver { checkout, .. }
            | EventBody::CheckedIn { checkout, .. } => checkout.asset.clone(),
            _ => return,
        };
        assets.entry(asset).or_default().note(&body);
    });
    let complete = complete.await?;
    assets.retain(|_, taken| taken.checkouts > 0);
    let places = by_place(&api, assets, now).await?;
    let mut items: Vec<Unreturned> = places.into_values().collect();
    items.sort_by(|a, b| b.unreturned_share.total_cmp(&a.unreturned_share));
    Ok(Json(Since { since, complete, items }))
}

type Places = BTreeMap<(Option<SiteId>, Option<ZoneId>), Unreturned>;

async fn by_place(api: &Api, assets: BTreeMap<AssetId, Taken>, now: Timestamp) -> Result<Places, Problem> {
    let sites = Sites::load(api).await?;
    let _turn = api.scans.acquire().await.map_err(|_| Problem::Stopping)?;
    let assets: Vec<(AssetId, Taken)> = assets.into_iter().collect();
    let mut places = Places::new();
    for some in assets.chunks(RECORDS) {
        let keys: Vec<String> = some.iter().map(|(asset, _)| format!("asset/{asset}")).collect();
        let mut records: BTreeMap<AssetId, Asset> = BTreeMap::new();
        for (_, row) in api.reader.states_of(StateKind::Register, &keys).await? {
            records.extend(asset_of(Some(&row))?.map(|asset| (asset.id.clone(), asset)));
        }
        for (asset, taken) in some {
            add(&mut places, &sites, records.get(asset), taken, now);
        }
    }
    Ok(places)
}

fn add(places: &mut Places, sites: &Sites, asset: Option<&Asset>, taken: &Taken, now: Timestamp) {
    let (site, home_zone) = (sites.home(asset).cloned(), asset.and_then(|asset| asset.home_zone.clone()));
    let place = places.entry((site.clone(), home_zone.clone())).or_insert(Unreturned {
        site,
        home_zone,
        checkouts: 0,
        returned: 0,
        still_out: 0,
        past_due: 0,
        unreturned_share: 0.0,
    });
    place.checkouts += taken.checkouts;
    place.returned += taken.returned;
    place.still_out += taken.checkouts.saturating_sub(taken.returned);
    place.past_due += u64::from(taken.out.flatten().is_some_and(|due| due < now));
    place.unreturned_share = share(place.still_out, place.checkouts);
}
