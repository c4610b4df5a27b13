//! LLRP sources against the simulated reader: readers that connect to us, readers behind TLS, versions.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tallyman::config::{self, ReaderConfig, TlsConfig};
use tallyman::domain::frames::{LinkState, Payload};
use tallyman::source::Intake;
use tallyman::source::llrp::{self, Desk, Door, Outputs};
use tallyman::trust::{self, Followed};
use tallyman_simulators::clock::wall_now;
use tallyman_simulators::llrp::{Reader, ReaderOptions, TagObservation};
use tallyman_simulators::truth::TruthLog;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::alerting::https::issue;
use crate::servers::{PATIENCE, find};
use crate::source::{Source, reason};

const MAX_KEPT: usize = 1 << 20;

/// The readers of a configuration; `head` goes before them.
fn configured(head: &str, readers: &[String]) -> Vec<ReaderConfig> {
    let site = "node = \"n\"\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n";
    let readers: Vec<String> =
        readers.iter().map(|reader| format!("[[reader]]\nprotocol = \"llrp\"\n{reader}\n")).collect();
    let text = format!("{site}{head}\n{}", readers.concat());
    let parsed = config::parse(&text, Path::new(""), &|_| None);
    parsed.unwrap_or_else(|error| panic!("{error}\n{text}")).readers
}

fn run(config: ReaderConfig, desk: &Desk) -> Source {
    let desk = desk.clone();
    Source::start(64, |mouth, shutdown| async move {
        let outputs = Outputs::new(std::collections::BTreeMap::new(), mpsc::channel(1).1);
        llrp::run(config, MAX_KEPT, outputs, desk, mouth, shutdown).await;
    })
}

async fn reader(adjust: impl FnOnce(&mut ReaderOptions)) -> Reader {
    let mut options = ReaderOptions::named("dock");
    adjust(&mut options);
    Reader::start(options, Arc::new(TruthLog::default())).await.unwrap()
}

/// What the reader is named, before it runs: its identity follows from that.
async fn identity_of(name: &str) -> String {
    let named = Reader::start(ReaderOptions::named(name), Arc::new(TruthLog::default())).await.unwrap();
    let identity = named.identity();
    named.stop().await;
    identity
}

/// One read at the reader comes out of the source as a report.
async fn is_read(reader: &Reader, source: &mut Source) {
    timeout(PATIENCE, reader.listening()).await.expect("an ROSpec runs");
    hear(reader, 7);
    reports(source, 7).await;
}

/// The reader hears the tag whose code is `tag` over and over.
fn hear(reader: &Reader, tag: u8) {
    reader.read(TagObservation { antenna: 1, epc: vec![tag; 12], rssi_dbm: -60, at: wall_now(), count: 1 });
}

/// The next report is of that tag.
async fn reports(source: &mut Source, tag: u8) {
    loop {
        if let Intake::Frame(frame) = source.next().await
            && let Payload::Llrp(message) = frame.payload
            && message[1] == 61
        {
            assert!(message.windows(12).any(|epc| epc == [tag; 12]));
            return;
        }
    }
}

const UP: LinkState = LinkState::Up { replaying: false };
const LISTENS: &str = "[llrp]\nlisten = \"127.0.0.1:1\"\n";

struct Entrance {
    address: SocketAddr,
    desk: Desk,
    shutdown: CancellationToken,
}

impl Entrance {
    async fn open(readers: &[ReaderConfig]) -> Self {
        Self::with_tls(readers, None).await
    }

    async fn with_tls(readers: &[ReaderConfig], tls: Option<Arc<Followed>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, desk) = (listener.local_addr().unwrap(), Desk::default());
        let shutdown = CancellationToken::new();
        let door = Door::new(readers.iter(), tls.clone(), MAX_KEPT, desk.clone());
        if let Some(tls) = tls {
            tokio::spawn(tls.follow(shutdown.clone()));
        }
        tokio::spawn(door.run(listener, shutdown.clone()));
        Self { address, desk, shutdown }
    }
}

