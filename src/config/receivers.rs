//! Who is told of alerts beside Alertmanager: webhooks, MQTT topics, the log.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::document::Section;
use super::secrets::secret;
use super::validate::{DAY, HOUR, MINUTE, SECOND, Scope};
use super::{ALERTMANAGER, BackoffConfig, BrokerConfig, Secret, alerting, brokers, devices, node, values};
use crate::domain::alerts::{Alert, Rule, Severity};
use crate::domain::ids::SiteId;

/// The name of the log as a receiver.
pub const LOG: &str = "log";

/// A Standard Webhooks secret says so by this, and is base64 behind it.
const SECRET_PREFIX: &str = "whsec_";

/// What a receiver is told of; empty: everything.
#[derive(Clone, Debug, Default)]
pub struct ReceiverFilter {
    pub rules: Vec<Rule>,
    pub sites: Vec<SiteId>,
    /// At least this severe.
    pub severity: Option<Severity>,
}

impl ReceiverFilter {
    pub fn lets(&self, alert: &Alert) -> bool {
        let site = |wanted: &SiteId| alert.site.as_ref() == Some(wanted);
        (self.rules.is_empty() || self.rules.contains(&alert.key.rule))
            && (self.sites.is_empty() || self.sites.iter().any(site))
            && self.severity.is_none_or(|least| alert.severity >= least)
    }
}

/// What every receiver with a queue of its own has.
#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    pub name: String,
    pub filter: ReceiverFilter,
    pub backoff: BackoffConfig,
    /// A message that could not be delivered and is older than this is given up.
    pub give_up_after: Duration,
}

#[derive(Clone)]
pub struct WebhookConfig {
    pub receiver: ReceiverConfig,
    pub url: String,
    /// Authorities that are trusted instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// The key itself, out of its text form.
    pub key: Vec<u8>,
    pub timeout: Duration,
}

/// Its address may hold a password, and the key is one.
impl std::fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("receiver", &self.receiver)
            .field("url", &values::mask_url(&self.url))
            .field("ca_file", &self.ca_file)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub struct MqttReceiverConfig {
    pub receiver: ReceiverConfig,
    /// Where, and as whom; it subscribes to nothing.
    pub broker: BrokerConfig,
    /// Messages go to `topic/rule/subject`.
    pub topic: String,
    /// Whether `topic/state/rule/subject` holds, retained, what stands.
    pub retain_state: bool,
}

pub(super) fn webhooks(notify: &Section<'_>, scope: &Scope<'_>) -> Vec<WebhookConfig> {
    notify.tables("webhook").into_iter().filter_map(|section| webhook(section, scope)).collect()
}

fn webhook(section: Section<'_>, scope: &Scope<'_>) -> Option<WebhookConfig> {
    let receiver = receiver(&section, scope);
    let allowed = "http://host:port/path or https://host:port/path";
    let url = section.parsed("url", allowed, |text| node::base_url(text).ok_or("not such an address"));
    let secure = url.as_ref().is_some_and(|url| url.starts_with(node::HTTPS));
    let ca_file = node::ca_file(&section, scope, secure);
    let url = section.need("url", url, allowed);
    let key = secret(&section, "secret", &scope.around);
    let forms = ["secret", "secret_file", "secret_env", "secret_credential"];
    if !forms.iter().any(|form| section.has(form)) {
        section.problem("secret", "missing", format!("write {}", forms.join(", ")));
    }
    let key = key.and_then(|key| {
        let key = key_of(&key);
        if key.is_none() {
            section.problem("secret", "whsec_ without base64 behind it", "a secret as the receiver gave it");
        }
        key
    });
    let timeout = section.duration("timeout", SECOND..=5 * MINUTE).unwrap_or(10 * SECOND);
    section.finish();
    Some(WebhookConfig { receiver: receiver?, url: url?, ca_file, key: key?, timeout })
}

fn key_of(secret: &Secret) -> Option<Vec<u8>> {
    match secret.reveal().strip_prefix(SECRET_PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).ok().filter(|key| !key.is_empty()),
        None => Some(secret.reveal().as_bytes().to_vec()),
    }
}

pub(super) fn topics(notify: &Section<'_>, scope: &Scope<'_>) -> Vec<MqttReceiverConfig> {
    notify.tables("mqtt").into_iter().filter_map(|section| topic(section, scope)).collect()
}

fn topic(section: Section<'_>, scope: &Scope<'_>) -> Option<MqttReceiverConfig> {
    let receiver = receiver(&section, scope);
    let broker = brokers::publisher(&section, scope);
    let allowed = "a topic without + and #, for instance \"tallyman/alerts\"";
    let topic = brokers::publish_topic(&section, allowed).map(|topic| topic.trim_end_matches('/').to_owned());
    let retain_state = section.flag("retain_state").unwrap_or(false);
    section.finish();
    let topic = topic.unwrap_or_else(|| "tallyman/alerts".to_owned());
    Some(MqttReceiverConfig { receiver: receiver?, broker: broker?, topic, retain_state })
}

pub(super) fn log(notify: &Section<'_>, scope: &Scope<'_>) -> Option<ReceiverConfig> {
    let section = notify.table("log")?;
    let filter = filter(&section, scope);
    section.finish();
    let backoff = BackoffConfig { first: SECOND, last: MINUTE };
    Some(ReceiverConfig { name: LOG.to_owned(), filter, backoff, give_up_after: DAY })
}

fn receiver(section: &Section<'_>, scope: &Scope<'_>) -> Option<ReceiverConfig> {
    let name = scope.own_name(section, "receiver");
    if name.is_some_and(|name| [ALERTMANAGER, LOG].contains(&name)) {
        section.problem("name", "this name is taken", "any other name");
    }
    let filter = filter(section, scope);
    let mut backoff = BackoffConfig { first: SECOND, last: 10 * MINUTE };
    devices::set_backoff(&mut backoff, section);
    let give_up_after = section.duration("give_up_after", MINUTE..=30 * DAY).unwrap_or(DAY);
    Some(ReceiverConfig { name: name?.to_owned(), filter, backoff, give_up_after })
}

fn filter(section: &Section<'_>, scope: &Scope<'_>) -> ReceiverFilter {
    let rules = section.list("rules", "the names of alert rules", |value| Rule::parse(value.as_str()?));
    let sites = section.list("sites", "the names of [[site]]s", |value| {
        let name = value.as_str()?;
        scope.names.of("site").any(|known| known == name).then(|| SiteId::new(name))
    });
    ReceiverFilter {
        rules: rules.unwrap_or_default(),
        sites: sites.unwrap_or_default(),
        severity: section.choice("severity", &alerting::SEVERITIES),
    }
}

/// The longest that a receiver may ask us to wait.
pub const LONGEST_RETRY_AFTER: Duration = HOUR;
