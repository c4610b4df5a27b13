//! Circle geofences of one tracker: entered and left with hysteresis, after enough fixes agree.
//!
//! A fix says *inside* or *outside* only where it is on that side of the edge by the hysteresis and by
//! its own accuracy; otherwise it says nothing. A crossing is confirmed by consecutive fixes that say
//! the same, and happened at the first of them. Which fences a fix concerns is looked up in a grid, so
//! that a fix costs the same however many fences there are elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rows::exact_fix;
use crate::config::FenceConfig;
use crate::domain::geodesy::Position;
use crate::domain::ids::FenceId;
use crate::domain::readings::Fix;
use crate::domain::sightings::FenceChange;

/// Cell sizes in degrees. A fence lies in the first grid whose cells are no smaller than it, and so in
/// few of its cells.
const GRIDS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];
/// A fence that would need more cells than this (near a pole) is looked at for every fix.
const MAX_CELLS: i64 = 64;
const METRES_PER_DEGREE: f64 = 111_195.0;

type Cell = (u8, i32, i32);

/// Fences by the cells that they touch.
pub(super) struct FenceIndex {
    fences: BTreeMap<FenceId, Arc<FenceConfig>>,
    cells: HashMap<Cell, Vec<Arc<FenceConfig>>>,
    everywhere: Vec<Arc<FenceConfig>>,
}

impl FenceIndex {
    pub fn new(fences: &[FenceConfig]) -> Self {
        let by_name = fences.iter().map(|fence| (fence.name.clone(), Arc::new(fence.clone())));
        let fences: BTreeMap<_, _> = by_name.collect();
        let mut index = Self { fences, cells: HashMap::new(), everywhere: Vec::new() };
        for fence in index.fences.values() {
            match cells(fence) {
                Some(cells) => {
                    for cell in cells {
                        index.cells.entry(cell).or_default().push(fence.clone());
                    }
                }
                None => index.everywhere.push(fence.clone()),
            }
        }
        index
    }

    pub fn get(&self, name: &FenceId) -> Option<&FenceConfig> {
        self.fences.get(name).map(Arc::as_ref)
    }

    /// Fences that a fix there may be inside of.
    fn near(&self, position: Position) -> impl Iterator<Item = &FenceConfig> {
        let found = (0_u8..).zip(GRIDS).filter_map(move |(grid, size)| {
            self.cells.get(&(grid, row(position.lat, size), column(position.lon, size)))
        });
        found.flatten().chain(&self.everywhere).map(Arc::as_ref)
    }
}

fn row(lat: f64, size: f64) -> i32 {
    (lat / size).floor() as i32
}

/// Columns go round the Earth.
fn column(lon: f64, size: f64) -> i32 {
    ((lon / size).floor() as i32).rem_euclid((360.0 / size).round() as i32)
}

fn cells(fence: &FenceConfig) -> Option<Vec<Cell>> {
    let half_lat = fence.radius_m / METRES_PER_DEGREE * 1.01;
    let grid = GRIDS.iter().position(|size| half_lat <= *size)?;
    let size = GRIDS[grid];
    let furthest = fence.centre.lat.abs() + half_lat;
    if furthest >= 89.0 {
        return None;
    }
    let half_lon = half_lat / furthest.to_radians().cos();
    let (south, north) = (row(fence.centre.lat - half_lat, size), row(fence.centre.lat + half_lat, size));
    let west = ((fence.centre.lon - half_lon) / size).floor() as i64;
    let east = ((fence.centre.lon + half_lon) / size).floor() as i64;
    if east - west >= MAX_CELLS {
        return None;
    }
    let around = (360.0 / size).round() as i64;
    let grid = grid as u8;
    let columns = west..=east;
    let wrapped = columns.map(|column| i32::try_from(column.rem_euclid(around)).unwrap_or(0));
    let wrapped: Vec<i32> = wrapped.collect();
    Some((south..=north).flat_map(|row| wrapped.iter().map(move |column| (grid, row, *column))).collect())
}

/// What a tracker's fixes have said of one fence. A fence without one: outside, and nothing pending.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Standing {
    pub fence: FenceId,
    inside: bool,
    /// Consecutive fixes that say otherwise, and the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Pending {
    count: u32,
    #[serde(with = "exact_fix")]
    first: Fix,
}

/// Judges an accepted fix. Changes come with the fix that first said so: exits before entries, by name.
pub(super) fn judge(
    standings: &mut Vec<Standing>,
    index: &FenceIndex,
    fix: &Fix,
) -> Vec<(FenceId, FenceChange, Fix)> {
    for fence in index.near(fix.position) {
        if let Err(place) = standings.binary_search_by(|standing| standing.fence.cmp(&fence.name)) {
            let fence = fence.name.clone();
            standings.insert(place, Standing { fence, inside: false, pending: None });
        }
    }
    let mut changes = Vec::new();
    for standing in standings.iter_mut() {
        if let Some(fence) = index.get(&standing.fence) {
            changes
                .extend(standing.take(fence, fix).map(|(change, first)| (fence.name.clone(), change, first)));
        }
    }
    standings.retain(|standing| standing.inside || standing.pending.is_some());
    changes.sort_by_key(|(_, change, _)| *change == FenceChange::Entered);
    changes
}

impl Standing {
    fn take(&mut self, fence: &FenceConfig, fix: &Fix) -> Option<(FenceChange, Fix)> {
        let inside = side(fence, fix)?;
        if inside == self.inside {
            self.pending = None;
            return None;
        }
        let pending = self.pending.get_or_insert_with(|| Pending { count: 0, first: fix.clone() });
        pending.count += 1;
        if pending.count < fence.confirmations {
            return None;
        }
        self.inside = inside;
        let first = self.pending.take()?.first;
        Some((if inside { FenceChange::Entered } else { FenceChange::Exited }, first))
    }
}

