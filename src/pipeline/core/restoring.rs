//! The way back: the journal's state rows → the machine as it was at that commit.

use std::collections::{BTreeMap, BTreeSet};

use super::super::answers::Answers;
use super::Core;
use super::arrivals::Arrivals;
use super::decoders::Decoders;
use super::kept_before::KeptBefore;
use crate::clean::{CleanRestoreError, Cleaned, Cleaner};
use crate::config::Config;
use crate::domain::books::Book;
use crate::domain::ids::{Pool, SourceId};
use crate::domain::state::StateKind;
use crate::journal::{Batch, StateRowRead};
use crate::track::{TrackRestoreError, Tracker};

/// The committed past could not be taken up again.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("failed to restore the state of cleaning")]
    Clean(#[from] CleanRestoreError),
    #[error("failed to restore the state of tracking")]
    Track(#[from] TrackRestoreError),
    #[error("failed to restore the Sparkplug state of `{key}`")]
    Sparkplug { key: String, source: serde_json::Error },
    #[error("failed to restore the answer to `{key}`")]
    Answer { key: String, source: serde_json::Error },
    #[error("failed to restore the books of `{source_id}`")]
    Books { source_id: String, source: serde_json::Error },
}

/// A machine whose past is still coming in.
pub struct Restoring {
    core: Core,
    clean_rows: Vec<StateRowRead>,
    sparkplug_rows: Vec<(String, Vec<u8>)>,
    /// Names that many rows have.
    pool: Pool,
}

impl Restoring {
    pub fn new(config: &Config) -> Self {
        let core = Core {
            decoders: Decoders::new(config),
            cleaner: Cleaner::new(&config.rules, &config.intake),
            tracker: Tracker::new(&config.rules),
            books: BTreeMap::new(),
            answers: Answers::new(config.web.idempotency_horizon),
            followed: BTreeMap::new(),
            sites: config.rules.source_sites.clone(),
            keep_reads: config.journal.keep_reads,
            max_payload: config.intake.max_payload_bytes,
            touched_books: BTreeSet::new(),
            batch: Batch::default(),
            acks: Vec::new(),
            first_received: None,
            arrivals: Arrivals::default(),
            kept_before: KeptBefore::default(),
            cleaned: Cleaned::default(),
            tallied: super::tally::Tally::default(),
            live: crate::live::Live::default(),
        };
        Self { core, clean_rows: Vec::new(), sparkplug_rows: Vec::new(), pool: Pool::default() }
    }

    /// Takes rows, in any order.
    pub fn take(&mut self, rows: Vec<StateRowRead>) -> Result<(), RestoreError> {
        for (kind, key, value) in rows {
            match kind {
                StateKind::Book => {
                    let book = serde_json::from_slice::<Book>(&value)
                        .map_err(|source| RestoreError::Books { source_id: key.clone(), source })?;
                    self.core.books.insert(SourceId::from(key), book);
                }
                StateKind::Answer => self
                    .core
                    .answers
                    .restore(&key, &value)
                    .map_err(|source| RestoreError::Answer { key: key.clone(), source })?,
                // How far receivers were told, and what brokers hold, concerns nobody here.
                StateKind::Receiver | StateKind::Subscription => {}
                // Its follower reads it.
                StateKind::Followed => {}
                // The writer carries them through.
                StateKind::Erasure => {}
                StateKind::Sparkplug => self.sparkplug_rows.push((key, value)),
                StateKind::TagWindow => self.core.cleaner.restore_window(key, &value)?,
                StateKind::Clock
                | StateKind::Tracker
                | StateKind::TrackerSeen
                | StateKind::SensorPoint
                | StateKind::ReadPoint => self.clean_rows.push((kind, key, value)),
                StateKind::Asset
                | StateKind::Watch
                | StateKind::Alert
                | StateKind::Register
                | StateKind::Link
                | StateKind::Sensor
                | StateKind::Stranger
                | StateKind::TrackerHeard
                | StateKind::TrackerUnheard
                | StateKind::SourceClock
                | StateKind::Holder
                | StateKind::Away
                | StateKind::Commands
                | StateKind::Audit
                | StateKind::AuditPart
                | StateKind::AuditItem
                | StateKind::AuditPlan
                | StateKind::Badges
                | StateKind::Door => {
                    self.core.tracker.restore_row(kind, &key, &value, &mut self.pool)?;
                }
            }
        }
        Ok(())
    }

    /// To be called when all rows are in.
    pub fn finish(self) -> Result<Core, RestoreError> {
        let Self { mut core, clean_rows, sparkplug_rows, .. } = self;
        core.decoders
            .restore(sparkplug_rows)
            .map_err(|(key, source)| RestoreError::Sparkplug { key, source })?;
        core.cleaner.restore(clean_rows.into_iter())?;
        core.tracker.restored();
        Ok(core)
    }
}
