use super::*;

fn bytes(hex_text: &str) -> Vec<u8> {
    let digits: String = hex_text.chars().filter(|c| !c.is_whitespace()).collect();
    hex::decode(digits).unwrap()
}

/// A message of that type around parameters written in hex.
fn message_of(message_type: u16, content: &str) -> Vec<u8> {
    let content = bytes(content);
    let mut message = (1u16 << 10 | message_type).to_be_bytes().to_vec();
    message.extend((content.len() as u32 + 10).to_be_bytes());
    message.extend([0, 0, 0, 1]);
    message.extend(content);
    message
}

fn tlv(number: u16, content: &str) -> String {
    let content = bytes(content);
    format!("{:04x}{:04x}{}", number, content.len() + 4, hex::encode(content))
}

fn tag(content: &str) -> String {
    tlv(240, content)
}

fn decoder() -> ReportDecoder {
    ReportDecoder::new(SourceId::new("dock"))
}

fn reads(decoder: &mut ReportDecoder, tags: &[String]) -> (Vec<TagRead>, Result<(), DecodeError>) {
    let mut out = Vec::new();
    let result = decoder.decode(&message_of(61, &tags.concat()), &mut out);
    let reads = out.into_iter().map(|reading| match reading {
        Reading::Tag(read) => read,
        other => panic!("not a tag read: {other:?}"),
    });
    (reads.collect(), result)
}

fn events(decoder: &mut ReportDecoder, content: &str) -> Vec<(DeviceTime, ReaderEventKind)> {
    let mut out = Vec::new();
    decoder.decode(&message_of(63, &tlv(246, content)), &mut out).unwrap();
    let events = out.into_iter().map(|reading| match reading {
        Reading::Reader(event) => (event.time, event.kind),
        other => panic!("not an event: {other:?}"),
    });
    events.collect()
}

const FULL: &str = "8d 3074257bf7194e4000001a85  89 0000007b  8e 0001  8a 0001  81 0002  86 c9  87 0003
    82 0005a9e4bef862e0  84 0005a9e4bef962e0  88 0007  8c 3000  8b abcd  90 00000000";

#[test]
fn a_full_report_has_every_field() {
    let (reads, result) = reads(&mut decoder(), &[tag(FULL)]);
    assert_eq!(result, Ok(()));
    let utc = |micros| DeviceTime::Utc(Timestamp::from_micros(micros));
    let expected = TagRead {
        source: SourceId::new("dock"),
        antenna: 2,
        epc: Epc::from_hex("3074257bf7194e4000001a85").unwrap(),
        first_seen: utc(0x0005_a9e4_bef8_62e0),
        last_seen: utc(0x0005_a9e4_bef9_62e0),
        seen_count: 7,
        peak_rssi_dbm: Some(-55.0),
        pc: Some(0x3000),
        crc: Some(0xabcd),
        doppler_hz: None,
        phase_deg: None,
        channel: Some(3),
    };
    assert_eq!(reads, [expected]);
}

#[test]
fn what_is_absent_equals_what_came_last_also_in_the_next_message() {
    let mut decoder = decoder();
    let (mut first, _) = reads(&mut decoder, &[tag(FULL), tag("8d 000000000000000000000001 81 0004")]);
    let (second, result) = reads(&mut decoder, &[tag("8d 000000000000000000000002")]);
    assert_eq!(result, Ok(()));
    let expected = |last: u8, antenna| TagRead {
        epc: Epc::new(96, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]).unwrap(),
        antenna,
        pc: None,
        crc: None,
        ..first[0].clone()
    };
    let (one, two) = (expected(1, 4), expected(2, 4));
    assert_eq!(first.pop(), Some(one));
    assert_eq!(second, [two]);
}

#[test]
fn a_new_connection_starts_afresh() {
    let mut decoder = decoder();
    reads(&mut decoder, &[tag(FULL)]).1.unwrap();
    let connected = events(&mut decoder, &(tlv(128, "0005ac35bd20d1da") + &tlv(256, "0000")));
    let time = DeviceTime::Utc(Timestamp::from_micros(0x0005_ac35_bd20_d1da));
    assert_eq!(connected, [(time, ReaderEventKind::Connected)]);
    let (after, _) = reads(&mut decoder, &[tag("8d 000000000000000000000002")]);
    assert_eq!(after[0].antenna, ReportDecoder::UNKNOWN_ANTENNA);
    assert_eq!(after[0].peak_rssi_dbm, None);
    assert_eq!((after[0].first_seen, after[0].last_seen), (DeviceTime::None, DeviceTime::None));
    assert_eq!(after[0].seen_count, 1);
}

