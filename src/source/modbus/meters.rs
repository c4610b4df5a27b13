//! What a line counts.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use std::collections::BTreeMap;

use super::fault::Fault;
use crate::telemetry::names;

pub struct Meters {
    source: String,
    pub skipped_late: Counter,
    pub skipped_full: Counter,
    /// A poll's distance behind its due time, in seconds.
    pub jitter: Histogram,
    pub left_alone: Counter,
    ok: Counter,
    exception: Counter,
    timeout: Counter,
    transport: Counter,
    refused: BTreeMap<String, Gauge>,
}

impl Meters {
    pub fn new(source: &str) -> Self {
        let label = || source.to_owned();
        let skipped = |reason| counter!(names::MODBUS_POLLS_SKIPPED, "source" => label(), "reason" => reason);
        let requests = |result| counter!(names::MODBUS_REQUESTS, "source" => label(), "result" => result);
        Self {
            skipped_late: skipped("late"),
            skipped_full: skipped("journal-full"),
            jitter: histogram!(names::MODBUS_JITTER, "source" => label()),
            left_alone: counter!(names::MODBUS_LEFT_ALONE, "source" => label()),
            ok: requests("ok"),
            exception: requests("exception"),
            timeout: requests("timeout"),
            transport: requests("transport"),
            refused: BTreeMap::new(),
            source: label(),
        }
    }

    pub fn count(&self, answer: &Result<Vec<u16>, Fault>) {
        let result = match answer {
            Ok(_) => &self.ok,
            Err(Fault::Exception(_)) => &self.exception,
            Err(Fault::Timeout) => &self.timeout,
            Err(Fault::Wrong(_) | Fault::Certificate(_) | Fault::Closed(_)) => &self.transport,
        };
        result.increment(1);
    }

    /// How many registers of a device are known to be refused.
    pub fn refused(&mut self, device: &str, registers: u32) {
        if let Some(gauge) = self.refused.get(device) {
            gauge.set(registers);
        } else if registers > 0 {
            let labels = (self.source.clone(), device.to_owned());
            let gauge = gauge!(names::MODBUS_REFUSED, "source" => labels.0, "device" => labels.1);
            gauge.set(registers);
            self.refused.insert(device.to_owned(), gauge);
        }
    }
}
