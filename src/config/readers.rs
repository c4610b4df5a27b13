//! LLRP readers: how a connection to one comes about, and what it is asked to do, in people's terms.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::devices::{address, backoff};
use super::document::Section;
use super::node::{LISTEN_ALLOWED, parse_listen};
use super::validate::{HOUR, MINUTE, SECOND, Scope};
use super::{BackoffConfig, TlsConfig};
use crate::domain::epc::Epc;
use crate::domain::ids::{Antenna, SourceId};
use crate::domain::tag_filter::TagFilter;

const MILLISECOND: Duration = Duration::from_millis(1);

#[derive(Clone, Debug)]
pub struct ReaderConfig {
    pub name: SourceId,
    pub reach: Reach,
    /// For a connection and its announcement; of a reader that connects by itself: until it is said to be away.
    pub connect_timeout: Duration,
    pub keepalive: Duration,
    pub backoff: BackoffConfig,
    pub version: LlrpVersion,
    pub rospec: RoSpecConfig,
    /// Tags that the reader itself is told to choose, as far as it can; empty where it is not to.
    pub select: TagFilter,
    /// Tags that it has to hear whatever it chooses: the reference tags of its read points.
    pub references: Vec<Epc>,
}

/// How a connection comes about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reach {
    /// We connect, to `host:port`.
    ToReader { address: String, tls: Option<ReaderTls> },
    /// It connects to our listener, and is known by its identity or, where that is not written down, by the
    /// address that it comes from.
    FromReader { identity: Option<ReaderIdentity>, host: Option<IpAddr> },
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToReader { address, tls: None } => f.write_str(address),
            Self::ToReader { address, tls: Some(_) } => write!(f, "{address} over TLS"),
            Self::FromReader { identity: Some(identity), .. } => write!(f, "connects to us as {identity}"),
            Self::FromReader { host: Some(host), .. } => write!(f, "connects to us from {host}"),
            Self::FromReader { .. } => f.write_str("connects to us"),
        }
    }
}

/// Whom we trust to be the reader, and how we show who we are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReaderTls {
    /// Authorities that are trusted instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// The name in its certificate, where that is not the one in its address.
    pub server_name: Option<String>,
    /// Our own certificate, for readers that ask for one.
    pub client: Option<TlsConfig>,
}

/// Where readers connect to us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LlrpListenConfig {
    pub listen: SocketAddr,
    pub tls: Option<ListenTls>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenTls {
    pub files: TlsConfig,
    /// Readers must show a certificate that one of these authorities issued.
    pub client_ca_file: Option<PathBuf>,
}

/// What a reader calls itself (LLRP 1.0.1, section 12.2.1): an EUI-64, or a code.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ReaderIdentity(Vec<u8>);

impl ReaderIdentity {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Hexadecimal digits, with `:` or `-` between them as people write addresses of network cards.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !":-".contains(*c)).collect();
        hex::decode(digits).ok().filter(|bytes| (4..=64).contains(&bytes.len())).map(Self)
    }

    /// Whether what a reader told is this one. The address of its network card (6 bytes) also stands for the
    /// EUI-64 made of it, and for the same with zeros before it.
    pub fn is(&self, told: &Self) -> bool {
        self.0 == told.0 || self.is_card_of(told) || told.is_card_of(self)
    }

    fn is_card_of(&self, long: &Self) -> bool {
        let [a, b, c, d, e, f] = self.0[..] else { return false };
        let [h0, h1, h2, h3, h4, h5, h6, h7] = long.0[..] else { return false };
        let (card, ends) = ([a, b, c, d, e, f], [h0, h1, h2, h5, h6, h7]);
        let stretched = card == ends && h3 == 0xff && matches!(h4, 0xfe | 0xff);
        stretched || [h0, h1] == [0, 0] && card == [h2, h3, h4, h5, h6, h7]
    }
}

