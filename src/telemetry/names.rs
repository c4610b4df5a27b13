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
pub const EVENTS: &str = "tallyman_events_total";

// What cleaning remembers.
pub const TRACKERS: &str = "tallyman_trackers";
pub const TRACKERS_FORGOTTEN: &str = "tallyman_trackers_forgotten_total";
pub const LATE_UNJUDGED: &str = "tallyman_late_unjudged_total";
pub const REDELIVERY_BYTES: &str = "tallyman_redelivery_memory_bytes";
pub const REDELIVERY_EVICTED: &str = "tallyman_redelivery_evicted_chunks_total";

// Alerts.
pub const ALERTS: &str = "tallyman_alerts";
pub const NOTIFICATIONS: &str = "tallyman_notifications_total";
pub const NOTIFICATION_FAILURES: &str = "tallyman_notification_failures_total";
/// Messages given up, by `reason`: `refused`, `expired`.
pub const NOTIFICATIONS_DROPPED: &str = "tallyman_notifications_dropped_total";
/// Age of the message that a receiver does not take.
pub const RECEIVER_WAITING: &str = "tallyman_receiver_waiting_seconds";
/// 0 where a receiver said that it is gone, else 1.
pub const RECEIVER_ENABLED: &str = "tallyman_receiver_enabled";

// The journal.
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

/// Rows of a register that the database owns which do not fit and were not taken up.
pub const REGISTER_PROBLEMS: &str = "tallyman_register_problems";

// lights and buzzers at doors: label `output`
/// Times that an output was to be on, by `outcome`: `made`, `extended` (it was on), `late` (nobody stands there any
/// more), `dropped` (a queue was full), `failed` (its time was over before it was reached).
pub const DOOR_ACTS: &str = "tallyman_door_acts_total";
/// 1 while an output is to be on.
pub const DOOR_ON: &str = "tallyman_door_on";

// journal
/// Commits that became durable.
pub const JOURNAL_COMMITS: &str = "tallyman_journal_commits_total";
/// Commits that failed and were rolled back.
pub const JOURNAL_COMMIT_FAILURES: &str = "tallyman_journal_commit_failures_total";
/// Time of one commit, fsync included.
pub const JOURNAL_COMMIT_SECONDS: &str = "tallyman_journal_commit_seconds";
/// From the receipt of the first frame of a commit until that commit was durable: nothing in it waited longer.
pub const JOURNAL_LATENCY_SECONDS: &str = "tallyman_journal_latency_seconds";
/// Events committed.
pub const JOURNAL_EVENTS: &str = "tallyman_journal_events_total";
/// Events that were already in the journal, and skipped.
pub const JOURNAL_DUPLICATE_IDS: &str = "tallyman_journal_duplicate_ids_total";
/// Number of the newest event.
pub const JOURNAL_LAST_SEQ: &str = "tallyman_journal_last_seq";
/// Bytes in use, without what deleted rows left free for the next ones.
pub const JOURNAL_USED_BYTES: &str = "tallyman_journal_used_bytes";
/// `journal.max_bytes`.
pub const JOURNAL_MAX_BYTES: &str = "tallyman_journal_max_bytes";
/// Size of the write-ahead log beside the journal.
pub const JOURNAL_WAL_BYTES: &str = "tallyman_journal_wal_bytes";
/// Events deleted because they were older than their retention; label `class`: `events`, `measurements`, `reads`.
pub const JOURNAL_PRUNED_EVENTS: &str = "tallyman_journal_pruned_events_total";
/// Dead letters held.
pub const JOURNAL_DEAD_LETTERS: &str = "tallyman_journal_dead_letters";
/// People whose erasure is under way.
pub const ERASURES_PENDING: &str = "tallyman_erasures_pending";
/// Bytes of the dead letters held.
pub const JOURNAL_DEAD_LETTER_BYTES: &str = "tallyman_journal_dead_letter_bytes";
/// Dead letters dropped, oldest first, because there were more than `journal.max_dead_letters` or they took more
/// than `journal.max_dead_letter_bytes`.
pub const JOURNAL_DEAD_LETTERS_DROPPED: &str = "tallyman_journal_dead_letters_dropped_total";
/// Dead letters put back through the pipeline.
pub const JOURNAL_DEAD_LETTERS_REPLAYED: &str = "tallyman_journal_dead_letters_replayed_total";
/// Damaged journals set aside at a start.
pub const JOURNAL_SET_ASIDE: &str = "tallyman_journal_set_aside_total";
// sensors
/// Points whose value is stale: nobody reads them any more.
pub const STALE_POINTS: &str = "tallyman_stale_points";

// source: label `source`
/// 1 while the link is up and set up, else 0.
pub const SOURCE_UP: &str = "tallyman_source_up";
/// Connections that were set up.
pub const SOURCE_CONNECTIONS: &str = "tallyman_source_connections_total";
/// Attempts that failed and connections that were lost.
pub const SOURCE_CONNECTION_FAILURES: &str = "tallyman_source_connection_failures_total";

