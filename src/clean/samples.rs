//! Samples to the sensor points that they were taken at.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::condition::SensorPoint;
use super::rules::Compiled;
use super::{Cleaned, Cleaner};
use crate::config::LimitConfig;
use crate::domain::ids::{DeviceId, PointId, SourceId};
use crate::domain::readings::Sample;
use crate::domain::register::ClassLimit;
use crate::domain::sightings::{Seen, Sighting};
use crate::domain::time::Timestamp;

/// The limits of a point: its own, or else those of the class of what its sensor hangs on.
pub(super) fn limits(
    rules: &Compiled,
    of_classes: &BTreeMap<DeviceId, Vec<ClassLimit>>,
    device: &DeviceId,
    point: &PointId,
) -> Arc<[LimitConfig]> {
    let own = rules.limits(device, point);
    let of_class = of_classes.get(device).filter(|_| own.is_empty());
    let Some(of_class) = of_class else { return own };
    let here = of_class.iter().filter(|limit| limit.point == *point);
    here.filter_map(|limit| LimitConfig::of_class(limit, device)).collect()
}

impl Cleaner {
    /// A sensor hangs on an asset with these limits, or on none. To be said before each of its samples.
    pub fn follow_class(&mut self, device: &DeviceId, of_class: &[ClassLimit]) {
        let same = self.class_limits.get(device).map_or(&[][..], Vec::as_slice) == of_class;
        if !self.unreviewed.remove(device) && same {
            return;
        }
        match of_class {
            [] => drop(self.class_limits.remove(device)),
            limits => drop(self.class_limits.insert(device.clone(), limits.to_vec())),
        }
        self.renew_limits(|of| of == device);
    }

    /// An excursion over a limit that is no more ends with the next sample or tick.
    pub(super) fn renew_limits(&mut self, concerns: impl Fn(&DeviceId) -> bool) {
        for ((device, point), sensor) in &mut self.sensors {
            if !concerns(device) {
                continue;
            }
            if sensor.set_rules(limits(&self.rules, &self.class_limits, device, point)) {
                self.withdrawn.insert((device.clone(), point.clone()));
            }
            sensor.checks = self.rules.checks(device, point);
        }
    }

    pub(super) fn pass_withdrawn(&mut self, now: Timestamp, out: &mut Cleaned) {
        for key in std::mem::take(&mut self.withdrawn) {
            self.of_sensor(&key, now, out, SensorPoint::withdraw);
        }
    }

    /// What is said of a point, and not by a sample of it.
    pub(super) fn of_sensor(
        &mut self,
        key: &(DeviceId, PointId),
        at: Timestamp,
        out: &mut Cleaned,
        says: impl FnOnce(&mut SensorPoint, &mut Vec<Seen>),
    ) {
        let Some(sensor) = self.sensors.get_mut(key) else { return };
        let (clean, was_stale, mut seen) = (!sensor.dirty, sensor.stale, Vec::new());
        says(sensor, &mut seen);
        self.staleness.stale += usize::from(sensor.stale && !was_stale);
        // A point without a source of this run goes by its device's name, as a device with a line of its own does.
        let source = sensor.silence.heard.map(|(_, source)| self.sources[source].id.clone());
        let source = source.unwrap_or_else(|| SourceId::new(key.0.as_str()));
        if clean && sensor.dirty {
            self.dirty_sensors.push(key.clone());
        }
        out.sightings.extend(seen.into_iter().map(|what| {
            let observed_at = if let Seen::Sample(sample) = &what { sample.observed_at } else { at };
            Sighting { source: source.clone(), observed_at, received_at: at, late: false, what }
        }));
    }

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
        if self.withdrawn.remove(&key) {
            self.of_sensor(&key, received, out, SensorPoint::withdraw);
        }
        let (rules, of_classes) = (&self.rules, &self.class_limits);
        let limits = || limits(rules, of_classes, &key.0, &key.1);
        let sensor = self.sensors.entry(key.clone()).or_insert_with(|| {
            let mut sensor = SensorPoint::new(key.0.clone(), key.1.clone(), limits());
            sensor.checks = rules.checks(&key.0, &key.1);
            sensor
        });
        let (clean, was_stale) = (!sensor.dirty, sensor.stale);
        let mut seen = Vec::new();
        let checks = sensor.checks;
        sensor.heard_by(self.sources[index].connections);
        let late = sensor.take(sample, &checks, &mut seen);
        sensor.silence.broken(received, index, &self.sources[index]);
        self.staleness.heard(&mut sensor.silence, &key, checks.stale_after);
        self.staleness.stale -= usize::from(was_stale && !sensor.stale);
        if clean && sensor.dirty {
            self.dirty_sensors.push(key);
        }
        let source = &self.sources[index].id;
        out.sightings.extend(seen.into_iter().map(|what| {
            // The sample before a change is told with the times that it had: what it comes from has no clock.
            let at = if let Seen::Sample(sample) = &what { sample.observed_at } else { observed_at };
            let received_at = if at < observed_at { at } else { received };
            Sighting { source: source.clone(), observed_at: at, received_at, late, what }
        }));
        None
    }
}
