//! Feeds the core, in one order, and hands its groups to the writer.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::core::Core;
use super::writer::{Reply, Work};
use crate::domain::health::Health;
use crate::domain::time::Timestamp;
use crate::journal::StoredDeadLetter;
use crate::source::Intake;
use crate::source::clock::WallClock;
use crate::store::timescale::RegisterRequest;
use crate::telemetry;
use crate::web::CommandRequest;

/// Deadlines that pass in one step while nothing else waits: some 10 ms of work.
const DEADLINES_A_STEP: usize = 500;
/// Deadlines that pass with each intake while others wait: with 100,000 due at once, a queue of frames is
/// still worked off at some 10,000 a second.
const DEADLINES_AN_INTAKE: usize = 4;

/// A group that nobody waits for leaves so long after the one before, at the earliest: readers and polls that come one by
/// one would else make hundreds of commits a second, each with its fsync.
pub(super) const GATHER: Duration = Duration::from_millis(50);

/// The loop goes round at least this often, and longer than this apart it stood still: what was sent meanwhile waits
/// where no clock knows of it.
const BEAT: Duration = Duration::from_secs(5);
const STILL: Duration = Duration::from_secs(15);

/// Everything that goes into the core.
pub(super) struct Inputs {
    pub intake: mpsc::Receiver<Intake>,
    pub replays: mpsc::Receiver<StoredDeadLetter>,
    pub commands: mpsc::Receiver<CommandRequest>,
    pub register: mpsc::Receiver<RegisterRequest>,
    pub health: mpsc::Receiver<Health>,
    /// Whether what comes is read, and can be kept.
    pub listening: watch::Receiver<bool>,
}

/// What the loop waited for.
enum Came<'a> {
    Room(mpsc::Permit<'a, Work>),
    Listening,
    Arrived(usize),
    Letter(StoredDeadLetter),
    Order(CommandRequest),
    Register(RegisterRequest),
    Health(Health),
    Deadline,
    /// The group may leave, or some time has passed.
    Nothing,
    WriterGone,
}

/// Feeds the core and hands its groups to the writer: a group forms while the one before is committed, and is bounded by
/// `commit_frames`. What waits for an acknowledgement or an answer leaves at once, anything else gathers for [`GATHER`].
/// Ends when every source has ended.
pub(super) async fn drive(
    mut core: Core,
    mut inputs: Inputs,
    work: mpsc::Sender<Work>,
    clock: WallClock,
    commit_frames: usize,
) {
    let mut arrived = Vec::with_capacity(commit_frames);
    let mut replies = Vec::new();
    // What `started` left is the first group.
    let mut pending = 1;
    let mut leaves = Instant::now();
    let mut pulse = Pulse(clock.now());
    loop {
        let deadline = core.next_deadline().map(|at| at.since(clock.now()));
        let accepting = pending < commit_frames;
        let is_urgent = core.is_awaited() || !replies.is_empty() || !accepting;
        let is_due = pending > 0 && (is_urgent || leaves <= Instant::now());
        let came = tokio::select! {
            biased;
            permit = work.reserve(), if is_due => permit.map_or(Came::WriterGone, Came::Room),
            Ok(()) = inputs.listening.changed() => Came::Listening,
            count = inputs.intake.recv_many(&mut arrived, commit_frames), if accepting => Came::Arrived(count),
            Some(letter) = inputs.replays.recv(), if accepting => Came::Letter(letter),
            Some(request) = inputs.commands.recv(), if accepting => Came::Order(request),
            Some(request) = inputs.register.recv(), if accepting => Came::Register(request),
            Some(health) = inputs.health.recv(), if accepting => Came::Health(health),
            () = tokio::time::sleep_until(leaves), if pending > 0 && !is_due => Came::Nothing,
            // Only when nothing received waits: time does not run ahead of what has been heard.
            () = tokio::time::sleep(deadline.unwrap_or(Duration::MAX)), if accepting && deadline.is_some() => Came::Deadline,
            () = tokio::time::sleep(BEAT) => Came::Nothing,
        };
        let now = clock.now();
        if let Some(from) = pulse.stood_still(now) {
            core.stood_still(from, now);
            pending += 1;
        }
        match came {
            Came::Room(permit) => {
                permit.send(Work { group: core.take_group(), replies: std::mem::take(&mut replies) });
                (pending, leaves) = (0, Instant::now() + GATHER);
            }
            Came::Listening => {
                core.set_listening(*inputs.listening.borrow_and_update(), now);
                pending += 1;
            }
            Came::Arrived(0) => break,
            Came::Arrived(count) => {
                telemetry::intake_depth(inputs.intake.len());
                core.intakes(arrived.drain(..), |core, intake| pending += pass_deadlines(core, intake));
                pending += count;
            }
            Came::Letter(letter) => {
                core.replay(letter);
                pending += 1;
            }
            Came::Order(request) => {
                let answer = core.order(request.order, now);
                replies.push(Reply::Answer { to: request.reply, answer });
                pending += 1;
            }
            Came::Register(request) => {
                replies.extend(take_register(&mut core, request, now));
                pending += 1;
            }
            Came::Health(health) => {
                core.health(health, now);
                pending += 1;
            }
            Came::Deadline => pending += core.tick(now, DEADLINES_A_STEP).max(1),
            Came::Nothing => {}
            Came::WriterGone => return,
        }
    }
    let last = Work { group: core.take_group(), replies };
    if work.send(last).await.is_err() {
        tracing::error!("the writer had ended before the last group; what it held will be redelivered");
    }
}

/// When the loop last went round: a gap in it is time in which nobody listened.
struct Pulse(Timestamp);

impl Pulse {
    /// Since when it had stood still until now, if it had.
    fn stood_still(&mut self, now: Timestamp) -> Option<Timestamp> {
        let last = std::mem::replace(&mut self.0, now);
        (now.since(last) > STILL).then_some(last)
    }
}

fn take_register(core: &mut Core, request: RegisterRequest, now: Timestamp) -> Option<Reply> {
    match request {
        RegisterRequest::Plan { order, reply } => {
            if reply.send(core.plan(&order, now)).is_err() {
                tracing::debug!("nobody waits for the plan of a change of the register any more");
            }
            None
        }
        RegisterRequest::Answered { order, result } => {
            core.answered(&order, &result, now);
            None
        }
        RegisterRequest::Custody { order, reply } => {
            Some(Reply::Answer { to: reply, answer: core.order(order, now) })
        }
        RegisterRequest::Follow { news, reply } => {
            Some(Reply::Followed { to: reply, misfits: core.follow(news, now) })
        }
    }
}

/// Deadlines that lie before the receipt of `intake` pass before it; where very many fall due at once, a
/// few with each intake, so that nothing waits long for them. Gives how many passed.
fn pass_deadlines(core: &mut Core, intake: &Intake) -> usize {
    let at = match intake {
        Intake::Frame(frame) => frame.received_at,
        Intake::Link(change) => change.at,
        Intake::Dropped { .. } | Intake::Room => return 0,
    };
    match core.next_deadline() {
        Some(deadline) if deadline <= at => core.tick(at, DEADLINES_AN_INTAKE),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_goes_round_seldom_stood_still_in_between() {
        let at = |secs: i64| Timestamp::from_secs(1_777_615_200 + secs);
        let mut pulse = Pulse(at(0));
        assert_eq!(pulse.stood_still(at(5)), None);
        assert_eq!(pulse.stood_still(at(19)), None);
        assert_eq!(pulse.stood_still(at(50)), Some(at(19)));
        assert_eq!(pulse.stood_still(at(51)), None);
    }
}
