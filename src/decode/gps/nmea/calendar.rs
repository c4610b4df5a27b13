//! Dates of times of day. RMC tells the year by two digits, GGA, GNS and GLL no date at all.

use crate::domain::time::Timestamp;

const DAY_US: i64 = 86_400_000_000;
/// The GPS week that receivers hear is a number of 10 bits.
const ROLLOVER_US: i64 = 1024 * 7 * DAY_US;

/// When a position was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FixTime {
    Utc(Timestamp),
    /// Microseconds of a UTC day that no sentence has named yet.
    OfDay(i64),
}

impl FixTime {
    /// That of a position taken before `next`, within half a day.
    pub(super) fn before(self, next: Timestamp) -> Self {
        let Self::OfDay(of_day) = self else { return self };
        let (day, later) = (next.as_micros().div_euclid(DAY_US), next.as_micros().rem_euclid(DAY_US));
        let day = if of_day - later > DAY_US / 2 { day - 1 } else { day };
        Self::Utc(Timestamp::from_micros(day * DAY_US + of_day))
    }
}

/// The day of a date.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Day(i64);

impl Day {
    /// GPS began in 1980: 80 to 99 are of that century.
    pub fn of_short_year(year: i16, month: i8, day: i8) -> Option<Self> {
        let century = if year >= 80 { 1900 } else { 2000 };
        (0..100).contains(&year).then(|| Self::new(century + year, month, day)).flatten()
    }

    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        let date = jiff::civil::Date::new(year, month, day).ok().filter(|_| year >= 1980)?;
        let since_epoch = date.duration_since(jiff::civil::date(1970, 1, 1));
        Some(Self(since_epoch.as_hours() / 24))
    }
}

/// The day that the receiver was last known to be in.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    not_before: Option<Timestamp>,
    /// Where no sentence has named a day yet, it is the nearest to this.
    pub received: Option<Timestamp>,
    /// And the time of day then.
    last: Option<(Day, i64)>,
}

impl Calendar {
    pub fn new(not_before: Option<Timestamp>) -> Self {
        Self { not_before, ..Self::default() }
    }

    /// The time of an epoch that names its day, or does not. Midnight has passed where the time of day goes
    /// back by more than half a day; a late sentence goes back over it.
    pub fn time(&mut self, of_day: i64, named: Option<Day>) -> FixTime {
        let followed = self.last.map(|(Day(day), last)| match of_day - last {
            step if step < -DAY_US / 2 => Day(day + 1),
            step if step > DAY_US / 2 => Day(day - 1),
            _ => Day(day),
        });
        let Some(day) = named.or(followed) else {
            return self.received.map_or(FixTime::OfDay(of_day), |received| nearest(of_day, received));
        };
        self.last = Some((day, of_day));
        self.time_on(day, of_day)
    }

    /// That of a day which says nothing of any other time.
    pub fn time_on(&self, day: Day, of_day: i64) -> FixTime {
        FixTime::Utc(self.rolled_on(Timestamp::from_micros(day.0 * DAY_US + of_day)))
    }

    /// Whether a sentence has named a day.
    pub fn is_set(&self) -> bool {
        self.last.is_some()
    }

    fn rolled_on(&self, time: Timestamp) -> Timestamp {
        let behind = self.not_before.map_or(0, |not_before| not_before.micros_after(time).max(0));
        let times = behind / ROLLOVER_US + i64::from(behind % ROLLOVER_US > 0);
        time.offset(times * ROLLOVER_US)
    }
}

/// That of a position taken within half a day of `received`.
fn nearest(of_day: i64, received: Timestamp) -> FixTime {
    let since = (of_day - received.as_micros() + DAY_US / 2).rem_euclid(DAY_US) - DAY_US / 2;
    FixTime::Utc(received.offset(since))
}
