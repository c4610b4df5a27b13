//! The daemon itself: journal, store, metrics, notify, intake.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::document::Section;
use super::secrets::secret;
use super::validate::{DAY, HOUR, MINUTE, SECOND, Scope};
use super::values::parse_host_port;
use super::{
    ALERTMANAGER, AlertmanagerConfig, IntakeConfig, JournalConfig, NotifyConfig, RegisterOwner,
    TimescaleConfig, WebConfig, receivers,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// As a default: `/metrics` is there unless it is switched off, for this machine alone.
const METRICS_LISTEN: &str = "127.0.0.1:9744";

pub(super) const LISTEN_ALLOWED: &str = "an IP address and port, for instance 127.0.0.1:8744, or \"off\"";

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/var/lib/tallyman/journal.db"),
            max_bytes: 4 * GIB,
            reserve_bytes: 64 * MIB,
            keep_reads: false,
            max_dead_letters: 10_000,
            max_dead_letter_bytes: 256 << 20,
            retain_events: 400 * DAY,
            retain_measurements: 30 * DAY,
            retain_reads: DAY,
            retain_people: 90 * DAY,
            retain_drivers: 400 * DAY,
        }
    }
}

pub(super) fn journal(section: Option<Section<'_>>, scope: &Scope<'_>) -> JournalConfig {
    let mut journal = JournalConfig::default();
    let Some(section) = section else { return journal };
    let path = section.parsed("path", "the path of a file", |text| {
        if text.is_empty() || text.ends_with('/') { Err("not a file") } else { Ok(scope.around.path(text)) }
    });
    set(&mut journal.path, path);
    set(&mut journal.max_bytes, section.size("max_bytes", 16 * MIB..=(1 << 20) * GIB));
    set(&mut journal.reserve_bytes, section.size("reserve", MIB..=64 * GIB));
    if journal.reserve_bytes > journal.max_bytes / 2 {
        section.problem("reserve", "more than half of max_bytes", "at most half of max_bytes");
    }
    set(&mut journal.keep_reads, section.flag("keep_reads"));
    set(&mut journal.max_dead_letters, section.integer("max_dead_letters", 1..=100_000_000));
    let letter_bytes = section.size("max_dead_letter_bytes", MIB..=1024 * GIB);
    set(&mut journal.max_dead_letter_bytes, letter_bytes);
    if let Some(retention) = section.table("retention") {
        let range = || HOUR..=36_500 * DAY;
        set(&mut journal.retain_events, retention.duration("events", range()));
        set(&mut journal.retain_measurements, retention.duration("measurements", range()));
        set(&mut journal.retain_reads, retention.duration("reads", range()));
        set(&mut journal.retain_people, retention.duration("people", range()));
        set(&mut journal.retain_drivers, retention.duration("drivers", range()));
        retention.finish();
    }
    section.finish();
    journal
}

/// The outer `None` is a problem, the inner one a store that is not configured.
pub(super) fn timescale(store: Option<Section<'_>>, scope: &Scope<'_>) -> Option<Option<TimescaleConfig>> {
    let Some(store) = store else { return Some(None) };
    let section = store.table("timescale");
    let named = store.has("timescale");
    store.finish();
    let Some(section) = section else { return if named { None } else { Some(None) } };
    let url = secret(&section, "url", &scope.around);
    if !["url", "url_file", "url_env", "url_credential"].iter().any(|key| section.has(key)) {
        section.problem("url", "missing", "write url, url_file, url_env or url_credential");
    }
    let url = url.filter(|url| {
        let fits = ["postgres://", "postgresql://"].iter().any(|scheme| url.reveal().starts_with(scheme));
        if !fits {
            section.problem(
                given_form(&section),
                "not a Postgres address",
                "write postgres://user:password@host:5432/database",
            );
        }
        fits
    });
    let batch_rows = section.integer("batch_rows", 1..=1_000_000);
    let chunk_interval = section.duration("chunk_interval", HOUR..=366 * DAY);
    let statement_timeout = section.duration("statement_timeout", SECOND..=HOUR);
    let owners = [("journal", RegisterOwner::Journal), ("database", RegisterOwner::Database)];
    let register = section.choice("register", &owners);
    section.finish();
    Some(Some(TimescaleConfig {
        url: url?,
        batch_rows: batch_rows.unwrap_or(20_000),
        chunk_interval: chunk_interval.unwrap_or(DAY),
        statement_timeout: statement_timeout.unwrap_or(30 * SECOND),
        register: register.unwrap_or_default(),
    }))
}

