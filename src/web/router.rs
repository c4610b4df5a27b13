//! Paths → handlers, behind tokens or not.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::auth::Caller;
use super::problem::Problem;
use super::{Api, assets, commands, events, status};

/// A register of a million assets in one import is about this large.
const MAX_BODY_BYTES: usize = 256 << 20;

/// The API for whoever may open the control socket.
pub(super) fn trusted(api: Arc<Api>) -> Router {
    paths(api).layer(from_fn(|mut request: Request, next: Next| async move {
        request.extensions_mut().insert(Caller::local());
        next.run(request).await
    }))
}

/// The API for whoever has a token.
pub(super) fn behind_tokens(api: Arc<Api>) -> Router {
    paths(api.clone()).layer(from_fn_with_state(api, authenticate))
}

async fn authenticate(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    match Caller::authenticate(request.headers(), &api.tokens) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn paths(api: Arc<Api>) -> Router {
    Router::new()
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/assets", get(assets::list))
        .route("/api/v1/assets/{asset}", get(assets::explain))
        .route("/api/v1/assets/{asset}/check-in", post(commands::check_in))
        .route("/api/v1/checkouts", post(commands::checkout))
        .route("/api/v1/commands", post(commands::command))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/alerts", get(events::alerts))
        .route("/api/v1/alerts/{rule}/{*subject}", post(commands::on_alert))
        .route("/api/v1/register", post(commands::import))
        .route("/api/v1/register/{table}/{*key}", get(assets::record).delete(commands::remove))
        .fallback(|request: Request| async move {
            Problem::NotFound { what: "path", name: request.uri().path().to_owned() }
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(api)
}
