//! Something that is switched on until a moment, and what became of each time it was to be.

use metrics::{Counter, counter, gauge};
use tokio::time::Instant;

use crate::telemetry::names;

/// An output as it should be. Knows no device: who drives it asks what to do, and says what came of it.
#[derive(Debug)]
pub struct Lamp {
    name: String,
    until: Option<Instant>,
    /// The device took it.
    lit: bool,
}

impl Lamp {
    /// Off, and nobody knows yet whether the device is.
    pub fn new(name: String) -> Self {
        let lamp = Self { name, until: None, lit: false };
        // A count that begins at 0 is seen to grow.
        for outcome in OUTCOMES {
            act(&lamp.name, outcome).increment(0);
        }
        lamp.show();
        lamp
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it is to be switched off; `None` while it is off.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    pub fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// To be on until then at least. True where that switches it on; one that is on stays so for longer.
    pub fn ring(&mut self, until: Instant) -> bool {
        let was_on = self.is_on();
        self.until = self.until.max(Some(until));
        if was_on {
            acted(&self.name, "extended");
        }
        self.show();
        !was_on
    }

    /// The device is on.
    pub fn took(&mut self) {
        if self.is_on() && !std::mem::replace(&mut self.lit, true) {
            acted(&self.name, "made");
        }
    }

    /// Its time is over.
    pub fn end(&mut self) {
        if self.until.take().is_some() && !std::mem::take(&mut self.lit) {
            acted(&self.name, "failed");
            tracing::error!(
                output = self.name,
                "an output was to be switched on, and was not reached in time"
            );
        }
        self.show();
    }

    fn show(&self) {
        gauge!(names::DOOR_ON, "output" => self.name.clone()).set(if self.is_on() { 1.0 } else { 0.0 });
    }
}

const OUTCOMES: [&str; 5] = ["made", "extended", "late", "dropped", "failed"];

/// Counts what became of one time that an output was to be on.
pub fn acted(output: &str, outcome: &'static str) {
    act(output, outcome).increment(1);
}

fn act(output: &str, outcome: &'static str) -> Counter {
    counter!(names::DOOR_ACTS, "output" => output.to_owned(), "outcome" => outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn firings_that_overlap_make_it_longer_and_never_shorter() {
        let begun = Instant::now();
        let at = |secs| begun + Duration::from_secs(secs);
        let mut lamp = Lamp::new("light".to_owned());
        assert!(lamp.ring(at(10)) && !lamp.ring(at(4)) && !lamp.ring(at(12)));
        assert_eq!(lamp.until(), Some(at(12)));
        lamp.end();
        assert!(!lamp.is_on() && lamp.ring(at(13)));
    }
}
