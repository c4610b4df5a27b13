//! What people ask for: checkouts, alerts, the register.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::auth::Caller;
use super::problem::Problem;
use super::{Api, CommandRequest};
use crate::config::Role;
use crate::domain::alerts::{AlertKey, Rule};
use crate::domain::commands::{Command, Outcome};
use crate::domain::ids::AssetId;
use crate::domain::register::{Checkout, Record};
use crate::domain::time::Timestamp;

type Shared = State<Arc<Api>>;
type Body<T> = Result<Json<T>, JsonRejection>;
type At<T> = Result<Path<T>, PathRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCheckout {
    asset: AssetId,
    holder: String,
    #[serde(default)]
    due_back: Option<Timestamp>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    #[serde(default)]
    note: Option<String>,
}

/// What to do with an alert.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum AlertAction {
    Acknowledge {
        #[serde(default)]
        note: Option<String>,
    },
    Snooze {
        until: Timestamp,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Import {
    #[serde(default)]
    records: Vec<Record>,
    #[serde(default)]
    checkouts: Vec<Checkout>,
}

/// Any command, in the form in which it is journaled.
pub(super) async fn command(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    body: Body<Command>,
) -> Result<Json<Outcome>, Problem> {
    let Json(command) = body?;
    caller.require(role_for(&command))?;
    give(&api, caller, command).await
}

/// What changes the register is the administrators'.
fn role_for(command: &Command) -> Role {
    match command {
        Command::Import { .. } | Command::Remove { .. } | Command::Commission { .. } => Role::Admin,
        Command::Checkout { .. }
        | Command::CheckIn { .. }
        | Command::Acknowledge { .. }
        | Command::Snooze { .. } => Role::Operator,
    }
}

pub(super) async fn checkout(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    body: Body<NewCheckout>,
) -> Result<(StatusCode, Json<Outcome>), Problem> {
    caller.require(Role::Operator)?;
    let Json(NewCheckout { asset, holder, due_back, note }) = body?;
    let command = Command::Checkout { asset, holder, due_back, note };
    Ok((StatusCode::CREATED, give(&api, caller, command).await?))
}

pub(super) async fn check_in(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    asset: At<AssetId>,
    body: Body<Note>,
) -> Result<Json<Outcome>, Problem> {
    caller.require(Role::Operator)?;
    let Json(Note { note }) = body?;
    give(&api, caller, Command::CheckIn { asset: asset?.0, note }).await
}

pub(super) async fn on_alert(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    at: At<(String, String)>,
    body: Body<AlertAction>,
) -> Result<Json<Outcome>, Problem> {
    caller.require(Role::Operator)?;
    let Path((rule, subject)) = at?;
    let Json(action) = body?;
    let rule = Rule::parse(&rule).ok_or(Problem::NotFound { what: "alert rule", name: rule })?;
    let alert = AlertKey::new(rule, subject);
    let command = match action {
        AlertAction::Acknowledge { note } => Command::Acknowledge { alert, note },
        AlertAction::Snooze { until } => Command::Snooze { alert, until },
    };
    give(&api, caller, command).await
}

pub(super) async fn import(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    body: Body<Import>,
) -> Result<Json<Outcome>, Problem> {
    caller.require(Role::Admin)?;
    let Json(Import { records, checkouts }) = body?;
    give(&api, caller, Command::Import { records, checkouts }).await
}

pub(super) async fn remove(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    at: At<(String, String)>,
) -> Result<Json<Outcome>, Problem> {
    caller.require(Role::Admin)?;
    let Path((table, key)) = at?;
    give(&api, caller, Command::Remove { table, key }).await
}

/// Hands the command over and waits for its commit.
async fn give(api: &Api, caller: Caller, command: Command) -> Result<Json<Outcome>, Problem> {
    let (reply, answer) = oneshot::channel();
    let request = CommandRequest { by: caller.name, command, reply };
    api.commands.send(request).await.map_err(|_| Problem::Stopping)?;
    let outcome = answer.await.map_err(|_| Problem::Stopping)??;
    Ok(Json(outcome))
}
