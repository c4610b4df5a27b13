//! How many requests the planner makes of a map, beside the fewest that there can be and beside what others make.
//!
//! ```text
//! shipped profiles ─┐             ┌─ planner (tallyman) ─┐
//! random maps ──────┴─ TableMap ──┼─ exact minimum ──────┼─▶ counts ─▶ table, goals
//!                                 └─ `max_insert` rule ──┘
//! ```
//! Nothing of the planner is used in `exact` and `rule`: they work on addresses alone. All counts are the same on every
//! machine.

mod exact;
mod maps;
mod rule;

use std::collections::BTreeMap;
use std::fmt;

use tallyman::config::{ModbusReach, PointConfig};
use tallyman::domain::frames::ModbusTable;
use tallyman::source::modbus::plan::{Illegal, PlannedRequest, Reach, plan_requests};

pub use exact::minimum;

/// What is read of one device in one interval.
pub struct Map {
    pub name: String,
    pub points: Vec<PointConfig>,
    pub reach: ModbusReach,
    /// Known to be refused: table, first address, one behind the last.
    pub refused: Vec<(ModbusTable, u32, u32)>,
}

/// Registers, or bits of a table of bits, that belong together: the first, and one behind the last.
pub type Span = (u32, u32);

/// One table of a map, in addresses and nothing else.
pub struct TableMap {
    /// By address, each once.
    pub wanted: Vec<Span>,
    pub refused: Vec<Span>,
    pub max_length: u32,
    pub max_gap: u32,
}

impl TableMap {
    fn refuses(&self, address: u32) -> bool {
        self.refused.iter().any(|(first, end)| (*first..*end).contains(&address))
    }

    /// Spans that may share a request, and those that are refused themselves and stand alone.
    pub fn split(&self) -> (Vec<Span>, Vec<Span>) {
        self.wanted.iter().partition(|(first, end)| !(*first..*end).any(|address| self.refuses(address)))
    }
}

/// Requests, and the registers and bits in them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Cost {
    pub requests: u32,
    pub registers: u32,
}

impl Cost {
    pub fn of(requests: impl IntoIterator<Item = Span>) -> Self {
        requests.into_iter().fold(Self::default(), |cost, (first, end)| cost.and(end - first))
    }

    /// One more request.
    pub fn and(self, registers: u32) -> Self {
        Self { requests: self.requests + 1, registers: self.registers + registers }
    }

    fn plus(self, other: Self) -> Self {
        Self { requests: self.requests + other.requests, registers: self.registers + other.registers }
    }
}

#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub points: usize,
    pub ours: Cost,
    pub minimum: Cost,
    pub rule: Cost,
}

impl Map {
    fn tables(&self) -> BTreeMap<ModbusTable, TableMap> {
        let mut tables = BTreeMap::new();
        for point in &self.points {
            let unit = if point.table.is_of_bits() { 16 } else { 1 };
            let table = tables.entry(point.table).or_insert_with(|| TableMap {
                wanted: Vec::new(),
                refused: Vec::new(),
                max_length: u32::from(self.reach.max_registers) * unit,
                max_gap: u32::from(self.reach.max_gap) * unit,
            });
            let first = u32::from(point.address);
            table.wanted.push((first, first + u32::from(point.kind.registers())));
        }
        for (table, first, end) in &self.refused {
            if let Some(table) = tables.get_mut(table) {
                table.refused.push((*first, *end));
            }
        }
        for table in tables.values_mut() {
            table.wanted.sort_unstable();
            table.wanted.dedup();
        }
        tables
    }

    fn planned(&self) -> Vec<PlannedRequest> {
        let mut illegal = Illegal::default();
        for (table, first, end) in &self.refused {
            illegal.insert(*table, *first, *end);
        }
        plan_requests(&self.points, &Reach::from(self.reach), &illegal)
    }

