//! People who are erased, and how far that has come.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Api;
use super::command::Done;
use super::extract::{Body, Query, Writing};
use super::problem::Problem;
use super::routes::Operation;
use crate::config::Role;
use crate::domain::commands::Command;
use crate::domain::epc::Epc;
use crate::domain::erasure::{Erase, Erasure, Stage};
use crate::domain::ids::PersonId;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;

pub(super) fn operations() -> Vec<Operation> {
    let pending = json!({ "items": [{
        "label": "erased-00112233aabbccdd", "asked_at": "2026-05-01T06:00:00Z", "stage": { "at": "database", "seq": 1207 },
    }] });
    let summary =
        "Takes a person out of everything that is kept; a label that leads nowhere stands where they stood";
    vec![
        Operation::post("/erasures", "erasePerson", summary, erase)
            .role(Role::Admin)
            .body::<NewErasure>(json!({ "person": "P-7", "also": ["Ada King"] }))
            .command(
                StatusCode::ACCEPTED,
                json!({ "created": 0, "updated": 0, "unchanged": 0, "removed": 2 }),
            ),
        Operation::get("/erasures", "listErasures", "Erasures that are not done everywhere yet", list)
            .role(Role::Admin)
            .query::<Nothing>()
            .answers::<Erasures>(StatusCode::OK, "Those under way; one that is done is not there.", pending),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewErasure {
    /// In the body, so that no log of requests has it.
    person: PersonId,
    /// Whatever else they were called: an earlier name, an address. Whole words are replaced.
    #[serde(default)]
    also: Vec<String>,
    /// Badges that they had and that the register no longer has.
    #[serde(default)]
    badges: Vec<Epc>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Serialize, JsonSchema)]
pub(super) struct Erasures {
    items: Vec<UnderWay>,
}

#[derive(Serialize, JsonSchema)]
struct UnderWay {
    /// What stands for the person.
    label: String,
    asked_at: Timestamp,
    stage: Stage,
}

async fn erase(
    State(api): State<Arc<Api>>,
    writing: Writing,
    Body(NewErasure { person, also, badges }): Body<NewErasure>,
) -> Result<Done, Problem> {
    let erase = Erase { person, also, badges, label: String::new() };
    api.give(writing, Command::ErasePerson(erase), None).await.map(Done::accepted)
}

async fn list(State(api): State<Arc<Api>>, _: Query<Nothing>) -> Result<Json<Erasures>, Problem> {
    let mut items = Vec::new();
    for (_, row) in api.reader.all_states(StateKind::Erasure).await? {
        let Erasure { label, asked_at, stage, .. } = serde_json::from_slice(&row)?;
        // Whose row it is stands there as well, and is nobody's business.
        let stage = match stage {
            Stage::State { kind, until, .. } => Stage::State { kind, key: String::new(), until },
            stage => stage,
        };
        items.push(UnderWay { label, asked_at, stage });
    }
    Ok(Json(Erasures { items }))
}
