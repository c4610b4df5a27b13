//! Points → requests: as few as their addresses allow, and among those the fewest registers. Pure.
//!
//! Sorted by address, the points of one request are neighbours in some best plan: where two requests would
//! cross, the points between them can be exchanged without asking for more. So the best plan of the first
//! `n` points is the best plan of fewer of them and one request for the rest.

use std::collections::BTreeMap;

use crate::config::{ModbusReach, PointConfig};
use crate::domain::frames::ModbusTable;

/// Bits of a table of bits take the room of one register in sixteen.
const BITS: u16 = 16;

/// One read of neighbouring registers, or bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlannedRequest {
    pub table: ModbusTable,
    pub address: u16,
    pub count: u16,
}

impl PlannedRequest {
    /// One behind its last register.
    pub fn end(self) -> u32 {
        u32::from(self.address) + u32::from(self.count)
    }

    pub fn key(self) -> (ModbusTable, u16, u16) {
        (self.table, self.address, self.count)
    }

    /// Bytes that the values take in an answer.
    pub fn value_bytes(self) -> usize {
        match self.table.is_of_bits() {
            true => usize::from(self.count).div_ceil(8),
            false => usize::from(self.count) * 2,
        }
    }

    pub fn covers(self, point: &PointConfig) -> bool {
        self.table == point.table && self.address <= point.address && point.end() <= self.end()
    }
}

/// Ranges that a device is known to refuse: no request reaches into one for the sake of others.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Illegal {
    /// First address → one behind the last. They neither overlap nor touch.
    ranges: BTreeMap<(ModbusTable, u32), u32>,
}

impl Illegal {
    pub fn insert(&mut self, table: ModbusTable, mut first: u32, mut end: u32) {
        if first >= end {
            return;
        }
        // What it touches becomes part of it.
        while let Some((&(_, start), &stop)) = self.ranges.range((table, 0)..=(table, end)).next_back() {
            if stop < first {
                break;
            }
            self.ranges.remove(&(table, start));
            (first, end) = (first.min(start), end.max(stop));
        }
        self.ranges.insert((table, first), end);
    }

    /// What was refused as part of more is answered by itself.
    pub fn remove(&mut self, table: ModbusTable, first: u32, end: u32) {
        while let Some((&(_, start), &stop)) = self.ranges.range((table, 0)..(table, end)).next_back() {
            if stop <= first {
                break;
            }
            self.ranges.remove(&(table, start));
            if stop > end {
                self.ranges.insert((table, end), stop);
            }
            if start < first {
                self.ranges.insert((table, start), first);
            }
        }
    }

    /// Whether any of these registers is refused.
    pub fn touches(&self, table: ModbusTable, first: u32, end: u32) -> bool {
        first < end
            && self.ranges.range((table, 0)..(table, end)).next_back().is_some_and(|(_, stop)| *stop > first)
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many registers and bits.
    pub fn len(&self) -> u32 {
        self.ranges.iter().map(|((_, first), end)| end - first).sum()
    }

    /// In order: table, first, last.
    pub fn iter(&self) -> impl Iterator<Item = (ModbusTable, u32, u32)> + '_ {
        self.ranges.iter().map(|((table, first), end)| (*table, *first, end - 1))
    }
}

/// How much one request may ask for.
#[derive(Clone, PartialEq, Debug)]
pub struct Reach {
    configured: ModbusReach,
    /// What was learned of a table, in its registers or bits.
    learned: BTreeMap<ModbusTable, u16>,
}

impl From<ModbusReach> for Reach {
    fn from(configured: ModbusReach) -> Self {
        Self { configured, learned: BTreeMap::new() }
    }
}

impl Reach {
    pub fn at_most(&mut self, table: ModbusTable, count: u16) {
        let known = self.learned.entry(table).or_insert(count);
        *known = count.min(*known);
    }

    /// The longest request of a table, and the longest gap in one, in its registers or bits.
    fn of(&self, table: ModbusTable) -> (u32, u32) {
        let unit = if table.is_of_bits() { u32::from(BITS) } else { 1 };
        let longest = u32::from(self.configured.max_registers) * unit;
        let learned = self.learned.get(&table).map_or(longest, |count| u32::from(*count));
        (longest.min(learned), u32::from(self.configured.max_gap) * unit)
    }
}

