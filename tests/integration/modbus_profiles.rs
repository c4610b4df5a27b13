//! Shipped profiles, with registers as their documents describe them.

use std::path::Path;

use tallyman::config;
use tallyman::decode::modbus::PointDecoder;
use tallyman::domain::frames::{ModbusAnswer, ModbusTable};
use tallyman::domain::readings::{Quality, Reading, Sample};
use tallyman::domain::time::Timestamp;

/// What the profile makes of these registers of a block of holding registers.
fn read(profile: &str, address: u16, registers: &[u16]) -> Vec<Sample> {
    read_from(ModbusTable::Holding, profile, address, registers)
}

fn read_from(table: ModbusTable, profile: &str, address: u16, registers: &[u16]) -> Vec<Sample> {
    let text = format!(
        "node = \"n\"\nprofiles = [\"{profile}.toml\"]\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n\
         [[modbus]]\nname = \"m\"\nsite = \"s\"\naddress = \"h:502\"\nprofile = \"{profile}\"\n"
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles");
    let unit = config::parse(&text, &folder, &|_| None).unwrap().modbus.remove(0).units.remove(0);
    let answer = ModbusAnswer {
        device: unit.device.clone(),
        table,
        address,
        count: registers.len() as u16,
        interval: unit.poll,
        registers: Ok(registers.to_vec()),
    };
    let mut readings = Vec::new();
    PointDecoder::new(&unit.points, unit.poll).decode(&answer, Timestamp::FIRST, &mut readings);
    let sample = |reading| match reading {
        Reading::Sample(sample) => sample,
        other => panic!("{other:?}"),
    };
    readings.into_iter().map(sample).collect()
}

#[test]
fn a_generating_set_is_read_and_its_open_senders_are_no_values() {
    // Page 4 from its begin: pressure, coolant, a reserved one, fuel, two voltages, speed, frequency, a voltage.
    let running = [420, 86, 0xffff, 75, 281, 279, 1500, 500, 0, 2304];
    let values: Vec<_> = read("dse-gencomm", 0x400, &running)
        .into_iter()
        .map(|sample| (sample.point.to_string(), sample.value.unwrap(), sample.quality))
        .collect();
    let expected = [
        ("oil-pressure", 420.0),
        ("coolant-temperature", 86.0),
        ("fuel-level", 75.0),
        ("charge-alternator-voltage", 281.0 * 0.1),
        ("battery-voltage", 279.0 * 0.1),
        ("engine-speed", 1500.0),
        ("frequency", 50.0),
        ("voltage-l1", 2304.0 * 0.1),
    ];
    assert_eq!(values, expected.map(|(point, value)| (point.to_owned(), value, Quality::Good)));
    // An open sender; over its range; a value that is not implemented; one that means something that nobody told.
    let senders = read("dse-gencomm", 0x400, &[0xfffc, 0x7ffe, 0, 0xffff, 0xfffa]);
    let qualities: Vec<Quality> = senders.iter().map(|sample| sample.quality).collect();
    let none = Quality::NoData;
    assert_eq!(qualities, [none, none, none, Quality::EngineeringUnitsExceeded]);
}

/// Points and values, all of which are good.
fn values(samples: Vec<Sample>) -> Vec<(String, f64)> {
    let good = |sample: Sample| {
        assert_eq!(sample.quality, Quality::Good, "{sample:?}");
        (sample.point.to_string(), sample.value.unwrap())
    };
    samples.into_iter().map(good).collect()
}

fn told(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
    expected.iter().map(|(point, value)| ((*point).to_owned(), *value)).collect()
}

#[test]
fn temperature_and_humidity_in_a_rail_housing() {
    // The manual's own example: 0x0131 is 30.5 °C, 0x0222 is 54.6 %; below zero it counts in two's complement.
    let input = |registers: &[u16]| read_from(ModbusTable::Input, "xy-md02", 1, registers);
    assert_eq!(
        values(input(&[0x0131, 0x0222])),
        told(&[("temperature", 305.0 * 0.1), ("humidity", 546.0 * 0.1)])
    );
    assert_eq!(values(input(&[0xff33]))[0], ("temperature".to_owned(), -205.0 * 0.1));
}

#[test]
fn an_energy_meter_tells_ieee_numbers_high_register_first() {
    // Voltages from 30001 on; the manual has 0x43663334 for 230.2.
    let first = [0x4366, 0x3334, 0x4366, 0x3334, 0x4366, 0x3334, 0x4120, 0, 0, 0, 0, 0, 0x4510, 0];
    let found = values(read_from(ModbusTable::Input, "sdm630", 0, &first));
    let volts = f64::from(f32::from_bits(0x4366_3334));
    let expected = [
        ("voltage-l1", volts),
        ("voltage-l2", volts),
        ("voltage-l3", volts),
        ("current-l1", 10.0),
        ("current-l2", 0.0),
        ("current-l3", 0.0),
        ("power-l1", 2304.0),
    ];
    assert_eq!(found, told(&expected));
    // 30073 and 30075: what was drawn and what was given.
    let energy = read_from(ModbusTable::Input, "sdm630", 72, &[0x42f6, 0xe979, 0x3f80, 0]);
    assert_eq!(values(energy), told(&[("energy-import", f64::from(123.456_f32)), ("energy-export", 1.0)]));
}

#[test]
fn a_tank_console_tells_what_is_in_the_tank() {
    // From register 40004 on, two each: height, volume, net volume, level in tenths of a per cent, temperature in tenths.
    let registers = [0, 1250, 1, 34_464, 1, 34_000, 0, 425, 0xffff, 0xffce, 0, 12, 2, 0];
    let expected = [
        ("height", 1250.0),
        ("volume", 100_000.0),
        ("net-volume", 99_536.0),
        ("level", 425.0 * 0.1),
        ("temperature", -50.0 * 0.1),
        ("water-height", 12.0),
        ("ullage", 131_072.0),
    ];
    assert_eq!(values(read("pneumercator-tms", 3, &registers)), told(&expected));
}

#[test]
fn a_vibration_sensor_tells_inches_and_we_millimetres() {
    assert_eq!(values(read("trivibe", 31, &[41])), told(&[("temperature", 41.0)]));
    // 0.5 g thrice, then 0.25 inches a second thrice.
    let registers = [0x3f00, 0, 0x3f00, 0, 0x3f00, 0, 0x3e80, 0, 0x3e80, 0, 0x3e80, 0];
    let expected = [
        ("acceleration-1", 0.5),
        ("acceleration-2", 0.5),
        ("acceleration-3", 0.5),
        ("velocity-1", 6.35),
        ("velocity-2", 6.35),
        ("velocity-3", 6.35),
    ];
    assert_eq!(values(read("trivibe", 172, &registers)), told(&expected));
}
