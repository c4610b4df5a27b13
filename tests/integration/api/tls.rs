//! TLS: `openssl` makes a certificate, `curl` is the client. Without them the test says so by name.

use std::path::Path;
use std::process::Command;

use super::{VIEWER, token_lines};
use crate::daemon::Daemon;
use crate::servers::{find, free_port};

/// A certificate for 127.0.0.1 that is its own authority.
fn certificate(openssl: &Path, cert: &Path, key: &Path) {
    let status = Command::new(openssl)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=tallyman", "-addext", "subjectAltName=IP:127.0.0.1", "-out"])
        .arg(cert)
        .arg("-keyout")
        .arg(key)
        .output()
        .expect("openssl runs");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
}

fn ask(curl: &Path, ca: &Path, url: &str) -> Result<String, String> {
    let header = format!("Authorization: Bearer {VIEWER}");
    let output = Command::new(curl)
        .args(["-sS", "--fail", "--max-time", "10", "--cacert"])
        .arg(ca)
        .args(["-H", &header, url])
        .output()
        .expect("curl runs");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_speaks_tls_and_takes_up_a_new_certificate() {
    let test = "the_api_speaks_tls_and_takes_up_a_new_certificate";
    let Some(openssl) = find("TALLYMAN_TEST_OPENSSL", "openssl", test) else { return };
    let Some(curl) = find("TALLYMAN_TEST_CURL", "curl", test) else { return };
    let port = free_port();
    let mut daemon = Daemon::prepare(|place| {
        let tokens = token_lines("wall", VIEWER, "viewer");
        let listen =
            format!("listen = \"127.0.0.1:{port}\"\ntls = {{ cert_file = \"c.pem\", key_file = \"k.pem\" }}");
        format!("node = \"n\"\n{}\n[web]\n{listen}\n{tokens}", place.tables(""))
    });
    let (cert, key) = (daemon.path("c.pem"), daemon.path("k.pem"));
    certificate(&openssl, &cert, &key);
    let first = daemon.path("first.pem");
    std::fs::copy(&cert, &first).unwrap();
    daemon.start();
    daemon.ready().await;
    let url = format!("https://127.0.0.1:{port}/api/v1/status");
    let told = ask(&curl, &first, &url).expect("an answer over TLS");
    assert!(told.contains("\"node\":\"n\""), "{told}");
    assert!(ask(&curl, &first, &url.replace("https", "http")).is_err(), "plain HTTP is not answered");
    // Renewed: who trusts the new one only gets in, without a restart.
    certificate(&openssl, &cert, &key);
    daemon.until("the new certificate in use", async |_| ask(&curl, &cert, &url).is_ok()).await;
    assert!(ask(&curl, &first, &url).is_err());
    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
}
