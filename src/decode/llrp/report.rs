//! Tag reports and reader events at full rate: straight from the bytes to readings, without the tree
//! and without allocating for a tag.

use super::definitions::{self, vendor};
use super::framing::Header;
use super::numbers::{message, parameter as number};
use super::tree::readable;
use super::walk::{Fault, Part, Walk, fault};
use crate::decode::DecodeError;
use crate::domain::epc::Epc;
use crate::domain::ids::{Antenna, SourceId};
use crate::domain::readings::{DeviceTime, ReaderEvent, ReaderEventKind, Reading, TagRead};
use crate::domain::time::Timestamp;

/// Decodes one reader's messages, in the order in which they came.
///
/// **What is absent equals what came last.** An enabled parameter that a tag report leaves out has the
/// value that the same reader last sent (LLRP 1.1, section 14.2.3): readers use this to shorten their
/// reports. It is applied to what describes the observation, of which we use AntennaID, PeakRSSI, both
/// timestamps, ChannelIndex and TagSeenCount. It is not applied to what belongs to one tag (EPC, PC, CRC, results
/// of operations): carrying those over would give one tag's content to another. What was never sent
/// is not enabled, and stays absent. A new connection starts afresh.
#[derive(Debug)]
pub struct ReportDecoder {
    source: SourceId,
    last: Carried,
}

/// What a tag report takes over from the one before it.
#[derive(Clone, Copy, Debug)]
struct Carried {
    antenna: Option<Antenna>,
    peak_rssi_dbm: Option<f32>,
    first_seen: DeviceTime,
    last_seen: DeviceTime,
    seen_count: Option<u16>,
    channel: Option<u16>,
}

impl Carried {
    const NOTHING: Self = Self {
        antenna: None,
        peak_rssi_dbm: None,
        first_seen: DeviceTime::None,
        last_seen: DeviceTime::None,
        seen_count: None,
        channel: None,
    };
}

impl ReportDecoder {
    /// The antenna of a read whose reader never says which it was; real ports count from 1.
    pub const UNKNOWN_ANTENNA: Antenna = 0;

    pub fn new(source: SourceId) -> Self {
        Self { source, last: Carried::NOTHING }
    }

    /// Forgets the last values; a [`ReaderEventKind::Connected`] in the stream does the same.
    pub fn reset(&mut self) {
        self.last = Carried::NOTHING;
    }

    /// Appends the readings of one whole message (header included) to `out`: tag reads of an
    /// RO_ACCESS_REPORT, events of a READER_EVENT_NOTIFICATION, antennas and inputs of a
    /// GET_READER_CONFIG_RESPONSE, nothing for any other message.
    ///
    /// # Errors
    /// The message is not what it says it is; `out` then has the readings in front of the fault. A fault within one tag
    /// report costs that report alone, where the lengths of the message's own parameters lead to its last byte: the
    /// ones behind it are decoded before the first error is returned.
    pub fn decode(&mut self, message: &[u8], out: &mut Vec<Reading>) -> Result<(), DecodeError> {
        let header = Header::read(message)
            .ok_or_else(|| fault("truncated", 0, format!("{} bytes are no header", message.len())))?;
        header.check(usize::MAX).map_err(|e| fault(e.reason(), 0, e.to_string()))?;
        if header.length as usize != message.len() {
            let text = format!("the header says {} bytes, there are {}", header.length, message.len());
            return Err(fault("length", 2, text));
        }
        match header.message_type {
            message::RO_ACCESS_REPORT => self.report(message, out),
            message::READER_EVENT_NOTIFICATION => self.notification(message, out),
            message::GET_READER_CONFIG_RESPONSE => self.states(message, out),
            _ => Ok(()),
        }
    }

    fn report(&mut self, message: &[u8], out: &mut Vec<Reading>) -> Result<(), DecodeError> {
        let mut fault = None;
        let mut content = Walk::over_message(message);
        while let Some(part) = content.next()? {
            if part.number != number::TAG_REPORT_DATA {
                continue;
            }
            if let Err(error) = self.tag(part, out) {
                // What it told is not known, and the next one may leave it out.
                self.reset();
                if fault.is_none() && !content.leads_to_the_end(&REPORTED) {
                    return Err(error);
                }
                fault = fault.or(Some(error));
            }
        }
        fault.map_or(Ok(()), Err)
    }

