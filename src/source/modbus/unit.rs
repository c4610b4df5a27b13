//! One device on a line: what it is asked for, what it is known to refuse, and whether it is asked at all.
//!
//! What a device refuses is learned while the daemon runs, and forgotten after a while: its firmware may have
//! grown. Nothing of it is kept over a restart; finding it out again costs a few requests.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::plan::{Illegal, PlannedRequest, Reach, plan_requests};
use super::schedule::Beat;
use crate::config::{BackoffConfig, ModbusUnitConfig, PointConfig};
use crate::domain::frames::{ModbusFailure, ModbusTable};
use crate::source::backoff::Backoff;

/// What was refused is asked for again after this long.
const RELEARN: Duration = Duration::from_secs(3600);
/// Answers that never came, of which one may still come.
const REMEMBERED: usize = 64;

pub struct Unit {
    pub config: ModbusUnitConfig,
    pub illegal: Illegal,
    reach: Reach,
    learned_at: Option<Instant>,
    /// Values that are refused by themselves: when each is asked for again, and how long that was to wait.
    refused: BTreeMap<(ModbusTable, u16, u16), (Instant, Duration)>,
    /// By interval.
    plans: Vec<(Duration, Vec<PlannedRequest>)>,
    breaker: Breaker,
    /// Over RTU: what was asked and not answered. Until an answer that can be none of theirs has come, the
    /// next answer may be to one of them.
    unanswered: Vec<PlannedRequest>,
    /// When the last of them was asked.
    unanswered_at: Option<Instant>,
}

impl Unit {
    pub fn new(config: ModbusUnitConfig, backoff: BackoffConfig) -> Self {
        let mut unit = Self {
            illegal: Illegal::default(),
            reach: config.reach.into(),
            learned_at: None,
            refused: BTreeMap::new(),
            plans: Vec::new(),
            breaker: Breaker { backoff: Backoff::new(backoff), open: None, has_answered: false },
            unanswered: Vec::new(),
            unanswered_at: None,
            config,
        };
        unit.plan();
        unit
    }

    /// Its intervals, each once.
    pub fn beats(&self, place: usize) -> impl Iterator<Item = Beat> {
        self.plans.iter().map(move |(interval, _)| Beat { unit: place, interval: *interval })
    }

    pub fn requests(&self, interval: Duration) -> Vec<PlannedRequest> {
        let plan = self.plans.iter().find(|(of, _)| *of == interval);
        plan.map(|(_, requests)| requests.clone()).unwrap_or_default()
    }

    /// The points that a request was planned for.
    pub fn points(&self, interval: Duration, request: PlannedRequest) -> Vec<PointConfig> {
        let mine = self.config.points.iter();
        mine.filter(|point| self.interval(point) == interval && request.covers(point)).cloned().collect()
    }

    fn interval(&self, point: &PointConfig) -> Duration {
        point.poll.unwrap_or(self.config.poll)
    }

    fn plan(&mut self) {
        let mut intervals: Vec<Duration> = self.config.points.iter().map(|p| self.interval(p)).collect();
        intervals.sort();
        intervals.dedup();
        let requests = |interval| {
            let mine = self.config.points.iter().filter(|point| self.interval(point) == interval);
            (interval, plan_requests(mine, &self.reach, &self.illegal))
        };
        self.plans = intervals.into_iter().map(requests).collect();
    }

    /// The device refuses these registers.
    pub fn refuses(&mut self, table: ModbusTable, first: u32, end: u32, now: Instant) {
        self.illegal.insert(table, first, end);
        self.learned_at.get_or_insert(now);
        self.plan();
    }

    /// The device refuses a value by itself. It is asked for again at the next poll, for it may only have been
    /// starting, and then less and less often. Whether that is new.
    pub fn refuses_value(&mut self, request: PlannedRequest, now: Instant) -> bool {
        let key = request.key();
        let before = self.refused.get(&key).map(|(_, wait)| *wait);
        let wait = before.map_or(Duration::ZERO, |wait| (wait * 2).max(self.config.poll)).min(RELEARN);
        self.refused.insert(key, (now + wait, wait));
        if before.is_none() {
            self.refuses(request.table, request.address.into(), request.end(), now);
        }
        before.is_none()
    }

