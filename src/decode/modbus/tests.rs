use super::*;
use crate::domain::frames::ModbusTable;
use crate::domain::ids::PointId;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn point(name: &str, address: u16, kind: RegisterType, order: ByteOrder) -> PointConfig {
    PointConfig {
        name: PointId::new(name),
        table: ModbusTable::Holding,
        address,
        kind,
        order,
        scale: 1.0,
        offset: 0.0,
        unit: None,
    }
}

fn answer(address: u16, count: u16, registers: Result<Vec<u16>, ModbusFailure>) -> ModbusAnswer {
    ModbusAnswer {
        device: DeviceId::new("cold-room"),
        table: ModbusTable::Holding,
        address,
        count,
        registers,
    }
}

fn samples(points: &[PointConfig], answer: &ModbusAnswer) -> Vec<(String, Option<f64>, Quality)> {
    let mut out = Vec::new();
    PointDecoder::new(points).decode(answer, NOW, &mut out);
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
        (Err(ModbusFailure::Exception(2)), Quality::SensorFailure),
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

fn any_kind() -> impl Strategy<Value = RegisterType> {
    use RegisterType::{F32, I16, I32, U16, U32};
    proptest::sample::select(vec![U16, I16, U32, I32, F32])
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
                prop_assert_eq!(value.is_some(), quality == Quality::Good);
                prop_assert!(value.is_none_or(f64::is_finite));
            }
        }
    }

    /// Whatever the order, four distinct bytes are used once each.
    #[test]
    fn an_order_is_a_permutation(bytes: u32, order in any_order()) {
        let words = [(bytes >> 16) as u16, bytes as u16];
        let mut permuted = ordered(words, order, 2);
        let mut original = bytes.to_be_bytes();
        permuted.sort_unstable();
        original.sort_unstable();
        prop_assert_eq!(permuted, original);
    }
}
