//! Vehicles: legs between way points, where these cross fences, and what a receiver makes of a place.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::plant::Fence;
use super::script::Act;
use crate::dice::normal;
use crate::scenario::WayPoint;
use crate::truth::Crossing;

/// Metres in a degree of latitude, on a sphere of the earth's mean radius.
const DEGREE_M: f64 = 6_371_008.8 * std::f64::consts::PI / 180.0;
/// How long a receiver's error stays about the same.
const WANDERS_IN_S: f64 = 20.0;

/// A straight way at one speed.
#[derive(Clone, PartialEq, Debug)]
pub struct Leg {
    pub from: (f64, f64),
    pub to: (f64, f64),
    pub departs_s: f64,
    pub arrives_s: f64,
    pub speed_mps: f64,
    /// When, which fence of the plant, and which way; in order.
    pub crossings: Vec<(f64, usize, Crossing)>,
}

impl Leg {
    pub fn new(from: &WayPoint, to: &WayPoint, departs_s: f64, speed_mps: f64, fences: &[Fence]) -> Self {
        let (from, to) = ((from.lat, from.lon), (to.lat, to.lon));
        let (x, y) = offset_m(from, to);
        let length = x.hypot(y);
        let takes = length / speed_mps;
        let mut crossings = Vec::new();
        for (index, fence) in fences.iter().enumerate() {
            for (share, change) in crossings_of(from, to, fence) {
                crossings.push((departs_s + share * takes, index, change));
            }
        }
        crossings.sort_by(|one, other| one.0.total_cmp(&other.0));
        Self { from, to, departs_s, arrives_s: departs_s + takes, speed_mps, crossings }
    }

    /// Latitude and longitude at a time; before and behind the leg its ends.
    pub fn place(&self, at_s: f64) -> (f64, f64) {
        let takes = self.arrives_s - self.departs_s;
        let share = if takes > 0.0 { ((at_s - self.departs_s) / takes).clamp(0.0, 1.0) } else { 1.0 };
        (self.from.0 + share * (self.to.0 - self.from.0), self.from.1 + share * (self.to.1 - self.from.1))
    }

    fn course_deg(&self) -> f64 {
        let (east, north) = offset_m(self.from, self.to);
        east.atan2(north).to_degrees().rem_euclid(360.0)
    }
}

/// Metres east and north from one place to another, near enough for a few kilometres.
fn offset_m(from: (f64, f64), to: (f64, f64)) -> (f64, f64) {
    let middle = ((from.0 + to.0) / 2.0).to_radians();
    ((to.1 - from.1) * DEGREE_M * middle.cos(), (to.0 - from.0) * DEGREE_M)
}

impl crate::scenario::Fence {
    /// Whether a place is inside.
    pub(crate) fn holds(&self, lat: f64, lon: f64) -> bool {
        let (east, north) = offset_m((self.lat, self.lon), (lat, lon));
        east.hypot(north) < self.radius_m
    }
}

/// Where a straight way crosses a circle, as shares of the way.
fn crossings_of(from: (f64, f64), to: (f64, f64), fence: &Fence) -> Vec<(f64, Crossing)> {
    let centre = (fence.lat, fence.lon);
    let (ax, ay) = offset_m(centre, from);
    let (bx, by) = offset_m(centre, to);
    let (dx, dy) = (bx - ax, by - ay);
    let (a, b) = (dx * dx + dy * dy, ax * dx + ay * dy);
    let c = ax * ax + ay * ay - fence.radius_m * fence.radius_m;
    let root = b * b - a * c;
    if a == 0.0 || root <= 0.0 {
        return Vec::new();
    }
    let shares = [(-b - root.sqrt()) / a, (-b + root.sqrt()) / a];
    let each = shares.into_iter().zip([Crossing::Entered, Crossing::Exited]);
    each.filter(|(share, _)| (0.0..=1.0).contains(share)).collect()
}

/// A vehicle on its way, and its receiver.
#[derive(Clone, Debug)]
pub struct Vehicle {
    truck: usize,
    leg: Leg,
    noise_m: f64,
    /// East and north, metres.
    error: (f64, f64),
    every_s: f64,
    next_s: f64,
    rng: ChaCha8Rng,
}

