//! A session that is set up: what is heard, what is told meanwhile, and taking leave.

use std::time::Duration;

use metrics::gauge;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Session;
use crate::decode::llrp::Message;
use crate::decode::llrp::numbers::{message, parameter as number};
use crate::domain::frames::{LinkChange, LinkState};
use crate::source::llrp::answers::{is_answer, status_of, type_of};
use crate::source::llrp::connection::{Connection, ReadError};
use crate::source::llrp::conversation::judged;
use crate::source::llrp::loss::{Ended, Loss};
use crate::source::llrp::outputs::Turn;
use crate::source::llrp::vendors;
use crate::source::{Gate, Intake};
use crate::telemetry::names;

/// How long we wait for the reader's leave; it closes anyway.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
// RequestedData of GET_READER_CONFIG (LLRP 1.0.1, section 12.1.1).
const EVERYTHING: u8 = 0;
/// The least that can be asked for.
const IDENTIFICATION: u8 = 1;
const ANTENNA_PROPERTIES: u8 = 2;
/// A reader warms up within minutes.
const TEMPERATURE_EVERY: Duration = Duration::from_secs(60);
/// Silence of two seconds ends what a reader held.
const PULSE: Duration = Duration::from_millis(500);
/// A connection that is doubted shows by then that it lives; readers answer within a second.
pub(in crate::source::llrp) const PROOF: Duration = Duration::from_secs(3);
/// Keepalives that may go missing.
const MISSED_KEEPALIVES: u32 = 3;

