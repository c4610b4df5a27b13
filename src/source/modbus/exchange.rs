//! One request of a poll, to its answers: left alone, tried again, taken apart.
//!
//! - Exception 6 (busy) is the only one that is asked again at once.
//! - Exception 2 (no such address) to a request for several points takes it apart, until what is refused is
//!   known; so does exception 3 (so many are too many).
//! - After a timeout or a wrong answer the line is brought back into step before anything else is asked.
//!   TCP: a new connection. RTU, where an answer to an earlier request looks like one to the next: the line is
//!   drained, and the device must answer something whose answer is as long as no other that may still come, or is of
//!   another function.

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::fault::Fault;
use super::line::Line;
use super::plan::PlannedRequest;
use super::schedule::Beat;
use super::{Poller, State};
use crate::config::PointConfig;
use crate::decode::modbus::{GATEWAY_EXCEPTIONS, ILLEGAL_ADDRESS, ILLEGAL_VALUE};
use crate::domain::frames::{ModbusFailure, ModbusTable};

/// Modbus application protocol 1.1b3, section 7.
const BUSY: u8 = 6;

/// After so many timeouts nobody answers any more: a device takes a part of one, and what lies between holds little back.
const LATEST: u32 = 3;

/// A busy device is asked again after this long, twice as long the second time.
const BUSY_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
const BUSY_RETRIES: u32 = 2;

impl Poller {
    /// Asks, and hands on a frame for everything that was asked for. Whether the request was answered as a whole.
    pub(super) async fn ask(&mut self, beat: Beat, request: PlannedRequest) -> bool {
        let answer = self.answer(beat.unit, request).await;
        let refused = match &answer {
            Err(ModbusFailure::Exception(code @ (ILLEGAL_ADDRESS | ILLEGAL_VALUE))) => Some(*code),
            _ => None,
        };
        match refused.and_then(|_| self.halves(beat, request)) {
            Some([low, high]) => {
                let below = Box::pin(self.ask(beat, low)).await;
                let above = Box::pin(self.ask(beat, high)).await;
                if below && above {
                    self.learn_gap(beat, low, high);
                }
                false
            }
            None => {
                // What shares some of its registers may be there all the same.
                let parts = refused.map(|_| self.parts(beat, request)).unwrap_or_default();
                if refused == Some(ILLEGAL_ADDRESS) {
                    self.learn_refused(beat, request);
                }
                let whole = answer.is_ok();
                if whole {
                    self.units[beat.unit].accepts_value(request);
                }
                self.hand_on(beat, request, answer);
                for part in parts {
                    Box::pin(self.ask(beat, part)).await;
                }
                whole
            }
        }
    }

    /// The answer, or the reason why there is none.
    async fn answer(&mut self, unit: usize, request: PlannedRequest) -> Result<Vec<u16>, ModbusFailure> {
        if let Some(failure) = self.state.failure() {
            return Err(failure.clone());
        }
        let asked = &self.units[unit];
        if let Some(failure) = asked.left_alone(Instant::now()) {
            self.meters.left_alone.increment(1);
            return Err(failure.clone());
        }
        if asked.is_refused(request, Instant::now()) {
            return Err(ModbusFailure::Exception(ILLEGAL_ADDRESS));
        }
        let mut pause = BUSY_PAUSE;
        for _ in 0..BUSY_RETRIES {
            match self.exchange(unit, request).await {
                Err(ModbusFailure::Exception(BUSY)) => sleep(pause).await,
                answer => return answer,
            }
            pause *= 2;
        }
        self.exchange(unit, request).await
    }

    /// One request on the wire, and what follows from its answer for the line and the device.
    async fn exchange(&mut self, unit: usize, request: PlannedRequest) -> Result<Vec<u16>, ModbusFailure> {
        let State::Connected(line) = &mut self.state else {
            return Err(ModbusFailure::Transport("the line is gone".into()));
        };
        let asked = &mut self.units[unit];
        asked.forget_unanswered(Instant::now(), line.patience() * LATEST);
        if !asked.is_in_step() {
            let step = asked.step_request(request);
            let answer = line.read(asked.config.unit, step).await;
            self.meters.count(&answer);
            match answer {
                Ok(_) => asked.found_step(),
                // A refusal tells its function, and none but this request is of that.
                Err(Fault::Exception(code))
                    if asked.is_alone(step) && !GATEWAY_EXCEPTIONS.contains(&code) =>
                {
                    asked.found_step();
                }
                // It may be to any of those that were not answered: nothing says of which request a refusal is.
                Err(Fault::Exception(code)) => {
                    let failure = ModbusFailure::Exception(code);
                    asked.lost_step(step, Instant::now());
                    asked.failed(failure, Instant::now());
                    return Err(ModbusFailure::Timeout);
                }
                Err(fault) => return Err(self.failed(unit, step, fault).await),
            }
        }
        let answer = line.read(asked.config.unit, request).await;
        self.meters.count(&answer);
        match answer {
            Ok(registers) => {
                self.units[unit].answered();
                self.standing.proven();
                Ok(registers)
            }
            Err(Fault::Exception(code)) if GATEWAY_EXCEPTIONS.contains(&code) => {
                // The gateway speaks, the device does not.
                self.units[unit].failed(ModbusFailure::Exception(code), Instant::now());
                self.standing.proven();
                Err(ModbusFailure::Exception(code))
            }
            Err(Fault::Exception(code)) => {
                self.units[unit].answered();
                self.standing.proven();
                Err(ModbusFailure::Exception(code))
            }
            Err(fault) => Err(self.failed(unit, request, fault).await),
        }
    }

