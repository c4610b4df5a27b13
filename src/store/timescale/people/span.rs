//! A way through a range, in stretches that take about as long as one step may, and how SQL says a stretch.

use std::cmp::Ordering;
use std::time::Duration;

use crate::domain::time::Timestamp;

/// A stretch that took less may be longer next time; one that took more is shorter.
const QUICK: Duration = Duration::from_millis(50);
const SLOW: Duration = Duration::from_millis(250);
const FACTOR: i64 = 4;

/// How much is done in one step: what takes about as long as one may.
///
/// A server that is busy or far away takes its time whatever is asked of it. Where less at once is hardly quicker, or
/// more hardly slower, it is more: else each step would do next to nothing, and the whole never end.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    width: i64,
    /// The step before: its width, and what it took.
    last: Option<(i64, Duration)>,
}

impl Pace {
    pub fn new(width: i64) -> Self {
        Self { width: width.max(1), last: None }
    }

    pub fn width(&self) -> i64 {
        self.width
    }

    pub fn passed(&mut self, took: Duration) {
        let width = self.width;
        let is_no_matter_of_width = self.last.is_some_and(|(before, its)| match before.cmp(&width) {
            Ordering::Greater => took * 2 > its,
            Ordering::Less => took < its * 2,
            Ordering::Equal => false,
        });
        if took < QUICK || took > SLOW && is_no_matter_of_width {
            self.width = width.saturating_mul(FACTOR);
        } else if took > SLOW {
            self.width = (width / FACTOR).max(1);
        }
        self.last = Some((width, took));
    }

    pub fn at_most(&mut self, most: i64) {
        self.width = self.width.min(most);
    }

    /// It was too much for one step. `false`: it cannot be less.
    pub fn shorten(&mut self) -> bool {
        let width = self.width;
        *self = Self::new(width / FACTOR);
        width > 1
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    from: i64,
    /// The first that is not part of it.
    until: i64,
    pace: Pace,
}

impl Span {
    pub fn new(from: i64, until: i64, width: i64) -> Self {
        Self { from, until, pace: Pace::new(width) }
    }

    pub fn until(&self) -> i64 {
        self.until
    }

    /// What is next: from, and the first that is not part of it. `None`: the end.
    pub fn stretch(&self) -> Option<(i64, i64)> {
        let to = self.from.saturating_add(self.pace.width()).min(self.until);
        (self.from < self.until).then_some((self.from, to))
    }

    /// The stretch is done.
    pub fn passed(&mut self, took: Duration) {
        let Some((_, to)) = self.stretch() else { return };
        self.from = to;
        self.pace.passed(took);
    }

    /// The stretch was too long. `false`: it cannot be shorter.
    pub fn shorten(&mut self) -> bool {
        let Some((from, to)) = self.stretch() else { return false };
        self.pace = Pace::new(to - from);
        self.pace.shorten()
    }
}

/// The condition on a row of a table `t` that it is in this stretch of time, in microseconds.
///
/// Constants, and not sums of them: what PostgreSQL has to work out only when it runs excludes no chunk when it plans,
/// and chunks that are not excluded are locked and, where they are compressed, unpacked.
pub fn within_time(from: i64, to: i64) -> String {
    let [from, to] = [from, to].map(Timestamp::from_micros);
    format!("t.observed_at >= timestamptz '{from}' AND t.observed_at < timestamptz '{to}'")
}

/// A text as a constant.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Texts as a constant.
pub fn array(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("ARRAY[{}]::text[]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_the_range_once_and_follow_what_they_take() {
        let mut span = Span::new(0, 100, 2);
        let mut stretches = Vec::new();
        for took in [10, 10, 300, 100] {
            stretches.push(span.stretch().unwrap());
            span.passed(Duration::from_millis(took));
        }
        assert_eq!(stretches, [(0, 2), (2, 10), (10, 42), (42, 50)]);
        assert!(span.shorten());
        assert_eq!(span.stretch(), Some((50, 52)));
        assert!(span.shorten());
        assert_eq!(span.stretch(), Some((50, 51)));
        assert!(!span.shorten(), "one is as short as it gets");
        while span.stretch().is_some() {
            span.passed(Duration::ZERO);
        }
        assert_eq!(Span::new(5, 5, 1).stretch(), None);
    }

    /// Milliseconds, and milliseconds of work for each thousand.
    fn steps(width: i64, least: u64, a_thousand: u64, of: i64) -> Vec<(i64, u64)> {
        let mut pace = Pace::new(width);
        let (mut steps, mut left) = (Vec::new(), of);
        while left > 0 {
            let done = pace.width().min(left);
            let took = least + done as u64 * a_thousand / 1000;
            steps.push((done, took));
            pace.passed(Duration::from_millis(took));
            left -= done;
        }
        steps
    }

    #[test]
    fn a_step_takes_no_longer_than_one_may_where_that_is_a_matter_of_its_width() {
        let steps = steps(100_000, 2, 10, 1_000_000);
        assert!(steps[3..].iter().all(|(_, took)| *took <= 450), "{steps:?}");
    }

    #[test]
    fn a_server_that_is_slow_whatever_it_does_is_asked_for_more_at_once() {
        for least in [300, 1_000, 5_000] {
            let steps = steps(500, least, 10, 1_000_000);
            assert!(steps.len() < 100, "{} steps of {least} ms: {:?}", steps.len(), &steps[..20]);
        }
    }

    #[test]
    fn a_long_stretch_is_shortened_by_what_it_covers_and_not_by_what_it_might() {
        let mut span = Span::new(0, 8, i64::MAX);
        assert!(span.shorten());
        assert_eq!(span.stretch(), Some((0, 2)));
    }
}
