use std::path::Path;
use std::sync::Arc;

use tallyman_simulators::llrp::{Reader, ReaderOptions};
use tallyman_simulators::truth::TruthLog;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::{Config, parse};

fn config(text: &str) -> Config {
    parse(text, Path::new(""), &|_| None).unwrap_or_else(|error| panic!("{error}"))
}

const SITE: &str = "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n";

/// A server for one connection; its address.
async fn serve<F>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    address
}

async fn only_finding(text: &str) -> String {
    let findings = try_all(&config(text), Duration::from_secs(5)).await;
    assert_eq!(findings.len(), 1);
    findings[0].to_string()
}

/// A reader that greets with `status`, and gives back what the client says then.
async fn reader(status: u8) -> (String, tokio::sync::oneshot::Receiver<Vec<u8>>) {
    let (said, heard) = tokio::sync::oneshot::channel();
    let address = serve(move |mut stream| async move {
        let mut greeting = vec![4, 63, 0, 0, 0, 32, 0, 0, 0, 0, 0, 246, 0, 22];
        greeting.extend([0, 128, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 6, 0, status]);
        stream.write_all(&greeting).await.unwrap();
        let mut close = vec![0; 10];
        let read = stream.read(&mut close).await.unwrap();
        close.truncate(read);
        said.send(close).unwrap();
    })
    .await;
    (address, heard)
}

fn reader_config(address: &str) -> String {
    format!("{SITE}[[reader]]\nname = \"r\"\nprotocol = \"llrp\"\naddress = \"{address}\"\n")
}

#[tokio::test]
async fn a_reader_says_what_it_is_and_is_told_good_bye() {
    let options = ReaderOptions { has_extensions_of: 25_882, ..ReaderOptions::named("r") };
    let reader = Reader::start(options, Arc::new(TruthLog::default())).await.unwrap();
    let address = reader.address().to_string();
    let found = only_finding(&reader_config(&address)).await;
    let is_so = |part: &str| assert!(found.contains(part), "{part}\n{found}");
    is_so(&format!("ok    reader r ({address}): Impinj model 4, firmware sim-"));
    is_so(", LLRP 1.0.1, identity ");
    is_so("\n      4 antennas: 1, 2, 3, 4 connected\n      power: 10.00 to 30.00 dBm in 81 steps\n");
    is_so("\n      modes: 1 (Miller 2, 320 kbit/s)");
    is_so("\n      4 inputs (1 low, 2 low, 3 low, 4 low), 4 outputs\n      clock: right to the second\n");
    is_so("\n      while nobody is connected: it holds reports\n      temperature: 41 °C");
    let wanted = format!("{}antennas = [1, 9]\n", reader_config(&address));
    let found = only_finding(&wanted).await;
    is_misfit(&found);
    let free = only_finding(&reader_config(&address)).await;
    assert!(free.starts_with("ok"), "the one before took leave: {free}");
    reader.stop().await;
}

fn is_misfit(found: &str) {
    let told = "antenna 9 is configured, and the reader has antennas 1 to 4";
    assert!(found.starts_with("FAIL") && found.contains(told), "{found}");
}

#[tokio::test]
async fn a_reader_that_says_nothing_more_is_not_as_it_should_be() {
    let (address, heard) = reader(0).await;
    let found = only_finding(&reader_config(&address)).await;
    assert!(found.starts_with("FAIL") && found.contains("accepted"), "{found}");
    assert_eq!(heard.await.unwrap()[..2], [8, 46], "it was asked for its versions");
}

/// What is answered to a type and id in place of the reader; an empty answer is the end of the connection.
type Odd = fn(u8, [u8; 4]) -> Option<Vec<u8>>;

