//! LLRP readers: how a connection to one comes about, and what it is asked to do, in people's terms.

mod identity;
mod rospec;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::devices::{address, backoff};
use super::document::Section;
use super::node::{LISTEN_ALLOWED, parse_listen};
use super::tls::{certificate, client_tls, pem};
use super::validate::{HOUR, MINUTE, SECOND, Scope};
use super::{BackoffConfig, ClientTls, TlsConfig};
use crate::domain::epc::Epc;
use crate::domain::ids::SourceId;
use crate::domain::tag_filter::TagFilter;

pub use self::identity::ReaderIdentity;
pub use self::rospec::{GpiTrigger, Power, Report, RoSpecConfig, Start, Stop};

use self::rospec::rospec;

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
    /// Inputs of which every change is to be told: light barriers are on them.
    pub beams: Vec<u16>,
}

/// How a connection comes about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reach {
    /// We connect, to `host:port`.
    ToReader { address: String, tls: Option<ClientTls> },
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

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LlrpVersion {
    /// The newest that both speak; a reader that does not know the question gets 1.0.1.
    #[default]
    Negotiated,
    /// 1.0.1, and the reader is not asked.
    V1_0_1,
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
        beams: Vec::new(),
    })
}

fn to(section: &Section<'_>, scope: &Scope<'_>) -> Option<Reach> {
    let address = address(section, "10.0.0.5:5084");
    if let Some(address) = address {
        scope.is_first(section, "address", "reader address", address);
    }
    let tls = client_tls(section, scope);
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
        scope.is_first(section, "identity", "reader identity", &identity.canonical().to_string());
    } else if let Some(host) = host {
        let host: IpAddr = host;
        scope.is_first(section, "address", "reader address", &host.to_string());
    }
    if !section.has("identity") && !section.has("address") {
        section.problem("identity", "missing, and address too", "write what the reader is known by");
    }
    (identity.is_some() || host.is_some()).then_some(Reach::FromReader { identity, host })
}
