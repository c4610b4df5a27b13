//! The reader: takes reads while it was asked to, and sends them as its protocol does.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::commands::{self, Asked};
use super::line::Line;
use super::{Protocol, frames};
use crate::clock::wall_now;
use crate::faults::{self, Fault, FaultSwitch, Faults};
use crate::llrp::{TagObservation, Taken};
use crate::sync::locked;
use crate::truth::{ReadCount, Truth, TruthLog};

/// One inventory round of a reader that is asked for each.
const ROUND: Duration = Duration::from_millis(100);
/// A reader that streams says that it hears nothing this often.
const IDLE: Duration = Duration::from_millis(500);
/// Who asks round by round has gone when it did not ask for this long.
const ASKED_LATELY: Duration = Duration::from_secs(2);
/// Between two looks at whether somebody opened the line.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A list holds so many tags.
const LIST: usize = 10;

#[derive(Clone, Debug)]
pub struct SerialOptions {
    pub name: String,
    pub protocol: Protocol,
    /// Where the line is found; what stands there is replaced.
    pub path: PathBuf,
    /// Reads that wait for their round, or for the line.
    pub buffer_reads: usize,
}

/// A running reader.
#[derive(Debug)]
pub struct SerialReader {
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    options: SerialOptions,
    state: Mutex<State>,
    faults: FaultSwitch,
    work: Notify,
    truth: Arc<TruthLog>,
    listening: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<TagObservation>,
    counts: ReadCount,
    /// It reads: told to start, or lately asked for a round.
    reading: bool,
    asked_at: Option<Instant>,
    round_ends: Option<Instant>,
    reads_in_round: u32,
}

impl SerialReader {
    /// Opens the line.
    pub async fn start(options: SerialOptions, truth: Arc<TruthLog>) -> io::Result<Self> {
        let line = Line::open(&options.path)?;
        let shared = Arc::new(Shared {
            options,
            state: Mutex::default(),
            faults: FaultSwitch::default(),
            work: Notify::new(),
            truth,
            listening: watch::Sender::new(false),
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(plugged(shared.clone(), line, stop.clone()));
        Ok(Self { shared, stop, task })
    }

    pub fn path(&self) -> &Path {
        &self.shared.options.path
    }

    /// Offers a read; it is taken while the reader reads.
    pub fn read(&self, observation: TagObservation) -> Taken {
        let unplugged = self.shared.faults.now().refusing();
        let mut state = locked(&self.shared.state);
        if !state.reading || unplugged {
            return Taken::NotListening;
        }
        state.counts.taken += 1;
        if state.waiting.len() >= self.shared.options.buffer_reads {
            state.counts.dropped += 1;
            return Taken::Dropped;
        }
        state.waiting.push_back(observation);
        drop(state);
        self.shared.work.notify_one();
        Taken::Held
    }

    pub fn faults(&self) -> &FaultSwitch {
        &self.shared.faults
    }

    pub fn counts(&self) -> ReadCount {
        locked(&self.shared.state).counts
    }

    /// Reads that wait to be sent.
    pub fn held(&self) -> usize {
        locked(&self.shared.state).waiting.len()
    }

    /// Returns when a client makes it read.
    pub async fn listening(&self) {
        let mut listening = self.shared.listening.subscribe();
        if listening.wait_for(|listening| *listening).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Pulls the line. Reads that were never sent go to the truth as such.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(reader = %self.shared.options.name, %error, "the reader's task failed");
        }
        let unsent: Vec<_> = locked(&self.shared.state).waiting.drain(..).collect();
        self.shared.record(&unsent, false);
    }
}

/// The line comes and goes as the faults say.
async fn plugged(shared: Arc<Shared>, first: Line, stop: CancellationToken) {
    let mut faults = shared.faults.watch();
    let mut line = Some(first);
    loop {
        let Some(mut plugged) = line.take() else {
            tokio::select! {
                () = stop.cancelled() => return,
                () = faults::until(&mut faults, |faults| !faults.refusing()) => {}
            }
            match Line::open(&shared.options.path) {
                Ok(opened) => line = Some(opened),
                Err(error) => {
                    tracing::warn!(reader = %shared.options.name, %error, "no line yet");
                    sleep(LOOK_AGAIN).await;
                }
            }
            continue;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = faults::until(&mut faults, Faults::refusing) => {}
            ended = shared.serve(&mut plugged) => if let Err(error) = ended {
                tracing::warn!(reader = %shared.options.name, %error, "the line failed");
                sleep(LOOK_AGAIN).await;
            },
        }
        drop(plugged);
        shared.forget();
    }
}

impl Shared {
    async fn serve(&self, line: &mut Line) -> io::Result<()> {
        let mut commands = Vec::new();
        let mut buffer = [0; 512];
        let mut last_sent = Instant::now();
        let mut look = tokio::time::interval(LOOK_AGAIN);
        loop {
            tokio::select! {
                read = line.read(&mut buffer) => match read? {
                    Some(count) => {
                        commands.extend(&buffer[..count]);
                        for asked in commands::take(self.options.protocol, &mut commands) {
                            if let Some(answer) = self.asked(asked) {
                                self.send(line, answer).await?;
                            }
                        }
                    }
                    None => {
                        self.set_reading(false);
                        sleep(LOOK_AGAIN).await;
                    }
                },
                () = self.work.notified() => {}
                _ = look.tick() => {}
            }
            self.look_around();
            if self.faults.now().has(Fault::Silent) {
                continue;
            }
            for frame in self.due(last_sent) {
                last_sent = Instant::now();
                self.send(line, frame).await?;
            }
        }
    }

