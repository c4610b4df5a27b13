//! Samples of each protocol (their check sums were recomputed), the framer under any cutting, and no input
//! that panics.

use proptest::prelude::*;

use super::*;
use crate::domain::epc::Epc;
use crate::domain::time::Timestamp;

mod framing;
mod lines;

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

fn epc(text: &str) -> Epc {
    Epc::from_hex(text).unwrap()
}

fn heard(protocol: &Protocol, frame: &[u8]) -> Result<Vec<Heard>, DecodeError> {
    let mut out = Vec::new();
    protocol.decode(frame, &mut out).map(|()| out)
}

fn one_tag(protocol: &Protocol, frame: &[u8]) -> SerialTag {
    let out = heard(protocol, frame).unwrap();
    match out.into_iter().next() {
        Some(Heard::Tag(tag)) => tag,
        other => panic!("{other:?}"),
    }
}

fn reason(protocol: &Protocol, frame: &[u8]) -> &'static str {
    heard(protocol, frame).unwrap_err().reason
}

const MERCURY: &str =
    "FF2822000010001B01FF0101C4110E16400000012700000500000F00803000000000000000000000001545E94A561D";
const CHAFON: &str = "1500010301010c0000000000000000000003136bb1a5";
const R200: &str = "AA02220011C9340030751FEB705C5904E3D50D703A76EFDD";
const R2000: &str = "A0030172EA";

#[test]
fn a_mercury_read_has_all_its_metadata() {
    let tag = one_tag(&Protocol::Mercury, &bytes(MERCURY));
    assert_eq!(tag.epc, epc("000000000000000000001545"));
    assert_eq!((tag.pc, tag.crc), (Some(0x3000), Some(0xe94a)));
    assert_eq!((tag.antenna, tag.rssi_dbm, tag.count), (1, Some(-60.0), 1));
    assert_eq!((tag.frequency_khz, tag.phase_deg), (Some(923_200), Some(0.0)));
    assert_eq!((tag.time, tag.truncated), (DeviceTime::None, false));
}

#[test]
fn a_mercury_read_with_fewer_metadata_is_read_by_its_flags() {
    // Antenna alone; 32 bits of PC and CRC around a code of 16.
    let mut data = bytes("10 001b 0004 01 22 0030 0800 abcd 1234");
    let mut frame = vec![0xff, u8::try_from(data.len()).unwrap(), 0x22, 0, 0];
    frame.append(&mut data);
    frame.extend(checksum::mercury(&frame[1..]).to_be_bytes());
    let tag = one_tag(&Protocol::Mercury, &frame);
    assert_eq!((tag.epc, tag.antenna, tag.rssi_dbm), (epc("abcd"), 2, None));
    assert_eq!((tag.pc, tag.crc), (Some(0x0800), Some(0x1234)));
}

fn mercury_status(status: u16) -> Vec<u8> {
    let [high, low] = status.to_be_bytes();
    let mut frame = vec![0xff, 0, 0x22, high, low];
    frame.extend(checksum::mercury(&frame[1..]).to_be_bytes());
    frame
}

#[test]
fn mercury_frames_without_data_are_signs_of_life_or_of_trouble() {
    let of = |status| heard(&Protocol::Mercury, &mercury_status(status)).unwrap();
    assert_eq!(of(0x0400), [Heard::Other("keepalive")]);
    assert!(matches!(&of(0x0504)[..], [Heard::Trouble(told)] if told.contains("hot")));
    assert!(matches!(&of(0x0505)[..], [Heard::Trouble(told)] if told.contains("antenna")));
    assert!(matches!(&of(0x0109)[..], [Heard::Trouble(told)] if told.contains("0x0109")));
}

#[test]
fn mercury_commands_are_framed_as_the_module_wants_them() {
    // Get version: the best-known command of the protocol.
    assert_eq!(mercury::command(0x03, &[]), bytes("FF 00 03 1D 0C"));
}

#[test]
fn a_chafon_288_answer_has_antenna_and_signal() {
    let out = heard(&Protocol::Chafon, &bytes(CHAFON)).unwrap();
    let [Heard::Tag(tag)] = &out[..] else { panic!("{out:?}") };
    assert_eq!((tag.epc, tag.antenna), (epc("000000000000000000000313"), 1));
    assert_eq!((tag.rssi_raw, tag.rssi_dbm), (Some(0x6b), None));
}

#[test]
fn a_chafon_18_answer_is_told_from_it_and_the_last_one_ends_the_round() {
    let mut data = vec![0x01, 2, 12];
    data.extend([0xe2; 12]);
    data.push(4);
    data.extend([1, 2, 3, 4]);
    let out = heard(&Protocol::Chafon, &chafon::command(0, 0x01, &data)).unwrap();
    let tags: Vec<_> =
        out.iter().filter_map(|h| if let Heard::Tag(tag) = h { Some(tag.epc) } else { None }).collect();
    assert_eq!(tags, [Epc::new(96, &[0xe2; 12]).unwrap(), epc("01020304")]);
    assert_eq!(out.last(), Some(&Heard::RoundEnd { reads: None }));
    assert_eq!(
        heard(&Protocol::Chafon, &chafon::command(0, 0x01, &[0xfb])).unwrap(),
        [Heard::RoundEnd { reads: Some(0) }]
    );
    assert_eq!(reason(&Protocol::Chafon, &chafon::command(0, 0x01, &[0x01, 2, 12, 1, 2])), "length");
    // Codes are of whole words, so that one form of the answer is not taken for the other.
    for data in [&[0x01, 1, 3, 1, 2, 3][..], &[0x01, 1, 2, 0, 0, 0]] {
        assert_eq!(reason(&Protocol::Chafon, &chafon::command(0, 0x01, data)), "length", "{data:?}");
    }
}

