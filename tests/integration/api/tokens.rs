//! Tokens that are taken away while the daemon runs.

use std::fs;
use std::process::Command;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{ADMIN, Api, OPERATOR, VIEWER, assets};
use crate::timescale::rig::eventually;

/// What is read again says so in the log, as often as it was told to.
async fn read_again(api: &Api, config: &str, told: &str, times: usize) {
    fs::write(api.daemon.path("tallyman.toml"), config).unwrap();
    let hangup = Command::new("kill").args(["-HUP", &api.daemon.pid().to_string()]).status().unwrap();
    assert!(hangup.success());
    eventually(told, async || (api.daemon.log().matches(told).count() == times).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_taken_away_is_worth_nothing_without_a_restart() {
    let mut api = Api::start().await;
    let status = "/api/v1/status";
    assert_eq!(api.post(ADMIN, "/api/v1/register", assets(1)).await.0, StatusCode::OK);
    let mut stream = api.request(VIEWER, Method::GET, "/api/v1/events/stream?after=0").send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    let whole = fs::read_to_string(api.daemon.path("tallyman.toml")).unwrap();
    let from = whole.find("[[web.token]]\nname = \"wall\"").unwrap();
    let to = from + 1 + whole[from + 1..].find("[[web.token]]").unwrap();
    let without = format!("{}{}", &whole[..from], &whole[to..]);

    read_again(&api, &without, "the tokens were read again", 1).await;
    assert_eq!(api.get(VIEWER, status).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(api.get(OPERATOR, status).await.0, StatusCode::OK);
    // Who was let in to stay goes with the next that there is to tell.
    let checkout = json!({ "asset": "FL-000", "holder": "Ada" });
    assert_eq!(api.post(OPERATOR, "/api/v1/checkouts", checkout).await.0, StatusCode::CREATED);
    let rest = async { while stream.chunk().await.is_ok_and(|chunk| chunk.is_some()) {} };
    tokio::time::timeout(Duration::from_secs(60), rest).await.expect("the stream ends");

    // What cannot be read changes nothing; what is put back is let in.
    read_again(
        &api,
        &without.replace("role = \"admin\"", "role = \"king\""),
        "the tokens stay as they were",
        1,
    )
    .await;
    assert_eq!(api.get(ADMIN, status).await.0, StatusCode::OK);
    read_again(&api, &whole, "the tokens were read again", 2).await;
    assert_eq!(api.get(VIEWER, status).await.0, StatusCode::OK);
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}
