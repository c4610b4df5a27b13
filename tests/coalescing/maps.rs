//! Maps to plan for: the profiles in `config/profiles`, and drawn ones.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tallyman::config::{self, ModbusReach, PointConfig, RegisterType};
use tallyman::domain::frames::ModbusTable;

use super::Map;

/// Each shipped profile, once for each interval in which it is read.
pub fn shipped() -> Vec<Map> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles");
    let files = std::fs::read_dir(&folder).expect("config/profiles");
    let texts = files.map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("text"));
    let mut names: Vec<String> = texts.flat_map(|text| profile_names(&text)).collect();
    names.sort();
    let mut text =
        "node = \"n\"\nprofiles = [\"*.toml\"]\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n".to_owned();
    for name in &names {
        text += &format!(
            "[[modbus]]\nname = \"{name}\"\nsite = \"s\"\naddress = \"127.0.0.1:502\"\nprofile = \"{name}\"\n"
        );
    }
    let config = config::parse(&text, &folder, &|_| None).expect("the shipped profiles are right");
    let units = config.modbus.into_iter().flat_map(|line| line.units);
    units.flat_map(|unit| by_interval(unit.device.as_str(), unit.points, unit.reach, unit.poll)).collect()
}

fn profile_names(text: &str) -> Vec<String> {
    let parsed: toml::Table = text.parse().expect("a profile's file is TOML");
    let profiles = parsed.get("profile").and_then(toml::Value::as_array).expect("it has profiles");
    let name = |profile: &toml::Value| profile.get("name").and_then(toml::Value::as_str).map(str::to_owned);
    profiles.iter().map(|profile| name(profile).expect("a profile has a name")).collect()
}

fn by_interval(name: &str, points: Vec<PointConfig>, reach: ModbusReach, poll: Duration) -> Vec<Map> {
    let mut intervals: BTreeMap<Duration, Vec<PointConfig>> = BTreeMap::new();
    for point in points {
        intervals.entry(point.poll.unwrap_or(poll)).or_default().push(point);
    }
    let several = intervals.len() > 1;
    let map = |(interval, points)| {
        let name = if several { format!("{name}, every {interval:?}") } else { name.to_owned() };
        Map { name, points, reach, refused: Vec::new() }
    };
    intervals.into_iter().map(map).collect()
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: u32) -> u32 {
        (self.next() % u64::from(end)) as u32
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }
}

/// Blocks of values with holes of all sizes between them and within them, some of them refused.
pub fn random(seed: u64) -> Map {
    let mut dice = Dice(seed);
    let max_registers = dice.one_of(&[125, 125, 80, 64, 40, 32, 20, 16, 10]);
    let max_gap = dice.one_of(&[0, 2, 8, 8, 16, 50]);
    let mut points = Vec::new();
    for table in [ModbusTable::Holding, ModbusTable::Input, ModbusTable::Coil, ModbusTable::Discrete] {
        if points.is_empty() || dice.below(3) == 0 {
            draw_table(&mut dice, table, max_registers, &mut points);
        }
    }
    let mut refused = Vec::new();
    for _ in 0..dice.one_of(&[0, 0, 1, 3, 8]) {
        let near = dice.below(points.len() as u32) as usize;
        // Beside a value mostly; now and then the value itself.
        let first = if dice.below(8) == 0 { points[near].address.into() } else { points[near].end() };
        refused.push((points[near].table, first, first + 1 + dice.below(6)));
    }
    Map { name: format!("random {seed}"), points, reach: ModbusReach { max_registers, max_gap }, refused }
}

fn draw_table(dice: &mut Dice, table: ModbusTable, longest: u16, points: &mut Vec<PointConfig>) {
    use RegisterType::{Bit, F16, F32, F64, I32, Text, U16, U64};
    // Holes in a table of bits are as much wider as its limits.
    let step = if table.is_of_bits() { 16 } else { 1 };
    let mut address = dice.below(1000);
    for _ in 0..1 + dice.below(6) {
        for _ in 0..1 + dice.below(20) {
            let kind = match table.is_of_bits() {
                true => Bit(0),
                false => dice.one_of(&[U16, U16, U16, F16, F32, F32, I32, U64, F64, Bit(3), Text(6)]),
            };
            if kind.registers() > longest || address > 60_000 {
                continue;
            }
            let name = format!("p{}", points.len());
            points.push(PointConfig::new(&name, table, address as u16, kind));
            // Bits of a register share it.
            let shares = !table.is_of_bits() && kind.is_part() && dice.below(2) == 0;
            if shares {
                points.push(PointConfig::new(&format!("{name}b"), table, address as u16, Bit(7)));
            }
            address += u32::from(kind.registers());
            address +=
                step * dice.one_of(&[0, 0, 0, 0, 1, 2, 5, 9, 17]) + if step > 1 { dice.below(3) } else { 0 };
        }
        address += step * dice.one_of(&[8, 9, 30, 51, 130]);
    }
}