impl Session<'_> {
    /// Passes on what comes until the connection is lost or we are asked to stop.
    pub async fn listen(&mut self, shutdown: &CancellationToken) -> Ended {
        let ended = self.hear_out(shutdown).await;
        if self.extended {
            // Nobody knows it any more.
            self.show_temperature(f64::NAN);
        }
        ended
    }

    async fn hear_out(&mut self, shutdown: &CancellationToken) -> Ended {
        let mut silence = Silence::new(self.config.keepalive);
        let mut gate = self.intake.gate.clone();
        let mut pulse = Pulse::new(self.replaying);
        let doubts = self.doubts.clone();
        let mut wanted = if self.config.beams.is_empty() { ANTENNA_PROPERTIES } else { EVERYTHING };
        let mut ask_at = Some(Instant::now());
        loop {
            let next = tokio::select! {
                biased;
                () = shutdown.cancelled() => return self.close(&gate).await,
                turn = self.outputs.next() => Next::Turn(turn),
                heard = hear(&mut self.talk.connection, &mut gate, &mut silence) => Next::Heard(heard),
                () = doubts.notified() => Next::Doubt,
                () = until(ask_at) => Next::Ask,
                () = until(pulse.next) => Next::Pulse,
            };
            let done = match next {
                Next::Turn(turn) => self.turn(turn).await,
                Next::Heard(heard) => match self.heard(heard).await {
                    Err(Ended::Lost(Loss::Silent(after))) if silence.is_doubted() => {
                        Err(Loss::Replaced(after).into())
                    }
                    done => done,
                },
                Next::Doubt => {
                    silence.doubt();
                    self.ask_for_life().await
                }
                Next::Pulse => {
                    let goes_on = pulse.beats(&self.talk.connection);
                    if goes_on { self.replays_on().await } else { Ok(()) }
                }
                Next::Ask => {
                    let again = self.tells_temperature.then(|| Instant::now() + TEMPERATURE_EVERY);
                    let asked = self.ask_state(wanted).await;
                    (ask_at, wanted) = (again, IDENTIFICATION);
                    asked
                }
            };
            if let Err(ended) = done {
                return ended;
            }
        }
    }

    /// A long message is still coming in, so the pipeline hears nothing, and what the reader held is not over.
    async fn replays_on(&mut self) -> Result<(), Ended> {
        let (source, at) = (self.config.name.clone(), self.intake.clock.now());
        self.hand_on(Intake::Link(LinkChange { source, at, state: LinkState::Up { replaying: true } })).await
    }

    /// Asks for this part of its settings, and for its temperature where it tells that. The answer is dealt with when
    /// it comes.
    async fn ask_state(&mut self, wanted: u8) -> Result<(), Ended> {
        let values = vec![0u16.into(), wanted.into(), 0u16.into(), 0u16.into()];
        let request = self.tells_temperature.then(vendors::temperature_request);
        let asked = self.send(message::GET_READER_CONFIG, values, request.into_iter().collect()).await?;
        self.asked = Some(asked);
        Ok(())
    }

    /// Whatever it answers shows that it hears us.
    async fn ask_for_life(&mut self) -> Result<(), Ended> {
        let values = vec![0u16.into(), IDENTIFICATION.into(), 0u16.into(), 0u16.into()];
        self.send(message::GET_READER_CONFIG, values, vec![]).await.map(drop)
    }

    async fn heard(&mut self, heard: Result<Result<Vec<u8>, ReadError>, Ended>) -> Result<(), Ended> {
        let message = self.received(heard?).await?;
        let Some(message) = self.deal_with(message).await? else { return Ok(()) };
        let is_state = self.asked.is_some_and(|id| is_answer(&message, message::GET_READER_CONFIG, id));
        if !is_state {
            self.note(&message);
            return Ok(());
        }
        self.asked = None;
        self.state(message).await
    }

    /// How it is with the reader, as it says itself. That an antenna is not connected is the pipeline's, that all are
    /// again, and how the inputs stand that light barriers are on.
    async fn state(&mut self, told: Vec<u8>) -> Result<(), Ended> {
        let answer = match judged(&told, message::GET_READER_CONFIG) {
            Ok(answer) => answer,
            Err(loss) => {
                debug!(reader = %self.config.name, "it does not tell its state, and is asked no more: {loss}");
                self.tells_temperature = false;
                return Ok(());
            }
        };
        if let Some(celsius) = vendors::temperature(&answer.body) {
            self.show_temperature(celsius.into());
        }
        let tells_beams =
            !self.config.beams.is_empty() && answer.body.first(number::GPI_PORT_CURRENT_STATE).is_some();
        let mut antennas = answer.body.all(number::ANTENNA_PROPERTIES).peekable();
        let antennas_changed = antennas.peek().is_some() && {
            let is_cut = antennas.any(|antenna| antenna.number("AntennaConnected") == Some(0));
            is_cut | std::mem::replace(&mut self.has_cut_antennas, is_cut)
        };
        match tells_beams || antennas_changed {
            true => self.forward(told).await,
            false => Ok(()),
        }
    }

    /// What a message says for which nothing waits.
    pub(super) fn note(&mut self, message: &[u8]) {
        if self.note_turn(message) {
            return;
        }
        let (reader, kind) = (&self.config.name, type_of(message));
        if kind == message::ERROR_MESSAGE {
            let error = Message::decode(message).map(|error| status_of(&error.body));
            warn!(%reader, ?error, "the reader did not understand a message of ours");
        } else {
            debug!(%reader, kind, "a message that answers nothing");
        }
    }

    fn show_temperature(&self, celsius: f64) {
        gauge!(names::READER_TEMPERATURE, "source" => self.config.name.as_str().to_owned()).set(celsius);
    }

    /// Takes leave, so that the reader frees the session at once. What it still sends is passed on.
    async fn close(&mut self, gate: &watch::Receiver<Gate>) -> Ended {
        let reader = self.config.name.clone();
        for turn in self.outputs.end() {
            if let Err(ended) = self.turn(turn).await {
                warn!(%reader, ?ended, "the reader's outputs could not be switched off");
                return Ended::Shutdown;
            }
        }
        if let Err(ended) = self.send(message::CLOSE_CONNECTION, vec![], vec![]).await {
            debug!(%reader, ?ended, "the reader could not be told that we leave");
            return Ended::Shutdown;
        }
        if *gate.borrow() == Gate::Closed {
            return Ended::Shutdown;
        }
        let leave = async {
            loop {
                let received = self.talk.connection.next().await;
                let message = self.received(received).await?;
                let Some(answer) = self.deal_with(message).await? else { continue };
                if type_of(&answer) == message::CLOSE_CONNECTION_RESPONSE {
                    return Ok::<_, Ended>(());
                }
                self.note(&answer);
            }
        };
        match timeout(CLOSE_TIMEOUT, leave).await {
            Ok(Ok(())) => debug!(%reader, "the reader let us go"),
            unanswered => debug!(%reader, ?unanswered, "the reader did not answer that we leave"),
        }
        Ended::Shutdown
    }
}

