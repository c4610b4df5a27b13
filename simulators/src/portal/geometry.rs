//! Points, directions and boxes. Metres; x points into the building through the door, y along the wall, z up.

use std::ops::{Add, Mul, Sub};

#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    pub z: f64,
}

impl Point {
    pub const fn new(x: f64, y: f64, z: f64) -> Self {
        Self { x, y, z }
    }

    pub fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub fn length(self) -> f64 {
        self.dot(self).sqrt()
    }

    pub fn unit(self) -> Self {
        self * (1.0 / self.length().max(1e-9))
    }
}

impl Add for Point {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Point {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f64> for Point {
    type Output = Self;
    fn mul(self, by: f64) -> Self {
        Self::new(self.x * by, self.y * by, self.z * by)
    }
}

/// A box that stands on the floor, its sides along the axes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Block {
    pub from: Point,
    pub to: Point,
}

impl Block {
    pub fn around(centre: Point, size: [f64; 3]) -> Self {
        let half = Point::new(size[0] / 2.0, size[1] / 2.0, size[2] / 2.0);
        Self { from: centre - half, to: centre + half }
    }

    /// How much of the way from `a` to `b` lies within, in metres (the slab method).
    pub fn within(&self, a: Point, b: Point) -> f64 {
        let way = b - a;
        let (mut enters, mut leaves) = (0.0_f64, 1.0_f64);
        for (start, step, from, to) in [
            (a.x, way.x, self.from.x, self.to.x),
            (a.y, way.y, self.from.y, self.to.y),
            (a.z, way.z, self.from.z, self.to.z),
        ] {
            if step.abs() < 1e-9 {
                if start < from || start > to {
                    return 0.0;
                }
                continue;
            }
            let (one, other) = ((from - start) / step, (to - start) / step);
            enters = enters.max(one.min(other));
            leaves = leaves.min(one.max(other));
        }
        (leaves - enters).max(0.0) * way.length()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ray_lies_within_a_box_for_as_long_as_it_does() {
        let block = Block::around(Point::new(0.0, 0.0, 0.5), [2.0, 2.0, 1.0]);
        let (a, b) = (Point::new(-5.0, 0.0, 0.5), Point::new(5.0, 0.0, 0.5));
        assert!((block.within(a, b) - 2.0).abs() < 1e-9);
        assert!((block.within(Point::default(), b + Point::new(0.0, 0.0, -0.5)) - 1.0).abs() < 1e-9);
        assert_eq!(block.within(a + Point::new(0.0, 3.0, 0.0), b + Point::new(0.0, 3.0, 0.0)), 0.0);
        assert_eq!(block.within(a, a + Point::new(1.0, 0.0, 0.0)), 0.0);
    }
}