    fn tag(&mut self, report: Part<'_>, out: &mut Vec<Reading>) -> Result<(), DecodeError> {
        let mut now = self.last;
        let (mut epc, mut pc, mut crc) = (None, None, None);
        let mut radio = Radio::default();
        // Whether this report tells the time of day, which goes before uptime.
        let mut of_day = (false, false);
        let mut content = report.walk();
        while let Some(part) = content.next()? {
            match part.number {
                number::EPC_96 => epc = Some(Epc::of_96(&part.array(0)?)),
                number::EPC_DATA => epc = Some(epc_data(part)?),
                number::ANTENNA_ID => now.antenna = Some(part.u16_at(0)?),
                number::PEAK_RSSI => now.peak_rssi_dbm = Some(f32::from(part.u8_at(0)? as i8)),
                number::CHANNEL_INDEX => now.channel = Some(part.u16_at(0)?),
                number::TAG_SEEN_COUNT => now.seen_count = Some(part.u16_at(0)?),
                number::FIRST_SEEN_UTC => (now.first_seen, of_day.0) = (utc(part)?, true),
                number::LAST_SEEN_UTC => (now.last_seen, of_day.1) = (utc(part)?, true),
                number::FIRST_SEEN_UPTIME if of_day.0 => {}
                number::LAST_SEEN_UPTIME if of_day.1 => {}
                number::FIRST_SEEN_UPTIME => now.first_seen = DeviceTime::Uptime(part.u64_at(0)?),
                number::LAST_SEEN_UPTIME => now.last_seen = DeviceTime::Uptime(part.u64_at(0)?),
                number::C1G2_PC => pc = Some(part.u16_at(0)?),
                number::C1G2_CRC => crc = Some(part.u16_at(0)?),
                number::CUSTOM => radio.note(part.content()),
                _ => {}
            }
        }
        let epc = epc.ok_or_else(|| fault("no-epc", report.start, "a tag report without a code"))?;
        self.last = now;
        out.push(Reading::Tag(TagRead {
            source: self.source.clone(),
            antenna: now.antenna.unwrap_or(Self::UNKNOWN_ANTENNA),
            epc,
            first_seen: told_or(now.first_seen, now.last_seen),
            last_seen: told_or(now.last_seen, now.first_seen),
            seen_count: now.seen_count.unwrap_or(1).max(1),
            peak_rssi_dbm: radio.rssi_dbm.or(now.peak_rssi_dbm),
            doppler_hz: radio.doppler_hz,
            pc,
            crc,
            phase_deg: radio.phase_deg,
            channel: now.channel,
        }));
        Ok(())
    }

    /// AntennaProperties and GPIPortCurrentState (LLRP 1.0.1, section 12.2.5). A reader that says of all its antennas that
    /// they are not connected does not find out.
    fn states(&mut self, message: &[u8], out: &mut Vec<Reading>) -> Result<(), DecodeError> {
        let (mut antennas, mut inputs) = (Vec::new(), Vec::new());
        let mut content = Walk::over_message(message);
        while let Some(part) = content.next()? {
            match part.number {
                number::ANTENNA_PROPERTIES => {
                    let (antenna, connected) = (part.u16_at(1)?, part.u8_at(0)? & 0x80 != 0);
                    antennas.push(ReaderEventKind::AntennaState { antenna, connected });
                }
                number::GPI_PORT_CURRENT_STATE => {
                    let (port, state) = (part.u16_at(0)?, part.u8_at(3)?);
                    // 2 stands for one whose state it does not know.
                    inputs
                        .extend((state < 2).then_some(ReaderEventKind::GpiState { port, high: state == 1 }));
                }
                _ => {}
            }
        }
        if !antennas.iter().any(|told| matches!(told, ReaderEventKind::AntennaState { connected: true, .. }))
        {
            antennas.clear();
        }
        out.extend(antennas.into_iter().chain(inputs).map(|kind| {
            Reading::Reader(ReaderEvent { source: self.source.clone(), time: DeviceTime::None, kind })
        }));
        Ok(())
    }

    fn notification(&mut self, message: &[u8], out: &mut Vec<Reading>) -> Result<(), DecodeError> {
        let mut fault = None;
        let mut content = Walk::over_message(message);
        while let Some(data) = content.next()? {
            if data.number != number::READER_EVENT_NOTIFICATION_DATA {
                continue;
            }
            let time = event_time(data)?;
            let mut events = data.walk();
            while let Some(part) = events.next()? {
                match event(part) {
                    Ok(None) => {}
                    Ok(Some(kind)) => {
                        if kind == ReaderEventKind::Connected {
                            self.reset();
                        }
                        out.push(Reading::Reader(ReaderEvent { source: self.source.clone(), time, kind }));
                    }
                    // An event that is broken within itself costs the others nothing.
                    Err(error) => fault = fault.or(Some(error)),
                }
            }
        }
        fault.map_or(Ok(()), Err)
    }
}

