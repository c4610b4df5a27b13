//! One sentence: `$`, address, fields, `*`, check sum → what it says (NMEA 0183, IEC 61162-1).
//!
//! Wrong where it matters (time, date, status, position) refuses the sentence. Any other field that is not
//! what it should be is taken for empty: a fix is a fix without it.

use super::super::KMH_PER_MPS;
use super::calendar::Day;
use super::{Details, Quality};
use crate::decode::DecodeError;
use crate::domain::geodesy::Position;

const MPS_PER_KNOT: f64 = 1852.0 / 3600.0;

/// What follows the talker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Rmc,
    Gga,
    Gns,
    Gll,
    Vtg,
    Gsa,
    Gst,
    Zda,
}

impl Kind {
    pub fn bit(self) -> u16 {
        1 << self as u16
    }

    fn of(formatter: &[u8]) -> Option<Self> {
        Some(match formatter {
            b"RMC" => Self::Rmc,
            b"GGA" => Self::Gga,
            b"GNS" => Self::Gns,
            b"GLL" => Self::Gll,
            b"VTG" => Self::Vtg,
            b"GSA" => Self::Gsa,
            b"GST" => Self::Gst,
            b"ZDA" => Self::Zda,
            _ => return None,
        })
    }
}

/// Who speaks within the device: `GP`, `GL`, `GA`, … for one constellation, `GN` for several.
pub(super) type Talker = [u8; 2];

/// What one sentence says. What it does not tell is absent.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub talker: Talker,
    pub kind: Kind,
    /// Microseconds since midnight, UTC.
    pub of_day: Option<i64>,
    pub day: Option<Day>,
    /// It says that there is no position, or that it is void.
    pub is_void: bool,
    pub position: Option<Position>,
    pub details: Details,
}

/// `bytes` begin with `$` or `!`. `None`: a whole sentence that nothing is read from.
///
/// # Errors
/// Reasons: `truncated`, `checksum`, `text`, `time`, `date`, `status`, `position`.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Said>, DecodeError> {
    let text = checked(bytes)?;
    let all: Vec<_> = text.split(',').collect();
    let Some((talker, kind)) = address(all[0].trim()) else { return Ok(None) };
    let fields = Fields { talker, all };
    let said = match kind {
        Kind::Rmc => rmc(&fields)?,
        Kind::Gga => gga(&fields)?,
        Kind::Gns => gns(&fields)?,
        Kind::Gll => gll(&fields)?,
        Kind::Vtg => vtg(&fields),
        Kind::Gsa => gsa(&fields),
        Kind::Gst => gst(&fields)?,
        Kind::Zda => zda(&fields)?,
    };
    if said.position.is_some() && said.of_day.is_none() {
        return Err(fault("time", 0, "a position without a time"));
    }
    Ok(Some(said))
}

pub(super) fn fault(reason: &'static str, offset: usize, message: impl Into<String>) -> DecodeError {
    DecodeError { reason, offset, message: message.into() }
}

/// `bytes` begin with `$`.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    checked(bytes).is_ok()
}

/// The text in front of the `*`, where the check sum behind it is right. What stands behind that, some loggers have written
/// there: a time, the end of a quotation.
fn checked(bytes: &[u8]) -> Result<&str, DecodeError> {
    // Some send the NUL that ends their text, too.
    let end = bytes.iter().rposition(|byte| *byte != 0 && !byte.is_ascii_whitespace());
    let bytes = &bytes[..end.map_or(0, |last| last + 1)];
    let star = bytes.iter().position(|byte| *byte == b'*');
    let star =
        star.ok_or_else(|| fault("truncated", bytes.len(), "the sentence ends before its check sum"))?;
    let told = &bytes[star + 1..];
    if told.len() < 2 {
        return Err(fault("truncated", bytes.len(), "the sentence ends within its check sum"));
    }
    let (told, behind) = told.split_at(2);
    let told =
        std::str::from_utf8(told).ok().filter(|_| !behind.first().is_some_and(u8::is_ascii_alphanumeric));
    let told = told.and_then(|told| u8::from_str_radix(told, 16).ok());
    let sum = bytes[1..star].iter().fold(0, |sum, byte| sum ^ byte);
    match told {
        Some(told) if told == sum => {}
        Some(told) => {
            let message = format!("the check sum is {told:02X}, that of the sentence {sum:02X}");
            return Err(fault("checksum", star + 1, message));
        }
        None => return Err(fault("checksum", star + 1, "no check sum of two hexadecimal digits")),
    }
    let text = std::str::from_utf8(&bytes[..star]).ok().filter(|text| text.is_ascii());
    text.ok_or_else(|| fault("text", 0, "a sentence is ASCII"))
}

