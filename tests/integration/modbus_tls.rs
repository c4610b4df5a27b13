//! Modbus/TCP Security: a device behind TLS that asks for our certificate. `openssl` makes the certificates.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use tallyman::config;
use tallyman::domain::frames::{LinkState, ModbusFailure, Payload};
use tallyman::source::{Intake, modbus};
use tallyman_simulators::modbus::Table;
use tallyman_simulators::modbus::bank::{Bank, telling};

use crate::cli::{Said, tallyman};
use crate::readers::{Issued, tls_in_front_of};
use crate::servers::find;
use crate::source::{Source, reason};

const UNIT: u8 = 3;

/// `tls`: what stands in the braces, if any.
fn text(address: SocketAddr, tls: &str) -> String {
    let tls = if tls.is_empty() { String::new() } else { format!("tls = {{ {tls} }}\n") };
    format!(
        "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n\
         [[modbus]]\nname = \"meter\"\nsite = \"s\"\naddress = \"{address}\"\n{tls}unit = {UNIT}\nbase = 0\npoll = \"50ms\"\n\
         timeout = \"5s\"\nbackoff = {{ first = \"10ms\", last = \"20ms\" }}\n\
         [[modbus.point]]\nname = \"power\"\ntable = \"holding\"\naddress = 7\ntype = \"u16\"\n"
    )
}

fn run(text: &str) -> Source {
    let config = config::parse(text, Path::new("."), &|_| None).unwrap().modbus.remove(0);
    Source::start(100, |intake, shutdown| modbus::run(config, intake, shutdown))
}

/// The first reason why the line is down; until then nothing is read.
async fn refused(text: &str) -> String {
    let mut source = run(text);
    let why = loop {
        match source.next().await {
            Intake::Link(change) => match change.state {
                LinkState::Up { .. } => panic!("it answered"),
                state => break reason(state),
            },
            Intake::Frame(frame) => assert!(failure(&frame.payload).is_some(), "{frame:?}"),
            other => panic!("{other:?}"),
        }
    };
    // Bad quality says the same.
    let told = loop {
        let Intake::Frame(frame) = source.next().await else { continue };
        match failure(&frame.payload) {
            Some(ModbusFailure::Transport(told)) if *told != "not connected yet" => break told.clone(),
            Some(_) => {}
            None => panic!("{frame:?}"),
        }
    };
    assert_eq!(told, why);
    source.stop().await;
    why
}

fn failure(payload: &Payload) -> Option<&ModbusFailure> {
    let Payload::Modbus(answer) = payload else { panic!("{payload:?}") };
    answer.registers.as_ref().err()
}

async fn check(text: &str) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tallyman.toml");
    std::fs::write(&path, text).unwrap();
    let check = move || tallyman(&["check", "--connect", "-c", &path.display().to_string()]);
    tokio::task::spawn_blocking(check).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_and_we_show_certificates_and_wrong_ones_are_told() {
    let test = "a Modbus device behind TLS";
    let Some(openssl) = find("TALLYMAN_TEST_OPENSSL", "openssl", test) else { return };
    let [theirs, ours, other] = [(); 3].map(|()| Issued::new(&openssl));
    let bank =
        Bank::tcp(BTreeMap::from([(UNIT, telling(UNIT, Table::Holding, 0..10))]), false).await.unwrap();
    let address = tls_in_front_of(bank.address().unwrap(), &theirs.files, Some(&ours.ca())).await;
    let ca = |issued: &Issued| format!("ca_file = \"{}\"", issued.ca().display());
    let shows = |issued: &Issued| {
        let (cert, key) = (issued.files.cert_file.display(), issued.files.key_file.display());
        format!(", cert_file = \"{cert}\", key_file = \"{key}\"")
    };

    let right = text(address, &(ca(&theirs) + &shows(&ours)));
    let mut source = run(&right);
    assert_eq!(source.link_among_frames().await, LinkState::Up { replaying: false });
    loop {
        let Intake::Frame(frame) = source.next().await else { panic!("the line went down") };
        let Payload::Modbus(answer) = frame.payload else { panic!("{:?}", frame.payload) };
        if let Ok(registers) = answer.registers {
            assert_eq!(registers, [3007]);
            break;
        }
    }
    source.stop().await;
    let told = check(&right).await;
    assert!(told.succeeds().contains("point power reads 3007 (registers [3007])"), "{}", told.succeeds());

    let asked = bank.take_asked().len();
    for (tls, expected) in [
        // An authority that did not issue the device's certificate.
        (ca(&other) + &shows(&ours), "is not trusted"),
        // A certificate for another name than the one that we ask for.
        (ca(&theirs) + &shows(&ours) + ", server_name = \"meter.example.com\"", "is not trusted"),
        // No certificate of ours, and one of another authority than the device asks for; both call themselves the same.
        (ca(&theirs), "does not take our certificate, or misses one (CertificateRequired): see cert_file"),
        (ca(&theirs) + &shows(&other), "does not take our certificate, or misses one (DecryptError)"),
        // Modbus without TLS, where there is.
        (String::new(), "the device closed the connection"),
    ] {
        let wrong = text(address, &tls);
        let why = refused(&wrong).await;
        assert!(why.contains(expected), "{tls}: {why}");
        let said = check(&wrong).await;
        let told = said.out.lines().find(|line| line.starts_with("FAIL  modbus meter"));
        assert!(said.code == 1 && told.is_some_and(|told| told.contains(expected)), "{said:?}");
    }
    assert!(asked > 0 && bank.take_asked().is_empty(), "nothing of these reached the device");
    bank.stop().await;
}
