//! Load: reads and fixes at a steady rate, every one of them told apart by its natural key, all of them in
//! the truth. What takes them may be killed and started again meanwhile.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock::{after, wall_now};
use crate::faults::FaultSwitch;
use crate::llrp::{Reader, ReaderOptions, TagObservation};
use crate::mqtt::owntracks::{self, Location};
use crate::mqtt::{Outgoing, Publisher, PublisherOptions};
use crate::truth::{Emitted, Truth, TruthLog, fnv1a};

/// What is due is handed out this often.
const TICK: Duration = Duration::from_millis(5);
/// How long devices may take to get rid of what they hold at the end.
const DRAIN: Duration = Duration::from_secs(10);
pub const USER: &str = "load";

#[derive(Clone, Debug)]
pub struct LoadOptions {
    pub readers: usize,
    /// Of each reader.
    pub reads_per_s: f64,
    /// Different tags at each reader.
    pub tags: usize,
    /// Tags are read by antennas 1 to this one in turn.
    pub antennas: u16,
    /// Reads that a reader holds while nobody takes them.
    pub buffer_reads: usize,
    pub broker: Option<SocketAddr>,
    /// Trackers.
    pub devices: usize,
    /// Of all trackers together: at most one a second of each, because fixes are told apart by the second.
    pub fixes_per_s: f64,
    /// MQTT connections that the trackers share.
    pub connections: usize,
    /// Messages without a PUBACK on each connection.
    pub window: usize,
    pub seed: u64,
    pub truth_file: Option<PathBuf>,
    /// Every read and fix is in the truth; otherwise they are only counted.
    pub keeps_truth: bool,
    pub listen: IpAddr,
    pub first_port: Option<u16>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            readers: 1,
            reads_per_s: 1000.0,
            tags: 500,
            antennas: 2,
            buffer_reads: 1_000_000,
            broker: None,
            devices: 0,
            fixes_per_s: 0.0,
            connections: 4,
            window: 100,
            seed: 0,
            truth_file: None,
            keeps_truth: true,
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            first_port: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("failed to open a socket or the truth file")]
    Open(#[from] std::io::Error),
    #[error("{fixes_per_s} fixes/s need as many trackers, there are {devices}")]
    TooFewDevices { fixes_per_s: f64, devices: usize },
    #[error("at least one tag and one antenna are needed")]
    NoTags,
}

/// Load under way.
#[derive(Debug)]
pub struct Load {
    readers: Arc<Vec<Reader>>,
    publishers: Arc<Vec<Publisher>>,
    addresses: BTreeMap<String, SocketAddr>,
    log: Arc<TruthLog>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    options: LoadOptions,
}

impl LoadOptions {
    /// Names of the readers.
    pub fn reader_names(&self) -> Vec<String> {
        (1..=self.readers).map(|number| format!("load-{number}")).collect()
    }

    /// Codes of one reader's tags, hex.
    pub fn codes(&self, reader: usize) -> Vec<String> {
        (0..self.tags)
            .map(|tag| code(reader, tag).iter().map(|byte| format!("{byte:02x}")).collect())
            .collect()
    }

    /// Devices of the trackers, all of user [`USER`].
    pub fn device_names(&self) -> Vec<String> {
        (1..=self.devices).map(|number| format!("d{number:05}")).collect()
    }

    fn check(&self) -> Result<(), LoadError> {
        if self.fixes_per_s > self.devices as f64 {
            return Err(LoadError::TooFewDevices { fixes_per_s: self.fixes_per_s, devices: self.devices });
        }
        if self.readers > 0 && (self.tags == 0 || self.antennas == 0) {
            return Err(LoadError::NoTags);
        }
        Ok(())
    }
}

/// Header of a GIAI-96, then the reader and the tag in it.
fn code(reader: usize, tag: usize) -> [u8; 12] {
    let mut code = [0; 12];
    code[0] = 0x34;
    code[1] = 0x14;
    code[4..8].copy_from_slice(&(reader as u32).to_be_bytes());
    code[8..].copy_from_slice(&(tag as u32).to_be_bytes());
    code
}

impl Load {
    /// Opens the readers and connects the trackers; reads are made as soon as a client starts an ROSpec.
    pub async fn start(options: LoadOptions) -> Result<Self, LoadError> {
        options.check()?;
        let log = Arc::new(TruthLog::new(
            options.truth_file.as_deref(),
            options.keeps_truth,
            options.truth_file.is_none(),
        )?);
        let mut readers = Vec::new();
        for (index, name) in options.reader_names().into_iter().enumerate() {
            let port = options.first_port.map_or(0, |first| first + index as u16);
            let mut reader = ReaderOptions::named(name);
            reader.antennas = options.antennas.max(2);
            reader.buffer_reads = options.buffer_reads;
            reader.listen = SocketAddr::new(options.listen, port);
            readers.push(Reader::start(reader, log.clone()).await?);
        }
        let addresses = options.reader_names().into_iter().zip(readers.iter().map(Reader::address)).collect();
        let publishers = publishers(&options, &log);
        let mut load = Self {
            readers: Arc::new(readers),
            publishers: Arc::new(publishers),
            addresses,
            log,
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            options,
        };
        load.generate();
        Ok(load)
    }