    /// A value that was refused by itself is answered.
    pub fn accepts_value(&mut self, request: PlannedRequest) {
        if self.refused.remove(&request.key()).is_some() {
            self.illegal.remove(request.table, request.address.into(), request.end());
            self.plan();
        }
    }

    /// The device refuses more than so many at once.
    pub fn takes_at_most(&mut self, table: ModbusTable, count: u16, now: Instant) {
        // No value is taken apart.
        let of_table = self.config.points.iter().filter(|point| point.table == table);
        let longest = of_table.map(|point| point.kind.registers()).max().unwrap_or(1);
        self.reach.at_most(table, count.max(longest));
        self.learned_at.get_or_insert(now);
        self.plan();
    }

    /// Forgets what was refused, when it is time to try again.
    pub fn relearn(&mut self, now: Instant) {
        if self.learned_at.is_some_and(|at| now >= at + RELEARN) {
            (self.illegal, self.reach, self.learned_at) =
                (Illegal::default(), self.config.reach.into(), None);
            self.refused.clear();
            self.plan();
        }
    }

    /// Known to be refused: not asked for until it is time to try again.
    pub fn is_refused(&self, request: PlannedRequest, now: Instant) -> bool {
        self.refused.get(&request.key()).is_some_and(|(until, _)| now < *until)
    }

    /// The failure of a device that is left alone for now.
    pub fn left_alone(&self, now: Instant) -> Option<&ModbusFailure> {
        let (until, failure) = self.breaker.open.as_ref()?;
        match until {
            Until::NextPoll => Some(failure),
            Until::Time(until) => (now < *until).then_some(failure),
        }
    }

    /// Whether its last answer is missing, and that is no glitch.
    pub fn has_failed(&self) -> bool {
        matches!(self.breaker.open, Some((Until::Time(_), _)))
    }

    /// What failed once is asked again.
    pub fn begin_poll(&mut self, now: Instant) {
        if let Some((until @ Until::NextPoll, _)) = &mut self.breaker.open {
            *until = Until::Time(now);
        }
    }

    /// An answer is missing. Where the one before it was there that may be a glitch: it is left alone until the next
    /// poll only. Whether it is so.
    pub fn stumbled(&mut self, failure: &ModbusFailure) -> bool {
        if self.breaker.open.is_some() || !self.breaker.has_answered {
            return false;
        }
        self.breaker.open = Some((Until::NextPoll, failure.clone()));
        self.breaker.has_answered = false;
        true
    }

    pub fn answered(&mut self) {
        self.breaker.open = None;
        self.breaker.has_answered = true;
        self.breaker.backoff.reset();
    }

    /// From now on it costs the others one timeout each time that it is tried again, and no more.
    pub fn failed(&mut self, failure: ModbusFailure, now: Instant) {
        self.breaker.open = Some((Until::Time(now + self.breaker.backoff.next_delay()), failure));
    }

    /// On a new line it is worth a try.
    pub fn try_again(&mut self) {
        self.breaker.open = None;
    }

    pub fn is_in_step(&self) -> bool {
        self.unanswered.is_empty()
    }

    /// The next answer may be to this.
    pub fn lost_step(&mut self, request: PlannedRequest, now: Instant) {
        self.unanswered_at = Some(now);
        if self.unanswered.len() == REMEMBERED {
            self.unanswered.remove(0);
        }
        self.unanswered.push(request);
    }

    pub fn found_step(&mut self) {
        self.unanswered.clear();
    }

    /// Nothing was asked for so long that no answer can still come.
    pub fn forget_unanswered(&mut self, now: Instant, latest: Duration) {
        if self.unanswered_at.is_some_and(|at| now >= at + latest) {
            self.unanswered.clear();
        }
    }

    /// Nothing that may still come is of the same table, and so of the same function.
    pub fn is_alone(&self, request: PlannedRequest) -> bool {
        !self.unanswered.iter().any(|old| old.table == request.table)
    }

