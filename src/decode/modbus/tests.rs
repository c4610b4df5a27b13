use super::*;
use crate::config::{ByteOrder, Fixed, Half, RegisterType};
use crate::domain::frames::ModbusTable;
use proptest::prelude::*;

const POLL: Duration = Duration::from_secs(10);
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn point(name: &str, address: u16, kind: RegisterType, order: ByteOrder) -> PointConfig {
    PointConfig { order, ..PointConfig::new(name, ModbusTable::Holding, address, kind) }
}

fn answer(address: u16, count: u16, registers: Result<Vec<u16>, ModbusFailure>) -> ModbusAnswer {
    ModbusAnswer {
        device: DeviceId::new("cold-room"),
        table: ModbusTable::Holding,
        address,
        count,
        interval: POLL,
        registers,
    }
}

fn samples(points: &[PointConfig], answer: &ModbusAnswer) -> Vec<(String, Option<f64>, Quality)> {
    let mut out = Vec::new();
    PointDecoder::new(points, POLL).decode(answer, NOW, &mut out);
    out.into_iter()
        .map(|reading| match reading {
            Reading::Sample(sample) => {
                assert_eq!((sample.device.as_str(), sample.observed_at), ("cold-room", NOW));
                (sample.point.to_string(), sample.value, sample.quality)
            }
            other => panic!("{other:?} instead of a sample"),
        })
        .collect()
}

fn value_of(kind: RegisterType, order: ByteOrder, registers: &[u16]) -> Option<f64> {
    let points = [point("p", 0, kind, order)];
    let found = samples(&points, &answer(0, registers.len() as u16, Ok(registers.to_vec())));
    assert_eq!(found.len(), 1);
    found[0].1
}

#[test]
fn types_and_byte_orders() {
    use ByteOrder::{Abcd, Badc, Cdab, Dcba};
    use RegisterType::{F32, I16, I32, U16, U32};
    for (kind, order, registers, expected) in [
        (U16, Abcd, &[0x1234][..], 4660.0),
        (U16, Cdab, &[0x1234], 4660.0),
        (U16, Badc, &[0x3412], 4660.0),
        (U16, Dcba, &[0x3412], 4660.0),
        (U16, Abcd, &[0xffff], 65_535.0),
        (I16, Abcd, &[0xffff], -1.0),
        (I16, Badc, &[0x0080], -32_768.0),
        (U32, Abcd, &[0x0001, 0x0002], 65_538.0),
        (U32, Cdab, &[0x0002, 0x0001], 65_538.0),
        (U32, Badc, &[0x0100, 0x0200], 65_538.0),
        (U32, Dcba, &[0x0200, 0x0100], 65_538.0),
        (U32, Abcd, &[0xffff, 0xffff], 4_294_967_295.0),
        (I32, Abcd, &[0xffff, 0xfffe], -2.0),
        (I32, Dcba, &[0xfeff, 0xffff], -2.0),
        // 21.5 is 0x41ac0000.
        (F32, Abcd, &[0x41ac, 0x0000], 21.5),
        (F32, Cdab, &[0x0000, 0x41ac], 21.5),
        (F32, Badc, &[0xac41, 0x0000], 21.5),
        (F32, Dcba, &[0x0000, 0xac41], 21.5),
    ] {
        assert_eq!(value_of(kind, order, registers), Some(expected), "{kind:?} {order:?} {registers:x?}");
    }
}

#[test]
fn scale_and_offset_apply_in_this_order() {
    let scaled =
        PointConfig { scale: 0.1, offset: -40.0, ..point("t", 7, RegisterType::U16, ByteOrder::Abcd) };
    let found = samples(&[scaled], &answer(7, 1, Ok(vec![615])));
    assert_eq!(found, [("t".into(), Some(615.0 * 0.1 - 40.0), Quality::Good)]);
}

#[test]
fn what_is_no_number_is_a_failed_sensor() {
    for registers in [[0x7fc0, 0x0000], [0x7f80, 0x0000], [0xff80, 0x0000]] {
        assert_eq!(value_of(RegisterType::F32, ByteOrder::Abcd, &registers), None);
    }
    let huge = PointConfig { scale: 1e308, ..point("h", 0, RegisterType::U32, ByteOrder::Abcd) };
    let found = samples(&[huge], &answer(0, 2, Ok(vec![0xffff, 0xffff])));
    assert_eq!(found, [("h".into(), None, Quality::SensorFailure)]);
}

