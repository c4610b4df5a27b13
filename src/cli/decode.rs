//! `tallyman decode PROTOCOL FILE`: captured bytes → one JSON object a line.
//!
//! Where the bytes are wrong, the object has `error` and `offset` (from the start of the file), and
//! decoding goes on where the protocol allows.

mod epc;
mod json;
mod llrp;
mod nmea;
mod owntracks;
mod serial;
mod sparkplug;
mod teltonika;
mod tracker;

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use crate::config::{self, TopicConfig};
use crate::decode::gps::Format;
use crate::decode::gps::json::Mapping;
use crate::decode::gps::sparkplug::MetricMapping;
use crate::decode::gps::topic::TopicPattern;
use crate::decode::serial::{LinePattern, Protocol as Serial};
use crate::domain::time::Timestamp;

/// Turn captured bytes into JSON, one object a line.
///
/// Keys that every protocol shares: `epc` lower-case hex, `lat` and `lon` in degrees, `time` RFC 3339.
/// Bad input gives an object with `error` and `offset`; decoding goes on where the protocol allows.
#[derive(clap::Args, Debug)]
pub struct DecodeArgs {
    /// What the bytes are
    #[arg(value_enum)]
    pub protocol: Protocol,
    /// The captured bytes; `-` for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// epc: a company prefix; the number of a barcode or Digital Link does not say where its own ends
    #[arg(long = "company-prefix", value_name = "DIGITS")]
    pub company_prefixes: Vec<String>,
    /// epc: the filter value of codes whose names leave it out
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=7))]
    pub filter: u8,
    /// line: how a read looks, a regular expression with a group named epc, and perhaps antenna, rssi, time
    #[arg(long, value_name = "REGEX", value_parser = pattern)]
    pub pattern: Option<LinePattern>,
    /// json: where things stand in the message, one of the ready-made mappings
    #[arg(long, value_name = "NAME", value_parser = preset, group = "mapped")]
    pub preset: Option<Mapping>,
    /// json: the same from a file of its own, with the keys of [broker.topic.mapping]
    #[arg(long, value_name = "FILE", value_parser = mapping_file, group = "mapped")]
    pub mapping: Option<Mapping>,
    /// json: lines are `topic payload`, and this is how the topic names the device: fleet/{device}/position
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    pub topic: Option<TopicPattern>,
    /// sparkplug-b: which metrics are what, a file with the keys of [broker.topic.mapping]; not set: by usual names
    #[arg(long, value_name = "FILE", value_parser = metrics_file)]
    pub metrics: Option<MetricMapping>,
    /// nmea: dates before this time are of a receiver whose GPS week rolled over, and move on by 1024 weeks
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub not_before: Option<Timestamp>,
}

fn pattern(text: &str) -> Result<LinePattern, String> {
    LinePattern::new(text, &[])
}

fn preset(name: &str) -> Result<Mapping, String> {
    let found = config::PRESETS.iter().find(|(known, _)| *known == name);
    let (_, text) = found.ok_or_else(|| {
        let known: Vec<&str> = config::PRESETS.iter().map(|(known, _)| *known).collect();
        format!("there are: {}", known.join(", "))
    })?;
    config::parse_mapping(text).map_err(|error| error.to_string())
}

fn mapping_file(path: &str) -> Result<Mapping, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    config::parse_mapping(&text).map_err(|error| format!("\n{error}"))
}

fn metrics_file(path: &str) -> Result<MetricMapping, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    config::parse_metrics(&text).map_err(|error| format!("\n{error}"))
}

