//! What the daemon's metrics say while time passes, and what follows from it.

use std::time::{Duration, Instant};

use super::look::Scrape;
use crate::daemon::Daemon;
use crate::servers::PATIENCE;

/// Between two looks at `/metrics`.
const LOOK: Duration = Duration::from_millis(50);

/// One look at `/metrics`.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub at: Instant,
    /// Number of the journal's newest event.
    pub last_seq: f64,
    /// Events in the journal that the database does not have yet.
    pub backlog: f64,
    /// Event rows written to the database.
    pub rows: f64,
    pub connected: bool,
}

pub struct Recorder<'a> {
    pub daemon: &'a Daemon,
    pub points: Vec<Point>,
}

impl<'a> Recorder<'a> {
    pub fn of(daemon: &'a Daemon) -> Self {
        Self { daemon, points: Vec::new() }
    }

    pub async fn look(&mut self) -> Point {
        let scrape = Scrape::of(self.daemon).await;
        let point = Point {
            at: Instant::now(),
            last_seq: scrape.get("tallyman_journal_last_seq"),
            backlog: scrape.get("tallyman_store_backlog_events"),
            rows: scrape.get("tallyman_store_rows_total"),
            connected: scrape.get("tallyman_store_connected") == 1.0,
        };
        self.points.push(point);
        point
    }

    /// Looks for so long; gives the first and the last point.
    pub async fn during(&mut self, time: Duration) -> (Point, Point) {
        let first = self.look().await;
        let mut last = first;
        while first.at.elapsed() < time {
            tokio::time::sleep(LOOK).await;
            last = self.look().await;
        }
        (first, last)
    }

    pub async fn until(&mut self, what: &str, condition: impl Fn(&Point) -> bool) -> Point {
        let deadline = Instant::now() + PATIENCE * 4;
        loop {
            let point = self.look().await;
            if condition(&point) {
                return point;
            }
            assert!(Instant::now() < deadline, "waited in vain: {what}: {point:?}\n{}", self.daemon.log());
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Events a second that came into the journal.
pub fn live_rate(from: &Point, to: &Point) -> f64 {
    (to.last_seq - from.last_seq) / (to.at - from.at).as_secs_f64()
}

/// Events a second by which the backlog fell, while new ones came.
pub fn drain_rate(from: &Point, to: &Point) -> f64 {
    (from.backlog - to.backlog) / (to.at - from.at).as_secs_f64()
}

/// Event rows a second that were written.
pub fn write_rate(from: &Point, to: &Point) -> f64 {
    (to.rows - from.rows) / (to.at - from.at).as_secs_f64()
}
