//! `[[modbus]]`: a line, and the devices on it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::files::ProfileFile;
use super::map::overlaps;
use super::point::points;
use super::profile::{Profiles, fits, profiles, reach};
use super::{ModbusConfig, ModbusTransport, ModbusUnitConfig, Profile};
use crate::config::devices::{address, backoff, source};
use crate::config::document::Section;
use crate::config::serial::line;
use crate::config::tls::client_tls;
use crate::config::validate::{DAY, MINUTE, SECOND, Scope, SourceSites};
use crate::config::{Parity, Rs485, SerialLine};
use crate::domain::ids::DeviceId;

const MILLISECOND: Duration = Duration::from_millis(1);
/// Of the standard for serial lines (Modbus over Serial Line 1.02, section 2.5.1).
pub const RTU_BAUD: u32 = 19_200;
const RTU_PARITY: Parity = Parity::Even;
/// What a slave needs to turn its driver off, and we to hear that nothing follows.
pub const RTU_PAUSE: Duration = Duration::from_millis(10);

pub(in crate::config) fn devices<'d>(
    top: &Section<'d>,
    files: &'d [ProfileFile<'d>],
    scope: &Scope<'_>,
    sites: &mut SourceSites,
) -> Vec<ModbusConfig> {
    let profiles = profiles(top, files, scope);
    let lines = top.tables("modbus").into_iter();
    lines.filter_map(|section| modbus_line(section, scope, &profiles, sites)).collect()
}

/// What the devices of a line are read with.
struct Around<'a, 's> {
    scope: &'a Scope<'s>,
    profiles: &'a Profiles,
    is_rtu: bool,
}

fn modbus_line(
    section: Section<'_>,
    scope: &Scope<'_>,
    profiles: &Profiles,
    sites: &mut SourceSites,
) -> Option<ModbusConfig> {
    let name = source(&section, scope, "modbus", sites);
    let transport = transport(&section, scope);
    let is_rtu = transport.as_ref().is_some_and(ModbusTransport::is_rtu);
    let timeout = section.duration("timeout", 10 * MILLISECOND..=10 * MINUTE).unwrap_or(2 * SECOND);
    let pauses = || Duration::ZERO..=MINUTE;
    let pause_after_connect = section.duration("pause_after_connect", pauses()).unwrap_or_default();
    let pause = section.duration("pause", pauses());
    let pause = pause.unwrap_or(if is_rtu { RTU_PAUSE } else { Duration::ZERO });
    let backoff = backoff(&section);
    let around = Around { scope, profiles, is_rtu };
    let units = units(&section, &around, name.as_ref().map(|name| name.as_str()));
    section.finish();
    let config = ModbusConfig {
        name: name?,
        transport: transport?,
        timeout,
        pause_after_connect,
        pause,
        backoff,
        units,
    };
    Some(config)
}

#[derive(Clone, Copy)]
enum Wire {
    Tcp,
    RtuOverTcp,
    Rtu,
}

fn transport(section: &Section<'_>, scope: &Scope<'_>) -> Option<ModbusTransport> {
    let known = [("tcp", Wire::Tcp), ("rtu-over-tcp", Wire::RtuOverTcp), ("rtu", Wire::Rtu)];
    let given = section.choice("transport", &known);
    let by_default = if section.has("port") { Wire::Rtu } else { Wire::Tcp };
    let wire = given.unwrap_or(by_default);
    if section.has("tls") && !matches!(wire, Wire::Tcp) {
        section.problem("tls", "serial bytes have no TLS", "only with transport = \"tcp\"");
    }
    let tls = client_tls(section, scope);
    match wire {
        Wire::Rtu => {
            if section.has("address") {
                section.problem(
                    "address",
                    "given, and a serial line too",
                    "transport = \"rtu-over-tcp\", or a port",
                );
            }
            let line = line(section, scope, (RTU_BAUD, RTU_PARITY));
            if matches!(line, Some(SerialLine::Port { data_bits: 7, .. })) {
                section.problem("data_bits", "RTU is bytes of eight bits", "8, or leave it out");
            }
            let switched = rs485(section);
            line.map(|line| match line {
                SerialLine::Port { path, baud, data_bits, stop_bits, parity, .. } => {
                    SerialLine::Port { path, baud, data_bits, stop_bits, parity, rs485: switched }
                }
                other => other,
            })
            .map(ModbusTransport::Rtu)
        }
        Wire::Tcp | Wire::RtuOverTcp => {
            if section.has("rs485") {
                section.problem("rs485", "there is no port of ours", "only on a serial `port`");
                rs485(section);
            }
            if section.has("port") {
                section.problem(
                    "port",
                    "given, and this transport needs an address",
                    "transport = \"rtu\", or no port",
                );
            }
            let address = address(section, "10.0.0.9:502")?.to_owned();
            Some(match wire {
                Wire::Tcp => ModbusTransport::Tcp { address, tls },
                _ => ModbusTransport::RtuOverTcp(address),
            })
        }
    }
}

