//! Events as an EPCIS 2.0 document, a page at a time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::auth::Caller;
use super::events::sites;
use super::extract::Query;
use super::page::{Cursor, Limit};
use super::problem::Problem;
use super::routes::{BASE, Operation};
use crate::domain::ids::SiteId;
use crate::domain::time::Timestamp;
use crate::epcis::{CONTEXT, DEFAULT_BASE, KINDS, Translator};
use crate::journal::EventQuery;

/// Of the base that names are put under.
const BASE_CHARS: usize = 200;

pub(super) fn operations() -> Vec<Operation> {
    let summary = "Location, count and condition events as an EPCIS 2.0 document, newest first; the header \
                   `Link` names the next page";
    let example = json!({
        "@context": [CONTEXT], "type": "EPCISDocument", "schemaVersion": "2.0",
        "creationDate": "2026-05-01T06:00:00.000Z", "epcisBody": { "eventList": [] },
    });
    vec![
        Operation::get("/epcis/events", "epcisEvents", summary, events)
            .query::<EpcisFilter>()
            .answers_as::<Value>(StatusCode::OK, "An EPCISDocument.", "application/ld+json", example),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EpcisFilter {
    /// Observed at or after this.
    from: Option<Timestamp>,
    /// Observed before this.
    to: Option<Timestamp>,
    site: Option<SiteId>,
    /// A URI of your own under which places, devices and assets are named.
    #[schemars(length(max = 200), regex(pattern = r"^https?://[A-Za-z0-9._~/:-]+$"))]
    base: Option<String>,
    cursor: Option<Cursor>,
    limit: Option<Limit>,
}

async fn events(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(filter): Query<EpcisFilter>,
) -> Result<Response, Problem> {
    let EpcisFilter { from, to, site, base, cursor, limit } = filter;
    let base = base.unwrap_or_else(|| DEFAULT_BASE.to_owned());
    if !is_base(&base) {
        return Err(Problem::BadRequest(
            "`base` is no http or https URI of at most 200 characters".to_owned(),
        ));
    }
    let before_seq = match &cursor {
        Some(Cursor(seq)) => Some(
            seq.parse().map_err(|_| Problem::BadRequest("the cursor is not one of this list".to_owned()))?,
        ),
        None => None,
    };
    let limit = Limit::of(limit);
    let stored = match sites(&caller.scope, site.as_ref()) {
        Some(sites) => {
            let kinds = KINDS.map(str::to_owned).to_vec();
            let (observed_from, observed_until) = (from, to);
            let query =
                EventQuery { subject: None, kinds, sites, observed_from, observed_until, before_seq, limit };
            api.reader.events(&query).await?
        }
        None => Vec::new(),
    };
    let next = stored.last().filter(|_| stored.len() == limit).map(|event| event.seq);
    let translator = Translator::new(&api.rules, &base);
    let list: Vec<Value> = stored.iter().filter_map(|event| translator.translate(event)).collect();
    let document = json!({
        "@context": [CONTEXT], "type": "EPCISDocument", "schemaVersion": "2.0",
        "creationDate": crate::epcis::time(api.clock.now()), "epcisBody": { "eventList": list },
    });
    let mut response = (StatusCode::OK, Json(document)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/ld+json"));
    if let Some(seq) = next {
        let cursor = hex::encode(seq.to_string());
        let mut link = format!("<{BASE}/epcis/events?cursor={cursor}&limit={limit}");
        for (name, at) in [("from", from), ("to", to)] {
            link.extend(at.map(|at| format!("&{name}={at}")));
        }
        link.extend(site.map(|site| format!("&site={}", crate::epcis::escaped(site.as_str()))));
        link.push_str(&format!("&base={base}>; rel=\"next\""));
        if let Ok(link) = HeaderValue::from_str(&link) {
            headers.insert(header::LINK, link);
        }
    }
    Ok(response)
}

/// Whether names may be put under it; nothing in it needs to be escaped.
pub(crate) fn is_base(base: &str) -> bool {
    let rest = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~/:-".contains(c);
    base.len() <= BASE_CHARS && rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain))
}