impl fmt::Display for ReaderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<String> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&bytes.join(":"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LlrpVersion {
    /// The newest that both speak; a reader that does not know the question gets 1.0.1.
    #[default]
    Negotiated,
    /// 1.0.1, and the reader is not asked.
    V1_0_1,
}

/// What a reader is to do.
#[derive(Clone, Debug)]
pub struct RoSpecConfig {
    pub id: u32,
    /// Empty: every antenna of the reader.
    pub antennas: Vec<Antenna>,
    pub report: Report,
    /// `None` leaves the reader's own setting.
    pub power: Option<Power>,
    /// Of single antennas, in dBm, instead of `power`.
    pub antenna_power: Vec<(Antenna, f64)>,
    /// Index in the reader's own table of modes; `None` leaves the reader's own.
    pub mode: Option<u16>,
    /// Gen2 session and expected number of tags; `None` leaves the reader's own.
    pub session: Option<u8>,
    pub tag_population: Option<u16>,
    pub start: Start,
    pub stop: Stop,
    pub hold_on_disconnect: bool,
}

impl Default for RoSpecConfig {
    /// Reads all the time with every antenna, and reports each read.
    fn default() -> Self {
        Self {
            id: 1,
            antennas: Vec::new(),
            report: Report::Reads(1),
            power: None,
            antenna_power: Vec::new(),
            mode: None,
            session: None,
            tag_population: None,
            start: Start::Immediate,
            stop: Stop::Never,
            hold_on_disconnect: true,
        }
    }
}

/// When a report goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report {
    /// After so many tag reads; 0: only at the end of a round.
    Reads(u16),
    /// In rounds of this length.
    Interval(Duration),
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Power {
    /// In the reader's own table.
    Index(u16),
    Dbm(f64),
}

/// When reading begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    Immediate,
    /// Every `period`, first after `offset`.
    Periodic {
        period: Duration,
        offset: Duration,
    },
    Gpi(GpiTrigger),
}

/// When it ends, to begin anew as [`Start`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    Never,
    After(Duration),
    /// `timeout`: or after this long; zero: never.
    Gpi {
        trigger: GpiTrigger,
        timeout: Duration,
    },
}

/// An input of the reader changes to this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GpiTrigger {
    pub port: u16,
    pub high: bool,
}

/// `[llrp]`: where readers connect to us; `None` where they do not.
pub(super) fn listener(section: Option<Section<'_>>, scope: &Scope<'_>) -> Option<LlrpListenConfig> {
    let section = section?;
    let listen = section.parsed("listen", LISTEN_ALLOWED, parse_listen).flatten();
    let tls = section.table("tls").and_then(|table| {
        let client_ca_file = pem(&table, "client_ca_file", scope);
        let files = certificate(&table, scope, true);
        table.finish();
        Some(ListenTls { files: files?, client_ca_file })
    });
    section.finish();
    Some(LlrpListenConfig { listen: listen?, tls })
}

pub(super) fn reader(
    section: Section<'_>,
    scope: &Scope<'_>,
    name: Option<SourceId>,
    tags: TagFilter,
    listens: bool,
) -> Option<ReaderConfig> {
    let from_reader = section.choice("connect", &[("to-reader", false), ("from-reader", true)]) == Some(true);
    let reach = if from_reader { from(&section, scope, listens) } else { to(&section, scope) };
    let connect_timeout = section.duration("connect_timeout", 100 * MILLISECOND..=10 * MINUTE);
    let keepalive = section.duration("keepalive", SECOND..=HOUR);
    let backoff = backoff(&section);
    let versions = [("negotiated", LlrpVersion::Negotiated), ("1.0.1", LlrpVersion::V1_0_1)];
    let version = section.choice("version", &versions).unwrap_or_default();
    let rospec = rospec(&section);
    let select = section.flag("filter_at_reader").unwrap_or(true);
    let select = if select { tags } else { TagFilter::default() };
    section.finish();
    Some(ReaderConfig {
        name: name?,
        reach: reach?,
        connect_timeout: connect_timeout.unwrap_or(if from_reader { MINUTE } else { 10 * SECOND }),
        keepalive: keepalive.unwrap_or(10 * SECOND),
        backoff,
        version,
        rospec,
        select,
        references: Vec::new(),
    })
}