enum Next {
    Turn(Turn),
    Ask,
    Pulse,
    Doubt,
    Heard(Result<Result<Vec<u8>, ReadError>, Ended>),
}

/// What the socket gives next, read only while the gate is open; that it is closed is not counted as the
/// reader's silence. Cancel safe.
async fn hear(
    connection: &mut Connection,
    gate: &mut watch::Receiver<Gate>,
    silence: &mut Silence,
) -> Result<Result<Vec<u8>, ReadError>, Ended> {
    loop {
        if *gate.borrow() == Gate::Closed {
            silence.ends_at = None;
        }
        if !reaches(gate, Gate::Open).await {
            return Err(Ended::PipelineGone);
        }
        let ends_at = silence.ends_at();
        tokio::select! {
            biased;
            closed = reaches(gate, Gate::Closed) => if !closed { return Err(Ended::PipelineGone) },
            received = connection.next() => {
                silence.broken();
                return Ok(received);
            }
            () = sleep_until(ends_at) => {
                // A full buffer in one report, over a slow line: nothing else can be said meanwhile.
                let ends_at = connection.receiving_at().map(|heard_at| heard_at + silence.within);
                if ends_at.is_some_and(|ends_at| ends_at > Instant::now()) {
                    silence.ends_at = ends_at;
                    continue;
                }
                return Ok(Err(ReadError::Silent { after: silence.within, bytes: connection.rest() }));
            }
        }
    }
}

/// Looks now and then, where a reader tells what it held, whether one message takes long to come in.
struct Pulse {
    /// `None`: never, because it held nothing.
    next: Option<Instant>,
    /// Messages that had come when it looked last.
    taken: u64,
}

impl Pulse {
    fn new(replaying: bool) -> Self {
        Self { next: replaying.then(|| Instant::now() + PULSE), taken: u64::MAX }
    }

    /// Whether the message that is coming in was coming in the last time too.
    fn beats(&mut self, connection: &Connection) -> bool {
        self.next = Some(Instant::now() + PULSE);
        let before = std::mem::replace(&mut self.taken, connection.taken());
        connection.receiving_at().is_some() && before == self.taken
    }
}

/// How long a reader may say nothing while we listen: counted from its last word, whatever we do meanwhile.
struct Silence {
    most: Duration,
    /// The same, or less while the connection is doubted.
    within: Duration,
    /// `None`: it begins when we listen next.
    ends_at: Option<Instant>,
}

impl Silence {
    fn new(keepalive: Duration) -> Self {
        let most = keepalive * MISSED_KEEPALIVES;
        Self { most, within: most, ends_at: None }
    }

    fn broken(&mut self) {
        (self.within, self.ends_at) = (self.most, None);
    }

    /// From now on it has to speak soon, where it would not have to before.
    fn doubt(&mut self) {
        let ends_at = Instant::now() + PROOF;
        if self.ends_at.is_none_or(|before| ends_at < before) {
            (self.within, self.ends_at) = (PROOF, Some(ends_at));
        }
    }

    fn is_doubted(&self) -> bool {
        self.within != self.most
    }

    fn ends_at(&mut self) -> Instant {
        *self.ends_at.get_or_insert_with(|| Instant::now() + self.within)
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Waits until the gate is so; false where nobody holds the gate any more.
async fn reaches(gate: &mut watch::Receiver<Gate>, wanted: Gate) -> bool {
    gate.wait_for(|gate| *gate == wanted).await.is_ok()
}
