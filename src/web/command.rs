//! Commands on their way to `track`, and what is said of them after their commit.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::oneshot;

use super::extract::{Body, Writing};
use super::problem::Problem;
use super::routes::Operation;
use super::{Api, CommandRequest};
use crate::config::Role;
use crate::domain::commands::{Command, Outcome};
use crate::domain::orders::{Once, Order, Precondition, fingerprint};
use crate::journal::whole_erasure;

pub(super) fn operations(max_import_bytes: usize) -> Vec<Operation> {
    let example = json!({ "command": "check-in", "asset": "FL-07", "note": "left at the gate" });
    let summary =
        "Any command, in the form in which it is journaled; what changes the register takes the role `admin`";
    vec![
        Operation::post("/commands", "command", summary, command)
            .role(Role::Operator)
            .body::<Command>(example)
            .max_body(max_import_bytes)
            .command(StatusCode::OK, json!({ "created": 0, "updated": 1, "unchanged": 0, "removed": 0 })),
    ]
}

async fn command(
    State(api): State<Arc<Api>>,
    writing: Writing,
    Body(command): Body<Command>,
) -> Result<Done, Problem> {
    writing.caller.require(role_for(&command))?;
    api.give(writing, command, None).await
}

/// What changes the register is the administrators'.
fn role_for(command: &Command) -> Role {
    match command {
        Command::Import { .. }
        | Command::Remove { .. }
        | Command::Commission { .. }
        | Command::ErasePerson(_) => Role::Admin,
        Command::Checkout { .. }
        | Command::CheckIn { .. }
        | Command::HandOver { .. }
        | Command::Accept { .. }
        | Command::Reject { .. }
        | Command::Inspect { .. }
        | Command::Quarantine { .. }
        | Command::Maintain { .. }
        | Command::Release { .. }
        | Command::Dock { .. }
        | Command::Undock { .. }
        | Command::Load { .. }
        | Command::Unload { .. }
        | Command::Acknowledge { .. }
        | Command::Assign { .. }
        | Command::Snooze { .. }
        | Command::AuditOpen { .. }
        | Command::AuditClose { .. }
        | Command::AuditCancel { .. }
        | Command::Count(_)
        | Command::Reads(_) => Role::Operator,
    }
}

/// A command that was carried out, and is durable.
pub(super) struct Done {
    status: StatusCode,
    outcome: Outcome,
    repeated: bool,
}

impl Done {
    /// Carried out, and there is more to do.
    pub fn accepted(self) -> Self {
        Self { status: StatusCode::ACCEPTED, ..self }
    }

    pub fn created(self) -> Self {
        Self { status: StatusCode::CREATED, ..self }
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.outcome)).into_response();
        if self.repeated {
            response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
        }
        response
    }
}

impl Api {
    /// Hands the command over and waits for its commit.
    pub(super) async fn give(
        &self,
        writing: Writing,
        command: Command,
        only_if: Option<Precondition>,
    ) -> Result<Done, Problem> {
        let Writing { caller, key, .. } = writing;
        let once = key.map(|key| Once { key, fingerprint: fingerprint(&command) });
        let command = whole_erasure(&self.reader, command).await?;
        let order = Order { by: caller.name.to_string(), scope: caller.scope, command, once, only_if };
        let (reply, answer) = oneshot::channel();
        self.commands.send(CommandRequest { order, reply }).await.map_err(|_| Problem::Stopping)?;
        let answer = answer.await.map_err(|_| Problem::Stopping)?;
        Ok(Done { status: StatusCode::OK, outcome: answer.result?, repeated: answer.repeated })
    }
}
