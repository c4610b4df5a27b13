//! Points → requests: as few as their addresses allow. Pure.

use crate::config::PointConfig;
use crate::domain::frames::ModbusTable;

/// Registers in one answer (Modbus application protocol 1.1b3, sections 6.3 and 6.4).
pub const MAX_REGISTERS: u16 = 125;
/// Registers that nobody asked for cost less than another request up to here: 16 bytes against a
/// round trip and 21 bytes of headers.
pub const MAX_GAP: u16 = 8;

/// One read of neighbouring registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlannedRequest {
    pub table: ModbusTable,
    pub address: u16,
    pub count: u16,
}

impl PlannedRequest {
    fn end(self) -> u32 {
        u32::from(self.address) + u32::from(self.count)
    }

    /// Grown to hold these registers, if they are near enough and fit.
    fn with(self, point: &PointConfig) -> Option<Self> {
        let start = u32::from(point.address);
        let end = self.end().max(start + u32::from(point.kind.registers()));
        let count = end - u32::from(self.address);
        let near = start <= self.end() + u32::from(MAX_GAP);
        let fits = count <= u32::from(MAX_REGISTERS);
        let count = u16::try_from(count).ok()?;
        (point.table == self.table && near && fits).then_some(Self { count, ..self })
    }
}

/// Every point lies wholly inside one of the requests, which come by table and address.
pub fn plan_requests(points: &[PointConfig]) -> Vec<PlannedRequest> {
    let mut sorted: Vec<_> = points.iter().collect();
    sorted.sort_by_key(|point| (point.table, point.address, std::cmp::Reverse(point.kind.registers())));
    let mut plan: Vec<PlannedRequest> = Vec::new();
    for point in sorted {
        match plan.last_mut().and_then(|last| Some((last.with(point)?, last))) {
            Some((grown, last)) => *last = grown,
            None => plan.push(PlannedRequest {
                table: point.table,
                address: point.address,
                count: point.kind.registers(),
            }),
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ByteOrder, RegisterType};
    use crate::domain::ids::PointId;
    use proptest::prelude::*;

    fn point(table: ModbusTable, address: u16, kind: RegisterType) -> PointConfig {
        let (order, scale, offset) = (ByteOrder::Abcd, 1.0, 0.0);
        PointConfig { name: PointId::new("p"), table, address, kind, order, scale, offset, unit: None }
    }

    fn planned(addresses: &[u16]) -> Vec<(u16, u16)> {
        let points: Vec<_> = addresses
            .iter()
            .map(|address| point(ModbusTable::Holding, *address, RegisterType::U16))
            .collect();
        plan_requests(&points).iter().map(|request| (request.address, request.count)).collect()
    }

    #[test]
    fn neighbours_share_a_request_over_small_gaps() {
        assert_eq!(planned(&[3, 1, 2]), [(1, 3)]);
        assert_eq!(planned(&[0, 9]), [(0, 10)], "a gap of 8");
        assert_eq!(planned(&[0, 10]), [(0, 1), (10, 1)], "a gap of 9");
        assert_eq!(planned(&[5, 5]), [(5, 1)]);
        assert_eq!(planned(&[65_535]), [(65_535, 1)]);
        assert_eq!(planned(&[]), []);
    }

    #[test]
    fn a_request_ends_at_125_registers() {
        let addresses: Vec<u16> = (0..126).collect();
        assert_eq!(planned(&addresses), [(0, 125), (125, 1)]);
    }

    #[test]
    fn a_value_is_never_cut_in_two_and_tables_are_apart() {
        let points = [
            point(ModbusTable::Input, 0, RegisterType::U16),
            point(ModbusTable::Holding, 124, RegisterType::U32),
            point(ModbusTable::Holding, 116, RegisterType::U16),
            point(ModbusTable::Holding, 108, RegisterType::U16),
            point(ModbusTable::Holding, 0, RegisterType::U32),
        ];
        let expected =
            [(ModbusTable::Holding, 0, 2), (ModbusTable::Holding, 108, 18), (ModbusTable::Input, 0, 1)]
                .map(|(table, address, count)| PlannedRequest { table, address, count });
        assert_eq!(plan_requests(&points), expected);
    }

    fn any_point() -> impl Strategy<Value = PointConfig> {
        let table = prop_oneof![Just(ModbusTable::Holding), Just(ModbusTable::Input)];
        let kind = prop_oneof![Just(RegisterType::U16), Just(RegisterType::F32)];
        // Crowded enough that points meet, with the last address among them.
        let address = prop_oneof![0u16..600, 65_500u16..65_534];
        (table, address, kind).prop_map(|(table, address, kind)| point(table, address, kind))
    }

    proptest! {
        #[test]
        fn every_point_is_asked_for_and_nothing_far_from_one(points in proptest::collection::vec(any_point(), 0..200)) {
            let plan = plan_requests(&points);
            let covers = |request: &PlannedRequest, point: &PointConfig| {
                request.table == point.table && request.address <= point.address
                    && u32::from(point.address) + u32::from(point.kind.registers()) <= request.end()
            };
            for point in &points {
                prop_assert!(plan.iter().any(|request| covers(request, point)));
            }
            for request in &plan {
                prop_assert!((1..=MAX_REGISTERS).contains(&request.count));
                prop_assert!(request.end() <= 65_536);
                let mut wanted = vec![false; usize::from(request.count)];
                for point in points.iter().filter(|point| covers(request, point)) {
                    let place = usize::from(point.address - request.address);
                    wanted[place..place + usize::from(point.kind.registers())].fill(true);
                }
                prop_assert!(wanted[0] && wanted[wanted.len() - 1]);
                let longest_gap = wanted.split(|wanted| *wanted).map(<[bool]>::len).max();
                prop_assert!(longest_gap <= Some(usize::from(MAX_GAP)));
            }
            let keys: Vec<_> = plan.iter().map(|request| (request.table, request.address)).collect();
            prop_assert!(keys.is_sorted());
        }
    }
}
