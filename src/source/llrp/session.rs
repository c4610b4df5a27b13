//! One connection: its announcement, requests and answers, and what comes in between. Listening and leaving are in
//! `session/listening.rs`, the reader's outputs in `session/lights.rs`.

mod lights;
mod listening;

pub(super) use listening::PROOF;

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, warn};

use super::Around;
use super::answers::{attempt_status, event, is_answer, is_for_the_pipeline, name_of};
use super::connection::{Connection, ReadError};
use super::conversation::{Conversation, judged};
use super::loss::{Ended, Loss};
use super::outputs::Outputs;
use super::versions::Asks;
use crate::config::{Reach, ReaderConfig};
use crate::decode::llrp::framing::Header;
use crate::decode::llrp::numbers::{message, parameter as number};
use crate::decode::llrp::{Message, Parameter, Value};
use crate::domain::frames::{Frame, Payload};
use crate::source::{Intake, IntakeSender};
use crate::telemetry::names;

/// Readers answer within a second; ADD_ROSPEC takes some of them several.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// What comes in before an answer may take so many times as long as the answer itself.
const MOST_PATIENCE: u32 = 10;

pub(super) struct Session<'a> {
    pub config: &'a ReaderConfig,
    intake: &'a IntakeSender,
    talk: Conversation,
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
    /// It said last that an antenna is not connected, in this session or an earlier one.
    pub has_cut_antennas: bool,
    /// It may be telling what it held for us.
    pub replaying: bool,
    /// The question for its state that it has not answered.
    asked: Option<u32>,
    /// Told where another connection claims to be this reader's.
    doubts: Arc<Notify>,
}

impl<'a> Session<'a> {
    /// Connects, or waits for the reader to connect, until the connection is announced. Sends nothing.
    pub async fn open(around: &Around<'a>, outputs: &'a mut Outputs) -> Result<Self, Ended> {
        let Around { config, max_kept, desk, intake, shutdown } = *around;
        let within = config.connect_timeout;
        let session = |talk, outputs| Self {
            config,
            intake,
            talk,
            outputs,
            shows_outputs: false,
            refuses_filters: false,
            refuses_extensions: false,
            extended: false,
            tells_temperature: false,
            has_cut_antennas: false,
            replaying: false,
            asked: None,
            doubts: desk.doubts(&config.name),
        };
        match &config.reach {
            Reach::ToReader { address, tls } => {
                let connection = Connection::open(address, tls.as_ref(), within, max_kept).await?;
                let mut session = session(Conversation::new(connection), outputs);
                let announced = timeout(within, session.announced()).await;
                announced.unwrap_or(Err(Loss::NotAnnounced(within).into()))?;
                Ok(session)
            }
            Reach::FromReader { .. } => {
                let arrival = tokio::select! {
                    biased;
                    // The listener stops with us: nobody comes any more.
                    () = shutdown.cancelled() => return Err(Ended::Shutdown),
                    arrival = timeout(within, desk.expect(&config.name)) => arrival,
                    never = outputs.away() => match never {},
                };
                // Who waits is at the desk until it is called, so the inner error does not come.
                let Ok(Ok(arrival)) = arrival else { return Err(Loss::NotCalled(within).into()) };
                let mut session = session(arrival.talk, outputs);
                for message in arrival.said {
                    session.forward(message).await?;
                }
                session.own_up(desk.lost_of(&config.name)).await?;
                debug!(reader = %config.name, from = arrival.from, "taken over from the listener");
                Ok(session)
            }
        }
    }

    /// Messages of the reader that nobody could take while it was not known, or not waited for.
    async fn own_up(&mut self, count: u64) -> Result<(), Ended> {
        if count == 0 {
            return Ok(());
        }
        warn!(reader = %self.config.name, count, "messages were lost that the reader sent before it was taken over");
        let source = self.config.name.clone();
        self.hand_on(Intake::Dropped { source, reason: "before-taken-over", count }).await
    }

    async fn announced(&mut self) -> Result<(), Ended> {
        loop {
            let received = self.talk.connection.next().await;
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
        self.ask_within(RESPONSE_TIMEOUT, message_type, values, parameters).await
    }

    /// Sends a message that has no answer, or whose answer is waited for elsewhere.
    pub async fn send(
        &mut self,
        message_type: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<u32, Ended> {
        Ok(self.talk.say(message_type, values, parameters).await?)
    }

    /// A message, or the end of the connection; bytes that are no message are kept as a dead letter.
    async fn received(&mut self, received: Result<Vec<u8>, ReadError>) -> Result<Vec<u8>, Ended> {
        let (loss, reason, bytes) = match received {
            Ok(message) => return Ok(message),
            Err(error) => error.into_parts(),
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
                self.talk.acknowledge(header.id).await?;
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
        let bytes = message.len();
        let frame = Frame {
            source: self.config.name.clone(),
            received_at: self.intake.clock.now(),
            payload: Payload::Llrp(message),
            ack: None,
        };
        let intake = self.intake;
        self.meanwhile(async { intake.put(frame, bytes).await.map_err(|_| Ended::PipelineGone) }).await
    }

    async fn hand_on(&mut self, what: Intake) -> Result<(), Ended> {
        let intake = self.intake;
        self.meanwhile(async { intake.queue.send(what).await.map_err(|_| Ended::PipelineGone) }).await
    }
}

impl Asks for Session<'_> {
    fn talk(&mut self) -> &mut Conversation {
        &mut self.talk
    }

    /// Outputs that are shown are switched meanwhile: whoever stands at the door does not wait for an answer.
    async fn ask_within(
        &mut self,
        within: Duration,
        message_type: u16,
        values: Vec<Value>,
        parameters: Vec<Parameter>,
    ) -> Result<Message, Ended> {
        let request = name_of(message_type);
        let id = self.send(message_type, values, parameters).await?;
        let mut patience = Patience::new(within);
        loop {
            let deadline = patience.deadline;
            let received = tokio::select! {
                biased;
                turn = self.outputs.next(), if self.shows_outputs => {
                    self.turn(turn).await?;
                    continue;
                }
                received = timeout_at(deadline, self.talk.connection.next()) => received,
            };
            let Ok(received) = received else {
                if patience.extend(self.talk.connection.receiving_at()) {
                    continue;
                }
                return Err(Loss::NoResponse { request, within }.into());
            };
            let (message, begun) = (self.received(received).await?, Instant::now());
            let rest = self.deal_with(message).await?;
            patience.pause(begun.elapsed());
            let Some(answer) = rest else { continue };
            if is_answer(&answer, message_type, id) {
                return Ok(judged(&answer, message_type)?);
            }
            self.note(&answer);
        }
    }
}

/// Until when an answer is waited for. Reports may come before it, of which one may take long over a slow line.
struct Patience {
    within: Duration,
    deadline: Instant,
    /// However much comes in.
    last: Instant,
}

impl Patience {
    fn new(within: Duration) -> Self {
        let now = Instant::now();
        Self { within, deadline: now + within, last: now + within * MOST_PATIENCE }
    }

    /// Whether to wait on, with bytes of a message that came then and has not come to its end.
    fn extend(&mut self, receiving_at: Option<Instant>) -> bool {
        let Some(at) = receiving_at else { return false };
        self.deadline = (at + self.within).min(self.last);
        self.deadline > Instant::now()
    }

    /// The pipeline had no room for so long: the reader could not have been heard.
    fn pause(&mut self, lasted: Duration) {
        self.deadline += lasted;
        self.last += lasted;
    }
}
