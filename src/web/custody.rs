//! Checkouts and check-ins.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::Api;
use super::command::Done;
use super::extract::{Body, Path, Writing};
use super::problem::Problem;
use super::routes::Operation;
use crate::config::Role;
use crate::domain::commands::Command;
use crate::domain::ids::AssetId;
use crate::domain::time::Timestamp;

pub(super) fn operations() -> Vec<Operation> {
    let updated = || json!({ "created": 0, "updated": 1, "unchanged": 0, "removed": 0 });
    vec![
        Operation::post(
            "/checkouts",
            "checkOut",
            "Checks an asset out to a person, a team or a project",
            check_out,
        )
        .role(Role::Operator)
        .body::<NewCheckout>(
            json!({ "asset": "FL-07", "holder": "night shift", "due_back": "2030-05-01T06:00:00+02:00" }),
        )
        .command(StatusCode::CREATED, updated()),
        Operation::post("/assets/{asset}/check-in", "checkIn", "Checks an asset in", check_in)
            .role(Role::Operator)
            .body::<Note>(json!({ "note": "left at the gate" }))
            .command(StatusCode::OK, updated()),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCheckout {
    asset: AssetId,
    /// A person, a team or a project.
    holder: String,
    #[serde(default)]
    due_back: Option<Timestamp>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    #[serde(default)]
    note: Option<String>,
}

async fn check_out(
    State(api): State<Arc<Api>>,
    writing: Writing,
    Body(NewCheckout { asset, holder, due_back, note }): Body<NewCheckout>,
) -> Result<Done, Problem> {
    let command = Command::Checkout { asset, holder, due_back, note };
    Ok(api.give(writing, command, None).await?.created())
}

async fn check_in(
    State(api): State<Arc<Api>>,
    Path(asset): Path<AssetId>,
    writing: Writing,
    Body(Note { note }): Body<Note>,
) -> Result<Done, Problem> {
    api.give(writing, Command::CheckIn { asset, note }, None).await
}
