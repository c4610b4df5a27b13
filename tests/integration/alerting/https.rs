//! Webhooks over TLS, and what the API says of receivers. `openssl` makes the certificates; without it the
//! test says so by name.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::daemon::Daemon;
use crate::servers::{PATIENCE, find, free_port};

/// An authority of its own, `ca.pem`, and what it issues for 127.0.0.1, `server.pem` and `server.key`.
pub fn issue(openssl: &Path, folder: &Path) {
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let run = |arguments: &[&str]| {
        let output =
            Command::new(openssl).current_dir(folder).args(arguments).output().expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let authority = ["-subj", "/CN=ca", "-out", "ca.pem", "-keyout", "ca.key"];
    run(&[&["req", "-x509"], &curve[..], &authority[..]].concat());
    let server = ["-subj", "/CN=hook", "-addext", "subjectAltName=IP:127.0.0.1", "-addext"];
    let server = [&server[..], &["basicConstraints=critical,CA:FALSE"]].concat();
    let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-out", "server.pem", "-keyout", "server.key"];
    run(&[&["req", "-x509"], &curve[..], &server[..], &signed[..]].concat());
}

/// Takes what comes over TLS, and answers 200, or 410 to an end. Gives the bodies.
async fn receive(listener: TcpListener, folder: std::path::PathBuf, taken: Arc<Mutex<Vec<Value>>>) {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(folder.join("server.pem")).expect("a certificate").collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain.expect("a certificate"), key)
        .expect("they go together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(acceptor.clone(), stream, taken.clone()));
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, taken: Arc<Mutex<Vec<Value>>>) {
    // Who does not trust us leaves.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut bytes = Vec::new();
    while stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() < length.expect("a length").parse::<usize>().expect("a number") {
            continue;
        }
        let event: Value = serde_json::from_str(body).expect("JSON");
        let gone = event["type"] == "tallyman.alert.resolved";
        taken.lock().unwrap().push(event);
        // The connection is kept: the next message comes over it.
        let status = if gone { "410 Gone" } else { "200 OK" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.expect("it waits for the answer");
        bytes.clear();
    }
}

async fn receivers(daemon: &Daemon) -> Vec<Value> {
    let client = reqwest::Client::builder().unix_socket(daemon.path("journal.db.sock")).timeout(PATIENCE);
    let client = client.build().expect("a client");
    let answer = client.get("http://localhost/api/v1/status").send().await.expect("an answer");
    let status: Value = answer.json().await.expect("JSON");
    status["receivers"].as_array().expect("an array").clone()
}

async fn hook(daemon: &Daemon) -> Value {
    receivers(daemon).await.into_iter().find(|of| of["name"] == "hook").expect("the webhook")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_over_tls_trusts_its_own_authority_only_and_the_api_says_how_it_stands() {
    let test = "a webhook over TLS trusts its own authority only and the API says how it stands";
    let Some(openssl) = find("TALLYMAN_TEST_OPENSSL", "openssl", test) else { return };
    let folder = tempfile::tempdir().unwrap();
    issue(&openssl, folder.path());
    let foreign = tempfile::tempdir().unwrap();
    issue(&openssl, foreign.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn(receive(listener, folder.path().to_owned(), taken.clone()));

    // A reader that is not there, and comes.
    let port = free_port();
    let mut daemon = Daemon::prepare(|place| {
        format!(
            "node = \"n\"\n{}\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n\
             [[reader]]\nname = \"gate\"\nprotocol = \"llrp\"\naddress = \"127.0.0.1:{port}\"\n\
             backoff = {{ first = \"100ms\", last = \"200ms\" }}\n[alerts]\nreader_down_after = \"1s\"\n\
             [notify.alertmanager]\nurls = [\"https://{address}/am\"]\nca_file = \"ca.pem\"\n\
             [notify.log]\n[[notify.webhook]]\nname = \"hook\"\nurl = \"https://me:secret@{address}/hook\"\n\
             secret = \"s\"\nca_file = \"ca.pem\"\nbackoff = {{ first = \"50ms\", last = \"100ms\" }}\n",
            place.tables("")
        )
    });
    std::fs::copy(foreign.path().join("ca.pem"), daemon.path("ca.pem")).unwrap();
    daemon.start();
    daemon.ready().await;
    daemon
        .until("the wrong authority is told", async |daemon| {
            hook(daemon).await["last_error"]["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("its certificate is not trusted"))
        })
        .await;
    let seen = hook(&daemon).await;
    assert_eq!((seen["kind"].as_str(), seen["behind"].as_u64()), (Some("webhook"), Some(1)), "{seen}");
    assert_eq!(seen["last_success"], Value::Null);
    assert!(seen["waiting_since"].is_string() && !seen.to_string().contains("secret"), "{seen}");
    assert!(daemon.log().contains("its certificate is not trusted"), "{}", daemon.log());
    assert!(taken.lock().unwrap().is_empty());
    let all = receivers(&daemon).await;
    let kinds: Vec<&str> = all.iter().filter_map(|of| of["kind"].as_str()).collect();
    assert_eq!(kinds, ["alertmanager", "webhook", "log"]);
    assert!(all[0]["last_error"]["reason"].as_str().unwrap().contains("not trusted"), "{}", all[0]);
    assert!(all[2]["last_success"].is_string(), "{}", all[2]);

    // The right one, without a restart.
    std::fs::copy(folder.path().join("ca.pem"), daemon.path("ca.pem")).unwrap();
    daemon.until("the webhook is taken", async |daemon| hook(daemon).await["last_success"].is_string()).await;
    let seen = hook(&daemon).await;
    assert_eq!((seen["behind"].as_u64(), &seen["waiting_since"]), (Some(0), &Value::Null), "{seen}");
    daemon
        .until("Alertmanager too", async |daemon| receivers(daemon).await[0]["last_success"].is_string())
        .await;
    let of_the_hook = |event: &&Value| event["specversion"] == "1.0";
    assert_eq!(taken.lock().unwrap().iter().filter(of_the_hook).count(), 1);

    // What it answers 410 to disables it.
    let truth = Arc::new(tallyman_simulators::truth::TruthLog::new(None, false, true).unwrap());
    let options = tallyman_simulators::llrp::ReaderOptions {
        listen: ([127, 0, 0, 1], port).into(),
        ..tallyman_simulators::llrp::ReaderOptions::named("gate")
    };
    let _reader = tallyman_simulators::llrp::Reader::start(options, truth).await.unwrap();
    daemon.until("it is gone", async |daemon| hook(daemon).await["disabled_since"].is_string()).await;
    assert_eq!(taken.lock().unwrap().iter().filter(of_the_hook).count(), 2);
}
