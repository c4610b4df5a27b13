//! What a fix costs with 10,000 fences, beside 10 in the same run.
//!
//! `cargo bench --bench fences`. 1,000 trackers drive about a town of 20 km; each of the sizes has the same ten fences that
//! they visit, and the larger one 9,990 others over the country: circles, polygons and corridors. Cleaning alone, from
//! a decoded fix to its sightings. The two sizes are measured in turns, and the medians compared: at most twice.

use std::f64::consts::TAU;

use anyhow::{Result, ensure};
use tallyman::clean::{Cleaned, Cleaner};
use tallyman::config::{FenceConfig, IntakeConfig, Rules};
use tallyman::domain::geodesy::Position;
use tallyman::domain::ids::{DeviceId, Digest, SourceId};
use tallyman::domain::readings::{Fix, Reading};
use tallyman::domain::shape::Shape;
use tallyman::domain::sightings::{Seen, Sighting};
use tallyman::domain::time::Timestamp;

mod clock;

/// The daemon's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FEW: usize = 10;
const MANY: usize = 10_000;
const TRACKERS: usize = 1000;
const ROUNDS: usize = 9;
const FIXES_A_ROUND: usize = 100_000;
const MOST: f64 = 2.0;

fn place(north_km: f64, east_km: f64) -> Position {
    Position { lat: 51.0 + north_km / 111.2, lon: 9.0 + east_km / 70.0 }
}

/// The first ten in the town, the others over 600 km, of three kinds.
fn fences(count: usize) -> Result<Vec<FenceConfig>> {
    let fence = |number: usize| {
        // Steps of the golden section lie evenly, and on no grid.
        let part = |by: f64| (number as f64 * by).fract() - 0.5;
        let across = if number < FEW { 20.0 } else { 600.0 };
        let (north, east) = (across * part(0.618_033_988_75), across * part(0.754_877_666_25));
        let corner = |turn: f64| place(north + 0.3 * (TAU * turn).sin(), east + 0.3 * (TAU * turn).cos());
        let shape = match number % 3 {
            0 => Shape::circle(place(north, east), 250.0),
            1 => Shape::polygon(&[vec![(0..24).map(|nth| corner(f64::from(nth) / 24.0)).collect()]])?,
            _ => Shape::corridor(&[vec![place(north, east), place(north + 8.0, east + 6.0)]], 50.0)?,
        };
        Ok(FenceConfig::new(format!("fence-{number:05}"), shape))
    };
    (0..count).map(fence).collect()
}

struct Fleet {
    cleaner: Cleaner,
    out: Cleaned,
    second: i64,
}

impl Fleet {
    fn new(fences: usize) -> Result<Self> {
        let rules = Rules { fences: self::fences(fences)?, ..Rules::default() };
        Ok(Self {
            cleaner: Cleaner::new(&rules, &IntakeConfig::default()),
            out: Cleaned::default(),
            second: 0,
        })
    }

    /// Nanoseconds a fix, and how often a fence was entered or left.
    fn round(&mut self, devices: &[DeviceId], source: &SourceId) -> Result<(f64, usize)> {
        let (mut rows, mut visits) = (Vec::new(), 0);
        let before = clock::of_a_core()?;
        for _ in 0..FIXES_A_ROUND / TRACKERS {
            self.second += 10;
            for (number, device) in devices.iter().enumerate() {
                let fix = fix(device, number, self.second);
                let at = fix.observed_at;
                self.cleaner.reading(Reading::Fix(fix), source, at, &mut self.out);
            }
            let is_visit = |sighting: &&Sighting| matches!(sighting.what, Seen::Fence { .. });
            visits += self.out.sightings.iter().filter(is_visit).count();
            self.out.sightings.clear();
            self.cleaner.take_dirty(&mut rows);
            rows.clear();
        }
        let took = clock::of_a_core()? - before;
        Ok((took.as_nanos() as f64 / FIXES_A_ROUND as f64, visits))
    }
}

/// Each on a circle of its own through the town, at some 15 m/s.
fn fix(device: &DeviceId, number: usize, second: i64) -> Fix {
    let radius_km = 2.0 + (number % 80) as f64 / 10.0;
    let turn = number as f64 * 0.618 + second as f64 * 0.015 / radius_km;
    Fix {
        accuracy_m: Some(5.0),
        speed_mps: Some(15.0),
        ..Fix::bare(
            device.clone(),
            Timestamp::from_secs(1_780_000_000 + second),
            place(radius_km * turn.sin(), radius_km * turn.cos()),
            Digest((second as u64) << 16 | number as u64),
        )
    }
}

fn main() -> Result<()> {
    let devices: Vec<DeviceId> = (0..TRACKERS).map(|nth| DeviceId::new(format!("fleet/{nth}"))).collect();
    let source = SourceId::new("broker");
    let (mut few, mut many) = (Fleet::new(FEW)?, Fleet::new(MANY)?);
    let (mut with_few, mut with_many, mut visits) = (Vec::new(), Vec::new(), [0, 0]);
    for _ in 0..ROUNDS {
        let (took, said) = few.round(&devices, &source)?;
        with_few.push(took);
        visits[0] += said;
        let (took, said) = many.round(&devices, &source)?;
        with_many.push(took);
        visits[1] += said;
    }
    let (few, many) = (clock::median(with_few), clock::median(with_many));
    println!(
        "{TRACKERS} trackers, {ROUNDS} rounds of {FIXES_A_ROUND} fixes, medians; entered or left {visits:?} times"
    );
    println!("{FEW} fences: {few:.0} ns a fix; {MANY} fences: {many:.0} ns a fix; ratio {:.2}", many / few);
    ensure!(visits[1] >= visits[0] && visits[0] > TRACKERS, "the fleet visits fences");
    ensure!(many <= MOST * few, "{MANY} fences cost more than {MOST} times what {FEW} do");
    Ok(())
}
