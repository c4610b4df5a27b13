//! The way of a wave from an antenna to a tag: a complex amplitude, of which the square of the magnitude is
//! the share of power that arrives. The way back is the same (reciprocity), so a read loses it twice.
//!
//! ```text
//! direct wave + floor's reflection (+ a truck's) : Friis, patterns, polarisation, shadows, the wall
//! diffuse field : plane waves from all around, frozen in space; fades every half wavelength
//! ```

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::{PI, TAU};

use super::geometry::{Block, Point};
use super::parameters::*;

#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Complex {
    pub re: f64,
    pub im: f64,
}

impl Complex {
    fn polar(magnitude: f64, angle: f64) -> Self {
        Self { re: magnitude * angle.cos(), im: magnitude * angle.sin() }
    }

    fn add(&mut self, other: Self) {
        self.re += other.re;
        self.im += other.im;
    }

    pub fn power(self) -> f64 {
        self.re * self.re + self.im * self.im
    }

    pub fn angle(self) -> f64 {
        self.im.atan2(self.re)
    }
}

/// An antenna on its pole, with the diffuse field that it makes.
#[derive(Clone, Debug)]
pub struct Antenna {
    pub at: Point,
    pub looks: Point,
    pub axial_db: f64,
    waves: Vec<Wave>,
}

#[derive(Clone, Copy, Debug)]
struct Wave {
    from: Point,
    phase: f64,
    detour_m: f64,
    moves_mps: f64,
}

/// What stands or moves about, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    pub obstacles: Vec<Obstacle>,
    /// The side of a lorry: the plane x, from y to y, up to z.
    pub mirror: Option<(f64, f64, f64)>,
    /// Middle of each door along y.
    pub doors: Vec<f64>,
    pub k_db: f64,
    pub time_s: f64,
}

#[derive(Clone, Copy, Debug)]
pub struct Obstacle {
    pub block: Block,
    /// For each metre of way within; and for touching it at all.
    pub db_per_m: f64,
    pub db: f64,
}

/// A tag where it is just now.
#[derive(Clone, Copy, Debug)]
pub struct TagAt {
    pub at: Point,
    /// Its dipole's direction.
    pub axis: Point,
}

fn db(decibels: f64) -> f64 {
    10.0_f64.powf(decibels / 10.0)
}

impl Antenna {
    pub fn new(at: Point, looks: Point, dice: &mut ChaCha8Rng) -> Self {
        let waves = (0..WAVES).map(|nth| Wave::new(nth < MOVING_WAVES, dice)).collect();
        let axial_db = dice.random_range(-AXIAL_RATIO_DB..AXIAL_RATIO_DB) / 2.0;
        Self { at, looks: looks.unit(), axial_db, waves }
    }

    /// Gain towards a direction: parabolic in dB down to the back lobe, as 3GPP TR 36.814 table A.2.1.1-2
    /// has it for panel antennas.
    fn gain_db(&self, towards: Point) -> f64 {
        let off_deg = self.looks.dot(towards).clamp(-1.0, 1.0).acos().to_degrees();
        ANTENNA_GAIN_DBI - (12.0 * (off_deg / BEAM_DEG).powi(2)).min(FRONT_TO_BACK_DB)
    }

    /// The amplitude that arrives at a tag, for a carrier in Hz.
    pub fn reach(&self, tag: &TagAt, scene: &Scene, hz: f64) -> Complex {
        let number = TAU * hz / LIGHT_MPS;
        let shadow = shadow_db(self.at, tag.at, scene);
        let mut sum = self.path(self.at, 1.0, tag, number, shadow);
        let floor = Point::new(self.at.x, self.at.y, -self.at.z);
        let off = tag.at - floor;
        sum.add(self.path(floor, floor_reflection(off.z.abs() / off.length()), tag, number, shadow));
        if let Some((x, from_y, to_y)) = scene.mirror {
            let image = Point::new(2.0 * x - self.at.x, self.at.y, self.at.z);
            let way = tag.at - image;
            let meets_y = image.y + way.y * (x - image.x) / way.x;
            if (from_y..to_y).contains(&meets_y) && tag.at.x > x {
                // It comes from the other side: what shadows the tag from the antenna does not stand there.
                sum.add(self.path(image, -TRUCK_REFLECTS, tag, number, 0.0));
            }
        }
        sum.add(self.diffuse(tag, scene, number, shadow));
        sum
    }

