//! Any block for any points: samples, never a panic; a value is finite and of good quality.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tallyman::config::{ByteOrder, PointConfig, RegisterType};
use tallyman::decode::modbus::PointDecoder;
use tallyman::domain::frames::{ModbusAnswer, ModbusFailure, ModbusTable};
use tallyman::domain::ids::{DeviceId, PointId};
use tallyman::domain::readings::{Quality, Reading};
use tallyman::domain::time::Timestamp;

/// Address, type, order, scale, offset.
type AnyPoint = (u16, u8, u8, f64, f64);

fn point((address, kind, order, scale, offset): AnyPoint) -> PointConfig {
    let kinds =
        [RegisterType::U16, RegisterType::I16, RegisterType::U32, RegisterType::I32, RegisterType::F32];
    let orders = [ByteOrder::Abcd, ByteOrder::Dcba, ByteOrder::Badc, ByteOrder::Cdab];
    let (kind, order) = (kinds[usize::from(kind) % kinds.len()], orders[usize::from(order) % orders.len()]);
    let (name, table) = (PointId::new("p"), ModbusTable::Holding);
    PointConfig { name, table, address, kind, order, scale, offset, unit: None }
}

fuzz_target!(|input: (Vec<AnyPoint>, u16, u16, Result<Vec<u16>, u8>)| {
    let (points, address, count, registers) = input;
    let points: Vec<_> = points.into_iter().map(point).collect();
    let answer = ModbusAnswer {
        device: DeviceId::new("d"),
        table: ModbusTable::Holding,
        address,
        count,
        registers: registers.map_err(ModbusFailure::Exception),
    };
    let mut out = Vec::new();
    PointDecoder::new(&points).decode(&answer, Timestamp::from_secs(0), &mut out);
    for reading in out {
        let Reading::Sample(sample) = reading else { panic!("no sample") };
        assert_eq!(sample.value.is_some_and(f64::is_finite), sample.quality == Quality::Good);
    }
});
