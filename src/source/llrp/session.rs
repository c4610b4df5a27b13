//! One connection: its announcement, requests and answers, listening, leaving.

use std::io;
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Around;
use super::connection::{Connection, ReadError};
use super::dial::dial;
use super::loss::{Ended, Loss};
use super::outputs::{Answered, Outputs, Turn};
use super::wire::{
    attempt_status, check_status, event, is_answer, is_for_the_pipeline, name_of, status_of, type_of,
};
use super::{vendors, versions};
use crate::config::{Reach, ReaderConfig};
use crate::decode::llrp::framing::Header;
use crate::decode::llrp::numbers::{message, parameter as number};
use crate::decode::llrp::{Message, Parameter, Value, build};
use crate::domain::frames::{Frame, Payload};
use crate::source::{Gate, Intake, IntakeSender};
use crate::telemetry::names;

/// Readers answer within a second; ADD_ROSPEC takes some of them several.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Our messages are small: a reader that does not take them within this is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long we wait for the reader's leave; it closes anyway.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// A reader warms up within minutes.
const TEMPERATURE_EVERY: Duration = Duration::from_secs(60);
/// Keepalives that may go missing.
const MISSED_KEEPALIVES: u32 = 3;

pub(super) struct Session<'a> {
    pub config: &'a ReaderConfig,
    intake: &'a IntakeSender,
    connection: Connection,
    /// As the headers of our messages have it.
    version: u8,
    last_id: u32,
    outputs: &'a mut Outputs,
    /// They have been brought to what they should be.
    shows_outputs: bool,
    /// It takes no ROSpec that chooses tags, as it said in this session or an earlier one.
    pub refuses_filters: bool,
    /// It takes none of its maker's extensions, or not all that we ask for; as with filters.
    pub refuses_extensions: bool,
    /// Its maker's extensions are in use.
    pub extended: bool,
    /// It can be asked for its temperature.
    pub tells_temperature: bool,
}

impl<'a> Session<'a> {
    /// Connects, or waits for the reader to connect, until the connection is announced. Sends nothing.
    pub async fn open(around: &Around<'a>, outputs: &'a mut Outputs) -> Result<Self, Ended> {
        let Around { config, max_kept, desk, intake } = *around;
        let within = config.connect_timeout;
        let session = |connection, last_id, outputs| Self {
            config,
            intake,
            connection,
            version: versions::V1_0_1,
            last_id,
            outputs,
            shows_outputs: false,
            refuses_filters: false,
            refuses_extensions: false,
            extended: false,
            tells_temperature: false,
        };
        match &config.reach {
            Reach::ToReader { address, tls } => {
                let connection = dial(address, tls.as_ref(), within, max_kept).await?;
                let mut session = session(connection, 0, outputs);
                let announced = timeout(within, session.announced()).await;
                announced.unwrap_or(Err(Loss::NotAnnounced(within).into()))?;
                Ok(session)
            }
            Reach::FromReader { .. } => {
                let arrival = tokio::select! {
                    arrival = timeout(within, desk.expect(&config.name)) => arrival,
                    never = outputs.away() => match never {},
                };
                // The desk lives as long as the listener: one that is gone is going down with us.
                let Ok(Ok(arrival)) = arrival else { return Err(Loss::NotCalled(within).into()) };
                let mut session = session(arrival.connection, arrival.last_id, outputs);
                for message in arrival.said {
                    session.forward(message).await?;
                }
                debug!(reader = %config.name, from = arrival.from, "taken over from the listener");
                Ok(session)
            }
        }
    }

    /// Of the protocol, as negotiated.
    pub fn set_version(&mut self, version: u8) {
        self.version = version;
    }

    async fn announced(&mut self) -> Result<(), Ended> {
        loop {
            let received = self.connection.next().await;
            let message = self.received(received).await?;
            match attempt_status(&message) {
                Some(0) => return self.forward(message).await,
                Some(status) => return Err(Loss::Refused(status).into()),
                None if is_for_the_pipeline(&message) => self.forward(message).await?,
                None => debug!(reader = %self.config.name, "not the announcement of the connection"),
            }
        }
    }

