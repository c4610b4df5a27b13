//! Names of all metrics, by stage. Base units; counters end in `_total`; no label holds an asset or a tag.

// The books (contract: frames = decoded + dead letters + dropped; readings = used + filtered).
pub const FRAMES: &str = "tallyman_frames_total";
pub const FRAMES_DECODED: &str = "tallyman_frames_decoded_total";
pub const FRAMES_DROPPED: &str = "tallyman_frames_dropped_total";
pub const DEAD_LETTERS: &str = "tallyman_dead_letters_total";
pub const READINGS: &str = "tallyman_readings_total";
pub const READINGS_USED: &str = "tallyman_readings_used_total";
pub const READINGS_FILTERED: &str = "tallyman_readings_filtered_total";
pub const BOOKS_IMBALANCE: &str = "tallyman_books_imbalance";

// The pipeline and its journal.
pub const QUEUE_DEPTH: &str = "tallyman_queue_depth";
pub const COMMITS: &str = "tallyman_commits_total";
pub const COMMIT_SECONDS: &str = "tallyman_commit_seconds";
pub const COMMIT_FAILURES: &str = "tallyman_commit_failures_total";
pub const EVENTS: &str = "tallyman_events_total";
pub const JOURNAL_BYTES: &str = "tallyman_journal_bytes";
pub const JOURNAL_MAX_BYTES: &str = "tallyman_journal_max_bytes";

// Alerts.
pub const ALERTS: &str = "tallyman_alerts";
pub const NOTIFICATIONS: &str = "tallyman_notifications_total";
pub const NOTIFICATION_FAILURES: &str = "tallyman_notification_failures_total";
