//! Times as people write them: with an offset, as the clock on the site's wall shows, as a working day of its
//! calendar, or counted from now. Pure text → value; the API, the command line and the import read by it.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::values::parse_duration;
use crate::domain::register::Site;
use crate::domain::time::Timestamp;

pub const TIME_ALLOWED: &str =
    "a time such as 2026-05-01T17:00:00+02:00, or 2026-05-01 17:00 by the site's clock";

pub const DUE_ALLOWED: &str = "a time such as 2026-05-01T17:00:00+02:00, 2026-05-01 17:00 by the site's clock, 2026-05-01 for \
the end of that working day, \"+3 working days\", or +8h";

/// Why a text is no time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TimeFault {
    Unreadable,
    /// By the site's clock, and no site is known for the asset.
    NoZone,
    /// The clocks were put forward over it.
    Skipped,
    /// The clocks were put back over it: these are the two times that it names.
    Twice(String, String),
    /// The site's calendar has no working day that it could mean.
    NoWorkingDay,
}

/// When something is due, as a person asks for it at `now` for an asset of `site`. Besides what [`parse_time`]
/// reads: a date, which is the end of that working day (of one on which nobody works, of the working day
/// before it); `+3 working days`, the end of the third after today; `+8h`, a time by the clock, whatever the
/// clocks on the wall do meanwhile.
pub fn parse_due(text: &str, now: Timestamp, site: Option<&Site>) -> Result<Timestamp, TimeFault> {
    let text = text.trim();
    if let Some(later) = text.strip_prefix('+') {
        return parse_later(later.trim(), now, site);
    }
    // Everything else that the date's reader takes has a time or an offset behind the day.
    let date = (text.len() == 10).then(|| text.parse::<Date>().ok()).flatten();
    match date {
        Some(date) => {
            let site = site.ok_or(TimeFault::NoZone)?;
            site.calendar.end_of(date, &site.timezone).ok_or(TimeFault::NoWorkingDay)
        }
        None => parse_time(text, site.map(|site| &site.timezone)),
    }
}

fn parse_later(text: &str, now: Timestamp, site: Option<&Site>) -> Result<Timestamp, TimeFault> {
    let days = text.strip_suffix("working days").or_else(|| text.strip_suffix("working day"));
    let Some(days) = days else {
        return parse_duration(text).map(|later| now + later).ok_or(TimeFault::Unreadable);
    };
    let days = days.trim().parse().map_err(|_| TimeFault::Unreadable)?;
    let site = site.ok_or(TimeFault::NoZone)?;
    site.calendar.after_working_days(now, days, &site.timezone).ok_or(TimeFault::NoWorkingDay)
}

/// RFC 3339, or a date and time without an offset in `timezone`.
pub fn parse_time(text: &str, timezone: Option<&TimeZone>) -> Result<Timestamp, TimeFault> {
    if let Some(time) = Timestamp::parse(text) {
        return Ok(time);
    }
    let has_time = text.contains(':');
    let local: DateTime = text.parse().ok().filter(|_| has_time).ok_or(TimeFault::Unreadable)?;
    // A text with an offset that did not parse above is wrong, not local.
    if text.contains('[') || text.ends_with(['Z', 'z']) {
        return Err(TimeFault::Unreadable);
    }
    let ambiguous = timezone.ok_or(TimeFault::NoZone)?.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => Err(TimeFault::Skipped),
        AmbiguousOffset::Fold { before, after } => {
            Err(TimeFault::Twice(format!("{local}{before}"), format!("{local}{after}")))
        }
        AmbiguousOffset::Unambiguous { .. } => {
            let instant = ambiguous.unambiguous().map_err(|_| TimeFault::Unreadable)?;
            Ok(Timestamp::from_micros(instant.as_microsecond()))
        }
    }
}

