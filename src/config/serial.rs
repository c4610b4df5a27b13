//! RFID readers on a serial line, or behind a TCP address that carries the same bytes.

use std::path::PathBuf;
use std::time::Duration;

use super::BackoffConfig;
use super::devices::{address, backoff};
use super::document::Section;
use super::validate::{DAY, HOUR, MINUTE, SECOND, Scope};
use crate::decode::serial::{LinePattern, Protocol, chafon, mercury, r200, r2000};
use crate::domain::ids::SourceId;

const MILLISECOND: Duration = Duration::from_millis(1);

/// One serial reader.
#[derive(Clone, Debug)]
pub struct SerialReaderConfig {
    pub name: SourceId,
    pub line: SerialLine,
    pub protocol: Protocol,
    pub commands: SerialCommands,
    /// With nothing heard for this long, the reader is asked again.
    pub ask_again_after: Duration,
    /// With nothing heard for this long, it is gone; `None`: it may be silent for ever.
    pub silent_after: Option<Duration>,
    pub connect_timeout: Duration,
    pub backoff: BackoffConfig,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SerialLine {
    Port {
        path: PathBuf,
        baud: u32,
        data_bits: u8,
        stop_bits: u8,
        parity: Parity,
        /// The port's driver is to switch the direction of an RS-485 line.
        rs485: Option<Rs485>,
    },
    /// `host:port`.
    Tcp(String),
}

/// As people call it: `/dev/ttyUSB0`, or an address.
impl SerialLine {
    /// What is asked where bytes come that say nothing.
    pub fn doubt(&self) -> &'static str {
        match self {
            Self::Port { .. } => "is the baud rate right?",
            Self::Tcp(_) => "is it the right port?",
        }
    }
}

