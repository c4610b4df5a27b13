//! The HTTP API: where it listens, who may come in, and how much of it anybody may use.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::TlsConfig;
use super::document::Section;
use super::node::{LISTEN_ALLOWED, parse_listen, set};
use super::tls::certificate;
use super::validate::{DAY, MINUTE, SECOND, Scope, name};
use crate::domain::ids::SiteId;
use crate::domain::time::Timestamp;

#[derive(Clone, Debug)]
pub struct WebConfig {
    /// `None` where only the local control socket is served.
    pub listen: Option<SocketAddr>,
    pub tokens: TokenList,
    pub tls: Option<TlsConfig>,
    /// Connections at a time; further ones wait until one ends.
    pub max_connections: usize,
    /// Of these, event streams.
    pub max_streams: usize,
    /// From a request's last header to the first byte of its answer.
    pub request_timeout: Duration,
    /// Of an import; other bodies are small.
    pub max_import_bytes: usize,
    /// How long the answer to an idempotency key is remembered.
    pub idempotency_horizon: Duration,
    /// Requests of one token.
    pub requests: Rate,
    /// Requests of one address that came with no token, or a wrong one.
    pub failures: Rate,
}

/// A bucket of `burst` that fills with `per_second`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

/// The tokens that are let in. Clones share them: they are changed while the daemon runs, so that one that got
/// into wrong hands is worth nothing at once.
#[derive(Clone, Debug, Default)]
pub struct TokenList(Arc<RwLock<Arc<[Arc<TokenConfig>]>>>);

impl TokenList {
    pub fn new(tokens: impl IntoIterator<Item = TokenConfig>) -> Self {
        Self(Arc::new(RwLock::new(tokens.into_iter().map(Arc::new).collect())))
    }

    /// As they stand.
    pub fn now(&self) -> Arc<[Arc<TokenConfig>]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From here on those of `other` are let in, and no others.
    pub fn become_those_of(&self, other: &Self) {
        let tokens = other.now();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct TokenConfig {
    /// Who commands given with it are attributed to.
    pub name: String,
    /// SHA-256 of the token, lower-case hex.
    pub sha256: String,
    pub role: Role,
    /// Sees and acts on what belongs to these; `None`: on everything.
    pub sites: Option<Vec<SiteId>>,
    /// Not let in from then on.
    pub expires: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Viewer,
    Operator,
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: None,
            tokens: TokenList::default(),
            tls: None,
            max_connections: 256,
            max_streams: 64,
            request_timeout: 30 * SECOND,
            max_import_bytes: 256 << 20,
            idempotency_horizon: DAY,
            requests: Rate { per_second: 50.0, burst: 200.0 },
            failures: Rate { per_second: 10.0 / 60.0, burst: 20.0 },
        }
    }
}

pub(super) fn web(section: Option<Section<'_>>, scope: &Scope<'_>) -> Option<WebConfig> {
    let mut web = WebConfig::default();
    let Some(section) = section else { return Some(web) };
    let listen = section.parsed("listen", LISTEN_ALLOWED, parse_listen);
    web.listen = listen.flatten();
    let tables = section.tables("token");
    let none_given = tables.is_empty();
    web.tokens = TokenList::new(tables.into_iter().filter_map(|table| token(table, scope)));
    let tls_wanted = section.has("tls");
    web.tls = section.table("tls").and_then(|table| tls(table, scope));
    let plain = section.flag("allow_plain_http").unwrap_or(false);
    if let Some(address) = web.listen.filter(|address| !address.ip().is_loopback()) {
        if none_given {
            section.problem(
                "listen",
                "open to the network without any [[web.token]]",
                "add a token (tallyman token makes one) or listen on 127.0.0.1",
            );
        }
        if !none_given && !tls_wanted && !plain {
            section.problem(
                "listen",
                format!("{address} is open to the network, and tokens would cross it readable"),
                "write [web.tls], or listen on 127.0.0.1 behind a proxy, or say allow_plain_http = true",
            );
        }
    }
    set(&mut web.max_connections, section.integer("max_connections", 1..=100_000));
    set(&mut web.max_streams, section.integer("max_streams", 0..=100_000));
    set(&mut web.request_timeout, section.duration("request_timeout", SECOND..=10 * MINUTE));
    let max_import = section.size("max_import", 1 << 10..=4 << 30);
    set(&mut web.max_import_bytes, max_import.and_then(|bytes| usize::try_from(bytes).ok()));
    set(&mut web.idempotency_horizon, section.duration("idempotency_horizon", MINUTE..=30 * DAY));
    set(&mut web.requests.per_second, section.number("requests_per_second", 0.1..=100_000.0));
    set(&mut web.requests.burst, section.number("request_burst", 1.0..=1_000_000.0));
    let failures = section.number("failures_per_minute", 0.1..=100_000.0);
    set(&mut web.failures.per_second, failures.map(|per_minute| per_minute / 60.0));
    set(&mut web.failures.burst, section.number("failure_burst", 1.0..=100_000.0));
    section.finish();
    if tls_wanted && web.tls.is_none() { None } else { Some(web) }
}

fn tls(section: Section<'_>, scope: &Scope<'_>) -> Option<TlsConfig> {
    let files = certificate(&section, scope, true);
    section.finish();
    files
}

fn token(section: Section<'_>, scope: &Scope<'_>) -> Option<TokenConfig> {
    let name = section.need("name", name(&section, "name"), "who commands given with it are attributed to");
    let name = name.filter(|name| scope.is_first(&section, "name", "web.token", name));
    let allowed = "the token's SHA-256 as 64 lower-case hex digits (tallyman token prints it)";
    let sha256 = section.parsed("sha256", allowed, |text| {
        let fits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if fits { Ok(text.to_owned()) } else { Err("not a SHA-256") }
    });
    let sha256 = section.need("sha256", sha256, allowed);
    let roles = [("viewer", Role::Viewer), ("operator", Role::Operator), ("admin", Role::Admin)];
    let role = section.need("role", section.choice("role", &roles), "\"viewer\", \"operator\" or \"admin\"");
    let sites = sites(&section, scope);
    let allowed = "a time with its offset, for instance \"2027-01-01T00:00:00Z\"";
    let expires =
        section.parsed("expires", allowed, |text| Timestamp::parse(text).ok_or("not a time with an offset"));
    let complete =
        (!section.has("sites") || sites.is_some()) && (!section.has("expires") || expires.is_some());
    section.finish();
    Some(TokenConfig { name: name?.to_owned(), sha256: sha256?, role: role?, sites, expires })
        .filter(|_| complete)
}

fn sites(section: &Section<'_>, scope: &Scope<'_>) -> Option<Vec<SiteId>> {
    let known = |name: &str| scope.names.of("site").any(|site| site == name);
    let named = section.list("sites", "names of [[site]]s", |value| {
        value.as_str().filter(|name| known(name)).map(SiteId::new)
    });
    if named.as_ref().is_some_and(Vec::is_empty) {
        section.problem("sites", "empty: nothing could be seen with it", "name sites, or leave the key out");
        return None;
    }
    named
}