#[tokio::test]
async fn readers_that_connect_are_told_apart_by_their_identity() {
    let (first, second) = (identity_of("dock").await, identity_of("gate").await);
    let reader_table = |name: &str, identity: &str| {
        format!("name = \"{name}\"\nconnect = \"from-reader\"\nidentity = \"{identity}\"")
    };
    let readers = configured(LISTENS, &[reader_table("a", &first), reader_table("b", &second)]);
    let entrance = Entrance::open(&readers).await;
    let [mut a, mut b] = [0, 1].map(|nth| run(readers[nth].clone(), &entrance.desk));
    let gate = reader(|options| {
        options.name = "gate".to_owned();
        options.dial = Some(entrance.address);
    })
    .await;
    assert_eq!(b.link_among_frames().await, UP);
    is_read(&gate, &mut b).await;
    let dock = reader(|options| options.dial = Some(entrance.address)).await;
    assert_eq!(a.link_among_frames().await, UP);
    is_read(&dock, &mut a).await;
    // It goes, and calls again.
    dock.stop().await;
    assert!(reason(a.link_among_frames().await).contains("closed"));
    let dock = reader(|options| options.dial = Some(entrance.address)).await;
    assert_eq!(a.link_among_frames().await, UP);
    is_read(&dock, &mut a).await;
    for source in [a, b] {
        source.stop().await;
    }
    entrance.shutdown.cancel();
}

#[tokio::test]
async fn a_reader_whose_identity_is_not_written_down_is_known_by_its_address() {
    let readers =
        configured(LISTENS, &["name = \"a\"\nconnect = \"from-reader\"\naddress = \"127.0.0.1\"".to_owned()]);
    let entrance = Entrance::open(&readers).await;
    let mut source = run(readers[0].clone(), &entrance.desk);
    let dock = reader(|options| options.dial = Some(entrance.address)).await;
    assert_eq!(source.link_among_frames().await, UP);
    is_read(&dock, &mut source).await;
    source.stop().await;
}

/// All that a caller hears: types of messages, up to the end of the connection.
async fn hears(entrance: &Entrance, identity: &str) -> Vec<u16> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(entrance.address).await.unwrap();
    let attempt = "043f00000020000000000 0f6001600 80000c0005ac35bd20d1da010000060000".replace(' ', "");
    stream.write_all(&hex::decode(attempt).unwrap()).await.unwrap();
    let mut heard = Vec::new();
    loop {
        let mut header = [0; 10];
        if timeout(PATIENCE, stream.read_exact(&mut header)).await.expect("an end").is_err() {
            return heard;
        }
        let length = u32::from_be_bytes(header[2..6].try_into().unwrap()) as usize;
        let mut content = vec![0; length - 10];
        stream.read_exact(&mut content).await.unwrap();
        heard.push(u16::from_be_bytes([header[0] & 3, header[1]]));
        if heard.last() == Some(&2) {
            let id = hex::encode(&header[6..]);
            let length = 10 + 8 + 7 + identity.len() / 2;
            let identification =
                format!("00da{:04x}00{:04x}{identity}", 7 + identity.len() / 2, identity.len() / 2);
            let answer = format!("040c{length:08x}{id}011f000800000000{identification}");
            stream.write_all(&hex::decode(answer).unwrap()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn strangers_and_second_readers_are_told_to_go() {
    let identity = identity_of("dock").await;
    let table = format!("name = \"a\"\nconnect = \"from-reader\"\nidentity = \"{identity}\"");
    let readers = configured(LISTENS, &[table]);
    let entrance = Entrance::open(&readers).await;
    // GET_READER_CONFIG, CLOSE_CONNECTION.
    let told_to_go = [2, 14];
    assert_eq!(hears(&entrance, "0102030405060708").await, told_to_go, "a stranger");
    let mut source = run(readers[0].clone(), &entrance.desk);
    let dock = reader(|options| options.dial = Some(entrance.address)).await;
    assert_eq!(source.link_among_frames().await, UP);
    assert_eq!(hears(&entrance, &identity).await, told_to_go, "a second one of the same identity");
    is_read(&dock, &mut source).await;
    source.stop().await;
}

#[tokio::test]
async fn a_reader_that_does_not_call_is_told_to_be_away() {
    let table =
        "name = \"a\"\nconnect = \"from-reader\"\naddress = \"127.0.0.1\"\nconnect_timeout = \"100ms\"";
    let readers = configured(LISTENS, &[table.to_owned()]);
    let entrance = Entrance::open(&readers).await;
    let mut source = run(readers[0].clone(), &entrance.desk);
    assert_eq!(reason(source.link().await), "the reader has not connected to us for 100ms");
    source.stop().await;
}

/// TLS in front of `to`, with the certificate in `files`; asks callers for one of `client_ca`.
pub async fn tls_in_front_of(to: SocketAddr, files: &TlsConfig, client_ca: Option<&Path>) -> SocketAddr {
    let acceptor = trust::acceptor(files, client_ca, &[]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut secure) = acceptor.accept(stream).await else { return };
                let mut plain = TcpStream::connect(to).await.unwrap();
                tokio::io::copy_bidirectional(&mut secure, &mut plain).await.unwrap_or_default();
            });
        }
    });
    address
}