fn rs485(section: &Section<'_>) -> Option<Rs485> {
    let table = section.table("rs485")?;
    let delay = |key: &str| table.duration(key, Duration::ZERO..=100 * MILLISECOND).unwrap_or_default();
    let (before, after) = (delay("before"), delay("after"));
    let inverted = table.flag("inverted").unwrap_or(false);
    table.finish();
    Some(Rs485 { before, after, inverted })
}

/// The devices in tables of their own; or the one that the line's table describes, which has its name.
fn units(section: &Section<'_>, around: &Around<'_, '_>, name: Option<&str>) -> Vec<ModbusUnitConfig> {
    let scope = around.scope;
    let poll = section.duration("poll", 10 * MILLISECOND..=DAY).unwrap_or(10 * SECOND);
    let tables = section.tables("device");
    if tables.is_empty() {
        if let Some(name) = name {
            scope.is_first(section, "name", "modbus device", name);
        }
        return unit(section, around, poll, name).into_iter().collect();
    }
    for key in ["unit", "profile", "base", "point", "max_registers", "max_gap"] {
        if section.has(key) {
            section.problem(key, "given beside [[modbus.device]]", "write it in the device's table");
        }
    }
    // They are read all the same, so that they count as known.
    unit(section, around, poll, None);
    let mut taken = BTreeSet::new();
    let mut units = Vec::new();
    for table in tables {
        let name = table.need("name", crate::config::validate::name(&table, "name"), "the device's name");
        if let Some(name) = name {
            scope.is_first(&table, "name", "modbus device", name);
        }
        let poll = table.duration("poll", 10 * MILLISECOND..=DAY).unwrap_or(poll);
        if let Some(unit) = unit(&table, around, poll, name) {
            if !taken.insert(unit.unit) {
                table.problem("unit", "another device of the line has it", "each a number of its own");
            }
            units.push(unit);
        }
        table.finish();
    }
    units
}

fn unit(
    section: &Section<'_>,
    around: &Around<'_, '_>,
    poll: Duration,
    name: Option<&str>,
) -> Option<ModbusUnitConfig> {
    // Of serial frames 0 is everybody, whom nobody answers for, and those from 248 on are reserved.
    let unit = section.integer("unit", if around.is_rtu { 1..=247 } else { 0..=255 }).unwrap_or(1);
    let profile = map(section, around, name.is_some());
    Some(ModbusUnitConfig {
        device: DeviceId::new(name?),
        unit,
        poll,
        reach: profile.reach,
        points: profile.points,
    })
}

/// What a profile says, and the table's own points beside it.
fn map(section: &Section<'_>, around: &Around<'_, '_>, is_needed: bool) -> Profile {
    let named = around.scope.refer(section, "profile", "profile");
    let mut map = named.and_then(|name| around.profiles.get(name)).cloned().unwrap_or_default();
    let own = points(section);
    for (point, _) in &own {
        if map.points.iter().any(|known| known.name == point.name) {
            section.problem("point", format!("{:?} is in the profile too", point.name), "each point once");
        }
    }
    overlaps(&own, &map.points);
    for (point, section) in own {
        section.finish();
        map.points.push(point);
    }
    if is_needed && !section.has("profile") && !section.has("point") {
        let allowed = "name a [[profile]], or write a point for each value";
        section.problem("point", "missing, and profile too", allowed);
    }
    map.reach = reach(section, map.reach);
    // Of a profile as it is, that was said where it stands.
    if section.has("max_registers") || section.has("point") {
        fits(&map.points, section, map.reach);
    }
    map
}
