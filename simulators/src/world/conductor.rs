//! The conductor: does what the script says when it says so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::any_reader::AnyReader;
use super::happening::{Device, What};
use super::running::Devices;
use super::script::{Act, Script};
use crate::clock::{after, wall_now};
use crate::faults::FaultSwitch;
use crate::llrp::TagObservation;
use crate::modbus;
use crate::mqtt::{Position, Tracker};
use crate::truth::TruthLog;

pub(super) fn instant_of(time: Timestamp) -> Instant {
    let ahead_us = time.as_microsecond() - wall_now().as_microsecond();
    let now = Instant::now();
    let distance = Duration::from_micros(ahead_us.unsigned_abs());
    if ahead_us >= 0 { now + distance } else { now.checked_sub(distance).unwrap_or(now) }
}

/// Follows one script.
pub(super) struct Conductor {
    pub devices: Arc<Devices>,
    /// Names of the readers and Modbus devices that were started.
    pub listening: BTreeSet<String>,
    pub log: Arc<TruthLog>,
    pub begun: Timestamp,
    pub started: Instant,
    pub winding_down: CancellationToken,
}

impl Conductor {
    pub async fn play(&self, mut script: Script) {
        let mut winding = false;
        let mut next = script.next();
        while let Some((at_s, act)) = next.take() {
            let due = self.started + Duration::from_secs_f64(at_s);
            while Instant::now() < due {
                tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.winding_down.cancelled(), if !winding => {
                        winding = true;
                        script.wind_down(self.started.elapsed().as_secs_f64());
                    }
                }
                if at_s > script.ends_s() {
                    return;
                }
            }
            self.perform(act, at_s);
            next = script.next();
        }
        if !winding {
            tokio::select! {
                () = sleep_until(self.started + Duration::from_secs_f64(script.ends_s())) => {}
                () = self.winding_down.cancelled() => {}
            }
        }
    }

    fn perform(&self, act: Act, at_s: f64) {
        let at = after(self.begun, Duration::from_secs_f64(at_s));
        match act {
            Act::Read { reader, antenna, code, rssi_dbm, count } => {
                if let Some(reader) = &self.devices.readers[reader] {
                    reader.read(TagObservation { antenna, epc: code.to_vec(), rssi_dbm, at, count });
                }
            }
            Act::Fix { truck, lat, lon, accuracy_m, speed_kmh, course_deg } => {
                if let Some(tracker) = &self.devices.trackers[truck] {
                    tracker.fix(Position { lat, lon, accuracy_m, speed_kmh, course_deg, at });
                }
            }
            Act::Door { room, open } => {
                if let Some(room) = &self.devices.rooms[room] {
                    room.set_door(open, at_s);
                }
            }
            Act::FaultBegins { device, fault } => self.with_switch(device, |switch| switch.begin(fault)),
            Act::FaultEnds { device, fault } => self.with_switch(device, |switch| switch.end(fault)),
            Act::Truth(happened) => {
                if self.acted_out(&happened.what) {
                    self.log.record(happened.truth(self.begun));
                }
            }
            // The script keeps these to itself.
            Act::Appears { .. } | Act::Leaves { .. } | Act::Departs { .. } => {}
        }
    }

    /// Whether the devices are there that make it true: what nobody could sense is not told.
    fn acted_out(&self, what: &What) -> bool {
        let readers = || self.devices.readers.iter().any(Option::is_some);
        let trackers = || self.devices.trackers.iter().any(Option::is_some);
        match what {
            What::Passage { .. } | What::Ghost { .. } | What::Overdue { .. } => readers(),
            What::Geofence { .. } | What::Docked { .. } => trackers(),
            What::Carried { .. } => readers() && trackers(),
            What::Condition { .. } => self.devices.rooms.iter().any(Option::is_some),
            What::Outage { source, .. } => self.listening.contains(source),
        }
    }

    fn with_switch(&self, device: Device, change: impl FnOnce(&FaultSwitch)) {
        let switch = match device {
            Device::Reader(index) => self.devices.readers[index].as_ref().map(AnyReader::faults),
            Device::Truck(index) => self.devices.trackers[index].as_ref().map(Tracker::faults),
            Device::Room(index) => self.devices.rooms[index].as_ref().map(modbus::Device::faults),
        };
        if let Some(switch) = switch {
            change(switch);
        }
    }
}