/// Makers' own sentences (`P…`) and what is encapsulated (`!…`) are none of ours.
fn address(field: &str) -> Option<(Talker, Kind)> {
    let address = field.strip_prefix('$').filter(|rest| rest.len() == 5 && !rest.starts_with('P'))?;
    let (talker, formatter) = address.as_bytes().split_first_chunk()?;
    Some((*talker, Kind::of(formatter)?))
}

/// Field 0 is the address.
struct Fields<'a> {
    talker: Talker,
    all: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// Fields that a shorter edition of the standard has not are empty.
    fn get(&self, nth: usize) -> &'a str {
        self.all.get(nth).copied().unwrap_or_default().trim()
    }

    fn place(&self, nth: usize) -> usize {
        self.all.iter().take(nth).map(|field| field.len() + 1).sum()
    }

    fn fault(&self, reason: &'static str, nth: usize, what: &str) -> DecodeError {
        fault(reason, self.place(nth), format!("`{}` is no {what}", self.get(nth)))
    }

    /// Degrees clockwise from north, of which 359.96 may be rounded to 360.0, and some write the western ones below zero.
    fn course(&self, nth: usize) -> Option<f64> {
        self.number(nth, -180.0, 360.0).map(|degrees| degrees.rem_euclid(360.0))
    }

    /// Absent unless it is a number within these.
    fn number(&self, nth: usize, least: f64, most: f64) -> Option<f64> {
        decimal(self.get(nth)).filter(|value| (least..=most).contains(value))
    }

    fn small(&self, nth: usize) -> Option<u8> {
        self.get(nth).parse().ok()
    }

    /// `hhmmss` and perhaps a fraction; a leap second is the 60th.
    fn of_day(&self, nth: usize) -> Result<Option<i64>, DecodeError> {
        let field = self.get(nth);
        let read = || {
            let [hours, minutes, seconds] = pairs(field.get(..6)?)?;
            let fraction = match field.get(6..)? {
                "" => 0.0,
                rest => rest.starts_with('.').then(|| decimal(&format!("0{rest}")))??,
            };
            let is_time = hours < 24 && minutes < 60 && seconds < 61;
            let whole = i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds);
            is_time.then(|| whole * 1_000_000 + (fraction * 1e6).round() as i64)
        };
        if field.is_empty() {
            return Ok(None);
        }
        read().map(Some).ok_or_else(|| self.fault("time", nth, "time of day"))
    }

    /// `ddmmyy`; zeros where the receiver does not know it yet.
    fn short_date(&self, nth: usize) -> Result<Option<Day>, DecodeError> {
        let field = self.get(nth);
        let read = || {
            let [day, month, year] = pairs(field).filter(|_| field.len() == 6)?;
            Day::of_short_year(i16::from(year), month as i8, day as i8)
        };
        if field.is_empty() || field == "000000" {
            return Ok(None);
        }
        read().map(Some).ok_or_else(|| self.fault("date", nth, "date"))
    }

    /// Latitude, N or S, longitude, E or W.
    fn position(&self, nth: usize) -> Result<Position, DecodeError> {
        let lat = angle(self.get(nth), self.get(nth + 1), ["N", "S"], 90.0);
        let lat = lat.ok_or_else(|| self.fault("position", nth, "latitude"))?;
        let lon = angle(self.get(nth + 2), self.get(nth + 3), ["E", "W"], 180.0);
        let lon = lon.ok_or_else(|| self.fault("position", nth + 2, "longitude"))?;
        Position::new(lat, lon).ok_or_else(|| self.fault("position", nth, "place on Earth"))
    }

    fn said(&self, kind: Kind, time: usize) -> Result<Said, DecodeError> {
        Ok(Said { of_day: self.of_day(time)?, ..self.nothing(kind) })
    }

    fn nothing(&self, kind: Kind) -> Said {
        let (of_day, day, position, details) = (None, None, None, Details::default());
        Said { talker: self.talker, kind, of_day, day, is_void: false, position, details }
    }
}