    /// No answer. Where the others may still answer the line goes on, in step; else it is lost.
    async fn failed(&mut self, unit: usize, request: PlannedRequest, fault: Fault) -> ModbusFailure {
        let is_closed = matches!(fault, Fault::Closed(_) | Fault::Certificate(_));
        let failure = ModbusFailure::from(fault);
        let is_only = self.units.len() == 1;
        let asked = &mut self.units[unit];
        // One disturbance on a serial line is not worth a pause, nor an alert that the line is down; nor is one answer
        // that a device does not give which has its connection to itself. Where others share it they would wait again.
        let has_it_alone = is_only && matches!(failure, ModbusFailure::Timeout);
        let may_be_glitch = self.config.transport.is_port() || has_it_alone;
        let is_glitch = may_be_glitch && !is_closed && asked.stumbled(&failure);
        if !is_glitch {
            asked.failed(failure.clone(), Instant::now());
        }
        if self.config.transport.is_rtu() {
            asked.lost_step(request, Instant::now());
        }
        if is_closed || self.units.iter().all(super::Unit::has_failed) {
            self.lost(failure.clone());
        } else if let Err(reason) = self.renew().await {
            self.lost(reason);
        }
        failure
    }

    /// The line as new: drained where it is a serial one, another connection where it is not.
    async fn renew(&mut self) -> Result<(), ModbusFailure> {
        if let State::Connected(line) = &mut self.state
            && self.config.transport.is_port()
        {
            return line.settle().await.map_err(ModbusFailure::from);
        }
        // The old connection ends before the new one begins: many gateways take only one.
        self.state = super::connecting(&self.config, ModbusFailure::Timeout);
        let line = Line::open(self.config.clone()).await?;
        self.state = State::Connected(line);
        Ok(())
    }

    /// A request for several values, in two; `None` where it is for one.
    fn halves(&self, beat: Beat, request: PlannedRequest) -> Option<[PlannedRequest; 2]> {
        let mut points = self.units[beat.unit].points(beat.interval, request);
        points.sort_by_key(|point| (point.address, point.end()));
        points.dedup_by_key(|point| (point.address, point.end()));
        // Points that share registers stay together.
        let mut end = 0;
        let mut seams = Vec::new();
        for (place, point) in points.iter().enumerate() {
            if place > 0 && u32::from(point.address) >= end {
                seams.push(place);
            }
            end = end.max(point.end());
        }
        let seam = *seams.get(seams.len() / 2)?;
        let (low, high) = points.split_at(seam);
        Some([low, high].map(|half| around(request.table, half)))
    }

    /// Values that lie in the registers of a larger one, each once, as far as no request of their own asks for them.
    fn parts(&self, beat: Beat, request: PlannedRequest) -> Vec<PlannedRequest> {
        let unit = &self.units[beat.unit];
        let points = unit.points(beat.interval, request);
        let planned = unit.requests(beat.interval);
        let mut parts: Vec<_> =
            points.iter().map(|point| around(request.table, std::slice::from_ref(point))).collect();
        parts.retain(|part| part != &request && !planned.contains(part));
        parts.sort_by_key(|part| (part.address, part.count));
        parts.dedup();
        parts
    }

    /// One value, refused by itself.
    fn learn_refused(&mut self, beat: Beat, request: PlannedRequest) {
        let unit = &mut self.units[beat.unit];
        let now = Instant::now();
        if unit.is_refused(request, now) || !unit.refuses_value(request, now) {
            return;
        }
        let PlannedRequest { table, address, count } = request;
        warn!(
            source = %self.config.name, device = %unit.config.device, ?table, address, count,
            "the device has no such registers (address counted from 0): check the point's table, its address, and \
             whether the manual counts from `base`"
        );
    }

    /// Two parts of what was refused as a whole are answered: what lies between them is refused, or it is too much
    /// at once.
    fn learn_gap(&mut self, beat: Beat, low: PlannedRequest, high: PlannedRequest) {
        let (first, end) = (low.end(), u32::from(high.address));
        let unit = &mut self.units[beat.unit];
        let now = Instant::now();
        if first < end {
            info!(
                source = %self.config.name, device = %unit.config.device, table = ?low.table, first, last = end - 1,
                "registers that the device refuses: no request spans them any more"
            );
            unit.refuses(low.table, first, end, now);
        } else {
            unit.takes_at_most(low.table, low.count.max(high.count), now);
        }
    }
}

fn around(table: ModbusTable, points: &[PointConfig]) -> PlannedRequest {
    let address = points.iter().map(|point| point.address).min().unwrap_or_default();
    let end = points.iter().map(PointConfig::end).max().unwrap_or_default();
    PlannedRequest { table, address, count: u16::try_from(end - u32::from(address)).unwrap_or(u16::MAX) }
}