/// Whether a fix is inside; `None` where it is too near the edge, or too uncertain, to say.
fn side(fence: &FenceConfig, fix: &Fix) -> Option<bool> {
    let distance = fix.position.distance_m(fence.centre);
    let accuracy = fix.accuracy_m.unwrap_or(0.0).max(0.0);
    if distance > fence.radius_m + fence.hysteresis_m.max(accuracy) {
        return Some(false);
    }
    // A fix that is surer than the fence is wide can be inside of a small one.
    let sure = accuracy <= fence.radius_m;
    let margin = fence.hysteresis_m.max(accuracy.min(fence.radius_m / 2.0));
    (sure && distance < fence.radius_m - margin).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Digest;
    use crate::domain::time::Timestamp;

    fn fence(name: &str, lat: f64, lon: f64, radius_m: f64) -> FenceConfig {
        FenceConfig {
            name: name.into(),
            site: None,
            zone: None,
            centre: Position { lat, lon },
            radius_m,
            hysteresis_m: 20.0,
            confirmations: 2,
        }
    }

    fn fix(second: i64, lat: f64, lon: f64, accuracy_m: f64) -> Fix {
        Fix {
            device: "truck".into(),
            observed_at: Timestamp::from_secs(second),
            position: Position { lat, lon },
            accuracy_m: Some(accuracy_m),
            altitude_m: None,
            speed_mps: None,
            course_deg: None,
            battery_percent: None,
            ignition: None,
            digest: Digest(second as u64),
            retained: false,
        }
    }

    /// Metres north of the centre of a fence of 100 m, and accuracies → what changed, when.
    fn check(fixes: &[(f64, f64)], expect: &[(FenceChange, i64)]) {
        let index = FenceIndex::new(&[fence("yard", 50.0, 8.0, 100.0)]);
        let mut standings = Vec::new();
        let mut changes = Vec::new();
        for (second, (north_m, accuracy)) in fixes.iter().enumerate() {
            let fix = fix(second as i64, 50.0 + north_m / 111_195.0, 8.0, *accuracy);
            for (_, change, first) in judge(&mut standings, &index, &fix) {
                changes.push((change, first.observed_at.as_micros() / 1_000_000));
            }
        }
        assert_eq!(changes, expect, "{fixes:?}");
    }

    use FenceChange::{Entered, Exited};

    #[test]
    fn a_visit_is_entered_and_left_at_its_first_fix() {
        check(
            &[(300.0, 5.0), (0.0, 5.0), (0.0, 5.0), (300.0, 5.0), (300.0, 5.0)],
            &[(Entered, 1), (Exited, 3)],
        );
    }

    #[test]
    fn the_first_fixes_of_all_may_enter() {
        check(&[(0.0, 5.0), (10.0, 5.0)], &[(Entered, 0)]);
    }

    #[test]
    fn one_fix_across_confirms_nothing() {
        check(&[(0.0, 5.0), (300.0, 5.0), (0.0, 5.0), (300.0, 5.0), (0.0, 5.0), (0.0, 5.0)], &[(Entered, 4)]);
    }

    #[test]
    fn parked_on_the_edge_nothing_flaps() {
        let wobble = [(95.0, 5.0), (105.0, 5.0), (90.0, 5.0), (112.0, 5.0)];
        let mut fixes = vec![(0.0, 5.0), (0.0, 5.0)];
        fixes.extend(wobble.iter().cycle().take(100));
        check(&fixes, &[(Entered, 0)]);
    }

    #[test]
    fn an_uncertain_fix_says_nothing() {
        check(&[(0.0, 200.0), (0.0, 200.0), (0.0, 200.0)], &[]);
        check(&[(0.0, 5.0), (0.0, 5.0), (250.0, 200.0), (250.0, 200.0)], &[(Entered, 0)]);
    }

    #[test]
    fn the_grid_finds_what_a_search_of_all_finds() {
        let mut fences = Vec::new();
        for (number, (lat, lon)) in
            [(0.0, 0.0), (51.5, -0.1), (-33.9, 151.2), (10.0, 179.999), (10.0, -179.999), (88.9, 20.0)]
                .into_iter()
                .enumerate()
        {
            for radius in [50.0, 900.0, 5_000.0, 80_000.0, 900_000.0, 2_000_000.0] {
                fences.push(fence(&format!("{number}-{radius}"), lat, lon, radius));
            }
        }
        let index = FenceIndex::new(&fences);
        for fence in &fences {
            for (north, east) in [(0.0, 0.0), (0.99, 0.0), (0.0, 0.99), (-0.7, -0.7), (1.5, 0.0)] {
                let lat = fence.centre.lat + north * fence.radius_m / 111_195.0;
                let lon = fence.centre.lon + east * fence.radius_m / 111_195.0 / lat.to_radians().cos();
                let lon = (lon + 540.0).rem_euclid(360.0) - 180.0;
                let Some(position) = Position::new(lat, lon) else { continue };
                let near: Vec<_> = index.near(position).map(|fence| &fence.name).collect();
                for other in &fences {
                    if position.distance_m(other.centre) <= other.radius_m {
                        assert!(near.contains(&&other.name), "{} at {position:?}", other.name);
                    }
                }
            }
        }
        let far = Position { lat: -60.0, lon: 100.0 };
        assert!(index.near(far).count() < fences.len() / 2);
    }
}
