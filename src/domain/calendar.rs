//! A site's working calendar: when people are there, and which moment a date or a number of working days
//! means to them. Pure: every time is an argument.
//!
//! Text form of the hours, as people write them: `mon-fri 07:00-17:00, sat 08:00-12:00`. A day that is
//! not named is free; a day may be named once; hours end on the day on which they began, at 24:00 at the
//! latest.

use std::collections::BTreeSet;
use std::fmt;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// What a text of working hours may look like.
pub const HOURS_ALLOWED: &str = "days and hours, for instance \"mon-fri 07:00-17:00, sat 08:00-12:00\"";

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const MINUTES_OF_DAY: u16 = 24 * 60;
/// A calendar without a working day within this many days has none.
const HORIZON_DAYS: u32 = 3660;

/// Minutes since midnight, by the clock on the wall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Hours {
    from: u16,
    to: u16,
}

/// Working hours by day of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WorkingHours([Option<Hours>; 7]);

/// When people of a site work. Without hours, every day is a working day that ends at midnight.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema, Deserialize)]
pub struct Calendar {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_hours: Option<WorkingHours>,
    /// Nobody works on these days.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub holidays: BTreeSet<Date>,
}

impl WorkingHours {
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut hours = Self::default();
        for part in text.split(',').map(str::trim) {
            let (days, span) = part.split_once(' ').ok_or("days without hours")?;
            let span = parse_span(span.trim())?;
            for day in parse_days(days.trim())? {
                if hours.0[day].replace(span).is_some() {
                    return Err("a day is named twice");
                }
            }
        }
        Ok(hours)
    }
}

fn parse_days(text: &str) -> Result<impl Iterator<Item = usize>, &'static str> {
    let day = |name: &str| {
        let position = DAYS.iter().position(|(known, _)| name.eq_ignore_ascii_case(known));
        position.ok_or("a day that is none of mon tue wed thu fri sat sun")
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (day(first)?, day(last)?),
        None => (day(text)?, day(text)?),
    };
    let count = (last + 7 - first) % 7 + 1;
    Ok((first..first + count).map(|day| day % 7))
}

fn parse_span(text: &str) -> Result<Hours, &'static str> {
    let (from, to) = text.split_once('-').ok_or("hours without a hyphen between them")?;
    let (from, to) = (parse_minute(from)?, parse_minute(to)?);
    if from >= to {
        return Err("hours that end before they begin");
    }
    Ok(Hours { from, to })
}

fn parse_minute(text: &str) -> Result<u16, &'static str> {
    let wrong = "an hour that is not written as 07:00";
    let (hour, minute) = text.split_once(':').ok_or(wrong)?;
    if hour.len() != 2 || minute.len() != 2 {
        return Err(wrong);
    }
    let (hour, minute): (u16, u16) = (hour.parse().map_err(|_| wrong)?, minute.parse().map_err(|_| wrong)?);
    let minutes = hour * 60 + minute;
    if minute > 59 || minutes > MINUTES_OF_DAY { Err(wrong) } else { Ok(minutes) }
}

/// Days with the same hours that follow one another are written as one.
impl fmt::Display for WorkingHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut day = 0;
        let mut first = true;
        while day < 7 {
            let Some(hours) = self.0[day] else {
                day += 1;
                continue;
            };
            let last = (day..7).take_while(|next| self.0[*next] == Some(hours)).last().unwrap_or(day);
            if !std::mem::take(&mut first) {
                f.write_str(", ")?;
            }
            f.write_str(DAYS[day].0)?;
            if last > day {
                write!(f, "-{}", DAYS[last].0)?;
            }
            let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            write!(f, " {}-{}", clock(hours.from), clock(hours.to))?;
            day = last + 1;
        }
        Ok(())
    }
}

impl Serialize for WorkingHours {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WorkingHours {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .map_err(|wrong| serde::de::Error::custom(format!("{wrong}: write {HOURS_ALLOWED}")))
    }
}

impl Calendar {
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether people work on this day.
    pub fn is_working_day(&self, date: Date) -> bool {
        !self.holidays.contains(&date) && self.hours(date).is_some()
    }

    /// Whether people are there at this moment.
    pub fn is_working(&self, at: Timestamp, timezone: &TimeZone) -> bool {
        let local = at.to_jiff().to_zoned(timezone.clone());
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let hours = self.hours(local.date()).filter(|_| !self.holidays.contains(&local.date()));
        hours.is_some_and(|hours| hours.from <= minute && minute < hours.to)
    }

