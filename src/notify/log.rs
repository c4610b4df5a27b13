//! The log as a receiver: one line a transition, under the target `tallyman::alerts`.

use super::courier::{Carrier, Undelivered};
use super::notice::Notice;
use crate::domain::alerts::{AlertTransition, Severity};

pub struct Log;

impl Carrier for Log {
    fn kind(&self) -> &'static str {
        "log"
    }

    fn address(&self) -> String {
        String::new()
    }

    async fn carry(&mut self, notice: &Notice) -> Result<(), Undelivered> {
        let Notice { id, transition, alert, .. } = notice;
        let (alert, summary) = (&alert.key, &alert.summary);
        let is_over = *transition == AlertTransition::Resolved;
        let (transition, severity) = (transition.as_str(), notice.alert.severity);
        if is_over {
            tracing::info!(target: "tallyman::alerts", %id, transition, %alert, severity = severity.as_str(), "over: {summary}");
            return Ok(());
        }
        match severity {
            Severity::Critical => {
                tracing::error!(target: "tallyman::alerts", %id, transition, %alert, severity = severity.as_str(), "{summary}");
            }
            Severity::Warning => {
                tracing::warn!(target: "tallyman::alerts", %id, transition, %alert, severity = severity.as_str(), "{summary}");
            }
            Severity::Info => {
                tracing::info!(target: "tallyman::alerts", %id, transition, %alert, severity = severity.as_str(), "{summary}");
            }
        }
        Ok(())
    }
}