/// Every point lies wholly inside one of the requests, which come by table and address.
pub fn plan_requests<'p>(
    points: impl IntoIterator<Item = &'p PointConfig>,
    reach: &Reach,
    illegal: &Illegal,
) -> Vec<PlannedRequest> {
    let mut sorted: Vec<&PointConfig> = points.into_iter().collect();
    sorted.sort_by_key(|point| (point.table, point.address, point.end()));
    // What is refused itself stands alone, or it would take the others with it.
    let refused = |point: &&PointConfig| illegal.touches(point.table, point.address.into(), point.end());
    let (alone, sorted): (Vec<_>, Vec<_>) = sorted.into_iter().partition(refused);
    let mut plan: Vec<PlannedRequest> = alone.iter().map(|point| request(&[point])).collect();
    plan.dedup();
    let tables = sorted.chunk_by(|a, b| a.table == b.table);
    plan.extend(tables.flat_map(|table| plan_table(table, reach, illegal)));
    plan.sort_by_key(|request| (request.table, request.address, request.count));
    plan
}

/// Requests, and the registers in them.
type Cost = (u32, u32);

/// The points of one table, by address.
fn plan_table(points: &[&PointConfig], reach: &Reach, illegal: &Illegal) -> Vec<PlannedRequest> {
    // The best plan of the first n points: its cost, and with which point its last request begins.
    let mut best: Vec<(Cost, usize)> = vec![((0, 0), 0)];
    for end in 1..=points.len() {
        best.push(best_end(points, end, &best, reach, illegal));
    }
    let mut plan = Vec::new();
    let mut end = points.len();
    while end > 0 {
        let first = best[end].1;
        plan.push(request(&points[first..end]));
        end = first;
    }
    plan.reverse();
    plan
}

/// Of all last requests for the points before `end`, the one that makes the plan the cheapest.
fn best_end(
    points: &[&PointConfig],
    end: usize,
    best: &[(Cost, usize)],
    reach: &Reach,
    illegal: &Illegal,
) -> (Cost, usize) {
    let (longest, gap) = reach.of(points[end - 1].table);
    let alone = end - 1;
    let cost = |first: usize, count: u32| {
        let (requests, registers) = best[first].0;
        (requests + 1, registers + count)
    };
    let mut chosen = (cost(alone, u32::from(points[alone].kind.registers())), alone);
    // Where the points from `first` on end, and where the next one to the right begins.
    let mut last_end = points[alone].end();
    let mut may_be_one = true;
    for first in (0..alone).rev() {
        let point = points[first];
        // Every point from here to the left begins earlier still.
        if last_end - u32::from(point.address) > longest {
            break;
        }
        last_end = last_end.max(point.end());
        let count = last_end - u32::from(point.address);
        // What ends before the others begin closes none of their gaps.
        let stands_before = point.end() <= u32::from(points[first + 1].address);
        may_be_one = match stands_before {
            true => may_be_one && joined(&points[first..first + 2], gap, illegal),
            false => joined(&points[first..end], gap, illegal),
        };
        if count <= longest && may_be_one {
            chosen = chosen.min((cost(first, count), first));
        }
    }
    chosen
}

/// Whether one request may hold these: nothing in between is too long or refused.
fn joined(points: &[&PointConfig], gap: u32, illegal: &Illegal) -> bool {
    let mut end = points[0].end();
    points[1..].iter().all(|point| {
        let start = u32::from(point.address);
        let near = start <= end + gap && !illegal.touches(point.table, end, start);
        end = end.max(point.end());
        near
    })
}

fn request(points: &[&PointConfig]) -> PlannedRequest {
    let (table, address) = (points[0].table, points[0].address);
    let end = points.iter().map(|point| point.end()).max().unwrap_or_default();
    let count = u16::try_from(end - u32::from(address)).unwrap_or(u16::MAX);
    PlannedRequest { table, address, count }
}

#[cfg(test)]
mod tests;
