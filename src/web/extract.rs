//! What handlers take from a request, with our own problems where it does not fit.

use std::time::Duration;

use axum::Json;
use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use serde::de::DeserializeOwned;

use super::auth::Caller;
use super::problem::Problem;
use crate::domain::orders::{Expected, Precondition};

/// A body has to be there by then, whatever its size: 256 MiB need 70 Mbit/s.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longer keys are refused: they are kept.
pub(super) const MAX_KEY_CHARS: usize = 128;

/// A JSON body.
pub(super) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // Only the network is waited for: nothing is cut off but the reading of the body.
        let read = tokio::time::timeout(BODY_TIMEOUT, Json::from_request(request, state)).await;
        let Json(body) = read.map_err(|_| Problem::BodyTooSlow)??;
        Ok(Self(body))
    }
}

/// A JSON body that need not be there.
pub(super) struct BodyIfAny<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for BodyIfAny<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.body().is_end_stream() && !request.headers().contains_key(header::CONTENT_TYPE) {
            return Ok(Self(T::default()));
        }
        Body::from_request(request, state).await.map(|Body(body)| Self(body))
    }
}

/// The query's parameters.
pub(super) struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Query(query) = axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(query))
    }
}

/// The path's parameters.
pub(super) struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(path) = axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(path))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or(Problem::Unauthenticated)
    }
}

/// What comes with a command beside the command: who gives it, its idempotency key, its conditions.
pub(super) struct Writing {
    pub caller: Caller,
    pub key: Option<String>,
    if_match: Option<Expected>,
    if_none_match: bool,
}

impl Writing {
    /// The conditions, as they are meant of this record.
    pub fn only_if(&self, table: &str, key: &str) -> Option<Precondition> {
        let expected = match (&self.if_match, self.if_none_match) {
            (Some(expected), _) => expected.clone(),
            (None, true) => Expected::Absent,
            (None, false) => return None,
        };
        Some(Precondition { table: table.to_owned(), key: key.to_owned(), expected })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Writing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let key = idempotency_key(&parts.headers)?;
        let if_match = match text(&parts.headers, &header::IF_MATCH)? {
            None => None,
            Some("*") => Some(Expected::Present),
            Some(tags) => Some(Expected::Revisions(strong_tags(tags))),
        };
        let if_none_match = match text(&parts.headers, &header::IF_NONE_MATCH)? {
            None => false,
            Some("*") => true,
            Some(_) => return Err(Problem::BadRequest("a write takes `If-None-Match: *` only".to_owned())),
        };
        Ok(Self { caller, key, if_match, if_none_match })
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = text(headers, &IDEMPOTENCY_KEY)? else { return Ok(None) };
    let fits = (1..=MAX_KEY_CHARS).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(Some(key.to_owned()));
    }
    Err(Problem::BadRequest(format!(
        "an Idempotency-Key has 1 to {MAX_KEY_CHARS} visible ASCII characters, for instance a random UUID"
    )))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) => Ok(Some(text.trim())),
        Err(_) => Err(Problem::BadRequest(format!("the header `{name}` is not ASCII text"))),
    }
}

/// The strong tags of a list; weak ones never match here (RFC 9110, 13.1.1).
fn strong_tags(list: &str) -> Vec<String> {
    let tags = list.split(',').map(str::trim).filter(|tag| !tag.starts_with("W/"));
    tags.map(|tag| tag.trim_matches('"').to_owned()).collect()
}
