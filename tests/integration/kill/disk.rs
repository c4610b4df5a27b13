//! How long the machine took meanwhile: a file of its own beside the journal, written and synced over and
//! over by a thread of the test. What it waits for, disk or processor, the daemon waits for too.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two syncs: often enough to meet a stall, seldom enough not to be one.
const PAUSE: Duration = Duration::from_millis(20);

pub struct DiskWatch {
    stop: Sender<()>,
    thread: JoinHandle<Vec<(Instant, Duration)>>,
}

impl DiskWatch {
    pub fn start(folder: &Path) -> Self {
        let mut file = File::create(folder.join("disk-watch")).expect("a file");
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut syncs = Vec::new();
            let mut began = Instant::now() + PAUSE;
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                file.write_all(&[0; 4096]).and_then(|()| file.sync_all()).expect("the disk takes a page");
                // From when it was to begin: that it was not woken in time counts.
                syncs.push((began, began.elapsed()));
                began = Instant::now() + PAUSE;
            }
            syncs
        });
        Self { stop, thread }
    }

    /// Every sync: when it was to begin, and what it took from there.
    pub fn stop(self) -> Vec<(Instant, Duration)> {
        self.stop.send(()).expect("the thread runs");
        self.thread.join().expect("the thread ends")
    }
}

/// The slowest sync that was under way at any time from `from` to `to`.
pub fn slowest(syncs: &[(Instant, Duration)], from: Instant, to: Instant) -> Duration {
    let under_way = syncs.iter().filter(|(began, took)| *began <= to && *began + *took >= from);
    under_way.map(|(_, took)| *took).max().unwrap_or_default()
}
