//! The simulated reader against a client that others wrote: `sllurp` inventories it. Where it is not installed (and
//! `TALLYMAN_TEST_SLLURP` does not name it), the test says so and passes, unless `TALLYMAN_REQUIRE_SERVERS` is set.

use std::process::{Command, Stdio};
use std::sync::Arc;

use tallyman_simulators::clock::wall_now;
use tallyman_simulators::llrp::{Reader, ReaderOptions, TagObservation};
use tallyman_simulators::truth::TruthLog;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sllurp_inventories_the_reader() {
    let program = std::env::var("TALLYMAN_TEST_SLLURP").unwrap_or_else(|_| "sllurp".to_owned());
    if !Command::new(&program).arg("--help").output().is_ok_and(|output| output.status.success()) {
        assert!(
            std::env::var_os("TALLYMAN_REQUIRE_SERVERS").is_none(),
            "sllurp is required and not installed"
        );
        eprintln!("skipped: sllurp is not installed");
        return;
    }
    let reader = Reader::start(ReaderOptions::named("r"), Arc::new(TruthLog::default())).await.unwrap();
    let port = reader.address().port().to_string();
    // Whoever runs the tests in the background has them ignore Ctrl-C, and their children too.
    let client = Command::new("env")
        .args(["--default-signal=INT", &program])
        .args(["inventory", "--report-every-n-tags", "1", "--antennas", "0", "--port", &port, "127.0.0.1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let process = client.id().to_string();
    let inventoried = tokio::task::spawn_blocking(move || client.wait_with_output().unwrap());
    super::within("an ROSpec of sllurp's", reader.listening()).await;
    for _ in 0..20 {
        reader.read(TagObservation { antenna: 2, epc: hex(EPC), rssi_dbm: -61, at: wall_now(), count: 1 });
    }
    super::until("every read is reported", || reader.counts().sent == 20).await;
    // As a person ends it, with Ctrl-C: it then takes leave of the reader, and sums up.
    assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
    let output = super::within("sllurp's end", inventoried).await.unwrap();
    let succeeded = output.status.success();
    let said =
        [output.stderr, output.stdout].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(succeeded, "{said}");
    assert!(said.to_lowercase().contains(EPC), "{said}");
    reader.stop().await;
}

const EPC: &str = "30340257bf7194e400001a85";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
