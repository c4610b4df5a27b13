//! The company as a scenario and a seed make it: what stands where, under which names and codes.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::modbus::{POINTS, PointSpec, RegisterKind, Table, WordOrder};
use crate::mqtt::owntracks;
use crate::scenario::{Coverage, Scenario};

/// Antenna of a door's reader that looks outside, and the one that looks inside.
pub const OUTSIDE: u16 = 1;
pub const INSIDE: u16 = 2;
/// GS1 company prefix of the tags (seven digits, reserved for samples).
const COMPANY_PREFIX: u32 = 614_141;

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Plant {
    pub sites: Vec<Site>,
    pub zones: Vec<Zone>,
    pub readers: Vec<Reader>,
    pub read_points: Vec<ReadPoint>,
    pub fences: Vec<Fence>,
    pub trackers: Vec<Tracker>,
    pub modbus: Vec<ModbusDevice>,
    pub classes: Vec<Class>,
    pub assets: Vec<Asset>,
    pub checkouts: Vec<Checkout>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Site {
    pub name: String,
    /// IANA name.
    pub timezone: String,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Zone {
    pub name: String,
    pub site: String,
    pub coverage: Coverage,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Reader {
    pub name: String,
    pub site: String,
    /// What it speaks on a serial line; `None`: LLRP.
    pub serial: Option<crate::serial::Protocol>,
    pub antennas: u16,
    /// The reader reports microseconds since it booted, not UTC.
    pub uptime_only: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ReadPoint {
    pub name: String,
    pub site: String,
    pub reader: String,
    #[serde(flatten)]
    pub kind: ReadPointKind,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ReadPointKind {
    Portal {
        outside: String,
        inside: String,
        outside_antenna: u16,
        inside_antenna: u16,
        /// Where a vehicle stands that is at this door.
        bay: Option<String>,
    },
    Presence {
        zone: String,
        antennas: Vec<u16>,
        /// Hex; read several times a second while the read point works.
        reference_tag: String,
        /// Longest silence of a tag that is there, in seconds.
        longest_silence_s: f64,
    },
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Fence {
    pub name: String,
    pub site: Option<String>,
    pub zone: Option<String>,
    pub lat: f64,
    pub lon: f64,
    pub radius_m: f64,
    pub hysteresis_m: f64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Tracker {
    pub name: String,
    /// The vehicle it is in; also among the assets.
    pub asset: String,
    pub user: String,
    pub device: String,
    pub topic: String,
    pub fix_every_s: f64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ModbusDevice {
    pub name: String,
    pub site: String,
    pub zone: String,
    pub unit: u8,
    pub points: Vec<PointSpec>,
    pub limits: Vec<Limit>,
}

/// The register map's vocabulary, for those who read a plant.
pub type PointTable = Table;
pub type PointKind = RegisterKind;
pub type PointOrder = WordOrder;

/// A high limit.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Limit {
    pub point: String,
    pub name: String,
    pub threshold: f64,
    pub deadband: f64,
    pub on_delay_s: f64,
    pub off_delay_s: f64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Class {
    pub name: String,
    pub ghost_after_s: Option<f64>,
    pub overdue_grace_s: Option<f64>,
    pub needs_checkout: bool,
    pub vehicle: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Asset {
    pub id: String,
    pub class: String,
    /// `None`: a vehicle.
    pub home_zone: Option<String>,
    /// Hex, lower case.
    pub epcs: Vec<String>,
    /// The same as bytes.
    #[serde(skip)]
    pub codes: Vec<[u8; 12]>,
}

/// Who has an asset when the scenario begins.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Checkout {
    pub asset: String,
    pub holder: String,
    /// Seconds from the beginning.
    pub due_s: f64,
    /// It comes back in time.
    pub returns: bool,
}

impl Plant {
    /// Everything but the checkouts, which the plan makes.
    pub(super) fn build(scenario: &Scenario, rng: &mut ChaCha8Rng) -> Self {
        let mut serial = 0;
        let mut codes = Codes { serial: &mut serial };
        let read_points = read_points(scenario, &mut codes);
        Self {
            sites: scenario
                .sites
                .iter()
                .map(|site| Site { name: site.name.clone(), timezone: site.timezone.clone() })
                .collect(),
            zones: scenario
                .zones
                .iter()
                .map(|zone| Zone {
                    name: zone.name.clone(),
                    site: zone.site.clone(),
                    coverage: zone.coverage,
                })
                .collect(),
            readers: readers(scenario, &read_points),
            fences: fences(scenario),
            trackers: trackers(scenario),
            modbus: scenario.cold_rooms.iter().map(|room| modbus(scenario, room)).collect(),
            classes: classes(scenario),
            assets: assets(scenario, &mut codes, rng),
            read_points,
            checkouts: Vec::new(),
        }
    }

    /// The doors at which whoever is inside this fence stands.
    pub fn doors_of<'a>(&'a self, fence: &'a Fence) -> impl Iterator<Item = &'a ReadPoint> {
        let at_bay = move |point: &&ReadPoint| match &point.kind {
            ReadPointKind::Portal { bay, .. } => bay.is_some() && *bay == fence.zone,
            ReadPointKind::Presence { .. } => false,
        };
        self.read_points.iter().filter(at_bay)
    }

    pub fn asset(&self, id: &str) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.id == id)
    }
}

fn site_of(scenario: &Scenario, zone: &str) -> String {
    let found = scenario.zones.iter().find(|known| known.name == zone);
    found.map(|zone| zone.site.clone()).unwrap_or_default()
}

fn read_points(scenario: &Scenario, codes: &mut Codes<'_>) -> Vec<ReadPoint> {
    let portals = scenario.doors.iter().map(|door| ReadPoint {
        name: door.name.clone(),
        site: site_of(scenario, &door.inside),
        reader: door.reader.clone(),
        kind: ReadPointKind::Portal {
            outside: door.outside.clone(),
            inside: door.inside.clone(),
            outside_antenna: OUTSIDE,
            inside_antenna: INSIDE,
            bay: door.bay.clone(),
        },
    });
    let mut points: Vec<ReadPoint> = portals.collect();
    for crib in &scenario.cribs {
        points.push(ReadPoint {
            name: crib.name.clone(),
            site: site_of(scenario, &crib.zone),
            reader: crib.reader.clone(),
            kind: ReadPointKind::Presence {
                zone: crib.zone.clone(),
                antennas: (1..=crib.antennas).collect(),
                reference_tag: hex(&codes.next()),
                longest_silence_s: super::presence::LONGEST_SILENCE_S,
            },
        });
    }
    points
}

fn readers(scenario: &Scenario, points: &[ReadPoint]) -> Vec<Reader> {
    let first_site = scenario.sites.first().map(|site| site.name.clone()).unwrap_or_default();
    let readers = scenario.readers.iter().map(|reader| Reader {
        name: reader.name.clone(),
        site: points
            .iter()
            .find(|point| point.reader == reader.name)
            .map_or_else(|| first_site.clone(), |point| point.site.clone()),
        serial: reader.serial,
        antennas: reader.antennas,
        uptime_only: reader.uptime_only,
    });
    readers.collect()
}

fn fences(scenario: &Scenario) -> Vec<Fence> {
    let fences = scenario.fences.iter().map(|fence| Fence {
        name: fence.name.clone(),
        site: fence.site.clone(),
        zone: fence.zone.clone(),
        lat: fence.lat,
        lon: fence.lon,
        radius_m: fence.radius_m,
        hysteresis_m: fence.hysteresis_m,
    });
    fences.collect()
}

fn trackers(scenario: &Scenario) -> Vec<Tracker> {
    let trackers = scenario.trucks.iter().map(|truck| Tracker {
        name: truck.name.clone(),
        asset: truck.name.clone(),
        user: truck.user.clone(),
        device: truck.device.clone(),
        topic: owntracks::topic(&truck.user, &truck.device),
        fix_every_s: truck.fix_every_s,
    });
    trackers.collect()
}

fn modbus(scenario: &Scenario, room: &crate::scenario::ColdRoom) -> ModbusDevice {
    ModbusDevice {
        name: room.name.clone(),
        site: site_of(scenario, &room.zone),
        zone: room.zone.clone(),
        unit: room.unit,
        points: POINTS.to_vec(),
        limits: vec![Limit {
            point: POINTS[0].name.to_owned(),
            name: room.limit.name.clone(),
            threshold: room.limit.threshold_c,
            deadband: room.limit.deadband_c,
            on_delay_s: room.limit.on_delay_s,
            off_delay_s: room.limit.off_delay_s,
        }],
    }
}

fn classes(scenario: &Scenario) -> Vec<Class> {
    let classes = scenario.classes.iter().map(|class| Class {
        name: class.name.clone(),
        ghost_after_s: class.ghost_after_s,
        overdue_grace_s: class.overdue_grace_s,
        needs_checkout: class.needs_checkout,
        vehicle: class.vehicle,
    });
    classes.collect()
}

fn assets(scenario: &Scenario, codes: &mut Codes<'_>, rng: &mut ChaCha8Rng) -> Vec<Asset> {
    let mut assets: Vec<Asset> = Vec::new();
    for group in &scenario.assets {
        let already =
            assets.iter().filter(|asset| asset.id.starts_with(&format!("{}-", group.prefix))).count();
        for number in 1..=group.count {
            let two = rng.random_bool(group.two_tags);
            let codes: Vec<[u8; 12]> = (0..1 + usize::from(two)).map(|_| codes.next()).collect();
            assets.push(Asset {
                id: format!("{}-{:03}", group.prefix, already + number),
                class: group.class.clone(),
                home_zone: Some(group.zone.clone()),
                epcs: codes.iter().map(hex).collect(),
                codes,
            });
        }
    }
    // Codes were handed out in the order of the ids; a company's tags are not in order.
    let mut shuffled: Vec<usize> = (0..assets.len()).collect();
    shuffled.shuffle(rng);
    for pair in shuffled.chunks_exact(2) {
        if assets[pair[0]].codes.len() == assets[pair[1]].codes.len() {
            let codes = std::mem::take(&mut assets[pair[0]].codes);
            let other = std::mem::replace(&mut assets[pair[1]].codes, codes);
            assets[pair[0]].codes = other;
        }
    }
    for asset in &mut assets {
        asset.epcs = asset.codes.iter().map(hex).collect();
    }
    assets.extend(scenario.trucks.iter().map(|truck| Asset {
        id: truck.name.clone(),
        class: truck.class.clone(),
        home_zone: None,
        epcs: Vec::new(),
        codes: Vec::new(),
    }));
    assets
}

struct Codes<'a> {
    serial: &'a mut u64,
}

impl Codes<'_> {
    /// GIAI-96 (GS1 TDS, section 14.6.4): header, filter 0, partition 5, company prefix, reference.
    fn next(&mut self) -> [u8; 12] {
        *self.serial += 1;
        giai_96(COMPANY_PREFIX, 10_000 + *self.serial)
    }
}

fn giai_96(company: u32, reference: u64) -> [u8; 12] {
    let code = 0x34u128 << 88 | 5u128 << 82 | u128::from(company) << 58 | u128::from(reference);
    let mut bytes = [0; 12];
    bytes.copy_from_slice(&code.to_be_bytes()[4..]);
    bytes
}

pub(crate) fn hex(code: &[u8; 12]) -> String {
    code.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0x34, then 000 101, then 24 bits of 614141 (0x095efd), then 58 bits of 1.
    #[test]
    fn a_giai_is_these_bits() {
        let bits: String = giai_96(614_141, 1).iter().map(|byte| format!("{byte:08b}")).collect();
        assert_eq!(bits, format!("00110100{}{:024b}{:058b}", "000101", 614_141, 1));
    }
}
