//! Values that nobody reads any more: whatever read them has stopped doing so, and nobody said why.
//!
//! A device that fails says so with every poll; this is for what says nothing at all. It runs on our own clock, and not
//! while we threw the answers away ourselves. A point that the configuration no longer has is stale from the start.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use super::source::Source;
use super::{Cleaned, Cleaner};
use crate::domain::ids::{DeviceId, PointId, SourceId};
use crate::domain::time::Timestamp;

type Key = (DeviceId, PointId);

/// When which point would be stale, were it not read meanwhile; one entry a point, and by name where they fall together.
#[derive(Default)]
pub(super) struct Staleness {
    due: BinaryHeap<Reverse<(Timestamp, Key)>>,
    /// Restored, and not heard of since.
    restored: Vec<Key>,
    /// Points that are stale now.
    pub stale: usize,
}

/// What is known of a point's silence; nothing of it is kept.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Silence {
    /// When it was read last by our clock, and by which source.
    pub heard: Option<(Timestamp, usize)>,
    /// How often that source had thrown answers away by then.
    drops: u64,
    is_armed: bool,
}

impl Silence {
    pub fn broken(&mut self, at: Timestamp, index: usize, source: &Source) {
        (self.heard, self.drops) = (Some((at, index)), source.drops);
    }
}

impl Staleness {
    pub fn restored(&mut self, key: Key, is_stale: bool) {
        self.stale += usize::from(is_stale);
        self.restored.push(key);
    }

    pub fn next(&self) -> Option<Timestamp> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// A point was read. Costs next to nothing where it waits already.
    pub fn heard(&mut self, silence: &mut Silence, key: &Key, after: Option<Duration>) {
        if let (Some(after), Some((at, _)), false) = (after, silence.heard, silence.is_armed) {
            silence.is_armed = true;
            self.arm(at + after, key.clone());
        }
    }

    /// To whole seconds, so that the points of a device fall due together.
    fn arm(&mut self, at: Timestamp, key: Key) {
        let second = 1_000_000;
        let micros = at.as_micros().saturating_add(second - 1).div_euclid(second).saturating_mul(second);
        self.due.push(Reverse((Timestamp::from_micros(micros), key)));
    }

    fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, Key)> {
        let due = self.due.peek().is_some_and(|Reverse((at, _))| *at <= now);
        if due { self.due.pop().map(|Reverse(due)| due) } else { None }
    }
}

impl Cleaner {
    /// To be called once, after [`Cleaner::restore`]: from now on what was restored should be read.
    pub fn started(&mut self, now: Timestamp, out: &mut Cleaned) {
        let mut restored = std::mem::take(&mut self.staleness.restored);
        restored.sort_unstable();
        for key in restored {
            match self.rules.stale_after(&key) {
                None => {
                    self.fall_silent(&key, now, out);
                    self.forget_limits(key);
                }
                Some(after) => {
                    if let Some(sensor) = self.sensors.get_mut(&key).filter(|sensor| !sensor.silence.is_armed)
                    {
                        sensor.silence.is_armed = true;
                        self.staleness.arm(now + after, key);
                    }
                }
            }
        }
    }

    /// Frames of a source were thrown away, by us: that nothing is known of its points says nothing of them.
    pub fn dropped(&mut self, source: &SourceId) {
        let index = self.source(source);
        self.sources[index].drops += 1;
    }

    pub(super) fn pass_staleness(&mut self, now: Timestamp, out: &mut Cleaned) {
        while let Some((at, key)) = self.staleness.pop(now) {
            let after = self.rules.stale_after(&key);
            let Some(sensor) = self.sensors.get_mut(&key) else { continue };
            let next = after.zip(sensor.silence.heard).and_then(|(after, (heard, source))| {
                let drops = self.sources[source].drops;
                let was_dropped = std::mem::replace(&mut sensor.silence.drops, drops) != drops;
                if was_dropped { Some(at + after) } else { Some(heard + after).filter(|due| *due > at) }
            });
            match next {
                Some(due) => self.staleness.arm(due, key),
                None => {
                    sensor.silence.is_armed = false;
                    self.fall_silent(&key, at, out);
                }
            }
        }
    }

    /// Of a point that the configuration no longer has, no limit is either.
    fn forget_limits(&mut self, key: Key) {
        if self.sensors.get_mut(&key).is_some_and(|sensor| sensor.set_rules(Arc::from([]))) {
            self.withdrawn.insert(key);
        }
    }

    fn fall_silent(&mut self, key: &Key, at: Timestamp, out: &mut Cleaned) {
        let Some(sensor) = self.sensors.get_mut(key) else { return };
        if let Some((_, source)) = sensor.silence.heard {
            sensor.heard_by(self.sources[source].connections);
        }
        let is_gone = self.rules.stale_after(key).is_none();
        self.of_sensor(key, at, out, |sensor, seen| sensor.fall_silent(is_gone, seen));
    }

    /// Points that were read once and are not any more.
    pub fn stale_points(&self) -> usize {
        self.staleness.stale
    }
}
