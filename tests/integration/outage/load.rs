//! Reads at a steady rate from simulated LLRP readers; every one of them is told apart by its time.

use std::sync::Arc;
use std::time::Duration;

use tallyman_simulators::clock::wall_now;
use tallyman_simulators::llrp::{Reader, ReaderOptions, TagObservation, Taken};
use tallyman_simulators::truth::TruthLog;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// What is due is handed out this often.
const TICK: Duration = Duration::from_millis(5);
const TAGS: u64 = 500;

pub struct Load {
    readers: Arc<Vec<Reader>>,
    pacing: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Load {
    /// Readers that listen, and read nothing yet.
    pub async fn new(readers: usize) -> Self {
        let mut started = Vec::new();
        for nth in 1..=readers {
            let options = ReaderOptions { buffer_reads: 1_000_000, ..ReaderOptions::named(name(nth)) };
            started.push(Reader::start(options, Arc::new(TruthLog::default())).await.unwrap());
        }
        Self { readers: Arc::new(started), pacing: None }
    }

    /// The readers and what their antennas watch, as configuration.
    pub fn config(&self) -> String {
        let one = |(nth, reader): (usize, &Reader)| {
            let (name, address) = (name(nth + 1), reader.address());
            format!(
                "[[reader]]\nname = \"{name}\"\nprotocol = \"llrp\"\naddress = \"{address}\"\n\
                 report_every = 50\nbackoff = {{ first = \"100ms\", last = \"1s\" }}\n\
                 [[read_point]]\nname = \"{name}-shelf\"\nkind = \"presence\"\nzone = \"hall\"\n\
                 antennas = [{{ reader = \"{name}\", antenna = 1 }}, {{ reader = \"{name}\", antenna = 2 }}]\n"
            )
        };
        self.readers.iter().enumerate().map(one).collect()
    }

    /// A tag that is read by the first reader, in hex.
    pub fn tag() -> String {
        hex::encode(epc(0))
    }

    /// From now on so many reads a second, of all readers together. They must be connected.
    pub async fn begin(&mut self, reads_per_s: f64) {
        for reader in self.readers.iter() {
            reader.listening().await;
        }
        let stop = CancellationToken::new();
        let task = tokio::spawn(pace(self.readers.clone(), reads_per_s, stop.clone()));
        self.pacing = Some((stop, task));
    }

    /// Reads written to a connection so far.
    pub fn sent(&self) -> u64 {
        self.readers.iter().map(|reader| reader.counts().sent).sum()
    }

    /// Reads no more, and returns when every read has been written to its connection: how many that was,
    /// over all the time.
    pub async fn end(&mut self) -> u64 {
        if let Some((stop, task)) = self.pacing.take() {
            stop.cancel();
            task.await.unwrap();
        }
        let deadline = Instant::now() + crate::servers::PATIENCE;
        loop {
            let taken: u64 = self.readers.iter().map(|reader| reader.counts().taken).sum();
            let sent = self.sent();
            if taken == sent {
                return sent;
            }
            assert!(Instant::now() < deadline, "{sent} of {taken} reads were written");
            tokio::time::sleep(TICK).await;
        }
    }
}

fn name(nth: usize) -> String {
    format!("reader-{nth}")
}

/// A 96-bit code.
fn epc(tag: u64) -> Vec<u8> {
    let mut code = vec![0x30, 0x34, 0x25, 0x7b];
    code.extend(tag.to_be_bytes());
    code
}

async fn pace(readers: Arc<Vec<Reader>>, reads_per_s: f64, stop: CancellationToken) {
    let began = Instant::now();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let due = (began.elapsed().as_secs_f64() * reads_per_s) as u64;
        while number < due {
            let reader = &readers[(number % readers.len() as u64) as usize];
            let tag = number / readers.len() as u64 % TAGS;
            let antenna = 1 + u16::from(tag % 2 == 1);
            let observation =
                TagObservation { antenna, epc: epc(tag), rssi_dbm: -55, at: wall_now(), count: 1 };
            assert_eq!(reader.read(observation), Taken::Held);
            number += 1;
        }
    }
}