impl std::fmt::Display for SerialLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port { path, .. } => write!(f, "{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

/// How a driver switches the direction of an RS-485 line, with RTS (Linux: `struct serial_rs485`). The kernel counts in
/// milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rs485 {
    /// Between switching to send and the first byte.
    pub before: Duration,
    /// Between the last byte and switching back.
    pub after: Duration,
    /// RTS is low while it sends.
    pub inverted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parity {
    None,
    Even,
    Odd,
}

/// Bytes that make the reader read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SerialCommands {
    /// Once connected; empty: it reads by itself.
    pub start: Vec<u8>,
    /// Before we go.
    pub stop: Vec<u8>,
    /// When nothing was heard for a while, and where `each_round`, when a round is over.
    pub again: Vec<u8>,
    pub each_round: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SerialKind {
    Line,
    Mercury,
    R2000,
    Chafon,
    R200,
}

impl SerialKind {
    /// What readers of the kind are set to when they leave the factory.
    fn baud(self) -> u32 {
        match self {
            Self::Line => 9600,
            Self::Chafon => 57_600,
            Self::Mercury | Self::R2000 | Self::R200 => 115_200,
        }
    }

    fn commands(self) -> SerialCommands {
        let (start, stop, again, each_round) = match self {
            Self::Line => (Vec::new(), Vec::new(), Vec::new(), false),
            Self::Mercury => (mercury::start(), mercury::stop(), mercury::start(), false),
            Self::R2000 => (r2000::round(), Vec::new(), r2000::round(), true),
            Self::Chafon => (chafon::round(), Vec::new(), chafon::round(), true),
            Self::R200 => (r200::start(), r200::stop(), r200::start(), false),
        };
        SerialCommands { start, stop, again, each_round }
    }
}

pub(super) fn serial_reader(
    section: Section<'_>,
    scope: &Scope<'_>,
    name: Option<SourceId>,
    kind: SerialKind,
) -> Option<SerialReaderConfig> {
    let line = line(&section, scope, (kind.baud(), Parity::None));
    let protocol = protocol(&section, kind);
    let commands = commands(&section, kind);
    let ask_again_after = section.duration("ask_again_after", 100 * MILLISECOND..=HOUR);
    let silent_after = section.duration("silent_after", SECOND..=DAY);
    // What speaks by itself when it reads says nothing when it does not.
    let silent_by_default = (kind != SerialKind::Line).then_some(30 * SECOND);
    let connect_timeout = section.duration("connect_timeout", 100 * MILLISECOND..=10 * MINUTE);
    let backoff = backoff(&section);
    section.finish();
    Some(SerialReaderConfig {
        name: name?,
        line: line?,
        protocol: protocol?,
        commands,
        ask_again_after: ask_again_after.unwrap_or(2 * SECOND),
        silent_after: silent_after.or(silent_by_default),
        connect_timeout: connect_timeout.unwrap_or(10 * SECOND),
        backoff,
    })
}

/// `baud` and `parity`: where nobody says them.
pub(super) fn line(
    section: &Section<'_>,
    scope: &Scope<'_>,
    (baud, parity): (u32, Parity),
) -> Option<SerialLine> {
    let port = section.text("port");
    if section.has("address") {
        if port.is_some() {
            section.problem("port", "given, and address too", "one of the two");
        }
        let address = address(section, "10.0.0.7:4001")?;
        scope.is_first(section, "address", "reader address", address);
        return Some(SerialLine::Tcp(address.to_owned()));
    }
    let allowed = "a serial port, for instance \"/dev/serial/by-id/usb-…\", or an address instead";
    let port = section.need("port", port, allowed);
    // Asked for, so that who misspells it is told.
    section.text("address");
    let parities = [("none", Parity::None), ("even", Parity::Even), ("odd", Parity::Odd)];
    let baud = section.integer("baud", 300..=4_000_000).unwrap_or(baud);
    let data_bits = section.integer("data_bits", 7..=8).unwrap_or(8);
    let stop_bits = section.integer("stop_bits", 1..=2).unwrap_or(1);
    let parity = section.choice("parity", &parities).unwrap_or(parity);
    scope.is_first(section, "port", "serial port", port?);
    Some(SerialLine::Port { path: PathBuf::from(port?), baud, data_bits, stop_bits, parity, rs485: None })
}

fn protocol(section: &Section<'_>, kind: SerialKind) -> Option<Protocol> {
    Some(match kind {
        SerialKind::Line => Protocol::Line(pattern(section)?),
        SerialKind::Mercury => Protocol::Mercury,
        SerialKind::R2000 => Protocol::R2000,
        SerialKind::Chafon => Protocol::Chafon,
        SerialKind::R200 => Protocol::R200,
    })
}

fn pattern(section: &Section<'_>) -> Option<LinePattern> {
    let allowed = "a regular expression with a group (?P<epc>…), and perhaps antenna, rssi and time";
    let ignored = section.list("ignore", "regular expressions", |value| {
        let text = value.as_str()?;
        LinePattern::new(LinePattern::DEFAULT, &[text.to_owned()]).ok()?;
        Some(text.to_owned())
    });
    let ignored = ignored.unwrap_or_default();
    if !section.has("pattern") {
        return LinePattern::new(LinePattern::DEFAULT, &ignored).ok();
    }
    section.parsed("pattern", allowed, |text| LinePattern::new(text, &ignored))
}

/// The kind's own commands, with what is written put in their place.
fn commands(section: &Section<'_>, kind: SerialKind) -> SerialCommands {
    let mut commands = kind.commands();
    for (key, command) in
        [("start", &mut commands.start), ("stop", &mut commands.stop), ("again", &mut commands.again)]
    {
        let allowed = match kind {
            SerialKind::Line => "text, with its line end: \"START\\r\\n\"",
            _ => "bytes in hexadecimal, check sum included; \"\" for none",
        };
        let bytes = section.parsed(key, allowed, |text| match kind {
            SerialKind::Line => Ok(text.as_bytes().to_vec()),
            _ => hex::decode(text.replace(' ', "")).map_err(|_| "not hexadecimal"),
        });
        if let Some(bytes) = bytes {
            *command = bytes;
        }
    }
    commands.each_round = section.flag("each_round").unwrap_or(commands.each_round);
    commands
}