/// Smaller than any number that has all its digits, and a number all the same.
#[test]
fn denormals_are_numbers() {
    use RegisterType::{F16, F32, F64};
    for (kind, registers, expected) in [
        (F16, &[0x0001][..], 2f64.powi(-24)),
        (F32, &[0x0000, 0x0001], f64::from(f32::from_bits(1))),
        (F32, &[0x807f, 0xffff], f64::from(f32::from_bits(0x807f_ffff))),
        (F64, &[0, 0, 0, 1], f64::from_bits(1)),
    ] {
        assert!(expected != 0.0);
        assert_eq!(value_of(kind, ByteOrder::Abcd, registers), Some(expected), "{kind:?} {registers:x?}");
    }
}

#[test]
fn only_points_wholly_inside_the_block_of_their_table() {
    let order = ByteOrder::Abcd;
    let mut points = vec![
        point("after", 14, RegisterType::U16, order),
        point("over-the-end", 13, RegisterType::U32, order),
        point("last", 13, RegisterType::U16, order),
        point("first", 10, RegisterType::U32, order),
        point("over-the-start", 9, RegisterType::U32, order),
        PointConfig { table: ModbusTable::Input, ..point("input", 10, RegisterType::U16, order) },
    ];
    let found = samples(&points, &answer(10, 4, Ok(vec![0, 5, 6, 7])));
    assert_eq!(
        found,
        [("first".into(), Some(5.0), Quality::Good), ("last".into(), Some(7.0), Quality::Good)]
    );
    points.reverse();
    assert_eq!(samples(&points, &answer(10, 4, Ok(vec![0, 5, 6, 7]))), found, "order of configuration");
    let end = [point("end", 65_535, RegisterType::U16, order)];
    assert_eq!(samples(&end, &answer(65_535, 1, Ok(vec![3]))).len(), 1);
}

#[test]
fn a_failed_block_is_bad_quality_for_each_of_its_points() {
    let points = [
        point("a", 0, RegisterType::U16, ByteOrder::Abcd),
        point("b", 1, RegisterType::F32, ByteOrder::Abcd),
        point("elsewhere", 9, RegisterType::U16, ByteOrder::Abcd),
    ];
    for (registers, quality) in [
        (Err(ModbusFailure::Timeout), Quality::NoCommunication),
        (Err(ModbusFailure::Transport("gone".into())), Quality::NoCommunication),
        (Err(ModbusFailure::Exception(1)), Quality::ConfigurationError),
        (Err(ModbusFailure::Exception(4)), Quality::SensorFailure),
        (Err(ModbusFailure::Exception(10)), Quality::NoCommunication),
        (Err(ModbusFailure::Exception(11)), Quality::NoCommunication),
        (Ok(vec![1, 2]), Quality::NoCommunication),
        (Ok(vec![1, 2, 3, 4]), Quality::NoCommunication),
        (Ok(vec![]), Quality::NoCommunication),
    ] {
        let found = samples(&points, &answer(0, 3, registers.clone()));
        let expected = ["a", "b"].map(|name| (name.to_owned(), None, quality));
        assert_eq!(found, expected, "{registers:?}");
    }
}

/// Before it gets here a refused block was taken apart: it is of one value.
#[test]
fn a_refused_value_says_nothing_of_those_that_share_its_registers() {
    let points = [
        point("wide", 0, RegisterType::U32, ByteOrder::Abcd),
        point("again", 0, RegisterType::U32, ByteOrder::Abcd),
        point("bit", 1, RegisterType::Bit(3), ByteOrder::Abcd),
        point("first", 0, RegisterType::U16, ByteOrder::Abcd),
    ];
    for code in [2, 3] {
        let found = samples(&points, &answer(0, 2, Err(ModbusFailure::Exception(code))));
        let expected = ["wide", "again"].map(|name| (name.to_owned(), None, Quality::ConfigurationError));
        assert_eq!(found, expected, "exception {code}");
    }
}

/// What a point says of one block that holds it and nothing else.
fn said(point: PointConfig, registers: &[u16]) -> Measured {
    measure(&point, point.address, registers)
}

fn good(value: f64) -> Measured {
    Measured { value: Some(value), text: None, quality: Quality::Good }
}

