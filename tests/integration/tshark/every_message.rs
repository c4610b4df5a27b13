//! A session of LLRP that uses every message there is. The daemon needs half of them; so here a client by hand, whose
//! messages our encoder writes, takes the simulated reader through the rest.

use std::sync::Arc;

use tallyman::decode::llrp::definitions::{self, vendor};
use tallyman::decode::llrp::numbers::parameter as number;
use tallyman::decode::llrp::{Message, Parameter, Value, build};
use tallyman_simulators::clock::wall_now;
use tallyman_simulators::llrp::{Reader, ReaderOptions, TagObservation, message};
use tallyman_simulators::truth::TruthLog;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{LLRP, a_fault_is_found, approve_but, seen};
use crate::relay::Relay;
use crate::servers::PATIENCE;
use crate::tshark::referee::Referee;

const SPEC: u32 = 5;
const TAG: [u8; 12] = [0x30, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// Where Wireshark (4.0) leaves the standard: it does not step over the field of SET_PROTOCOL_VERSION (1.1, section
/// 9.1.3), nor over the count in front of an Identification (1.0.1, section 12.2.1), and it takes the AccessSpecID of a
/// ClientRequestResponse (1.0.1) for two bytes instead of four.
const MISTAKEN: [&str; 3] = [
    "47\tIncorrect length of message: 10 bytes decoded, but 11 bytes available.",
    "12\tIncorrect length of parameter: 13 bytes decoded, but 15 bytes claimed.",
    "55\tInvalid length field: claimed 241, should be 35.,\
     Incorrect length of parameter: 4 bytes decoded, but 35 bytes claimed.",
];

#[tokio::test]
async fn a_session_of_llrp_with_every_message_is_well_formed() {
    let test = "a session of LLRP with every message is well formed";
    let Some(referee) = Referee::find(test, LLRP) else { return };
    let mut options = ReaderOptions::named("dock");
    (options.speaks_1_1, options.has_extensions_of) = (true, vendor::IMPINJ);
    let reader = Reader::start(options, Arc::new(TruthLog::default())).await.unwrap();
    let cable = Relay::to(reader.address()).await;
    let mut client = Client::connect(&cable).await;

    client.hears(message::READER_EVENT_NOTIFICATION).await;
    get_acquainted(&mut client).await;
    read(&mut client, &reader).await;
    take_leave(&mut client).await;

    seen(&referee, &cable, &[(message::CLOSE_CONNECTION_RESPONSE.into(), 1)]).await;
    let counted = approve_but(&referee, &cable.pieces(), &MISTAKEN);
    let every = (0..1024).filter(|kind| definitions::message(*kind).is_some()).map(u64::from);
    assert_eq!(counted.into_keys().collect::<Vec<_>>(), every.collect::<Vec<_>>());
    // The operations of ADD_ACCESSSPEC: the length of its first parameter.
    a_fault_is_found(&referee, &cable.pieces(), &[0x08, 40], 12);
    reader.stop().await;
}

async fn get_acquainted(client: &mut Client) {
    client.asks(message::GET_SUPPORTED_VERSION, vec![], vec![]).await;
    client.asks(message::SET_PROTOCOL_VERSION, vec![2u8.into()], vec![]).await;
    client.asks(message::GET_READER_CAPABILITIES, vec![0u8.into()], vec![]).await;
    let all = vec![0u16.into(), 0u8.into(), 0u16.into(), 0u16.into()];
    client.asks(message::GET_READER_CONFIG, all, vec![]).await;
    let of_maker =
        |subtype: u8, data: &[u8]| vec![vendor::IMPINJ.into(), subtype.into(), Value::Bytes(data.to_vec())];
    client.say(message::CUSTOM_MESSAGE, of_maker(vendor::IMPINJ_ENABLE_EXTENSIONS, &[0; 4]), vec![]).await;
    client.hears(message::CUSTOM_MESSAGE).await;
    client.say(message::CUSTOM_MESSAGE, of_maker(200, &[]), vec![]).await;
    client.hears(message::ERROR_MESSAGE).await;
    let keepalive = build::parameter(number::KEEPALIVE_SPEC, [1u8.into(), 20u32.into()], vec![]);
    client.asks(message::SET_READER_CONFIG, vec![false.into()], vec![keepalive]).await;
    client.hears(message::KEEPALIVE).await;
    client.say(message::KEEPALIVE_ACK, vec![], vec![]).await;
}

async fn read(client: &mut Client, reader: &Reader) {
    let one = || vec![SPEC.into()];
    client.asks(message::ADD_ROSPEC, vec![], vec![rospec()]).await;
    client.asks(message::ENABLE_ROSPEC, one(), vec![]).await;
    client.asks(message::STOP_ROSPEC, one(), vec![]).await;
    client.asks(message::START_ROSPEC, one(), vec![]).await;
    client.asks(message::GET_ROSPECS, vec![], vec![]).await;
    client.asks(message::ADD_ACCESSSPEC, vec![], vec![access_spec()]).await;
    client.asks(message::ENABLE_ACCESSSPEC, one(), vec![]).await;
    client.asks(message::GET_ACCESSSPECS, vec![], vec![]).await;
    client.say(message::ENABLE_EVENTS_AND_REPORTS, vec![], vec![]).await;

    reader.read(TagObservation { antenna: 1, epc: TAG.to_vec(), rssi_dbm: -60, at: wall_now(), count: 1 });
    let asked = client.hears(message::CLIENT_REQUEST_OP).await;
    assert!(asked.body.first(number::TAG_REPORT_DATA).is_some(), "it says of which tag");
    let tag = Value::Bits { bits: 96, bytes: TAG.to_vec() };
    let parts = vec![build::parameter(number::EPC_DATA, [tag], vec![]), read_tid()];
    let answer = build::parameter(CLIENT_REQUEST_RESPONSE, [SPEC.into()], parts);
    client.say(message::CLIENT_REQUEST_OP_RESPONSE, vec![], vec![answer]).await;
    client.hears(message::RO_ACCESS_REPORT).await;
    client.say(message::GET_REPORT, vec![], vec![]).await;
    client.hears(message::RO_ACCESS_REPORT).await;
}

async fn take_leave(client: &mut Client) {
    for kind in [
        message::DISABLE_ACCESSSPEC,
        message::DELETE_ACCESSSPEC,
        message::DISABLE_ROSPEC,
        message::DELETE_ROSPEC,
    ] {
        client.asks(kind, vec![SPEC.into()], vec![]).await;
    }
    client.say(message::CLOSE_CONNECTION, vec![], vec![]).await;
    client.hears(message::CLOSE_CONNECTION_RESPONSE).await;
}

/// Reads with every antenna from when it is enabled, and reports each read.
fn rospec() -> Parameter {
    let start = build::parameter(number::ROSPEC_START_TRIGGER, [1u8.into()], vec![]);
    let stop = build::parameter(number::ROSPEC_STOP_TRIGGER, [0u8.into(), 0u32.into()], vec![]);
    let never = build::parameter(number::AISPEC_STOP_TRIGGER, [0u8.into(), 0u32.into()], vec![]);
    let inventory = build::parameter(number::INVENTORY_PARAMETER_SPEC, [1u16.into(), 1u8.into()], vec![]);
    let content = build::parameter(number::TAG_REPORT_CONTENT_SELECTOR, [true; 10].map(Value::from), vec![]);
    let parts = vec![
        build::parameter(number::RO_BOUNDARY_SPEC, [], vec![start, stop]),
        build::parameter(number::AISPEC, [[0u16].as_slice().into()], vec![never, inventory]),
        build::parameter(number::RO_REPORT_SPEC, [2u8.into(), 1u16.into()], vec![content]),
    ];
    build::parameter(number::ROSPEC, [SPEC.into(), 0u8.into(), 0u8.into()], parts)
}

const ACCESS_SPEC: u16 = 207;
const ACCESS_SPEC_STOP_TRIGGER: u16 = 208;
const ACCESS_COMMAND: u16 = 209;
const CLIENT_REQUEST_OP_SPEC: u16 = 210;
const CLIENT_REQUEST_RESPONSE: u16 = 211;
const C1G2_TAG_SPEC: u16 = 338;
const C1G2_TARGET_TAG: u16 = 339;
const C1G2_READ: u16 = 341;

/// Of each tag, the client is asked what to do.
fn access_spec() -> Parameter {
    let mask = || Value::Bits { bits: 8, bytes: vec![0xf0] };
    let target = [1u8.into(), true.into(), 32u16.into(), mask(), mask()];
    let target = build::parameter(C1G2_TARGET_TAG, target, vec![]);
    let tags = build::parameter(C1G2_TAG_SPEC, [], vec![target]);
    let operation = build::parameter(CLIENT_REQUEST_OP_SPEC, [1u16.into()], vec![]);
    let parts = vec![
        build::parameter(ACCESS_SPEC_STOP_TRIGGER, [0u8.into(), 0u16.into()], vec![]),
        build::parameter(ACCESS_COMMAND, [], vec![tags, operation]),
    ];
    let values = [SPEC.into(), 0u16.into(), 1u8.into(), false.into(), 0u32.into()];
    build::parameter(ACCESS_SPEC, values, parts)
}

/// Two words of the tag's TID.
fn read_tid() -> Parameter {
    let values = [1u16.into(), 0u32.into(), 2u8.into(), 0u16.into(), 2u16.into()];
    build::parameter(C1G2_READ, values, vec![])
}

struct Client {
    stream: TcpStream,
    said: u32,
}

impl Client {
    async fn connect(cable: &Relay) -> Self {
        Self { stream: TcpStream::connect(cable.address).await.unwrap(), said: 0 }
    }

    async fn say(&mut self, kind: u16, values: Vec<Value>, parameters: Vec<Parameter>) {
        self.said += 1;
        let mut message = build::message(kind, self.said, values, parameters);
        message.version = 2;
        self.stream.write_all(&message.encode().unwrap()).await.unwrap();
    }

    /// The next message of that type.
    async fn hears(&mut self, wanted: u16) -> Message {
        loop {
            let mut bytes = vec![0; 10];
            let read = timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await;
            read.unwrap_or_else(|_| panic!("no message of type {wanted}")).unwrap();
            bytes.resize(u32::from_be_bytes(bytes[2..6].try_into().unwrap()) as usize, 0);
            self.stream.read_exact(&mut bytes[10..]).await.unwrap();
            let message = Message::decode(&bytes).unwrap();
            if message.message_type == wanted {
                return message;
            }
        }
    }

    /// Its answer says that it succeeded.
    async fn asks(&mut self, kind: u16, values: Vec<Value>, parameters: Vec<Parameter>) {
        self.say(kind, values, parameters).await;
        let answer = self.hears(kind + 10).await;
        let status = answer.body.first(number::LLRP_STATUS).and_then(|status| status.number("StatusCode"));
        assert_eq!(status, Some(0), "{answer:?}");
    }
}