#[test]
fn a_refused_attempt_is_no_connection() {
    let mut decoder = decoder();
    reads(&mut decoder, &[tag(FULL)]).1.unwrap();
    let contended = events(&mut decoder, &tlv(256, "0004"));
    assert_eq!(contended, [(DeviceTime::None, ReaderEventKind::Contended)]);
    let refused = events(&mut decoder, &tlv(256, "0002"));
    assert_eq!(refused, [(DeviceTime::None, ReaderEventKind::Other { name: "ConnectionAttemptEvent" })]);
    let (after, _) = reads(&mut decoder, &[tag("8d 000000000000000000000002")]);
    assert_eq!(after[0].antenna, 2);
}

#[test]
fn a_reader_that_tells_one_time_tells_both() {
    let (uptime, _) = reads(&mut decoder(), &[tag("8d 000000000000000000000002 83 00000000000003e8")]);
    assert_eq!(uptime[0].first_seen, DeviceTime::Uptime(1000));
    assert_eq!(uptime[0].last_seen, DeviceTime::Uptime(1000));
    let (utc, _) = reads(&mut decoder(), &[tag("8d 000000000000000000000002 84 00000000000003e8")]);
    assert_eq!(utc[0].first_seen, DeviceTime::Utc(Timestamp::from_micros(1000)));
}

#[test]
fn codes_of_any_length_a_tag_can_have() {
    let longest = tlv(241, &format!("01f0{}", "ff".repeat(62)));
    let tags = [tag(&tlv(241, "0000")), tag(&tlv(241, "0009 ffff")), tag(&longest)];
    let (reads, result) = reads(&mut decoder(), &tags);
    assert_eq!(result, Ok(()));
    let codes: Vec<_> = reads.iter().map(|read| (read.epc.bits(), read.epc.to_string())).collect();
    assert_eq!(codes, [(0, String::new()), (9, "ff80".to_owned()), (496, "ff".repeat(62))]);
}

#[test]
fn a_code_too_long_for_a_tag_costs_only_its_own_report() {
    let long = tag(&tlv(241, &format!("0200{}", "ab".repeat(64))));
    let good = |n: u8| tag(&format!("8d 0000000000000000000000{n:02x}"));
    let (reads, result) = reads(&mut decoder(), &[good(1), long, good(2)]);
    assert_eq!(reads.len(), 2);
    let error = result.unwrap_err();
    assert_eq!(error.reason, "epc-too-long");
    assert_eq!(error.offset, 10 + 17 + 4 + 4);
}

#[test]
fn reports_in_front_of_a_broken_one_are_kept() {
    let good = tag("8d 000000000000000000000001");
    for (broken, reason) in [
        (tag("81 0001"), "no-epc"),
        (tag("8d 0000"), "length"),
        (tag("bf 0000"), "unknown-tv"),
        (tag(&tlv(241, "0009 ff")), "epc-length"),
        (tag(&tlv(241, "0008 ffff")), "epc-length"),
        (tag(&tlv(241, "00")), "truncated"),
        (tag("00f1 0003"), "length"),
        (tag("00f1"), "truncated"),
        ("00f0 0040 8d".to_owned(), "length"),
        ("00f0 0003".to_owned(), "length"),
        ("bf 0000".to_owned(), "unknown-tv"),
        ("00".to_owned(), "truncated"),
    ] {
        let (before, result) = reads(&mut decoder(), &[good.clone(), good.clone(), broken.clone()]);
        assert_eq!((before.len(), result.unwrap_err().reason), (2, reason), "{broken}");
    }
}