    /// One wave from the antenna, or from its mirror image at `from`.
    fn path(&self, from: Point, reflects: f64, tag: &TagAt, number: f64, shadow: f64) -> Complex {
        let way = tag.at - from;
        let (length, towards) = (way.length().max(0.2), way.unit());
        let left = if from == self.at {
            towards
        } else {
            // A mirror image sends where the antenna sends by way of the mirror.
            let mirrored = from - self.at;
            let turned = |part: f64, moved: f64| if moved.abs() > 1e-9 { -part } else { part };
            Point::new(turned(towards.x, mirrored.x), towards.y, turned(towards.z, mirrored.z))
        };
        let gain_db =
            self.gain_db(left) + dipole_db(tag.axis, towards) - POLARISATION_DB + self.axial_db - shadow;
        let magnitude = db(gain_db).sqrt() * reflects.abs() / (2.0 * number * length);
        let turned = if reflects < 0.0 { PI } else { 0.0 };
        Complex::polar(magnitude, turned - number * length)
    }

    fn diffuse(&self, tag: &TagAt, scene: &Scene, number: f64, shadow: f64) -> Complex {
        let away = (tag.at - self.at).length() + DIFFUSE_FROM_M;
        let power_db = ANTENNA_GAIN_DBI - POLARISATION_DB - scene.k_db - DIFFUSE_SHADOW * shadow;
        let each = (db(power_db) / self.waves.len() as f64).sqrt() / (2.0 * number * away);
        let mut sum = Complex::default();
        for wave in &self.waves {
            let way = wave.from.dot(tag.at) - wave.detour_m - wave.moves_mps * scene.time_s;
            sum.add(Complex::polar(each, wave.phase + number * way));
        }
        sum
    }
}

impl Wave {
    fn new(moves: bool, dice: &mut ChaCha8Rng) -> Self {
        let round = dice.random_range(0.0..TAU);
        let up: f64 = dice.random_range(-0.4..0.4);
        let level = (1.0 - up * up).sqrt();
        Self {
            from: Point::new(level * round.cos(), level * round.sin(), up),
            phase: dice.random_range(0.0..TAU),
            detour_m: dice.random_range(DETOUR_M[0]..DETOUR_M[1]),
            moves_mps: if moves { dice.random_range(-MOVING_MPS..MOVING_MPS) } else { 0.0 },
        }
    }
}

/// Fresnel's coefficient of the floor, the mean of both polarisations' magnitudes: a circular wave has both.
/// `sine` is that of the angle between ray and floor.
fn floor_reflection(sine: f64) -> f64 {
    let cosine_squared = 1.0 - sine * sine;
    let root = (FLOOR_PERMITTIVITY - cosine_squared).sqrt();
    let level = (sine - root) / (sine + root);
    let upright = (FLOOR_PERMITTIVITY * sine - root) / (FLOOR_PERMITTIVITY * sine + root);
    (level + upright) / 2.0
}

fn dipole_db(axis: Point, towards: Point) -> f64 {
    let cosine = axis.dot(towards).clamp(-1.0, 1.0);
    let sine = (1.0 - cosine * cosine).sqrt().max(1e-6);
    let shape = ((PI / 2.0 * cosine).cos() / sine).powi(2);
    DIPOLE_DBI + (10.0 * shape.max(1e-9).log10()).max(-NULL_DB)
}

