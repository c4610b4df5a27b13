//! MQTT brokers: those that we subscribe at, and who we are at those that we only publish to.

use std::fmt;
use std::time::Duration;

use super::devices::{address, backoff, source};
use super::document::Section;
use super::secrets::secret;
use super::tls::client_tls;
use super::validate::{DAY, HOUR, MINUTE, SECOND, Scope, SourceSites};
use super::values::parse_host_port;
use super::{BackoffConfig, ClientTls, Secret, topics};
use crate::decode::gps::Format;
use crate::decode::gps::topic::TopicPattern;
use crate::domain::ids::SourceId;

const VERSIONS: [(&str, MqttVersion); 2] = [("mqtt-3.1.1", MqttVersion::V3_1_1), ("mqtt-5", MqttVersion::V5)];
/// A thousand fixes take a third of a megabyte; messages that carry more wait for one another.
const MAX_INFLIGHT_BYTES: u64 = 32 << 20;
/// MQTT 5 counts in seconds, and its greatest number means for ever.
const LONGEST_SESSION: Duration = DAY.saturating_mul(10_000);

/// An MQTT broker, and what we subscribe to there.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    pub name: SourceId,
    pub host: String,
    pub port: u16,
    /// Names the session at the broker: keep it the same over restarts.
    pub client_id: String,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub keepalive: Duration,
    pub backoff: BackoffConfig,
    pub version: MqttVersion,
    pub tls: Option<ClientTls>,
    /// MQTT 5: how long the broker is to keep our session, and what it holds for us, while we are away.
    pub session_expiry: Duration,
    /// Unacknowledged messages that we let the broker have under way.
    pub max_inflight: u16,
    /// Bytes of messages that are not durable yet: with so many nothing more is read.
    pub max_inflight_bytes: u64,
    pub topics: Vec<TopicConfig>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MqttVersion {
    #[default]
    V3_1_1,
    V5,
}

impl fmt::Display for MqttVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3_1_1 => "3.1.1",
            Self::V5 => "5",
        })
    }
}

impl BrokerConfig {
    /// With everything else as it is where nobody wrote it.
    pub fn new(host: String, port: u16, client_id: String) -> Self {
        Self {
            name: SourceId::new(""),
            host,
            port,
            client_id,
            username: None,
            password: None,
            keepalive: MINUTE,
            backoff: BackoffConfig { first: SECOND, last: MINUTE },
            version: MqttVersion::default(),
            tls: None,
            session_expiry: 30 * DAY,
            max_inflight: 1000,
            max_inflight_bytes: MAX_INFLIGHT_BYTES,
            topics: Vec::new(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct TopicConfig {
    pub pattern: TopicPattern,
    pub format: Format,
    pub qos: u8,
}

/// Whom we are at a broker that we only publish to.
pub(super) fn publisher(section: &Section<'_>, scope: &Scope<'_>) -> Option<BrokerConfig> {
    let (address, client_id) = (address(section, "mqtt.example.com:1883"), client_id(section));
    if let (Some(client_id), Some(address)) = (&client_id, address) {
        scope.is_first(section, "client_id", "client id", &format!("{address} {client_id}"));
    }
    let (username, password) = login(section, scope);
    let tls = client_tls(section, scope);
    let (host, port) = parse_host_port(address?).ok()?;
    Some(BrokerConfig { username, password, tls, ..BrokerConfig::new(host, port, client_id?) })
}

fn client_id(section: &Section<'_>) -> Option<String> {
    let allowed = "an id that no other client of the broker has";
    let client_id = section.parsed("client_id", allowed, |text| {
        if text.is_empty() || text.len() > 65_535 { Err("not a client id") } else { Ok(text.to_owned()) }
    });
    section.need("client_id", client_id, allowed)
}

fn login(section: &Section<'_>, scope: &Scope<'_>) -> (Option<String>, Option<Secret>) {
    let username = section.text("username").map(str::to_owned);
    let password = secret(section, "password", &scope.around);
    if password.is_some() && username.is_none() {
        section.problem("username", "missing, and there is a password", "write the user that it belongs to");
    }
    (username, password)
}

/// The `topic` of what we only publish.
pub(super) fn publish_topic<'d>(section: &Section<'d>, allowed: &str) -> Option<&'d str> {
    section.parsed("topic", allowed, |text| {
        let fits = !text.is_empty() && text.len() <= 1000 && !text.contains(['+', '#', '\0']);
        if fits { Ok(text) } else { Err("not a topic to publish to") }
    })
}

pub(super) fn broker(
    section: Section<'_>,
    scope: &Scope<'_>,
    sites: &mut SourceSites,
) -> Option<BrokerConfig> {
    let name = source(&section, scope, "broker", sites);
    let version = section.choice("protocol", &VERSIONS).unwrap_or_default();
    let address = address(&section, "mqtt.example.com:1883");
    let client_id = client_id(&section);
    if let (Some(client_id), Some(address)) = (&client_id, address) {
        scope.is_first(&section, "client_id", "client id", &format!("{address} {client_id}"));
    }
    let (username, password) = login(&section, scope);
    let keepalive = section.duration("keepalive", SECOND..=18 * HOUR).unwrap_or(30 * SECOND);
    let backoff = backoff(&section);
    let max_inflight = section.integer("max_inflight", 1..=65_535).unwrap_or(1000);
    let max_inflight_bytes = section.size("max_inflight_bytes", 64 << 10..=4 << 30);
    let tls = client_tls(&section, scope);
    let session_expiry = section.duration("session_expiry", MINUTE..=LONGEST_SESSION);
    if version == MqttVersion::V3_1_1 && section.has("session_expiry") {
        let allowed = "protocol = \"mqtt-5\"; with 3.1.1 the broker's own setting counts";
        section.problem("session_expiry", "a broker of MQTT 3.1.1 cannot be told", allowed);
    }
    let tables = section.tables("topic");
    if tables.is_empty() {
        section.problem("topic", "missing", "write a [[broker.topic]] for each topic to subscribe to");
    }
    let mut topics: Vec<TopicConfig> = Vec::new();
    for table in tables {
        let topic = topics::topic(table, version, &topics);
        topics.extend(topic);
    }
    section.finish();
    let (host, port) = parse_host_port(address?).ok()?;
    Some(BrokerConfig {
        name: name?,
        host,
        port,
        client_id: client_id?,
        username,
        password,
        keepalive,
        backoff,
        version,
        tls,
        session_expiry: session_expiry.unwrap_or(30 * DAY),
        max_inflight,
        max_inflight_bytes: max_inflight_bytes.unwrap_or(MAX_INFLIGHT_BYTES),
        topics,
    })
}
