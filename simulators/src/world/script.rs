//! The script: every act of a plan in order of time. It is drawn while it is played, so that a long run
//! costs no more memory than a short one, and comes out the same for the same plan.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use super::happening::{Device, Event, Happened};
use super::plant::Plant;
use super::presence::{Place, Staying};
use super::road::{Leg, Vehicle};
use crate::faults::Fault;

/// One thing to be done.
#[derive(Clone, PartialEq, Debug)]
pub enum Act {
    /// An antenna hears a tag. `reader` is an index into the plant's readers.
    Read {
        reader: usize,
        antenna: u16,
        code: [u8; 12],
        rssi_dbm: i8,
        count: u16,
    },
    /// A tracker takes a position. `truck` is an index into the plant's trackers.
    Fix {
        truck: usize,
        lat: f64,
        lon: f64,
        accuracy_m: f64,
        speed_kmh: f64,
        course_deg: f64,
    },
    /// A cold room's door. `room` is an index into the plant's Modbus devices.
    Door {
        room: usize,
        open: bool,
    },
    FaultBegins {
        device: Device,
        fault: Fault,
    },
    FaultEnds {
        device: Device,
        fault: Fault,
    },
    Truth(Happened),
    /// An asset is in a crib from here on. The script's own business, like the two below.
    Appears {
        crib: usize,
        asset: usize,
    },
    Leaves {
        asset: usize,
    },
    Departs {
        truck: usize,
        leg: Leg,
    },
}

/// Something that gives acts in order of time.
enum Stream {
    Acts(VecDeque<(f64, Act)>),
    /// Ends when its asset leaves.
    Staying {
        asset: Option<usize>,
        next: (f64, Act),
        tag: Box<Staying>,
    },
    Vehicle(Box<Vehicle>),
}

/// What the script starts with besides its events.
pub(super) struct Background {
    pub cribs: Vec<Place>,
    /// Tags that stay from the beginning: the asset, where there is one.
    pub staying: Vec<(Option<usize>, Staying)>,
    pub vehicles: Vec<Vehicle>,
    pub seed: u64,
}

pub struct Script {
    plant: Plant,
    events: VecDeque<Event>,
    cribs: Vec<Place>,
    streams: Vec<Option<Stream>>,
    /// When a stream's next act is due (µs), and which stream.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    vehicles: Vec<usize>,
    gone: BTreeSet<usize>,
    seed: u64,
    ends_s: f64,
    /// The latest time by which something that has begun is settled.
    settled_s: f64,
}

impl Script {
    pub(super) fn new(plant: Plant, events: Vec<Event>, background: Background, ends_s: f64) -> Self {
        let mut script = Self {
            plant,
            events: events.into(),
            cribs: background.cribs,
            streams: Vec::new(),
            due: BinaryHeap::new(),
            vehicles: Vec::new(),
            gone: BTreeSet::new(),
            seed: background.seed,
            ends_s,
            settled_s: 0.0,
        };
        for (asset, tag) in background.staying {
            script.stay(asset, tag);
        }
        for vehicle in background.vehicles {
            let at = vehicle.next_at();
            let index = script.open(at, Stream::Vehicle(Box::new(vehicle)));
            script.vehicles.push(index);
        }
        script
    }

    /// Nothing further begins from `now_s` on; what has begun is still played to its end.
    pub fn wind_down(&mut self, now_s: f64) {
        self.events.clear();
        self.ends_s = self.ends_s.min(now_s.max(self.settled_s));
    }

    /// When the last act is over, as things stand.
    pub fn ends_s(&self) -> f64 {
        self.ends_s
    }

    fn open(&mut self, at_s: f64, stream: Stream) -> usize {
        let free = self.streams.iter().position(Option::is_none);
        let index = free.unwrap_or(self.streams.len());
        match free {
            Some(index) => self.streams[index] = Some(stream),
            None => self.streams.push(Some(stream)),
        }
        self.due.push(Reverse((micros(at_s), index)));
        index
    }

    fn stay(&mut self, asset: Option<usize>, mut tag: Staying) {
        if let Some(next) = tag.next() {
            self.open(next.0, Stream::Staying { asset, next, tag: Box::new(tag) });
        }
    }

    /// Opens the streams of the events that begin no later than the next act.
    fn begin_events(&mut self) {
        while let Some(event) = self.events.front() {
            let next = self.due.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
            if micros(event.begins_s) > next || event.begins_s > self.ends_s {
                return;
            }
            let Some(event) = self.events.pop_front() else { return };
            self.settled_s = self.settled_s.max(event.settled_s);
            let acts: VecDeque<_> = event.acts(&self.plant).into();
            if let Some((at, _)) = acts.front() {
                self.open(*at, Stream::Acts(acts));
            }
        }
    }

    /// The due act of a stream, and when its next one is due.
    fn advance(&mut self, index: usize) -> Option<Act> {
        let (act, next_s) = match self.streams[index].as_mut()? {
            Stream::Acts(acts) => {
                let act = acts.pop_front().map(|(_, act)| act);
                (act, acts.front().map(|(at, _)| *at))
            }
            Stream::Staying { asset: Some(asset), .. } if self.gone.contains(asset) => (None, None),
            Stream::Staying { next, tag, .. } => {
                let act = std::mem::replace(&mut next.1, Act::Leaves { asset: 0 });
                let next_s = tag.next().map(|following| {
                    *next = following;
                    next.0
                });
                (Some(act), next_s)
            }
            Stream::Vehicle(vehicle) => {
                let fix = vehicle.fix();
                (Some(fix), Some(vehicle.next_at()))
            }
        };
        match next_s {
            Some(at) => self.due.push(Reverse((micros(at), index))),
            None => self.streams[index] = None,
        }
        act
    }

    /// Acts that concern the script alone are done here; the others are given out.
    fn own(&mut self, act: Act, at_s: f64) -> Option<Act> {
        match act {
            Act::Leaves { asset } => {
                self.gone.insert(asset);
                None
            }
            Act::Appears { crib, asset } => {
                let place = self.cribs[crib];
                for code in self.plant.assets[asset].codes.clone() {
                    let rng = super::rng(self.seed, &format!("appears {}", super::plant::hex(&code)));
                    self.stay(Some(asset), Staying::tag(&place, code, at_s, rng));
                }
                None
            }
            Act::Departs { truck, leg } => {
                if let Some(Some(Stream::Vehicle(vehicle))) =
                    self.vehicles.get(truck).map(|index| self.streams[*index].as_mut())
                {
                    vehicle.departs(leg);
                }
                None
            }
            act => Some(act),
        }
    }
}

impl Iterator for Script {
    /// Seconds since the beginning, and what is to be done then.
    type Item = (f64, Act);

    fn next(&mut self) -> Option<(f64, Act)> {
        loop {
            self.begin_events();
            let Reverse((at, index)) = *self.due.peek()?;
            let at_s = at as f64 / 1e6;
            if at_s > self.ends_s {
                return None;
            }
            self.due.pop();
            if let Some(act) = self.advance(index)
                && let Some(act) = self.own(act, at_s)
            {
                return Some((at_s, act));
            }
        }
    }
}

fn micros(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1e6).round() as u64
}