fn to(section: &Section<'_>, scope: &Scope<'_>) -> Option<Reach> {
    let address = address(section, "10.0.0.5:5084");
    if let Some(address) = address {
        scope.is_first(section, "address", "reader address", address);
    }
    let tls = section.table("tls").map(|table| {
        let ca_file = pem(&table, "ca_file", scope);
        let client = certificate(&table, scope, false);
        let allowed = "the name in the reader's certificate";
        let server_name = table.parsed("server_name", allowed, |text| {
            let name = rustls::pki_types::ServerName::try_from(text.to_owned());
            name.map(|_| text.to_owned()).map_err(|_| "not a name that a certificate could have")
        });
        table.finish();
        ReaderTls { ca_file, server_name, client }
    });
    Some(Reach::ToReader { address: address?.to_owned(), tls })
}

fn from(section: &Section<'_>, scope: &Scope<'_>, listens: bool) -> Option<Reach> {
    if !listens {
        section.problem("connect", "nothing listens for readers", "write listen in [llrp]");
    }
    let allowed = "hexadecimal digits, for instance \"00:16:25:ff:fe:12:34:56\"";
    let identity =
        section.parsed("identity", allowed, |text| ReaderIdentity::parse(text).ok_or("not an identity"));
    let allowed = "the IP address that it comes from, without a port";
    let host = section.parsed("address", allowed, |text| text.parse().map_err(|_| "not an IP address"));
    if let Some(identity) = &identity {
        scope.is_first(section, "identity", "reader identity", &identity.to_string());
    } else if let Some(host) = host {
        let host: IpAddr = host;
        scope.is_first(section, "address", "reader address", &host.to_string());
    }
    if !section.has("identity") && !section.has("address") {
        section.problem("identity", "missing, and address too", "write what the reader is known by");
    }
    (identity.is_some() || host.is_some()).then_some(Reach::FromReader { identity, host })
}

fn pem(table: &Section<'_>, key: &str, scope: &Scope<'_>) -> Option<PathBuf> {
    table.parsed(key, "the path of a PEM file", |text| match text.is_empty() {
        true => Err("empty"),
        false => Ok(scope.around.path(text)),
    })
}

/// A certificate and its key, of which neither is of use alone.
fn certificate(table: &Section<'_>, scope: &Scope<'_>, needed: bool) -> Option<TlsConfig> {
    let (cert_file, key_file) = (pem(table, "cert_file", scope), pem(table, "key_file", scope));
    for (key, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        if !table.has(key) && (needed || table.has(other)) {
            table.problem(key, "missing", "write the path of a PEM file");
        }
    }
    Some(TlsConfig { cert_file: cert_file?, key_file: key_file? })
}

fn rospec(section: &Section<'_>) -> RoSpecConfig {
    let usual = RoSpecConfig::default();
    let allowed = "numbers of antenna ports, from 1";
    let antennas = section.list("antennas", allowed, |value| {
        let number = value.as_integer()?;
        let antenna = Antenna::from_str_radix(number.as_str(), number.radix()).ok()?;
        (antenna > 0).then_some(antenna)
    });
    let antennas = antennas.unwrap_or_default();
    let (start, stop) = (start(section), stop(section));
    if matches!(start, Start::Periodic { .. }) && stop == Stop::Never {
        section.problem("stop", "never, and the start is periodic", "write when a run ends");
    }
    RoSpecConfig {
        id: section.integer("rospec_id", 1..=i64::from(u32::MAX)).unwrap_or(usual.id),
        report: report(section, start == Start::Immediate && stop == Stop::Never),
        power: power(section),
        antenna_power: antenna_power(section, &antennas),
        mode: section.integer("mode", 0..=65_535),
        session: section.integer("session", 0..=3),
        tag_population: section.integer("tag_population", 1..=65_535),
        hold_on_disconnect: section.flag("hold_on_disconnect").unwrap_or(usual.hold_on_disconnect),
        antennas,
        start,
        stop,
    }
}

fn report(section: &Section<'_>, continuous: bool) -> Report {
    let every = section.integer("report_every", 0..=65_535).map(Report::Reads);
    let interval = section.duration("report_interval", 50 * MILLISECOND..=HOUR).map(Report::Interval);
    if section.has("report_every") && section.has("report_interval") {
        section.problem("report_interval", "given, and report_every too", "one of the two");
    }
    if section.has("report_interval") && !continuous {
        section.problem(
            "report_interval",
            "given, and reading starts or stops by itself too",
            "report_every = 0 reports at the end of each run",
        );
    }
    interval.or(every).unwrap_or(Report::Reads(1))
}

