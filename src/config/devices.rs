//! Connections: RFID readers, MQTT brokers, Modbus devices with their points.

use std::collections::BTreeMap;
use std::time::Duration;

use super::brokers;
use super::document::Section;
use super::positions;
use super::readers;
use super::serial::{SerialKind, serial_reader};
use super::tags::read_rules;
use super::validate::{DAY, HOUR, MINUTE, SECOND, Scope, SourceSites, name};
use super::values::parse_host_port;
use super::{
    BackoffConfig, BrokerConfig, ByteOrder, ModbusConfig, NmeaConfig, PointConfig, ReadRules, ReaderConfig,
    RegisterType, SerialReaderConfig, TeltonikaConfig,
};
use crate::domain::frames::ModbusTable;
use crate::domain::ids::{DeviceId, PointId, SourceId};

/// LLRP, or what a serial reader speaks.
const READER_PROTOCOLS: [(&str, Option<SerialKind>); 6] = [
    ("llrp", None),
    ("line", Some(SerialKind::Line)),
    ("mercury", Some(SerialKind::Mercury)),
    ("r2000", Some(SerialKind::R2000)),
    ("chafon", Some(SerialKind::Chafon)),
    ("r200", Some(SerialKind::R200)),
];

const MILLISECOND: Duration = Duration::from_millis(1);

pub(super) struct Devices {
    pub readers: Vec<ReaderConfig>,
    pub serial_readers: Vec<SerialReaderConfig>,
    pub brokers: Vec<BrokerConfig>,
    pub modbus: Vec<ModbusConfig>,
    pub receivers: Vec<NmeaConfig>,
    pub teltonika: Vec<TeltonikaConfig>,
    pub sites: SourceSites,
    pub reads: BTreeMap<SourceId, ReadRules>,
}

impl Devices {
    /// `listens`: for readers that connect to us.
    pub fn new(top: &Section<'_>, scope: &Scope<'_>, listens: bool) -> Self {
        let mut devices = Self {
            readers: Vec::new(),
            serial_readers: Vec::new(),
            brokers: Vec::new(),
            modbus: Vec::new(),
            receivers: Vec::new(),
            teltonika: Vec::new(),
            sites: BTreeMap::new(),
            reads: BTreeMap::new(),
        };
        for section in top.tables("reader") {
            let name = source(&section, scope, "reader", &mut devices.sites);
            let protocol = section.choice("protocol", &READER_PROTOCOLS);
            let rules = read_rules(&section);
            let tags = rules.tags.clone();
            devices.reads.extend(name.clone().map(|name| (name, rules)));
            match section.need("protocol", protocol, "\"llrp\", or what a serial reader speaks") {
                Some(Some(kind)) => devices.serial_readers.extend(serial_reader(section, scope, name, kind)),
                Some(None) => devices.readers.extend(readers::reader(section, scope, name, tags, listens)),
                // Which keys would be allowed is not known.
                None => {}
            }
        }
        for section in top.tables("broker") {
            devices.brokers.extend(brokers::broker(section, scope, &mut devices.sites));
        }
        let profiles = profiles(top, scope);
        for section in top.tables("modbus") {
            devices.modbus.extend(modbus(section, scope, &profiles, &mut devices.sites));
        }
        for section in top.tables("nmea") {
            devices.receivers.extend(positions::nmea(section, scope, &mut devices.sites));
        }
        for section in top.tables("teltonika") {
            devices.teltonika.extend(positions::teltonika(section, scope, &mut devices.sites));
        }
        devices
    }
}

/// Name and site, as every connection has them.
pub(super) fn source(
    section: &Section<'_>,
    scope: &Scope<'_>,
    kind: &'static str,
    sites: &mut SourceSites,
) -> Option<SourceId> {
    let name = scope.own_name(section, kind).map(SourceId::new);
    let site = scope.site(section);
    if let (Some(name), Some(site)) = (&name, site) {
        sites.insert(name.clone(), site);
    }
    name
}

pub(super) fn backoff(section: &Section<'_>) -> BackoffConfig {
    let mut backoff = BackoffConfig { first: SECOND, last: MINUTE };
    set_backoff(&mut backoff, section);
    backoff
}

/// Overwrites the defaults by what was given.
pub(super) fn set_backoff(backoff: &mut BackoffConfig, section: &Section<'_>) {
    let Some(table) = section.table("backoff") else { return };
    super::node::set(&mut backoff.first, table.duration("first", 10 * MILLISECOND..=HOUR));
    super::node::set(&mut backoff.last, table.duration("last", 10 * MILLISECOND..=DAY));
    if backoff.last < backoff.first {
        table.problem("last", "shorter than first", "at least first");
    }
    table.finish();
}

/// `host:port` as written; `example` is one with the protocol's own port.
pub(super) fn address<'d>(section: &Section<'d>, example: &str) -> Option<&'d str> {
    let allowed = format!("host:port, for instance {example}");
    let address = section.parsed("address", &allowed, |text| match parse_host_port(text) {
        Ok(_) => Ok(text),
        Err(wrong) => Err(wrong),
    });
    section.need("address", address, &allowed)
}

