//! Answers about assets over time: who had each last, and which are in use.

use std::collections::{BTreeMap, BTreeSet};
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
use super::super::page::{Cursor, Limit, Page, look};
use super::super::problem::Problem;
use super::super::routes::Operation;
use super::super::sites::Sites;
use super::history::walk;
use crate::domain::events::EventBody;
use crate::domain::ids::{AssetId, ClassId, SiteId};
use crate::domain::register::{Asset, AssetClass, Record, Utilisation};
use crate::domain::sightings::PresenceChange;
use crate::domain::state::AssetCurrent;
use crate::domain::time::Timestamp;
use crate::journal::{EventQuery, StateRows};

/// Assets in one page of last holders: each that is in takes a look at its own events.
const HOLDERS: u32 = 100;
/// Assets counted in one answer, and read by one statement.
const LOOK_ROWS: usize = 2_000_000;
const WINDOW: usize = 1000;
/// How far back use counts where nothing is said.
const SPAN: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn operations() -> Vec<Operation> {
    let holders = json!({ "items": [{ "asset": "FL-07", "class": "forklift", "holder": "night shift",
        "since": "2026-04-30T18:00:00Z", "returned_at": "2026-05-01T06:00:00Z", "how": "command" }] });
    let groups = json!({ "since": "2026-04-01T00:00:00Z", "complete": true, "groups": [{ "class": "forklift",
        "site": "hamburg", "assets": 12, "utilised": 9, "idle": 3, "unknown": 0, "utilised_share": 0.75 }] });
    vec![
        Operation::get(
            "/answers/last-holders",
            "answerLastHolders",
            "Who had it last: of each asset that anybody ever had",
            last_holders,
        )
        .query::<Wanted>()
        .answers::<Page<LastHolder>>(StatusCode::OK, "A page of answers.", holders),
        Operation::get(
            "/answers/utilisation",
            "answerUtilisation",
            "Utilised and idle assets, by class and home site, as each class says what use is",
            utilisation,
        )
        .query::<Span>()
        .answers::<InUse>(StatusCode::OK, "The answer.", groups),
    ]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<ClassId>,
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
        let asset = asset_of(record)?;
        let had = current.checkout.is_some() || memory.memory.custody_acts > 0;
        if !had || !sites.show_asset(&caller.scope, Some(&current), asset.as_ref()) {
            return Ok(None);
        }
        let class = asset.as_ref().map(|asset| asset.class.clone());
        let site = sites.of_asset(Some(&current), asset.as_ref());
        let same = wanted.class.is_none() || wanted.class == class;
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
async fn returned(api: &Api, asset: AssetId, class: Option<ClassId>) -> Result<Option<LastHolder>, Problem> {
    let query = EventQuery {
        subject: Some(format!("asset:{asset}")),
        kinds: vec!["checked-in".to_owned()],
        limit: 1,
        ..EventQuery::default()
    };
    let Some(event) = api.reader.events(&query).await?.into_iter().next() else { return Ok(None) };
    let EventBody::CheckedIn { checkout, how } = serde_json::from_str(&event.body)? else { return Ok(None) };
    let (holder, since, due_back) = (checkout.holder, checkout.checked_out_at, checkout.due_back);
    let returned_at = Some(event.observed_at);
    Ok(Some(LastHolder { asset, class, holder, since, due_back, returned_at, how: Some(how) }))
}

#[derive(Deserialize)]
struct Remembered {
    #[serde(default)]
    memory: Memory,
}

/// What tracking remembers of an asset, as far as it matters here.
#[derive(Deserialize, Default)]
struct Memory {
    #[serde(default)]
    custody_acts: u64,
    #[serde(default)]
    used_at: Option<Timestamp>,
}

fn asset_of(record: Option<&[u8]>) -> Result<Option<Asset>, Problem> {
    Ok(match record.map(serde_json::from_slice).transpose()? {
        Some(Record::Asset(asset)) => Some(asset),
        _ => None,
    })
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
    /// Whether all assets, and all events since then, were looked at.
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
    /// A sensor tells whether they are in use, and their class has no `idle_after`, so nobody noted it.
    unknown: u64,
    utilised_share: f64,
}

/// Signs of use, by asset.
#[derive(Default)]
struct Signs {
    moved: BTreeSet<String>,
    handed: BTreeSet<String>,
    zones: BTreeMap<String, String>,
}

impl Signs {
    fn note(&mut self, subject: &str, body: &EventBody) {
        let Some(asset) = subject.strip_prefix("asset:") else { return };
        match body {
            EventBody::Passage { .. } | EventBody::Geofence { .. } => {
                self.moved.insert(asset.to_owned());
            }
            EventBody::Presence { change: PresenceChange::Arrived, zone: Some(zone), .. } => {
                let before = self.zones.insert(asset.to_owned(), zone.to_string());
                if before.is_some_and(|before| before != zone.as_str()) {
                    self.moved.insert(asset.to_owned());
                }
            }
            EventBody::CheckedOut(_) | EventBody::HandedOver { .. } | EventBody::CheckedIn { .. } => {
                self.handed.insert(asset.to_owned());
            }
            _ => {}
        }
    }

    /// `None` where nobody can say.
    fn used(
        &self,
        class: Option<&AssetClass>,
        current: &AssetCurrent,
        since: Timestamp,
        noted: Option<Timestamp>,
    ) -> Option<bool> {
        let asset = current.asset.as_str();
        let noted = noted.map(|at| at >= since);
        match class.map(|class| &class.utilisation).unwrap_or(&Utilisation::default()) {
            Utilisation::Custody => Some(current.checkout.is_some() || self.handed.contains(asset)),
            Utilisation::Movement => Some(self.moved.contains(asset) || noted == Some(true)),
            Utilisation::Sensor(_) => noted,
        }
    }
}

async fn utilisation(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(span): Query<Span>,
) -> Result<Json<InUse>, Problem> {
    let since = span.since.unwrap_or_else(|| api.clock.now() - SPAN);
    let mut signs = Signs::default();
    let kinds = ["passage", "geofence", "presence", "checked-out", "handed-over", "checked-in"];
    // Of all sites: what is at home in one may be used in another.
    let everywhere = Caller::local();
    let walked =
        walk(&api, &everywhere, None, &kinds, since, |event, body| signs.note(&event.subject, &body)).await?;
    let (sites, classes) = (Sites::load(&api).await?, super::classes(&api).await?);
    let mut groups: BTreeMap<(ClassId, Option<SiteId>), Group> = BTreeMap::new();
    let (mut after, mut looked) = (None::<String>, 0);
    let complete = loop {
        let window = api.reader.state_rows(StateRows::Assets, after.as_deref(), WINDOW).await?;
        let end = window.len() < WINDOW;
        for row in window {
            let current: AssetCurrent = serde_json::from_slice(&row.value)?;
            let Remembered { memory } = serde_json::from_slice(&row.value)?;
            let asset = asset_of(row.record.as_deref())?;
            after = Some(row.key);
            let Some(asset) = asset.filter(Asset::is_expected) else { continue };
            let site = sites.home(Some(&asset)).cloned();
            let wanted = (span.class.is_none() || span.class.as_ref() == Some(&asset.class))
                && (span.site.is_none() || span.site == site);
            if !wanted || !sites.show_asset(&caller.scope, Some(&current), Some(&asset)) {
                continue;
            }
            let group = groups.entry((asset.class.clone(), site.clone())).or_insert(Group {
                class: asset.class.clone(),
                site,
                assets: 0,
                utilised: 0,
                idle: 0,
                unknown: 0,
                utilised_share: 0.0,
            });
            group.assets += 1;
            match signs.used(classes.get(&asset.class), &current, since, memory.used_at) {
                Some(true) => group.utilised += 1,
                Some(false) => group.idle += 1,
                None => group.unknown += 1,
            }
            group.utilised_share = group.utilised as f64 / group.assets as f64;
        }
        looked += WINDOW;
        if end || looked >= LOOK_ROWS {
            break end;
        }
    };
    Ok(Json(InUse { since, complete: complete && walked, groups: groups.into_values().collect() }))
}