impl TimeFault {
    /// What is wrong, and what is allowed.
    pub fn in_words(&self, timezone: Option<&TimeZone>) -> (String, String) {
        let place = timezone.and_then(TimeZone::iana_name).unwrap_or("the site");
        match self {
            Self::Unreadable => ("not a time".to_owned(), format!("write {TIME_ALLOWED}")),
            Self::NoWorkingDay => (
                format!("nobody works in {place} on any day that it could mean"),
                "write a time, or correct the site's calendar".to_owned(),
            ),
            Self::NoZone => (
                "no site is known whose clock it could be by".to_owned(),
                "write it with an offset, or give the asset a home_zone".to_owned(),
            ),
            Self::Skipped => (
                format!("does not exist in {place}: the clocks are put forward over it"),
                "write a time before or after, or with an offset".to_owned(),
            ),
            Self::Twice(first, second) => (
                format!("happens twice in {place}: the clocks are put back"),
                format!("write {first} or {second}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    #[test]
    fn with_an_offset_or_by_the_sites_clock() {
        let seventeen = Timestamp::parse("2026-05-01T15:00:00Z").unwrap();
        for text in
            ["2026-05-01T17:00:00+02:00", "2026-05-01 17:00", "2026-05-01T17:00", "2026-05-01T15:00:00Z"]
        {
            assert_eq!(parse_time(text, Some(&berlin())), Ok(seventeen), "{text}");
        }
        assert_eq!(parse_time("2026-05-01 17:00", None), Err(TimeFault::NoZone));
    }

    #[test]
    fn the_two_nights_of_the_year() {
        assert_eq!(parse_time("2026-03-29 02:30", Some(&berlin())), Err(TimeFault::Skipped));
        let Err(TimeFault::Twice(first, second)) = parse_time("2026-10-25 02:30", Some(&berlin())) else {
            panic!("not told")
        };
        assert_eq!(Timestamp::parse(&first), Timestamp::parse("2026-10-25T00:30:00Z"));
        assert_eq!(Timestamp::parse(&second), Timestamp::parse("2026-10-25T01:30:00Z"));
    }

    fn hamburg() -> Site {
        let working_hours = crate::domain::calendar::WorkingHours::parse("mon-fri 07:00-17:00").ok();
        let calendar = crate::domain::calendar::Calendar { working_hours, ..Default::default() };
        Site { name: "hamburg".into(), timezone: berlin(), calendar }
    }

    #[test]
    fn due_dates_are_working_days_of_the_site_or_counted_from_now() {
        // A Friday, in the night on which the clocks are put back two days later.
        let now = Timestamp::parse("2026-10-23T10:00:00+02:00").unwrap();
        let due = |text| parse_due(text, now, Some(&hamburg())).map(|due| due.to_string());
        for (text, expected) in [
            ("2026-10-26", "2026-10-26T16:00:00Z"),
            ("2026-10-25", "2026-10-23T15:00:00Z"),
            ("+1 working day", "2026-10-26T16:00:00Z"),
            ("+0 working days", "2026-10-23T15:00:00Z"),
            (" +3 working days ", "2026-10-28T16:00:00Z"),
            ("+8h", "2026-10-23T16:00:00Z"),
            ("+3d", "2026-10-26T08:00:00Z"),
            ("2026-10-26 07:30", "2026-10-26T06:30:00Z"),
            ("2026-10-26T07:30:00+01:00", "2026-10-26T06:30:00Z"),
        ] {
            assert_eq!(due(text), Ok(expected.to_owned()), "{text}");
        }
        assert!(matches!(due("2026-10-25 02:30"), Err(TimeFault::Twice(..))));
        assert_eq!(due("2027-03-28 02:30"), Err(TimeFault::Skipped));
        for text in
            ["+", "+x", "+3", "+-1 working days", "+ working days", "tomorrow", "2026-13-01", "26-10-2026"]
        {
            assert_eq!(due(text), Err(TimeFault::Unreadable), "{text}");
        }
        assert_eq!(parse_due("2026-10-26", now, None), Err(TimeFault::NoZone));
        assert_eq!(parse_due("+1 working day", now, None), Err(TimeFault::NoZone));
        assert!(parse_due("+1h", now, None).is_ok());
        let never = crate::domain::calendar::WorkingHours::default();
        let never = crate::domain::calendar::Calendar { working_hours: Some(never), ..Default::default() };
        let closed = Site { calendar: never, ..hamburg() };
        assert_eq!(parse_due("+1 working day", now, Some(&closed)), Err(TimeFault::NoWorkingDay));
    }

    #[test]
    fn what_is_no_time() {
        for text in ["", "2026-05-01", "01.05.2026 17:00", "5pm", "2026-02-30 10:00", "2026-05-01 25:00"] {
            assert_eq!(parse_time(text, Some(&berlin())), Err(TimeFault::Unreadable), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text in "[0-9T:Z+ -]{0,30}") {
            parse_time(&text, Some(&berlin())).ok();
            parse_due(&text, Timestamp::from_secs(0), Some(&hamburg())).ok();
            parse_due(&format!("+{text}"), Timestamp::from_secs(0), Some(&hamburg())).ok();
        }
    }
}
