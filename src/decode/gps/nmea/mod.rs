//! NMEA 0183 sentences of GNSS receivers, of any talker → fixes. Pure: bytes in, fixes out; no clock.
//!
//! ```text
//! bytes → lines → sentences (check sum) → what each says → epochs (one time of day) → fixes
//! ```
//!
//! Used are RMC, GGA, GNS and GLL (positions), VTG (speed, course), GSA (dimensions, dilution), GST (accuracy)
//! and ZDA (date). Other sentences are checked and passed over. What is no whole sentence, or says what
//! cannot be, comes out as a fault with its bytes and its place in the stream; it costs nothing else.
//!
//! A receiver tells one fix in several sentences. Those of one time of day are one **epoch** ([`epoch`]),
//! which ends with the first sentence of another, or when the caller says that nothing more comes
//! ([`NmeaDecoder::finish`]). Whether a position is plausible is not judged here.

mod calendar;
mod dated;
mod epoch;
mod reading;
mod sentence;
mod stream;

pub use calendar::FixTime;
pub use dated::Dated;
pub use reading::readings;
pub use stream::{NmeaStream, speaks};

use epoch::Epoch;
use sentence::Said;

use crate::decode::gps::message::Message;
use crate::decode::{DecodeError, Decoded};
use crate::domain::geodesy::Position;
use crate::domain::ids::DeviceId;
use crate::domain::readings::{Note, Reading, Says, Vitals};
use crate::domain::time::Timestamp;
use calendar::Calendar;

/// The standard's sentences have 82 characters; makers' own have up to some hundreds.
const LONGEST_LINE: usize = 1024;

/// How a position was come by (GGA's indicator, the mode letters of the others).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quality {
    Autonomous,
    Differential,
    Precise,
    RtkFixed,
    RtkFloat,
    /// Dead reckoning: carried on from an earlier fix.
    Estimated,
    /// Typed in by somebody.
    Manual,
    Simulated,
}

impl Quality {
    pub fn name(self) -> &'static str {
        match self {
            Self::Autonomous => "autonomous",
            Self::Differential => "differential",
            Self::Precise => "precise",
            Self::RtkFixed => "rtk-fixed",
            Self::RtkFloat => "rtk-float",
            Self::Estimated => "estimated",
            Self::Manual => "manual",
            Self::Simulated => "simulated",
        }
    }
}

/// One position, with what the sentences of its epoch say of it.
#[derive(Clone, PartialEq, Debug)]
pub struct NmeaFix {
    pub time: FixTime,
    pub position: Position,
    /// Another sentence of the same epoch calls it void (RMC and GLL do so where the receiver's own limits
    /// are exceeded).
    pub doubted: bool,
    pub details: Details,
}

/// What a sentence says of a fix, besides where and when.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Details {
    pub quality: Option<Quality>,
    /// Above mean sea level.
    pub altitude_m: Option<f64>,
    pub speed_mps: Option<f64>,
    /// Degrees clockwise from true north.
    pub course_deg: Option<f64>,
    /// One standard deviation of the horizontal position, from GST.
    pub accuracy_m: Option<f64>,
    pub hdop: Option<f64>,
    pub satellites: Option<u8>,
    /// 2 or 3, from GSA.
    pub dimensions: Option<u8>,
}

/// What came out of the stream.
#[derive(Clone, PartialEq, Debug)]
pub enum NmeaItem {
    Fix(NmeaFix),
    /// An epoch in which the receiver says that it has no position.
    NoFix {
        time: Option<FixTime>,
    },
    /// Bytes that are no sentence, or one that says what cannot be. `error.offset` counts within `bytes`.
    Fault {
        offset: u64,
        bytes: Vec<u8>,
        error: DecodeError,
    },
}

/// How the dates of a receiver are understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dating {
    /// See [`NmeaDecoder::new`].
    pub not_before: Timestamp,
    /// Where no sentence names a day, it is the one on which they were received.
    pub by_receipt: bool,
}

impl Dating {
    fn decoder(self) -> NmeaDecoder {
        NmeaDecoder::new(Some(self.not_before))
    }
}

/// The stream of one receiver.
#[derive(Debug, Default)]
pub struct NmeaDecoder {
    held: Vec<u8>,
    /// Of the first byte held, in the stream.
    offset: u64,
    epoch: Option<Epoch>,
    calendar: Calendar,
}

impl NmeaDecoder {
    /// `not_before`: a date before it is taken for one of a receiver whose 10-bit GPS week has rolled over,
    /// and moved on by whole 1024 weeks.
    pub fn new(not_before: Option<Timestamp>) -> Self {
        Self { calendar: Calendar::new(not_before), ..Self::default() }
    }

    /// From now on, where no sentence has named a day, it is the one nearest to this time.
    pub fn received(&mut self, at: Timestamp) {
        self.calendar.received = Some(at);
    }