fn profiles(top: &Section<'_>, scope: &Scope<'_>) -> BTreeMap<String, Vec<PointConfig>> {
    let mut profiles = BTreeMap::new();
    for section in top.tables("profile") {
        let name = scope.own_name(&section, "profile");
        let points = points(&section);
        if !section.has("point") {
            section.problem("point", "missing", "write a [[profile.point]] for each value");
        }
        section.finish();
        if let Some(name) = name {
            profiles.insert(name.to_owned(), points);
        }
    }
    profiles
}

fn modbus(
    section: Section<'_>,
    scope: &Scope<'_>,
    profiles: &BTreeMap<String, Vec<PointConfig>>,
    sites: &mut SourceSites,
) -> Option<ModbusConfig> {
    let name = source(&section, scope, "modbus", sites);
    section.choice("transport", &[("tcp", ())]);
    let address = address(&section, "10.0.0.9:502");
    let unit = section.integer("unit", 0..=255).unwrap_or(1);
    let poll = section.duration("poll", 10 * MILLISECOND..=DAY).unwrap_or(10 * SECOND);
    let timeout = section.duration("timeout", 10 * MILLISECOND..=10 * MINUTE).unwrap_or(2 * SECOND);
    let backoff = backoff(&section);
    let profile = scope.refer(&section, "profile", "profile");
    let from_profile = profile.and_then(|profile| profiles.get(profile)).map_or(&[][..], Vec::as_slice);
    let mut points = from_profile.to_vec();
    for point in self::points(&section) {
        if from_profile.iter().any(|known| known.name == point.name) {
            section.problem("point", format!("{:?} is in the profile too", point.name), "each point once");
        }
        points.push(point);
    }
    if !section.has("profile") && !section.has("point") {
        section.problem("point", "missing, and profile too", "name a [[profile]] or write [[modbus.point]]");
    }
    section.finish();
    let name = name?;
    Some(ModbusConfig {
        device: DeviceId::new(name.as_str()),
        name,
        address: address?.to_owned(),
        unit,
        poll,
        timeout,
        backoff,
        points,
    })
}

/// The table's own points. Their addresses count from `base`, which has no default: a wrong guess reads
/// the neighbouring register and nobody notices.
fn points(section: &Section<'_>) -> Vec<PointConfig> {
    let base = section.integer::<u16>("base", 0..=1);
    let tables = section.tables("point");
    if !tables.is_empty() {
        section.need("base", base, "base = 0 or base = 1: what the first register's address is called");
    }
    let mut points: Vec<PointConfig> = Vec::new();
    for table in tables {
        let Some(point) = point(table, base, &points) else { continue };
        points.push(point);
    }
    points
}

const TABLES: [(&str, ModbusTable); 2] = [("holding", ModbusTable::Holding), ("input", ModbusTable::Input)];

const TYPES: [(&str, RegisterType); 5] = [
    ("u16", RegisterType::U16),
    ("i16", RegisterType::I16),
    ("u32", RegisterType::U32),
    ("i32", RegisterType::I32),
    ("f32", RegisterType::F32),
];

const ORDERS: [(&str, ByteOrder); 4] = [
    ("abcd", ByteOrder::Abcd),
    ("dcba", ByteOrder::Dcba),
    ("badc", ByteOrder::Badc),
    ("cdab", ByteOrder::Cdab),
];

fn point(section: Section<'_>, base: Option<u16>, before: &[PointConfig]) -> Option<PointConfig> {
    let name = section.need("name", name(&section, "name"), "a name, for instance \"temperature\"");
    if name.is_some_and(|name| before.iter().any(|point| point.name.as_str() == name)) {
        section.problem("name", "given twice", "each point once");
    }
    let table = section.choice("table", &TABLES);
    let table = section.need("table", table, "\"holding\" or \"input\"");
    let first = i64::from(base.unwrap_or(0));
    let address = section.integer::<i64>("address", first..=first + 65_535);
    let address = section.need("address", address, "the register's number");
    let kind =
        section.need("type", section.choice("type", &TYPES), "\"u16\", \"i16\", \"u32\", \"i32\" or \"f32\"");
    let order = section.choice("order", &ORDERS).unwrap_or(ByteOrder::Abcd);
    let scale = section.number("scale", f64::MIN..=f64::MAX).unwrap_or(1.0);
    if scale == 0.0 {
        section.problem("scale", "every value would be the offset", "a number other than 0");
    }
    let offset = section.number("offset", f64::MIN..=f64::MAX).unwrap_or(0.0);
    let unit = section.text("unit").map(str::to_owned);
    let address = address.and_then(|address| u16::try_from(address - first).ok());
    if let (Some(address), Some(kind)) = (address, kind)
        && address.checked_add(kind.registers() - 1).is_none()
    {
        section.problem("address", "the value would end past the last register", "a lower address");
    }
    section.finish();
    Some(PointConfig {
        name: PointId::new(name?),
        table: table?,
        address: address?,
        kind: kind?,
        order,
        scale,
        offset,
        unit,
    })
}
