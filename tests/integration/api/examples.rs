//! The API's examples in README.md are typed in as they stand, against a running daemon.

use std::process::Command;

use reqwest::StatusCode;
use serde_json::json;

use super::{ADMIN, Api};
use crate::servers::find;

/// Where the README says that the daemon listens.
const README_BASE: &str = "http://127.0.0.1:8080";

/// Commands of ```sh blocks that call the API, continued lines joined.
fn examples(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let blocks = joined.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).map(str::trim);
    lines.filter(|line| line.starts_with("curl ") && line.contains("/api/v1/")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_in_the_readme_work() {
    let Some(_) = find("TALLYMAN_TEST_CURL", "curl", "the_examples_in_the_readme_work") else { return };
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let examples = examples(&readme);
    assert!(examples.len() >= 6, "{examples:?}");
    let mut api = Api::start().await;
    let asset =
        json!({ "records": [{ "table": "asset", "id": "FL-07", "class": "forklift", "home_zone": "hall" }] });
    assert_eq!(api.post(ADMIN, "/api/v1/register", asset).await.0, StatusCode::OK);
    for example in examples {
        let command = example.replace(README_BASE, &api.base);
        assert_ne!(command, example, "it does not call {README_BASE}");
        // A stream goes on: what comes within a moment is enough, and cutting it off is no failure (28).
        let stream = command.contains("/stream");
        let command = command.replacen("curl ", "curl -sS --fail-with-body --max-time 3 ", 1);
        let output = Command::new("sh").args(["-c", &command]).env("TOKEN", ADMIN).output().expect("sh runs");
        let told = String::from_utf8_lossy(&output.stdout);
        let good = output.status.success() || (stream && output.status.code() == Some(28));
        assert!(good && !told.is_empty(), "{command}\n{told}{}", String::from_utf8_lossy(&output.stderr));
    }
    let (_, asset) = api.get(ADMIN, "/api/v1/assets/FL-07").await;
    assert_eq!(asset["current"]["checkout"]["holder"], "night shift", "{asset}");
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}