    /// Takes in bytes, cut anyhow, and appends what is complete to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<NmeaItem>) {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((line, length)) = first_line(&held[at..]) {
            self.line(line, self.offset + at as u64, out);
            at += length;
        }
        held.drain(..at);
        self.offset += at as u64;
        self.held = held;
    }

    /// Nothing more comes: the last line is whole, and the last epoch over.
    pub fn finish(&mut self, out: &mut Vec<NmeaItem>) {
        let held = std::mem::take(&mut self.held);
        self.line(&held, self.offset, out);
        self.offset += held.len() as u64;
        self.close(out);
    }

    /// Sentences begin with `$` wherever it stands, so one that was cut off costs only itself. A line that
    /// begins with `#` is a remark of whoever kept the recording.
    fn line(&mut self, line: &[u8], offset: u64, out: &mut Vec<NmeaItem>) {
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            return;
        }
        // What is encapsulated begins with `!`, perhaps behind a tag block; `$$` are one beginning.
        let is_first = |at: usize| at == 0 || line[at - 1] == b'\\';
        let is_start = |at: usize| match line[at] {
            b'$' => line.get(at + 1) != Some(&b'$'),
            b'!' => is_first(at),
            _ => false,
        };
        let mut starts = (0..line.len()).filter(|at| is_start(*at)).peekable();
        let before = &line[..starts.peek().copied().unwrap_or(line.len())];
        let is_blank = before.iter().all(|byte| byte.is_ascii_whitespace() || *byte == b'$');
        if !is_blank && !is_tag_block(before) {
            let error = sentence::fault("garbage", 0, "no sentence begins here");
            out.push(NmeaItem::Fault { offset, bytes: before.to_vec(), error });
        }
        while let Some(start) = starts.next() {
            let bytes = &line[start..starts.peek().copied().unwrap_or(line.len())];
            match sentence::read(bytes) {
                Ok(Some(said)) => self.said(&said, out),
                Ok(None) => {}
                Err(error) => {
                    out.push(NmeaItem::Fault { offset: offset + start as u64, bytes: bytes.to_vec(), error });
                }
            }
        }
    }

    fn said(&mut self, said: &Said, out: &mut Vec<NmeaItem>) {
        if self.epoch.as_ref().is_some_and(|epoch| !epoch.takes(said)) {
            self.close(out);
        }
        self.epoch.get_or_insert_default().add(said);
    }

    fn close(&mut self, out: &mut Vec<NmeaItem>) {
        if let Some(epoch) = self.epoch.take() {
            epoch.close(&mut self.calendar, out);
        }
    }
}

/// The sentences of one message of a device: fixes, and signs of life; what comes before the first that names the day
/// is of that day, too. Where another message of the device has named it lately, one without a date is a sign of life:
/// what has a date has told its position.
pub fn decode(
    message: Message<'_>,
    device: &DeviceId,
    dating: Dating,
    dated: &mut Dated,
    out: &mut Decoded,
) -> Result<(), DecodeError> {
    if message.payload.trim_ascii().is_empty() {
        return Err(sentence::fault("empty", 0, "the payload is empty"));
    }
    let mut decoder = dating.decoder();
    if dating.by_receipt && !message.retained {
        decoder.received(message.received);
    }
    let mut items = Vec::new();
    decoder.push(message.payload, &mut items);
    decoder.finish(&mut items);
    if decoder.calendar.is_set() {
        dated.names_day(device, message.received);
    } else if dated.knows(device, message.received) {
        items.retain(|item| !matches!(item, NmeaItem::Fix(_)));
    }
    date_back(&mut items);
    readings(device, &items, message.retained, &mut None, out);
    if !out.readings.is_empty() || !out.faults.is_empty() {
        return Ok(());
    }
    if !speaks(message.payload) {
        return Err(sentence::fault("no-sentence", 0, "no sentence is in it"));
    }
    let (device, kind, retained) = (device.clone(), "nmea".to_owned(), message.retained);
    let (says, vitals, observed_at) = (Says::Lives, Vitals::default(), None);
    out.readings.push(Reading::Note(Note { device, kind, says, vitals, observed_at, retained }));
    Ok(())
}

/// Gives those a day that come before the first that has one.
fn date_back(items: &mut [NmeaItem]) {
    let mut next = None;
    for item in items.iter_mut().rev() {
        let time = match item {
            NmeaItem::Fix(NmeaFix { time, .. }) | NmeaItem::NoFix { time: Some(time) } => time,
            NmeaItem::NoFix { time: None } | NmeaItem::Fault { .. } => continue,
        };
        if let Some(next) = next {
            *time = time.before(next);
        }
        if let FixTime::Utc(time) = *time {
            next = Some(time);
        }
    }
}

/// The first line of `bytes` without its end, and its length with it. What is too long for a line is cut, in front of the
/// last sentence that begins in it.
fn first_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let within = &bytes[..bytes.len().min(LONGEST_LINE)];
    match within.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        Some(end) => Some((&bytes[..end], end + 1)),
        None if within.len() < LONGEST_LINE => None,
        None => {
            let last = within.iter().rposition(|byte| *byte == b'$').filter(|last| *last > 0);
            let length = last.unwrap_or(LONGEST_LINE);
            Some((&bytes[..length], length))
        }
    }
}

/// NMEA 0183 4.10 allows `\source, time and so on*hh\` in front of a sentence.
fn is_tag_block(bytes: &[u8]) -> bool {
    bytes.len() > 1 && bytes.starts_with(b"\\") && bytes.ends_with(b"\\")
}

#[cfg(test)]
mod tests;
