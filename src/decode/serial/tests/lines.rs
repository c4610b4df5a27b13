use super::*;

fn lines(pattern: &str) -> Protocol {
    Protocol::Line(LinePattern::new(pattern, &["^#".to_owned()]).unwrap())
}

#[test]
fn the_default_pattern_takes_what_most_readers_print() {
    let protocol = lines(LinePattern::DEFAULT);
    let cases = [
        ("300833B2DDD9014000000001\r\n", 1, None),
        ("\u{2}300833b2ddd9014000000001\u{3}\n", 1, None),
        ("EPC:300833B2DDD9014000000001, 2, -61.5\r", 2, Some(-61.5)),
        ("300833B2DDD9014000000001\t4\t-70", 4, Some(-70.0)),
        ("tag 300833B2DDD9014000000001 -48", 1, Some(-48.0)),
    ];
    for (line, antenna, rssi_dbm) in cases {
        let tag = one_tag(&protocol, line.as_bytes());
        assert_eq!(tag.epc, epc("300833b2ddd9014000000001"), "{line:?}");
        assert_eq!((tag.antenna, tag.rssi_dbm), (antenna, rssi_dbm), "{line:?}");
    }
    assert_eq!(reason(&protocol, b"ready\r\n"), "no-match");
    assert_eq!(heard(&protocol, b"# ready\n").unwrap(), [Heard::Other("line")]);
    assert_eq!(heard(&protocol, b"  \n").unwrap(), [Heard::Other("line")]);
}

#[test]
fn a_pattern_of_ones_own_has_time_and_set_off_codes() {
    let protocol = lines(r"^(?P<time>\S+) ant=(?P<antenna>\d+) id=(?P<epc>[0-9A-F :-]+) s=(?P<rssi>\S+)$");
    let at = |line: &str| one_tag(&protocol, line.as_bytes());
    let tag = at("2026-05-01T06:00:00.25Z ant=3 id=E2 80 11-60:60 s=-55");
    assert_eq!(tag.time, DeviceTime::Utc(Timestamp::from_micros(1_777_615_200_250_000)));
    assert_eq!((tag.epc, tag.antenna, tag.truncated), (epc("e280116060"), 3, true));
    for told in ["1777615200", "1777615200000", "1777615200000000", "1777615200.000"] {
        let tag = at(&format!("{told} ant=1 id=E280 s=-55"));
        assert_eq!(tag.time, DeviceTime::Utc(Timestamp::from_secs(1_777_615_200)), "{told}");
    }
    let wrong = |line: &str| {
        let error = heard(&protocol, line.as_bytes()).unwrap_err();
        (error.reason, error.offset)
    };
    assert_eq!(wrong("noon ant=1 id=E280 s=-55"), ("time", 0));
    assert_eq!(wrong("1777615200 ant=99999999 id=E280 s=-55"), ("antenna", 15));
    assert_eq!(wrong("1777615200 ant=1 id=: s=-55"), ("epc", 20));
    assert_eq!(wrong("1777615200 ant=1 id=E280 s=loud"), ("rssi", 27));
    assert_eq!(wrong(" 1777615200 ant=1 id=E280 s=NaN"), ("rssi", 28));
}

#[test]
fn a_code_that_a_wiegand_bridge_cut_is_marked() {
    let protocol = lines(r"^(?P<epc>[0-9A-F]+)$");
    let tag = one_tag(&protocol, b"3B2A1F7\n");
    assert_eq!((tag.epc, tag.truncated), (epc("03b2a1f7"), true));
    assert!(!one_tag(&protocol, b"300833B2DDD9014000000001").truncated);
    assert_eq!(reason(&protocol, "A".repeat(125).as_bytes()), "epc");
}

#[test]
fn a_pattern_that_cannot_work_says_why() {
    let wrong = |pattern: &str| LinePattern::new(pattern, &[]).unwrap_err();
    assert!(wrong("(?P<epc>[0-9").starts_with("not a regular expression"), "{}", wrong("(?P<epc>[0-9"));
    assert!(wrong("[0-9A-F]+").contains("no group named `epc`"));
    assert!(wrong("(?P<epc>[0-9]+) (?P<ant>.)").contains("`ant`"));
    assert!(wrong("(?P<epc>.{1000}{1000})").len() > 10);
}
