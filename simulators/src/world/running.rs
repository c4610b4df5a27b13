//! A world being acted out: devices on real sockets, and one conductor that follows the script.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::any_reader::AnyReader;
use super::conductor::{Conductor, instant_of};
use super::{World, plant};
use crate::clock::{DeviceClock, wall_now};
use crate::llrp::{Reader, ReaderOptions};
use crate::modbus::{self, ColdRoom, DeviceOptions};
use crate::mqtt::{PublisherOptions, Tracker, TrackerOptions};
use crate::serial::{SerialOptions, SerialReader};
use crate::truth::{Emitted, Truth, TruthLog};

/// How long devices may take to get rid of what they hold once emission is over.
const DRAIN: Duration = Duration::from_secs(5);
/// Between two looks at whether they have.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Readers have been running for this long when the scenario starts.
const UPTIME: Duration = Duration::from_secs(5 * 3600);

/// Which devices are acted out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parts {
    /// Over LLRP.
    pub readers: bool,
    pub serial: bool,
    pub trackers: bool,
    pub modbus: bool,
}

impl Parts {
    pub const ALL: Self = Self { readers: true, serial: true, trackers: true, modbus: true };
}

#[derive(Clone, Debug)]
pub struct StartOptions {
    /// Where trackers publish; without a broker there are none.
    pub broker: Option<SocketAddr>,
    pub parts: Parts,
    /// The truth of every single read and fix, too.
    pub raw: bool,
    /// JSON lines, written as things happen.
    pub truth_file: Option<PathBuf>,
    pub listen: IpAddr,
    /// Where the lines of serial readers are found; `None`: among the temporary files.
    pub serial_folder: Option<PathBuf>,
    /// Devices listen on this port and the following ones; `None`: on any that are free.
    pub first_port: Option<u16>,
}