    /// The end of the working day `date`; of a day on which nobody works, the end of the one before it.
    /// `None` where no day of the calendar is a working day, or the date is out of range.
    pub fn end_of(&self, date: Date, timezone: &TimeZone) -> Option<Timestamp> {
        let mut date = date;
        for _ in 0..HORIZON_DAYS {
            if self.is_working_day(date) {
                return self.closing(date, timezone);
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    /// The end of the `days`th working day after the day of `from`; 0: of the day itself, or of the next
    /// working day where that day is free or over.
    pub fn after_working_days(&self, from: Timestamp, days: u32, timezone: &TimeZone) -> Option<Timestamp> {
        let mut date = from.to_jiff().to_zoned(timezone.clone()).date();
        let today_counts = self.is_working_day(date) && self.closing(date, timezone)? > from;
        let mut wanted = if today_counts { days } else { days.max(1) };
        for _ in 0..HORIZON_DAYS {
            if wanted == 0 {
                return self.closing(date, timezone);
            }
            date = date.tomorrow().ok()?;
            wanted -= u32::from(self.is_working_day(date));
        }
        None
    }

    fn hours(&self, date: Date) -> Option<Hours> {
        match &self.working_hours {
            Some(hours) => hours.0[date.weekday().to_monday_zero_offset() as usize],
            None => Some(Hours { from: 0, to: MINUTES_OF_DAY }),
        }
    }

    fn closing(&self, date: Date, timezone: &TimeZone) -> Option<Timestamp> {
        let minute = self.hours(date)?.to;
        let (date, minute) =
            if minute == MINUTES_OF_DAY { (date.tomorrow().ok()?, 0) } else { (date, minute) };
        let time = Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).ok()?;
        // An hour that the clocks skip, or show twice, is read as the calendar of most people reads it:
        // the later of the skipped, the first of the two.
        let instant = timezone.to_ambiguous_timestamp(date.to_datetime(time)).compatible().ok()?;
        Some(Timestamp::from_micros(instant.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn calendar() -> Calendar {
        let working_hours = WorkingHours::parse("mon-fri 07:00-17:00, sat 08:00-12:30").ok();
        Calendar { working_hours, holidays: ["2026-12-25".parse().unwrap()].into() }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn hours_are_read_and_written_alike() {
        for text in
            ["mon-fri 07:00-17:00, sat 08:00-12:30", "sun 00:00-24:00", "mon 06:00-14:00, tue 14:00-22:00"]
        {
            assert_eq!(WorkingHours::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            WorkingHours::parse("FRI-mon 08:00-09:00").unwrap().to_string(),
            "mon 08:00-09:00, fri-sun 08:00-09:00"
        );
        for wrong in [
            "",
            "mon",
            "mon 7:00-17:00",
            "mon 17:00-07:00",
            "mon 07:00-24:30",
            "day 07:00-08:00",
            "mon 07:00-08:00, mon-tue 09:00-10:00",
        ] {
            assert!(WorkingHours::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_date_means_the_end_of_its_working_day() {
        let end = |date: &str| calendar().end_of(date.parse().unwrap(), &berlin()).unwrap();
        assert_eq!(end("2026-12-23"), at("2026-12-23T17:00:00+01:00"));
        assert_eq!(end("2026-12-26"), at("2026-12-26T12:30:00+01:00"), "a Saturday");
        assert_eq!(end("2026-12-25"), at("2026-12-24T17:00:00+01:00"), "a holiday: the working day before");
        assert_eq!(end("2026-12-27"), at("2026-12-26T12:30:00+01:00"), "a Sunday");
        let every_day = Calendar::default();
        assert_eq!(
            every_day.end_of("2026-12-25".parse().unwrap(), &berlin()),
            Some(at("2026-12-26T00:00:00+01:00"))
        );
    }

    #[test]
    fn working_days_are_counted_over_weekends_and_holidays() {
        let after = |from: &str, days| calendar().after_working_days(at(from), days, &berlin()).unwrap();
        assert_eq!(after("2026-12-24T10:00:00+01:00", 0), at("2026-12-24T17:00:00+01:00"));
        assert_eq!(after("2026-12-24T18:00:00+01:00", 0), at("2026-12-26T12:30:00+01:00"), "the day is over");
        assert_eq!(after("2026-12-24T10:00:00+01:00", 2), at("2026-12-28T17:00:00+01:00"));
        let never = Calendar { working_hours: Some(WorkingHours::default()), ..Calendar::default() };
        assert_eq!(never.after_working_days(at("2026-12-24T10:00:00Z"), 1, &berlin()), None);
    }

    #[test]
    fn hours_are_the_walls_on_both_nights_of_the_year() {
        let nights = WorkingHours::parse("mon-sun 00:00-02:30").ok();
        let nights = Calendar { working_hours: nights, ..Calendar::default() };
        let end = |date: &str| nights.end_of(date.parse().unwrap(), &berlin()).unwrap();
        assert_eq!(end("2026-03-29"), at("2026-03-29T03:30:00+02:00"), "02:30 is skipped");
        assert_eq!(end("2026-10-25"), at("2026-10-25T02:30:00+02:00"), "02:30 comes twice: the first");
        assert!(nights.is_working(at("2026-10-25T02:15:00+01:00"), &berlin()));
        assert!(!nights.is_working(at("2026-10-25T02:45:00+01:00"), &berlin()));
    }

    proptest! {
        #[test]
        fn any_text_is_hours_or_wrong(text in "[a-z0-9:, -]{0,40}") {
            if let Ok(hours) = WorkingHours::parse(&text) {
                prop_assert_eq!(WorkingHours::parse(&hours.to_string()), Ok(hours));
            }
        }
    }
}
