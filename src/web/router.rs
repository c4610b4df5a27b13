//! Operations → a router, behind a gate that knows who asks.
//!
//! The gate is the outermost layer: who has no token does not even learn which paths there are. It lets a
//! request's work run as a task of its own, so that a client that goes away leaves no half-way work
//! behind, and writes the audit log.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::auth::Caller;
use super::extract::IDEMPOTENCY_KEY;
use super::limits::Buckets;
use super::problem::Problem;
use super::routes::BASE;
use super::serve::Peer;
use super::{Api, openapi, operations};
use crate::config::TokenList;

/// Who stands before the handlers.
struct Gate {
    api: Arc<Api>,
    /// `None` on the control socket: whoever may open it may do everything.
    tokens: Option<Tokens>,
    timeout: Duration,
}

struct Tokens {
    known: TokenList,
    /// Requests by token.
    requests: Buckets<Arc<str>>,
    /// Requests that no token let in, by address.
    failures: Buckets<Option<IpAddr>>,
}

/// The API for whoever may open the control socket.
pub(super) fn trusted(api: Arc<Api>) -> Router {
    // An import of a million records takes its time, and nobody else is kept waiting by it.
    let timeout = Duration::from_secs(600);
    guarded(Gate { tokens: None, timeout, api })
}

/// The API for whoever has a token.
pub(super) fn behind_tokens(api: Arc<Api>) -> Router {
    let config = &api.config;
    let tokens = Tokens {
        known: config.tokens.clone(),
        requests: Buckets::new(config.requests, Instant::now()),
        failures: Buckets::new(config.failures, Instant::now()),
    };
    guarded(Gate { tokens: Some(tokens), timeout: config.request_timeout, api })
}

fn guarded(gate: Gate) -> Router {
    let api = gate.api.clone();
    paths(&api).with_state(api).layer(from_fn_with_state(Arc::new(gate), guard))
}

fn paths(api: &Api) -> Router<Arc<Api>> {
    let operations = operations(&api.config);
    let document = openapi::document(&operations).to_string();
    let mut router = Router::new();
    for operation in operations {
        router = operation.mount(router);
    }
    let document = axum::body::Bytes::from(document);
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    router
        .route(&format!("{BASE}/openapi.json"), get(async move || (json, document)))
        .method_not_allowed_fallback(async |method: Method| Problem::MethodNotAllowed(method.to_string()))
        .fallback(async |request: Request| Problem::NotFound {
            what: "path",
            name: request.uri().path().to_owned(),
        })
}

async fn guard(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    let (who, response) = match gate.admit(&request, asked.peer) {
        Ok(caller) => {
            let name = caller.name.clone();
            request.extensions_mut().insert(caller);
            (name, gate.run(request, next).await)
        }
        Err((name, problem)) => (name, problem.into_response()),
    };
    asked.log(&who, response.status());
    response
}

impl Gate {
    /// Gives whom it lets in, or whom it refuses and why.
    fn admit(&self, request: &Request, peer: Option<IpAddr>) -> Result<Caller, (Arc<str>, Problem)> {
        let Some(tokens) = &self.tokens else { return Ok(Caller::local()) };
        let now = self.api.clock.now();
        match Caller::authenticate(request.headers(), &tokens.known.now(), now) {
            Ok(caller) => match tokens.requests.take(caller.name.clone(), Instant::now()) {
                Ok(()) => Ok(caller),
                Err(retry_after) => Err((caller.name, Problem::TooMany { retry_after })),
            },
            // A right token is never counted here: behind a proxy, all callers have one address.
            Err(problem) => match tokens.failures.take(peer.map(network), Instant::now()) {
                Ok(()) => Err(("nobody".into(), problem)),
                Err(retry_after) => Err(("nobody".into(), Problem::TooMany { retry_after })),
            },
        }
    }

    async fn run(&self, request: Request, next: Next) -> Response {
        let task = tokio::spawn(next.run(request));
        match tokio::time::timeout(self.timeout, task).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::error!(%error, "a handler of the API ended badly");
                Problem::Broken.into_response()
            }
            Err(_) => Problem::TimedOut.into_response(),
        }
    }
}

/// Whom a failure is counted for: of IPv6, the network that one customer has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

/// A request as the audit log has it.
struct Asked {
    method: Method,
    path: String,
    peer: Option<IpAddr>,
    key: Option<HeaderValue>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            peer: request.extensions().get::<Peer>().and_then(|peer| peer.0),
            key: request.headers().get(IDEMPOTENCY_KEY).cloned(),
        }
    }

    /// Writes, and whatever was refused to somebody, are told; what is merely read, to those who debug.
    fn log(&self, by: &str, status: StatusCode) {
        let Self { method, path, peer, key } = self;
        let from = peer.map(|peer| peer.to_string());
        let from = from.as_deref().unwrap_or("control socket");
        let status = status.as_u16();
        let key = key.as_ref().and_then(|key| key.to_str().ok());
        if matches!(*method, Method::GET | Method::HEAD) && !matches!(status, 401 | 403 | 429) {
            tracing::debug!(target: "tallyman::audit", by, from, %method, path, status, "read");
        } else {
            tracing::info!(target: "tallyman::audit", by, from, %method, path, status, key, "asked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_ipv4_address_and_ipv6_network() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
