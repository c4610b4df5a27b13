//! A Sparkplug B payload, off the wire (Sparkplug 3.0, chapter 6): metrics with their values as they came.
//!
//! Data sets, templates and metadata are passed over, and of properties all but the quality: nothing of a position is in
//! them. What a value is is said by its datatype, which DATA messages may leave to the BIRTH before.

use super::wire::{Field, Fields};
use crate::decode::DecodeError;
use crate::decode::gps::json::TimeFormat;
use crate::decode::gps::text::{clip, error};
use crate::domain::time::Timestamp;

/// More metrics in one message are not of an edge node that anybody can look after.
pub const MOST_METRICS: usize = 20_000;

/// The property that says whether a value holds (section 6.4.9.1): 0 bad, 192 good, 500 stale. What OPC's gateways call good
/// with a remark is behind 192.
const QUALITY: &str = "Quality";
const GOOD: std::ops::Range<u64> = 192..256;

/// Says that the payload proper is packed into `body`.
const COMPRESSED: &str = "SPBV1.0_COMPRESSED";

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Payload<'a> {
    /// Milliseconds since 1970, UTC: when it was published.
    pub timestamp: Option<u64>,
    pub metrics: Vec<Metric<'a>>,
    pub seq: Option<u64>,
    pub uuid: Option<&'a str>,
    pub body_bytes: usize,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Metric<'a> {
    /// Where it begins in the payload.
    pub offset: usize,
    pub name: Option<&'a str>,
    pub alias: Option<u64>,
    /// Milliseconds since 1970, UTC: when the value was taken.
    pub timestamp: Option<u64>,
    pub datatype: Option<u64>,
    pub is_historical: bool,
    pub is_null: bool,
    /// Where it is told.
    pub quality: Option<u64>,
    pub value: Option<Value<'a>>,
}

/// A value as the wire has it: what it means is said by the datatype.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    Int(u32),
    Long(u64),
    Float(f32),
    Double(f64),
    Boolean(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
    DataSet,
    Template,
    Extension,
}

/// A value as its datatype means it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Meaning<'a> {
    Signed(i64),
    Unsigned(u64),
    Number(f64),
    Switch(bool),
    Text(&'a str),
    /// Milliseconds since 1970, UTC.
    Time(u64),
    /// Bytes, arrays, data sets and templates, by name.
    Other(&'static str),
}

impl<'a> Payload<'a> {
    /// # Errors
    /// Reasons: `empty`, `truncated`, `protobuf`, `utf-8`, `too-many`, `compressed`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(error("empty", 0, "the payload is empty".into()));
        }
        let mut payload = Self::default();
        for field in Fields::of(bytes, 0) {
            payload.take(&field?)?;
        }
        if payload.uuid == Some(COMPRESSED) {
            let message = "the payload is compressed; let the edge node send it as it is";
            return Err(error("compressed", 0, message.into()));
        }
        Ok(payload)
    }

    fn take(&mut self, field: &Field<'a>) -> Result<(), DecodeError> {
        match field.number {
            1 => self.timestamp = Some(field.number_value()?),
            2 if self.metrics.len() >= MOST_METRICS => {
                let message = format!("more than {MOST_METRICS} metrics in one message");
                return Err(error("too-many", field.offset, message));
            }
            2 => self.metrics.push(Metric::parse(field)?),
            3 => self.seq = Some(field.number_value()?),
            4 => self.uuid = Some(field.text()?),
            5 => self.body_bytes = field.bytes()?.len(),
            _ => {}
        }
        Ok(())
    }

    /// When it was published.
    ///
    /// # Errors
    /// Reasons: `missing`, `time`.
    pub fn published(&self) -> Result<Timestamp, DecodeError> {
        let millis =
            self.timestamp.ok_or_else(|| error("missing", 0, "the payload has no timestamp".into()))?;
        time_of(millis, 0)
    }
}

impl<'a> Metric<'a> {
    fn parse(whole: &Field<'a>) -> Result<Self, DecodeError> {
        let mut metric = Self { offset: whole.offset, ..Self::default() };
        for field in Fields::of(whole.bytes()?, whole.offset) {
            metric.take(&field?)?;
        }
        Ok(metric)
    }

    fn take(&mut self, field: &Field<'a>) -> Result<(), DecodeError> {
        match field.number {
            1 => self.name = Some(field.text()?),
            2 => self.alias = Some(field.number_value()?),
            3 => self.timestamp = Some(field.number_value()?),
            4 => self.datatype = Some(field.number_value()?),
            5 => self.is_historical = field.flag()?,
            7 => self.is_null = field.flag()?,
            9 => self.quality = quality(field)?,
            // A negative number may come as one of 64 bits: what is over is sign.
            10 => self.value = Some(Value::Int(field.number_value()? as u32)),
            11 => self.value = Some(Value::Long(field.number_value()?)),
            12 => self.value = Some(Value::Float(field.float()?)),
            13 => self.value = Some(Value::Double(field.double()?)),
            14 => self.value = Some(Value::Boolean(field.flag()?)),
            15 => self.value = Some(Value::Text(field.text()?)),
            16 => self.value = Some(Value::Bytes(field.bytes()?)),
            17 => self.value = field.bytes().map(|_| Some(Value::DataSet))?,
            18 => self.value = field.bytes().map(|_| Some(Value::Template))?,
            19 => self.value = field.bytes().map(|_| Some(Value::Extension))?,
            _ => {}
        }
        Ok(())
    }