/// `time,status,lat,N,lon,E,knots,course,ddmmyy,variation,E,mode,status`
fn rmc(fields: &Fields<'_>) -> Result<Said, DecodeError> {
    let said = with_status(fields.said(Kind::Rmc, 1)?, fields, 2, 12, 3)?;
    if said.is_void {
        return Ok(Said { day: fields.short_date(9).unwrap_or(None), ..said });
    }
    let said = Said { day: fields.short_date(9)?, ..said };
    let speed_mps = fields.number(7, 0.0, 1e4).map(|knots| knots * MPS_PER_KNOT);
    let course_deg = fields.course(8);
    Ok(Said { details: Details { speed_mps, course_deg, ..said.details }, ..said })
}

/// `lat,N,lon,E,time,status,mode`, before edition 2 without the last two
fn gll(fields: &Fields<'_>) -> Result<Said, DecodeError> {
    with_status(fields.said(Kind::Gll, 5)?, fields, 6, 7, 1)
}

/// A position that is good by status (A, or D of some receivers) and, where the edition has it, mode.
fn with_status(
    said: Said,
    fields: &Fields<'_>,
    status: usize,
    mode: usize,
    position: usize,
) -> Result<Said, DecodeError> {
    let is_good = match fields.get(status) {
        "A" | "D" => fields.get(mode) != "N",
        "" if fields.all.len() <= status => true,
        "V" | "" => false,
        _ => return Err(fields.fault("status", status, "status")),
    };
    if !is_good {
        return Ok(Said { is_void: true, ..said });
    }
    let quality = fields.get(mode).chars().next().and_then(quality_of);
    let position = Some(fields.position(position)?);
    Ok(Said { position, details: Details { quality, ..said.details }, ..said })
}

/// `time,lat,N,lon,E,quality,satellites,hdop,altitude,M,geoid,M,age,station`
fn gga(fields: &Fields<'_>) -> Result<Said, DecodeError> {
    let said = fields.said(Kind::Gga, 1)?;
    let quality = match fields.small(6) {
        None if !fields.get(6).is_empty() => return Err(fields.fault("status", 6, "quality")),
        None | Some(0) => return Ok(Said { is_void: true, ..said }),
        Some(1) => Some(Quality::Autonomous),
        // 9 is what some NovAtel receivers say of SBAS.
        Some(2 | 9) => Some(Quality::Differential),
        Some(3) => Some(Quality::Precise),
        Some(4) => Some(Quality::RtkFixed),
        Some(5) => Some(Quality::RtkFloat),
        Some(6) => Some(Quality::Estimated),
        Some(7) => Some(Quality::Manual),
        Some(8) => Some(Quality::Simulated),
        Some(_) => None,
    };
    with_height(said, quality, fields)
}

/// `time,lat,N,lon,E,modes,satellites,hdop,altitude,geoid,age,station,status`: a mode a constellation, some of which makers
/// add.
fn gns(fields: &Fields<'_>) -> Result<Said, DecodeError> {
    let said = fields.said(Kind::Gns, 1)?;
    let modes = fields.get(6);
    if modes.bytes().all(|mode| mode == b'N') {
        return Ok(Said { is_void: true, ..said });
    }
    if !modes.bytes().all(|mode| mode.is_ascii_alphabetic()) {
        return Err(fields.fault("status", 6, "mode"));
    }
    with_height(said, modes.chars().find_map(quality_of), fields)
}

/// What GGA and GNS have at the same places.
fn with_height(said: Said, quality: Option<Quality>, fields: &Fields<'_>) -> Result<Said, DecodeError> {
    let details = Details {
        quality,
        satellites: fields.small(7),
        hdop: fields.number(8, 0.0, 1e4),
        altitude_m: fields.number(9, -1e5, 1e5),
        ..said.details
    };
    Ok(Said { position: Some(fields.position(2)?), details, ..said })
}