    /// A request whose answer is as long as no answer that may still come, and if possible as none that is
    /// going to be asked for: a part of what is asked anyway; where there is none, the same of a table that nothing which
    /// may still come is of, since then a refusal tells as much as an answer; else more than is asked.
    pub fn step_request(&self, request: PlannedRequest) -> PlannedRequest {
        let (table, address) = (request.table, request.address);
        let most = u16::try_from(65_536 - u32::from(address)).unwrap_or(u16::MAX).min(120);
        let shorter = (1..request.count.min(most)).rev();
        let longer = request.count.saturating_add(1)..=most;
        let of_table = |count| PlannedRequest { table, address, count };
        let beside = PlannedRequest { table: beside(table), ..request };
        let beside = Some(beside).filter(|beside| self.is_alone(*beside));
        let candidates = shorter.map(of_table).chain(beside).chain(longer.map(of_table));
        let candidates = candidates.filter(|one| !self.unanswered.iter().any(|old| is_as_long(*old, *one)));
        let candidates: Vec<_> = candidates.collect();
        let planned = || self.plans.iter().flat_map(|(_, requests)| requests);
        let own = candidates.iter().find(|one| !planned().any(|other| is_as_long(*other, **one)));
        own.or(candidates.first()).copied().unwrap_or(request)
    }
}

/// The table of the same width, which another function reads.
fn beside(table: ModbusTable) -> ModbusTable {
    match table {
        ModbusTable::Holding => ModbusTable::Input,
        ModbusTable::Input => ModbusTable::Holding,
        ModbusTable::Coil => ModbusTable::Discrete,
        ModbusTable::Discrete => ModbusTable::Coil,
    }
}

/// Whether the answers of two requests could be taken for one another where there are no transactions.
fn is_as_long(a: PlannedRequest, b: PlannedRequest) -> bool {
    a.table == b.table && a.value_bytes() == b.value_bytes()
}

struct Breaker {
    backoff: Backoff,
    /// Until when it is left alone, and why.
    open: Option<(Until, ModbusFailure)>,
    /// Since it last failed.
    has_answered: bool,
}

