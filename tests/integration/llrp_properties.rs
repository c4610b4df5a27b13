//! What holds for any LLRP bytes, and for any message that the standard allows.

use proptest::collection::vec;
use proptest::prelude::*;
use tallyman::decode::llrp::definitions::{self, Definition, FieldKind};
use tallyman::decode::llrp::framing::message_length;
use tallyman::decode::llrp::{Body, Message, Parameter, Prefix, ReportDecoder, Value};
use tallyman::domain::ids::SourceId;
use tallyman::domain::readings::Reading;

const RO_ACCESS_REPORT: u16 = 61;
const TAG_REPORT_DATA: u16 = 240;
const LIMIT: usize = 1 << 16;

proptest! {
    #[test]
    fn bytes_that_mean_nothing_do_no_harm(bytes in vec(any::<u8>(), 0..400)) {
        everything(&bytes)?;
    }

    #[test]
    fn a_header_in_front_of_nonsense_does_no_harm(kind in message_type(), body in vec(any::<u8>(), 0..400)) {
        everything(&with_header(kind, &body))?;
    }

    #[test]
    fn a_byte_that_is_wrong_does_no_harm(
        message in any_message(),
        at in any::<prop::sample::Index>(),
        byte: u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = message.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        everything(&bytes)?;
        everything(&bytes[..cut.index(bytes.len())])?;
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same(message in any_message()) {
        let bytes = message.encode().unwrap();
        let decoded = Message::decode(&bytes).unwrap();
        prop_assert_eq!(&decoded, &message);
        prop_assert_eq!(decoded.encode().unwrap(), bytes);
    }

    #[test]
    fn the_report_decoder_sees_the_codes_that_the_tree_has(reports in vec(known(TAG_REPORT_DATA, 2), 0..4)) {
        let body = Body::Known {
            definition: definitions::message(RO_ACCESS_REPORT).unwrap(),
            values: vec![],
            parameters: reports,
        };
        let message = Message { reserved: 0, version: 1, message_type: RO_ACCESS_REPORT, id: 1, body };
        let mut readings = Vec::new();
        let result = ReportDecoder::new(SourceId::new("r")).decode(&message.encode().unwrap(), &mut readings);
        // A report without a code, or with one that no tag can hold, costs itself only.
        let codes: Vec<_> = message.body.all(TAG_REPORT_DATA).map(code).collect();
        let expected: Vec<_> = codes.iter().flatten().filter(|(bits, _)| *bits <= 496).cloned().collect();
        prop_assert_eq!(result.is_ok(), expected.len() == codes.len());
        prop_assert_eq!(readings.len(), expected.len());
        for (reading, (bits, mut bytes)) in readings.iter().zip(expected) {
            let Reading::Tag(read) = reading else { panic!("{reading:?}") };
            if !bits.is_multiple_of(8) {
                *bytes.last_mut().unwrap() &= 0xff << (8 - bits % 8);
            }
            prop_assert_eq!((read.epc.bits(), read.epc.bytes()), (bits, &bytes[..]));
        }
    }

    #[test]
    fn any_chunking_gives_the_same_messages(
        messages in vec((message_type(), vec(any::<u8>(), 0..60)), 0..12),
        cuts in vec(1usize..40, 1..60),
    ) {
        let messages: Vec<_> = messages.iter().map(|(kind, body)| with_header(*kind, body)).collect();
        let stream = messages.concat();
        let mut found = Vec::new();
        let (mut buffer, mut at) = (Vec::new(), 0);
        for cut in cuts.iter().cycle() {
            if at == stream.len() {
                break;
            }
            let end = (at + cut).min(stream.len());
            buffer.extend_from_slice(&stream[at..end]);
            at = end;
            while let Some(length) = message_length(&buffer, LIMIT).unwrap() {
                found.push(buffer.drain(..length).collect::<Vec<_>>());
            }
        }
        prop_assert_eq!(found, messages);
        prop_assert!(buffer.is_empty());
    }
}

/// Every way in takes the bytes; what the tree takes, it gives back.
fn everything(bytes: &[u8]) -> Result<(), TestCaseError> {
    message_length(bytes, LIMIT).ok();
    ReportDecoder::new(SourceId::new("r")).decode(bytes, &mut Vec::new()).ok();
    let strictly = Message::decode(bytes);
    let known = Message::decode_what_is_known(bytes);
    if let Ok(message) = &strictly {
        prop_assert_eq!(known.as_ref(), Ok(message));
    }
    for message in [strictly, known].into_iter().flatten() {
        prop_assert_eq!(message.encode().unwrap(), bytes);
        serde_json::to_string(&message).unwrap();
    }
    Ok(())
}

/// The code that the report decoder takes: the last one there is; where one is that no tag can hold, that one.
fn code(report: &Body) -> Option<(u16, Vec<u8>)> {
    let codes = report.parameters().iter().filter_map(|parameter| match parameter.body.field("EPC")? {
        Value::Bits { bits, bytes } => Some((*bits, bytes.clone())),
        Value::Bytes(bytes) => Some((96, bytes.clone())),
        _ => None,
    });
    codes.reduce(|best, code| if best.0 > 496 { best } else { code })
}

fn with_header(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = (1u16 << 10 | kind).to_be_bytes().to_vec();
    bytes.extend((body.len() as u32 + 10).to_be_bytes());
    bytes.extend([0, 0, 0, 1]);
    bytes.extend(body);
    bytes
}

/// Any, and the two that are decoded at full rate more often.
fn message_type() -> impl Strategy<Value = u16> {
    prop_oneof![0u16..1024, Just(61), Just(63)]
}

fn any_message() -> impl Strategy<Value = Message> {
    let numbers: Vec<u16> = (0..1024).filter(|number| definitions::message(*number).is_some()).collect();
    let body = prop::sample::select(numbers)
        .prop_flat_map(|number| (Just(number), body(definitions::message(number).unwrap(), 3)));
    let unknown = (200u16..1000, vec(any::<u8>(), 0..20)).prop_map(|(n, bytes)| (n, Body::Unknown(bytes)));
    (prop_oneof![9 => body, 1 => unknown], 0u8..8, 1u8..3, any::<u32>()).prop_map(
        |((message_type, body), reserved, version, id)| Message { reserved, version, message_type, id, body },
    )
}

fn known(number: u16, depth: u32) -> BoxedStrategy<Parameter> {
    let definition = definitions::parameter(number).expect("a nested parameter is defined");
    let prefix = if number < 128 {
        Just(Prefix::Tv).boxed()
    } else {
        (0u8..32).prop_map(|reserved| Prefix::Tlv { reserved }).boxed()
    };
    (prefix, body(definition, depth))
        .prop_map(move |(prefix, body)| Parameter { prefix, type_number: number, body })
        .boxed()
}

fn unknown() -> impl Strategy<Value = Parameter> {
    (0u8..32, prop_oneof![0u16..128, 600u16..1000], vec(any::<u8>(), 0..20)).prop_map(
        |(reserved, type_number, bytes)| Parameter {
            prefix: Prefix::Tlv { reserved },
            type_number,
            body: Body::Unknown(bytes),
        },
    )
}

fn body(definition: &'static Definition, depth: u32) -> BoxedStrategy<Body> {
    let values: Vec<_> = definition.fields.iter().map(|field| value(field.kind)).collect();
    let nested = definition.nested;
    let numbers: Vec<u16> = nested.at_most_once.iter().chain(nested.repeated).copied().collect();
    let parameters = if numbers.is_empty() || depth == 0 {
        Just(Vec::new()).boxed()
    } else {
        let parameter = prop::sample::select(numbers).prop_flat_map(move |number| known(number, depth - 1));
        vec(prop_oneof![12 => parameter, 1 => unknown()], 0..5).boxed()
    };
    (values, parameters)
        .prop_map(move |(values, parameters)| Body::Known { definition, values, parameters })
        .boxed()
}

fn value(kind: FieldKind) -> BoxedStrategy<Value> {
    match kind {
        FieldKind::Unsigned(bits) | FieldKind::Reserved(bits) => {
            (0..=u64::MAX >> (64 - u32::from(bits))).prop_map(Value::Unsigned).boxed()
        }
        FieldKind::Signed(bits) => {
            let limit = 1i64 << (bits - 1);
            (-limit..limit).prop_map(Value::Signed).boxed()
        }
        FieldKind::Text => vec(any::<u8>(), 0..30).prop_map(Value::Text).boxed(),
        FieldKind::BitString => (0u16..600)
            .prop_flat_map(|bits| {
                let bytes = vec(any::<u8>(), usize::from(bits).div_ceil(8));
                bytes.prop_map(move |bytes| Value::Bits { bits, bytes })
            })
            .boxed(),
        FieldKind::Array(bits) => {
            vec(0..=u32::MAX >> (32 - u32::from(bits)), 0..10).prop_map(Value::Array).boxed()
        }
        FieldKind::Memory(unit) => (0usize..10)
            .prop_flat_map(move |count| vec(any::<u8>(), count * usize::from(unit)))
            .prop_map(Value::Bytes)
            .boxed(),
        FieldKind::Fixed(len) => vec(any::<u8>(), usize::from(len)).prop_map(Value::Bytes).boxed(),
        FieldKind::Rest => vec(any::<u8>(), 0..30).prop_map(Value::Bytes).boxed(),
    }
}