#[test]
fn parts_of_registers_and_wide_types() {
    use ByteOrder::{Abcd, Badc, Cdab, Dcba};
    use RegisterType::{Bit, F16, F64, I8, I64, U8, U64};
    let fixed = |words, signed, fraction| RegisterType::Fixed(Fixed { words, signed, fraction });
    for (kind, order, registers, expected) in [
        (Bit(0), Abcd, &[0x0001][..], 1.0),
        (Bit(15), Abcd, &[0x7fff], 0.0),
        (Bit(15), Badc, &[0x0080], 1.0),
        (U8(Half::Low), Abcd, &[0x12f0], 240.0),
        (U8(Half::High), Abcd, &[0x12f0], 18.0),
        (I8(Half::Low), Abcd, &[0x12f0], -16.0),
        (I8(Half::High), Dcba, &[0x12f0], -16.0),
        (U64, Abcd, &[0, 1, 0, 2], 4_294_967_298.0),
        (U64, Cdab, &[2, 0, 1, 0], 4_294_967_298.0),
        (U64, Dcba, &[0x0200, 0, 0x0100, 0], 4_294_967_298.0),
        (U64, Badc, &[0, 0x0100, 0, 0x0200], 4_294_967_298.0),
        (I64, Abcd, &[0xffff, 0xffff, 0xffff, 0xfffe], -2.0),
        // binary16: 1.5, the smallest number, -2, and the largest.
        (F16, Abcd, &[0x3e00], 1.5),
        (F16, Abcd, &[0x0001], 5.960_464_477_539_063e-8),
        (F16, Badc, &[0x00c0], -2.0),
        (F16, Abcd, &[0x7bff], 65_504.0),
        // -2.25 is 0xc002000000000000.
        (F64, Abcd, &[0xc002, 0, 0, 0], -2.25),
        (F64, Cdab, &[0, 0, 0, 0xc002], -2.25),
        (F64, Dcba, &[0, 0, 0, 0x02c0], -2.25),
        (F64, Badc, &[0x02c0, 0, 0, 0], -2.25),
        (fixed(1, true, 8), Abcd, &[0xff80], -0.5),
        (fixed(1, false, 8), Abcd, &[0xff80], 255.5),
        (fixed(2, true, 16), Cdab, &[0x8000, 0x0001], 1.5),
        (fixed(4, true, 32), Abcd, &[0xffff, 0xffff, 0x8000, 0], -0.5),
    ] {
        assert_eq!(said(point("p", 4, kind, order), registers), good(expected), "{kind:?} {order:?}");
    }
    for registers in [[0x7c00], [0xfc00], [0x7e00]] {
        assert_eq!(said(point("p", 0, F16, Abcd), &registers).quality, Quality::SensorFailure);
    }
}

#[test]
fn a_string_is_words_and_no_value() {
    let text = |order, registers: &[u16]| {
        said(point("p", 0, RegisterType::Text(registers.len() as u16), order), registers)
    };
    let words = |text: &str| Measured { value: None, text: Some(text.into()), quality: Quality::Good };
    assert_eq!(text(ByteOrder::Abcd, &[0x4b4d, 0x2d31, 0x2020, 0]), words("KM-1"));
    assert_eq!(text(ByteOrder::Badc, &[0x4d4b, 0x312d, 0x0000, 0x4141]), words("KM-1"));
    assert_eq!(text(ByteOrder::Abcd, &[0]), words(""));
    for no_text in [[0xffff], [0x4107]] {
        assert_eq!(text(ByteOrder::Abcd, &no_text), Measured::bad(Quality::SensorFailure));
    }
}

#[test]
fn coils_and_discrete_inputs_are_bits_with_addresses() {
    let coil = |name: &str, address| PointConfig::new(name, ModbusTable::Coil, address, RegisterType::Bit(0));
    let mut answer = answer(8, 3, Ok(vec![1, 0, 1]));
    answer.table = ModbusTable::Coil;
    let points = [coil("open", 8), coil("shut", 9), coil("elsewhere", 11)];
    let expected = [("open", 1.0), ("shut", 0.0)].map(|(name, v)| (name.to_owned(), Some(v), Quality::Good));
    assert_eq!(samples(&points, &answer), expected);
}

#[test]
fn a_sentinel_is_no_data_whatever_it_would_mean() {
    let none = |kind, order, none: &[u64]| PointConfig { none: none.to_vec(), ..point("p", 0, kind, order) };
    let order = ByteOrder::Abcd;
    let no_data = Measured::bad(Quality::NoData);
    assert_eq!(said(none(RegisterType::I16, order, &[0x8000, 0x7fff]), &[0x8000]), no_data);
    assert_eq!(said(none(RegisterType::I16, order, &[0x8000, 0x7fff]), &[0x7fff]), no_data);
    assert_eq!(said(none(RegisterType::I16, order, &[0x8000]), &[0x7fff]), good(32_767.0));
    assert_eq!(said(none(RegisterType::U8(Half::Low), order, &[0xff]), &[0x12ff]), no_data);
    let f32 = none(RegisterType::F32, ByteOrder::Cdab, &[u64::from((-9999f32).to_bits())]);
    assert_eq!(said(f32, &[0x3c00, 0xc61c]), no_data);
    assert_eq!(said(none(RegisterType::U64, order, &[u64::MAX]), &[0xffff; 4]), no_data);
    assert_eq!(
        said(none(RegisterType::F32, order, &[0x7fc0_0000]), &[0x7fc0, 0]),
        no_data,
        "NaN that is meant"
    );
    assert_eq!(
        said(none(RegisterType::F32, order, &[0x7fc0_0000]), &[0xffff, 0xffff]),
        no_data,
        "of any bits"
    );
    let failed = Measured::bad(Quality::SensorFailure);
    assert_eq!(said(none(RegisterType::F32, order, &[0]), &[0x7fc0, 0]), failed, "NaN that is not");
}

