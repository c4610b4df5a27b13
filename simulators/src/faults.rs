//! What can be wrong with a device. A switch per device turns faults on and off; the device asks it.

use std::time::Duration;

use tokio::sync::watch;

/// One thing that is wrong. What a device does about it is in the device's own module.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fault {
    /// The connection stands and nothing comes over it.
    Silent,
    /// Everything comes this much later.
    Slow { delay: Duration },
    /// Bytes that mean nothing.
    Garbage,
    /// A message that ends in its middle.
    Truncated,
    /// Everything is sent twice.
    Duplicate,
    /// The device's clock is off by this much more.
    ClockJump { by_us: i64 },
    /// The network is gone: connections end and none can be made. The device goes on sensing.
    Disconnect,
    /// New connections are refused; one that stands is left alone.
    Refuse,
    /// No power: nothing is sensed, nothing is remembered.
    PowerOff,
    /// Modbus: every request is answered with this exception code.
    Exception { code: u8 },
    /// Modbus: answers carry another request's transaction id.
    WrongTransaction,
}

/// What is wrong with one device at present.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Faults {
    active: Vec<Fault>,
}

impl Faults {
    pub fn has(&self, fault: Fault) -> bool {
        self.active.contains(&fault)
    }

    /// The longest delay asked for.
    pub fn delay(&self) -> Option<Duration> {
        let delays = self.active.iter().filter_map(|fault| match fault {
            Fault::Slow { delay } => Some(*delay),
            _ => None,
        });
        delays.max()
    }

    /// How far the clock is off, in microseconds.
    pub fn clock_jump_us(&self) -> i64 {
        let jumps = self.active.iter().map(|fault| match fault {
            Fault::ClockJump { by_us } => *by_us,
            _ => 0,
        });
        jumps.sum()
    }

    pub fn exception(&self) -> Option<u8> {
        self.active.iter().find_map(|fault| match fault {
            Fault::Exception { code } => Some(*code),
            _ => None,
        })
    }

    /// No connection can stand.
    pub fn unreachable(&self) -> bool {
        self.has(Fault::Disconnect) || self.has(Fault::PowerOff)
    }

    /// No connection can be made.
    pub fn refusing(&self) -> bool {
        self.unreachable() || self.has(Fault::Refuse)
    }
}

/// Turns one device's faults on and off.
#[derive(Clone, Debug)]
pub struct FaultSwitch {
    faults: watch::Sender<Faults>,
}

impl Default for FaultSwitch {
    fn default() -> Self {
        Self { faults: watch::Sender::new(Faults::default()) }
    }
}

impl FaultSwitch {
    pub fn begin(&self, fault: Fault) {
        self.faults.send_modify(|faults| faults.active.push(fault));
    }

    /// Ends one `fault` of those that began.
    pub fn end(&self, fault: Fault) {
        self.faults.send_modify(|faults| {
            if let Some(at) = faults.active.iter().position(|active| *active == fault) {
                faults.active.remove(at);
            }
        });
    }

    pub fn now(&self) -> Faults {
        self.faults.borrow().clone()
    }

    pub fn watch(&self) -> watch::Receiver<Faults> {
        self.faults.subscribe()
    }
}

/// Waits until the device's faults satisfy `wanted`; for ever where the switch is gone.
pub(crate) async fn until(watch: &mut watch::Receiver<Faults>, wanted: impl Fn(&Faults) -> bool) {
    if watch.wait_for(wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_began_twice_ends_twice() {
        let switch = FaultSwitch::default();
        switch.begin(Fault::Silent);
        switch.begin(Fault::Silent);
        switch.end(Fault::Silent);
        assert!(switch.now().has(Fault::Silent));
        switch.end(Fault::Silent);
        assert!(!switch.now().has(Fault::Silent));
    }

    #[test]
    fn clock_jumps_add_up_and_the_longest_delay_counts() {
        let switch = FaultSwitch::default();
        switch.begin(Fault::ClockJump { by_us: 5 });
        switch.begin(Fault::ClockJump { by_us: -2 });
        switch.begin(Fault::Slow { delay: Duration::from_millis(3) });
        switch.begin(Fault::Slow { delay: Duration::from_millis(9) });
        assert_eq!(switch.now().clock_jump_us(), 3);
        assert_eq!(switch.now().delay(), Some(Duration::from_millis(9)));
    }
}