impl Vehicle {
    /// Parked at `start`; its first fix comes within one interval.
    pub fn parked(truck: usize, start: &WayPoint, noise_m: f64, every_s: f64, mut rng: ChaCha8Rng) -> Self {
        let leg = Leg::new(start, start, 0.0, 1.0, &[]);
        let next_s = rng.random_range(0.0..every_s.min(1.0));
        Self { truck, leg, noise_m, error: (0.0, 0.0), every_s, next_s, rng }
    }

    pub fn departs(&mut self, leg: Leg) {
        self.leg = leg;
    }

    pub fn next_at(&self) -> f64 {
        self.next_s
    }

    /// The fix that is due at [`Self::next_at`].
    pub fn fix(&mut self) -> Act {
        let at_s = self.next_s;
        self.next_s += self.every_s;
        let keeps = (-self.every_s / WANDERS_IN_S).exp();
        let adds = self.noise_m * (1.0 - keeps * keeps).sqrt();
        let (east, north) = (normal(&mut self.rng), normal(&mut self.rng));
        self.error = (keeps * self.error.0 + adds * east, keeps * self.error.1 + adds * north);
        let (lat, lon) = self.leg.place(at_s);
        let moving = at_s >= self.leg.departs_s && at_s < self.leg.arrives_s;
        Act::Fix {
            truck: self.truck,
            lat: round(lat + self.error.1 / DEGREE_M),
            lon: round(lon + self.error.0 / (DEGREE_M * lat.to_radians().cos())),
            accuracy_m: self.noise_m * 2.0 + self.rng.random_range(0.0..3.0),
            speed_kmh: if moving { self.leg.speed_mps * 3.6 } else { 0.0 },
            course_deg: if moving { self.leg.course_deg() } else { 0.0 },
        }
    }
}

/// Trackers send six to seven decimals.
fn round(degrees: f64) -> f64 {
    (degrees * 1e7).round() / 1e7
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn point(lat: f64, lon: f64) -> WayPoint {
        WayPoint { lat, lon, dwell_s: 0.0, door: None, loads: 0 }
    }

    fn fence() -> Fence {
        Fence {
            name: "f".into(),
            site: None,
            zone: None,
            lat: 0.0,
            lon: 0.0,
            radius_m: 100.0,
            hysteresis_m: 10.0,
        }
    }

    #[test]
    fn a_way_through_a_circle_enters_and_exits_at_its_edge() {
        let metre = 1.0 / DEGREE_M;
        let leg = Leg::new(&point(0.0, -300.0 * metre), &point(0.0, 300.0 * metre), 10.0, 20.0, &[fence()]);
        let at: Vec<_> = leg.crossings.iter().map(|(at, _, change)| (at.round(), *change)).collect();
        assert_eq!(at, [(20.0, Crossing::Entered), (30.0, Crossing::Exited)]);
        assert!((leg.arrives_s - 40.0).abs() < 1e-6);
    }

    #[test]
    fn a_way_that_ends_inside_only_enters_and_one_beside_does_neither() {
        let metre = 1.0 / DEGREE_M;
        let inside = Leg::new(&point(0.0, -300.0 * metre), &point(0.0, 0.0), 0.0, 20.0, &[fence()]);
        assert_eq!(inside.crossings.len(), 1);
        let beside = Leg::new(
            &point(101.0 * metre, -300.0 * metre),
            &point(101.0 * metre, 300.0 * metre),
            0.0,
            20.0,
            &[fence()],
        );
        assert!(beside.crossings.is_empty());
    }

    #[test]
    fn a_receivers_error_wanders_and_stays_in_bounds() {
        let rng = ChaCha8Rng::seed_from_u64(3);
        let mut parked = Vehicle::parked(0, &point(50.0, 10.0), 3.0, 1.0, rng);
        let places: Vec<f64> = (0..600)
            .map(|_| match parked.fix() {
                Act::Fix { lat, .. } => (lat - 50.0) * DEGREE_M,
                other => panic!("{other:?}"),
            })
            .collect();
        let deviation = (places.iter().map(|m| m * m).sum::<f64>() / 600.0).sqrt();
        assert!((1.5..5.0).contains(&deviation), "{deviation} m");
        let step = places.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum::<f64>() / 599.0;
        assert!(step < deviation, "a step of {step} m is no wandering");
    }
}