/// What makers' own parameters tell of a read. Like the code, it belongs to one tag and is not carried over.
#[derive(Clone, Copy, Default)]
struct Radio {
    phase_deg: Option<f32>,
    doppler_hz: Option<f32>,
    /// To the hundredth of a dBm.
    rssi_dbm: Option<f32>,
}

impl Radio {
    /// Takes one Custom; what we do not know, or is too short, says nothing.
    fn note(&mut self, custom: &[u8]) {
        let [v0, v1, v2, v3, s0, s1, s2, s3, high, low, ..] = *custom else { return };
        let number = u16::from_be_bytes([high, low]);
        let signed = f32::from(number.cast_signed());
        match (u32::from_be_bytes([v0, v1, v2, v3]), u32::from_be_bytes([s0, s1, s2, s3])) {
            // 4096 steps a turn; Zebra's readers count 65,536, with a sign.
            (vendor::IMPINJ, vendor::IMPINJ_PHASE) => {
                self.phase_deg = Some(f32::from(number % 4096) * (360.0 / 4096.0));
            }
            (vendor::ZEBRA, vendor::ZEBRA_PHASE) => {
                self.phase_deg = Some(f32::from(number) * (360.0 / 65_536.0));
            }
            (vendor::IMPINJ, vendor::IMPINJ_PEAK_RSSI) => self.rssi_dbm = Some(signed / 100.0),
            (vendor::IMPINJ, vendor::IMPINJ_DOPPLER) => self.doppler_hz = Some(signed / 16.0),
            _ => {}
        }
    }
}

/// A reader that tells only one of the two times tells both.
fn told_or(time: DeviceTime, other: DeviceTime) -> DeviceTime {
    if time == DeviceTime::None { other } else { time }
}

/// What an RO_ACCESS_REPORT consists of (LLRP 1.0.1, section 13.1.1).
const REPORTED: [u16; 3] = [number::TAG_REPORT_DATA, number::RF_SURVEY_REPORT_DATA, number::CUSTOM];

/// A u16 count of bits, then as many bytes as hold them.
fn epc_data(part: Part<'_>) -> Result<Epc, DecodeError> {
    let bits = part.u16_at(0)?;
    let bytes = &part.content()[2..];
    if bytes.len() != usize::from(bits).div_ceil(8) {
        let text = format!("a code of {bits} bits in {} bytes", bytes.len());
        return Err(fault("epc-length", part.start, text));
    }
    Epc::new(bits, bytes)
        .ok_or_else(|| fault("epc-too-long", part.start, format!("{bits} bits are more than any tag has")))
}

fn utc(part: Part<'_>) -> Result<DeviceTime, Fault> {
    let micros = i64::try_from(part.u64_at(0)?).unwrap_or(i64::MAX);
    Ok(DeviceTime::Utc(Timestamp::from_micros(micros)))
}

fn event_time(data: Part<'_>) -> Result<DeviceTime, DecodeError> {
    let mut content = data.walk();
    while let Some(part) = content.next()? {
        match part.number {
            number::UTC_TIMESTAMP => return Ok(utc(part)?),
            number::UPTIME => return Ok(DeviceTime::Uptime(part.u64_at(0)?)),
            _ => {}
        }
    }
    Ok(DeviceTime::None)
}

/// `None` for the timestamp, which is no event.
fn event(part: Part<'_>) -> Result<Option<ReaderEventKind>, DecodeError> {
    Ok(Some(match part.number {
        number::UTC_TIMESTAMP | number::UPTIME => return Ok(None),
        number::CONNECTION_ATTEMPT_EVENT if part.u16_at(0)? == 0 => ReaderEventKind::Connected,
        // To the client that is connected: another one tried (LLRP 1.0.1, section 13.2.6.11).
        number::CONNECTION_ATTEMPT_EVENT if part.u16_at(0)? == 4 => ReaderEventKind::Contended,
        number::ANTENNA_EVENT => {
            ReaderEventKind::Antenna { antenna: part.u16_at(1)?, connected: part.u8_at(0)? != 0 }
        }
        number::BUFFER_LEVEL_WARNING_EVENT => ReaderEventKind::BufferLevel { percent: part.u8_at(0)? },
        number::BUFFER_OVERFLOW_ERROR_EVENT => ReaderEventKind::BufferOverflow,
        number::READER_EXCEPTION_EVENT => {
            let len = usize::from(part.u16_at(0)?);
            let text = part.content().get(2..2 + len).ok_or_else(|| part.short())?;
            ReaderEventKind::Exception { message: readable(text) }
        }
        number::GPI_EVENT => ReaderEventKind::Gpi { port: part.u16_at(0)?, high: part.u8_at(2)? & 0x80 != 0 },
        other => {
            let name = definitions::parameter(other).map_or("Unknown", |definition| definition.name);
            ReaderEventKind::Other { name }
        }
    }))
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