    fn counts(&self) -> Counts {
        let planned = self.planned();
        let span = |request: &PlannedRequest| (u32::from(request.address), request.end());
        let mut counts = Counts {
            points: self.points.len(),
            ours: Cost::of(planned.iter().map(span)),
            ..Counts::default()
        };
        for table in self.tables().values() {
            counts.minimum = counts.minimum.plus(minimum(table));
            counts.rule = counts.rule.plus(by_rule(table));
        }
        counts
    }

    /// What is wrong with our plan, whatever it costs.
    fn faults(&self) -> Vec<String> {
        let planned = self.planned();
        let mut faults = Vec::new();
        for point in &self.points {
            if !planned.iter().any(|request| request.covers(point)) {
                faults.push(format!("{}: {} is not asked for", self.name, point.name));
            }
        }
        for (name, table) in self.tables() {
            for request in planned.iter().filter(|request| request.table == name) {
                let span = (u32::from(request.address), request.end());
                let inside = |wanted: &&Span| span.0 <= wanted.0 && wanted.1 <= span.1;
                let held: Vec<Span> = table.wanted.iter().filter(inside).copied().collect();
                if !table.wanted.contains(&span) && !exact::is_lawful(&table, &held, span) {
                    faults.push(format!("{}: {request:?} breaks a limit", self.name));
                }
            }
        }
        faults
    }
}

/// One line of the table: some maps, their counts added up.
#[derive(Default)]
pub struct Row {
    pub name: String,
    pub maps: usize,
    pub counts: Counts,
    /// Maps of which the rule asks more often than we do, or as often for more registers.
    pub rule_asks_more: usize,
    pub failures: Vec<String>,
}

impl Row {
    pub fn of(name: impl Into<String>, maps: &[Map]) -> Self {
        let mut row = Self { name: name.into(), maps: maps.len(), ..Self::default() };
        for map in maps {
            row.add(map);
        }
        row
    }

    fn add(&mut self, map: &Map) {
        let counts = map.counts();
        let Counts { points, ours, minimum, rule } = counts;
        self.counts.points += points;
        self.counts.ours = self.counts.ours.plus(ours);
        self.counts.minimum = self.counts.minimum.plus(minimum);
        self.counts.rule = self.counts.rule.plus(rule);
        self.rule_asks_more += usize::from(rule > ours);
        self.failures.extend(map.faults());
        if ours != minimum {
            self.failures.push(format!("{}: {ours:?} instead of {minimum:?}", map.name));
        }
        if ours.requests > rule.requests {
            self.failures.push(format!("{}: {ours:?}, the rule makes {rule:?}", map.name));
        }
    }
}

pub struct Report(pub Vec<Row>);

impl Report {
    /// Goals that are missed.
    pub fn failures(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flat_map(|row| &row.failures)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = "| maps | points | requests | the minimum | by `max_insert` | registers | the minimum | by `max_insert` | maps where that asks for more |";
        writeln!(f, "{head}\n| --- |{}", " ---: |".repeat(8))?;
        for row in &self.0 {
            let Counts { points, ours, minimum, rule } = row.counts;
            writeln!(
                f,
                "| {} | {points} | {} | {} | {} | {} | {} | {} | {} of {} |",
                row.name,
                ours.requests,
                minimum.requests,
                rule.requests,
                ours.registers,
                minimum.registers,
                rule.registers,
                row.rule_asks_more,
                row.maps,
            )?;
        }
        Ok(())
    }
}

/// What the rule makes of a table.
pub fn by_rule(table: &TableMap) -> Cost {
    Cost::of(rule::requests(table))
}

/// The shipped profiles one by one, and so many random maps from a seed on, by how they may be read.
pub fn grade(random_maps: u64, from: u64) -> Report {
    let mut rows: Vec<Row> = maps::shipped()
        .into_iter()
        .map(|map| Row::of(map.name.clone(), std::slice::from_ref(&map)))
        .collect();
    let drawn: Vec<Map> = (from..from + random_maps).map(maps::random).collect();
    let (easy, refusing): (Vec<Map>, Vec<Map>) = drawn.into_iter().partition(|map| map.refused.is_empty());
    rows.push(Row::of("random, nothing refused", &easy));
    rows.push(Row::of("random, with refused ranges", &refusing));
    Report(rows)
}
