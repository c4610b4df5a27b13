//! One client's connection: messages in, answers, reports, events and keepalives out, faults on the way.

use std::convert::Infallible;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::dispatch::{self, Reply};
use super::message;
use super::reader::Shared;
use super::report::{Economy, HeldRead, client_request_op, ro_access_report};
use super::wire::{self, Header};
use crate::clock::wall_now;
use crate::faults::{self, Fault, Faults};
use crate::sync::locked;

/// Reads written with one system call, at most: bounds what one write can hold back.
const BATCH_READS: usize = 1024;
/// How long the client may take to close its side once ours is closed.
const LINGER: Duration = Duration::from_millis(300);

/// The connection is over.
#[derive(Debug)]
struct Ended;

pub(super) struct Connection<'a> {
    shared: &'a Shared,
    write: OwnedWriteHalf,
    faults: watch::Receiver<Faults>,
    economy: Economy,
    next_id: u32,
    /// KEEPALIVEs without an answer.
    unanswered: u32,
    next_keepalive: Option<Instant>,
    keepalive: Option<Duration>,
}

/// Messages to write at once, and the reads that each of them holds.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where a report ends in `bytes`, and its reads.
    reports: Vec<(usize, Vec<HeldRead>)>,
}

/// Serves the one client until either side ends it. The reader's state outlives it; what is left is to
/// [`close`] the connection.
pub(super) async fn serve(shared: &Shared, stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let (read, write) = stream.into_split();
    let economy = Economy::new(shared.options.absent_equals_last);
    let faults = shared.faults.watch();
    let mut connection = Connection {
        shared,
        write,
        faults,
        economy,
        next_id: 1,
        unanswered: 0,
        next_keepalive: None,
        keepalive: None,
    };
    let mut read = read;
    // Every way out of the loop is an end, and all of them are closed alike.
    let Err(Ended) = connection.run(&mut read).await;
    (read, connection.write)
}

/// Ends our side first, so that what was written is delivered before the connection goes.
pub(super) async fn close(mut read: OwnedReadHalf, mut write: OwnedWriteHalf) {
    if write.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; 1024];
    let drained = timeout(LINGER, async { while matches!(read.read(&mut rest).await, Ok(1..)) {} }).await;
    if drained.is_err() {
        tracing::debug!("the client did not close its side");
    }
}