/// An authority of its own, and what it issues for 127.0.0.1.
pub struct Issued {
    folder: tempfile::TempDir,
    pub files: TlsConfig,
}

impl Issued {
    pub fn new(openssl: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        issue(openssl, folder.path());
        let [cert_file, key_file] = ["server.pem", "server.key"].map(|name| folder.path().join(name));
        Self { folder, files: TlsConfig { cert_file, key_file } }
    }

    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

#[tokio::test]
async fn a_reader_behind_tls_is_read_and_one_that_is_not_trusted_is_not() {
    let test = "a_reader_behind_tls_is_read_and_one_that_is_not_trusted_is_not";
    let Some(openssl) = find("TALLYMAN_TEST_OPENSSL", "openssl", test) else { return };
    let [theirs, other, ours] = [(); 3].map(|()| Issued::new(&openssl));
    let dock = reader(|_| {}).await;
    let plain = tls_in_front_of(dock.address(), &theirs.files, None).await;
    let mutual = tls_in_front_of(dock.address(), &theirs.files, Some(&ours.ca())).await;
    let table = |address: SocketAddr, issued: &Issued, more: &str| {
        let ca = issued.ca();
        let ca = ca.display();
        let text = format!(
            "name = \"a\"\naddress = \"{address}\"\ntls = {{ ca_file = \"{ca}\"{more} }}\nbackoff = {{ first = \"10ms\", last = \"20ms\" }}"
        );
        configured("", &[text]).remove(0)
    };
    let (cert, key) = (ours.files.cert_file.display(), ours.files.key_file.display());
    let client = format!(", cert_file = \"{cert}\", key_file = \"{key}\"");

    let mut source = run(table(plain, &theirs, ""), &Desk::default());
    assert_eq!(source.link_among_frames().await, UP);
    is_read(&dock, &mut source).await;
    source.stop().await;

    let mut source = run(table(plain, &other, ""), &Desk::default());
    assert!(reason(source.link().await).contains("not trusted"));
    source.stop().await;

    let mut source = run(table(plain, &theirs, ", server_name = \"dock.example.com\""), &Desk::default());
    assert!(reason(source.link().await).contains("not trusted"), "its certificate is for 127.0.0.1");
    source.stop().await;

    let mut source = run(table(mutual, &theirs, ""), &Desk::default());
    let why = reason(source.link_among_frames().await);
    assert!(why.contains("CertificateRequired"), "it wants a certificate: {why}");
    source.stop().await;
    let mut source = run(table(mutual, &theirs, &client), &Desk::default());
    assert_eq!(source.link_among_frames().await, LinkState::Up { replaying: true }, "it was read before");
    source.stop().await;
    dock.stop().await;
}

#[tokio::test]
async fn the_newest_version_that_both_speak_is_spoken() {
    for speaks_1_1 in [true, false] {
        let dock = reader(|options| options.speaks_1_1 = speaks_1_1).await;
        let table = format!("name = \"a\"\naddress = \"{}\"", dock.address());
        let mut source = run(configured("", &[table]).remove(0), &Desk::default());
        assert_eq!(source.link_among_frames().await, UP);
        timeout(PATIENCE, dock.listening()).await.expect("an ROSpec runs");
        hear(&dock, 7);
        let Intake::Frame(frame) = source.next().await else { panic!("a report") };
        let Payload::Llrp(message) = frame.payload else { panic!("of LLRP") };
        assert_eq!((message[0] >> 2, message[1]), (if speaks_1_1 { 2 } else { 1 }, 61));
        source.stop().await;
        dock.stop().await;
    }
}

/// Held reports come back over a connection that the reader makes, too.
#[tokio::test]
async fn what_a_calling_reader_held_comes_with_its_next_call() {
    let table = "name = \"a\"\nconnect = \"from-reader\"\naddress = \"127.0.0.1\"";
    let readers = configured(LISTENS, &[table.to_owned()]);
    let entrance = Entrance::open(&readers).await;
    let dock = reader(|options| options.dial = Some(entrance.address)).await;
    let mut source = run(readers[0].clone(), &entrance.desk);
    assert_eq!(source.link_among_frames().await, UP);
    is_read(&dock, &mut source).await;
    source.stop().await;
    hear(&dock, 9);
    assert_eq!(dock.held(), 1);
    let mut source = run(readers[0].clone(), &entrance.desk);
    assert_eq!(source.link_among_frames().await, LinkState::Up { replaying: true });
    reports(&mut source, 9).await;
    source.stop().await;
}

/// A reader that speaks TLS: where it calls, so that it comes out at `to` with TLS on it. It trusts `authority`, and
/// shows the certificate of `shows`. How its connections end is told.
async fn tls_on_the_way_to(
    to: SocketAddr,
    authority: &Path,
    shows: Option<&TlsConfig>,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let connector = trust::connector(Some(authority), shows).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ends, ended) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut plain, _)) = listener.accept().await {
            let carried = async {
                let name = ServerName::try_from("127.0.0.1").unwrap();
                let mut secure = connector.connect(name, TcpStream::connect(to).await?).await?;
                tokio::io::copy_bidirectional(&mut plain, &mut secure).await
            };
            let how = carried.await.map_or_else(|error| error.to_string(), |_| "closed".to_owned());
            if ends.send(how).is_err() {
                return;
            }
        }
    });
    (address, ended)
}