enum Until {
    NextPoll,
    Time(Instant),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModbusReach, RegisterType};
    use crate::domain::ids::DeviceId;

    const SECOND: Duration = Duration::from_secs(1);

    fn unit(points: Vec<PointConfig>) -> Unit {
        let config = ModbusUnitConfig {
            device: DeviceId::new("d"),
            unit: 1,
            poll: SECOND,
            reach: ModbusReach::default(),
            points,
        };
        Unit::new(config, BackoffConfig { first: SECOND, last: SECOND * 60 })
    }

    fn point(address: u16) -> PointConfig {
        PointConfig::new("p", ModbusTable::Holding, address, RegisterType::U16)
    }

    fn asked(address: u16, count: u16) -> PlannedRequest {
        PlannedRequest { table: ModbusTable::Holding, address, count }
    }

    #[test]
    fn what_was_silent_for_long_owes_no_answer() {
        let mut unit = unit(vec![point(0)]);
        let now = Instant::now();
        unit.lost_step(PlannedRequest { table: ModbusTable::Holding, address: 0, count: 1 }, now);
        unit.forget_unanswered(now + SECOND * 5, SECOND * 6);
        assert!(!unit.is_in_step());
        unit.forget_unanswered(now + SECOND * 6, SECOND * 6);
        assert!(
            unit.is_in_step(),
            "or one that answers nothing but what it is asked for would be lost for good"
        );
    }

    #[test]
    fn points_have_intervals_of_their_own() {
        let slow = PointConfig { poll: Some(SECOND * 60), ..point(1) };
        let unit = unit(vec![point(0), slow.clone(), point(2)]);
        assert_eq!(
            unit.beats(3).map(|beat| (beat.unit, beat.interval)).collect::<Vec<_>>(),
            [(3, SECOND), (3, SECOND * 60)]
        );
        assert_eq!(unit.requests(SECOND), [asked(0, 3)]);
        assert_eq!(unit.requests(SECOND * 60), [asked(1, 1)]);
        assert_eq!(unit.points(SECOND, asked(0, 3)).len(), 2);
    }

    #[test]
    fn what_was_refused_is_forgotten_after_a_while() {
        let mut unit = unit(vec![point(0), point(2)]);
        let start = Instant::now();
        unit.refuses(ModbusTable::Holding, 1, 2, start);
        assert_eq!(unit.requests(SECOND), [asked(0, 1), asked(2, 1)]);
        unit.relearn(start + RELEARN - SECOND);
        assert_eq!(unit.requests(SECOND).len(), 2);
        unit.relearn(start + RELEARN);
        assert_eq!(unit.requests(SECOND), [asked(0, 3)]);
        unit.takes_at_most(ModbusTable::Holding, 2, start);
        assert_eq!(unit.requests(SECOND), [asked(0, 1), asked(2, 1)]);
    }

    #[test]
    fn a_refused_value_is_asked_for_again_less_and_less_often() {
        let mut unit = unit(vec![point(0), point(1)]);
        let start = Instant::now();
        let mut times = Vec::new();
        for tenth in 0..200 {
            let now = start + SECOND / 10 * tenth;
            if !unit.is_refused(asked(1, 1), now) {
                assert_eq!(unit.refuses_value(asked(1, 1), now), times.is_empty());
                times.push(tenth);
            }
        }
        assert_eq!(times, [0, 1, 11, 31, 71, 151]);
        assert_eq!(unit.requests(SECOND), [asked(0, 1), asked(1, 1)]);
        unit.accepts_value(asked(1, 1));
        assert_eq!(unit.requests(SECOND), [asked(0, 2)]);
    }

    #[test]
    fn a_failed_device_is_left_alone_for_longer_and_longer() {
        let mut unit = unit(vec![point(0)]);
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..4 {
            unit.failed(ModbusFailure::Timeout, now);
            let failed_at = now;
            while unit.left_alone(now).is_some() {
                now += SECOND / 10;
            }
            waits.push((now - failed_at).as_secs_f64());
            assert!(unit.has_failed(), "until it has answered");
        }
        assert!(waits[0] >= 1.0 && waits[3] > 2.0 * waits[0], "{waits:?}");
        unit.answered();
        assert!(!unit.has_failed());
    }

    #[test]
    fn one_missing_answer_costs_no_more_than_the_rest_of_the_poll() {
        let mut unit = unit(vec![point(0)]);
        let now = Instant::now();
        assert!(!unit.stumbled(&ModbusFailure::Timeout), "it has never answered");
        for _ in 0..2 {
            unit.answered();
            assert!(unit.stumbled(&ModbusFailure::Timeout));
            assert_eq!(unit.left_alone(now + SECOND * 3600), Some(&ModbusFailure::Timeout));
            assert!(!unit.has_failed());
            unit.begin_poll(now);
            assert_eq!(unit.left_alone(now), None);
            assert!(unit.has_failed(), "until it has answered");
        }
        assert!(!unit.stumbled(&ModbusFailure::Timeout), "that is two in a row");
        unit.failed(ModbusFailure::Timeout, now);
        assert!(unit.left_alone(now + SECOND / 10).is_some());
        // On a new line it is asked at once, and one more failure is no glitch.
        unit.try_again();
        assert!(!unit.stumbled(&ModbusFailure::Timeout));
    }

    /// Whatever was not answered, an answer to what is asked next can be told from all of theirs.
    #[test]
    fn a_step_is_as_long_as_nothing_that_may_still_come() {
        let mut unit = unit((0..4).map(point).collect());
        let request = asked(0, 4);
        assert_eq!(unit.step_request(request).count, 3);
        unit.lost_step(request, Instant::now());
        for _ in 0..20 {
            let step = unit.step_request(request);
            assert!(!unit.unanswered.iter().any(|old| is_as_long(*old, step)), "{step:?}");
            unit.lost_step(step, Instant::now());
        }
        // Of a single register another function, of which a refusal tells as much; once, then more registers.
        let mut lone = self::unit(vec![point(7)]);
        lone.lost_step(asked(7, 1), Instant::now());
        let step = lone.step_request(asked(7, 1));
        assert_eq!(step, PlannedRequest { table: ModbusTable::Input, ..asked(7, 1) });
        assert!(lone.is_alone(step));
        lone.lost_step(step, Instant::now());
        assert_eq!(lone.step_request(asked(7, 1)), asked(7, 2));
        assert!(!lone.is_alone(asked(7, 2)));
        let bits = |count| PlannedRequest { table: ModbusTable::Coil, address: 0, count };
        assert!(is_as_long(bits(1), bits(8)) && !is_as_long(bits(8), bits(9)));
    }
}
