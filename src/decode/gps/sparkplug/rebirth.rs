//! Asking edge nodes for their BIRTHs again, where their messages cannot be understood without.
//!
//! Each is asked no more often than [`AGAIN`], by the time at which its messages come, also where it was born meanwhile: one
//! whose BIRTHs do not have all of its aliases would do nothing else. Never sends anything: what is to be
//! sent is taken from here.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::frames::Request;
use crate::domain::time::Timestamp;

const AGAIN: Duration = Duration::from_secs(60);
/// Anybody who may publish may invent edge nodes.
const MOST_ASKED: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Rebirths {
    /// When they were asked last, by `GROUP/NODE`.
    asked: BTreeMap<String, Timestamp>,
    waiting: Vec<Request>,
    /// The newest message of all.
    now: Option<Timestamp>,
}

impl Rebirths {
    /// A message came: `false` where it is not of now, but was put back by hand.
    pub fn hear(&mut self, received: Timestamp) -> bool {
        let is_now = self.now.is_none_or(|now| received >= now);
        self.now = self.now.max(Some(received));
        is_now
    }

    pub fn ask(&mut self, key: &str, now: Timestamp) {
        if self.asked.get(key).is_some_and(|asked| now.since(*asked) < AGAIN) {
            return;
        }
        if self.asked.len() >= MOST_ASKED {
            self.asked.retain(|_, asked| now.since(*asked) < AGAIN);
        }
        let Some((group, node)) = key.split_once('/').filter(|_| self.asked.len() < MOST_ASKED) else {
            return;
        };
        self.asked.insert(key.to_owned(), now);
        self.waiting.push(Request { topic: format!("spBv1.0/{group}/NCMD/{node}"), payload: command(now) });
    }

    pub fn take(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.waiting)
    }
}

/// A payload with the one metric `Node Control/Rebirth`, a Boolean, true (Sparkplug 3.0, section 6.4.21).
fn command(now: Timestamp) -> Vec<u8> {
    const METRIC: &[u8] = b"\x0a\x14Node Control/Rebirth\x20\x0b\x70\x01";
    let mut payload = vec![0x08];
    let mut millis = now.as_micros().max(0).unsigned_abs() / 1000;
    while millis >= 0x80 {
        payload.push(millis as u8 | 0x80);
        millis >>= 7;
    }
    payload.extend([millis as u8, 0x12, METRIC.len() as u8]);
    payload.extend(METRIC);
    payload
}

#[cfg(test)]
mod tests {
    use super::super::{Meaning, Payload};
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(1_767_268_800 + second)
    }

    #[test]
    fn a_command_is_what_the_standard_says() {
        let bytes = command(at(0));
        let payload = Payload::parse(&bytes).unwrap();
        assert_eq!(payload.published(), Ok(at(0)));
        let [metric] = &payload.metrics[..] else { panic!("{payload:?}") };
        assert_eq!(
            (metric.name, metric.meaning(None)),
            (Some("Node Control/Rebirth"), Ok(Some(Meaning::Switch(true))))
        );
    }

    #[test]
    fn nobody_is_asked_too_often() {
        let mut rebirths = Rebirths::default();
        for second in 0..150 {
            rebirths.ask("g/a", at(second));
        }
        rebirths.ask("g/b", at(150));
        let topics: Vec<String> = rebirths.take().into_iter().map(|request| request.topic).collect();
        assert_eq!(topics, ["spBv1.0/g/NCMD/a", "spBv1.0/g/NCMD/a", "spBv1.0/g/NCMD/a", "spBv1.0/g/NCMD/b"]);
    }

    #[test]
    fn those_who_are_asked_are_bounded() {
        let mut rebirths = Rebirths::default();
        for nth in 0..20_000 {
            rebirths.ask(&format!("g/{nth}"), at(0));
        }
        assert_eq!(rebirths.take().len(), MOST_ASKED);
        rebirths.ask("g/later", at(61));
        assert_eq!((rebirths.take().len(), rebirths.asked.len()), (1, 1));
    }
}
