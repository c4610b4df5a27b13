//! Dead letters: what could not be used, why, and having it tried again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Api;
use super::auth::Caller;
use super::etag::Seen;
use super::extract::{Path, Query};
use super::page::{Cursor, Limit, Page};
use super::problem::Problem;
use super::routes::Operation;
use crate::config::Role;
use crate::domain::ids::SourceId;
use crate::domain::time::Timestamp;
use crate::journal::{StoredDeadLetter, request_replay};

/// A letter may be as large as a payload: so many are read at once.
const MAX_LETTERS: usize = 100;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/dead-letters", "listDeadLetters", "What could not be used, oldest first", list)
            .role(Role::Operator)
            .query::<LetterFilter>()
            .answers::<Page<Letter>>(StatusCode::OK, "A page of letters.", json!({ "items": [example()] })),
        Operation::get("/dead-letters/{id}", "readDeadLetter", "One letter with its payload", read)
            .role(Role::Operator)
            .tagged()
            .answers::<WholeLetter>(StatusCode::OK, "The letter.", Value::Null),
        Operation::post("/dead-letters/{id}/replay", "replayDeadLetter", "Has a letter tried again", replay)
            .role(Role::Operator)
            .answers::<Replay>(
                StatusCode::ACCEPTED,
                "It will be tried again; if it fails again, it comes back as a new letter.",
                json!({ "id": 7 }),
            ),
    ]
}

fn example() -> Value {
    json!({
        "id": 7, "source": "fleet", "received_at": "2026-05-01T06:00:00Z", "recorded_at": "2026-05-01T06:00:00Z",
        "reason": "truncated", "detail": "ends within a string", "protocol": "mqtt",
        "topic": "owntracks/crew/van-3", "bytes": 17,
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LetterFilter {
    cursor: Option<Cursor>,
    /// At most a hundred at once.
    limit: Option<Limit>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Letter {
    id: u64,
    source: String,
    received_at: Timestamp,
    recorded_at: Timestamp,
    /// A short word that stays the same.
    reason: String,
    detail: String,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    /// Size of the payload.
    bytes: usize,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct WholeLetter {
    #[serde(flatten)]
    letter: Letter,
    /// As hex.
    payload: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Replay {
    id: u64,
}

impl Letter {
    fn of(letter: &StoredDeadLetter) -> Self {
        Self {
            id: letter.id,
            source: letter.source.clone(),
            received_at: letter.received_at,
            recorded_at: letter.recorded_at,
            reason: letter.reason.clone(),
            detail: letter.detail.clone(),
            protocol: letter.protocol.clone(),
            topic: letter.topic.clone(),
            bytes: letter.payload.len(),
        }
    }
}

fn shows(api: &Api, caller: &Caller, letter: &StoredDeadLetter) -> bool {
    caller.scope.covers(api.rules.source_sites.get(&SourceId::from(letter.source.as_str())))
}

async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(filter): Query<LetterFilter>,
) -> Result<Json<Page<Letter>>, Problem> {
    let limit = Limit::of(filter.limit).min(MAX_LETTERS);
    let cursor = filter.cursor.map(|cursor| number(&cursor.0)).transpose()?;
    let mut after = cursor;
    let mut letters = Vec::new();
    // There are at most `journal.max_dead_letters` of them.
    while letters.len() <= limit {
        let window = api.reader.dead_letters(after, MAX_LETTERS).await?;
        let Some(last) = window.last() else { break };
        after = Some(last.id);
        letters.extend(window.iter().filter(|letter| shows(&api, &caller, letter)).map(Letter::of));
    }
    Ok(Json(Page::cut(letters, limit, |letter| letter.id.to_string())))
}

fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::BadRequest("the cursor is not one of this list".to_owned()))
}

async fn find(api: &Api, caller: &Caller, id: &str) -> Result<StoredDeadLetter, Problem> {
    let found = match id.parse() {
        Ok(id) => api.reader.dead_letter(id).await?,
        Err(_) => None,
    };
    let found = found.filter(|letter| shows(api, caller, letter));
    found.ok_or_else(|| Problem::NotFound { what: "dead letter", name: id.to_owned() })
}

async fn read(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    seen: Seen,
) -> Result<Response, Problem> {
    let letter = find(&api, &caller, &id).await?;
    seen.answer(&WholeLetter { letter: Letter::of(&letter), payload: hex::encode(&letter.payload) })
}

async fn replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Replay>), Problem> {
    let letter = find(&api, &caller, &id).await?;
    let unknown = request_replay(api.reader.path(), &[letter.id]).await?;
    match unknown.is_empty() {
        true => Ok((StatusCode::ACCEPTED, Json(Replay { id: letter.id }))),
        false => Err(Problem::NotFound { what: "dead letter", name: id }),
    }
}