    /// When the value was taken, where the metric says it.
    ///
    /// # Errors
    /// Reason `time`.
    pub fn taken(&self) -> Result<Option<Timestamp>, DecodeError> {
        self.timestamp.map(|millis| time_of(millis, self.offset)).transpose()
    }

    /// What is not, is the last value of something that is gone.
    pub fn is_good(&self) -> bool {
        self.quality.is_none_or(|quality| GOOD.contains(&quality))
    }

    /// What the value is, where there is one that holds; `told`: the datatype of the BIRTH, which counts where the message has
    /// none of its own.
    ///
    /// # Errors
    /// Reason `type`.
    pub fn meaning(&self, told: Option<u64>) -> Result<Option<Meaning<'a>>, DecodeError> {
        let Some(value) = self.value.filter(|_| !self.is_null && self.is_good()) else { return Ok(None) };
        let datatype = self.datatype.filter(|datatype| *datatype != 0).or(told);
        meaning(value, datatype).map(Some).ok_or_else(|| {
            let datatype =
                datatype.map_or_else(|| "no datatype".to_owned(), |datatype| format!("datatype {datatype}"));
            error("type", self.offset, format!("{} is {value}, with {datatype}", self.shown()))
        })
    }

    /// How people would call it.
    pub fn shown(&self) -> String {
        match (self.name, self.alias) {
            (Some(name), _) => format!("the metric `{}`", clip(name)),
            (None, Some(alias)) => format!("the metric with the alias {alias}"),
            (None, None) => "a metric without a name".to_owned(),
        }
    }
}

impl std::fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Int(_) | Self::Long(_) => "a whole number",
            Self::Float(_) | Self::Double(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::DataSet => "a data set",
            Self::Template => "a template",
            Self::Extension => "an extension",
        })
    }
}

/// `None`: the two do not fit.
fn meaning(value: Value<'_>, datatype: Option<u64>) -> Option<Meaning<'_>> {
    let whole = match value {
        Value::Int(value) => Some(u64::from(value)),
        Value::Long(value) => Some(value),
        _ => None,
    };
    Some(match (datatype, value) {
        (Some(1), _) => Meaning::Signed(signed(whole?, 8)?),
        (Some(2), _) => Meaning::Signed(signed(whole?, 16)?),
        (Some(3), _) => Meaning::Signed(signed(whole?, 32)?),
        (Some(4), Value::Long(value)) => Meaning::Signed(value as i64),
        (Some(4), _) => Meaning::Signed(signed(whole?, 32)?),
        (Some(5..=8), _) => Meaning::Unsigned(whole?),
        (Some(9 | 10) | None, Value::Float(value)) => Meaning::Number(f64::from(value)),
        (Some(9 | 10) | None, Value::Double(value)) => Meaning::Number(value),
        (Some(11) | None, Value::Boolean(value)) => Meaning::Switch(value),
        (Some(12 | 14 | 15) | None, Value::Text(text)) => Meaning::Text(text),
        (Some(13), _) => Meaning::Time(whole?),
        (Some(17 | 18 | 22..=34), Value::Bytes(_)) => Meaning::Other("bytes"),
        (Some(16), Value::DataSet) => Meaning::Other("a data set"),
        (Some(19), Value::Template) => Meaning::Other("a template"),
        _ => return None,
    })
}

/// A negative number of so many bits: as long as its type, as some encode it, or as long as its field, as others do.
fn signed(value: u64, bits: u32) -> Option<i64> {
    let (value, range) = (value as i64, 1_i64 << (bits - 1));
    let candidates = [value, i64::from(value as i32), value.saturating_sub(2 * range)];
    candidates.into_iter().find(|value| (-range..range).contains(value))
}

/// Of a property set: keys, and behind them or between, as many values.
fn quality(set: &Field<'_>) -> Result<Option<u64>, DecodeError> {
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for field in Fields::of(set.bytes()?, set.offset) {
        let field = field?;
        match field.number {
            1 => keys.push(field.text()?),
            2 => values.push(field),
            _ => {}
        }
    }
    let Some(told) = keys.iter().position(|key| *key == QUALITY).and_then(|nth| values.get(nth)) else {
        return Ok(None);
    };
    let mut quality = None;
    for field in Fields::of(told.bytes()?, told.offset) {
        let field = field?;
        if let 3 | 4 = field.number {
            quality = Some(field.number_value()?);
        }
    }
    Ok(quality)
}

fn time_of(millis: u64, offset: usize) -> Result<Timestamp, DecodeError> {
    let whole = i64::try_from(millis).ok();
    whole.and_then(|millis| TimeFormat::Milliseconds.whole(millis)).ok_or_else(|| {
        let is_seconds = whole.is_some_and(|count| TimeFormat::Seconds.is_of_now(count));
        let hint = if is_seconds { "; it looks like seconds" } else { "" };
        error("time", offset, format!("{millis} is no time in milliseconds{hint}"))
    })
}
