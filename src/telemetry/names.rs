//! Names of all metrics, by stage. Base units; counters end in `_total`; no label holds an asset or a tag.

// store
/// Events in the journal that TimescaleDB does not have yet.
pub const STORE_BACKLOG: &str = "tallyman_store_backlog_events";
/// Event rows written to TimescaleDB.
pub const STORE_ROWS: &str = "tallyman_store_rows_total";
/// Transactions that wrote them.
pub const STORE_BATCHES: &str = "tallyman_store_batches_total";
/// When the last of them was committed, Unix time.
pub const STORE_LAST_SUCCESS: &str = "tallyman_store_last_success_timestamp_seconds";
/// Sessions that ended in an error; label `kind`.
pub const STORE_ERRORS: &str = "tallyman_store_errors_total";
/// 1 while events can be forwarded.
pub const STORE_CONNECTED: &str = "tallyman_store_connected";
/// 1; labels `edition` (`apache`, `community`) and `version` of TimescaleDB.
pub const STORE_EDITION: &str = "tallyman_store_timescale_info";
/// Events that PostgreSQL refused, kept whole in `tallyman.rejected_event`.
pub const STORE_REJECTED: &str = "tallyman_store_rejected_events_total";
/// Events pruned from the journal before they were forwarded.
pub const STORE_MISSING: &str = "tallyman_store_missing_events_total";
/// Times that the journal was found not to be the one that the database was filled from.
pub const STORE_EPOCHS: &str = "tallyman_store_divergences_total";
