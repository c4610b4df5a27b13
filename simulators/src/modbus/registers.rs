//! The register map of this make of sensor: what stands where, and how.

use serde::Serialize;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    Input,
    Holding,
    Coil,
    Discrete,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RegisterKind {
    U16,
    I16,
    U32,
    F32,
}

/// Order of a value's bytes in its registers, `A` the most significant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WordOrder {
    Abcd,
    Cdab,
}

/// What a point measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    Temperature,
    Humidity,
    Door,
    SetPoint,
    RunningSeconds,
}

/// One entry of the register map: value = raw × scale.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct PointSpec {
    pub name: &'static str,
    pub quantity: Quantity,
    pub table: Table,
    /// Zero-based protocol address.
    pub address: u16,
    pub kind: RegisterKind,
    pub order: WordOrder,
    pub scale: f64,
    pub unit: &'static str,
}

/// Every device of this make has these registers, and exception 2 elsewhere.
pub const POINTS: [PointSpec; 5] = [
    point(
        "temperature",
        Quantity::Temperature,
        Table::Input,
        0,
        RegisterKind::I16,
        WordOrder::Abcd,
        0.1,
        "°C",
    ),
    point("humidity", Quantity::Humidity, Table::Input, 1, RegisterKind::F32, WordOrder::Abcd, 1.0, "%"),
    point("door", Quantity::Door, Table::Input, 3, RegisterKind::U16, WordOrder::Abcd, 1.0, ""),
    point("set-point", Quantity::SetPoint, Table::Holding, 0, RegisterKind::I16, WordOrder::Abcd, 0.1, "°C"),
    point(
        "running",
        Quantity::RunningSeconds,
        Table::Holding,
        10,
        RegisterKind::U32,
        WordOrder::Cdab,
        1.0,
        "s",
    ),
];

#[expect(clippy::too_many_arguments, reason = "a row of the table above")]
const fn point(
    name: &'static str,
    quantity: Quantity,
    table: Table,
    address: u16,
    kind: RegisterKind,
    order: WordOrder,
    scale: f64,
    unit: &'static str,
) -> PointSpec {
    PointSpec { name, quantity, table, address, kind, order, scale, unit }
}

impl PointSpec {
    /// The registers that hold `value`, at the point's address and behind it.
    pub fn encode(&self, value: f64) -> Vec<u16> {
        let raw = (value / self.scale).round();
        let words = match self.kind {
            RegisterKind::U16 => return vec![raw as u16],
            RegisterKind::I16 => return vec![raw as i16 as u16],
            RegisterKind::U32 => raw as u32,
            RegisterKind::F32 => ((value / self.scale) as f32).to_bits(),
        };
        let (high, low) = ((words >> 16) as u16, words as u16);
        match self.order {
            WordOrder::Abcd => vec![high, low],
            WordOrder::Cdab => vec![low, high],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str) -> PointSpec {
        *POINTS.iter().find(|point| point.name == name).unwrap()
    }

    #[test]
    fn values_stand_in_their_registers_as_the_map_says() {
        assert_eq!(spec("temperature").encode(-12.34), [(-123i16) as u16]);
        assert_eq!(spec("humidity").encode(62.5), [0x427a, 0x0000]);
        assert_eq!(spec("running").encode(65_537.0), [1, 1]);
        assert_eq!(spec("running").encode(65_538.0), [2, 1]);
    }

    #[test]
    fn no_two_points_share_a_register() {
        for table in [Table::Input, Table::Holding] {
            let mut taken: Vec<u16> = POINTS
                .iter()
                .filter(|point| point.table == table)
                .flat_map(|point| (point.address..).zip(point.encode(0.0)).map(|(address, _)| address))
                .collect();
            let count = taken.len();
            taken.dedup();
            assert_eq!(taken.len(), count, "{table:?}");
        }
    }
}
