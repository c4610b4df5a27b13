//! Errors as `application/problem+json` (RFC 9457).

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::domain::commands::Refused;
use crate::journal::JournalError;

#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("a bearer token is needed: send `Authorization: Bearer TOKEN`")]
    Unauthenticated,
    #[error("this token may not do that: it takes the role `{0}`")]
    Forbidden(&'static str),
    #[error("there is no {what} `{name}`")]
    NotFound { what: &'static str, name: String },
    #[error(transparent)]
    Body(#[from] JsonRejection),
    #[error(transparent)]
    Query(#[from] QueryRejection),
    #[error(transparent)]
    Path(#[from] PathRejection),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the journal could not be read: try again")]
    Journal(#[from] JournalError),
    #[error("a row of the journal could not be read")]
    Row(#[from] serde_json::Error),
    #[error("the daemon is stopping; try again when it is back")]
    Stopping,
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound { .. } | Self::Refused(Refused::NotFound { .. }) => StatusCode::NOT_FOUND,
            Self::Refused(Refused::Invalid { .. }) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Refused(Refused::Conflict { .. }) => StatusCode::CONFLICT,
            Self::Body(rejection) => rejection.status(),
            Self::Query(rejection) => rejection.status(),
            Self::Path(rejection) => rejection.status(),
            Self::Refused(Refused::NotCommitted { .. }) | Self::Stopping | Self::Journal(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Row(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            let error: &dyn std::error::Error = &self;
            tracing::warn!(error, "an API request failed");
        }
        let body = json!({
            "title": status.canonical_reason().unwrap_or("error"),
            "status": status.as_u16(),
            "detail": self.to_string(),
        });
        let mut response = (status, Json(body)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