    pub fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    fn generate(&mut self) {
        for index in 0..self.readers.len() {
            let (readers, options) = (self.readers.clone(), self.options.clone());
            let mut rng = crate::world::rng(options.seed, &format!("load {index}"));
            let read = move |number: u64, at| {
                let tag = number as usize % options.tags;
                let antenna = 1 + (number / options.tags as u64 % u64::from(options.antennas)) as u16;
                let epc = code(index, tag).to_vec();
                let rssi_dbm = rng.random_range(-70..-45);
                readers[index].read(TagObservation { antenna, epc, rssi_dbm, at, count: 1 });
            };
            self.tasks.spawn(steady(self.options.reads_per_s, self.stop.clone(), read));
        }
        if !self.publishers.is_empty() {
            let (publishers, devices) = (self.publishers.clone(), self.options.device_names());
            let publish = move |number: u64, at: jiff::Timestamp| {
                let device = number as usize % devices.len();
                let publisher = &publishers[device % publishers.len()];
                publisher.publish(fix(
                    &devices[device],
                    device,
                    number / devices.len() as u64,
                    at.as_second(),
                ));
            };
            self.tasks.spawn(steady(self.options.fixes_per_s, self.stop.clone(), publish));
        }
    }

    /// Counts up to now; fixes by connection.
    pub fn emitted(&self) -> Emitted {
        let names = self.options.reader_names();
        let counts = |index: usize| self.publishers[index].counts();
        Emitted {
            tag_reads: names.into_iter().zip(self.readers.iter().map(Reader::counts)).collect(),
            fixes: (0..self.publishers.len()).map(|index| (client_id(index), counts(index))).collect(),
            samples: BTreeMap::new(),
        }
    }

    /// Makes no further reads or fixes, and waits a while until what there is has been taken.
    pub async fn stop_emitting(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a generator failed");
            }
        }
        let drained = async {
            for publisher in self.publishers.iter() {
                publisher.idle().await;
            }
            while self.readers.iter().any(|reader| reader.held() > 0) {
                tokio::time::sleep(TICK).await;
            }
        };
        if timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("some reads or fixes were not taken");
        }
    }

    /// Ends everything and completes the truth, which it gives back where there is no file for it.
    pub async fn stop(mut self) -> std::io::Result<Vec<Truth>> {
        self.stop.cancel();
        self.tasks.shutdown().await;
        for reader in Arc::into_inner(self.readers).into_iter().flatten() {
            reader.stop().await;
        }
        for publisher in Arc::into_inner(self.publishers).into_iter().flatten() {
            publisher.stop().await;
        }
        self.log.flush()?;
        Ok(self.log.kept())
    }
}

fn client_id(index: usize) -> String {
    format!("load-{}", index + 1)
}

fn publishers(options: &LoadOptions, log: &Arc<TruthLog>) -> Vec<Publisher> {
    let Some(broker) = options.broker.filter(|_| options.devices > 0) else { return Vec::new() };
    let publishers = (0..options.connections.max(1)).map(|index| {
        let mut publisher = PublisherOptions::new(broker, client_id(index));
        publisher.window = options.window;
        publisher.queue = 10_000_000;
        Publisher::start(publisher, FaultSwitch::default(), log.clone())
    });
    publishers.collect()
}

/// Every device drives a circle of its own, about five metres from fix to fix.
fn fix(device: &str, index: usize, round: u64, tst: i64) -> Outgoing {
    let angle = round as f64 / 50.0 + index as f64;
    let lat = 50.0 + index as f64 * 0.001 + 0.002 * angle.sin();
    let lon = 10.0 + 0.002 * angle.cos();
    let mut location = Location::new("ld", (lat * 1e7).round() / 1e7, (lon * 1e7).round() / 1e7, tst);
    location.acc = 5;
    location.vel = 18;
    let payload = location.to_json();
    let truth = Truth::Fix {
        device: format!("{USER}/{device}"),
        tst,
        lat: location.lat,
        lon: location.lon,
        payload: format!("{:016x}", fnv1a(&payload)),
        published_at: None,
        puback_at: None,
    };
    Outgoing { topic: owntracks::topic(USER, device), payload, retain: false, truth: Some(truth) }
}

/// Calls `make` with a number and its time, so often, evenly, until told to stop.
async fn steady(per_s: f64, stop: CancellationToken, mut make: impl FnMut(u64, jiff::Timestamp)) {
    let (begun, started) = (wall_now(), Instant::now());
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let due = (started.elapsed().as_secs_f64() * per_s) as u64;
        while number < due {
            make(number, after(begun, Duration::from_secs_f64(number as f64 / per_s)));
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tags_share_a_code() {
        let options = LoadOptions { readers: 3, tags: 300, ..LoadOptions::default() };
        let mut codes: Vec<String> = (0..3).flat_map(|reader| options.codes(reader)).collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), 900);
    }

    #[tokio::test]
    async fn more_than_a_fix_a_second_and_device_is_refused() {
        let options = LoadOptions { devices: 5, fixes_per_s: 6.0, ..LoadOptions::default() };
        assert!(matches!(Load::start(options).await, Err(LoadError::TooFewDevices { .. })));
    }
}