fn given_form(section: &Section<'_>) -> &'static str {
    let forms = ["url_file", "url_env", "url_credential"];
    forms.into_iter().find(|form| section.has(form)).unwrap_or("url")
}

pub(super) fn metrics(section: Option<Section<'_>>) -> Option<SocketAddr> {
    let default = parse_listen(METRICS_LISTEN).ok().flatten();
    let Some(section) = section else { return default };
    let listen = section.parsed("listen", LISTEN_ALLOWED, parse_listen);
    section.finish();
    listen.unwrap_or(default)
}

pub(super) fn parse_listen(text: &str) -> Result<Option<SocketAddr>, &'static str> {
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| "not an IP address and port")
}

pub(super) fn listeners_differ(top: &Section<'_>, web: Option<&WebConfig>, metrics: Option<SocketAddr>) {
    let web = web.and_then(|web| web.listen).filter(|web| web.port() != 0);
    if web.is_some() && web == metrics {
        top.problem("metrics", "listens where web.listen does", "give each an address of its own");
    }
}

/// The names that alerts can be sent to.
pub(super) fn receiver_names(notify: Option<&NotifyConfig>) -> Vec<String> {
    let Some(notify) = notify else { return Vec::new() };
    let alertmanager = notify.alertmanager.iter().map(|_| ALERTMANAGER.to_owned());
    let webhooks = notify.webhooks.iter().map(|webhook| webhook.receiver.name.clone());
    let topics = notify.mqtt.iter().map(|topic| topic.receiver.name.clone());
    let log = notify.log.iter().map(|log| log.name.clone());
    alertmanager.chain(webhooks).chain(topics).chain(log).collect()
}

/// `None` where there is a problem.
pub(super) fn notify(section: Option<Section<'_>>, scope: &Scope<'_>) -> Option<NotifyConfig> {
    let Some(section) = section else { return Some(NotifyConfig::default()) };
    let named = section.has("alertmanager");
    let alertmanager = section.table("alertmanager").and_then(|table| alertmanager(table, scope));
    let webhooks = receivers::webhooks(&section, scope);
    let mqtt = receivers::topics(&section, scope);
    let log = receivers::log(&section, scope);
    section.finish();
    if named && alertmanager.is_none() {
        return None;
    }
    Some(NotifyConfig { alertmanager, webhooks, mqtt, log })
}

fn alertmanager(section: Section<'_>, scope: &Scope<'_>) -> Option<AlertmanagerConfig> {
    let allowed = "http://host:port or https://host:port, one for each instance of the cluster";
    let urls = section.list("urls", allowed, |value| base_url(value.as_str()?));
    let urls = section.need("urls", urls, &format!("an array of {allowed}"));
    if urls.as_ref().is_some_and(Vec::is_empty) {
        section.problem("urls", "empty", format!("write {allowed}"));
    }
    let secure = urls.iter().flatten().any(|url| url.starts_with(HTTPS));
    let ca_file = ca_file(&section, scope, secure);
    let resend = section.duration("resend", SECOND..=4 * MINUTE).unwrap_or(MINUTE);
    let hold = section.duration("hold", MINUTE..=30 * DAY).unwrap_or(DAY);
    if hold < 2 * resend {
        section.problem("hold", "shorter than two times resend", "an alert must outlive a lost re-send");
    }
    let resolved_for = section.duration("resolved_for", SECOND..=DAY).unwrap_or(15 * MINUTE);
    let generator_url = section.parsed("generator_url", "http://… or https://…", |text| {
        let web = text.starts_with("http://") || text.starts_with("https://");
        if web { Ok(text.to_owned()) } else { Err("not a web address") }
    });
    section.finish();
    Some(AlertmanagerConfig { urls: urls?, ca_file, resend, hold, resolved_for, generator_url })
}

