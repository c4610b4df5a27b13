//! Requests of any shape, made from our own OpenAPI document by `schemathesis`: no 5xx, no status and no
//! body that is not documented. Without it the test says so by name, unless servers are required.

use std::process::Command;

use serde_json::json;

use super::{ADMIN, Api, assets};
use crate::servers::find;

/// What every answer is held against.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,ignored_auth";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_any_shape_get_documented_answers() {
    let test = "requests_of_any_shape_get_documented_answers";
    let Some(schemathesis) = find("TALLYMAN_TEST_SCHEMATHESIS", "schemathesis", test) else { return };
    let web = "requests_per_second = 100000\nrequest_burst = 1000000\nfailures_per_minute = 100000\n\
               failure_burst = 100000\nmax_import = \"1MiB\"";
    let mut api = Api::start_with(web, "").await;
    let (status, _) = api.post(ADMIN, "/api/v1/register", assets(20)).await;
    assert!(status.is_success());
    let checkout = json!({ "asset": "FL-001", "holder": "Ada" });
    assert!(api.post(ADMIN, "/api/v1/checkouts", checkout).await.0.is_success());
    let seed = std::env::var("TALLYMAN_FUZZ_SEED").unwrap_or_else(|_| "1".to_owned());
    let (url, folder) = (format!("{}/api/v1/openapi.json", api.base), api.daemon.path("fuzz"));
    std::fs::create_dir(&folder).unwrap();
    let fuzz = move || {
        Command::new(schemathesis)
            .args(["run", &url, "-H", &format!("Authorization: Bearer {ADMIN}"), "--checks", CHECKS])
            // Streams have no end to wait for; their parameters are tested with them.
            .args(["--exclude-operation-id", "streamEvents", "--exclude-operation-id", "watchReadPoint"])
            .args(["--max-examples", "15", "--max-time", "45"])
            .args(["--seed", &seed, "--request-timeout", "20", "--warnings", "off", "--no-color"])
            .current_dir(folder)
            .output()
            .expect("schemathesis runs")
    };
    let output = tokio::task::spawn_blocking(fuzz).await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    let tested = told.lines().find(|line| line.contains("generated")).unwrap_or_default();
    let count: u64 = tested.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(count > 500, "hardly anything was tried: {told}");
    assert_eq!(api.daemon.stop().await.code(), Some(0), "{}", api.daemon.log());
}