/// What readers may be told, in dBm: beyond, it is a mistake of units.
const POWER_DBM: std::ops::RangeInclusive<f64> = -10.0..=40.0;

fn power(section: &Section<'_>) -> Option<Power> {
    let index = section.integer("transmit_power_index", 0..=65_535).map(Power::Index);
    let dbm = section.number("power_dbm", POWER_DBM).map(Power::Dbm);
    if section.has("transmit_power_index") && section.has("power_dbm") {
        section.problem("power_dbm", "given, and transmit_power_index too", "one of the two");
    }
    dbm.or(index)
}

fn antenna_power(section: &Section<'_>, used: &[Antenna]) -> Vec<(Antenna, f64)> {
    let mut powers: Vec<(Antenna, f64)> = Vec::new();
    for table in section.tables("antenna_power") {
        let antenna = table.integer("antenna", 1..=i64::from(Antenna::MAX));
        let antenna: Option<Antenna> = table.need("antenna", antenna, "the number of an antenna port");
        let dbm = table.need("dbm", table.number("dbm", POWER_DBM), "its power in dBm");
        if let Some(antenna) = antenna {
            if !used.is_empty() && !used.contains(&antenna) {
                table.problem("antenna", "not one of antennas", "an antenna that is used");
            }
            if powers.iter().any(|(known, _)| *known == antenna) {
                table.problem("antenna", "given twice", "each antenna once");
            }
        }
        table.finish();
        powers.extend(antenna.zip(dbm));
    }
    powers.sort_by_key(|(antenna, _)| *antenna);
    powers
}

fn start(section: &Section<'_>) -> Start {
    let Some(table) = section.table("start") else { return Start::Immediate };
    let period = table.duration("every", 10 * MILLISECOND..=24 * HOUR);
    let offset = table.duration("offset", Duration::ZERO..=24 * HOUR).unwrap_or_default();
    let gpi = gpi(&table);
    one_of(&table, "every", "gpi");
    table.finish();
    match (period, gpi) {
        (Some(period), _) => Start::Periodic { period, offset },
        (None, Some(trigger)) => Start::Gpi(trigger),
        (None, None) => Start::Immediate,
    }
}

fn stop(section: &Section<'_>) -> Stop {
    let Some(table) = section.table("stop") else { return Stop::Never };
    let after = table.duration("after", 10 * MILLISECOND..=24 * HOUR);
    let timeout = table.duration("timeout", Duration::ZERO..=24 * HOUR).unwrap_or_default();
    let gpi = gpi(&table);
    one_of(&table, "after", "gpi");
    table.finish();
    match (after, gpi) {
        (Some(after), _) => Stop::After(after),
        (None, Some(trigger)) => Stop::Gpi { trigger, timeout },
        (None, None) => Stop::Never,
    }
}

fn gpi(table: &Section<'_>) -> Option<GpiTrigger> {
    let port = table.integer("gpi", 1..=65_535);
    let high = table.flag("high").unwrap_or(true);
    port.map(|port| GpiTrigger { port, high })
}

fn one_of(table: &Section<'_>, one: &str, other: &str) {
    match (table.has(one), table.has(other)) {
        (true, true) => table.problem(other, format!("given, and {one} too"), "one of the two"),
        (false, false) => table.problem(one, format!("missing, and {other} too"), "write one of the two"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_known_in_each_way_that_it_is_written() {
        let told = ReaderIdentity::new([0x00, 0x16, 0x25, 0xff, 0xfe, 0x12, 0x34, 0x56]);
        for text in ["00:16:25:ff:fe:12:34:56", "001625FFFE123456", "00-16-25-12-34-56"] {
            assert!(ReaderIdentity::parse(text).unwrap().is(&told), "{text}");
        }
        let padded = ReaderIdentity::new([0, 0, 0x00, 0x16, 0x25, 0x12, 0x34, 0x56]);
        assert!(ReaderIdentity::parse("00:16:25:12:34:56").unwrap().is(&padded));
        assert!(!ReaderIdentity::parse("00:16:25:12:34:57").unwrap().is(&told));
        assert_eq!(told.to_string(), "00:16:25:ff:fe:12:34:56");
        for wrong in ["", "dock", "12:34", "0x16"] {
            assert_eq!(ReaderIdentity::parse(wrong), None, "{wrong}");
        }
    }
}