    /// Sends a request and waits for its answer; everything else that comes meanwhile is dealt with.
    ///
    /// # Errors
    /// No answer, or one whose LLRPStatus is not success.
    pub async fn request(
        &mut self,
        message_type: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<Message, Ended> {
        self.request_within(RESPONSE_TIMEOUT, message_type, values, parameters).await
    }

    pub async fn request_within(
        &mut self,
        within: Duration,
        message_type: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<Message, Ended> {
        let request = name_of(message_type);
        let id = self.send(message_type, values, parameters).await?;
        let deadline = Instant::now() + within;
        loop {
            let received = timeout_at(deadline, self.connection.next()).await;
            let received = received.map_err(|_| Loss::NoResponse { request, within })?;
            let message = self.received(received).await?;
            let Some(answer) = self.deal_with(message).await? else { continue };
            if is_answer(&answer, message_type, id) {
                let answer =
                    Message::decode(&answer).map_err(|error| Loss::Undecodable { request, error })?;
                check_status(&answer).map_err(|(status, description)| Loss::Rejected {
                    request,
                    status,
                    description,
                })?;
                return Ok(answer);
            }
            self.note(&answer);
        }
    }

    /// Sends a message that has no answer, or whose answer is waited for elsewhere.
    pub async fn send(
        &mut self,
        message_type: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<u32, Ended> {
        self.last_id = self.last_id.wrapping_add(1);
        self.send_as(self.last_id, message_type, values, parameters).await?;
        Ok(self.last_id)
    }

    async fn send_as(
        &mut self,
        id: u32,
        message_type: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<(), Ended> {
        let request = name_of(message_type);
        let mut message = build::message(message_type, id, values, parameters);
        message.version = match message_type {
            // Written as 1.1, whatever is spoken so far.
            message::GET_SUPPORTED_VERSION | message::SET_PROTOCOL_VERSION => versions::V1_1,
            _ => self.version,
        };
        let bytes = message.encode();
        let bytes = bytes.map_err(|error| Loss::Encode { request, error })?;
        self.connection.send(&bytes, SEND_TIMEOUT).await.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Ended::Lost(Loss::WriteTimeout),
            _ => Ended::Lost(Loss::Write(error)),
        })
    }

    /// Passes on what comes until the connection is lost or we are asked to stop.
    pub async fn listen(&mut self, shutdown: &CancellationToken) -> Ended {
        let mut silence = Silence::new(self.config.keepalive);
        let mut gate = self.intake.gate.clone();
        let mut ask_at = self.tells_temperature.then(Instant::now);
        loop {
            let next = tokio::select! {
                biased;
                () = shutdown.cancelled() => return self.close(&gate).await,
                turn = self.outputs.next() => Next::Turn(turn),
                heard = hear(&mut self.connection, &mut gate, &mut silence) => Next::Heard(heard),
                () = until(ask_at) => Next::Ask,
            };
            let done = match next {
                Next::Turn(turn) => self.turn(turn).await,
                Next::Heard(heard) => self.heard(heard).await,
                Next::Ask => {
                    ask_at = Some(Instant::now() + TEMPERATURE_EVERY);
                    self.ask_temperature().await
                }
            };
            if let Err(ended) = done {
                return ended;
            }
        }
    }

    /// Its answer is noted when it comes.
    async fn ask_temperature(&mut self) -> Result<(), Ended> {
        // Its identification beside it, which is the least that can be asked for.
        let values = vec![0u16.into(), 1u8.into(), 0u16.into(), 0u16.into()];
        let request = vec![vendors::temperature_request()];
        self.send(message::GET_READER_CONFIG, values, request).await.map(drop)
    }

    /// Brings every output to what it should be.
    pub async fn show_outputs(&mut self) -> Result<(), Ended> {
        for turn in self.outputs.begin() {
            self.turn(turn).await?;
        }
        self.shows_outputs = true;
        Ok(())
    }

    /// Switches an output. Whether the reader did it is told by its answer, for which nothing waits.
    async fn turn(&mut self, turn: Turn) -> Result<(), Ended> {
        let write = build::parameter(number::GPO_WRITE_DATA, [turn.port.into(), turn.on.into()], vec![]);
        let id = self.send(message::SET_READER_CONFIG, vec![false.into()], vec![write]).await?;
        self.outputs.told(id, turn);
        Ok(())
    }

    /// What the reader says of an output. One that it cannot switch is no reason to end the session.
    fn note_turn(&mut self, answer: &[u8]) -> bool {
        let Some(header) = Header::read(answer) else { return false };
        let status = Message::decode(answer).map(|answer| status_of(&answer.body));
        let taken = header.message_type != message::ERROR_MESSAGE && matches!(status, Ok((0, _)));
        let Some(Answered { turn, output, repeated }) = self.outputs.answered(header.id, taken) else {
            return false;
        };
        let (reader, port, on) = (&self.config.name, turn.port, turn.on);
        match (taken, repeated) {
            (true, _) => {}
            (false, false) => {
                warn!(%reader, output, port, on, ?status, "the reader did not switch an output; it is told again");
            }
            (false, true) => {
                debug!(%reader, output, port, on, ?status, "the reader still does not switch an output");
            }
        }
        true
    }

    async fn heard(&mut self, heard: Result<Result<Vec<u8>, ReadError>, Ended>) -> Result<(), Ended> {
        let message = self.received(heard?).await?;
        if let Some(message) = self.deal_with(message).await? {
            self.note(&message);
        }
        Ok(())
    }

    /// What a message says for which nothing waits.
    fn note(&mut self, message: &[u8]) {
        if self.note_turn(message) {
            return;
        }
        let (reader, kind) = (&self.config.name, type_of(message));
        if kind == message::GET_READER_CONFIG_RESPONSE {
            let told = Message::decode(message).ok().and_then(|told| vendors::temperature(&told.body));
            if let Some(celsius) = told {
                gauge!(names::READER_TEMPERATURE, "source" => reader.as_str().to_owned()).set(celsius);
            }
        } else if kind == message::ERROR_MESSAGE {
            let error = Message::decode(message).map(|error| status_of(&error.body));
            warn!(%reader, ?error, "the reader did not understand a message of ours");
        } else {
            debug!(%reader, kind, "a message that answers nothing");
        }
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
                let received = self.connection.next().await;
                let message = self.received(received).await?;
                let answer = self.deal_with(message).await?;
                if answer.is_some_and(|answer| type_of(&answer) == message::CLOSE_CONNECTION_RESPONSE) {
                    return Ok::<_, Ended>(());
                }
            }
        };
        match timeout(CLOSE_TIMEOUT, leave).await {
            Ok(Ok(())) => debug!(%reader, "the reader let us go"),
            unanswered => debug!(%reader, ?unanswered, "the reader did not answer that we leave"),
        }
        Ended::Shutdown
    }

