//! One edge node's own metrics, or one device's: what its BIRTH said they are called, and what they were last.
//!
//! DATA messages name metrics by the alias that the BIRTH gave them, and tell what has changed alone. So a fix is made
//! when a latitude or a longitude comes, completed with what was told before it; never with what was told later.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::aliases::Aliases;
use super::column::{Column, Held, Last};
use super::heard::{Heard, Told, Update, digest, updates};
use super::mapping::{MetricMapping, Part};
use super::payload::{Metric, Payload};
use crate::decode::gps::json::of_place;
use crate::decode::gps::text::error;
use crate::decode::gps::{MOST_ODOMETER_M, within};
use crate::decode::{DecodeError, Decoded};
use crate::domain::geodesy::Position;
use crate::domain::ids::DeviceId;
use crate::domain::readings::{Fix, Note, Reading, Says, Vitals};
use crate::domain::time::Timestamp;

/// Names that are longer are in no message.
const LONGEST_SHOWN: usize = 100;

/// Row and memory of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Device {
    /// Of metrics that tell something of a position; none: it is no tracker.
    columns: Vec<Column>,
    /// Of all its other metrics.
    others: Aliases,
    /// Its node's count of gaps when their last values were true.
    gaps: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_dead: bool,
}

/// A message to one device, as its node understands it.
pub(super) struct Context<'a> {
    pub mapping: &'a MetricMapping,
    pub device: &'a DeviceId,
    /// What the message is called.
    pub kind: &'a str,
    pub published: Timestamp,
    pub retained: bool,
    /// It moves what is held: it is neither retained nor put back by hand.
    pub is_news: bool,
    /// It was told before, or stands outside of the order: what is held may be of later.
    pub is_again: bool,
    /// Gaps that its node had.
    pub gaps: u32,
}

