//! Bytes of both versions, in pieces of any length.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use MqttVersion::{V3_1_1, V5};

const LIMIT: usize = 100;
const KEPT: usize = 1000;
const PONG: [u8; 2] = [0xd0, 0];

fn input(version: MqttVersion) -> Input {
    let (reader, writer) = (tokio::io::empty(), tokio::io::sink());
    Connection::over(reader, writer, version, Limits { max_payload: LIMIT, max_kept: KEPT }).input
}

/// Messages with payloads of so many bytes each and ids from 1, a PINGRESP behind each.
fn stream(version: MqttVersion, sizes: &[usize]) -> BytesMut {
    let mut bytes = BytesMut::new();
    for (packet_id, size) in (1..).zip(sizes) {
        let payload = "x".repeat(*size);
        let message =
            Message { packet_id, ..Message::new("owntracks/jane/phone".to_owned(), payload, false) };
        packets::write(version, &ToBroker::Publish(&message), &mut bytes).unwrap();
        bytes.extend_from_slice(&PONG);
    }
    bytes
}

/// Ids and payload lengths of all messages, of those over the limit also how long they were, the stream
/// coming in pieces of `step` bytes; also the most that was ever buffered.
fn published(version: MqttVersion, stream: &[u8], step: usize) -> (Vec<(u16, usize, Option<u64>)>, usize) {
    let (mut input, mut seen, mut buffered) = (input(version), Vec::new(), 0);
    for piece in stream.chunks(step) {
        input.bytes.extend_from_slice(piece);
        while let Some(incoming) = input.next().unwrap() {
            match incoming {
                Incoming::Packet(FromBroker::Publish(message)) => {
                    seen.push((message.packet_id, message.payload.len(), None));
                }
                Incoming::TooLong { message, payload } => {
                    let whole = vec![b'x'; usize::try_from(payload.bytes).unwrap()];
                    assert_eq!(payload.sha256, <[u8; 32]>::from(Sha256::digest(&whole)));
                    assert!(message.payload.is_empty() && whole.starts_with(&payload.kept));
                    assert_eq!(message.topic, "owntracks/jane/phone");
                    seen.push((message.packet_id, payload.kept.len(), Some(payload.bytes)));
                }
                Incoming::Packet(packet) => assert_eq!(packet, FromBroker::Pong),
            }
        }
        let held = input.incomplete.as_ref().map_or(0, Incomplete::held);
        buffered = buffered.max(input.bytes.len() + held);
    }
    (seen, buffered)
}

#[test]
fn a_message_beyond_the_limit_is_kept_as_far_as_may_be_and_the_next_one_is_whole() {
    for version in [V3_1_1, V5] {
        let sizes = [LIMIT, LIMIT + 1, KEPT, 3_000_000, 7, 140_000];
        let (seen, buffered) = published(version, &stream(version, &sizes), 1000);
        let whole = |id, size| (id, size, Some(size as u64));
        assert_eq!(
            seen,
            [
                (1, LIMIT, None),
                whole(2, LIMIT + 1),
                whole(3, KEPT),
                (4, KEPT, Some(3_000_000)),
                (5, 7, None),
                (6, KEPT, Some(140_000)),
            ]
        );
        assert!(buffered < LIMIT + head_bytes(version) + 2000 + KEPT, "{buffered} bytes were buffered");
    }
}

/// A PUBLISH of MQTT 5 with so many bytes of user properties and an empty payload.
fn with_properties(bytes: usize) -> BytesMut {
    let user = |value: usize| {
        let length = u16::try_from(value).unwrap().to_be_bytes();
        [&[0x26, 0, 1, b'k'][..], &length, &vec![b'v'; value]].concat()
    };
    let mut properties: Vec<u8> = Vec::new();
    while properties.len() + 60_000 < bytes {
        properties.extend(user(50_000));
    }
    properties.extend(user(bytes - properties.len() - 6));
    let length = |mut length: usize, out: &mut BytesMut| {
        while length >= 0x80 {
            out.extend_from_slice(&[(length & 0x7f) as u8 | 0x80]);
            length >>= 7;
        }
        out.extend_from_slice(&[length as u8]);
    };
    let mut body = BytesMut::from(&[0, 1, b'a', 0, 9][..]);
    length(properties.len(), &mut body);
    body.extend_from_slice(&properties);
    let mut packet = BytesMut::from(&[0x32][..]);
    length(body.len(), &mut packet);
    packet.extend_from_slice(&body);
    packet
}

#[test]
fn properties_are_no_part_of_a_payload_unless_they_are_longer_than_any_should_be() {
    let mut input = input(V5);
    input.bytes = with_properties(1000);
    let Some(Incoming::Packet(FromBroker::Publish(message))) = input.next().unwrap() else { panic!() };
    assert_eq!((message.packet_id, message.payload.len()), (9, 0));
    input.bytes = with_properties(300_000);
    let Some(Incoming::TooLong { message, payload }) = input.next().unwrap() else { panic!() };
    assert_eq!((message.packet_id, payload.kept.len()), (9, KEPT), "acknowledged, and told of");
    assert!(input.bytes.is_empty() && input.next().unwrap().is_none());
}

#[test]
fn a_length_that_is_no_message_s_ends_the_connection() {
    for version in [V3_1_1, V5] {
        let mut input = input(version);
        input.bytes.extend_from_slice(&[0x90, 0xff, 0xff, 0xff, 0x7f, 0, 1]);
        assert!(matches!(input.next(), Err(WireError::TooLong { kind: 9, .. })));
        input.bytes = BytesMut::from(&[0x30, 0xff, 0xff, 0xff, 0xff, 0x01][..]);
        assert!(matches!(input.next(), Err(WireError::Length)));
    }
}

fn version() -> impl Strategy<Value = MqttVersion> {
    prop_oneof![Just(V3_1_1), Just(V5)]
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same(
        version in version(),
        sizes in proptest::collection::vec(0usize..400, 0..20),
        step in 1usize..300,
    ) {
        let stream = stream(version, &sizes);
        let whole = published(version, &stream, stream.len().max(1)).0;
        prop_assert_eq!(published(version, &stream, step).0, whole);
    }

    #[test]
    fn never_panics(version in version(), stream in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut input = input(version);
        input.bytes.extend_from_slice(&stream);
        while let Ok(Some(_)) = input.next() {}
    }

    /// Bytes that begin like a message, an acknowledgement or a farewell, which random ones seldom do.
    #[test]
    fn never_panics_at_what_begins_well(
        version in version(),
        kind in prop_oneof![Just(0x20u8), Just(0x30), Just(0x32), Just(0x40), Just(0x62), Just(0x90), Just(0xe0)],
        body in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut input = input(version);
        input.bytes.extend_from_slice(&[kind, body.len() as u8]);
        input.bytes.extend_from_slice(&body);
        while let Ok(Some(_)) = input.next() {}
    }
}

/// A connection that the other side ends with a word about our certificate.
struct Refused;

impl AsyncRead for Refused {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        std::task::Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, alert)))
    }
}

#[tokio::test]
async fn a_certificate_that_is_refused_after_the_handshake_is_told_as_that() {
    let limits = Limits { max_payload: LIMIT, max_kept: KEPT };
    let mut input = Connection::over(Refused, tokio::io::sink(), V5, limits).input;
    let error = input.fill().await.unwrap_err();
    assert!(!error.is_an_end(), "it understands us");
    assert!(error.to_string().contains("see cert_file and key_file of `tls`"), "{error}");
}
