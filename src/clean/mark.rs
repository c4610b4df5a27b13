//! A value of a sensor point, and when it had it: to the bit, as rows keep it.

use serde::{Deserialize, Serialize};

use super::rows::{exact, micros};
use crate::domain::time::Timestamp;

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    #[serde(with = "exact")]
    pub value: f64,
    #[serde(with = "micros")]
    pub at: Timestamp,
}