fn topic(text: &str) -> Result<TopicPattern, String> {
    TopicPattern::parse(text).map_err(str::to_owned)
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "not a time such as 2026-05-01T06:00:00Z".to_owned())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Protocol {
    /// LLRP messages one behind the other, headers included: an object a message
    Llrp,
    /// EPCs, one a line, in hex or by name (EPC URI, element string, Digital Link): what they identify
    Epc,
    /// Lines of text, a read each; see --pattern
    Line,
    /// ThingMagic's serial protocol (M6e, Nano)
    Mercury,
    /// Modules around Impinj's R2000 (Invelion, Rodinbell)
    R2000,
    /// Chafon UHFReader18 and UHFReader288
    Chafon,
    /// R200, YRM100, M100 modules
    R200,
    /// OwnTracks payloads (JSON), one a line or indented, each perhaps behind its topic and a space or tab
    #[value(name = "owntracks")]
    OwnTracks,
    /// JSON payloads of trackers, one a line or indented, each perhaps behind its topic and a space or tab; with
    /// --preset or --mapping
    Json,
    /// NMEA 0183 sentences of a GNSS receiver: an object a fix, `no-fix` where there is none
    Nmea,
    /// Teltonika's AVL packets (Codec 8, 8 Extended, 16) as on TCP, or their hexadecimal digits, each line perhaps behind
    /// its topic: an object a record
    Teltonika,
    /// A Sparkplug B payload, or lines of `topic payload`, the payload in hexadecimal digits: an object a payload,
    /// and with topics what of trackers is in it
    #[value(name = "sparkplug-b")]
    SparkplugB,
}

/// Decodes the file to standard output.
///
/// # Errors
/// The file cannot be read or standard output not written. What cannot be decoded is no error here:
/// it has its own line in the output.
pub fn run(args: DecodeArgs) -> anyhow::Result<ExitCode> {
    if args.protocol == Protocol::Json && args.mapping.is_none() && args.preset.is_none() {
        anyhow::bail!("say where things stand in the messages: --preset NAME or --mapping FILE");
    }
    let bytes = read(&args.file).with_context(|| format!("failed to read {}", args.file.display()))?;
    let mut lines = Lines(BufWriter::new(io::stdout().lock()));
    match decode(&args, &bytes, &mut lines).and_then(|()| lines.0.flush()) {
        // Whoever read our output has seen enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.context("failed to write to standard output")?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn decode<W: Write>(args: &DecodeArgs, bytes: &[u8], out: &mut Lines<W>) -> io::Result<()> {
    match args.protocol {
        Protocol::Llrp => llrp::decode(bytes, out),
        Protocol::Epc => epc::decode(bytes, &args.company_prefixes, args.filter, out),
        Protocol::Line => {
            let pattern = args.pattern.clone().or_else(|| pattern(LinePattern::DEFAULT).ok());
            pattern.map_or(Ok(()), |pattern| serial::decode(&Serial::Line(pattern), bytes, out))
        }
        Protocol::Mercury => serial::decode(&Serial::Mercury, bytes, out),
        Protocol::R2000 => serial::decode(&Serial::R2000, bytes, out),
        Protocol::Chafon => serial::decode(&Serial::Chafon, bytes, out),
        Protocol::R200 => serial::decode(&Serial::R200, bytes, out),
        Protocol::OwnTracks => owntracks::decode(bytes, out),
        Protocol::Json => {
            let mapping = args.mapping.as_ref().or(args.preset.as_ref());
            let pattern = args.topic.clone().or_else(|| TopicPattern::parse("#").ok());
            let (Some(mapping), Some(pattern)) = (mapping, pattern) else { return Ok(()) };
            let format = Format::Json(Arc::new(mapping.clone()));
            json::decode(&TopicConfig { pattern, format, qos: 1 }, bytes, out)
        }
        Protocol::Nmea => nmea::decode(bytes, args.not_before, out),
        Protocol::Teltonika => teltonika::decode(bytes, out),
        Protocol::SparkplugB => sparkplug::decode(&args.metrics.clone().unwrap_or_default(), bytes, out),
    }
}

/// One JSON object a line.
struct Lines<W>(W);

impl<W: Write> Lines<W> {
    fn write(&mut self, object: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, object)?;
        self.0.write_all(b"\n")
    }
}

/// Lines of text with the offsets at which they start; empty ones are left out, and so is a byte order mark.
fn lines_of(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut at = bytes.len() - text.len();
    let bytes = text;
    let lines = bytes.split(|byte| *byte == b'\n').map(move |line| {
        let start = at;
        at += line.len() + 1;
        (start + line.len() - line.trim_ascii_start().len(), line.trim_ascii())
    });
    lines.filter(|(_, line)| !line.is_empty())
}

#[cfg(test)]
mod tests;
