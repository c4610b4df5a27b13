//! Receivers whose messages bring a sentence each: those without a date say over again what one with a date says.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::ids::DeviceId;
use crate::domain::time::Timestamp;

/// A receiver tells the date with each position, or once in a while.
const NAMES_DAY_WITHIN: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub struct Dated {
    /// When each of them last named the day.
    heard: BTreeMap<DeviceId, Timestamp>,
    most: usize,
}

impl Dated {
    /// `most`: receivers to remember; of others, what has no date is set aside.
    pub fn new(most: usize) -> Self {
        Self { heard: BTreeMap::new(), most }
    }

    pub(super) fn names_day(&mut self, device: &DeviceId, received: Timestamp) {
        if let Some(heard) = self.heard.get_mut(device) {
            *heard = received;
            return;
        }
        if self.heard.len() >= self.most {
            self.heard.retain(|_, heard| *heard + NAMES_DAY_WITHIN >= received);
        }
        if self.heard.len() < self.most {
            self.heard.insert(device.clone(), received);
        }
    }

    pub(super) fn knows(&self, device: &DeviceId, received: Timestamp) -> bool {
        self.heard.get(device).is_some_and(|heard| received <= *heard + NAMES_DAY_WITHIN)
    }
}
