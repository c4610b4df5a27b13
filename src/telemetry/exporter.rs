//! `/metrics`, `/healthz` and `/readyz`, on a listener of their own.

use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Readiness;

/// Histograms keep their raw samples until someone looks; this bounds how many that are.
const UPKEEP: Duration = Duration::from_secs(5);
/// Seconds; a commit is meant to take well under 0.1.
const SECONDS_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Clone)]
struct Exporter {
    handle: Option<&'static PrometheusHandle>,
    ready: Readiness,
}

/// Installs the process's recorder, so that whatever counts from here on is counted.
pub fn install() {
    recorder();
}

/// Serves until `shutdown`.
pub async fn serve(listener: TcpListener, ready: Readiness, shutdown: CancellationToken) {
    let exporter = Exporter { handle: recorder(), ready };
    let upkeep = tokio::spawn(keep_up(exporter.handle, shutdown.clone()));
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readiness))
        .with_state(exporter);
    let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the metrics listener failed");
    }
    upkeep.abort();
}

/// One recorder a process, whoever asks first.
fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let installed = RECORDER.get_or_init(|| {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
            .and_then(PrometheusBuilder::install_recorder)
            .inspect_err(|error| tracing::error!(%error, "failed to install the metrics recorder"))
            .ok()
    });
    installed.as_ref()
}

async fn keep_up(handle: Option<&'static PrometheusHandle>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(UPKEEP);
    while !shutdown.is_cancelled() {
        tick.tick().await;
        if let Some(handle) = handle {
            handle.run_upkeep();
        }
    }
}

async fn metrics(State(exporter): State<Exporter>) -> Response {
    let Some(handle) = exporter.handle else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the metrics recorder could not be installed\n")
            .into_response();
    };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render()).into_response()
}

async fn readiness(State(exporter): State<Exporter>) -> Response {
    let missing = exporter.ready.missing();
    if missing.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join("; "))).into_response()
}
