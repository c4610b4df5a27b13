//! Shipped profiles, with registers as their documents describe them.

use std::path::Path;

use tallyman::config;
use tallyman::decode::modbus::PointDecoder;
use tallyman::domain::frames::{ModbusAnswer, ModbusTable};
use tallyman::domain::readings::{Quality, Reading, Sample};
use tallyman::domain::time::Timestamp;

/// What the profile makes of these registers of a block.
fn read(profile: &str, address: u16, registers: &[u16]) -> Vec<Sample> {
    let text = format!(
        "node = \"n\"\nprofiles = [\"{profile}.toml\"]\n[[site]]\nname = \"s\"\ntimezone = \"UTC\"\n\
         [[modbus]]\nname = \"m\"\nsite = \"s\"\naddress = \"h:502\"\nprofile = \"{profile}\"\n"
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles");
    let unit = config::parse(&text, &folder, &|_| None).unwrap().modbus.remove(0).units.remove(0);
    let answer = ModbusAnswer {
        device: unit.device.clone(),
        table: ModbusTable::Holding,
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