    /// What is answered at once.
    fn asked(&self, asked: Asked) -> Option<Vec<u8>> {
        let protocol = self.options.protocol;
        match asked {
            Asked::Start => self.set_reading(true),
            Asked::Stop => self.set_reading(false),
            Asked::Round => {
                let mut state = locked(&self.state);
                let now = Instant::now();
                state.asked_at = Some(now);
                state.round_ends = state.round_ends.or(Some(now + ROUND));
                drop(state);
                self.set_reading(true);
                return None;
            }
            Asked::Other(_) => {}
        }
        Some(match protocol {
            Protocol::Mercury => frames::mercury(if asked == Asked::Start { 0x2f } else { 0x03 }, 0, &[]),
            Protocol::R200 => frames::r200(0x01, if asked == Asked::Stop { 0x28 } else { 0x03 }, &[0]),
            Protocol::R2000 => frames::r2000(0x72, &[0x10]),
            Protocol::Chafon => frames::chafon(0x21, &[0x00]),
            Protocol::Line => return None,
        })
    }

    /// Who prints lines reads for anybody; who is asked round by round stops when nobody asks.
    fn look_around(&self) {
        let asked = locked(&self.state).asked_at;
        match self.options.protocol {
            Protocol::Line => self.set_reading(true),
            Protocol::R2000 | Protocol::Chafon => {
                if asked.is_none_or(|at| at.elapsed() > ASKED_LATELY) {
                    self.set_reading(false);
                }
            }
            Protocol::Mercury | Protocol::R200 => {}
        }
    }

    fn set_reading(&self, reading: bool) {
        locked(&self.state).reading = reading;
        self.listening.send_if_modified(|was| std::mem::replace(was, reading) != reading);
    }

    /// Pulled out: nothing is remembered.
    fn forget(&self) {
        let mut state = locked(&self.state);
        let gone: Vec<_> = state.waiting.drain(..).collect();
        state.counts.dropped += gone.len() as u64;
        (state.asked_at, state.round_ends, state.reads_in_round) = (None, None, 0);
        drop(state);
        self.set_reading(false);
        self.record(&gone, false);
    }

    /// Frames that are to go now; their reads count as sent.
    fn due(&self, last_sent: Instant) -> Vec<Vec<u8>> {
        let protocol = self.options.protocol;
        let mut state = locked(&self.state);
        let mut frames = Vec::new();
        let round_over = state.round_ends.is_some_and(|end| end <= Instant::now());
        let reads: Vec<TagObservation> = match protocol {
            Protocol::Chafon if !round_over => Vec::new(),
            Protocol::R2000 if state.round_ends.is_none() => Vec::new(),
            _ => state.waiting.drain(..).collect(),
        };
        state.counts.sent += reads.len() as u64;
        state.reads_in_round += reads.len() as u32;
        match protocol {
            Protocol::Chafon => frames.extend(lists(&reads)),
            _ => frames.extend(reads.iter().map(|read| frames::read(protocol, read))),
        }
        if round_over {
            state.round_ends = None;
            frames.extend(frames::round_end(protocol, std::mem::take(&mut state.reads_in_round)));
        }
        if state.reading && frames.is_empty() && last_sent.elapsed() >= IDLE {
            frames.extend(frames::idle(protocol));
        }
        drop(state);
        self.record(&reads, true);
        frames
    }

    async fn send(&self, line: &mut Line, mut frame: Vec<u8>) -> io::Result<()> {
        let faults = self.faults.now();
        if let Some(delay) = faults.delay() {
            sleep(delay).await;
        }
        if faults.has(Fault::Garbage) {
            line.write(&[0x5a, 0x00, 0xc3, 0x0a]).await?;
        }
        if faults.has(Fault::Truncated) {
            frame.truncate(frame.len() / 2);
        }
        line.write(&frame).await?;
        if faults.has(Fault::Duplicate) {
            line.write(&frame).await?;
        }
        Ok(())
    }

    fn record(&self, reads: &[TagObservation], sent: bool) {
        if !self.truth.raw() {
            return;
        }
        let now = wall_now();
        self.truth.record_all(reads.iter().map(|read| Truth::Read {
            reader: self.options.name.clone(),
            epc: read.epc.iter().map(|byte| format!("{byte:02x}")).collect(),
            antenna: read.antenna,
            at: read.at,
            // The protocols carry no time.
            wire_us: u64::try_from(read.at.as_microsecond()).unwrap_or(0),
            sent_at: sent.then_some(now),
        }));
    }
}

/// Each antenna's reads by themselves; the last list says that it is the last.
fn lists(reads: &[TagObservation]) -> Vec<Vec<u8>> {
    let mut by_antenna: Vec<Vec<TagObservation>> = Vec::new();
    for read in reads {
        match by_antenna.iter_mut().find(|list| list[0].antenna == read.antenna && list.len() < LIST) {
            Some(list) => list.push(read.clone()),
            None => by_antenna.push(vec![read.clone()]),
        }
    }
    let count = by_antenna.len();
    let lists = by_antenna.iter().enumerate();
    lists.map(|(nth, list)| frames::chafon_list(list, nth + 1 < count)).collect()
}
