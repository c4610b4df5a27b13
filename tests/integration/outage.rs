//! The running daemon, and a TimescaleDB that goes away, comes back, or is not what it was.
//!
//! `deploy/dev/outage-test` runs the first of these with its full figures.

mod account;
mod load;
mod look;
mod record;
mod server;

mod away;
mod diverged;

use std::time::Duration;

use self::load::Load;
use self::look::Scrape;
use crate::daemon::Daemon;

const NODE: &str = "outage";
/// Raw reads in the journal, since the daemon's start.
const READS: &str = "tallyman_events_total{kind=\"tag-read\"}";
const BACKLOG: &str = "tallyman_store_backlog_events";
const CONNECTED: &str = "tallyman_store_connected";

/// A daemon with `load`'s readers, every read kept, forwarded to the database at `url`; not started yet.
fn daemon(load: &Load, url: &str) -> Daemon {
    Daemon::prepare(|place| {
        format!(
            "node = \"{NODE}\"\n{}\
             [store.timescale]\nurl = \"{url}\"\n\
             [[site]]\nname = \"depot\"\ntimezone = \"UTC\"\n\
             [[zone]]\nname = \"hall\"\ncoverage = \"continuous\"\n\
             [[class]]\nname = \"pallet\"\n\
             {}",
            place.tables("keep_reads = true"),
            load.config()
        )
    })
}

/// A number from the environment, or what tests take by default.
fn setting(name: &str, default: f64) -> f64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Waits until the journal holds `reads` raw reads of this run of the daemon.
async fn journaled(daemon: &mut Daemon, reads: u64) {
    let what = format!("{reads} reads are in the journal");
    daemon.until(&what, async |daemon| Scrape::of(daemon).await.get(READS) as u64 >= reads).await;
}

/// Waits until everything in the journal is in the database.
async fn forwarded(daemon: &mut Daemon) {
    let caught_up = async |daemon: &Daemon| {
        let scrape = Scrape::of(daemon).await;
        scrape.get(CONNECTED) == 1.0 && scrape.get(BACKLOG) == 0.0
    };
    daemon.until("the backlog is 0", caught_up).await;
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
