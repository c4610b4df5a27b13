//! Errors as `application/problem+json` (RFC 9457).
//!
//! `type` names the kind of problem for programs, `title` says it for people, `detail` says what was wrong
//! this time.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clean::CleanRestoreError;
use crate::domain::commands::Refused;
use crate::journal::JournalError;

/// The media type of every error.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("a bearer token is needed: send `Authorization: Bearer TOKEN`")]
    Unauthenticated,
    #[error("this token may not do that: it takes the role `{0}`")]
    Forbidden(&'static str),
    #[error("there is no {what} `{name}`")]
    NotFound { what: &'static str, name: String },
    #[error("there is no read point `{name}`; {known}")]
    NoReadPoint { name: String, known: String },
    #[error("`{0}` is not a method of this path")]
    MethodNotAllowed(String),
    #[error("{0}")]
    BadRequest(String),
    #[error("the body did not arrive in time")]
    BodyTooSlow,
    #[error(transparent)]
    Body(#[from] JsonRejection),
    #[error(transparent)]
    Query(#[from] QueryRejection),
    #[error(transparent)]
    Path(#[from] PathRejection),
    #[error("{0}")]
    Unprocessable(String),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("{0}")]
    Conflict(String),
    #[error("too many requests: wait {retry_after} s")]
    TooMany { retry_after: u64 },
    #[error("there are as many streams as web.max_streams allows")]
    NoStreamLeft,
    #[error("the journal could not be read: try again")]
    Journal(#[from] JournalError),
    #[error("a row of the journal could not be read")]
    Row(#[from] serde_json::Error),
    #[error("a row of a tracker could not be read")]
    TrackerRow(#[from] CleanRestoreError),
    #[error("no answer within the time limit; a command may still be carried out: ask again with its key")]
    TimedOut,
    #[error("the request could not be answered; this is a fault of the daemon's")]
    Broken,
    #[error("the daemon is stopping; try again when it is back")]
    Stopping,
}

/// The body of every answer that is an error.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemBody {
    /// `urn:tallyman:problem:` and a word that stays the same.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// What was wrong this time, in a sentence.
    detail: String,
}

impl Problem {
    /// The status, and the word in `type`.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "role"),
            Self::NotFound { .. } | Self::NoReadPoint { .. } | Self::Refused(Refused::NotFound { .. }) => {
                (StatusCode::NOT_FOUND, "not-found")
            }
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Self::BodyTooSlow => (StatusCode::REQUEST_TIMEOUT, "body-too-slow"),
            Self::Body(rejection) => (rejection.status(), "body"),
            Self::Query(rejection) => (rejection.status(), "query"),
            Self::Path(rejection) => (rejection.status(), "path"),
            Self::Unprocessable(_) | Self::Refused(Refused::Invalid { .. }) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid")
            }
            Self::Refused(Refused::KeyReused { .. }) => (StatusCode::UNPROCESSABLE_ENTITY, "key-reused"),
            Self::Conflict(_) | Self::Refused(Refused::Conflict { .. }) => (StatusCode::CONFLICT, "conflict"),
            Self::Refused(Refused::Forbidden { .. }) => (StatusCode::FORBIDDEN, "site"),
            Self::Refused(Refused::Changed { .. }) => (StatusCode::PRECONDITION_FAILED, "changed"),
            Self::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate"),
            Self::NoStreamLeft => (StatusCode::SERVICE_UNAVAILABLE, "streams"),
            Self::Refused(Refused::Unavailable { .. }) => (StatusCode::SERVICE_UNAVAILABLE, "register-away"),
            Self::TimedOut => (StatusCode::SERVICE_UNAVAILABLE, "time"),
            Self::Refused(Refused::NotCommitted { .. }) | Self::Journal(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "journal")
            }
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            Self::Row(_) | Self::TrackerRow(_) | Self::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "fault"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, word) = self.kind();
        if status.is_server_error() {
            let error: &dyn std::error::Error = &self;
            tracing::warn!(error, "an API request failed");
        }
        let body = ProblemBody {
            kind: format!("urn:tallyman:problem:{word}"),
            title: status.canonical_reason().unwrap_or("error").to_owned(),
            status: status.as_u16(),
            detail: self.to_string(),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::TooMany { retry_after } = self {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
        }
        response
    }
}
