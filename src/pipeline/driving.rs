//! Feeds the core, in one order, and hands its groups to the writer.

use std::time::Duration;

use tokio::sync::mpsc;
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

/// Everything that goes into the core.
pub(super) struct Inputs {
    pub intake: mpsc::Receiver<Intake>,
    pub replays: mpsc::Receiver<StoredDeadLetter>,
    pub commands: mpsc::Receiver<CommandRequest>,
    pub register: mpsc::Receiver<RegisterRequest>,
    pub health: mpsc::Receiver<Health>,
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
    loop {
        let deadline = core.next_deadline().map(|at| at.since(clock.now()));
        let accepting = pending < commit_frames;
        let is_urgent = core.is_awaited() || !replies.is_empty() || !accepting;
        let is_due = pending > 0 && (is_urgent || leaves <= Instant::now());
        tokio::select! {
            biased;
            permit = work.reserve(), if is_due => {
                let Ok(permit) = permit else { return };
                permit.send(Work { group: core.take_group(), replies: std::mem::take(&mut replies) });
                (pending, leaves) = (0, Instant::now() + GATHER);
            }
            count = inputs.intake.recv_many(&mut arrived, commit_frames), if accepting => {
                if count == 0 {
                    break;
                }
                telemetry::intake_depth(inputs.intake.len());
                core.intakes(arrived.drain(..), |core, intake| pending += pass_deadlines(core, intake));
                pending += count;
            }
            Some(letter) = inputs.replays.recv(), if accepting => {
                core.replay(letter);
                pending += 1;
            }
            Some(request) = inputs.commands.recv(), if accepting => {
                let answer = core.order(request.order, clock.now());
                replies.push(Reply::Answer { to: request.reply, answer });
                pending += 1;
            }
            Some(request) = inputs.register.recv(), if accepting => {
                replies.extend(take_register(&mut core, request, clock.now()));
                pending += 1;
            }
            Some(health) = inputs.health.recv(), if accepting => {
                core.health(health, clock.now());
                pending += 1;
            }
            () = tokio::time::sleep_until(leaves), if pending > 0 && !is_due => {}
            // Only when nothing received waits: time does not run ahead of what has been heard.
            () = tokio::time::sleep(deadline.unwrap_or(Duration::MAX)), if accepting && deadline.is_some() => {
                pending += core.tick(clock.now(), DEADLINES_A_STEP).max(1);
            }
        }
    }
    let last = Work { group: core.take_group(), replies };
    if work.send(last).await.is_err() {
        tracing::error!("the writer had ended before the last group; what it held will be redelivered");
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
