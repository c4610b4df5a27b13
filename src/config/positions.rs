//! What positions come from without a broker: GNSS receivers on a line, trackers that connect to us.

use std::net::SocketAddr;
use std::time::Duration;

use super::BackoffConfig;
use super::devices::{backoff, source};
use super::document::Section;
use super::serial::{Parity, SerialLine, line};
use super::topics::dating;
use super::validate::{DAY, HOUR, MINUTE, SECOND, Scope, SourceSites};
use crate::decode::gps;
use crate::decode::gps::nmea::Dating;
use crate::domain::ids::{DeviceId, SourceId};

const MILLISECOND: Duration = Duration::from_millis(1);
/// What most receivers are set to when they leave the factory.
const BAUD: u32 = 9600;

/// A GNSS receiver that sends NMEA sentences by itself.
#[derive(Clone, Debug)]
pub struct NmeaConfig {
    pub name: SourceId,
    pub device: DeviceId,
    pub line: SerialLine,
    pub dating: Dating,
    /// With no sentence for this long, it is gone.
    pub silent_after: Duration,
    pub connect_timeout: Duration,
    pub backoff: BackoffConfig,
}

/// Where Teltonika trackers connect to us.
#[derive(Clone, Debug)]
pub struct TeltonikaConfig {
    pub name: SourceId,
    pub listen: SocketAddr,
    /// IMEIs; `None`: whoever comes.
    pub devices: Option<Vec<DeviceId>>,
    pub max_connections: usize,
    /// A connection on which nothing comes for this long is closed.
    pub silent_after: Duration,
}

pub(super) fn nmea(section: Section<'_>, scope: &Scope<'_>, sites: &mut SourceSites) -> Option<NmeaConfig> {
    let name = source(&section, scope, "nmea", sites);
    let line = line(&section, scope, (BAUD, Parity::None));
    let allowed = "the name of what carries the receiver: text, at most 256 bytes";
    let device =
        section.parsed("device", allowed, |text| gps::device(text).map_err(|_| "not a name of a device"));
    let dating = dating(&section);
    let silent_after = section.duration("silent_after", SECOND..=DAY).unwrap_or(30 * SECOND);
    let connect_timeout = section.duration("connect_timeout", 100 * MILLISECOND..=10 * MINUTE);
    let backoff = backoff(&section);
    section.finish();
    let name = name?;
    Some(NmeaConfig {
        device: device.unwrap_or_else(|| DeviceId::new(name.as_str())),
        name,
        line: line?,
        dating,
        silent_after,
        connect_timeout: connect_timeout.unwrap_or(10 * SECOND),
        backoff,
    })
}

pub(super) fn teltonika(
    section: Section<'_>,
    scope: &Scope<'_>,
    sites: &mut SourceSites,
) -> Option<TeltonikaConfig> {
    let name = source(&section, scope, "teltonika", sites);
    let allowed = "an IP address and port, for instance 0.0.0.0:5027";
    let listen = section.parsed("listen", allowed, |text| {
        text.parse::<SocketAddr>().map_err(|_| "not an IP address and port")
    });
    let listen = section.need("listen", listen, allowed);
    if let Some(listen) = listen.filter(|listen| listen.port() != 0) {
        scope.is_first(&section, "listen", "listener", &listen.to_string());
    }
    let is_imei = |text: &&str| text.len() == 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    let devices = section.list("devices", "IMEIs of 15 digits, in quotes", |value| {
        value.as_str().filter(is_imei).map(DeviceId::new)
    });
    let max_connections = section.integer("max_connections", 1..=100_000).unwrap_or(1000);
    let silent_after = section.duration("silent_after", SECOND..=DAY).unwrap_or(HOUR);
    section.finish();
    Some(TeltonikaConfig { name: name?, listen: listen?, devices, max_connections, silent_after })
}