/// `course,T,course,M,knots,N,km/h,K,mode`, before edition 2 without the letters.
fn vtg(fields: &Fields<'_>) -> Said {
    let (knots, kmh) = if fields.get(2) == "T" { (5, 7) } else { (3, 4) };
    let of_knots = fields.number(knots, 0.0, 1e4).map(|knots| knots * MPS_PER_KNOT);
    let speed_mps = of_knots.or_else(|| fields.number(kmh, 0.0, 1e4).map(|kmh| kmh / KMH_PER_MPS));
    if fields.get(9) == "N" {
        return fields.nothing(Kind::Vtg);
    }
    let course_deg = fields.course(1);
    Said { details: Details { speed_mps, course_deg, ..Details::default() }, ..fields.nothing(Kind::Vtg) }
}

/// `selection,dimensions,12 satellites,pdop,hdop,vdop`
fn gsa(fields: &Fields<'_>) -> Said {
    let dimensions = fields.small(2).filter(|dimensions| matches!(dimensions, 2 | 3));
    let hdop = fields.number(16, 0.0, 1e4).filter(|hdop| *hdop > 0.0);
    Said { details: Details { dimensions, hdop, ..Details::default() }, ..fields.nothing(Kind::Gsa) }
}

/// `time,rms,major,minor,orientation,deviation of lat,of lon,of altitude`, metres.
fn gst(fields: &Fields<'_>) -> Result<Said, DecodeError> {
    let deviation = |nth| fields.number(nth, 0.0, 1e7);
    let accuracy_m = deviation(6).zip(deviation(7)).map(|(lat, lon): (f64, f64)| lat.hypot(lon));
    let details = Details { accuracy_m, ..Details::default() };
    Ok(Said { details, ..fields.said(Kind::Gst, 1)? })
}

/// `time,day,month,year,zone`; zeros where the receiver does not know the day yet.
fn zda(fields: &Fields<'_>) -> Result<Said, DecodeError> {
    let said = fields.said(Kind::Zda, 1)?;
    let is_unknown = |nth: usize| fields.get(nth).bytes().all(|digit| digit == b'0');
    if fields.get(4).is_empty() || [2, 3, 4].into_iter().all(is_unknown) {
        return Ok(said);
    }
    let numbers = (fields.get(4).parse().ok(), fields.get(3).parse().ok(), fields.get(2).parse().ok());
    let day = match numbers {
        (Some(year), Some(month), Some(day)) => Day::new(year, month, day),
        _ => None,
    };
    Ok(Said { day: Some(day.ok_or_else(|| fields.fault("date", 4, "year of a date"))?), ..said })
}

fn quality_of(mode: char) -> Option<Quality> {
    Some(match mode {
        'A' => Quality::Autonomous,
        'D' => Quality::Differential,
        'P' => Quality::Precise,
        'R' => Quality::RtkFixed,
        'F' => Quality::RtkFloat,
        'E' => Quality::Estimated,
        'M' => Quality::Manual,
        'S' => Quality::Simulated,
        _ => return None,
    })
}

/// Degrees of `dddmm.mmmm` and its hemisphere; of zeros in front some leave out as many as there are.
fn angle(field: &str, hemisphere: &str, [plus, minus]: [&str; 2], most: f64) -> Option<f64> {
    let whole = field.find('.').unwrap_or(field.len());
    let (degrees, minutes) = field.split_at_checked(whole.saturating_sub(2))?;
    let degrees: f64 = if degrees.is_empty() { 0.0 } else { degrees.parse::<u16>().ok()?.into() };
    // 59.99997 may be rounded to 60.0000.
    let minutes = decimal(minutes).filter(|minutes| (0.0..=60.0).contains(minutes))?;
    let angle = Some(degrees + minutes / 60.0).filter(|angle| *angle <= most)?;
    match hemisphere {
        sign if sign == plus => Some(angle),
        sign if sign == minus => Some(-angle),
        _ => None,
    }
}

/// Digits with perhaps a sign and a point; no exponent, no `nan`.
fn decimal(field: &str) -> Option<f64> {
    let is_plain = field.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
    field.parse().ok().filter(|_| is_plain)
}

fn pairs(digits: &str) -> Option<[u8; 3]> {
    let is_plain = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let pair = |at: usize| digits.get(at..at + 2)?.parse().ok();
    is_plain.then(|| Some([pair(0)?, pair(2)?, pair(4)?]))?
}
