//! Fixes to the trackers that sent them, and how many trackers are remembered.

use super::fixes::FixRules;
use super::{Cleaned, Cleaner, TOO_MANY_TRACKERS};
use crate::domain::readings::Fix;
use crate::domain::sightings::{Seen, Sighting};
use crate::domain::time::Timestamp;

impl Cleaner {
    pub(super) fn fix(
        &mut self,
        fix: Fix,
        index: usize,
        received: Timestamp,
        out: &mut Cleaned,
    ) -> Option<&'static str> {
        let rules = FixRules {
            clock: &self.clock_rules,
            horizon: self.redelivery_horizon,
            tracker: &self.rules.tracker,
            fences: &self.rules.fences,
        };
        let device = fix.device.clone();
        if self.trackers.len() >= self.max_trackers && !self.trackers.contains_key(&device) {
            return Some(TOO_MANY_TRACKERS);
        }
        let tracker = self.trackers.entry(device.clone()).or_default();
        let clean = !tracker.dirty;
        let taken = tracker.take(fix, received, &rules);
        if clean && tracker.dirty {
            self.dirty_trackers.push(device.clone());
        }
        let accepted = match taken {
            Ok(accepted) => accepted,
            Err(reason) => return Some(reason),
        };
        if !accepted.fix.retained && self.sources[index].forward(accepted.fix.observed_at, received) {
            self.relink(index, "caught up", received, received, out);
        }
        let source = self.sources[index].id.clone();
        let say = |observed_at, what| Sighting {
            source: source.clone(),
            observed_at,
            received_at: received,
            late: accepted.late,
            what,
        };
        out.sightings.push(say(accepted.fix.observed_at, Seen::Fix(accepted.fix)));
        for (fence, change, fix) in accepted.changes {
            let device = device.clone();
            out.sightings.push(say(fix.observed_at, Seen::Fence { device, fence, change, fix }));
        }
        None
    }
}
