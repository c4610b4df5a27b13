//! Checkouts, hand-overs and check-ins; what is in which vehicle.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::Api;
use super::command::Done;
use super::due;
use super::extract::{Body, BodyIfAny, Path, Writing};
use super::problem::Problem;
use super::routes::Operation;
use crate::config::Role;
use crate::domain::commands::Command;
use crate::domain::ids::{AssetId, PersonId, ReadPointId, ZoneId};
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
            .body_if_any::<Back>(json!({ "note": "left at the gate" }))
            .command(StatusCode::OK, updated()),
        Operation::post(
            "/assets/{asset}/hand-over",
            "handOver",
            "Hands an asset over to somebody else",
            hand_over,
        )
        .role(Role::Operator)
        .body::<NewHandOver>(json!({ "holder": "P-7", "from": "night shift", "due_back": "+2 working days" }))
        .command(StatusCode::OK, updated()),
        Operation::post(
            "/assets/{asset}/accept",
            "acceptHandOver",
            "Takes a hand-over that was sensed for true",
            accept,
        )
        .role(Role::Operator)
        .body_if_any::<Acceptance>(json!({ "to": "P-7" }))
        .command(StatusCode::OK, updated()),
        Operation::post(
            "/assets/{asset}/reject",
            "rejectHandOver",
            "Takes a hand-over that was sensed for false",
            reject,
        )
        .role(Role::Operator)
        .body_if_any::<Noted>(json!({ "note": "they only walked beside it" }))
        .command(StatusCode::OK, updated()),
        Operation::post("/assets/{asset}/inspections", "inspect", "Says how an inspection went", inspect)
            .role(Role::Operator)
            .body::<Inspection>(json!({ "passed": true, "note": "chain replaced" }))
            .command(StatusCode::CREATED, updated()),
        Operation::post(
            "/assets/{asset}/quarantine",
            "quarantine",
            "Keeps an asset in until it is released",
            quarantine,
        )
        .role(Role::Operator)
        .body::<Held>(json!({ "reason": "fork bent" }))
        .command(StatusCode::OK, updated()),
        Operation::post(
            "/assets/{asset}/maintenance",
            "maintain",
            "An asset is worked on until it is released",
            maintain,
        )
        .role(Role::Operator)
        .body::<Held>(json!({ "reason": "yearly service" }))
        .command(StatusCode::OK, updated()),
        Operation::post("/assets/{asset}/release", "release", "Lifts quarantine and maintenance", release)
            .role(Role::Operator)
            .body_if_any::<Noted>(json!({ "note": "as new" }))
            .command(StatusCode::OK, updated()),
        Operation::post("/assets/{asset}/load", "load", "Says that an asset is in a vehicle", load)
            .role(Role::Operator)
            .body::<Loading>(json!({ "vehicle": "TR-07" }))
            .command(StatusCode::OK, updated()),
        Operation::post(
            "/assets/{asset}/unload",
            "unload",
            "Says that an asset is in its vehicle no longer",
            unload,
        )
        .role(Role::Operator)
        .body_if_any::<Unloading>(json!({ "zone": "hall" }))
        .command(StatusCode::OK, updated()),
        Operation::post(
            "/assets/{asset}/dock",
            "dock",
            "Says that a vehicle stands at a door: what passes out there is in it",
            dock,
        )
        .role(Role::Operator)
        .body::<Docking>(json!({ "door": "dock-1-door" }))
        .command(StatusCode::OK, updated()),
        Operation::post("/assets/{asset}/undock", "undock", "Says that a vehicle stands at no door", undock)
            .role(Role::Operator)
            .command(StatusCode::OK, updated()),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCheckout {
    asset: AssetId,
    /// A person, a team or a project.
    holder: String,
    /// A time, with an offset or by the clock of the asset's site; a date, for the end of that working day;
    /// `+3 working days`; or a time from now, such as `+8h`.
    #[serde(default)]
    due_back: Option<String>,
    #[serde(default)]
    note: Option<String>,
    /// Why it goes out although it is not ready.
    #[serde(default, rename = "override")]
    override_reason: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHandOver {
    /// A person, a team or a project.
    holder: String,
    /// Refused where somebody else has it.
    #[serde(default)]
    from: Option<String>,
    /// As of a checkout; not set: it stays as it was.
    #[serde(default)]
    due_back: Option<String>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Back {
    #[serde(default)]
    note: Option<String>,
    /// What is broken; it is quarantined for it.
    #[serde(default)]
    damage: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Loading {
    vehicle: AssetId,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Unloading {
    /// Where it is instead; not set: where the vehicle is.
    #[serde(default)]
    zone: Option<ZoneId>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Docking {
    /// A read point of kind `portal`.
    door: ReadPointId,
}

async fn load(
    State(api): State<Arc<Api>>,
    Path(asset): Path<AssetId>,
    writing: Writing,
    Body(Loading { vehicle, note }): Body<Loading>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Load { asset, vehicle, note }, None).await
}

async fn unload(
    State(api): State<Arc<Api>>,
    Path(asset): Path<AssetId>,
    writing: Writing,
    BodyIfAny(Unloading { zone, note }): BodyIfAny<Unloading>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Unload { asset, zone, note }, None).await
}

async fn dock(
    State(api): State<Arc<Api>>,
    Path(vehicle): Path<AssetId>,
    writing: Writing,
    Body(Docking { door }): Body<Docking>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Dock { vehicle, door }, None).await
}

async fn undock(
    State(api): State<Arc<Api>>,
    Path(vehicle): Path<AssetId>,
    writing: Writing,
) -> Result<Done, Problem> {
    api.give(writing, Command::Undock { vehicle }, None).await
}

async fn check_out(
    State(api): State<Arc<Api>>,
    writing: Writing,
    Body(NewCheckout { asset, holder, due_back, note, override_reason }): Body<NewCheckout>,
) -> Result<Done, Problem> {
    let due_back = api.due_back(&asset, due_back).await?;
    let command = Command::Checkout { asset, holder, due_back, note, override_reason };
    Ok(api.give(writing, command, None).await?.created())
}

async fn check_in(
    State(api): State<Arc<Api>>,
    Path(asset): Path<AssetId>,
    writing: Writing,
    BodyIfAny(Back { note, damage }): BodyIfAny<Back>,
) -> Result<Done, Problem> {
    api.give(writing, Command::CheckIn { asset, note, damage }, None).await
}

async fn hand_over(
    State(api): State<Arc<Api>>,
    Path(asset): Path<AssetId>,
    writing: Writing,
    Body(NewHandOver { holder, from, due_back, note }): Body<NewHandOver>,
) -> Result<Done, Problem> {
    let due_back = api.due_back(&asset, due_back).await?;
    api.give(writing, Command::HandOver { asset, holder, from, due_back, note }, None).await
}

impl Api {
    async fn due_back(&self, asset: &AssetId, text: Option<String>) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = text else { return Ok(None) };
        match due::due_back(&self.reader, &self.rules, asset, &text, self.clock.now()).await {
            Ok(due) => Ok(Some(due)),
            Err(due::DueError::Journal(error)) => Err(error.into()),
            Err(error @ due::DueError::Text { .. }) => {
                Err(Problem::Unprocessable(format!("due_back {error}")))
            }
        }
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Acceptance {
    /// Who took it, where several passed with it.
    #[serde(default)]
    to: Option<PersonId>,
    /// Why it goes out although it is not ready.
    #[serde(default, rename = "override")]
    override_reason: Option<String>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Noted {
    #[serde(default)]
    note: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Held {
    reason: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Inspection {
    /// Passed, it need not be inspected for a while; failed, it is quarantined.
    passed: bool,
    /// When; not set: now.
    #[serde(default)]
    at: Option<Timestamp>,
    #[serde(default)]
    note: Option<String>,
}

async fn accept(
    State(api): State<Arc<Api>>,
    Path(asset): Path<AssetId>,
    writing: Writing,
    BodyIfAny(Acceptance { to, override_reason, note }): BodyIfAny<Acceptance>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Accept { asset, to, override_reason, note }, None).await
}

async fn reject(
    State(api): State<Arc<Api>>,
    Path(asset): Path<AssetId>,
    writing: Writing,
    BodyIfAny(Noted { note }): BodyIfAny<Noted>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Reject { asset, note }, None).await
}

async fn inspect(
    State(api): State<Arc<Api>>,
    Path(asset): Path<AssetId>,
    writing: Writing,
    Body(Inspection { passed, at, note }): Body<Inspection>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Inspect { asset, passed, at, note }, None).await.map(Done::created)
}

async fn quarantine(
    State(api): State<Arc<Api>>,
    Path(asset): Path<AssetId>,
    writing: Writing,
    Body(Held { reason }): Body<Held>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Quarantine { asset, reason }, None).await
}

async fn maintain(
    State(api): State<Arc<Api>>,
    Path(asset): Path<AssetId>,
    writing: Writing,
    Body(Held { reason }): Body<Held>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Maintain { asset, reason }, None).await
}

async fn release(
    State(api): State<Arc<Api>>,
    Path(asset): Path<AssetId>,
    writing: Writing,
    BodyIfAny(Noted { note }): BodyIfAny<Noted>,
) -> Result<Done, Problem> {
    api.give(writing, Command::Release { asset, note }, None).await
}
