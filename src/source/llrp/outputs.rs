//! The outputs (GPO) of one reader: which are to be on, until when, and what the reader said of it.
//!
//! The reader keeps an output as it is when the connection goes. So every session begins with all of them
//! as they should be, off where nobody says otherwise, and a clean stop switches them off.

use std::collections::BTreeMap;
use std::convert::Infallible;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::source::outputs::Lamp;

/// Output `port` is to be on until then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Switch {
    pub port: u16,
    pub until: Instant,
}

/// What the reader is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Turn {
    pub port: u16,
    pub on: bool,
}

pub struct Outputs {
    lamps: BTreeMap<u16, Lamp>,
    lane: mpsc::Receiver<Switch>,
    /// Told in this session and not answered yet, by the message's id.
    asked: BTreeMap<u32, Turn>,
}

impl Outputs {
    /// `names`: of the outputs, by port. On `lane` comes what is to be on.
    pub fn new(names: BTreeMap<u16, String>, lane: mpsc::Receiver<Switch>) -> Self {
        let lamps = names.into_iter().map(|(port, name)| (port, Lamp::new(name))).collect();
        Self { lamps, lane, asked: BTreeMap::new() }
    }

    /// The next output to switch. Cancel safe.
    pub(super) async fn next(&mut self) -> Turn {
        loop {
            let first = self.lamps.iter().filter_map(|(port, lamp)| Some((lamp.until()?, *port))).min();
            tokio::select! {
                biased;
                port = over(first) => {
                    if let Some(lamp) = self.lamps.get_mut(&port) {
                        lamp.end();
                    }
                    return Turn { port, on: false };
                }
                Some(Switch { port, until }) = self.lane.recv() => {
                    let turns_on = self.lamps.get_mut(&port).is_some_and(|lamp| lamp.ring(until));
                    if turns_on {
                        return Turn { port, on: true };
                    }
                }
            }
        }
    }

    /// Keeps up with what is to be on while the reader is away.
    pub(super) async fn away(&mut self) -> Infallible {
        loop {
            self.next().await;
        }
    }

    /// A new session: nothing has been told in it, and this is to be.
    pub(super) fn begin(&mut self) -> Vec<Turn> {
        self.asked.clear();
        self.lamps.iter().map(|(port, lamp)| Turn { port: *port, on: lamp.is_on() }).collect()
    }

    /// All of them off, for good.
    pub(super) fn end(&mut self) -> Vec<Turn> {
        self.lane.close();
        self.lamps.values_mut().for_each(Lamp::end);
        self.begin()
    }

    pub(super) fn told(&mut self, id: u32, turn: Turn) {
        self.asked.insert(id, turn);
    }

    /// What the message with this id told, if it is one of ours; `taken`: the reader did it.
    pub(super) fn answered(&mut self, id: u32, taken: bool) -> Option<(Turn, &str)> {
        let turn = self.asked.remove(&id)?;
        let lamp = self.lamps.get_mut(&turn.port)?;
        if turn.on && taken {
            lamp.took();
        }
        Some((turn, lamp.name()))
    }
}

async fn over(first: Option<(Instant, u16)>) -> u16 {
    match first {
        Some((until, port)) => {
            sleep_until(until).await;
            port
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn each_output_is_on_until_the_last_of_its_times() {
        let (sender, lane) = mpsc::channel(8);
        let names = [(1, "light".to_owned()), (2, "buzzer".to_owned())];
        let mut outputs = Outputs::new(names.into(), lane);
        let begun = Instant::now();
        let at = |tens: u64| begun + Duration::from_millis(10 * tens);
        assert_eq!(outputs.begin(), [Turn { port: 1, on: false }, Turn { port: 2, on: false }]);
        for (port, tens) in [(1, 40), (2, 30), (1, 50), (1, 20), (9, 1)] {
            sender.try_send(Switch { port, until: at(tens) }).unwrap();
        }
        for (port, on, earliest) in [(1, true, 0), (2, true, 0), (2, false, 30), (1, false, 50)] {
            assert_eq!(outputs.next().await, Turn { port, on });
            assert!(Instant::now() >= at(earliest));
        }
        sender.try_send(Switch { port: 1, until: at(100_000) }).unwrap();
        assert_eq!(outputs.next().await, Turn { port: 1, on: true });
        assert_eq!(outputs.end(), [Turn { port: 1, on: false }, Turn { port: 2, on: false }]);
    }
}
