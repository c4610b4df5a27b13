//! A source under test, with the test in the pipeline's place: it takes what the source puts out, and opens
//! and shuts the gate.

use std::future::Future;

use tallyman::domain::frames::LinkState;
use tallyman::source::clock::WallClock;
use tallyman::source::{Gate, Intake, IntakeSender};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::servers::PATIENCE;

pub struct Source {
    pub intake: mpsc::Receiver<Intake>,
    pub gate: watch::Sender<Gate>,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Source {
    /// `run` is the source's own; `queue`: items that wait for the test.
    pub fn start<F>(queue: usize, run: impl FnOnce(IntakeSender, CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, intake) = mpsc::channel(queue);
        let (gate, gate_receiver) = watch::channel(Gate::Open);
        let shutdown = CancellationToken::new();
        let mouth = IntakeSender { queue: sender, gate: gate_receiver, clock: WallClock::new() };
        let task = tokio::spawn(run(mouth, shutdown.clone()));
        Self { intake, gate, shutdown, task }
    }

    pub async fn next(&mut self) -> Intake {
        timeout(PATIENCE, self.intake.recv()).await.expect("something comes in").expect("the source runs")
    }

    /// The next change of the link; it must come before any frame.
    pub async fn link(&mut self) -> LinkState {
        match self.next().await {
            Intake::Link(change) => change.state,
            other => panic!("{other:?} instead of a change of the link"),
        }
    }

    /// The same, whatever frames come before it.
    pub async fn link_among_frames(&mut self) -> LinkState {
        loop {
            if let Intake::Link(change) = self.next().await {
                return change.state;
            }
        }
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("the source stops").expect("it does not panic");
    }
}

/// Why it went down.
pub fn reason(state: LinkState) -> String {
    match state {
        LinkState::Down { reason } => reason,
        LinkState::Up { .. } => panic!("the link came up"),
    }
}