// source, MQTT: label `source`
/// Messages handed on and not acknowledged yet.
pub const MQTT_UNACKNOWLEDGED: &str = "tallyman_mqtt_unacknowledged_messages";
/// Bytes of messages that are not durable yet, of `max_inflight_bytes`.
pub const MQTT_UNACKNOWLEDGED_BYTES: &str = "tallyman_mqtt_unacknowledged_bytes";
/// Acknowledgements written.
pub const MQTT_ACKS: &str = "tallyman_mqtt_acks_total";
/// Acknowledgements not sent, because the connection they belong to is gone.
pub const MQTT_STALE_ACKS: &str = "tallyman_mqtt_stale_acks_total";
/// Messages cut to the payload limit.
pub const MQTT_OVERSIZE: &str = "tallyman_mqtt_oversize_messages_total";
/// Messages sent with QoS 0, which a broker never delivers again.
pub const MQTT_QOS0: &str = "tallyman_mqtt_qos0_messages_total";
/// Requests of ours that were published: Sparkplug rebirths.
pub const MQTT_REQUESTS: &str = "tallyman_mqtt_requests_total";
/// Reconnections on which the broker no longer knew our session.
pub const MQTT_SESSIONS_LOST: &str = "tallyman_mqtt_sessions_lost_total";
/// When the last of them was, Unix time: a count that was 1 before a restart and is 1 after it tells nothing.
pub const MQTT_SESSION_LOST_AT: &str = "tallyman_mqtt_session_lost_timestamp_seconds";

// source, serial: label `source`
/// Frames and garbage dropped, because the pipeline had no room.
pub const SERIAL_DROPPED: &str = "tallyman_serial_dropped_frames_total";
/// Bytes that belonged to no frame.
pub const SERIAL_GARBAGE: &str = "tallyman_serial_garbage_bytes_total";
/// Times that a reader was asked again, because nothing had come of it.
pub const SERIAL_NUDGES: &str = "tallyman_serial_nudges_total";

// source, Modbus: label `source`
/// Requests, by `result`: `ok`, `exception`, `timeout`, `transport`.
pub const MODBUS_REQUESTS: &str = "tallyman_modbus_requests_total";
/// Polls left out, by `reason`: `late`, `journal-full`.
pub const MODBUS_POLLS_SKIPPED: &str = "tallyman_modbus_polls_skipped_total";
/// How far a poll began behind its time, in seconds.
pub const MODBUS_JITTER: &str = "tallyman_modbus_poll_delay_seconds";
/// Requests that were not sent, because their device has not answered lately and others on the line have.
pub const MODBUS_LEFT_ALONE: &str = "tallyman_modbus_left_alone_total";
/// Registers that a device is known to refuse, by `device`.
pub const MODBUS_REFUSED: &str = "tallyman_modbus_refused_registers";
/// Answers dropped, because the pipeline had no room.
pub const MODBUS_DROPPED: &str = "tallyman_modbus_dropped_answers_total";
// LLRP sources.
/// Connections that failed or were lost, by reason.
pub const LLRP_LOSSES: &str = "tallyman_llrp_losses_total";
/// Times that a reader was found to refuse to choose tags, once while the daemon runs; it reports all, and the daemon
/// filters.
pub const LLRP_FILTERS_REFUSED: &str = "tallyman_llrp_filters_refused_total";
/// Stretches of bytes that were no message, by reason; each is a dead letter.
pub const LLRP_UNFRAMED: &str = "tallyman_llrp_unframed_total";
/// Connections that readers made and that went no further, by reason: `unknown`, `duplicate`, `tls`, `slow`, `status`,
/// `not-llrp`, `too-much`, `gone`, `crowd`.
pub const LLRP_TURNED_AWAY: &str = "tallyman_llrp_turned_away_total";

// readers, of any protocol: label `source`
/// Tag reports, by `antenna`.
pub const READER_READS: &str = "tallyman_reader_reads_total";
/// 1 while the reader says that something is plugged into the `antenna`; only where it says so, and NaN while it is away.
pub const READER_ANTENNA_CONNECTED: &str = "tallyman_reader_antenna_connected";
/// Times that a reader said that something is wrong, by `what`: `buffer`, `overflow`, `exception`, `contended`.
pub const READER_TROUBLES: &str = "tallyman_reader_troubles_total";
/// How far a reader's clock runs ahead of ours; of a reader without a calendar, not told.
pub const READER_CLOCK_LEAD: &str = "tallyman_reader_clock_lead_seconds";
/// What a reader's clock gains on ours each second, in seconds; of a reader without a calendar, its uptime.
pub const READER_CLOCK_DRIFT: &str = "tallyman_reader_clock_drift_ratio";
/// Degrees Celsius inside it; only of readers that can be asked (Impinj), and NaN while they are away.
pub const READER_TEMPERATURE: &str = "tallyman_reader_temperature_celsius";
