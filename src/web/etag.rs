//! One resource with its strong ETag: a hash of the very bytes that are sent.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::Problem;
use crate::domain::orders::hash;

/// The `If-None-Match` of a read; taken by handlers of single resources.
pub(super) struct Seen(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Seen {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let tags = parts.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        Ok(Self(tags.map(str::to_owned)))
    }
}

impl Seen {
    /// The resource, or 304 where the caller has seen it like this.
    pub fn answer(&self, resource: &impl Serialize) -> Result<Response, Problem> {
        let body = serde_json::to_vec(resource)?;
        let tag = format!("\"{}\"", hash(&body));
        let value = HeaderValue::try_from(&tag).map_err(|_| Problem::Broken)?;
        if self.0.as_deref().is_some_and(|seen| matches(seen, &tag)) {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, value)]).into_response());
        }
        let json = HeaderValue::from_static("application/json");
        Ok(([(header::ETAG, value), (header::CONTENT_TYPE, json)], body).into_response())
    }
}

/// Weak comparison, as a read wants it (RFC 9110, 13.1.2).
fn matches(list: &str, tag: &str) -> bool {
    list.trim() == "*" || list.split(',').any(|given| given.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_weak_tags_and_stars_match() {
        for (list, expected) in [
            ("\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("", false),
            ("a", false),
        ] {
            assert_eq!(matches(list, "\"a\""), expected, "{list}");
        }
    }

    #[test]
    fn a_resource_is_tagged_by_its_content_and_not_sent_twice() {
        let first = Seen(None).answer(&["FL-07"]).unwrap();
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        let again = Seen(Some(tag.clone())).answer(&["FL-07"]).unwrap();
        assert_eq!((first.status(), again.status()), (StatusCode::OK, StatusCode::NOT_MODIFIED));
        let changed = Seen(Some(tag)).answer(&["FL-08"]).unwrap();
        assert_eq!(changed.status(), StatusCode::OK);
    }
}
