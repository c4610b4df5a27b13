//! Connections of every kind, and what their tables have in common.

use std::collections::BTreeMap;
use std::time::Duration;

use super::brokers;
use super::document::Section;
use super::modbus::{self, ProfileFile};
use super::positions;
use super::readers;
use super::serial::{SerialKind, serial_reader};
use super::tags::read_rules;
use super::validate::{DAY, HOUR, MINUTE, SECOND, Scope, SourceSites};
use super::values::parse_host_port;
use super::{
    BackoffConfig, BrokerConfig, ModbusConfig, NmeaConfig, ReadRules, ReaderConfig, SerialReaderConfig,
    TeltonikaConfig,
};
use crate::domain::ids::SourceId;

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
    pub fn new<'d>(
        top: &Section<'d>,
        files: &'d [ProfileFile<'d>],
        scope: &Scope<'_>,
        listens: bool,
    ) -> Self {
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
        devices.modbus = modbus::devices(top, files, scope, &mut devices.sites);
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
