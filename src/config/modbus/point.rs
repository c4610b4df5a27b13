//! One `[[….point]]`: where a value stands, what it means, and when it is none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::registers::{ByteOrder, Fixed, Half, RegisterType};
use super::{MAX_REGISTERS, MaxChange, PointChecks, PointConfig, Reporting};
use crate::config::document::{RawNumber, Section};
use crate::config::validate::{DAY, SECOND, name};
use crate::domain::frames::ModbusTable;
use crate::domain::ids::PointId;

const TABLES: [(&str, ModbusTable); 4] = [
    ("holding", ModbusTable::Holding),
    ("input", ModbusTable::Input),
    ("coil", ModbusTable::Coil),
    ("discrete", ModbusTable::Discrete),
];

const TYPES: [(&str, RegisterType); 15] = [
    ("u16", RegisterType::U16),
    ("i16", RegisterType::I16),
    ("u32", RegisterType::U32),
    ("i32", RegisterType::I32),
    ("u64", RegisterType::U64),
    ("i64", RegisterType::I64),
    ("f16", RegisterType::F16),
    ("f32", RegisterType::F32),
    ("f64", RegisterType::F64),
    ("u8-low", RegisterType::U8(Half::Low)),
    ("u8-high", RegisterType::U8(Half::High)),
    ("i8-low", RegisterType::I8(Half::Low)),
    ("i8-high", RegisterType::I8(Half::High)),
    ("bit", RegisterType::Bit(0)),
    ("string", RegisterType::Text(0)),
];

const TYPES_ALLOWED: &str = "\"u16\", \"i16\", \"u32\", \"i32\", \"u64\", \"i64\", \"f16\", \"f32\", \"f64\", \
    \"u8-low\", \"u8-high\", \"i8-low\", \"i8-high\", \"bit\", \"string\", or fixed point such as \"q16.16\" or \"uq8.8\"";

const ORDERS: [(&str, ByteOrder); 4] = [
    ("abcd", ByteOrder::Abcd),
    ("dcba", ByteOrder::Dcba),
    ("badc", ByteOrder::Badc),
    ("cdab", ByteOrder::Cdab),
];

