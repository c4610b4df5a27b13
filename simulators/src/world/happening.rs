//! What happens in a plan: each thing with when it begins and by when a watcher must have noticed it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::plant::{Asset, Plant};
use super::portal::{self, DoorRead};
use super::road::Leg;
use super::script::Act;
use crate::clock::after;
use crate::faults::Fault;
use crate::truth::{Change, Crossing, Direction, Truth};

/// Times are seconds since the scenario began.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    pub begins_s: f64,
    /// By then it is over and noticed.
    pub settled_s: f64,
    pub happening: Happening,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Happening {
    /// Assets pass a door together.
    Passage {
        door: Door,
        assets: Vec<usize>,
        direction: Direction,
        /// What they come out of, or go into: an index into the trackers.
        vehicle: Option<usize>,
        speed_mps: f64,
        seed: u64,
    },
    TurnedBack {
        door: Door,
        asset: usize,
        from_inside: bool,
        speed_mps: f64,
        seed: u64,
    },
    Stray {
        door: Door,
        asset: usize,
        inside: bool,
        seed: u64,
    },
    /// Gone from a crib for good.
    Theft {
        asset: usize,
    },
    /// Due, and not back.
    Overdue {
        asset: usize,
        due_s: f64,
    },
    /// Back in a crib.
    Return {
        crib: usize,
        asset: usize,
        at_s: f64,
    },
    /// A cold room's door, and the excursion that follows where there is one.
    DoorOpened {
        room: usize,
        shut_s: f64,
        excursion: Option<Excursion>,
    },
    Drive {
        truck: usize,
        leg: Leg,
    },
    Outage {
        device: Device,
        source: String,
        to_s: f64,
    },
    Fault {
        device: Device,
        fault: Fault,
        to_s: f64,
    },
}

/// A door, as an index into the read points and one into the readers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Door {
    pub point: usize,
    pub reader: usize,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Excursion {
    pub began_s: f64,
    pub ended_s: f64,
}

/// Which device a fault is for, as an index into its table of the plant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Device {
    Reader(usize),
    Truck(usize),
    Room(usize),
}

/// A truth of which only the time of day is not known yet.
#[derive(Clone, PartialEq, Debug)]
pub struct Happened {
    pub at_s: f64,
    pub what: What,
}

#[derive(Clone, PartialEq, Debug)]
pub enum What {
    Passage { asset: String, portal: String, direction: Direction },
    Geofence { device: String, fence: String, change: Crossing },
    Condition { device: String, point: String, limit: String, change: Change },
    Ghost { asset: String },
    Overdue { asset: String },
    Outage { source: String, to_s: f64 },
    Carried { asset: String, vehicle: String, change: Change },
    Docked { vehicle: String, door: String, change: Change },
}

impl Happened {
    /// With second 0 at `begun`.
    pub fn truth(self, begun: jiff::Timestamp) -> Truth {
        let time = |at_s: f64| after(begun, std::time::Duration::from_secs_f64(at_s.max(0.0)));
        let at = time(self.at_s);
        match self.what {
            What::Passage { asset, portal, direction } => Truth::Passage { asset, portal, direction, at },
            What::Geofence { device, fence, change } => Truth::Geofence { device, fence, change, at },
            What::Condition { device, point, limit, change } => {
                Truth::Condition { device, point, limit, change, at }
            }
            What::Ghost { asset } => Truth::Ghost { asset, gone_at: at },
            What::Overdue { asset } => Truth::Overdue { asset, due_at: at },
            What::Outage { source, to_s } => Truth::Outage { source, from: at, to: time(to_s) },
            What::Carried { asset, vehicle, change } => Truth::Carried { asset, vehicle, change, at },
            What::Docked { vehicle, door, change } => Truth::Docked { vehicle, door, change, at },
        }
    }
}

/// Seconds between one asset of a group and the next.
const GROUP_GAP_S: f64 = 0.35;

/// How long a group of `assets` takes to pass.
pub(super) fn passage_takes_s(assets: usize, speed_mps: f64) -> f64 {
    2.0 * portal::REACH_M / speed_mps + GROUP_GAP_S * assets as f64
}

