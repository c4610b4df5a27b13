//! What fails, and when nothing can therefore be noticed.

use super::Planner;
use crate::faults::Fault;
use crate::scenario::{FaultKind, FaultPlan};
use crate::world::happening::{Device, Happening};

/// When a device is not to be trusted, or late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub device: Device,
    from_s: f64,
    to_s: f64,
    /// What is sensed meanwhile comes later; otherwise it does not come, or comes wrong.
    only_late: bool,
}

impl Planner<'_> {
    fn device(&self, name: &str) -> Option<Device> {
        let reader = self.plant.readers.iter().position(|reader| reader.name == name).map(Device::Reader);
        let truck = || self.plant.trackers.iter().position(|tracker| tracker.name == name).map(Device::Truck);
        let room = || self.plant.modbus.iter().position(|device| device.name == name).map(Device::Room);
        reader.or_else(truck).or_else(room)
    }

    pub(super) fn failures(&mut self) {
        for outage in &self.scenario.outages {
            let Some(device) = self.device(&outage.source) else { continue };
            for from_s in self.in_every_chapter(outage.at) {
                let happening =
                    Happening::Outage { device, source: outage.source.clone(), to_s: from_s + outage.for_s };
                self.fail(
                    Window { device, from_s, to_s: from_s + outage.for_s, only_late: false },
                    happening,
                );
            }
        }
        for plan in &self.scenario.faults {
            let Some(device) = self.device(&plan.device) else { continue };
            let fault = fault(plan);
            for from_s in self.in_every_chapter(plan.at) {
                let to_s = from_s + plan.for_s;
                let window = Window { device, from_s, to_s, only_late: only_late(plan.kind, device) };
                self.fail(window, Happening::Fault { device, fault, to_s });
            }
        }
    }

    fn fail(&mut self, window: Window, happening: Happening) {
        let settled_s = window.to_s + self.timing().reconnect_s;
        if settled_s <= self.ends_s {
            self.windows.push(window);
            self.push(window.from_s, settled_s, happening);
        }
    }

    /// By when something between the two times on a device is noticed; `None` where it cannot be.
    pub(super) fn noticed(&self, device: Device, from_s: f64, settled_s: f64) -> Option<f64> {
        let reconnect_s = self.timing().reconnect_s;
        let mut settled = settled_s;
        for window in self.windows.iter().filter(|window| window.device == device) {
            let clear_s = window.to_s + reconnect_s;
            if from_s > clear_s || settled < window.from_s {
                continue;
            }
            if !window.only_late {
                return None;
            }
            settled = settled.max(clear_s);
        }
        (settled <= self.ends_s).then_some(settled)
    }
}

fn fault(plan: &FaultPlan) -> Fault {
    match plan.kind {
        FaultKind::Silent => Fault::Silent,
        FaultKind::Slow => {
            Fault::Slow { delay: std::time::Duration::from_millis(plan.delay_ms.unwrap_or_default()) }
        }
        FaultKind::Garbage => Fault::Garbage,
        FaultKind::Truncated => Fault::Truncated,
        FaultKind::Duplicate => Fault::Duplicate,
        FaultKind::ClockJump => Fault::ClockJump { by_us: (plan.by_s.unwrap_or_default() * 1e6) as i64 },
        FaultKind::Disconnect => Fault::Disconnect,
        FaultKind::Refuse => Fault::Refuse,
        FaultKind::Exception => Fault::Exception { code: plan.code.unwrap_or(4) },
        FaultKind::WrongTransaction => Fault::WrongTransaction,
    }
}

/// Whether what a device senses during the fault still arrives, only later. A polled device keeps nothing.
fn only_late(kind: FaultKind, device: Device) -> bool {
    match (kind, device) {
        (FaultKind::ClockJump, _) => false,
        (FaultKind::Slow | FaultKind::Duplicate | FaultKind::Refuse, _) => true,
        (FaultKind::Garbage | FaultKind::Truncated, Device::Truck(_)) => false,
        (_, Device::Room(_)) => false,
        _ => true,
    }
}
