//! Samples to the sensor points that they were taken at.

use super::condition::SensorPoint;
use super::{Cleaned, Cleaner};
use crate::domain::readings::Sample;
use crate::domain::sightings::Sighting;
use crate::domain::time::Timestamp;

impl Cleaner {
    pub(super) fn sample(
        &mut self,
        sample: Sample,
        index: usize,
        received: Timestamp,
        out: &mut Cleaned,
    ) -> Option<&'static str> {
        if self.sources[index].forward(sample.observed_at, received) {
            self.relink(index, "caught up", received, received, out);
        }
        let observed_at = sample.observed_at;
        let key = (sample.device.clone(), sample.point.clone());
        let rules = &self.rules;
        let sensor = self
            .sensors
            .entry(key.clone())
            .or_insert_with(|| SensorPoint::new(key.0.clone(), key.1.clone(), rules.limits(&key.0, &key.1)));
        let clean = !sensor.dirty;
        let mut seen = Vec::new();
        let late = sensor.take(sample, &mut seen);
        if clean && sensor.dirty {
            self.dirty_sensors.push(key);
        }
        let source = &self.sources[index].id;
        out.sightings.extend(seen.into_iter().map(|what| Sighting {
            source: source.clone(),
            observed_at,
            received_at: received,
            late,
            what,
        }));
        None
    }
}