#[test]
fn an_r200_notification_has_signal_pc_and_crc() {
    let tag = one_tag(&Protocol::R200, &bytes(R200));
    assert_eq!(tag.epc, epc("30751feb705c5904e3d50d70"));
    assert_eq!((tag.rssi_dbm, tag.antenna), (Some(-55.0), 1));
    assert_eq!((tag.pc, tag.crc), (Some(0x3400), Some(0x3a76)));
    assert_eq!(r200::start(), bytes("AA 00 27 00 03 22 FF FF 4A DD"));
    assert_eq!(r200::stop(), bytes("AA 00 28 00 00 28 DD"));
    let no_tag = bytes("AA 01 FF 00 01 15 16 DD");
    assert_eq!(heard(&Protocol::R200, &no_tag).unwrap(), [Heard::RoundEnd { reads: Some(0) }]);
    // The other kin's marks.
    let mut other = bytes(R200);
    (other[0], *other.last_mut().unwrap()) = (0xbb, 0x7e);
    assert_eq!(one_tag(&Protocol::R200, &other).epc, tag.epc);
}

#[test]
fn an_r2000_round_is_reads_and_an_end() {
    assert_eq!(heard(&Protocol::R2000, &bytes(R2000)).unwrap(), [Heard::Other("answer")]);
    assert_eq!(r2000::command(1, 0x72, &[]), bytes(R2000));
    let mut data = vec![0b1011_0110, 0x30, 0x00];
    data.extend([0x34; 12]);
    let mut upper = data.clone();
    data.push(98);
    upper.push(0x80 | 31);
    let tag = one_tag(&Protocol::R2000, &r2000::command(1, 0x89, &data));
    assert_eq!((tag.epc, tag.antenna), (Epc::new(96, &[0x34; 12]).unwrap(), 3));
    assert_eq!((tag.rssi_dbm, tag.pc), (Some(-31.0), Some(0x3000)));
    let tag = one_tag(&Protocol::R2000, &r2000::command(1, 0x89, &upper));
    assert_eq!((tag.antenna, tag.rssi_dbm), (7, Some(-98.0)));
    let end = r2000::command(1, 0x89, &[0, 0, 40, 0, 0, 1, 2]);
    assert_eq!(heard(&Protocol::R2000, &end).unwrap(), [Heard::RoundEnd { reads: Some(258) }]);
    let missing = r2000::command(1, 0x89, &[0x22]);
    assert_eq!(
        heard(&Protocol::R2000, &missing).unwrap(),
        [Heard::Trouble("an antenna is missing".to_owned())]
    );
    // A PC of six words, and four words of code.
    let lies = r2000::command(1, 0x89, &[0, 0x30, 0, 1, 2, 3, 4, 5, 6, 7, 8, 90]);
    assert_eq!(reason(&Protocol::R2000, &lies), "length");
}

#[test]
fn a_wrong_check_sum_is_said_to_be_one() {
    for (protocol, sample) in samples() {
        let frame = bytes(sample);
        // The last byte of R200 is a mark, and no sum.
        let at = frame.len() - if matches!(protocol, Protocol::R200) { 2 } else { 1 };
        let mut broken = frame.clone();
        broken[at] ^= 0x01;
        assert_eq!(reason(&protocol, &broken), "checksum", "{}", protocol.name());
        assert!(heard(&protocol, &frame).is_ok());
    }
}

fn samples() -> Vec<(Protocol, &'static str)> {
    vec![
        (Protocol::Mercury, MERCURY),
        (Protocol::R2000, R2000),
        (Protocol::Chafon, CHAFON),
        (Protocol::R200, R200),
    ]
}

fn protocols() -> Vec<Protocol> {
    let mut all: Vec<Protocol> = samples().into_iter().map(|(protocol, _)| protocol).collect();
    all.push(Protocol::Line(LinePattern::new(LinePattern::DEFAULT, &[]).unwrap()));
    all
}

proptest! {
    #[test]
    fn no_frame_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), which in 0..5usize) {
        prop_assert!(heard(&protocols()[which], &bytes).map_or(true, |out| out.len() <= 300));
    }

    /// With the check sum right, whatever is inside.
    #[test]
    fn no_content_panics(data in prop::collection::vec(any::<u8>(), 0..200), op in any::<u8>()) {
        let mut framed = vec![
            (Protocol::R2000, r2000::command(1, op, &data)),
            (Protocol::R2000, r2000::command(1, 0x89, &data)),
            (Protocol::Chafon, chafon::command(0, op, &data)),
            (Protocol::Chafon, chafon::command(0, 0x01, &data)),
            (Protocol::R200, r200::command(op, &data)),
            (Protocol::Mercury, mercury::command(0x22, &data)),
        ];
        let mut notified = r200::command(0x22, &data);
        notified[1] = 2;
        let end = notified.len();
        notified[end - 2] = checksum::sum(&notified[1..end - 2]);
        framed.push((Protocol::R200, notified));
        for (protocol, frame) in framed {
            let decoded = heard(&protocol, &frame);
            let known = ["length", "truncated", "epc-too-long", "unknown-metadata"];
            prop_assert!(decoded.map_or_else(|e| known.contains(&e.reason), |_| true), "{}", protocol.name());
        }
    }
}
