//! What is known of a tracker beside where it is: whether it is heard, and whether what it says counts.

use schemars::JsonSchema;
use serde::Serialize;

use super::fixes::TrackerRow;
use super::packed;
use super::rows::CleanRestoreError;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;

/// A tracker, by the row that is kept of it.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct TrackerStatus {
    /// When its newest message came, of those that said anything of it.
    pub heard_at: Timestamp,
    /// Of its newest position that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position_at: Option<Timestamp>,
    /// Why its last position was none, where it was: a reason as the metric of filtered readings has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl TrackerStatus {
    /// # Errors
    /// It is no row of a tracker.
    pub fn of_row(device: &str, row: &[u8]) -> Result<Self, CleanRestoreError> {
        packed::read::<TrackerRow<'_>>(StateKind::Tracker, device, row).map(|row| row.status())
    }
}