async fn odd_reader(reader: std::net::SocketAddr, odd: Odd) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut reader = TcpStream::connect(reader).await.unwrap();
            let (mut from_reader, mut to_reader) = reader.split();
            let (mut from_client, mut to_client) = client.split();
            loop {
                let mut head = [0; 10];
                tokio::select! {
                    head = from_client.read_exact(&mut head) => if head.is_err() { break },
                    // What the reader says goes on as it comes.
                    copied = tokio::io::copy(&mut from_reader, &mut to_client) => {
                        copied.unwrap();
                        break;
                    }
                }
                let length = u32::from_be_bytes(head[2..6].try_into().unwrap()) as usize;
                let mut message = head.to_vec();
                message.resize(length, 0);
                from_client.read_exact(&mut message[10..]).await.unwrap();
                match odd(head[1], head[6..].try_into().unwrap()) {
                    None => to_reader.write_all(&message).await.unwrap(),
                    Some(answer) if answer.is_empty() => break,
                    Some(answer) => to_client.write_all(&answer).await.unwrap(),
                }
            }
            // It is free before the next client comes.
            to_reader.shutdown().await.unwrap();
            from_reader.read_to_end(&mut Vec::new()).await.unwrap();
        }
    });
    address
}

fn answer(kind: u8, id: [u8; 4], content: &[u8]) -> Option<Vec<u8>> {
    Some([&[8, kind, 0, 0, 0, 10 + content.len() as u8], &id[..], content].concat())
}

const STATUS_110: [u8; 8] = [1, 31, 0, 8, 0, 110, 0, 0];

/// Closes when it is asked for its versions; answers that with what is no answer; tells of 1.1 and will not be set to
/// it; has no words for its settings. The daemon reads all of them.
#[tokio::test]
async fn what_the_daemon_reads_in_spite_of_it_is_no_fault() {
    let odds: [Odd; 4] = [
        |kind, _| (kind == 46).then(Vec::new),
        |kind, id| if kind == 46 { answer(56, id, &[1]) } else { None },
        |kind, id| match kind {
            46 => answer(56, id, &[1, 2, 1, 31, 0, 8, 0, 0, 0, 0]),
            47 => answer(57, id, &STATUS_110),
            _ => None,
        },
        |kind, id| if kind == 2 { answer(12, id, &[1]) } else { None },
    ];
    for odd in odds {
        let reader = Reader::start(ReaderOptions::named("r"), Arc::new(TruthLog::default())).await.unwrap();
        let address = odd_reader(reader.address(), odd).await;
        let found = only_finding(&reader_config(&address)).await;
        assert!(found.starts_with("ok ") && found.contains("LLRP 1.0.1"), "{found}");
        reader.stop().await;
    }
}

#[tokio::test]
async fn a_reader_in_use_says_so_and_hears_nothing() {
    let (address, heard) = reader(2).await;
    let found = only_finding(&reader_config(&address)).await;
    assert!(found.starts_with("FAIL  reader r") && found.contains("another client is connected"), "{found}");
    assert_eq!(heard.await.unwrap(), [0; 0]);
}

