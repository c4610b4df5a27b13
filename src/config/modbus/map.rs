//! What is wrong with a map of registers as a whole: values that stand in each other's way.

use super::PointConfig;
use super::registers::RegisterType;
use crate::config::document::Section;

/// Reports every point that overlaps one before it. A register may be read in parts, and as a whole beside
/// its parts; two whole values share registers only where they are the same value told twice.
pub(super) fn overlaps(points: &[(PointConfig, Section<'_>)], before: &[PointConfig]) {
    for (place, (point, section)) in points.iter().enumerate() {
        let earlier = before.iter().chain(points[..place].iter().map(|(point, _)| point));
        for other in earlier.filter(|other| collide(other, point)) {
            section.problem(
                "address",
                format!("{} reads the same registers as something else", other.name),
                "registers of its own, or the same type and order",
            );
        }
    }
}

fn collide(a: &PointConfig, b: &PointConfig) -> bool {
    let apart = a.table != b.table || a.end() <= u32::from(b.address) || b.end() <= u32::from(a.address);
    let same = (a.address, a.kind, a.order) == (b.address, b.kind, b.order);
    let part =
        |a: &PointConfig, b: &PointConfig| a.kind.is_part() && !matches!(b.kind, RegisterType::Text(_));
    !(apart || same || part(a, b) || part(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ByteOrder, Half};
    use crate::domain::frames::ModbusTable;

    fn point(address: u16, kind: RegisterType) -> PointConfig {
        PointConfig::new("p", ModbusTable::Holding, address, kind)
    }

    #[test]
    fn whole_values_need_registers_of_their_own() {
        use RegisterType::{Bit, F32, I32, Text, U8, U16};
        let long = point(10, I32);
        for (other, expected) in [
            (point(10, F32), true),
            (point(11, U16), true),
            (point(9, I32), true),
            (point(9, Text(2)), true),
            (PointConfig { order: ByteOrder::Cdab, ..point(10, I32) }, true),
            (PointConfig { scale: 0.1, ..point(10, I32) }, false),
            (PointConfig { table: ModbusTable::Input, ..point(10, F32) }, false),
            (point(12, U16), false),
            (point(8, I32), false),
            (point(11, Bit(3)), false),
            (point(10, U8(Half::High)), false),
        ] {
            assert_eq!(collide(&long, &other), expected, "{other:?}");
            assert_eq!(collide(&other, &long), expected, "{other:?}");
        }
        assert!(collide(&point(0, Text(4)), &point(2, U8(Half::Low))));
    }
}
