//! One tracker's connection, from its login to its end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::callers::{Callers, Place};
use crate::config::TeltonikaConfig;
use crate::decode::gps::teltonika::{self, Piece, Session};
use crate::domain::frames::{AckToken, Frame, Payload};
use crate::source::clock::WallClock;
use crate::source::{Gate, Intake, IntakeSender};

/// To log in.
const PATIENCE: Duration = Duration::from_secs(30);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stop waits for what was handed on to be committed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Packets that wait for their commit. A tracker waits for each answer before it sends on.
const MOST_PENDING: usize = 4;
/// Packets in a row that are not believed: the tracker sends the same for ever.
const MOST_REFUSED: u32 = 8;

const ACCEPTED: [u8; 1] = [1];
const REJECTED: [u8; 1] = [0];

pub struct Connection {
    config: Arc<TeltonikaConfig>,
    generation: u64,
    stream: TcpStream,
    /// Gone once we are told to stop, so that the pipeline can end.
    queue: Option<mpsc::Sender<Intake>>,
    gate: watch::Receiver<Gate>,
    clock: WallClock,
    acks: mpsc::UnboundedReceiver<AckToken>,
    callers: Callers,
    /// Among the trackers that are connected, once it said who it is.
    place: Option<Place>,
    session: Session,
    imei: Option<String>,
    /// Packets handed on and not acknowledged: ordinal and number of records.
    pending: VecDeque<(u64, u32)>,
    ordinal: u64,
    refused: u32,
    /// Read, and not looked at yet.
    pieces: VecDeque<Piece>,
}

async fn replaced(place: Option<&Place>) {
    match place {
        Some(place) => place.replaced().await,
        None => std::future::pending().await,
    }
}

/// Why a connection is over; who it was.
type Ended = (String, String);

impl Connection {
    pub fn new(
        config: Arc<TeltonikaConfig>,
        generation: u64,
        stream: TcpStream,
        intake: IntakeSender,
        (acks, callers): (mpsc::UnboundedReceiver<AckToken>, Callers),
    ) -> Self {
        Self {
            config,
            generation,
            stream,
            queue: Some(intake.queue),
            gate: intake.gate,
            clock: intake.clock,
            acks,
            callers,
            place: None,
            session: Session::default(),
            imei: None,
            pending: VecDeque::new(),
            ordinal: 0,
            refused: 0,
            pieces: VecDeque::new(),
        }
    }

    /// Until the tracker leaves or we stop: who it was.
    ///
    /// # Errors
    /// Where it was ended otherwise: who it was, and why.
    pub async fn serve(mut self, shutdown: CancellationToken) -> Result<String, Ended> {
        let ended = self.listen(&shutdown).await;
        let who = self.imei.clone().unwrap_or_else(|| "unknown".to_owned());
        let ended = match ended {
            Ok(()) if shutdown.is_cancelled() => self.drain().await,
            ended => ended,
        };
        ended.map(|()| who.clone()).map_err(|reason| (who, reason))
    }