#[tokio::test]
async fn what_is_no_reader_or_not_there() {
    let address = serve(|mut stream| async move {
        stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n").await.unwrap();
    })
    .await;
    assert!(only_finding(&reader_config(&address)).await.contains("what is no LLRP"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap().to_string();
    drop(listener);
    assert!(only_finding(&reader_config(&nobody)).await.contains("cannot connect"));
}

#[tokio::test]
async fn what_never_answers_ends_at_the_timeout() {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let address = serve(|stream| async move {
        stopped.await.unwrap_or_default();
        drop(stream);
    })
    .await;
    let findings = try_all(&config(&reader_config(&address)), Duration::from_millis(20)).await;
    assert_eq!(
        findings[0].found,
        Err("connected, but the reader did not announce the connection within 8ms".to_owned())
    );
    drop(stop);
}

async fn modbus_answer(pdu: &'static [u8]) -> String {
    let address = serve(move |mut stream| async move {
        let mut request = [0; 12];
        stream.read_exact(&mut request).await.unwrap();
        // Unit 3, function 4, register 5, one of them.
        assert_eq!(request[6..], [3, 4, 0, 5, 0, 1]);
        let mut answer = request[..4].to_vec();
        answer.extend([0, pdu.len() as u8 + 1, 3]);
        answer.extend(pdu);
        stream.write_all(&answer).await.unwrap();
    })
    .await;
    let point = "base = 1\n[[modbus.point]]\nname = \"t\"\ntable = \"input\"\naddress = 6\ntype = \"i16\"\n\
                 scale = 0.1\nunit = \"°C\"\nnone = 0x7fff\nrange = [-40, 60]\npoll = \"1m\"\n";
    only_finding(&format!("{SITE}[[modbus]]\nname = \"m\"\naddress = \"{address}\"\nunit = 3\n{point}")).await
}

#[tokio::test]
async fn a_modbus_device_reads_its_first_point() {
    for (registers, told) in [
        (&[4, 2, 0, 83], "point t reads 8.3 °C (registers [83])"),
        (&[4, 2, 0x7f, 0xff], "point t reads \"no value\" (registers [32767])"),
        (&[4, 2, 4, 0], "point t reads 102.4 °C, which is not in its range (registers [1024])"),
    ] {
        let found = modbus_answer(registers).await;
        assert!(found.ends_with(told), "{found}");
    }
    let refused = modbus_answer(&[0x84, 2]).await;
    assert!(refused.starts_with("FAIL") && refused.contains("zero-based address 5"), "{refused}");
}

#[test]
fn what_is_probably_not_meant_of_modbus_is_told() {
    let line = |name: &str, place: &str| {
        format!(
            "[[modbus]]\nname = \"{name}\"\n{place}\nbase = 0\n[[modbus.point]]\nname = \"t\"\ntable = \"input\"\n\
             address = 6\ntype = \"u16\"\n"
        )
    };
    let times = "poll = \"10m\"\nstale_after = \"5m\"\nflat_after = \"10m\"\n[[limit]]\ndevice = \"c\"\npoint = \"t\"\n\
                 name = \"rise\"\nrise_per_min = 1\nover = \"4m\"\n";
    let text = [
        line("a", "address = \"10.0.0.9:502\""),
        line("b", "address = \"10.0.0.9:502\"\nunit = 2"),
        line("c", "address = \"10.0.0.9:503\"") + times,
        line("d", "port = \"/dev/ttyUSB0\""),
    ];
    let found = warnings(&config(&format!("{SITE}{}", text.concat())));
    let starts = [
        "modbus b and a: both connect to 10.0.0.9:502",
        "modbus d: /dev/ttyUSB0 may be another",
        "modbus device c: point t is read every 10m, and stale after 5m",
        "modbus device c: point t is read every 10m, and flat after 10m",
        "modbus device c: point t is read every 10m, and limit rise looks at 4m",
        "no notify",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    assert!(found.iter().zip(starts).all(|(warning, start)| warning.starts_with(start)), "{found:#?}");
}

#[test]
fn topics_that_nothing_comes_to_and_a_port_of_tls_are_warned_of() {
    let topics = |topics: &[&str]| {
        let topics = topics.iter().map(|topic| {
            let key = if topic.contains('{') { "topic" } else { "filter" };
            format!("[[broker.topic]]\n{key} = \"{topic}\"\nformat = \"owntracks\"\n")
        });
        let broker =
            "[[broker]]\nname = \"b\"\naddress = \"10.0.0.9:8883\"\nclient_id = \"c\"\nmax_inflight = 20\n";
        let found = warnings(&config(&format!("{SITE}{broker}{}", topics.collect::<String>())));
        found.into_iter().filter(|warning| warning.starts_with("broker b: ")).collect::<Vec<_>>()
    };
    let plain = topics(&["fleet/{device}/nmea", "fleet/#"]);
    assert!(matches!(&plain[..], [port] if port.contains("8883 is the port of MQTT over TLS")), "{plain:?}");
    for shadowed in
        [["fleet/#", "fleet/{device}/nmea"], ["a/+/+", "a/{device}/x"], ["#", "b/#"], ["a/+/#", "a/+"]]
    {
        let found = topics(&shadowed);
        let is_told = found.iter().any(|line| line.contains(&format!("{} stands before it", shadowed[0])));
        assert!(is_told, "{shadowed:?} {found:?}");
    }
    for apart in [["a/+", "a/#"], ["a/{device}/x", "a/+/+"], ["a/b/#", "a/#"]] {
        assert_eq!(topics(&apart).len(), 1, "{apart:?}");
    }
    assert!(topics(&["gps/{device}/nmea "])[1].contains("has a blank at its end"));
}

#[test]
fn who_is_told_of_alerts_by_no_one() {
    let told = |notify: &str| {
        let found = warnings(&config(&format!("{SITE}{notify}")));
        found.into_iter().find(|warning| warning.starts_with("no notify"))
    };
    assert!(told("").unwrap().ends_with("nobody is told"));
    assert!(told("[notify.log]\n").unwrap().starts_with("no notify but the log"));
    let webhook = "[[notify.webhook]]\nname = \"pager\"\nurl = \"http://127.0.0.1:9/x\"\nsecret = \"0123456789abcdef\"\n";
    assert_eq!(told(webhook), None);
    assert_eq!(told("[notify.alertmanager]\nurls = [\"http://127.0.0.1:9093\"]\n"), None);
}

/// A broker that answers CONNECT with `code`, and every SUBSCRIBE with `granted`.
async fn broker(code: u8, granted: u8) -> String {
    let address = serve(move |mut stream| async move {
        let mut packet = [0; 512];
        let read = stream.read(&mut packet).await.unwrap();
        let text = String::from_utf8_lossy(&packet[..read]).into_owned();
        assert!(text.contains("c-check") && text.contains("hunter2"), "{text}");
        stream.write_all(&[0x20, 2, 0, code]).await.unwrap();
        if stream.read(&mut packet).await.unwrap() > 0 {
            let id = [packet[2], packet[3]];
            let length = usize::from(packet[1]) + 2;
            assert_eq!(packet[length - 1], 1, "the QoS that the daemon asks for");
            stream.write_all(&[0x90, 3, id[0], id[1], granted]).await.unwrap();
            // The client ends it.
            stream.read(&mut packet).await.unwrap_or_default();
        }
    })
    .await;
    let login = "client_id = \"c\"\nusername = \"u\"\npassword = \"hunter2\"\n";
    let topic = "[[broker.topic]]\nfilter = \"a/#\"\nformat = \"owntracks\"\n";
    only_finding(&format!("{SITE}[[broker]]\nname = \"b\"\naddress = \"{address}\"\n{login}{topic}")).await
}

#[tokio::test]
async fn a_broker_takes_the_login_and_the_topics_or_does_not() {
    for (code, granted, expected) in [
        (0, 1, "connected with MQTT 3.1.1, 1 subscriptions granted"),
        (0, 0, "1 subscriptions granted\n      warning: it serves `a/#` with QoS 0 only"),
        (0, 0x80, "connected, but the broker refused the subscription to `a/#`: check its access list"),
        (5, 0, "cannot connect: the broker refused the connection: not authorised; check `username`"),
    ] {
        let found = broker(code, granted).await;
        assert!(found.contains(expected), "{found}");
        assert_eq!(found.contains("warning"), expected.contains("warning"), "{found}");
    }
}

#[tokio::test]
async fn an_alertmanager_says_its_version() {
    for (body, expected) in [
        (
            r#"{"versionInfo":{"version":"0.25.0"},"cluster":{"status":"ready"}}"#,
            "Alertmanager 0.25.0, cluster ready",
        ),
        ("{}", "answers, but is not an Alertmanager"),
    ] {
        let address = serve(move |mut stream| async move {
            let mut request = [0; 2048];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /api/v2/status "));
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ";
            stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
        })
        .await;
        let found =
            only_finding(&format!("{SITE}[notify.alertmanager]\nurls = [\"http://{address}\"]\n")).await;
        assert!(found.ends_with(expected), "{found}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_without_its_password() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("postgres://u:hunter2@127.0.0.1:{port}/x");
    let found = only_finding(&format!("{SITE}[store.timescale]\nurl = \"{url}\"\n")).await;
    assert!(found.starts_with("FAIL  database postgres://u:***@127.0.0.1"), "{found}");
    assert!(!found.contains("hunter2"), "{found}");
}

#[test]
fn the_sample_is_summed_up_without_a_secret() {
    let sample =
        include_str!("../../../config/tallyman.toml").replace("tallyman@127", "tallyman:hunter2@127");
    let text = summary(&config(&sample));
    for line in [
        "site leeds (Europe/London)",
        "zone tool-crib at hamburg: covered continuously",
        "fence leeds-yard: 150 m around 53.7965, -1.5478, which is in leeds-yard",
        "read point dock-1-door: portal from yard to hall, antennas dock-1/1, dock-1/2",
        "store TimescaleDB at postgres://tallyman:***@127.0.0.1:5432/tallyman",
        "modbus cold-room-1 at hamburg: 10.0.0.9:502 unit 1, 5 points every 10s",
        "limit cold-room-1/temperature/hi: above 8 for 30s: warning",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("hunter2"));
}

#[test]
fn what_is_probably_not_meant_is_told() {
    let text = format!(
        r#"{SITE}
[[zone]]
name = "cold"
coverage = "continuous"
[[zone]]
name = "far"
coverage = "portal-only"
[[zone]]
name = "attic"
[[reader]]
name = "r"
protocol = "llrp"
address = "h:5084"
antennas = [1]
[[reader]]
name = "idle"
protocol = "llrp"
address = "i:5084"
[[zone]]
name = "hall"
[[read_point]]
name = "door"
kind = "portal"
inside = "hall"
antennas = [{{ reader = "r", antenna = 2, side = "inside" }}]
[[read_point]]
name = "shelf"
kind = "presence"
zone = "hall"
refresh = "10m"
antennas = [{{ reader = "r", antenna = 1 }}]
[[class]]
name = "c"
ghost_after = "10m"
[[broker]]
name = "b"
address = "h:1883"
client_id = "c"
[[broker.topic]]
filter = "a/#"
format = "owntracks"
qos = 0
"#
    );
    let found = warnings(&config(&text));
    let starts = [
        "zone cold: covered continuously",
        "zone far: covered by portal only",
        "zone attic: no read point and no fence",
        "read point door: all of the portal's antennas watch one side",
        "read point door: reader r does not use antenna 2",
        "read point shelf: no reference_tag",
        "reader idle: no read point",
        "broker b: if it is Mosquitto",
        "broker b: topic a/# has qos 0",
        "class c: ghost_after 10m is not longer than refresh 10m of read point shelf",
        "no notify",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (warning, start) in found.iter().zip(starts) {
        assert!(warning.starts_with(start), "{warning}\nexpected {start}");
    }
}

#[tokio::test]
async fn a_receiver_speaks_or_does_not() {
    let nmea = |address: &str| {
        format!(
            "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[nmea]]\nname = \"gps\"\naddress = \"{address}\"\n"
        )
    };
    let answer = async |bytes: &'static [u8]| {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let address = serve(move |mut stream| async move {
            stream.write_all(bytes).await.unwrap();
            stopped.await.unwrap_or_default();
        })
        .await;
        let findings = try_all(&config(&nmea(&address)), Duration::from_millis(500)).await;
        drop(stop);
        findings[0].to_string()
    };
    let found = answer(b"\x80GA*00\r\n$GPTXT,01,01,02,hello*2F\r\n").await;
    assert!(found.starts_with("ok    nmea gps (") && found.ends_with("it speaks NMEA 0183"), "{found}");
    assert!(answer(b"\x80\x81\x82").await.ends_with("3 bytes came, no sentence: is it the right port?"));
    assert!(answer(b"").await.ends_with("open, and nothing comes: is it on?"));
}

#[test]
fn who_may_connect_to_us_is_said_and_warned_of() {
    let text = |more: &str| {
        config(&format!(
            "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n[[teltonika]]\nname = \"t\"\nlisten = \"0.0.0.0:5027\"\n{more}"
        ))
    };
    let warned = |config: &crate::config::Config| {
        warnings::warnings(config)
            .into_iter()
            .any(|warning| warning.contains("teltonika t: without `devices`"))
    };
    assert!(warned(&text("")));
    assert!(!warned(&text("devices = [\"356307042441013\"]")));
}
