//! Limits: how often, how much, until when; and that everything that is refused is a problem document.

use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{ADMIN, Api, OPERATOR, VIEWER, answer, assets, token_lines};
use crate::servers::PATIENCE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_token_has_its_rate_and_wrong_ones_share_their_addresss() {
    let web = "requests_per_second = 0.1\nrequest_burst = 5\nfailures_per_minute = 1\nfailure_burst = 4";
    let mut api = Api::start_with(web, "").await;
    let mut passed = 0;
    let refused = loop {
        let response = api.request(VIEWER, Method::GET, "/api/v1/status").send().await.unwrap();
        if response.status() != StatusCode::OK {
            break response;
        }
        passed += 1;
    };
    assert_eq!((refused.status(), passed), (StatusCode::TOO_MANY_REQUESTS, 5));
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    for _ in 0..4 {
        assert_eq!(api.get("wrong", "/api/v1/status").await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(api.get("wrong", "/api/v1/status").await.0, StatusCode::TOO_MANY_REQUESTS);
    let nobody = answer(Client::new().get(format!("{}/api/v1/status", api.base))).await;
    assert_eq!(nobody.0, StatusCode::TOO_MANY_REQUESTS);
    // A right token is not held up by what others do from the same address.
    assert_eq!(api.get(OPERATOR, "/api/v1/status").await.0, StatusCode::OK);
    let log = api.daemon.log();
    let of_wall = |line: &str| line.contains("by=\"wall\"") && line.contains("status=429");
    assert!(log.lines().any(of_wall), "{log}");
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_has_ended_lets_nobody_in_and_writes_are_in_the_audit_log() {
    let more = token_lines("old", "old-token", "admin")
        + "expires = \"2026-01-01T00:00:00Z\"\n"
        + &token_lines("new", "new-token", "admin")
        + "expires = \"2100-01-01T00:00:00Z\"\n";
    let mut api = Api::start_with("", &more).await;
    assert_eq!(api.get("old-token", "/api/v1/status").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(api.get("new-token", "/api/v1/status").await.0, StatusCode::OK);
    assert_eq!(api.post("new-token", "/api/v1/register", assets(1)).await.0, StatusCode::OK);
    assert_eq!(api.post(VIEWER, "/api/v1/register", assets(1)).await.0, StatusCode::FORBIDDEN);
    let log = api.daemon.log();
    let line = |by: &str, status: &str| {
        log.lines().any(|l| l.contains(by) && l.contains(status) && l.contains("127.0.0.1"))
    };
    assert!(line("new", "status=200") && line("wall", "status=403"), "{log}");
    assert!(!log.contains("new-token"), "a token is never logged");
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused() {
    let mut api = Api::start_with("max_import = \"64KiB\"", "").await;
    let note = json!({ "note": "x".repeat(2 << 20) });
    let large = api.post(OPERATOR, "/api/v1/assets/FL-000/check-in", note).await;
    assert_eq!(large.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(api.post(ADMIN, "/api/v1/register", assets(5000)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(api.post(ADMIN, "/api/v1/register", assets(100)).await.0, StatusCode::OK);
    let long = api.request(VIEWER, Method::GET, "/api/v1/status").header("x-long", "y".repeat(64 << 10));
    assert_eq!(long.send().await.unwrap().status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_hold_up_neither_others_nor_a_stop() {
    let mut api = Api::start_with("max_connections = 4", "").await;
    let address = api.base.trim_start_matches("http://").to_owned();
    let mut silent = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET /api/v1/status HT").await.unwrap();
        silent.push(stream);
    }
    assert_eq!(api.get(VIEWER, "/api/v1/status").await.0, StatusCode::OK);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
    for mut stream in silent {
        let mut rest = Vec::new();
        // Closed by the daemon, in whatever way.
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok());
    }
}