    async fn listen(&mut self, shutdown: &CancellationToken) -> Result<(), String> {
        let mut buffer = [0; 4096];
        let mut heard = Instant::now();
        loop {
            while let Some(piece) = self.next_piece() {
                if !self.take(piece, shutdown).await? {
                    return Ok(());
                }
            }
            let limit = if self.imei.is_some() { self.config.silent_after } else { PATIENCE };
            let reads = self.has_room();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                () = replaced(self.place.as_ref()) => return Err("it has connected anew".to_owned()),
                token = self.acks.recv() => {
                    self.acknowledge(token.ok_or("the pipeline has ended")?).await?;
                }
                moved = self.gate.changed(), if !self.gate_is_open() => {
                    moved.map_err(|_| "the pipeline has ended")?;
                }
                read = self.stream.read(&mut buffer), if reads => {
                    let count = read.map_err(|error| format!("failed to read: {error}"))?;
                    if count == 0 {
                        return self.leave(shutdown).await;
                    }
                    heard = Instant::now();
                    let mut pieces = Vec::new();
                    self.session.push(&buffer[..count], &mut pieces);
                    self.pieces.extend(pieces);
                }
                () = tokio::time::sleep_until(heard + limit), if reads => {
                    return Err(format!("nothing came for {limit:?}"));
                }
            }
        }
    }

    /// It has closed its side: what came whole is still taken in. What was cut off comes again.
    async fn leave(&mut self, shutdown: &CancellationToken) -> Result<(), String> {
        while let Some(piece) = self.pieces.pop_front() {
            if !self.take(piece, shutdown).await? {
                break;
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.pending.len() < MOST_PENDING && self.gate_is_open()
    }

    fn gate_is_open(&self) -> bool {
        *self.gate.borrow() == Gate::Open
    }

    fn next_piece(&mut self) -> Option<Piece> {
        if self.has_room() { self.pieces.pop_front() } else { None }
    }

    /// False where we were told to stop meanwhile.
    async fn take(&mut self, piece: Piece, shutdown: &CancellationToken) -> Result<bool, String> {
        if let Piece::Login(imei) = piece {
            return self.login(imei).await.map(|()| true);
        }
        let Some(imei) = self.imei.clone() else { return Err("it did not log in".to_owned()) };
        let is_lost = matches!(piece, Piece::Lost(_));
        let (bytes, fault, records) = match piece {
            Piece::Login(_) | Piece::Ping => return Ok(true),
            Piece::Damaged(bytes) => (bytes, Some("crc"), None),
            Piece::Lost(bytes) => (bytes, Some("garbage"), None),
            Piece::Packet(bytes) => {
                let records = teltonika::decode(&bytes).ok();
                (bytes, None, records.and_then(|records| u32::try_from(records.len()).ok()))
            }
        };
        self.refused = if records.is_some() { 0 } else { self.refused + 1 };
        let ack = records.map(|_| {
            self.ordinal += 1;
            AckToken { generation: self.generation, ordinal: self.ordinal, packet_id: 0, bytes: 0 }
        });
        let (source, received_at) = (self.config.name.clone(), self.clock.now());
        let frame = Frame { source, received_at, payload: Payload::Teltonika { imei, bytes, fault }, ack };
        let Some(queue) = &self.queue else { return Ok(false) };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(false),
            sent = queue.send(Intake::Frame(frame)) => sent.map_err(|_| "the pipeline has ended")?,
        }
        self.pending.extend(records.map(|records| (self.ordinal, records)));
        if is_lost {
            return Err("what it sent is no packet".to_owned());
        }
        if self.refused >= MOST_REFUSED {
            return Err(format!("{MOST_REFUSED} packets in a row were not what they say they are"));
        }
        Ok(true)
    }

    async fn login(&mut self, imei: String) -> Result<(), String> {
        let is_other = self.imei.as_ref().is_some_and(|known| *known != imei);
        let is_known =
            self.config.devices.as_ref().is_none_or(|known| known.iter().any(|known| known.as_str() == imei));
        if is_other || !is_known {
            self.write(&REJECTED).await?;
            return Err(match is_other {
                true => format!("it logged in a second time, as {imei}"),
                false => format!("{imei} is not one of `devices`"),
            });
        }
        if self.place.is_none() {
            let place = self.callers.enter(&imei, self.generation).ok_or_else(|| {
                let most = self.config.max_connections;
                warn!(source = %self.config.name, most, imei, "too many trackers are connected; one more was turned away");
                "too many trackers are connected"
            });
            self.place = Some(place?);
        }
        self.imei = Some(imei);
        self.write(&ACCEPTED).await
    }

    /// Commits come in the order of what was handed on.
    async fn acknowledge(&mut self, token: AckToken) -> Result<(), String> {
        while let Some((ordinal, records)) = self.pending.front().copied() {
            if ordinal > token.ordinal {
                break;
            }
            self.pending.pop_front();
            self.write(&records.to_be_bytes()).await?;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        match timeout(WRITE_TIMEOUT, self.stream.write_all(bytes)).await {
            Ok(written) => written.map_err(|error| format!("failed to write: {error}")),
            Err(_) => Err("failed to write: it does not read".to_owned()),
        }
    }

    /// Lets the pipeline end, and acknowledges what it still commits.
    async fn drain(mut self) -> Result<(), String> {
        self.queue = None;
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while !self.pending.is_empty() {
            match tokio::time::timeout_at(deadline, self.acks.recv()).await {
                Ok(Some(token)) => self.acknowledge(token).await?,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }
}