impl Default for StartOptions {
    fn default() -> Self {
        Self {
            broker: None,
            parts: Parts::ALL,
            raw: false,
            truth_file: None,
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            serial_folder: None,
            first_port: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("failed to listen for {device} on {address}")]
    Listen {
        device: String,
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("failed to open a serial line for {device} at {}", path.display())]
    Serial {
        device: String,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("failed to open the truth file")]
    Truth(#[source] std::io::Error),
}

/// By index into the plant's tables; `None` where a part is left out.
#[derive(Debug)]
pub(super) struct Devices {
    pub readers: Vec<Option<AnyReader>>,
    pub trackers: Vec<Option<Tracker>>,
    pub rooms: Vec<Option<modbus::Device>>,
}

/// Devices that stand, and a script that runs once it is told to begin.
#[derive(Debug)]
pub struct Running {
    world: World,
    devices: Arc<Devices>,
    addresses: BTreeMap<String, SocketAddr>,
    log: Arc<TruthLog>,
    winding_down: CancellationToken,
    over: watch::Sender<bool>,
    conductor: Option<JoinHandle<()>>,
}

impl World {
    /// Opens every device. Nothing happens before [`Running::begin`], so that clients can connect first.
    pub async fn start(self, options: StartOptions) -> Result<Running, StartError> {
        let log = TruthLog::new(options.truth_file.as_deref(), options.raw, options.raw);
        let log = Arc::new(log.map_err(StartError::Truth)?);
        let mut ports = Ports { listen: options.listen, next: options.first_port };
        let devices = Devices {
            readers: self.start_readers(&options, &mut ports, &log).await?,
            rooms: self.start_rooms(&options, &mut ports).await?,
            trackers: self.start_trackers(&options, &log),
        };
        let addresses = self.addresses(&devices);
        Ok(Running {
            world: self,
            devices: Arc::new(devices),
            addresses,
            log,
            winding_down: CancellationToken::new(),
            over: watch::Sender::new(false),
            conductor: None,
        })
    }

    async fn start_readers(
        &self,
        options: &StartOptions,
        ports: &mut Ports,
        log: &Arc<TruthLog>,
    ) -> Result<Vec<Option<AnyReader>>, StartError> {
        let mut readers = Vec::new();
        let folder = options.serial_folder.clone().unwrap_or_else(std::env::temp_dir);
        for plan in &self.scenario.readers {
            let wanted = if plan.serial.is_some() { options.parts.serial } else { options.parts.readers };
            if !wanted {
                readers.push(None);
                continue;
            }
            if let Some(protocol) = plan.serial {
                // The process is part of it: several worlds may run beside one another.
                let path = folder.join(format!("tallyman-sim-{}-{}", std::process::id(), plan.name));
                let serial = SerialOptions {
                    name: plan.name.clone(),
                    protocol,
                    path: path.clone(),
                    buffer_reads: plan.buffer_reads,
                };
                let started = SerialReader::start(serial, log.clone()).await;
                let started = started.map_err(|source| StartError::Serial {
                    device: plan.name.clone(),
                    path,
                    source,
                })?;
                readers.push(Some(AnyReader::Serial(started)));
                continue;
            }
            let booted = wall_now() - UPTIME;
            let clock = DeviceClock {
                booted,
                offset_us: plan.clock_offset_ms * 1000,
                drift_ppm: plan.clock_drift_ppm,
                uptime_only: plan.uptime_only,
            };
            let listen = ports.take();
            let reader = ReaderOptions {
                antennas: plan.antennas,
                clock,
                buffer_reads: plan.buffer_reads,
                absent_equals_last: plan.absent_equals_last,
                missed_keepalives: plan.missed_keepalives,
                listen,
                ..ReaderOptions::named(&plan.name)
            };
            let started = Reader::start(reader, log.clone()).await;
            let started = started.map_err(|source| listening(&plan.name, listen, source))?;
            readers.push(Some(AnyReader::Llrp(started)));
        }
        Ok(readers)
    }

    async fn start_rooms(
        &self,
        options: &StartOptions,
        ports: &mut Ports,
    ) -> Result<Vec<Option<modbus::Device>>, StartError> {
        let mut rooms = Vec::new();
        for plan in &self.scenario.cold_rooms {
            if !options.parts.modbus {
                rooms.push(None);
                continue;
            }
            let listen = ports.take();
            let room = ColdRoom::new(plan.set_point_c, plan.outside_c, plan.warms_in_s, plan.cools_in_s);
            let device = DeviceOptions { name: plan.name.clone(), unit: plan.unit, room, listen };
            let started = modbus::Device::start(device).await;
            rooms.push(Some(started.map_err(|source| listening(&plan.name, listen, source))?));
        }
        Ok(rooms)
    }

    fn start_trackers(&self, options: &StartOptions, log: &Arc<TruthLog>) -> Vec<Option<Tracker>> {
        let trackers = self.scenario.trucks.iter().map(|truck| {
            let broker = options.broker.filter(|_| options.parts.trackers)?;
            let options = TrackerOptions {
                user: truck.user.clone(),
                device: truck.device.clone(),
                publisher: PublisherOptions::new(broker, format!("{}-{}", truck.user, truck.device)),
                retain: truck.retain,
                double_every: truck.double_every,
            };
            Some(Tracker::start(options, log.clone()))
        });
        trackers.collect()
    }

    fn addresses(&self, devices: &Devices) -> BTreeMap<String, SocketAddr> {
        let readers = self.plant.readers.iter().zip(&devices.readers);
        let readers =
            readers.filter_map(|(plan, reader)| Some((plan.name.clone(), reader.as_ref()?.address()?)));
        let rooms = self.plant.modbus.iter().zip(&devices.rooms);
        let rooms = rooms.filter_map(|(plan, room)| Some((plan.name.clone(), room.as_ref()?.address())));
        readers.chain(rooms).collect()
    }
}

fn listening(device: &str, address: SocketAddr, source: std::io::Error) -> StartError {
    StartError::Listen { device: device.to_owned(), address, source }
}

struct Ports {
    listen: IpAddr,
    next: Option<u16>,
}

impl Ports {
    fn take(&mut self) -> SocketAddr {
        let port = self.next.unwrap_or(0);
        self.next = self.next.map(|port| port.wrapping_add(1));
        SocketAddr::new(self.listen, port)
    }
}

impl Running {
    pub fn world(&self) -> &World {
        &self.world
    }

    pub fn plant(&self) -> &plant::Plant {
        self.world.plant()
    }

    /// Where readers and Modbus devices listen, by name.
    pub fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// Where the lines of serial readers are, by name.
    pub fn lines(&self) -> BTreeMap<String, PathBuf> {
        let readers = self.world.plant.readers.iter().zip(&self.devices.readers);
        readers.filter_map(|(plan, reader)| Some((plan.name.clone(), reader.as_ref()?.path()?))).collect()
    }

    /// What can be seen at the outputs of readers, by name.
    pub fn outputs(&self) -> BTreeMap<String, watch::Receiver<BTreeSet<u16>>> {
        let readers = self.world.plant.readers.iter().zip(&self.devices.readers);
        readers.filter_map(|(plan, reader)| Some((plan.name.clone(), reader.as_ref()?.outputs()?))).collect()
    }

    /// Waits until every reader has an active ROSpec, every Modbus device was polled and every tracker is
    /// connected; names those that were not after `within`.
    pub async fn clients(&self, within: Duration) -> Vec<String> {
        let deadline = Instant::now() + within;
        let mut missing = Vec::new();
        let plant = self.world.plant();
        for (plan, reader) in plant.readers.iter().zip(&self.devices.readers) {
            if let Some(reader) = reader
                && tokio::time::timeout_at(deadline, reader.listening()).await.is_err()
            {
                missing.push(plan.name.clone());
            }
        }
        for (plan, room) in plant.modbus.iter().zip(&self.devices.rooms) {
            if let Some(room) = room
                && tokio::time::timeout_at(deadline, room.polled()).await.is_err()
            {
                missing.push(plan.name.clone());
            }
        }
        for tracker in self.devices.trackers.iter().flatten() {
            if tokio::time::timeout_at(deadline, tracker.publisher().connected()).await.is_err() {
                missing.push(tracker.name());
            }
        }
        missing
    }

    /// Begins now.
    pub fn begin(&mut self) -> Timestamp {
        let now = wall_now();
        self.begin_at(now);
        now
    }

    /// Begins at a time that has been said before, for instance in due dates. A second call does nothing.
    pub fn begin_at(&mut self, begun: Timestamp) {
        if self.conductor.is_some() {
            return;
        }
        self.devices.rooms.iter().flatten().for_each(|room| room.begin(begun));
        let conductor = Conductor {
            devices: self.devices.clone(),
            listening: self.addresses.keys().cloned().chain(self.lines().into_keys()).collect(),
            log: self.log.clone(),
            begun,
            started: instant_of(begun),
            winding_down: self.winding_down.clone(),
        };
        let script = self.world.script();
        let over = self.over.clone();
        self.conductor = Some(tokio::spawn(async move {
            conductor.play(script).await;
            over.send_replace(true);
        }));
    }

    /// Returns when the script has come to its end.
    pub async fn emission_over(&self) {
        if self.over.subscribe().wait_for(|over| *over).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Begins nothing more. What has begun is played until it could be noticed (seconds), then what devices
    /// hold is sent as far as somebody takes it. At the script's end there is nothing left to play.
    /// Modbus devices go on answering until [`Self::stop`].
    pub async fn stop_emitting(&mut self) {
        self.winding_down.cancel();
        if let Some(conductor) = self.conductor.take()
            && let Err(error) = conductor.await
        {
            tracing::error!(%error, "the conductor failed");
        }
        self.over.send_replace(true);
        if timeout(DRAIN, self.drained()).await.is_err() {
            tracing::warn!("some reads or fixes are still held by their devices");
        }
    }

    async fn drained(&self) {
        for tracker in self.devices.trackers.iter().flatten() {
            tracker.publisher().idle().await;
        }
        while self.devices.readers.iter().flatten().any(|reader| reader.held() > 0) {
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Counts up to now.
    pub fn emitted(&self) -> Emitted {
        let plant = self.world.plant();
        let readers = plant.readers.iter().zip(&self.devices.readers);
        let rooms = plant.modbus.iter().zip(&self.devices.rooms);
        let trackers = self.devices.trackers.iter().flatten();
        Emitted {
            tag_reads: readers
                .filter_map(|(plan, it)| Some((plan.name.clone(), it.as_ref()?.counts())))
                .collect(),
            fixes: trackers.map(|tracker| (tracker.name(), tracker.counts())).collect(),
            samples: rooms
                .filter_map(|(plan, it)| Some((plan.name.clone(), it.as_ref()?.registers_answered())))
                .collect(),
        }
    }

    /// What has happened up to now; with `raw`, also the reads that were sent and the fixes acknowledged.
    pub fn truth(&self) -> Vec<Truth> {
        self.log.kept()
    }

    /// Ends everything. Reads and fixes that never got out are in the truth then. The first write to the truth
    /// file that failed is told here.
    pub async fn stop(mut self) -> std::io::Result<Vec<Truth>> {
        self.winding_down.cancel();
        if let Some(conductor) = self.conductor.take() {
            conductor.abort();
            // An aborted task ends with an error that says just that.
            if let Err(error) = conductor.await
                && error.is_panic()
            {
                tracing::error!(%error, "the conductor failed");
            }
        }
        if let Ok(devices) = Arc::try_unwrap(self.devices) {
            for reader in devices.readers.into_iter().flatten() {
                reader.stop().await;
            }
            for tracker in devices.trackers.into_iter().flatten() {
                tracker.stop().await;
            }
            for room in devices.rooms.into_iter().flatten() {
                room.stop().await;
            }
        }
        self.log.flush()?;
        Ok(self.log.kept())
    }
}
