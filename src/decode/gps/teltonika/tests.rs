use proptest::prelude::*;

use super::*;
use crate::domain::geodesy::Position;
use crate::domain::time::Timestamp;

/// The examples of Teltonika's description of its protocols.
const EXAMPLE: &str = "000000000000003608010000016B40D8EA30010000000000000000000000000000000105021503010101425E0F01F10000601A\
    014E0000000000000000010000C7CF";
const TWO_RECORDS: &str = "000000000000004308020000016B40D57B480100000000000000000000000000000001010101000000000000016B40D5C198\
    010000000000000000000000000000000101010101000000020000252C";
const EXTENDED: &str = "000000000000004A8E010000016B412CEE000100000000000000000000000000000000010005000100010100010011001D00010010\
    015E2C880002000B000000003544C87A000E000000001DD7E06A00000100002994";
const LOGIN_BYTES: &[u8] = b"\x00\x0f356307042441013";

fn hex(text: &str) -> Vec<u8> {
    ::hex::decode(text).unwrap()
}

fn numbers(record: &AvlRecord) -> Vec<(u16, u64)> {
    let of = |element: &IoElement| match element.value {
        IoValue::Number { value, .. } => (element.id, value),
        IoValue::Bytes(_) => panic!("{element:?}"),
    };
    record.io.iter().map(of).collect()
}

/// With its header and check sum.
fn packet(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32).to_be_bytes();
    let sum = u32::from(crc16(data)).to_be_bytes();
    [&PREAMBLE[..], &length, data, &sum].concat()
}

/// One record of Codec 8 that has a fix, in front of its I/O elements.
fn record(satellites: u8) -> Vec<u8> {
    let mut bytes = 1_700_000_000_500_u64.to_be_bytes().to_vec();
    bytes.push(1);
    bytes.extend((-1_234_567_890_i32).to_be_bytes());
    bytes.extend(525_000_000_i32.to_be_bytes());
    bytes.extend((-12_i16).to_be_bytes());
    bytes.extend(270_u16.to_be_bytes());
    bytes.push(satellites);
    bytes.extend(36_u16.to_be_bytes());
    bytes
}

/// Event and elements: ignition, movement, battery in percent, voltages, odometer.
const IO: &[u8] =
    &[239, 6, 3, 239, 1, 240, 0, 113, 87, 2, 66, 0x30, 0x39, 67, 0x0f, 0xa0, 1, 16, 0, 1, 0, 0, 0];

fn one(records: &[&[u8]]) -> Vec<u8> {
    let count = [records.len() as u8];
    packet(&[&[8], &count[..], &records.concat(), &count].concat())
}

/// The records of a packet in which none is wrong.
fn decode(packet: &[u8]) -> Result<Vec<AvlRecord>, DecodeError> {
    super::decode(packet)?.into_iter().collect()
}

#[track_caller]
fn reason(bytes: &[u8]) -> &'static str {
    let error = decode(bytes).unwrap_err();
    assert!(error.offset <= bytes.len(), "{error}");
    error.reason
}

fn framed_of(chunks: &[&[u8]]) -> Vec<Framed> {
    let mut framer = Framer::default();
    let mut framed = Vec::new();
    chunks.iter().for_each(|chunk| framer.push(chunk, &mut framed));
    framer.finish(&mut framed);
    framed
}

/// The check value in the catalogue of parametrised CRC algorithms.
#[test]
fn the_check_sum_is_crc_16_arc() {
    assert_eq!(crc16(b"123456789"), 0xbb3d);
}

#[test]
fn the_examples_of_the_manufacturer_are_read() {
    let records = decode(&hex(EXAMPLE)).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].observed_at, Timestamp::parse("2019-06-10T10:04:46Z").unwrap());
    assert_eq!((records[0].priority, records[0].event), (1, 1));
    assert!(!records[0].has_fix());
    assert_eq!(numbers(&records[0]), [(21, 3), (1, 1), (66, 24079), (241, 24602), (78, 0)]);
    assert_eq!(records[0].external_v(), Some(24.079));

    let records = decode(&hex(TWO_RECORDS)).unwrap();
    let times: Vec<_> = records.iter().map(|record| record.observed_at.to_string()).collect();
    assert_eq!(times, ["2019-06-10T10:01:01Z", "2019-06-10T10:01:19Z"]);
    assert_eq!((numbers(&records[0]), numbers(&records[1])), (vec![(1, 0)], vec![(1, 1)]));

    let records = decode(&hex(EXTENDED)).unwrap();
    assert_eq!(records[0].observed_at, Timestamp::parse("2019-06-10T11:36:32Z").unwrap());
    let expected = [(1, 1), (17, 29), (16, 22_949_000), (11, 893_700_218), (14, 500_686_954)];
    assert_eq!(numbers(&records[0]), expected);
    assert_eq!(records[0].odometer_m(), Some(22_949_000));
}

