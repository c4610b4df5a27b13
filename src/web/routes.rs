//! Operations of the API: a path, its handler, who may call it, and its description, said in one place.
//! What is served and what the OpenAPI document tells come from the same list and cannot differ.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::Api;
use super::auth::Caller;
use super::problem::Problem;
use crate::config::Role;
use crate::domain::commands::Outcome;

/// Larger bodies are refused, but for an import.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Every operation's path stands below it.
pub(super) const BASE: &str = "/api/v1";

pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

pub(super) struct Operation {
    pub method: Method,
    /// Below [`BASE`], as axum writes it: `/assets/{asset}`, `/register/{table}/{*key}`.
    pub path: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    pub role: Role,
    pub query: Option<SchemaOf>,
    /// Name, description and pattern of a header that it takes beside the usual ones.
    pub header: Option<(&'static str, &'static str, &'static str)>,
    pub body: Option<(SchemaOf, Value)>,
    pub needs_body: bool,
    pub answers: Vec<Answer>,
    pub problems: BTreeSet<u16>,
    /// Takes an `Idempotency-Key`.
    pub once: bool,
    /// Takes `If-Match` and `If-None-Match: *`.
    pub conditional: bool,
    /// Has an ETag and knows 304.
    pub tagged: bool,
    max_body_bytes: usize,
    handler: MethodRouter<Arc<Api>>,
}

/// An answer that is no problem.
pub(super) struct Answer {
    pub status: StatusCode,
    pub description: &'static str,
    pub media_type: &'static str,
    pub schema: SchemaOf,
    pub example: Value,
}

impl Operation {
    pub fn get<T: 'static>(
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        handler: impl Handler<T, Arc<Api>>,
    ) -> Self {
        Self::new(Method::GET, path, id, summary, on(MethodFilter::GET, handler))
    }

    pub fn post<T: 'static>(
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        handler: impl Handler<T, Arc<Api>>,
    ) -> Self {
        Self::new(Method::POST, path, id, summary, on(MethodFilter::POST, handler))
    }

    pub fn put<T: 'static>(
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        handler: impl Handler<T, Arc<Api>>,
    ) -> Self {
        Self::new(Method::PUT, path, id, summary, on(MethodFilter::PUT, handler))
    }

    pub fn delete<T: 'static>(
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        handler: impl Handler<T, Arc<Api>>,
    ) -> Self {
        Self::new(Method::DELETE, path, id, summary, on(MethodFilter::DELETE, handler))
    }

    fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        handler: MethodRouter<Arc<Api>>,
    ) -> Self {
        // What may come of any request: no token, not this token, too many, not now.
        let mut problems = BTreeSet::from([401, 403, 429, 500, 503]);
        if path.contains('{') {
            problems.extend([400, 404]);
        }
        Self {
            method,
            path,
            id,
            summary,
            role: Role::Viewer,
            query: None,
            header: None,
            body: None,
            needs_body: true,
            answers: Vec::new(),
            problems,
            once: false,
            conditional: false,
            tagged: false,
            max_body_bytes: MAX_BODY_BYTES,
            handler,
        }
    }

    /// The least role that may call it; a viewer where nothing is said.
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Its query parameters: the fields of `T`.
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(T::json_schema);
        self.problem(400)
    }

    pub fn header(mut self, name: &'static str, description: &'static str, pattern: &'static str) -> Self {
        self.header = Some((name, description, pattern));
        self.problem(400)
    }

    /// Its JSON body.
    pub fn body<T: JsonSchema>(mut self, example: Value) -> Self {
        self.body = Some((|schemas| schemas.subschema_for::<T>(), example));
        self.problems.extend([400, 408, 413, 415, 422]);
        self
    }

    /// The same, of one that need not be there.
    pub fn body_if_any<T: JsonSchema>(mut self, example: Value) -> Self {
        self.needs_body = false;
        self.body::<T>(example)
    }

    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    pub fn answers<T: JsonSchema>(
        self,
        status: StatusCode,
        description: &'static str,
        example: Value,
    ) -> Self {
        self.answers_as::<T>(status, description, "application/json", example)
    }

    pub fn answers_as<T: JsonSchema>(
        mut self,
        status: StatusCode,
        description: &'static str,
        media_type: &'static str,
        example: Value,
    ) -> Self {
        let schema: SchemaOf = |schemas| schemas.subschema_for::<T>();
        self.answers.push(Answer { status, description, media_type, schema, example });
        self
    }

    /// One resource, with an ETag.
    pub fn tagged(mut self) -> Self {
        self.tagged = true;
        self
    }

    /// It goes through `track`, may be given again under an idempotency key, and says what it did.
    pub fn command(mut self, status: StatusCode, example: Value) -> Self {
        self.once = true;
        self.problems.extend([400, 404, 409, 422]);
        self.answers::<Outcome>(status, "Done, and durable: what it did.", example)
    }

    /// Only if the record is as the caller took it to be.
    pub fn conditional(mut self) -> Self {
        self.conditional = true;
        self.problem(412)
    }

    pub fn problem(mut self, status: u16) -> Self {
        self.problems.insert(status);
        self
    }

    pub(super) fn mount(self, router: Router<Arc<Api>>) -> Router<Arc<Api>> {
        let role = self.role;
        let check = move |caller: Caller, request: Request, next: Next| async move {
            caller.require(role)?;
            Ok::<Response, Problem>(next.run(request).await)
        };
        let handler = self.handler.route_layer(DefaultBodyLimit::max(self.max_body_bytes));
        router.route(&format!("{BASE}{}", self.path), handler.route_layer(from_fn(check)))
    }
}
