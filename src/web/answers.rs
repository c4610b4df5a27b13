//! Answers about the register as it stands, by class and home site: what is ready, what was sensed, what is
//! a ghost, what is out. The others are below: `utilisation.rs` by class, `holders.rs` by asset; what needs the
//! history walks through it (`walk.rs`): `custody.rs` by holder and place, `response.rs` by rule; `accuracy.rs`
//! by audit; `trackers.rs` by tracker; `doors.rs` by door.
//!
//! Each looks once through the assets, in windows, on the turns of long looks; what has to be read is
//! bounded by [`LOOK_ROWS`], and an answer that stopped there says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Api;
use super::auth::Caller;
use super::extract::Query;
use super::problem::Problem;
use super::routes::Operation;
use super::sites::Sites;
use crate::domain::ids::{ClassId, SiteId};
use crate::domain::register::{Asset, AssetClass, Record};
use crate::domain::state::{AssetCurrent, StateKind};
use crate::domain::time::Timestamp;
use crate::journal::StateRows;

mod accuracy;
mod custody;
mod doors;
mod holders;
mod response;
mod trackers;
mod utilisation;
mod walk;

/// Assets, or audits, looked through in one answer.
const LOOK_ROWS: usize = 2_000_000;
/// Read by one statement.
const WINDOW: usize = 1000;
/// Classes read at once: there are some hundreds of them.
const CLASSES: usize = 100_000;
/// Where a class says nothing.
const SENSED_WITHIN: Duration = Duration::from_secs(86_400);