#[test]
fn a_record_has_its_position_and_what_the_standard_elements_say() {
    let records = decode(&one(&[&record(9), IO])).map_err(|error| error.reason);
    // Two slices, one record: the count lies.
    assert_eq!(records, Err("length"));
    let whole = [&record(9)[..], IO].concat();
    let records = decode(&one(&[&whole])).unwrap();
    let found = &records[0];
    assert_eq!(found.observed_at, Timestamp::parse("2023-11-14T22:13:20.5Z").unwrap());
    assert_eq!(found.position, Position { lat: 52.5, lon: -123.456_789 });
    assert_eq!((found.altitude_m, found.course_deg, found.speed_mps), (-12.0, Some(270.0), 10.0));
    assert!(found.has_fix());
    assert_eq!((found.is_ignition_on(), found.is_moving()), (Some(true), Some(false)));
    assert_eq!((found.battery_percent(), found.battery_v()), (Some(87.0), Some(4.0)));
    assert_eq!((found.external_v(), found.odometer_m()), (Some(12.345), Some(65536)));
    let cold = [&record(0)[..], IO].concat();
    assert!(!decode(&one(&[&cold])).unwrap()[0].has_fix());
    // Of four bytes, 113 is how far it is to the next service.
    let service = [&record(9)[..], &[0, 1, 0, 0, 1, 113, 0, 0, 0, 50, 0]].concat();
    let found = decode(&one(&[&service])).unwrap();
    assert_eq!((numbers(&found[0]), found[0].battery_percent()), (vec![(113, 50)], None));
}

#[test]
fn elements_of_any_length_are_bytes_in_the_extended_codec() {
    let io: &[u8] = &[0, 0, 0, 2, 0, 1, 0, 239, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 129, 0, 3, 1, 2, 3];
    let records = decode(&packet(&[&[0x8e, 1], &record(5)[..], io, &[1]].concat())).unwrap();
    assert_eq!(records[0].io[1], IoElement { id: 385, value: IoValue::Bytes(vec![1, 2, 3]) });
    // A switch that is neither on nor off says nothing.
    assert_eq!(records[0].is_ignition_on(), None);
}

#[test]
fn codec_16_has_wide_ids_and_narrow_counts() {
    // Event 385, generation type 5; one element of a byte, and one of four.
    let io: &[u8] = &[1, 129, 5, 2, 1, 0, 239, 1, 0, 1, 0, 16, 0, 1, 0, 0, 0];
    let records = decode(&packet(&[&[0x10, 2], &record(5)[..], io, &record(5), io, &[2]].concat())).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!((records[1].event, numbers(&records[1])), (385, vec![(239, 1), (16, 65536)]));
    assert_eq!(records[1].position, Position { lat: 52.5, lon: -123.456_789 });
}