/// The table's own points. Their addresses count from `base`, which has no default: a wrong guess reads
/// the neighbouring register and nobody notices.
pub(super) fn points<'d>(section: &Section<'d>) -> Vec<(PointConfig, Section<'d>)> {
    let base = section.integer::<u16>("base", 0..=1);
    let tables = section.tables("point");
    if !tables.is_empty() {
        section.need("base", base, "base = 0 or base = 1: what the first register's address is called");
    }
    let mut points: Vec<(PointConfig, Section<'d>)> = Vec::new();
    for table in tables {
        match point(&table, base) {
            Some(point) => {
                if points.iter().any(|(before, _)| before.name == point.name) {
                    table.problem("name", "given twice", "each point once");
                }
                points.push((point, table));
            }
            None => table.finish(),
        }
    }
    points
}

/// Every key is looked at, whatever is wrong with the others.
fn point(section: &Section<'_>, base: Option<u16>) -> Option<PointConfig> {
    let name = section.need("name", name(section, "name"), "a name, for instance \"temperature\"");
    let table = section.choice("table", &TABLES);
    let table = section.need("table", table, "\"holding\", \"input\", \"coil\" or \"discrete\"");
    let address = address(section, base);
    let kind = kind(section, table);
    let order = section.choice("order", &ORDERS).unwrap_or(ByteOrder::Abcd);
    let scale = section.number("scale", f64::MIN..=f64::MAX).unwrap_or(1.0);
    if scale == 0.0 {
        section.problem("scale", "every value would be the offset", "a number other than 0");
    }
    let offset = section.number("offset", f64::MIN..=f64::MAX).unwrap_or(0.0);
    let unit = section.text("unit").map(str::to_owned);
    let none = none(section, kind);
    let words = words(section, kind);
    let range = range(section, kind, scale, offset);
    let checks = PointChecks {
        flat_after: section.duration("flat_after", SECOND..=365 * DAY),
        max_change: section.number("max_change_per_min", 0.0..=f64::MAX).map(|per_min| MaxChange {
            per_second: per_min / 60.0,
            step: if kind.is_some_and(RegisterType::is_float) { 0.0 } else { scale.abs() },
        }),
        reporting: reporting(section, kind, &words),
        heartbeat: section.duration("heartbeat", SECOND..=DAY).unwrap_or(PointChecks::default().heartbeat),
        stale_after: section.duration("stale_after", SECOND..=365 * DAY),
    };
    if checks.max_change.is_some_and(|most| most.per_second == 0.0) {
        section.problem("max_change_per_min", "nothing could ever change", "a number above 0");
    }
    let poll = section.duration("poll", Duration::from_millis(10)..=DAY);
    if let (Some(address), Some(kind)) = (address, kind)
        && address.checked_add(kind.registers() - 1).is_none()
    {
        section.problem("address", "the value would end past the last register", "a lower address");
    }
    if let Some(RegisterType::Text(_)) = kind {
        only_text(section, order);
    }
    Some(PointConfig {
        name: PointId::new(name?),
        table: table?,
        address: address?,
        kind: kind?,
        order,
        scale,
        offset,
        unit,
        none,
        words: Arc::new(words),
        range,
        poll,
        checks,
    })
}

fn reporting(section: &Section<'_>, kind: Option<RegisterType>, words: &BTreeMap<i64, String>) -> Reporting {
    let deadband = section.number("deadband", 0.0..=f64::MAX);
    let Some(within) = section.number("compress_within", 0.0..=f64::MAX) else {
        return Reporting::Exception { deadband: deadband.unwrap_or_default() };
    };
    if within == 0.0 {
        section.problem("compress_within", "nothing could be left out", "a number above 0, or leave it out");
    }
    if deadband.is_some() {
        section.problem("compress_within", "there is a `deadband` too", "one of the two");
    }
    if !words.is_empty() || matches!(kind, Some(RegisterType::Bit(_))) {
        let wrong = "there is nothing between its values, and lines would go there";
        section.problem("compress_within", wrong, "leave it out");
    }
    Reporting::SwingingDoor { within }
}

fn address(section: &Section<'_>, base: Option<u16>) -> Option<u16> {
    let first = i64::from(base.unwrap_or(0));
    let address = section.integer::<i64>("address", first..=first + 65_535);
    let address = section.need("address", address, "the register's number")?;
    u16::try_from(address - first).ok()
}

/// The type, with what it needs beside it: the number of a bit, the length of a text.
fn kind(section: &Section<'_>, table: Option<ModbusTable>) -> Option<RegisterType> {
    let of_bits = table.is_some_and(ModbusTable::is_of_bits);
    let given = section.parsed("type", TYPES_ALLOWED, |text| {
        let named = TYPES.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
        named.or_else(|| Fixed::parse(text).map(RegisterType::Fixed)).ok_or("unknown value")
    });
    let bit = section.integer::<u8>("bit", 0..=15);
    let registers = section.integer::<u16>("registers", 1..=i64::from(MAX_REGISTERS));
    let given = match given {
        // The table says it already.
        None if of_bits && !section.has("type") => Some(RegisterType::Bit(0)),
        given => section.need("type", given, TYPES_ALLOWED),
    };
    if of_bits && given.is_some_and(|kind| !matches!(kind, RegisterType::Bit(_))) {
        section.problem("type", "this table holds single bits", "\"bit\", or leave it out");
    }
    let is_bit = matches!(given, Some(RegisterType::Bit(_)));
    if section.has("bit") && (of_bits || !is_bit) {
        section.problem("bit", "there is only one", "only with type = \"bit\" in a table of registers");
    }
    let is_text = matches!(given, Some(RegisterType::Text(_)));
    if section.has("registers") && !is_text {
        section.problem("registers", "the type has its own length", "only with type = \"string\"");
    }
    match given? {
        RegisterType::Bit(_) if of_bits => Some(RegisterType::Bit(0)),
        RegisterType::Bit(_) => {
            section.need("bit", bit, "bit = 0 to 15, 0 the least significant").map(RegisterType::Bit)
        }
        RegisterType::Text(_) => {
            section.need("registers", registers, "registers = how many it has").map(RegisterType::Text)
        }
        kind => Some(kind),
    }
}

/// What means nothing for text.
fn only_text(section: &Section<'_>, order: ByteOrder) {
    for key in [
        "scale",
        "offset",
        "none",
        "words",
        "range",
        "flat_after",
        "max_change_per_min",
        "deadband",
        "compress_within",
    ] {
        if section.has(key) {
            section.problem(key, "a string is no number", "leave it out");
        }
    }
    if order.reverses_registers() {
        section.problem("order", "a string has its registers in order", "\"abcd\" or \"badc\"");
    }
}

/// Sentinels as bits, so that each is met exactly: `-1` and `0xffff` are the same of sixteen bits.
fn none(section: &Section<'_>, kind: Option<RegisterType>) -> Vec<u64> {
    if !section.has("none") {
        return Vec::new();
    }
    let numbers =
        section.raw_numbers("none", "raw numbers that stand for \"no value\", before scale and offset");
    let (Some(numbers), Some(kind)) = (numbers, kind) else { return Vec::new() };
    if kind == RegisterType::F16 {
        section.problem(
            "none",
            "not known of f16",
            "the same point as u16 with the number's bits, or a range",
        );
        return Vec::new();
    }
    let bits: Option<Vec<u64>> = numbers.iter().map(|number| raw_bits(kind, *number)).collect();
    if bits.is_none() {
        let wrong = "no register of this type holds it";
        section.problem("none", wrong, "raw numbers that the type can hold, before scale and offset");
    }
    bits.unwrap_or_default()
}

/// The bits of a raw number; `None` where the type has no room for it.
fn raw_bits(kind: RegisterType, number: RawNumber) -> Option<u64> {
    let real = match number {
        RawNumber::Whole(whole) => whole as f64,
        RawNumber::Real(real) => real,
    };
    match kind {
        RegisterType::F64 => return Some(real.to_bits()),
        RegisterType::F32 => return Some(u64::from((real as f32).to_bits())),
        RegisterType::F16 | RegisterType::Text(_) => return None,
        _ => {}
    }
    let whole = match number {
        RawNumber::Whole(whole) => whole,
        // 65535.0 is a whole number too; a float has no digits to lose below 2^53.
        RawNumber::Real(real) if real.fract() == 0.0 && real.abs() < 2f64.powi(53) => real as i128,
        RawNumber::Real(_) => return None,
    };
    let bits = kind.bits().min(64);
    let limit = 1_i128 << bits;
    // The low bits of a two's complement are those of the number.
    (-limit / 2..limit)
        .contains(&whole)
        .then(|| whole.rem_euclid(limit))
        .and_then(|raw| u64::try_from(raw).ok())
}

fn words(section: &Section<'_>, kind: Option<RegisterType>) -> BTreeMap<i64, String> {
    let mut words = BTreeMap::new();
    for (key, word) in section.words("words") {
        let Ok(number) = key.parse::<i64>() else {
            section.problem("words", format!("{key:?} is no whole number"), "{ 0 = \"off\", 1 = \"on\" }");
            continue;
        };
        let (low, high) = kind.map_or((f64::MIN, f64::MAX), RegisterType::bounds);
        if !(low..=high).contains(&(number as f64)) {
            section.problem("words", format!("{number} is no value of this type"), "numbers of the type");
        }
        words.insert(number, word.to_owned());
    }
    let whole = kind.is_none_or(|kind| !kind.is_float() && !matches!(kind, RegisterType::Fixed(_)));
    if !words.is_empty() && !whole {
        section.problem("words", "only whole numbers have words", "an integer type, or no words");
    }
    words
}

fn range(section: &Section<'_>, kind: Option<RegisterType>, scale: f64, offset: f64) -> Option<(f64, f64)> {
    let allowed = "[lowest, highest], in the point's unit";
    if !section.has("range") {
        return None;
    }
    let numbers = section.numbers("range", allowed)?;
    let [low, high] = numbers[..] else {
        section.problem("range", "not two numbers", format!("write {allowed}"));
        return None;
    };
    if low >= high {
        section.problem("range", "nothing is between these", format!("write {allowed}"));
        return None;
    }
    let (lowest, highest) = kind.map_or((f64::MIN, f64::MAX), RegisterType::bounds);
    let ends = [lowest * scale + offset, highest * scale + offset];
    if ends.iter().all(|end| *end < low) || ends.iter().all(|end| *end > high) {
        let wrong = "no value of this type, scale and offset is within it";
        section.problem("range", wrong, format!("write {allowed}"));
    }
    Some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_are_bits_of_the_type() {
        use RawNumber::{Real, Whole};
        assert_eq!(raw_bits(RegisterType::I16, Whole(-1)), Some(0xffff));
        assert_eq!(raw_bits(RegisterType::I16, Whole(65_535)), Some(0xffff));
        assert_eq!(raw_bits(RegisterType::U16, Real(-1.0)), Some(0xffff));
        assert_eq!(raw_bits(RegisterType::U16, Whole(65_536)), None);
        assert_eq!(raw_bits(RegisterType::U8(Half::Low), Whole(255)), Some(255));
        assert_eq!(raw_bits(RegisterType::I64, Whole(-1)), Some(u64::MAX));
        assert_eq!(raw_bits(RegisterType::I64, Whole(0x7fff_ffff_ffff_ffff)), Some(0x7fff_ffff_ffff_ffff));
        assert_eq!(raw_bits(RegisterType::U64, Whole(0xffff_ffff_ffff_ffff)), Some(u64::MAX));
        assert_eq!(raw_bits(RegisterType::U64, Whole(1 << 64)), None);
        assert_eq!(raw_bits(RegisterType::U32, Real(0.5)), None);
        assert_eq!(raw_bits(RegisterType::F32, Whole(-9999)), Some(u64::from((-9999f32).to_bits())));
        assert!(f64::from_bits(raw_bits(RegisterType::F64, Real(f64::NAN)).unwrap()).is_nan());
        assert_eq!(raw_bits(RegisterType::F32, Real(f64::NEG_INFINITY)), Some(0xff80_0000));
        assert_eq!(raw_bits(RegisterType::I16, Real(f64::NAN)), None);
        assert_eq!(raw_bits(RegisterType::U64, Real(f64::INFINITY)), None);
    }
}
