//! How we come back to what we connect to.

use std::time::Duration;

/// Reconnecting: jittered exponential, from `first` to `last`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BackoffConfig {
    pub first: Duration,
    pub last: Duration,
}