#[test]
fn codec_8_may_have_values_of_sixteen_bytes() {
    let wide = [&[0, 2, 1, 239, 1, 0, 0, 0, 1, 203][..], &[7; 16]].concat();
    let whole = [&record(9)[..], &wide].concat();
    let records = decode(&one(&[&whole, &whole])).unwrap();
    assert_eq!(records[1].io[1], IoElement { id: 203, value: IoValue::Bytes(vec![7; 16]) });
    assert_eq!(records[1].is_ignition_on(), Some(true));
    let none = [&record(9)[..], &[0, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(decode(&one(&[&none, &whole])).unwrap().len(), 2);
    // One record of each layout, and a total that lies in both.
    assert_eq!(reason(&one(&[&whole, &[&record(9)[..], IO].concat()])), "io-count");
    let lies = [&record(9)[..], &[0, 1], &wide[2..]].concat();
    assert_eq!(reason(&one(&[&lies])), "length");
}

#[test]
fn lengths_and_counts_that_lie_are_refused_with_the_reason() {
    let whole = [&record(9)[..], IO].concat();
    let good = one(&[&whole]);
    assert!(decode(&good).is_ok());
    for length in 0..good.len() {
        assert_eq!(reason(&good[..length]), "truncated", "{length}");
    }
    assert_eq!(reason(&[&good[..], &[0]].concat()), "length");
    assert_eq!(reason(&[&[1], &good[1..]].concat()), "preamble");
    for at in HEADER_BYTES..good.len() {
        let mut damaged = good.clone();
        damaged[at] ^= 0x10;
        assert_eq!(reason(&damaged), "crc", "{at}");
    }
    for length in [0, 2, MOST_DATA as u32 + 1, u32::MAX] {
        let mut lies = good.clone();
        lies[4..8].copy_from_slice(&length.to_be_bytes());
        assert_eq!(reason(&lies), "length", "{length}");
    }
    assert_eq!(reason(&packet(&[0x0c, 0, 0])), "codec");
    assert_eq!(reason(&packet(&[&[8, 1], &whole[..], &[2]].concat())), "count");
    assert_eq!(reason(&packet(&[&[8, 2], &whole[..], &[2]].concat())), "length");
    assert_eq!(reason(&packet(&[&[8, 0], &whole[..], &[0]].concat())), "length");
    let with = |at: usize, bytes: &[u8]| {
        let mut record = whole.clone();
        record[at..at + bytes.len()].copy_from_slice(bytes);
        reason(&one(&[&record]))
    };
    assert_eq!(with(25, &[7]), "io-count");
    assert_eq!(with(26, &[255]), "length");
    // An element whose length goes beyond the packet.
    let io: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 5, 0xff, 0xff, 1];
    assert_eq!(reason(&packet(&[&[0x8e, 1], &record(5)[..], io, &[1]].concat())), "length");
}

#[test]
fn a_record_that_says_what_cannot_be_costs_no_other() {
    let whole = [&record(9)[..], IO].concat();
    for (at, byte, reason) in [(0, 255, "time"), (9, 0x7f, "position")] {
        let mut wrong = whole.clone();
        wrong[at] = byte;
        let records = super::decode(&one(&[&whole, &wrong, &whole])).unwrap();
        let [Ok(first), Err(error), Ok(last)] = &records[..] else { panic!("{records:?}") };
        assert_eq!((first, error.reason), (last, reason));
        assert_eq!(error.offset, HEADER_BYTES + 2 + whole.len() + if at == 0 { 0 } else { at });
    }
}

#[test]
fn logins_packets_and_pings_are_told_apart() {
    let example = hex(EXAMPLE);
    let stream = [LOGIN_BYTES, &example, &[0xff], &example].concat();
    let expected = [
        Framed::Login { offset: 0, imei: "356307042441013".to_owned() },
        Framed::Packet { offset: 17, bytes: example.clone() },
        Framed::Ping { offset: 17 + 66 },
        Framed::Packet { offset: 18 + 66, bytes: example.clone() },
    ];
    assert_eq!(framed_of(&[&stream]), expected);
}

#[test]
fn the_next_packet_is_found_behind_garbage_and_behind_one_that_lies() {
    let example = hex(EXAMPLE);
    let mut damaged = example.clone();
    damaged[40] ^= 1;
    let long = [&[0, 0, 0, 0, 0, 0, 0x0f, 0xff][..], &[0xff; 20]].concat();
    let stream =
        [b"GET / ", &damaged[..], &example, &long, &example, b"\x00\x0f35630704244101x", &example[..30]]
            .concat();
    let framed = framed_of(&[&stream]);
    let (mut packets, mut reasons, mut together) = (0, Vec::new(), Vec::new());
    for piece in framed {
        match piece {
            Framed::Packet { bytes, .. } => {
                packets += 1;
                together.extend(bytes);
            }
            Framed::Garbage { offset, bytes, reason } => {
                assert_eq!(offset, together.len() as u64);
                reasons.push(reason);
                together.extend(bytes);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((packets, reasons), (2, vec!["garbage", "truncated", "imei"]));
    assert_eq!(together, stream);
}

#[test]
fn a_packet_that_never_comes_to_its_end_is_not_waited_for_without_bound() {
    let mut framer = Framer::default();
    let mut framed = Vec::new();
    framer.push(&[0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff], &mut framed);
    framer.push(&hex(EXAMPLE), &mut framed);
    let last = framed.last().expect("a length beyond all packets is known for a lie at once");
    assert!(matches!(last, Framed::Packet { offset: 8, .. }), "{framed:?}");
}

fn any_piece() -> impl Strategy<Value = Vec<u8>> {
    let data = (prop_oneof![Just(8u8), Just(0x8e)], proptest::collection::vec(any::<u8>(), 1..80));
    prop_oneof![
        3 => Just(EXAMPLE).prop_map(hex),
        1 => Just(EXTENDED).prop_map(hex),
        1 => Just(LOGIN_BYTES.to_vec()),
        1 => Just(vec![0xff]),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => proptest::collection::vec(0..2u8, 0..40),
        1 => data.prop_map(|(codec, data)| packet(&[&[codec], &data[..], &data[..1]].concat())),
        1 => any::<prop::sample::Index>().prop_map(|cut| hex(EXAMPLE)[..cut.index(66)].to_vec()),
    ]
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same_and_no_byte_is_lost(
        pieces in proptest::collection::vec(any_piece(), 0..10),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let bytes = pieces.concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<_> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
        let framed = framed_of(&[&bytes]);
        prop_assert_eq!(&framed_of(&chunks), &framed);
        let mut together = Vec::new();
        for piece in framed {
            let offset = together.len() as u64;
            let its = match piece {
                Framed::Login { offset, imei } => {
                    together.extend(LOGIN_BYTES[..2].iter().chain(imei.as_bytes()));
                    offset
                }
                Framed::Packet { offset, bytes } => {
                    // That it is refused is as good as that it is taken.
                    super::decode(&bytes).ok();
                    together.extend(bytes);
                    offset
                }
                Framed::Ping { offset } => {
                    together.push(0xff);
                    offset
                }
                Framed::Garbage { offset, bytes, .. } => {
                    together.extend(bytes);
                    offset
                }
            };
            prop_assert_eq!(its, offset);
        }
        prop_assert_eq!(together, bytes);
    }

    #[test]
    fn nothing_panics_and_faults_have_their_place(
        codec in prop_oneof![Just(8u8), Just(0x8e), Just(0x10), any::<u8>()],
        count in 0..4u8,
        mut records in proptest::collection::vec(prop_oneof![Just(0u8), 0..3u8, any::<u8>()], 0..200),
        known in any::<bool>(),
    ) {
        if known {
            records.splice(0..0, record(7));
        }
        let bytes = packet(&[&[codec, count], &records[..], &[count]].concat());
        match super::decode(&bytes) {
            Ok(records) => prop_assert_eq!(records.len(), usize::from(count)),
            Err(error) => prop_assert!(error.offset <= bytes.len(), "{error}"),
        }
        super::decode(&records).ok();
    }
}

mod sessions {
    use super::*;

    fn pieces_of(chunks: &[&[u8]]) -> (Vec<Piece>, Option<Vec<u8>>) {
        let mut session = Session::default();
        let mut pieces = Vec::new();
        chunks.iter().for_each(|chunk| session.push(chunk, &mut pieces));
        (pieces, session.finish())
    }

    #[test]
    fn a_damaged_packet_ends_where_its_length_says() {
        let good = hex(EXAMPLE);
        let mut damaged = good.clone();
        damaged[20] ^= 1;
        let stream = [LOGIN_BYTES, &[0xff], &damaged, &good, &good[..9]].concat();
        let expected = vec![
            Piece::Login("356307042441013".to_owned()),
            Piece::Ping,
            Piece::Damaged(damaged),
            Piece::Packet(good.clone()),
        ];
        assert_eq!(pieces_of(&[&stream]), (expected, Some(good[..9].to_vec())));
    }

    #[test]
    fn what_is_not_even_a_beginning_is_lost_as_early_as_it_is_known() {
        for stream in [
            &b"GET"[..],
            b"\x01",
            b"\x00\x0f12a",
            b"\x00\x00\x07",
            b"\0\0\0\0\0\0\0\x02",
            b"\0\0\0\0\xff\xff\xff\xff",
        ] {
            assert_eq!(pieces_of(&[stream]), (vec![Piece::Lost(stream.to_vec())], None), "{stream:?}");
        }
        for stream in [&b"\x00"[..], b"\x00\x0f", b"\x00\x0f123", b"\0\0\0\0", b"\0\0\0\0\0\0\0\x03"] {
            assert_eq!(pieces_of(&[stream]), (vec![], Some(stream.to_vec())), "{stream:?}");
        }
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_as_far_as_it_goes(
            parts in proptest::collection::vec(0..4usize, 0..8),
            at in proptest::collection::vec(0..400usize, 0..10),
        ) {
            let good = hex(EXAMPLE);
            let mut damaged = good.clone();
            damaged[12] ^= 1;
            let parts: Vec<&[u8]> =
                parts.into_iter().map(|nth| [LOGIN_BYTES, &[0xff][..], &good, &damaged][nth]).collect();
            let stream = parts.concat();
            let mut cuts: Vec<usize> = at.into_iter().map(|at| at.min(stream.len())).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([stream.len()]);
            let begins = [0].into_iter().chain(cuts.iter().copied());
            let chunks: Vec<&[u8]> = begins.zip(ends).map(|(begin, end)| &stream[begin..end]).collect();
            let (pieces, left) = pieces_of(&chunks);
            prop_assert_eq!((pieces.len(), left), (parts.len(), None));
            prop_assert_eq!(pieces_of(&[&stream]).0, pieces);
        }

        /// Every byte comes out once, whatever they are.
        #[test]
        fn any_bytes_are_accounted_for(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let (pieces, left) = pieces_of(&chunks);
            let of = |piece: &Piece| match piece {
                Piece::Login(imei) => 2 + imei.len(),
                Piece::Ping => 1,
                Piece::Packet(bytes) | Piece::Damaged(bytes) | Piece::Lost(bytes) => bytes.len(),
            };
            let told: usize = pieces.iter().map(of).sum::<usize>() + left.map_or(0, |left| left.len());
            prop_assert_eq!(told, chunks.concat().len());
        }
    }
}

mod messages {
    use super::*;
    use crate::decode::Decoded;
    use crate::decode::gps::message::Message;
    use crate::domain::readings::{Reading, Says};

    const IMEI: &str = "356307042441013";

    fn of(payload: &[u8]) -> Result<Decoded, DecodeError> {
        let mut out = Decoded::default();
        let message = Message::new("t", payload, Timestamp::default());
        decode_message(message, &IMEI.into(), &mut out).map(|()| out)
    }

    #[test]
    fn records_are_fixes_and_those_without_satellites_signs_of_life() {
        let whole = [&record(9)[..], IO].concat();
        let cold = [&record(0)[..], IO].concat();
        let packets = [LOGIN_BYTES, &packet(&[&[8, 2], &whole[..], &cold, &[2]].concat()), &[0xff]].concat();
        let decoded = of(&packets).unwrap();
        assert_eq!(decoded.faults, []);
        let [Reading::Fix(fix), Reading::Note(note)] = &decoded.readings[..] else { panic!("{decoded:?}") };
        assert_eq!((fix.device.as_str(), fix.position), (IMEI, Position { lat: 52.5, lon: -123.456_789 }));
        assert_eq!((fix.altitude_m, fix.course_deg, fix.speed_mps), (Some(-12.0), Some(270.0), Some(10.0)));
        assert_eq!((fix.battery_percent, fix.ignition, fix.accuracy_m), (Some(87.0), Some(true), None));
        assert_eq!(fix.odometer_m, Some(65_536.0));
        assert_eq!((note.says, note.observed_at), (Says::NoFix, Some(fix.observed_at)));
        assert_eq!((note.vitals.battery_percent, note.vitals.ignition), (Some(87.0), Some(true)));
        // Ignition and the dilution of precision, in tenths.
        let diluted = [&record(9)[..], &[0, 2, 1, 239, 0, 1, 182, 0, 12, 0, 0]].concat();
        let decoded = of(&one(&[&diluted])).unwrap();
        assert!(
            matches!(&decoded.readings[..], [Reading::Fix(fix)] if fix.accuracy_m == Some(6.0)
                && fix.ignition == Some(false)),
            "{decoded:?}"
        );
    }

    #[test]
    fn a_packet_that_lies_is_believed_in_nothing_and_costs_no_other() {
        let whole = [&record(9)[..], IO].concat();
        let good = one(&[&whole]);
        let counts = packet(&[&[8, 1], &whole[..], &[2]].concat());
        let decoded = of(&[&counts[..], &good].concat()).unwrap();
        assert_eq!((decoded.readings.len(), decoded.faults.len()), (1, 1));
        assert_eq!((decoded.faults[0].reason, decoded.faults[0].offset), ("count", counts.len() - 5));
        let mut damaged = good.clone();
        damaged[20] ^= 1;
        let decoded = of(&damaged).unwrap();
        assert!(decoded.readings.is_empty());
        assert_eq!((decoded.faults[0].reason, decoded.faults[0].offset), ("crc", 0));
        assert_eq!(of(&good[..good.len() - 1]).unwrap().faults[0].reason, "truncated");
        assert_eq!(of(b"").unwrap_err().reason, "empty");
    }

    #[test]
    fn a_login_must_be_the_device_s() {
        let other = b"\x00\x0f356307042441014";
        let packets = [&other[..], &one(&[&[&record(9)[..], IO].concat()])].concat();
        assert_eq!(of(&packets).unwrap_err().reason, "topic-mismatch");
    }

    proptest! {
        #[test]
        fn any_message_is_accounted_for(payload in proptest::collection::vec(any::<u8>(), 1..200)) {
            let decoded = of(&payload).unwrap();
            prop_assert!(decoded.faults.iter().all(|fault| fault.offset <= payload.len()));
        }
    }
}