pub(super) fn operations() -> Vec<Operation> {
    let example = json!({
        "at": "2026-05-01T06:00:00Z", "complete": true,
        "groups": [{ "class": "forklift", "site": "hamburg", "assets": 12, "ready": 9, "sensed": 11, "ghosts": 1,
            "checked_out": 3, "overdue": 1, "sensed_share": 0.917, "ghost_share": 0.083 }],
    });
    let summary = "How the register stands, by class and home site: ready, sensed within the class's interval, ghosts, out";
    let register = Operation::get("/answers/register", "answerRegister", summary, register)
        .query::<Filter>()
        .answers::<Answer>(StatusCode::OK, "The answer.", example);
    [register, holders::operation(), utilisation::operation()]
        .into_iter()
        .chain(custody::operations())
        .chain([response::operation(), accuracy::operation(), trackers::operation(), doors::operation()])
        .collect()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Where it is at home.
    site: Option<SiteId>,
    class: Option<ClassId>,
    /// Of what is out now, only what is due back by then counts as ready; as things stand where it is left out.
    ready_by: Option<Timestamp>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Answer {
    at: Timestamp,
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
    #[serde(flatten)]
    counts: Counts,
    sensed_share: f64,
    ghost_share: f64,
}

#[derive(Default, Debug, PartialEq, Serialize, JsonSchema)]
struct Counts {
    assets: u64,
    /// Nothing speaks against its going out, and it is here, or due back in time.
    ready: u64,
    /// Within its class's `ghost_after`, else within a day.
    sensed: u64,
    ghosts: u64,
    checked_out: u64,
    /// Out past due.
    overdue: u64,
}

impl Counts {
    fn add(&mut self, current: &AssetCurrent, within: Duration, now: Timestamp, ready_by: Option<Timestamp>) {
        let due = current.checkout.as_ref().map(|checkout| checkout.due_back);
        let back = match (due, ready_by) {
            (None, _) => true,
            (Some(Some(due)), Some(by)) => due >= now && due <= by,
            (Some(_), _) => false,
        };
        let sensed = current.last_sensed.as_ref().is_some_and(|sensed| sensed.at >= now - within);
        self.assets += 1;
        self.ready += u64::from(current.ready && current.ghost_since.is_none() && back);
        self.sensed += u64::from(sensed);
        self.ghosts += u64::from(current.ghost_since.is_some());
        self.checked_out += u64::from(due.is_some());
        self.overdue += u64::from(due.flatten().is_some_and(|due| due < now));
    }
}

async fn register(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Answer>, Problem> {
    let now = api.clock.now();
    let within = intervals(&api).await?;
    let mut groups: BTreeMap<(ClassId, Option<SiteId>), Counts> = BTreeMap::new();
    let wanted = Wanted { site: filter.site.as_ref(), class: filter.class.as_ref() };
    let complete = expected(&api, &caller, wanted, |found| {
        let within = within.get(&found.class).copied().unwrap_or(SENSED_WITHIN);
        let counts = groups.entry((found.class, found.site)).or_default();
        counts.add(&found.current, within, now, filter.ready_by);
    });
    let complete = complete.await?;
    let groups = groups.into_iter().map(|((class, site), counts)| {
        let share = |part: u64| part as f64 / counts.assets.max(1) as f64;
        let (sensed_share, ghost_share) = (share(counts.sensed), share(counts.ghosts));
        Group { class, site, counts, sensed_share, ghost_share }
    });
    Ok(Json(Answer { at: now, complete, groups: groups.collect() }))
}

/// Assets that are asked about: at home there, of that class.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    site: Option<&'a SiteId>,
    class: Option<&'a ClassId>,
}

/// An asset that should be somewhere.
struct Expected {
    current: AssetCurrent,
    memory: Memory,
    class: ClassId,
    /// Where it is at home.
    site: Option<SiteId>,
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
    #[serde(default)]
    returned_at: Option<Timestamp>,
}

/// Shows every asset that should be somewhere, is asked about, and that the caller may see; gives whether that
/// were all.
async fn expected(
    api: &Api,
    caller: &Caller,
    wanted: Wanted<'_>,
    mut each: impl FnMut(Expected) + Send,
) -> Result<bool, Problem> {
    let sites = Sites::load(api).await?;
    let _turn = api.scans.acquire().await.map_err(|_| Problem::Stopping)?;
    let mut after: Option<String> = None;
    let mut looked = 0;
    loop {
        let window = api.reader.state_rows(StateRows::Assets, after.as_deref(), WINDOW).await?;
        let end = window.len() < WINDOW;
        for row in window {
            let current: AssetCurrent = serde_json::from_slice(&row.value)?;
            let Remembered { memory } = serde_json::from_slice(&row.value)?;
            after = Some(row.key);
            let Some(asset) = asset_of(row.record.as_deref())?.filter(Asset::is_expected) else { continue };
            let site = sites.home(Some(&asset));
            let here = wanted.class.is_none_or(|class| *class == asset.class)
                && wanted.site.is_none_or(|wanted| Some(wanted) == site);
            if here && sites.show_asset(&caller.scope, Some(&current), Some(&asset)) {
                each(Expected { current, memory, site: site.cloned(), class: asset.class });
            }
        }
        looked += WINDOW;
        if end || looked >= LOOK_ROWS {
            return Ok(end);
        }
    }
}

fn asset_of(record: Option<&[u8]>) -> Result<Option<Asset>, Problem> {
    Ok(match record.map(serde_json::from_slice).transpose()? {
        Some(Record::Asset(asset)) => Some(asset),
        _ => None,
    })
}

/// How long each class may go unsensed.
async fn intervals(api: &Api) -> Result<BTreeMap<ClassId, Duration>, Problem> {
    let within = |class: AssetClass| class.ghost_after.unwrap_or(SENSED_WITHIN);
    Ok(classes(api).await?.into_iter().map(|(name, class)| (name, within(class))).collect())
}

/// Every class, of the configuration and of the register.
async fn classes(api: &Api) -> Result<BTreeMap<ClassId, AssetClass>, Problem> {
    let rows = StateRows::Of { kind: StateKind::Register, prefix: "class/" };
    let mut classes = BTreeMap::new();
    for row in api.reader.state_rows(rows, None, CLASSES).await? {
        if let Record::Class(class) = serde_json::from_slice(&row.value)? {
            classes.insert(class.name.clone(), *class);
        }
    }
    // What the configuration file declares, the file owns.
    classes.extend(api.rules.classes.iter().map(|class| (class.name.clone(), class.clone())));
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn current(changes: serde_json::Value) -> AssetCurrent {
        let mut row = json!({ "asset": "A", "location": "unknown", "since": null, "last_sensed": null, "reason": "",
            "confidence": null, "checkout": null });
        row.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    }

    fn out(due_s: Option<i64>) -> AssetCurrent {
        let due = due_s.map(|secs| Timestamp::from_secs(1_800_000_000 + secs));
        current(
            json!({ "checkout": { "asset": "A", "holder": "Ada", "checked_out_at": NOW, "due_back": due } }),
        )
    }

    fn counts(current: &AssetCurrent, ready_by: Option<i64>) -> Counts {
        let mut counts = Counts::default();
        let by = ready_by.map(|secs| Timestamp::from_secs(1_800_000_000 + secs));
        counts.add(current, Duration::from_secs(3600), NOW, by);
        counts
    }

    #[test]
    fn what_is_out_is_ready_when_it_is_due_back_in_time() {
        assert_eq!(counts(&out(Some(60)), Some(100)).ready, 1);
        assert_eq!(counts(&out(Some(60)), Some(59)).ready, 0);
        assert_eq!(counts(&out(Some(60)), None).ready, 0);
        assert_eq!(counts(&out(None), Some(100)).ready, 0);
        let late = counts(&out(Some(-1)), Some(100));
        assert_eq!((late.ready, late.checked_out, late.overdue), (0, 1, 1));
    }

    #[test]
    fn a_ghost_is_not_ready_and_an_old_sighting_does_not_count() {
        let ghost = counts(&current(json!({ "ghost_since": NOW })), None);
        assert_eq!((ghost.assets, ghost.ready, ghost.ghosts), (1, 0, 1));
        assert_eq!(counts(&current(json!({})), None).ready, 1);
        assert_eq!(counts(&current(json!({ "ready": false })), None).ready, 0);
        let sensed = |ago: i64| {
            let at = Timestamp::from_secs(1_800_000_000 - ago);
            counts(&current(json!({ "last_sensed": { "at": at, "by": { "read-point": "r" } } })), None).sensed
        };
        assert_eq!([sensed(3600), sensed(3601)], [1, 0]);
    }
}
