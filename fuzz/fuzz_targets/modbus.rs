//! Any block for any points: samples, never a panic; a value is finite and of good quality.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tallyman::config::{ByteOrder, Fixed, Half, PointConfig, RegisterType};
use tallyman::decode::modbus::PointDecoder;
use tallyman::domain::frames::{ModbusAnswer, ModbusFailure, ModbusTable};
use tallyman::domain::ids::DeviceId;
use tallyman::domain::readings::{Quality, Reading};
use tallyman::domain::time::Timestamp;

/// Address, type, order, scale, offset, a sentinel.
type AnyPoint = (u16, u8, u8, f64, f64, u64);

fn point((address, kind, order, scale, offset, none): AnyPoint) -> PointConfig {
    use RegisterType::{Bit, F16, F32, F64, I16, I32, I64, I8, Text, U16, U32, U64, U8};
    let fixed = RegisterType::Fixed(Fixed { words: 2, signed: true, fraction: 16 });
    let kinds = [
        U16, I16, U32, I32, U64, I64, F16, F32, F64, Bit(0), Bit(15), U8(Half::Low), U8(Half::High), I8(Half::Low),
        I8(Half::High), fixed, Text(3), Text(125),
    ];
    let orders = [ByteOrder::Abcd, ByteOrder::Dcba, ByteOrder::Badc, ByteOrder::Cdab];
    let (kind, order) = (kinds[usize::from(kind) % kinds.len()], orders[usize::from(order) % orders.len()]);
    let none = vec![none];
    PointConfig { order, scale, offset, none, ..PointConfig::new("p", ModbusTable::Holding, address, kind) }
}

const POLL: Duration = Duration::from_secs(1);

fuzz_target!(|input: (Vec<AnyPoint>, u16, u16, Result<Vec<u16>, u8>)| {
    let (points, address, count, registers) = input;
    let points: Vec<_> = points.into_iter().map(point).collect();
    let answer = ModbusAnswer {
        device: DeviceId::new("d"),
        table: ModbusTable::Holding,
        address,
        count,
        interval: POLL,
        registers: registers.map_err(ModbusFailure::Exception),
    };
    let mut out = Vec::new();
    PointDecoder::new(&points, POLL).decode(&answer, Timestamp::from_secs(0), &mut out);
    for reading in out {
        let Reading::Sample(sample) = reading else { panic!("no sample") };
        assert!(sample.value.is_none_or(f64::is_finite));
        let says_something = sample.value.is_some() || sample.text.is_some();
        assert_eq!(says_something, sample.quality == Quality::Good);
    }
});