/// Where the lengths of the message itself are in order, a broken report is one of many; where they are not, nothing
/// behind the fault is believed.
#[test]
fn a_broken_report_costs_the_others_nothing_where_the_message_is_in_order() {
    let good = |n: u8| tag(&format!("8d 0000000000000000000000{n:02x} 81 0002"));
    let inner = [
        (tag("81 0001"), "no-epc"),
        (tag("8d 0000"), "length"),
        (tag("8d 000000000000000000000009 bf 0000"), "unknown-tv"),
        (tag(&tlv(241, "0009 ff")), "epc-length"),
        (tag("00f1 0003"), "length"),
        (tag("00f1"), "truncated"),
        (tag(&tlv(241, &format!("0200{}", "ab".repeat(64)))), "epc-too-long"),
    ];
    for (broken, reason) in &inner {
        let all = [good(1), broken.clone(), tlv(1023, "0000651a 00000001"), good(2)];
        let (reads, result) = reads(&mut decoder(), &all);
        assert_eq!((reads.len(), result.unwrap_err().reason), (2, *reason), "{broken}");
    }
    // An outer length that lies leaves nothing behind it that is in order.
    for lie in ["00f0 0007 8d 00", "00f0 0040 8d", "00f0 0003", "bf 0000", "00"] {
        let (reads, result) = reads(&mut decoder(), &[good(1), lie.to_owned(), good(2)]);
        assert_eq!(reads.len(), 1, "{lie}");
        result.unwrap_err();
    }
}

/// What it told may be what the next one leaves out: better no antenna than another one's.
#[test]
fn behind_a_broken_report_nothing_equals_what_came_last() {
    let mut decoder = decoder();
    let epc = "8d 000000000000000000000001";
    let broken = tag(&format!("81 0005 {}", tlv(241, "0009 ff")));
    let (reads, _) = reads(&mut decoder, &[tag(&format!("{epc} 81 0004 86 d0")), broken, tag(epc)]);
    let told: Vec<_> = reads.iter().map(|read| (read.antenna, read.peak_rssi_dbm)).collect();
    assert_eq!(told, [(4, Some(-48.0)), (ReportDecoder::UNKNOWN_ANTENNA, None)]);
}

#[test]
fn a_broken_report_leaves_nothing_behind() {
    let mut decoder = decoder();
    reads(&mut decoder, &[tag("81 0009 86 d0")]).1.unwrap_err();
    let (after, _) = reads(&mut decoder, &[tag("8d 000000000000000000000001")]);
    assert_eq!((after[0].antenna, after[0].peak_rssi_dbm), (ReportDecoder::UNKNOWN_ANTENNA, None));
}

#[test]
fn vendors_additions_and_results_are_stepped_over() {
    let custom = tlv(1023, "0000651a 00000038 1234");
    let result_of_read = tlv(349, "00 0001 0001 beef");
    let tv_in_tlv_clothes = tlv(1, "0099");
    let content =
        format!("8d 000000000000000000000001 {custom} 81 0003 {result_of_read} {tv_in_tlv_clothes}");
    let (reads, result) = reads(&mut decoder(), &[tag(&content), tlv(1023, "0000651a 00000001")]);
    assert_eq!(result, Ok(()));
    assert_eq!(reads[0].antenna, 3);
}