pub(super) const HTTPS: &str = "https://";

/// The authorities that a receiver's certificate may come from, where it is not those of the machine.
pub(super) fn ca_file(section: &Section<'_>, scope: &Scope<'_>, secure: bool) -> Option<PathBuf> {
    let file = section.parsed("ca_file", "the path of a PEM file", |text| match text.is_empty() {
        true => Err("empty"),
        false => Ok(scope.around.path(text)),
    });
    if section.has("ca_file") && !secure {
        section.problem("ca_file", "without an https:// address", "https://, or take it out");
    }
    file
}

/// `http://host:port/path` or `https://…`, without the slash at its end.
pub(super) fn base_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix(HTTPS))?;
    text.parse::<hyper::Uri>().ok()?;
    let authority = rest.split('/').next()?;
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host_port = match host_port.rsplit_once(':') {
        Some(_) if !host_port.ends_with(']') => host_port.to_owned(),
        _ => format!("{host_port}:80"),
    };
    parse_host_port(&host_port).ok()?;
    Some(text.trim_end_matches('/').to_owned())
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            queue: 8192,
            commit_frames: 2000,
            max_payload_bytes: 256 << 10,
            max_kept_bytes: 16 << 20,
            ahead_tolerance: 5 * MINUTE,
            max_age: 400 * DAY,
            clock_step_confirmations: 5,
            redelivery_horizon: DAY,
            max_tags: 200_000,
            stranger_reads: 2,
            stranger_within: 10 * SECOND,
            max_unconfirmed: 10_000,
            max_trackers: 100_000,
            redelivery_memory: 64 << 20,
            forget_trackers_after: 7 * DAY,
        }
    }
}

pub(super) fn intake(section: Option<Section<'_>>) -> IntakeConfig {
    let mut intake = IntakeConfig::default();
    let Some(section) = section else { return intake };
    set(&mut intake.queue, section.integer("queue", 16..=1_000_000));
    set(&mut intake.commit_frames, section.integer("commit_frames", 1..=100_000));
    let max_payload = section.size("max_payload", KIB..=64 * MIB);
    set(&mut intake.max_payload_bytes, max_payload.and_then(|bytes| usize::try_from(bytes).ok()));
    let max_kept = section.size("max_kept", KIB..=256 * MIB);
    set(&mut intake.max_kept_bytes, max_kept.and_then(|bytes| usize::try_from(bytes).ok()));
    if intake.max_kept_bytes < intake.max_payload_bytes {
        section.problem("max_kept", "less than max_payload", "at least max_payload");
    }
    set(&mut intake.ahead_tolerance, section.duration("ahead_tolerance", SECOND..=DAY));
    set(&mut intake.max_age, section.duration("max_age", HOUR..=36_500 * DAY));
    set(&mut intake.clock_step_confirmations, section.integer("clock_step_confirmations", 1..=1000));
    set(&mut intake.redelivery_horizon, section.duration("redelivery_horizon", MINUTE..=30 * DAY));
    set(&mut intake.max_tags, section.integer("max_tags", 1..=10_000_000));
    set(&mut intake.stranger_reads, section.integer("stranger_reads", 1..=1000));
    set(&mut intake.stranger_within, section.duration("stranger_within", SECOND..=HOUR));
    set(&mut intake.max_unconfirmed, section.integer("max_unconfirmed", 1..=1_000_000));
    set(&mut intake.max_trackers, section.integer("max_trackers", 1..=10_000_000));
    let memory = section.size("redelivery_memory", MIB..=64 * GIB);
    set(&mut intake.redelivery_memory, memory.and_then(|bytes| usize::try_from(bytes).ok()));
    set(&mut intake.forget_trackers_after, section.duration("forget_trackers_after", HOUR..=36_500 * DAY));
    if intake.forget_trackers_after < intake.redelivery_horizon {
        section.problem(
            "forget_trackers_after",
            "shorter than redelivery_horizon",
            "at least redelivery_horizon: a tracker's messages go with it",
        );
    }
    section.finish();
    intake
}

/// Overwrites a default by what was given.
pub(super) fn set<T>(place: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *place = given;
    }
}