impl Device {
    /// As its BIRTH describes it.
    ///
    /// # Errors
    /// Reasons: `metric` (one without a name), `alias` (two metrics with the same).
    pub fn born(payload: &Payload<'_>, mapping: &MetricMapping) -> Result<Self, DecodeError> {
        let mut chosen: BTreeMap<Part, (usize, &Metric<'_>)> = BTreeMap::new();
        let mut aliases = BTreeSet::new();
        for metric in &payload.metrics {
            let nameless = || error("metric", metric.offset, "a BIRTH with a metric that has no name".into());
            let name = metric.name.ok_or_else(nameless)?;
            if metric.alias.is_some_and(|alias| !aliases.insert(alias)) {
                let message = format!("{} has an alias that another has too", metric.shown());
                return Err(error("alias", metric.offset, message));
            }
            let Some((part, rank)) = mapping.part(name) else { continue };
            if chosen.get(&part).is_none_or(|(best, _)| rank <= *best) {
                chosen.insert(part, (rank, metric));
            }
        }
        let columns: Vec<Column> =
            chosen.iter().map(|(part, (_, metric))| Column::of(*part, metric)).collect();
        for column in &columns {
            column.alias.map(|alias| aliases.remove(&alias));
        }
        Ok(Self { columns, others: Aliases::of(aliases), ..Self::default() })
    }

    /// Its BIRTH has both coordinates.
    pub fn is_tracker(&self) -> bool {
        self.column(Part::Latitude).is_some() && self.column(Part::Longitude).is_some()
    }

    /// Of its BIRTH, where that has one coordinate, or two by names that are none in the mapping.
    pub fn lacks(&self, birth: &Payload<'_>) -> Option<DecodeError> {
        let (has, lacks) = match (self.column(Part::Latitude), self.column(Part::Longitude)) {
            (Some(column), None) => (&column.metric, "longitude"),
            (None, Some(column)) => (&column.metric, "latitude"),
            (None, None) => return unmapped(birth),
            (Some(_), Some(_)) => return None,
        };
        Some(error("missing", 0, format!("there is `{has}`, and no metric for the {lacks}")))
    }

    fn column(&self, part: Part) -> Option<&Column> {
        self.columns.iter().find(|column| column.part == part)
    }

    /// Readings of a message, and what of it is none.
    pub fn take(&mut self, payload: &Payload<'_>, context: &Context<'_>, out: &mut Decoded) {
        let before = (out.readings.len(), out.faults.len());
        if !self.is_tracker() {
            let note = context.note(Says::Nothing);
            return out.readings.push(note);
        }
        if self.gaps != context.gaps {
            // What was lost may have changed any of it.
            self.columns.iter_mut().for_each(|column| column.held = Held::default());
            self.gaps = context.gaps;
        }
        let heard = self.heard(payload, context, out);
        let (mut says, mut vitals) = (Says::Lives, Vitals::default());
        for update in updates(heard) {
            if context.is_news && !update.is_historical {
                vitals = update.vitals(vitals);
            }
            match self.reading(&update, context) {
                Ok(Some(Reading::Note(note))) => says = note.says,
                Ok(reading) => out.readings.extend(reading),
                Err(wrong) => out.faults.push(wrong),
            }
            if context.is_news {
                self.hold(&update, context.follows(&update));
            }
        }
        if before == (out.readings.len(), out.faults.len()) {
            out.readings.push(context.note_with(says, vitals));
        }
    }

    fn heard(&self, payload: &Payload<'_>, context: &Context<'_>, out: &mut Decoded) -> Vec<Heard> {
        let mut heard = Vec::new();
        let mut unknown = None;
        for metric in &payload.metrics {
            match self.means(metric) {
                // One that the configuration has no more; a new one counts from the next BIRTH on, which tells its alias.
                Some(Some(column)) if !column.is_mapped(context.mapping) => {}
                Some(Some(column)) => match column.heard(metric, context.published, context.mapping) {
                    Ok(told) => heard.push(told),
                    Err(wrong) => {
                        out.faults.push(wrong);
                        heard.extend(column.unread(metric, context.published));
                    }
                },
                Some(None) => {}
                None => unknown = unknown.or(Some(metric)),
            }
        }
        if let Some(metric) = unknown {
            let message = format!("{} is not in the BIRTH", metric.shown());
            out.faults.push(error("unknown-alias", metric.offset, message));
        }
        heard
    }

    /// `Some(None)`: a metric that tells nothing of a position; `None`: one that nobody was told of.
    fn means(&self, metric: &Metric<'_>) -> Option<Option<&Column>> {
        let Some(alias) = metric.alias else {
            let named = |column: &&Column| Some(&*column.metric) == metric.name;
            return metric.name.map(|_| self.columns.iter().find(named));
        };
        let column = self.columns.iter().find(|column| column.alias == Some(alias));
        if column.is_some() || self.others.holds(alias) {
            return Some(column);
        }
        // A BIRTH without aliases, and a DATA message that has both.
        metric.name.map(|name| self.columns.iter().find(|column| &*column.metric == name))
    }

    fn reading(&self, update: &Update, context: &Context<'_>) -> Result<Option<Reading>, DecodeError> {
        // That its time is none is told already.
        if !update.has_coordinate() || update.is_of_unread_time() {
            return Ok(None);
        }
        let (lat, lon) =
            (self.now(Part::Latitude, update, context), self.now(Part::Longitude, update, context));
        let (lat, lon) = match (lat, lon) {
            (Now::Value(lat), Now::Value(lon)) => (lat, lon),
            (Now::Nothing, _) | (_, Now::Nothing) => return Ok(Some(context.note(Says::NoFix))),
            // A part of what is known since: told again, or overtaken. Nothing can be made of it.
            (Now::Later, _) | (_, Now::Later) => return Ok(Some(context.note(Says::Nothing))),
            (Now::Unknown, _) | (_, Now::Unknown) => {
                let lacks = if matches!(lat, Now::Unknown) { "latitude" } else { "longitude" };
                let message =
                    format!("the {lacks} is not known: none was told since the BIRTH, or since a gap");
                return Err(error("incomplete", 0, message));
            }
        };
        let number = |part| self.number(part, update, context);
        if number(Part::Valid) == Some(0.0) {
            return Ok(Some(context.note(Says::NoFix)));
        }
        let position = Position::new(lat, lon).ok_or_else(|| {
            let hint = of_place(lat, lon);
            error("range", 0, format!("latitude {lat}, longitude {lon} is no place on Earth{hint}"))
        })?;
        let observed_at = update.time().unwrap_or(update.at);
        Ok(Some(Reading::Fix(Fix {
            // Zero is what those say who do not know.
            accuracy_m: within(number(Part::Accuracy), f64::MIN_POSITIVE, 1e7),
            altitude_m: within(number(Part::Altitude), -1e5, 1e5),
            speed_mps: within(number(Part::Speed), 0.0, 1e4),
            course_deg: within(number(Part::Course), 0.0, 360.0),
            battery_percent: within(number(Part::Battery), 0.0, 100.0),
            ignition: number(Part::Ignition).map(|on| on != 0.0),
            odometer_m: within(number(Part::Odometer), 0.0, MOST_ODOMETER_M),
            retained: context.retained,
            ..Fix::bare(context.device.clone(), observed_at, position, digest(observed_at, lat, lon))
        })))
    }

    fn number(&self, part: Part, update: &Update, context: &Context<'_>) -> Option<f64> {
        match self.now(part, update, context) {
            Now::Value(value) => Some(value),
            Now::Nothing | Now::Unknown | Now::Later => None,
        }
    }

    /// What a part is at the time of an update.
    fn now(&self, part: Part, update: &Update, context: &Context<'_>) -> Now {
        match update.parts.get(&part) {
            Some((_, Told::Number(value))) => return Now::Value(*value),
            Some((_, Told::Nothing | Told::Unread | Told::Time(_))) => return Now::Nothing,
            None => {}
        }
        let held = self.column(part).map(|column| column.held).unwrap_or_default();
        if let Some(last) = held.present.filter(|_| context.follows(update)) {
            // Told before, whatever the node's clock says.
            return last.value.map_or(Now::Nothing, Now::Value);
        }
        let until = update.at.as_micros();
        let lasts = [held.present, held.past].into_iter().flatten();
        match lasts.filter(|last| last.at <= until).max_by_key(|last| last.at) {
            Some(Last { value: Some(value), .. }) => Now::Value(value),
            Some(Last { value: None, .. }) => Now::Nothing,
            None if held.of(update.is_historical).is_some() => Now::Later,
            None => Now::Unknown,
        }
    }

    fn hold(&mut self, update: &Update, follows: bool) {
        for column in &mut self.columns {
            let Some((at, told)) = update.parts.get(&column.part) else { continue };
            let value = match told {
                // What is no number cannot be held; what is out of range can, and is told as that.
                Told::Number(value) => Some(*value).filter(|value| value.is_finite()),
                Told::Nothing => None,
                Told::Time(_) | Told::Unread => continue,
            };
            let held = column.held.of_mut(update.is_historical);
            if follows || held.is_none_or(|last| last.at <= at.as_micros()) {
                *held = Some(Last { at: at.as_micros(), value });
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Now {
    Value(f64),
    /// The device has none.
    Nothing,
    /// Known as of a later time alone.
    Later,
    Unknown,
}

/// What two metrics are called that nobody mapped, if they look like coordinates.
fn unmapped(birth: &Payload<'_>) -> Option<DecodeError> {
    let named = |long: &str, short: &[&str]| {
        let names = birth.metrics.iter().filter_map(|metric| metric.name);
        names.filter(|name| name.len() <= LONGEST_SHOWN).find(|name| {
            let name = name.to_ascii_lowercase();
            let mut words = name.split(|letter: char| !letter.is_ascii_alphabetic());
            words.any(|word| word.contains(long) || short.contains(&word))
        })
    };
    let (lat, lon) = (named("latitude", &["lat"])?, named("longitude", &["lon", "lng", "long"])?);
    let message = format!(
        "there are {lat:?} and {lon:?}, and none of them is mapped: if they are where it is, add `latitude = {lat:?}` and \
         `longitude = {lon:?}` to the mapping"
    );
    Some(error("missing", 0, message))
}

impl Context<'_> {
    /// It is news, of what is and not of what was.
    fn follows(&self, update: &Update) -> bool {
        self.is_news && !self.is_again && !update.is_historical
    }

    pub fn note(&self, says: Says) -> Reading {
        self.note_with(says, Vitals::default())
    }

    fn note_with(&self, says: Says, vitals: Vitals) -> Reading {
        let (device, kind) = (self.device.clone(), self.kind.to_lowercase());
        let (observed_at, retained) = (Some(self.published), self.retained);
        Reading::Note(Note { device, kind, says, vitals, observed_at, retained })
    }
}
