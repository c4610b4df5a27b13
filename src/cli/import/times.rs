//! Times as people write them into a list: with an offset, or as the clock on the site's wall shows.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::domain::time::Timestamp;

pub const TIME_ALLOWED: &str =
    "a time such as 2026-05-01T17:00:00+02:00, or 2026-05-01 17:00 by the site's clock";

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
        }
    }
}