/// Over TLS with certificates on both sides; after a renewal with the new ones, without a restart.
#[tokio::test]
async fn readers_that_connect_over_tls_show_a_certificate_and_take_up_a_renewed_one() {
    let test = "readers_that_connect_over_tls_show_a_certificate_and_take_up_a_renewed_one";
    let Some(openssl) = find("TALLYMAN_TEST_OPENSSL", "openssl", test) else { return };
    let [ours, theirs, renewed] = [(); 3].map(|()| Issued::new(&openssl));
    let table = "name = \"a\"\nconnect = \"from-reader\"\naddress = \"127.0.0.1\"";
    let readers = configured(LISTENS, &[table.to_owned()]);
    let followed = Followed::load("readers", &ours.files, Some(&theirs.ca()), &[]).unwrap();
    let entrance = Entrance::with_tls(&readers, Some(Arc::new(followed))).await;
    let mut source = run(readers[0].clone(), &entrance.desk);

    let (way, mut ended) = tls_on_the_way_to(entrance.address, &ours.ca(), None).await;
    let stranger = reader(|options| options.dial = Some(way)).await;
    let how = timeout(PATIENCE, ended.recv()).await.unwrap().unwrap();
    assert!(how.contains("CertificateRequired"), "it shows none: {how}");
    stranger.stop().await;

    let (way, _ended) = tls_on_the_way_to(entrance.address, &ours.ca(), Some(&theirs.files)).await;
    let dock = reader(|options| options.dial = Some(way)).await;
    assert_eq!(source.link_among_frames().await, UP);
    is_read(&dock, &mut source).await;

    for (new, old) in
        [(&renewed.files.cert_file, &ours.files.cert_file), (&renewed.files.key_file, &ours.files.key_file)]
    {
        std::fs::copy(new, old).unwrap();
    }
    std::fs::copy(renewed.ca(), theirs.ca()).unwrap();
    is_read(&dock, &mut source).await;
    dock.stop().await;
    assert!(reason(source.link_among_frames().await).contains("closed"));
    let (way, _ended) = tls_on_the_way_to(entrance.address, &renewed.ca(), Some(&renewed.files)).await;
    let dock = reader(|options| options.dial = Some(way)).await;
    assert_eq!(source.link_among_frames().await, UP, "the new certificate, and whom it trusts now");
    is_read(&dock, &mut source).await;
    source.stop().await;
    dock.stop().await;
    entrance.shutdown.cancel();
}
