//! Frames of the LLRP Toolkit's own tests, beside the same messages as LTK-XML.

use roxmltree::{Document, Node};
use tallyman::decode::llrp::framing::{MAX_MESSAGE_BYTES, message_length};
use tallyman::decode::llrp::{Body, Message, ReportDecoder, Value};
use tallyman::domain::ids::SourceId;
use tallyman::domain::readings::{DeviceTime, Reading, TagRead};
use tallyman::domain::time::Timestamp;

use crate::captures;

/// Gen2 tags end here; the toolkit's tests do not.
const LONGEST_CODE_BITS: u16 = 496;

#[test]
fn every_message_decodes_to_the_values_of_its_oracle() {
    for_each_message(|bytes, message, oracle| {
        assert_eq!(message.name(), Some(oracle.tag_name().name()));
        assert_eq!(oracle.attribute("MessageID"), Some(&*message.id.to_string()));
        compare(&message.body, oracle);
        assert_eq!(message.encode().unwrap(), bytes, "message {} encoded again", message.id);
    });
}

#[test]
fn tag_reads_have_the_values_of_their_oracle() {
    let mut compared = 0;
    for_each_message(|bytes, _, oracle| {
        let mut readings = Vec::new();
        let result = ReportDecoder::new(SourceId::new("reader")).decode(bytes, &mut readings);
        let tags: Vec<_> = oracle.children().filter(|n| n.has_tag_name_local("TagReportData")).collect();
        let possible: Vec<_> =
            tags.iter().filter(|tag| epc(**tag).map_or(96, |(bits, _)| bits) <= LONGEST_CODE_BITS).collect();
        assert_eq!(result.is_err(), possible.len() < tags.len(), "{result:?}");
        assert_eq!(readings.len(), possible.len());
        for (reading, oracle) in readings.iter().zip(possible) {
            let Reading::Tag(read) = reading else { panic!("{reading:?}") };
            check_read(read, *oracle);
            compared += 1;
        }
    });
    assert!(compared > 0 || captures::folder("llrp/ltk-dx101").is_none());
}

fn check_read(read: &TagRead, oracle: Node<'_, '_>) {
    let (bits, code) = epc(oracle).unwrap_or_else(|| (96, hex_of(find(oracle, "EPC_96").unwrap())));
    assert_eq!(read.epc, tallyman::domain::epc::Epc::new(bits, &code).unwrap());
    let number = |name: &str| find(oracle, name).map(|node| text(node).parse::<u16>().unwrap());
    let time = |name: &str| match find(oracle, name).map(|node| Timestamp::parse(&text(node)).unwrap()) {
        Some(time) => DeviceTime::Utc(time),
        None => DeviceTime::None,
    };
    // Every report of a message has the same parameters, so that nothing is taken over here.
    assert_eq!(read.antenna, number("AntennaID").unwrap_or(ReportDecoder::UNKNOWN_ANTENNA));
    assert_eq!(read.seen_count, number("TagSeenCount").unwrap_or(1));
    assert_eq!((read.pc, read.crc), (number("C1G2_PC"), number("C1G2_CRC")));
    assert_eq!(read.first_seen, time("FirstSeenTimestampUTC"));
    assert_eq!(read.last_seen, time("LastSeenTimestampUTC"));
}

/// Bits and bytes of an EPCData.
fn epc(report: Node<'_, '_>) -> Option<(u16, Vec<u8>)> {
    let node = find(report, "EPCData")?.children().find(Node::is_element).unwrap();
    Some((node.attribute("Count").unwrap().parse().unwrap(), hex_of(node)))
}

fn for_each_message(mut check: impl FnMut(&[u8], &Message, Node<'_, '_>)) {
    let Some(folder) = captures::folder("llrp/ltk-dx101") else { return };
    for path in captures::files(&folder, "bin") {
        let bytes = std::fs::read(&path).unwrap();
        let xml = std::fs::read_to_string(path.with_extension("xml")).expect("every capture has its oracle");
        let document = Document::parse(&xml).unwrap();
        let mut oracles = document.root_element().children().filter(Node::is_element);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = message_length(rest, MAX_MESSAGE_BYTES).unwrap().expect("a whole message");
            let message = Message::decode(&rest[..length]).unwrap_or_else(|e| panic!("{path:?}: {e}"));
            check(&rest[..length], &message, oracles.next().expect("an oracle for every message"));
            rest = &rest[length..];
        }
        assert!(oracles.next().is_none(), "{path:?}: more oracles than messages");
    }
}

/// Every child element is a field or a nested parameter, and there is nothing else.
fn compare(body: &Body, oracle: Node<'_, '_>) {
    let elements: Vec<_> = oracle.children().filter(Node::is_element).collect();
    let total = body.fields().count() + body.parameters().len();
    assert_eq!(elements.len(), total, "{oracle:?}");
    let mut used = vec![false; body.parameters().len()];
    for element in elements {
        let name = element.tag_name().name();
        if let Some(value) = body.field(name) {
            compare_value(value, element);
            continue;
        }
        let parameters = body.parameters().iter().enumerate();
        let next = parameters.into_iter().find(|(at, p)| !used[*at] && p.name() == Some(name));
        let (at, parameter) = next.unwrap_or_else(|| panic!("no {name} in {oracle:?}"));
        used[at] = true;
        compare(&parameter.body, element);
    }
}

fn compare_value(value: &Value, oracle: Node<'_, '_>) {
    let text = text(oracle);
    let same = match value {
        Value::Unsigned(number) => match (&*text, Timestamp::parse(&text)) {
            ("true", _) => *number == 1,
            ("false", _) => *number == 0,
            (_, Some(time)) => i64::try_from(*number) == Ok(time.as_micros()),
            _ => text.parse() == Ok(*number),
        },
        Value::Signed(number) => text.parse() == Ok(*number),
        Value::Text(bytes) => text.as_bytes() == bytes,
        Value::Bits { bits, bytes } => {
            oracle.attribute("Count") == Some(&*bits.to_string()) && hex_of(oracle) == *bytes
        }
        Value::Array(items) => text.split_whitespace().eq(items.iter().map(u32::to_string)),
        Value::Bytes(bytes) => hex_of(oracle) == *bytes,
    };
    assert!(same, "{value:?} is not {oracle:?} `{text}`");
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants()
        .filter_map(|n| if n.is_text() { n.text() } else { None })
        .collect::<String>()
        .trim()
        .into()
}

fn hex_of(node: Node<'_, '_>) -> Vec<u8> {
    hex::decode(text(node)).unwrap()
}

fn find<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name_local(name))
}

trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}