impl Connection<'_> {
    async fn run(&mut self, read: &mut OwnedReadHalf) -> Result<Infallible, Ended> {
        let greeting = locked(&self.shared.state).connection_attempt(0, wall_now(), 0);
        self.send(&greeting).await?;
        locked(&self.shared.state).connected();
        let mut buffer = Vec::with_capacity(4096);
        loop {
            while let Some((header, reply)) = self.next_reply(&mut buffer).await? {
                self.answer(header, &reply).await?;
            }
            self.report().await?;
            self.wait(read, &mut buffer).await?;
        }
    }

    /// Until there is something to do: bytes, reads, a deadline, a fault.
    async fn wait(&mut self, read: &mut OwnedReadHalf, buffer: &mut Vec<u8>) -> Result<(), Ended> {
        let round = locked(&self.shared.state).round_ends().map(|end| {
            let left_us = end.as_microsecond() - wall_now().as_microsecond();
            Instant::now() + Duration::from_micros(u64::try_from(left_us).unwrap_or(0))
        });
        tokio::select! {
            read = read.read_buf(buffer) => match read {
                Ok(0) | Err(_) => return Err(Ended),
                Ok(_) => {}
            },
            () = self.shared.work.notified() => {}
            () = faults::until(&mut self.faults, Faults::unreachable) => return Err(Ended),
            () = until(self.next_keepalive) => self.keep_alive().await?,
            () = until(round) => locked(&self.shared.state).roll(wall_now()),
        }
        Ok(())
    }

    /// Handles the next whole message in `buffer`.
    async fn next_reply(&mut self, buffer: &mut Vec<u8>) -> Result<Option<(Header, Reply)>, Ended> {
        let (header, reply) = match wire::split(buffer) {
            Ok(None) => return Ok(None),
            Ok(Some((header, body))) => {
                let reply = locked(&self.shared.state).handle(header, body, wall_now());
                (header, reply)
            }
            Err(broken) => {
                let reply = dispatch::error(0, super::status::PARAMETER_ERROR, &broken.to_string());
                self.send(&reply.bytes).await?;
                return Err(Ended);
            }
        };
        buffer.drain(..header.length);
        Ok(Some((header, reply)))
    }

    async fn answer(&mut self, header: Header, reply: &Reply) -> Result<(), Ended> {
        if header.kind == message::KEEPALIVE_ACK {
            self.unanswered = 0;
        }
        if !reply.bytes.is_empty() {
            self.send(&reply.bytes).await?;
        }
        let keepalive = locked(&self.shared.state).settings.keepalive;
        if keepalive != self.keepalive {
            self.keepalive = keepalive;
            self.next_keepalive = keepalive.map(|every| Instant::now() + every);
        }
        self.shared.changed();
        if reply.close { Err(Ended) } else { Ok(()) }
    }

    async fn keep_alive(&mut self) -> Result<(), Ended> {
        let too_many = self.shared.options.missed_keepalives.is_some_and(|limit| self.unanswered >= limit);
        if too_many {
            return Err(Ended);
        }
        self.unanswered += 1;
        self.next_keepalive = self.keepalive.map(|every| Instant::now() + every);
        let mut bytes = wire::message(message::KEEPALIVE, self.take_id(), |_| {});
        wire::set_version(&mut bytes, locked(&self.shared.state).version);
        self.send(&bytes).await
    }

    fn take_id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    /// Writes the events and reports that are due.
    async fn report(&mut self) -> Result<(), Ended> {
        loop {
            let batch = self.next_batch();
            if batch.bytes.is_empty() {
                return Ok(());
            }
            self.write_batch(batch).await?;
        }
    }

    fn next_batch(&mut self) -> Batch {
        let shared = self.shared;
        let mut state = locked(&shared.state);
        let mut batch = Batch::default();
        for bytes in locked(&shared.urgent).drain(..) {
            batch.bytes.extend(bytes);
        }
        while let Some(event) = state.next_event() {
            let id = self.take_id();
            batch.bytes.extend(wire::message(message::READER_EVENT_NOTIFICATION, id, |out| {
                out.bytes(&event.0);
            }));
        }
        let selector = state.report_rule().selector;
        let mut count = 0;
        while count < BATCH_READS
            && let Some(reads) = state.next_report()
        {
            count += reads.len().max(1);
            if state.asks_client() {
                for read in &reads {
                    batch.bytes.extend(client_request_op(self.take_id(), read, selector));
                }
            }
            let id = self.take_id();
            batch.bytes.extend(ro_access_report(id, &reads, selector, &mut self.economy));
            batch.reports.push((batch.bytes.len(), reads));
        }
        batch
    }

    /// A report counts as sent when all of its bytes were accepted; the others are held again.
    async fn write_batch(&mut self, batch: Batch) -> Result<(), Ended> {
        let mut bytes = batch.bytes;
        wire::set_version(&mut bytes, locked(&self.shared.state).version);
        let (accepted, result) = self.put(&bytes).await;
        let sent_at = wall_now();
        let mut unsent = Vec::new();
        let mut sent = Vec::new();
        for (end, reads) in batch.reports {
            if end <= accepted { sent.extend(reads) } else { unsent.extend(reads) }
        }
        locked(&self.shared.state).hold_again(unsent);
        self.shared.sent(sent, sent_at);
        result
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.put(bytes).await.1
    }

    /// Writes `bytes` as the device's faults allow. How many were accepted, and whether it can go on.
    async fn put(&mut self, bytes: &[u8]) -> (usize, Result<(), Ended>) {
        let faults = self.shared.faults.now();
        if let Some(delay) = faults.delay() {
            tokio::time::sleep(delay).await;
        }
        faults::until(&mut self.faults, |faults| !faults.has(Fault::Silent) || faults.unreachable()).await;
        if faults.has(Fault::Garbage) {
            let noise: Vec<u8> =
                bytes.iter().cycle().take(64).map(|byte| byte.wrapping_mul(167) ^ 0xa5).collect();
            return (0, self.write_counted(&noise).await.1.and(Err(Ended)));
        }
        if faults.has(Fault::Truncated) {
            let (accepted, _) = self.write_counted(&bytes[..bytes.len() / 2]).await;
            return (accepted, Err(Ended));
        }
        let (accepted, result) = self.write_counted(bytes).await;
        if faults.has(Fault::Duplicate) && result.is_ok() {
            return (accepted, self.write_counted(bytes).await.1);
        }
        (accepted, result)
    }

    async fn write_counted(&mut self, bytes: &[u8]) -> (usize, Result<(), Ended>) {
        let mut accepted = 0;
        while accepted < bytes.len() {
            let wrote = tokio::select! {
                wrote = self.write.write(&bytes[accepted..]) => wrote,
                () = faults::until(&mut self.faults, Faults::unreachable) => return (accepted, Err(Ended)),
            };
            match wrote {
                Ok(0) | Err(_) => return (accepted, Err(Ended)),
                Ok(count) => accepted += count,
            }
        }
        (accepted, Ok(()))
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
