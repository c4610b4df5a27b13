//! MQTT brokers: those that we subscribe at, and who we are at those that we only publish to.

use std::time::Duration;

use super::devices::{address, backoff, source};
use super::document::Section;
use super::secrets::secret;
use super::validate::{HOUR, MINUTE, SECOND, Scope, SourceSites};
use super::values::parse_host_port;
use super::{BackoffConfig, Secret, topics};
use crate::decode::gps::Format;
use crate::decode::gps::topic::TopicPattern;
use crate::domain::ids::SourceId;

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
    /// Unacknowledged messages that we let the broker have under way.
    pub max_inflight: u16,
    pub topics: Vec<TopicConfig>,
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
    let (host, port) = parse_host_port(address?).ok()?;
    Some(BrokerConfig {
        name: SourceId::new(""),
        host,
        port,
        client_id: client_id?,
        username,
        password,
        keepalive: MINUTE,
        backoff: BackoffConfig { first: SECOND, last: MINUTE },
        max_inflight: 1,
        topics: Vec::new(),
    })
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
    section.choice("protocol", &[("mqtt-3.1.1", ())]);
    let address = address(&section, "mqtt.example.com:1883");
    let client_id = client_id(&section);
    if let (Some(client_id), Some(address)) = (&client_id, address) {
        scope.is_first(&section, "client_id", "client id", &format!("{address} {client_id}"));
    }
    let (username, password) = login(&section, scope);
    let keepalive = section.duration("keepalive", SECOND..=18 * HOUR).unwrap_or(30 * SECOND);
    let backoff = backoff(&section);
    let max_inflight = section.integer("max_inflight", 1..=65_535).unwrap_or(1000);
    let tables = section.tables("topic");
    if tables.is_empty() {
        section.problem("topic", "missing", "write a [[broker.topic]] for each topic to subscribe to");
    }
    let mut topics = Vec::new();
    for table in tables {
        topics.extend(topics::topic(table));
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
        max_inflight,
        topics,
    })
}