/// What stands between, and the wall beside the door.
fn shadow_db(from: Point, to: Point, scene: &Scene) -> f64 {
    let mut loss = 0.0;
    for obstacle in &scene.obstacles {
        let within = obstacle.block.within(from, to);
        if within > 0.0 {
            loss += obstacle.db * (within / 0.2).min(1.0) + obstacle.db_per_m * within;
        }
    }
    if (from.x < 0.0) != (to.x < 0.0) {
        let meets_y = from.y + (to.y - from.y) * from.x / (from.x - to.x);
        let through = scene.doors.iter().any(|door| (meets_y - door).abs() < DOOR_HALF_WIDTH_M);
        loss += if through { 0.0 } else { WALL_DB };
    }
    loss.min(MOST_SHADOW_DB)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn antenna(seed: u64) -> Antenna {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        Antenna::new(Point::new(0.0, 0.0, 1.2), Point::new(1.0, 0.0, 0.0), &mut dice)
    }

    fn tag(x: f64, y: f64) -> TagAt {
        TagAt { at: Point::new(x, y, 1.2), axis: Point::new(0.0, 1.0, 0.0) }
    }

    fn scene(k_db: f64) -> Scene {
        Scene { k_db, doors: vec![0.0], ..Scene::default() }
    }

    fn mean_db(antenna: &Antenna, x: f64, scene: &Scene) -> f64 {
        let powers =
            (0..400).map(|nth| antenna.reach(&tag(x + f64::from(nth) * 0.002, 0.0), scene, 866.3e6).power());
        10.0 * (powers.sum::<f64>() / 400.0).log10()
    }

    #[test]
    fn free_space_loses_six_decibels_a_doubling() {
        let still = scene(60.0);
        // Near the antenna the floor is far.
        let near = mean_db(&antenna(1), 1.0, &still) - mean_db(&antenna(1), 2.8, &still);
        assert!((6.0..10.5).contains(&near), "{near}");
    }

    #[test]
    fn the_field_behind_is_weaker_by_the_front_to_back_ratio() {
        let (still, antenna) = (scene(60.0), antenna(2));
        let ahead = antenna.reach(&tag(1.0, 0.0), &still, 866.3e6).power();
        let behind = antenna.reach(&tag(-1.0, 0.0), &Scene { doors: vec![0.0], ..still }, 866.3e6).power();
        let ratio = 10.0 * (ahead / behind).log10();
        assert!((ratio - FRONT_TO_BACK_DB).abs() < 4.0, "{ratio}");
    }

    #[test]
    fn fading_is_frozen_in_space_and_gone_within_half_a_wavelength() {
        let (fades, antenna) = (scene(-30.0), antenna(3));
        let at = |x: f64| 10.0 * antenna.reach(&tag(x, 0.0), &fades, 866.3e6).power().log10();
        assert_eq!(at(3.0), at(3.0));
        let pairs = |apart: f64| {
            let differences = (0..500).map(|nth| {
                let x = 2.0 + f64::from(nth) * 0.05;
                (at(x) - at(x + apart)).abs()
            });
            differences.sum::<f64>() / 500.0
        };
        assert!(pairs(0.02) < 2.0, "{}", pairs(0.02));
        assert!(pairs(0.17) > 4.0, "{}", pairs(0.17));
    }

    #[test]
    fn phase_turns_with_the_way() {
        let (still, antenna) = (scene(80.0), antenna(4));
        let step = 0.005;
        let mut turned = 0.0;
        for nth in 0..100 {
            let angle = |x: f64| antenna.reach(&tag(x, 0.0), &still, 866.3e6).angle();
            let x = 1.0 + f64::from(nth) * step;
            let by = (angle(x) - angle(x + step)).rem_euclid(TAU);
            turned += if by > PI { by - TAU } else { by };
        }
        let expected = TAU * 866.3e6 / LIGHT_MPS * 0.5;
        assert!((turned / expected - 1.0).abs() < 0.15, "{turned} {expected}");
    }

    #[test]
    fn metal_in_the_way_shadows_and_the_wall_beside_the_door_too() {
        let antenna = antenna(5);
        let block = Block::around(Point::new(1.5, 0.0, 1.0), [1.0, 1.0, 2.0]);
        let mut blocked = scene(60.0);
        let free = mean_db(&antenna, 3.0, &blocked);
        blocked.obstacles.push(Obstacle { block, db_per_m: 0.0, db: FORKLIFT_DB });
        let lost = free - mean_db(&antenna, 3.0, &blocked);
        assert!((lost - FORKLIFT_DB).abs() < 3.0, "{lost}");
        let (inside, outside) = (Point::new(1.0, 3.0, 1.0), Point::new(-1.0, 3.0, 1.0));
        assert_eq!(shadow_db(inside, outside, &scene(60.0)), WALL_DB);
        assert_eq!(shadow_db(Point::new(1.0, 0.0, 1.0), Point::new(-1.0, 0.0, 1.0), &scene(60.0)), 0.0);
    }
}
