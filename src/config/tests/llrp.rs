//! LLRP readers: who connects to whom, and what they are to do.

use super::*;
use crate::config::{GpiTrigger, LlrpVersion, Power, Reach, Report, Start, Stop};

fn node(readers: &str) -> String {
    format!("node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n{readers}")
}

fn reader(body: &str) -> String {
    node(&format!("[[reader]]\nname = \"r\"\nprotocol = \"llrp\"\n{body}"))
}

#[test]
fn readers_that_connect_are_known_by_identity_or_address() {
    let listens =
        "[llrp]\nlisten = \"0.0.0.0:5084\"\ntls = { cert_file = \"c.pem\", key_file = \"k.pem\" }\n";
    let table = |name: &str, key: &str| {
        format!("[[reader]]\nname = \"{name}\"\nprotocol = \"llrp\"\nconnect = \"from-reader\"\n{key}\n")
    };
    let text = node(&format!(
        "{listens}{}{}",
        table("a", "identity = \"00:16:25:12:34:56\""),
        table("b", "address = \"10.0.0.7\"")
    ));
    let config = parse(&text, Path::new("/etc"), &no_env).unwrap();
    let tls = config.llrp.unwrap().tls.unwrap();
    assert_eq!((tls.files.cert_file.as_path(), tls.client_ca_file), (Path::new("/etc/c.pem"), None));
    let reach: Vec<String> = config.readers.iter().map(|reader| reader.reach.to_string()).collect();
    assert_eq!(reach, ["connects to us as 00:16:25:12:34:56", "connects to us from 10.0.0.7"]);
    assert_eq!(config.readers[0].connect_timeout, Duration::from_secs(60));
    for (text, told) in [
        (node(&table("a", "address = \"10.0.0.7\"")), "reader[0].connect: \"from-reader\": nothing listens"),
        (node(&format!("{listens}{}", table("a", ""))), "reader[0].identity: missing, and address too"),
        (node(&format!("{listens}{}", table("a", "address = \"10.0.0.7:5084\""))), "not an IP address"),
        (node(&format!("{listens}{}", table("a", "identity = \"dock\""))), "not an identity"),
        (
            node(&format!(
                "{listens}{}{}",
                table("a", "identity = \"0016251234\""),
                table("b", "identity = \"00-16-25-12-34\"")
            )),
            "reader[1].identity: \"00-16-25-12-34\": given twice",
        ),
        (
            node(&format!(
                "{listens}{}{}",
                table("a", "identity = \"00:16:25:12:34:56\""),
                table("b", "identity = \"001625fffe123456\"")
            )),
            "reader[1].identity: \"001625fffe123456\": given twice",
        ),
        (
            node("[llrp]\nlisten = \"0.0.0.0:5084\"\ntls = { cert_file = \"c\" }\n"),
            "llrp.tls.key_file: missing",
        ),
    ] {
        let wrong = problems(&text).join("\n");
        assert!(wrong.contains(told), "{told}\n{wrong}");
    }
}

#[test]
fn what_a_reader_does_is_said_in_peoples_terms() {
    let body = "address = \"h:5085\"\nversion = \"1.0.1\"\ntls = { server_name = \"dock\" }\nantennas = [1, 2]\n\
                power_dbm = 27.5\nantenna_power = [{ antenna = 2, dbm = 20 }]\nmode = 1000\nreport_every = 0\n\
                start = { every = \"1m\", offset = \"5s\" }\nstop = { gpi = 2, high = false, timeout = \"30s\" }\n";
    let config = parse(&reader(body), Path::new(""), &no_env).unwrap();
    let reader_config = &config.readers[0];
    assert_eq!(reader_config.version, LlrpVersion::V1_0_1);
    assert!(
        matches!(&reader_config.reach, Reach::ToReader { tls: Some(tls), .. } if tls.server_name.is_some())
    );
    let rospec = &reader_config.rospec;
    assert_eq!((rospec.power, rospec.mode), (Some(Power::Dbm(27.5)), Some(1000)));
    assert_eq!((&rospec.antenna_power, rospec.report), (&vec![(2, 20.0)], Report::Reads(0)));
    let (period, offset) = (Duration::from_secs(60), Duration::from_secs(5));
    assert_eq!(rospec.start, Start::Periodic { period, offset });
    let (trigger, timeout) = (GpiTrigger { port: 2, high: false }, Duration::from_secs(30));
    assert_eq!(rospec.stop, Stop::Gpi { trigger, timeout });
    for (body, told) in [
        (
            "power_dbm = 27\ntransmit_power_index = 3",
            "reader[0].power_dbm: 27: given, and transmit_power_index",
        ),
        ("power_dbm = 2700", "reader[0].power_dbm: 2700: out of range"),
        ("start = { every = \"1m\" }", "reader[0].stop: never, and reading starts by time or input"),
        ("start = { gpi = 1 }", "reader[0].stop: never, and reading starts by time or input"),
        ("start = { every = \"1m\", high = true }", "reader[0].start.high: true: given, and no gpi"),
        ("start = { gpi = 1, offset = \"1s\" }", "reader[0].start.offset: \"1s\": given, and no every"),
        ("stop = { after = \"1s\", high = true }", "reader[0].stop.high: true: given, and no gpi"),
        ("stop = { after = \"1s\", timeout = \"1s\" }", "reader[0].stop.timeout: \"1s\": given, and no gpi"),
        ("start = {}", "reader[0].start.every: missing, and gpi too"),
        ("stop = { after = \"1s\", gpi = 1 }", "reader[0].stop.gpi: 1: given, and after too"),
        (
            "report_interval = \"1s\"\nreport_every = 5",
            "reader[0].report_interval: \"1s\": given, and report_every",
        ),
        (
            "report_interval = \"1s\"\nstart = { gpi = 1 }",
            "reader[0].report_interval: \"1s\": given, and reading starts",
        ),
        (
            "antennas = [1]\nantenna_power = [{ antenna = 2, dbm = 20 }]",
            "reader[0].antenna_power[0].antenna: 2: not one of antennas",
        ),
        ("tls = { cert_file = \"c\" }", "reader[0].tls.key_file: missing"),
        ("tls = { server_name = \"a b\" }", "reader[0].tls.server_name"),
    ] {
        let wrong = problems(&reader(&format!("address = \"h:5084\"\n{body}\n"))).join("\n");
        assert!(wrong.contains(told), "{told}\n{wrong}");
    }
}
