//! Assets and the register, as the journal has them.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};

use super::Api;
use super::explain::{self, Explanation};
use super::problem::Problem;
use crate::domain::register::Record;
use crate::domain::state::{AssetCurrent, StateKind};

/// Rows in one answer, at most and by default.
pub(super) const MAX_PAGE: usize = 1000;
pub(super) const DEFAULT_PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct Assets {
    assets: Vec<AssetCurrent>,
    /// Give it as `after` to read on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Assets>, Problem> {
    let Query(page) = page?;
    let limit = page.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    let rows = api.reader.states(StateKind::Asset, page.after.as_deref(), limit).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|(key, _)| key.clone())).flatten();
    let assets = rows.iter().map(|(_, value)| serde_json::from_slice(value)).collect::<Result<_, _>>()?;
    Ok(Json(Assets { assets, next }))
}

pub(super) async fn explain(
    State(api): State<Arc<Api>>,
    asset: Result<Path<String>, PathRejection>,
) -> Result<Json<Explanation>, Problem> {
    let Path(asset) = asset?;
    explain::explain(&api.reader, &api.rules, &asset)
        .await?
        .map(Json)
        .ok_or(Problem::NotFound { what: "asset", name: asset })
}

pub(super) async fn record(
    State(api): State<Arc<Api>>,
    at: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Record>, Problem> {
    let Path((table, key)) = at?;
    let name = format!("{table}/{key}");
    let row = api.reader.state(StateKind::Register, &name).await?;
    let row = row.ok_or(Problem::NotFound { what: "record", name })?;
    Ok(Json(serde_json::from_slice(&row)?))
}