#[test]
fn what_no_sensor_of_the_kind_can_measure_is_uncertain() {
    let bounded = PointConfig {
        range: Some((-40.0, 60.0)),
        scale: 0.1,
        ..point("t", 0, RegisterType::I16, ByteOrder::Abcd)
    };
    assert_eq!(said(bounded.clone(), &[600]), good(60.0));
    let beyond = said(bounded, &[601]);
    assert_eq!((beyond.value, beyond.quality), (Some(601.0 * 0.1), Quality::EngineeringUnitsExceeded));
}

#[test]
fn values_have_words_and_one_that_has_none_is_not_believed() {
    let words = [(0, "stopped"), (3, "running")].map(|(number, word)| (number, word.to_owned()));
    let state = PointConfig {
        words: std::sync::Arc::new(words.into_iter().collect()),
        ..point("state", 0, RegisterType::U16, ByteOrder::Abcd)
    };
    assert_eq!(said(state.clone(), &[3]), Measured { text: Some("running".into()), ..good(3.0) });
    let unnamed = Measured { quality: Quality::EngineeringUnitsExceeded, ..good(1.0) };
    assert_eq!(said(state, &[1]), unnamed);
}

fn any_kind() -> impl Strategy<Value = RegisterType> {
    use RegisterType::{Bit, F16, F32, F64, I8, I16, I32, I64, Text, U8, U16, U32, U64};
    let fixed = |words, fraction| RegisterType::Fixed(Fixed { words, signed: true, fraction });
    let halves = [U8(Half::Low), U8(Half::High), I8(Half::Low), I8(Half::High)];
    let whole = [U16, I16, U32, I32, U64, I64, F16, F32, F64, fixed(1, 8), fixed(2, 16), fixed(4, 60)];
    let rest = [Bit(0), Bit(15), Text(1), Text(7), Text(125)];
    proptest::sample::select([&halves[..], &whole, &rest].concat())
}

fn any_order() -> impl Strategy<Value = ByteOrder> {
    use ByteOrder::{Abcd, Badc, Cdab, Dcba};
    proptest::sample::select(vec![Abcd, Badc, Cdab, Dcba])
}

proptest! {
    #[test]
    fn never_panics_and_a_value_is_good(
        points in proptest::collection::vec((any::<u16>(), any_kind(), any_order(), any::<f64>(), any::<f64>()), 0..20),
        address: u16, count: u16,
        registers in proptest::collection::vec(any::<u16>(), 0..130),
    ) {
        let points: Vec<_> = points.into_iter()
            .map(|(at, kind, order, scale, offset)| PointConfig { scale, offset, ..point("p", at, kind, order) })
            .collect();
        let fitting = answer(address, registers.len() as u16, Ok(registers.clone()));
        for answer in [answer(address, count, Ok(registers)), fitting] {
            for (_, value, quality) in samples(&points, &answer) {
                prop_assert!(value.is_none() || quality == Quality::Good);
                prop_assert!(value.is_none_or(f64::is_finite));
            }
        }
    }

    /// Whatever the order, four distinct bytes are used once each.
    #[test]
    fn an_order_is_a_permutation(bytes: u32, order in any_order()) {
        let words = [(bytes >> 16) as u16, bytes as u16];
        let Some(Raw::Number { bits, .. }) = raw(RegisterType::U32, order, &words) else { panic!("no number") };
        let mut permuted = (bits as u32).to_be_bytes();
        let mut original = bytes.to_be_bytes();
        permuted.sort_unstable();
        original.sort_unstable();
        prop_assert_eq!(permuted, original);
    }
}

#[test]
fn a_point_is_sampled_at_its_own_times() {
    let slow = PointConfig { poll: Some(POLL * 6), ..point("slow", 1, RegisterType::U16, ByteOrder::Abcd) };
    let points = [point("fast", 0, RegisterType::U16, ByteOrder::Abcd), slow];
    let names = |answer: ModbusAnswer| -> Vec<String> {
        samples(&points, &answer).into_iter().map(|(name, _, _)| name).collect()
    };
    let block = || answer(0, 2, Ok(vec![1, 2]));
    assert_eq!(names(block()), ["fast"]);
    assert_eq!(names(ModbusAnswer { interval: POLL * 6, ..block() }), ["slow"]);
}