impl Event {
    /// What is done for it, in order of time.
    pub(super) fn acts(&self, plant: &Plant) -> Vec<(f64, Act)> {
        let at = self.begins_s;
        let mut acts = match &self.happening {
            Happening::Passage { door, assets, direction, vehicle, speed_mps, seed } => {
                self.passage(plant, *door, assets, (*direction, *vehicle, *speed_mps), *seed)
            }
            Happening::TurnedBack { door, asset, from_inside, speed_mps, seed } => {
                let mut rng = ChaCha8Rng::seed_from_u64(*seed);
                let reads = portal::turn_back(*from_inside, *speed_mps, &mut rng);
                reads_of(*door, &plant.assets[*asset].codes[..1], &reads, at)
            }
            Happening::Stray { door, asset, inside, seed } => {
                let reads = portal::stray(*inside, &mut ChaCha8Rng::seed_from_u64(*seed));
                reads_of(*door, &plant.assets[*asset].codes[..1], &reads, at)
            }
            Happening::Theft { asset } => {
                let what = What::Ghost { asset: plant.assets[*asset].id.clone() };
                vec![(at, Act::Leaves { asset: *asset }), truth(at, what)]
            }
            Happening::Overdue { asset, due_s } => {
                vec![truth(*due_s, What::Overdue { asset: plant.assets[*asset].id.clone() })]
            }
            Happening::Return { crib, asset, at_s } => {
                vec![(*at_s, Act::Appears { crib: *crib, asset: *asset })]
            }
            Happening::DoorOpened { room, shut_s, excursion } => {
                self.door_opened(plant, *room, *shut_s, *excursion)
            }
            Happening::Drive { truck, leg } => self.drive(plant, *truck, leg),
            Happening::Outage { device, source, to_s } => {
                let what = What::Outage { source: source.clone(), to_s: *to_s };
                let mut acts = fault(*device, Fault::PowerOff, at, *to_s);
                acts.push(truth(at, what));
                acts
            }
            Happening::Fault { device, fault: kind, to_s } => fault(*device, *kind, at, *to_s),
        };
        acts.sort_by(|one, other| one.0.total_cmp(&other.0));
        acts
    }

    fn passage(
        &self,
        plant: &Plant,
        door: Door,
        assets: &[usize],
        (direction, vehicle, speed_mps): (Direction, Option<usize>, f64),
        seed: u64,
    ) -> Vec<(f64, Act)> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut acts = Vec::new();
        for (place, asset) in assets.iter().enumerate() {
            let asset: &Asset = &plant.assets[*asset];
            let starts = self.begins_s + GROUP_GAP_S * place as f64;
            for code in &asset.codes {
                let reads = portal::pass(direction == Direction::In, speed_mps, &mut rng);
                acts.extend(reads_of(door, &[*code], &reads, starts));
            }
            let portal = plant.read_points[door.point].name.clone();
            let what = What::Passage { asset: asset.id.clone(), portal, direction };
            let at_s = starts + portal::REACH_M / speed_mps;
            acts.push(truth(at_s, what));
            if let Some(vehicle) = vehicle {
                let vehicle = plant.trackers[vehicle].asset.clone();
                let change = if direction == Direction::Out { Change::Began } else { Change::Ended };
                acts.push(truth(at_s, What::Carried { asset: asset.id.clone(), vehicle, change }));
            }
        }
        acts
    }

    fn door_opened(
        &self,
        plant: &Plant,
        room: usize,
        shut_s: f64,
        excursion: Option<Excursion>,
    ) -> Vec<(f64, Act)> {
        let mut acts =
            vec![(self.begins_s, Act::Door { room, open: true }), (shut_s, Act::Door { room, open: false })];
        if let Some(Excursion { began_s, ended_s }) = excursion {
            let device = &plant.modbus[room];
            let change = |change| What::Condition {
                device: device.name.clone(),
                point: device.limits[0].point.clone(),
                limit: device.limits[0].name.clone(),
                change,
            };
            acts.extend([truth(began_s, change(Change::Began)), truth(ended_s, change(Change::Ended))]);
        }
        acts
    }

    fn drive(&self, plant: &Plant, truck: usize, leg: &Leg) -> Vec<(f64, Act)> {
        let mut acts = vec![(self.begins_s, Act::Departs { truck, leg: leg.clone() })];
        acts.extend(leg.crossings.iter().map(|(at_s, fence, change)| {
            let device = plant.trackers[truck].name.clone();
            truth(*at_s, What::Geofence { device, fence: plant.fences[*fence].name.clone(), change: *change })
        }));
        for (at_s, fence, crossing) in &leg.crossings {
            let change = if *crossing == Crossing::Entered { Change::Began } else { Change::Ended };
            acts.extend(plant.doors_of(&plant.fences[*fence]).map(|door| {
                let vehicle = plant.trackers[truck].asset.clone();
                truth(*at_s, What::Docked { vehicle, door: door.name.clone(), change })
            }));
        }
        acts
    }
}

fn reads_of(door: Door, codes: &[[u8; 12]], reads: &[DoorRead], starts_s: f64) -> Vec<(f64, Act)> {
    let each = codes.iter().flat_map(|code| reads.iter().map(move |read| (code, read)));
    let acts = each.map(|(code, read)| {
        let DoorRead { at_s, antenna, rssi_dbm } = *read;
        (starts_s + at_s, Act::Read { reader: door.reader, antenna, code: *code, rssi_dbm, count: 1 })
    });
    acts.collect()
}

fn truth(at_s: f64, what: What) -> (f64, Act) {
    (at_s, Act::Truth(Happened { at_s, what }))
}

fn fault(device: Device, fault: Fault, from_s: f64, to_s: f64) -> Vec<(f64, Act)> {
    vec![(from_s, Act::FaultBegins { device, fault }), (to_s, Act::FaultEnds { device, fault })]
}
