//! A way through a range, in stretches that take about as long as one step may, and how SQL says a stretch.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// A stretch that took less may be longer next time; one that took more is shorter.
const QUICK: Duration = Duration::from_millis(50);
const SLOW: Duration = Duration::from_millis(250);
const FACTOR: i64 = 4;

#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    from: i64,
    /// The first that is not part of it.
    until: i64,
    width: i64,
}

impl Span {
    pub fn new(from: i64, until: i64, width: i64) -> Self {
        Self { from, until, width: width.max(1) }
    }

    pub fn until(&self) -> i64 {
        self.until
    }

    /// What is next: from, and the first that is not part of it. `None`: the end.
    pub fn stretch(&self) -> Option<(i64, i64)> {
        (self.from < self.until).then(|| (self.from, self.from.saturating_add(self.width).min(self.until)))
    }

    /// The stretch is done.
    pub fn passed(&mut self, took: Duration) {
        let Some((_, to)) = self.stretch() else { return };
        self.from = to;
        self.width = adapted(self.width, took);
    }

    /// The stretch was too long. `false`: it cannot be shorter.
    pub fn shorten(&mut self) -> bool {
        let Some((from, to)) = self.stretch() else { return false };
        let width = to - from;
        self.width = (width / FACTOR).max(1);
        width > 1
    }
}

/// How wide the next stretch is, after one of `width` that took so long.
pub fn adapted(width: i64, took: Duration) -> i64 {
    match took {
        took if took < QUICK => width.saturating_mul(FACTOR),
        took if took > SLOW => (width / FACTOR).max(1),
        _ => width,
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

    #[test]
    fn a_long_stretch_is_shortened_by_what_it_covers_and_not_by_what_it_might() {
        let mut span = Span::new(0, 8, i64::MAX);
        assert!(span.shorten());
        assert_eq!(span.stretch(), Some((0, 2)));
    }
}
