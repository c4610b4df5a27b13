//! The outputs (GPO) of one reader: which are to be on, until when, and what the reader said of it.
//!
//! The reader keeps an output as it is when the connection goes. So every session begins with all of them
//! as they should be, off where nobody says otherwise, and a clean stop switches them off. What the reader
//! refused, or did not answer, is owed: it is told again, ever less often, for as long as it should be so.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::source::outputs::Lamp;

/// How patient we are with a reader.
struct Patience {
    /// One that says nothing for so long is told again.
    answer: Duration,
    /// How long after a refusal it is told again, first and at last.
    again: (Duration, Duration),
}

/// Readers answer within a second.
const PATIENCE: Patience =
    Patience { answer: Duration::from_secs(5), again: (Duration::from_millis(500), Duration::from_secs(60)) };

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
    ports: BTreeMap<u16, Port>,
    lane: mpsc::Receiver<Switch>,
    patience: Patience,
}

struct Port {
    lamp: Lamp,
    /// As the reader took it last, also in an earlier session; `None`: nobody knows.
    shows: Option<bool>,
    /// Told in this session and not taken yet.
    asked: Option<Asked>,
}

struct Asked {
    /// Of the message.
    id: u32,
    on: bool,
    /// When it is told again, where it is not taken until then.
    again_at: Instant,
    /// How long after a refusal.
    wait: Duration,
}

/// What the reader said of an output.
pub(super) struct Answered<'a> {
    pub turn: Turn,
    pub output: &'a str,
    /// Refused before, in this session.
    pub repeated: bool,
}

impl Outputs {
    /// `names`: of the outputs, by port. On `lane` comes what is to be on.
    pub fn new(names: BTreeMap<u16, String>, lane: mpsc::Receiver<Switch>) -> Self {
        let port = |(port, name)| (port, Port { lamp: Lamp::new(name), shows: None, asked: None });
        Self { ports: names.into_iter().map(port).collect(), lane, patience: PATIENCE }
    }

    /// The next output to switch. Cancel safe.
    pub(super) async fn next(&mut self) -> Turn {
        loop {
            let first = self.ports.iter().filter_map(|(number, port)| Some((port.due()?, *number))).min();
            tokio::select! {
                biased;
                number = over(first) => {
                    let Some(port) = self.ports.get_mut(&number) else { continue };
                    if port.lamp.until().is_some_and(|until| until <= Instant::now()) {
                        port.lamp.end();
                    }
                    return port.turn(number);
                }
                Some(Switch { port: number, until }) = self.lane.recv() => {
                    if let Some(port) = self.ports.get_mut(&number)
                        && port.lamp.ring(until)
                    {
                        return port.turn(number);
                    }
                }
            }
        }
    }

    /// Keeps up with what is to be on while the reader is away.
    pub(super) async fn away(&mut self) -> Infallible {
        self.ports.values_mut().for_each(|port| port.asked = None);
        loop {
            self.next().await;
        }
    }

    /// A new session: nothing has been told in it, and this is to be.
    pub(super) fn begin(&mut self) -> Vec<Turn> {
        let turn = |(number, port): (&u16, &mut Port)| {
            port.asked = None;
            port.turn(*number)
        };
        self.ports.iter_mut().map(turn).collect()
    }

    /// All of them off, for good.
    pub(super) fn end(&mut self) -> Vec<Turn> {
        self.lane.close();
        self.ports.values_mut().for_each(|port| port.lamp.end());
        self.begin()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// Whether the reader may hold one of them on, as far as we know.
    pub(super) fn may_be_on(&self) -> bool {
        self.ports.values().any(|port| port.shows != Some(false))
    }

    pub(super) fn told(&mut self, id: u32, turn: Turn) {
        let Some(port) = self.ports.get_mut(&turn.port) else { return };
        let before = port.asked.as_ref().filter(|asked| asked.on == turn.on).map(|asked| asked.wait);
        let (first, last) = self.patience.again;
        let wait = before.map_or(first, |wait| (wait * 2).min(last));
        let again_at = Instant::now() + self.patience.answer.max(wait);
        port.asked = Some(Asked { id, on: turn.on, again_at, wait });
        // Until it is taken, it may be either.
        port.shows = None;
    }

    /// What the message with this id told, if it is the last of ours for its output; `taken`: the reader did it.
    pub(super) fn answered(&mut self, id: u32, taken: bool) -> Option<Answered<'_>> {
        let is_asked = |port: &Port| port.asked.as_ref().is_some_and(|asked| asked.id == id);
        let (number, port) = self.ports.iter_mut().find(|(_, port)| is_asked(port))?;
        let asked = port.asked.as_mut()?;
        let (on, repeated) = (asked.on, asked.wait > self.patience.again.0);
        if taken {
            port.shows = Some(on);
            port.asked = None;
            if on {
                port.lamp.took();
            }
        } else {
            asked.again_at = Instant::now() + asked.wait;
        }
        Some(Answered { turn: Turn { port: *number, on }, output: port.lamp.name(), repeated })
    }
}

impl Port {
    /// When the reader is to be told something.
    fn due(&self) -> Option<Instant> {
        let again = self.asked.as_ref().map(|asked| asked.again_at);
        self.lamp.until().into_iter().chain(again).min()
    }

    fn turn(&mut self, port: u16) -> Turn {
        // Whoever takes this turn says so; until then it is not due again.
        if let Some(asked) = &mut self.asked {
            asked.again_at = Instant::now() + asked.wait;
        }
        Turn { port, on: self.lamp.is_on() }
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

    #[tokio::test]
    async fn what_the_reader_did_not_take_is_told_again_until_it_does() {
        let (sender, lane) = mpsc::channel(8);
        let mut outputs = Outputs::new([(1, "light".to_owned())].into(), lane);
        let (on, off) = (Turn { port: 1, on: true }, Turn { port: 1, on: false });
        let millis = Duration::from_millis;
        outputs.patience = Patience { answer: millis(20), again: (millis(10), millis(40)) };
        let begun = Instant::now();
        let first = outputs.begin()[0];
        outputs.told(1, first);
        // Never answered, then refused twice.
        assert_eq!(outputs.next().await, off);
        assert!(begun.elapsed() >= millis(20), "an answer is waited for");
        outputs.told(2, off);
        assert!(outputs.answered(2, false).is_some());
        assert_eq!(outputs.next().await, off);
        assert!(begun.elapsed() >= millis(40), "twice as long as after the first time");
        outputs.told(3, off);
        assert!(outputs.answered(3, false).unwrap().repeated);
        assert!(outputs.may_be_on());
        // What it should be meanwhile is told instead, at once.
        sender.try_send(Switch { port: 1, until: Instant::now() + Duration::from_secs(1) }).unwrap();
        assert_eq!(outputs.next().await, on);
        outputs.told(4, on);
        assert!(outputs.answered(3, true).is_none(), "an answer to what no longer is asked");
        assert!(outputs.answered(4, false).is_some());
        assert_eq!(outputs.next().await, on);
        outputs.told(5, on);
        assert!(outputs.answered(5, true).is_some());
        assert_eq!(outputs.next().await, off);
        outputs.told(6, off);
        assert!(outputs.answered(6, true).is_some());
        assert!(!outputs.may_be_on());
        let nothing = tokio::time::timeout(millis(200), outputs.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
    }
}
