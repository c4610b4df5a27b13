//! The company as the scenario makes it: what stands where, under which names and codes.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::scenario::Scenario;
use crate::scenario::Coverage;

#[derive(Clone, Debug)]
pub struct Company {
    pub scenario: Scenario,
    pub zones: Vec<Zone>,
    pub shelves: Vec<Shelf>,
    pub doors: Vec<Door>,
    pub readers: Vec<Reader>,
    pub things: Vec<Thing>,
    pub vehicles: Vec<Vehicle>,
}

/// What tells that a vehicle stands at a door.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Docks {
    /// Nothing: none comes.
    #[default]
    None,
    /// Its tracker, in a fence around the bay.
    Fence,
    /// Its tag, heard by an antenna that looks into the bay.
    Tag,
}

#[derive(Clone, Debug)]
pub struct Zone {
    pub name: String,
    pub site: usize,
    pub coverage: Coverage,
    pub shelf: Option<usize>,
    pub doors: Vec<usize>,
    pub docks: Docks,
}

/// Where a continuous zone is listened to.
#[derive(Clone, Debug)]
pub struct Shelf {
    pub name: String,
    pub reader: usize,
    pub zone: usize,
    pub antennas: u16,
    pub reference: [u8; 12],
}

/// Between a zone and the outside of its site. Antenna 1 looks outside, antenna 2 inside.
#[derive(Clone, Debug)]
pub struct Door {
    pub name: String,
    pub reader: usize,
    pub zone: usize,
    /// Latitude and longitude.
    pub place: (f64, f64),
    /// A tag fixed in the bay, where an antenna looks into it.
    pub reference: Option<[u8; 12]>,
}

#[derive(Clone, Debug)]
pub struct Reader {
    pub name: String,
    pub site: usize,
}

#[derive(Clone, Debug)]
pub struct Thing {
    pub id: String,
    pub class: usize,
    pub zone: usize,
    pub tags: Vec<[u8; 12]>,
}

#[derive(Clone, Debug)]
pub struct Vehicle {
    pub id: String,
    pub class: usize,
    pub site: usize,
    /// As OwnTracks has it: `user/device`.
    pub tracker: String,
    /// Where there are doors that look for it.
    pub tag: Option<[u8; 12]>,
}

/// Codes of tags, one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Codes(u64);

impl Codes {
    pub fn next(&mut self) -> [u8; 12] {
        self.0 += 1;
        let mut code = [0x34, 0x25, 0x7b, 0xf7, 0, 0, 0, 0, 0, 0, 0, 0];
        code[4..].copy_from_slice(&self.0.to_be_bytes());
        code
    }
}

impl Company {
    pub(super) fn new(scenario: &Scenario, codes: &mut Codes, rng: &mut ChaCha8Rng) -> Self {
        let mut company = Self {
            scenario: scenario.clone(),
            zones: Vec::new(),
            shelves: Vec::new(),
            doors: Vec::new(),
            readers: Vec::new(),
            things: Vec::new(),
            vehicles: Vec::new(),
        };
        company.build(codes);
        company.stock(codes, rng);
        company
    }

    /// The broker that a site's vehicles send to.
    pub fn broker(&self, site: usize) -> String {
        format!("{}-broker", self.scenario.sites[site].name)
    }

    /// The zone in front of a site's doors.
    pub fn outside(&self, site: usize) -> String {
        format!("{}-outside", self.scenario.sites[site].name)
    }

    /// The antenna of a door's reader that looks into its bay.
    pub const BAY_ANTENNA: u16 = 3;

    /// The zone in which a vehicle stands that is at this door.
    pub fn bay(&self, door: &Door) -> String {
        format!("{}-bay", door.name)
    }

    pub(super) fn docks_of(&self, door: &str) -> Docks {
        let found = self.doors.iter().find(|known| known.name == door);
        found.map_or(Docks::None, |door| self.zones[door.zone].docks)
    }

    fn site(&self, name: &str) -> usize {
        self.scenario.sites.iter().position(|site| site.name == name).unwrap_or_default()
    }

    fn class(&self, name: &str) -> usize {
        self.scenario.classes.iter().position(|class| class.name == name).unwrap_or_default()
    }

    fn build(&mut self, codes: &mut Codes) {
        for group in self.scenario.zones.clone() {
            let site = self.site(&group.site);
            for number in 1..=group.count {
                let name = format!("{}-{number}", group.prefix);
                let zone = self.zones.len();
                let shelf = (group.coverage == Coverage::Continuous).then_some(self.shelves.len());
                if shelf.is_some() {
                    let reader = self.add_reader(format!("{name}-reader"), site);
                    let (name, reference) = (format!("{name}-shelf"), codes.next());
                    self.shelves.push(Shelf { name, reader, zone, antennas: group.antennas, reference });
                }
                let mut doors = Vec::new();
                for door in 1..=group.doors {
                    let reader = self.add_reader(format!("{name}-door-{door}-reader"), site);
                    doors.push(self.doors.len());
                    // One beside the other.
                    let place = (52.0 + 0.002 * self.doors.len() as f64, 9.0 + site as f64);
                    let reference = (group.docks == Docks::Tag).then(|| codes.next());
                    self.doors.push(Door {
                        name: format!("{name}-door-{door}"),
                        reader,
                        zone,
                        place,
                        reference,
                    });
                }
                let (coverage, docks) = (group.coverage, group.docks);
                self.zones.push(Zone { name, site, coverage, shelf, doors, docks });
            }
        }
    }

    fn add_reader(&mut self, name: String, site: usize) -> usize {
        self.readers.push(Reader { name, site });
        self.readers.len() - 1
    }

    fn stock(&mut self, codes: &mut Codes, rng: &mut ChaCha8Rng) {
        for group in self.scenario.assets.clone() {
            let class = self.class(&group.class);
            let first = self.zones.iter().position(|zone| zone.name == format!("{}-1", group.zone));
            let zones = self.scenario.zones.iter().find(|zone| zone.prefix == group.zone);
            let (first, zones) = (first.unwrap_or_default(), zones.map_or(1, |zone| zone.count));
            for number in 0..group.count {
                let tags = 1 + usize::from(rng.random_bool(group.two_tags));
                self.things.push(Thing {
                    id: format!("{}-{:05}", group.prefix, number + 1),
                    class,
                    zone: first + number % zones,
                    tags: (0..tags).map(|_| codes.next()).collect(),
                });
            }
        }
        let tags = self.zones.iter().any(|zone| zone.docks == Docks::Tag);
        for group in self.scenario.vehicles.clone() {
            let (class, site) = (self.class(&group.class), self.site(&group.site));
            for number in 1..=group.count {
                let id = format!("{}-{number:05}", group.prefix);
                let tracker = format!("fleet/{}", id.to_lowercase());
                let tag = tags.then(|| codes.next());
                self.vehicles.push(Vehicle { id, class, site, tracker, tag });
            }
        }
    }
}
