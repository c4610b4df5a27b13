//! The register's records: one by one with ETags, as lists, and many at once as an import.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::auth::Caller;
use super::command::Done;
use super::etag::Seen;
use super::extract::{Body, Path, Query, Writing};
use super::page::{Cursor, Limit, Page, look};
use super::problem::Problem;
use super::routes::Operation;
use super::sites::Sites;
use crate::config::Role;
use crate::domain::commands::Command;
use crate::domain::ids::AssetId;
use crate::domain::register::{Carrier, Checkout, Record};
use crate::domain::state::StateKind;
use crate::journal::StateRows;

pub(super) fn operations(max_import_bytes: usize) -> Vec<Operation> {
    let record = || json!({ "table": "asset", "id": "FL-07", "class": "forklift" });
    vec![
        Operation::get("/register", "listRecords", "Records of the register, by table and key", list)
            .query::<RecordFilter>()
            .answers::<Page<Record>>(StatusCode::OK, "A page of records.", json!({ "items": [record()] })),
        Operation::post(
            "/register",
            "import",
            "Upserts records and opens checkouts: all of it or none",
            import,
        )
        .role(Role::Admin)
        .body::<Import>(json!({ "records": [record()] }))
        .max_body(max_import_bytes)
        .command(StatusCode::OK, outcome(1, 0, 0)),
        Operation::get("/register/{table}/{*key}", "readRecord", "One record", read)
            .tagged()
            .answers::<Record>(StatusCode::OK, "The record.", record()),
        Operation::put("/register/{table}/{*key}", "writeRecord", "Creates or replaces one record", write)
            .role(Role::Admin)
            .conditional()
            .body::<Record>(record())
            .command(StatusCode::OK, outcome(0, 1, 0)),
        Operation::delete(
            "/register/{table}/{*key}",
            "removeRecord",
            "Takes a record off the register",
            remove,
        )
        .role(Role::Admin)
        .conditional()
        .command(StatusCode::OK, outcome(0, 0, 1)),
    ]
}

fn outcome(created: u64, updated: u64, removed: u64) -> Value {
    json!({ "created": created, "updated": updated, "unchanged": 0, "removed": removed })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordFilter {
    /// zone, class, asset, tag, tracker, sensor and so on; what the configuration file declares is not listed.
    table: Option<String>,
    /// Of this asset: its own record, its tags, trackers and sensors.
    asset: Option<AssetId>,
    cursor: Option<Cursor>,
    limit: Option<Limit>,
}

/// Everything that is to be on the register afterwards, beside what is there.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Import {
    #[serde(default)]
    records: Vec<Record>,
    #[serde(default)]
    checkouts: Vec<Checkout>,
}

async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(filter): Query<RecordFilter>,
) -> Result<Json<Page<Record>>, Problem> {
    let sites = Sites::load(&api).await?;
    let prefix = filter.table.map(|table| format!("{table}/")).unwrap_or_default();
    let rows = StateRows::Register { prefix: &prefix };
    let page = look(&api, rows, filter.cursor, filter.limit, |_, value, carrier| {
        let record: Record = serde_json::from_slice(value)?;
        let carrier: Option<Record> = carrier.map(serde_json::from_slice).transpose()?;
        let shown = (filter.asset.is_none() || filter.asset.as_ref() == record.asset())
            && sites.show_record(&caller.scope, &api.rules, &record, carrier.as_ref());
        Ok(shown.then_some(record))
    });
    page.await.map(Json)
}

async fn read(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((table, key)): Path<(String, String)>,
    seen: Seen,
) -> Result<Response, Problem> {
    let record = match declared(&api, &table, &key) {
        Some(record) => Some(record),
        None => held(&api, &table, &key).await?,
    };
    let missing = || Problem::NotFound { what: "record", name: format!("{table}/{key}") };
    let record = record.ok_or_else(missing)?;
    if !caller.scope.is_everywhere() {
        let carrier = match carrier_key(&record) {
            Some((table, key)) => held(&api, table, key).await?,
            None => None,
        };
        let sites = Sites::load(&api).await?;
        if !sites.show_record(&caller.scope, &api.rules, &record, carrier.as_ref()) {
            return Err(missing());
        }
    }
    seen.answer(&record)
}

/// Table and key of the asset, or the person, that a record names.
fn carrier_key(record: &Record) -> Option<(&'static str, &str)> {
    let carrier = match record {
        Record::Tag(tag) => &tag.carrier,
        Record::Tracker(tracker) => &tracker.carrier,
        Record::Sensor(sensor) => &sensor.carrier,
        _ => return None,
    };
    match carrier {
        Carrier::Asset(asset) => Some(("asset", asset.as_str())),
        Carrier::Person(person) => Some(("person", person.as_str())),
        Carrier::Zone(_) => None,
    }
}

/// What the configuration file declares.
fn declared(api: &Api, table: &str, key: &str) -> Option<Record> {
    let rules = &api.rules;
    match table {
        "site" => rules.sites.iter().find(|site| site.name.as_str() == key).cloned().map(Record::Site),
        "zone" => rules.zones.iter().find(|zone| zone.name.as_str() == key).cloned().map(Record::Zone),
        "class" => {
            let class = rules.classes.iter().find(|class| class.name.as_str() == key);
            class.map(|class| Record::Class(Box::new(class.clone())))
        }
        _ => None,
    }
}

async fn held(api: &Api, table: &str, key: &str) -> Result<Option<Record>, Problem> {
    let row = api.reader.state(StateKind::Register, &format!("{table}/{key}")).await?;
    Ok(row.map(|row| serde_json::from_slice(&row)).transpose()?)
}

async fn import(
    State(api): State<Arc<Api>>,
    writing: Writing,
    Body(Import { records, checkouts }): Body<Import>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Import { records, checkouts }, None).await
}

async fn write(
    State(api): State<Arc<Api>>,
    Path((table, key)): Path<(String, String)>,
    writing: Writing,
    Body(record): Body<Record>,
) -> Result<Done, Problem> {
    if (record.table(), record.key().as_str()) != (table.as_str(), key.as_str()) {
        let (of_table, of_key) = (record.table(), record.key());
        let wrong = format!("the body is the record {of_table}/{of_key}, the path says {table}/{key}");
        return Err(Problem::Unprocessable(wrong));
    }
    let only_if = writing.only_if(&table, &key);
    api.give(writing, Command::Import { records: vec![record], checkouts: Vec::new() }, only_if).await
}

async fn remove(
    State(api): State<Arc<Api>>,
    Path((table, key)): Path<(String, String)>,
    writing: Writing,
) -> Result<Done, Problem> {
    let only_if = writing.only_if(&table, &key);
    api.give(writing, Command::Remove { table, key }, only_if).await
}
