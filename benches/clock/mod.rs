//! What a measurement took of the processor, which others on the same machine disturb less than what it took by the
//! clock on the wall; and the middle of several.

use std::time::Duration;

use anyhow::{Context, Result};

/// Time that this thread has had of a core so far; some milliseconds behind.
pub fn of_a_core() -> Result<Duration> {
    let text =
        std::fs::read_to_string("/proc/thread-self/schedstat").context("needs Linux with schedstat")?;
    let nanos = text.split_whitespace().next().context("no figure in schedstat")?.parse()?;
    Ok(Duration::from_nanos(nanos))
}

pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