    /// A message, or the end of the connection; bytes that are no message are kept as a dead letter.
    async fn received(&mut self, received: Result<Vec<u8>, ReadError>) -> Result<Vec<u8>, Ended> {
        let (loss, reason, bytes) = match received {
            Ok(message) => return Ok(message),
            Err(ReadError::Io { error, bytes }) => (Loss::Read(error), "cut-off", bytes),
            Err(ReadError::Silent { after, bytes }) => (Loss::Silent(after), "cut-off", bytes),
            Err(ReadError::Closed(bytes)) => (Loss::Closed, "cut-off", bytes),
            Err(ReadError::Framing { error, bytes }) => (Loss::Framing(error), error.reason(), bytes),
        };
        if !bytes.is_empty() {
            let source = self.config.name.as_str().to_owned();
            warn!(reader = %self.config.name, bytes = bytes.len(), reason, "bytes that are no message; kept as a dead letter");
            counter!(names::LLRP_UNFRAMED, "source" => source, "reason" => reason).increment(1);
            self.forward(bytes).await?;
        }
        Err(loss.into())
    }

    /// Acknowledges keepalives and passes on what is the pipeline's; gives back the rest.
    async fn deal_with(&mut self, message: Vec<u8>) -> Result<Option<Vec<u8>>, Ended> {
        match Header::read(&message) {
            Some(header) if header.message_type == message::KEEPALIVE => {
                self.send_as(header.id, message::KEEPALIVE_ACK, vec![], vec![]).await?;
                Ok(None)
            }
            _ if is_for_the_pipeline(&message) => {
                let closing = event(&message, number::CONNECTION_CLOSE_EVENT).is_some();
                self.forward(message).await?;
                if closing { Err(Loss::Closed.into()) } else { Ok(None) }
            }
            _ => Ok(Some(message)),
        }
    }

    /// Waits for room in the queue; meanwhile the socket is not read.
    async fn forward(&mut self, message: Vec<u8>) -> Result<(), Ended> {
        let frame = Frame {
            source: self.config.name.clone(),
            received_at: self.intake.clock.now(),
            payload: Payload::Llrp(message),
            ack: None,
        };
        let intake = self.intake;
        self.meanwhile(async {
            intake.queue.send(Intake::Frame(frame)).await.map_err(|_| Ended::PipelineGone)
        })
        .await
    }

    /// Waits for something, and switches outputs while it lasts.
    pub async fn meanwhile(&mut self, waiting: impl Future<Output = Result<(), Ended>>) -> Result<(), Ended> {
        let mut waiting = std::pin::pin!(waiting);
        let mut switched = Ok(());
        loop {
            tokio::select! {
                biased;
                done = &mut waiting => return done.and(switched),
                turn = self.outputs.next(), if self.shows_outputs && switched.is_ok() => {
                    // Also where the connection is lost meanwhile, what is waited for comes first.
                    switched = self.turn(turn).await;
                }
            }
        }
    }
}

enum Next {
    Turn(Turn),
    Ask,
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
                silence.ends_at = None;
                return Ok(received);
            }
            () = until(ends_at) => {
                return Ok(Err(ReadError::Silent { after: silence.most, bytes: connection.rest() }));
            }
        }
    }
}

/// How long a reader may say nothing while we listen: counted from its last word, whatever we do meanwhile.
struct Silence {
    most: Duration,
    /// `None`: it begins when we listen next.
    ends_at: Option<Instant>,
}

impl Silence {
    fn new(keepalive: Duration) -> Self {
        Self { most: keepalive * MISSED_KEEPALIVES, ends_at: None }
    }

    /// `None`: it may be silent for ever.
    fn ends_at(&mut self) -> Option<Instant> {
        if self.most.is_zero() {
            return None;
        }
        Some(*self.ends_at.get_or_insert_with(|| Instant::now() + self.most))
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