#[test]
fn events_come_one_by_one_in_their_order() {
    let content = [
        tlv(129, "00000000000003e8"),
        tlv(255, "00 0003"),
        tlv(255, "01 0004"),
        tlv(250, "5a"),
        tlv(251, ""),
        tlv(252, "0003 626164 81 0001"),
        tlv(248, "0002 80"),
        tlv(248, "0002 00"),
        tlv(257, ""),
    ];
    let kinds: Vec<_> = events(&mut decoder(), &content.concat())
        .into_iter()
        .map(|(time, kind)| {
            assert_eq!(time, DeviceTime::Uptime(1000));
            kind
        })
        .collect();
    let expected = [
        ReaderEventKind::Antenna { antenna: 3, connected: false },
        ReaderEventKind::Antenna { antenna: 4, connected: true },
        ReaderEventKind::BufferLevel { percent: 90 },
        ReaderEventKind::BufferOverflow,
        ReaderEventKind::Exception { message: "bad".to_owned() },
        ReaderEventKind::Gpi { port: 2, high: true },
        ReaderEventKind::Gpi { port: 2, high: false },
        ReaderEventKind::Other { name: "ConnectionCloseEvent" },
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn other_messages_give_nothing_and_lies_about_length_are_refused() {
    let mut out = Vec::new();
    decoder().decode(&message_of(62, ""), &mut out).unwrap();
    decoder().decode(&message_of(1023, "00"), &mut out).unwrap();
    let mut short = message_of(61, "");
    short.push(0);
    assert_eq!(decoder().decode(&short, &mut out).unwrap_err().reason, "length");
    assert_eq!(decoder().decode(&[4, 61], &mut out).unwrap_err().reason, "truncated");
    assert_eq!(decoder().decode(b"GET / HTTP/1.1\r\n", &mut out).unwrap_err().reason, "length");
    assert_eq!(out, []);
}

fn custom(vendor: u32, subtype: u32, value: &str) -> String {
    tlv(1023, &format!("{vendor:08x}{subtype:08x}{value}"))
}

#[test]
fn makers_own_words_of_a_read_are_taken_and_those_of_others_left_alone() {
    let mut decoder = decoder();
    let epc = "8d 000000000000000000000002";
    let impinj =
        [custom(25_882, 56, "0400"), custom(25_882, 57, "e5d4"), custom(25_882, 68, "fff8")].concat();
    let zebra = custom(161, 709, "c000");
    let unknown = [custom(25_882, 56, "04"), custom(99, 56, "0400"), custom(25_882, 999, "")].concat();
    let all = [impinj, zebra, unknown, String::new()].map(|more| tag(&format!("{epc} 86c9 {more}")));
    let (reads, decoded) = reads(&mut decoder, &all);
    decoded.unwrap();
    let told: Vec<_> =
        reads.iter().map(|read| (read.phase_deg, read.peak_rssi_dbm, read.doppler_hz)).collect();
    assert_eq!(
        told,
        [
            (Some(90.0), Some(-67.0), Some(-0.5)),
            (Some(270.0), Some(-55.0), None),
            (None, Some(-55.0), None),
            (None, Some(-55.0), None),
        ]
    );
}

#[test]
fn makers_own_parameters_are_named_and_come_back_to_the_byte() {
    use crate::decode::llrp::Message;

    let customs = [
        custom(25_882, 55, "0002 e2801171"),
        custom(25_882, 57, "e5d4"),
        custom(161, 709, "c000"),
        custom(99, 1, "beef"),
    ];
    let bytes = message_of(61, &tag(&format!("8d 000000000000000000000002 {}", customs.concat())));
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.encode().unwrap(), bytes);
    let shown = serde_json::to_value(&message).unwrap();
    let customs = &shown["TagReportData"][0]["Custom"];
    assert_eq!(customs[0]["extension"], "ImpinjSerializedTID");
    assert_eq!(customs[0]["TID"], "e2801171");
    assert_eq!(customs[1]["RSSI"], -6700);
    assert_eq!(customs[2]["Phase"], -16_384);
    assert_eq!((&customs[3]["extension"], &customs[3]["Data"]), (&serde_json::Value::Null, &"beef".into()));
}

#[test]
fn antennas_that_are_connected_are_told_where_any_is() {
    let told = |connected: [bool; 2]| {
        let antenna = |nth: usize| {
            tlv(221, &format!("{} {:04x} 0000", if connected[nth] { "80" } else { "00" }, nth + 1))
        };
        let content = [tlv(287, "0000 0000"), tlv(218, "00 0002 beef"), antenna(0), antenna(1)].concat();
        let mut out = Vec::new();
        decoder().decode(&message_of(12, &content), &mut out).unwrap();
        let states = out.into_iter().map(|reading| match reading {
            Reading::Reader(ReaderEvent {
                kind: ReaderEventKind::AntennaState { antenna, connected },
                ..
            }) => (antenna, connected),
            other => panic!("{other:?}"),
        });
        states.collect::<Vec<_>>()
    };
    assert_eq!(told([true, false]), [(1, true), (2, false)]);
    assert_eq!(told([false, false]), []);
}

#[test]
fn inputs_are_told_as_they_stand_and_not_where_the_reader_does_not_know() {
    let input = |port: u16, state: u8| tlv(225, &format!("{port:04x} 80 {state:02x}"));
    let content = [tlv(287, "0000 0000"), input(1, 0), input(2, 1), input(3, 2)].concat();
    let mut out = Vec::new();
    decoder().decode(&message_of(12, &content), &mut out).unwrap();
    let states: Vec<_> = out
        .into_iter()
        .map(|reading| match reading {
            Reading::Reader(ReaderEvent { kind: ReaderEventKind::GpiState { port, high }, .. }) => {
                (port, high)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(states, [(1, false), (2, true)]);
}

#[test]
fn a_readers_words_do_nothing_to_a_terminal_and_end() {
    let words = format!("{}{}", "6f6b1b5b324a9b", "41".repeat(400));
    let text = format!("{:04x} {words}", words.len() / 2);
    let kinds = events(&mut decoder(), &tlv(252, &text));
    let [(_, ReaderEventKind::Exception { message })] = &kinds[..] else { panic!("{kinds:?}") };
    assert!(message.starts_with("ok\u{fffd}[2J\u{fffd}AAA"), "{message}");
    assert_eq!((message.chars().count(), message.chars().last()), (301, Some('…')));
}

/// Makers hang theirs on anything; where only that is behind a parameter's fields, it is one.
#[test]
fn customs_are_kept_wherever_they_hang_and_are_always_several() {
    use crate::decode::llrp::Message;

    let word = custom(99, 1, "beef");
    let state = tlv(217, &format!("00000007 {word}"));
    let band = tlv(144, &word);
    let status = tlv(287, &format!("0000 0000 {}", tlv(288, &format!("0001 0002 {word}"))));
    let bytes =
        message_of(11, &format!("{status} {} {state}", tlv(143, &format!("0001 0001 {band} {word}"))));
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.encode().unwrap(), bytes);
    let shown = serde_json::to_value(&message).unwrap();
    let hung = |custom: &serde_json::Value| custom[0]["Data"].as_str().map(str::to_owned);
    let regulatory = &shown["RegulatoryCapabilities"];
    let fault = &shown["LLRPStatus"]["FieldError"];
    let state = &shown["LLRPConfigurationStateValue"];
    for place in [regulatory, &regulatory["UHFBandCapabilities"], fault, state] {
        assert_eq!(hung(&place["Custom"]).as_deref(), Some("beef"), "{shown}");
    }
    assert_eq!(state["LLRPConfigurationStateValue"], 7);
    // Anything else there is a length that lies.
    let swallowed = tlv(221, &format!("80 0001 0000 {}", tlv(221, "80 0002 0000")));
    let error = Message::decode(&message_of(12, &swallowed)).unwrap_err();
    assert_eq!(error.reason, "trailing");
}

/// Its uptime has no offset but what its reads give, and those that it held give a wrong one.
#[test]
fn of_a_reader_that_tells_both_scales_the_time_of_day_is_taken() {
    let mut decoder = decoder();
    let epc = "8d 000000000000000000000002";
    let utc = |micros| DeviceTime::Utc(Timestamp::from_micros(micros));
    let (first, last) = ("82 00000000000003e8", "84 00000000000007d0");
    let (up_first, up_last) = ("83 0000000000000001", "85 0000000000000002");
    let both = [
        tag(&format!("{epc} {first} {up_first} {last} {up_last}")),
        tag(&format!("{epc} {up_first} {first} {up_last} {last}")),
        // It has lost the time of day since.
        tag(&format!("{epc} {up_first} {up_last}")),
    ];
    let (reads, result) = reads(&mut decoder, &both);
    assert_eq!(result, Ok(()));
    let told: Vec<_> = reads.iter().map(|read| (read.first_seen, read.last_seen)).collect();
    let day = (utc(1000), utc(2000));
    assert_eq!(told, [day, day, (DeviceTime::Uptime(1), DeviceTime::Uptime(2))]);
}

/// Above all not the announcement of the connection, by which its clock is known.
#[test]
fn an_event_that_is_broken_costs_the_others_nothing() {
    let content =
        [tlv(128, "0005ac35bd20d1da"), tlv(250, ""), tlv(252, "00ff 62"), tlv(256, "0000")].concat();
    let mut out = Vec::new();
    let result = decoder().decode(&message_of(63, &tlv(246, &content)), &mut out);
    assert_eq!(result.unwrap_err().reason, "truncated");
    let time = DeviceTime::Utc(Timestamp::from_micros(0x0005_ac35_bd20_d1da));
    let kind = ReaderEventKind::Connected;
    assert_eq!(out, [Reading::Reader(ReaderEvent { source: SourceId::new("dock"), time, kind })]);
}
