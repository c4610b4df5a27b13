//! Any map, any limits, any refused ranges: a plan that asks for every point, within the limits, and for nothing refused
//! together with others.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use tallyman::config::{ModbusReach, PointConfig, RegisterType};
use tallyman::domain::frames::ModbusTable;
use tallyman::source::modbus::plan::{Illegal, plan_requests};

/// Table and type, address.
type AnyPoint = (u8, u16);
/// Whether it is refused or taken back; first register, how many.
type Range = (bool, u16, u8);

const TABLES: [ModbusTable; 4] =
    [ModbusTable::Holding, ModbusTable::Input, ModbusTable::Coil, ModbusTable::Discrete];

fn point((what, address): AnyPoint) -> Option<PointConfig> {
    use RegisterType::{Bit, F32, F64, Text, U16};
    let table = TABLES[usize::from(what % 4)];
    let kinds = [U16, F32, F64, Text(5), Text(125), Bit(3)];
    let kind = if table.is_of_bits() { Bit(0) } else { kinds[usize::from(what / 4) % kinds.len()] };
    let point = PointConfig::new("p", table, address, kind);
    (point.end() <= 65_536).then_some(point)
}

fuzz_target!(|input: (Vec<AnyPoint>, u8, u8, Vec<Range>)| {
    let (points, max_registers, max_gap, ranges) = input;
    let points: Vec<PointConfig> = points.into_iter().filter_map(point).collect();
    let longest = points.iter().map(|point| point.kind.registers()).max().unwrap_or(1);
    let max_registers = u16::from(max_registers).clamp(longest, 125);
    let reach = ModbusReach { max_registers, max_gap: max_gap.into() };
    let (mut illegal, mut known) = (Illegal::default(), BTreeSet::new());
    for (refused, first, count) in ranges {
        let registers = u32::from(first)..u32::from(first) + u32::from(count);
        if refused {
            illegal.insert(ModbusTable::Holding, registers.start, registers.end);
            known.extend(registers);
        } else {
            illegal.remove(ModbusTable::Holding, registers.start, registers.end);
            known.retain(|register| !registers.contains(register));
        }
    }
    assert_eq!(illegal.len() as usize, known.len());
    let plan = plan_requests(&points, &reach.into(), &illegal);
    for point in &points {
        assert!(plan.iter().any(|request| request.covers(point)), "{point:?}");
    }
    for request in &plan {
        let bits = if request.table.is_of_bits() { 16 } else { 1 };
        assert!(request.count >= 1 && request.count <= max_registers * bits, "{request:?}");
        let is_one_value = points.iter().any(|point| {
            request.table == point.table && request.address == point.address && request.end() == point.end()
        });
        let mut registers = u32::from(request.address)..request.end();
        let is_refused = request.table == ModbusTable::Holding && registers.any(|register| known.contains(&register));
        assert!(is_one_value || !is_refused, "{request:?}");
    }
});
