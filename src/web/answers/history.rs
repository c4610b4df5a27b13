//! Answers about what happened: by holder, by place, by rule, by audit. The same questions as the views of TimescaleDB
//! answer, over as much as the journal keeps.
//!
//! Each walks once through the events of a few kinds, in windows, on the turns of long looks. It looks no further than
//! [`LOOK_EVENTS`]; an answer that stopped there says so in `complete`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::Api;
use super::super::auth::Caller;
use super::super::extract::Query;
use super::super::problem::Problem;
use super::super::routes::Operation;
use super::super::sites::Sites;
use crate::domain::alerts::{AlertTransition, Rule};
use crate::domain::audits::{Audit, AuditState};
use crate::domain::events::EventBody;
use crate::domain::ids::{AuditId, EventId, SiteId, ZoneId};
use crate::domain::register::{Asset, Record};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::journal::{EventQuery, StateRows, StoredEvent};

/// Events of the wanted kinds in one answer, at most.
const LOOK_EVENTS: usize = 2_000_000;
/// Events taken over at once.
const WINDOW: usize = 1000;
/// How far back is looked where nothing is said.
const SPAN: Duration = Duration::from_secs(90 * 86_400);
/// Fewer incidents are nobody's habit.
const REPEATED: u64 = 2;

pub(super) fn operations() -> Vec<Operation> {
    let since = "2026-02-01T00:00:00Z";
    let answer = |items: Value| json!({ "since": since, "complete": true, "items": items });
    let offenders =
        answer(json!([{ "holder": "night shift", "checkouts": 8, "overdue": 3, "overdue_share": 0.375 }]));
    let unreturned =
        answer(json!([{ "site": "hamburg", "home_zone": "crib", "checkouts": 40, "returned": 36,
        "still_out": 4, "past_due": 2, "unreturned_share": 0.1 }]));
    let response = answer(
        json!([{ "rule": "ghost", "site": "hamburg", "incidents": 3, "acknowledged": 2, "restored": 3,
        "mean_s_to_acknowledge": 420.0, "mean_s_to_restore": 5400.0 }]),
    );
    let audits = json!({ "items": [{ "audit": "crib-2026-05", "zones": ["crib"], "ended_at": "2026-05-01T06:00:00Z",
        "expected": 120, "found": 118, "missing": 2, "unexpected": 1, "accuracy": 0.983 }] });
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
        Operation::get(
            "/answers/alert-response",
            "answerAlertResponse",
            "Mean time to acknowledge and to restore, by rule and site",
            alert_response,
        )
        .query::<Span>()
        .answers::<Since<Response>>(StatusCode::OK, "The answer.", response),
        Operation::get(
            "/answers/audits",
            "answerAudits",
            "Audit accuracy over time, the oldest first",
            audit_accuracy,
        )
        .query::<Place>()
        .answers::<Accuracy>(StatusCode::OK, "The answer.", audits),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    site: Option<SiteId>,
    /// What began then or later; not set: 90 days ago.
    since: Option<Timestamp>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    site: Option<SiteId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Since<T> {
    since: Timestamp,
    /// Whether all events since then were looked at.
    complete: bool,
    items: Vec<T>,
}

#[derive(Serialize, JsonSchema)]
struct Offender {
    holder: String,
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

#[derive(Serialize, JsonSchema)]
struct Response {
    rule: Rule,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<SiteId>,
    incidents: u64,
    acknowledged: u64,
    restored: u64,
    /// Seconds from firing; absent where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_s_to_acknowledge: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_s_to_restore: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Accuracy {
    items: Vec<Counted>,
}

#[derive(Serialize, JsonSchema)]
struct Counted {
    audit: AuditId,
    zones: Vec<ZoneId>,
    ended_at: Timestamp,
    expected: u64,
    found: u64,
    missing: u64,
    unexpected: u64,
    /// Of what had to be there, what was; absent where nothing had to.
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
}

impl Span {
    fn since(&self, api: &Api) -> Timestamp {
        self.since.unwrap_or_else(|| api.clock.now() - SPAN)
    }
}

/// Shows every event of these kinds since then that the caller may see, in order; gives whether that were all.
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
        observed_from: Some(since),
        limit: WINDOW,
        ..EventQuery::default()
    };
    let until = *api.committed.borrow();
    let (mut after, mut looked) = (0, 0);
    while after < until {
        let found = api.reader.following_events(&query, after, until).await?;
        for event in &found.events {
            let site = event.site.as_ref().map(SiteId::new);
            // What another version wrote and this one does not read answers nothing.
            if let (true, Ok(body)) = (caller.scope.covers(site.as_ref()), serde_json::from_str(&event.body))
            {
                each(event, body);
            }
        }
        looked += found.events.len();
        after = found.looked_to.unwrap_or(until);
        if looked >= LOOK_EVENTS {
            return Ok(after >= until);
        }
    }
    Ok(true)
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

async fn repeat_offenders(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(span): Query<Span>,
) -> Result<Json<Since<Offender>>, Problem> {
    let since = span.since(&api);
    let mut holders: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut with: BTreeMap<String, String> = BTreeMap::new();
    let kinds = ["checked-out", "handed-over", "alert"];
    let complete = walk(&api, &caller, span.site.as_ref(), &kinds, since, |_, body| match body {
        EventBody::CheckedOut(checkout) | EventBody::HandedOver { checkout, .. } => {
            holders.entry(checkout.holder.clone()).or_default().0 += 1;
            with.insert(checkout.asset.to_string(), checkout.holder);
        }
        EventBody::Alert { transition: AlertTransition::Fired, alert }
            if alert.key.rule == Rule::OverdueReturn =>
        {
            if let Some(holder) = with.get(&alert.key.subject) {
                holders.entry(holder.clone()).or_default().1 += 1;
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
    items.sort_by(|a, b| {
        (b.overdue, b.overdue_share)
            .partial_cmp(&(a.overdue, a.overdue_share))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    Ok(Json(Since { since, complete, items }))
}

async fn unreturned_places(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(span): Query<Span>,
) -> Result<Json<Since<Unreturned>>, Problem> {
    let (since, now) = (span.since(&api), api.clock.now());
    // Of each asset: how often it went out and came back, and until when it is out now.
    let mut assets: BTreeMap<String, (u64, u64, Option<Option<Timestamp>>)> = BTreeMap::new();
    let kinds = ["checked-out", "handed-over", "checked-in"];
    let complete = walk(&api, &caller, span.site.as_ref(), &kinds, since, |_, body| match body {
        EventBody::CheckedOut(checkout) => {
            let asset = assets.entry(checkout.asset.to_string()).or_default();
            *asset = (asset.0 + 1, asset.1, Some(checkout.due_back));
        }
        // The same checkout goes on with somebody else.
        EventBody::HandedOver { checkout, .. } => {
            if let Some(asset) = assets.get_mut(checkout.asset.as_str()).filter(|asset| asset.2.is_some()) {
                asset.2 = Some(checkout.due_back);
            }
        }
        EventBody::CheckedIn { checkout, .. } => {
            if let Some(asset) = assets.get_mut(checkout.asset.as_str()).filter(|asset| asset.2.is_some()) {
                *asset = (asset.0, asset.1 + 1, None);
            }
        }
        _ => {}
    });
    let complete = complete.await?;
    let sites = Sites::load(&api).await?;
    let mut places: BTreeMap<(Option<SiteId>, Option<ZoneId>), Unreturned> = BTreeMap::new();
    for (name, (checkouts, returned, out)) in assets {
        let row = api.reader.state(StateKind::Register, &format!("asset/{name}")).await?;
        let record: Option<Record> = row.map(|row| serde_json::from_slice(&row)).transpose()?;
        let asset: Option<Asset> = match record {
            Some(Record::Asset(asset)) => Some(asset),
            _ => None,
        };
        let (site, zone) = (sites.home(asset.as_ref()).cloned(), asset.and_then(|asset| asset.home_zone));
        let place = places.entry((site.clone(), zone.clone())).or_insert(Unreturned {
            site,
            home_zone: zone,
            checkouts: 0,
            returned: 0,
            still_out: 0,
            past_due: 0,
            unreturned_share: 0.0,
        });
        place.checkouts += checkouts;
        place.returned += returned;
        place.still_out += checkouts.saturating_sub(returned);
        place.past_due += u64::from(out.flatten().is_some_and(|due| due < now));
        place.unreturned_share = share(place.still_out, place.checkouts);
    }
    let mut items: Vec<Unreturned> = places.into_values().collect();
    items.sort_by(|a, b| b.unreturned_share.total_cmp(&a.unreturned_share));
    Ok(Json(Since { since, complete, items }))
}

#[derive(Default)]
struct Times {
    incidents: u64,
    acknowledged: Vec<f64>,
    restored: Vec<f64>,
}

async fn alert_response(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(span): Query<Span>,
) -> Result<Json<Since<Response>>, Problem> {
    let since = span.since(&api);
    let mut rules: BTreeMap<(Rule, Option<SiteId>), Times> = BTreeMap::new();
    // Open incidents: when they fired, and whether somebody was on them.
    let mut open: BTreeMap<EventId, (Timestamp, bool)> = BTreeMap::new();
    let complete = walk(&api, &caller, span.site.as_ref(), &["alert"], since, |event, body| {
        let EventBody::Alert { transition, alert } = body else { return };
        let times = || (alert.key.rule, alert.site.clone());
        match transition {
            AlertTransition::Fired => {
                open.insert(alert.incident, (event.observed_at, false));
                rules.entry(times()).or_default().incidents += 1;
            }
            AlertTransition::Acknowledged => {
                if let Some((fired, seen @ false)) = open.get_mut(&alert.incident) {
                    *seen = true;
                    let took = event.observed_at.since(*fired).as_secs_f64();
                    rules.entry(times()).or_default().acknowledged.push(took);
                }
            }
            AlertTransition::Resolved => {
                if let Some((fired, _)) = open.remove(&alert.incident) {
                    let took = event.observed_at.since(fired).as_secs_f64();
                    rules.entry(times()).or_default().restored.push(took);
                }
            }
            _ => {}
        }
    });
    let complete = complete.await?;
    let mean = |times: &[f64]| (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64);
    let items = rules.into_iter().map(|((rule, site), times)| Response {
        rule,
        site,
        incidents: times.incidents,
        acknowledged: times.acknowledged.len() as u64,
        restored: times.restored.len() as u64,
        mean_s_to_acknowledge: mean(&times.acknowledged),
        mean_s_to_restore: mean(&times.restored),
    });
    Ok(Json(Since { since, complete, items: items.collect() }))
}

/// Audits that somebody closed; what was given up or ran out says nothing.
async fn audit_accuracy(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(place): Query<Place>,
) -> Result<Json<Accuracy>, Problem> {
    let sites = Sites::load(&api).await?;
    let rows = StateRows::Of { kind: StateKind::Audit, prefix: "" };
    let mut items = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let window = api.reader.state_rows(rows, after.as_deref(), WINDOW).await?;
        let end = window.len() < WINDOW;
        for row in window {
            let audit: Audit = serde_json::from_slice(&row.value)?;
            after = Some(row.key);
            let mut of = audit.zones.iter().map(|zone| sites.of_zone(Some(zone)));
            let seen = of.clone().all(|site| caller.scope.covers(site));
            let wanted = place.site.as_ref().is_none_or(|wanted| of.any(|site| site == Some(wanted)));
            if let (AuditState::Closed, Some(ended_at), true, true) =
                (audit.state, audit.ended_at, seen, wanted)
            {
                let figures = audit.figures;
                items.push(Counted {
                    audit: audit.id,
                    zones: audit.zones.clone(),
                    ended_at,
                    expected: figures.expected,
                    found: figures.found,
                    missing: figures.missing,
                    unexpected: figures.unexpected,
                    accuracy: figures.accuracy(),
                });
            }
        }
        if end {
            break;
        }
    }
    items.sort_by(|a, b| (a.ended_at, &a.audit).cmp(&(b.ended_at, &b.audit)));
    Ok(Json(Accuracy { items }))
}
