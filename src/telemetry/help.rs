//! What every metric means, as `/metrics` says it.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

use super::names;

/// Kind of a metric, as Prometheus has it.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

const HELP: &[(&str, Kind, &str)] = &[
    (names::FRAMES, Counter, "Frames that a source handed over, since the journal began"),
    (names::FRAMES_DECODED, Counter, "Frames that were decoded, since the journal began"),
    (names::FRAMES_DROPPED, Counter, "Frames that were dropped, by reason: data was lost"),
    (names::DEAD_LETTERS, Counter, "Frames that could not be decoded and were set aside whole, by reason"),
    (names::READINGS, Counter, "Readings that frames held, since the journal began"),
    (names::READINGS_USED, Counter, "Readings that cleaning used as evidence, since the journal began"),
    (
        names::READINGS_FILTERED,
        Counter,
        "Readings that cleaning left out, by reason, since the journal began",
    ),
    (
        names::BOOKS_IMBALANCE,
        Gauge,
        "Frames or readings that the books do not account for; anything but 0 is a fault",
    ),
    (names::QUEUE_DEPTH, Gauge, "Entries that wait in a queue"),
    (names::EVENTS, Counter, "Events made durable, by kind"),
    (names::TRACKERS, Gauge, "Trackers that are remembered, of intake.max_trackers"),
    (
        names::TRACKERS_FORGOTTEN,
        Counter,
        "Trackers forgotten: not on the register, and silent or in the way of one that is",
    ),
    (
        names::LATE_UNJUDGED,
        Counter,
        "Late fixes, and visits that they show, older than what is remembered of their tracker",
    ),
    (
        names::REDELIVERY_BYTES,
        Gauge,
        "Memory of trackers' messages beyond the newest of each, of intake.redelivery_memory",
    ),
    (
        names::REDELIVERY_EVICTED,
        Counter,
        "Chunks of messages that left memory before intake.redelivery_horizon; the journal still knows them",
    ),
    (names::ALERTS, Gauge, "Open alerts, by rule and state"),
    (names::NOTIFICATIONS, Counter, "Alerts that a receiver took, repetitions included"),
    (names::NOTIFICATION_FAILURES, Counter, "Times that a receiver could not be told or refused"),
    (names::NOTIFICATIONS_DROPPED, Counter, "Alert messages given up, by receiver and reason"),
    (names::RECEIVER_WAITING, Gauge, "Age of the message that a receiver does not take, in seconds; 0: none"),
    (names::RECEIVER_ENABLED, Gauge, "0 where a receiver of alerts said that it is gone, else 1"),
    (names::STORE_BACKLOG, Gauge, "Events in the journal that TimescaleDB does not have yet"),
    (names::STORE_ROWS, Counter, "Event rows written to TimescaleDB"),
    (names::STORE_BATCHES, Counter, "Transactions that wrote event rows to TimescaleDB"),
    (names::STORE_LAST_SUCCESS, Gauge, "When the last batch was committed in TimescaleDB, Unix time"),
    (
        names::STORE_ERRORS,
        Counter,
        "Errors with TimescaleDB, by kind: each ends a session, but for `people`, a failed step of an erasure or of pruning",
    ),
    (names::STORE_CONNECTED, Gauge, "1 while events can be forwarded to TimescaleDB"),
    (names::STORE_EDITION, Gauge, "1, with edition and version of TimescaleDB"),
    (names::STORE_REJECTED, Counter, "Events that PostgreSQL refused, kept whole in tallyman.rejected_event"),
    (names::STORE_MISSING, Counter, "Events that were pruned from the journal before they were forwarded"),
    (
        names::STORE_EPOCHS,
        Counter,
        "Times that the journal was not the one that the database was filled from",
    ),
    (
        names::REGISTER_PROBLEMS,
        Gauge,
        "Rows of a register that the database owns which do not fit, see tallyman.register_problem",
    ),
    (names::JOURNAL_COMMITS, Counter, "Commits that became durable"),
    (names::JOURNAL_COMMIT_FAILURES, Counter, "Commits that failed and were rolled back"),
    (names::JOURNAL_COMMIT_SECONDS, Histogram, "Time of one commit to the journal, fsync included"),
    (
        names::JOURNAL_LATENCY_SECONDS,
        Histogram,
        "From the receipt of the first frame of a commit until it was durable",
    ),
    (names::JOURNAL_EVENTS, Counter, "Events committed to the journal"),
    (names::JOURNAL_DUPLICATE_IDS, Counter, "Events that were already in the journal, and skipped"),
    (names::JOURNAL_LAST_SEQ, Gauge, "Number of the newest event in the journal"),
    (names::JOURNAL_USED_BYTES, Gauge, "Bytes in use in the journal, without what deleted rows left free"),
    (names::JOURNAL_MAX_BYTES, Gauge, "What the journal may grow to"),
    (names::JOURNAL_WAL_BYTES, Gauge, "Size of the write-ahead log beside the journal"),
    (
        names::JOURNAL_PRUNED_EVENTS,
        Counter,
        "Events deleted because they were older than their retention, by class",
    ),
    (names::JOURNAL_DEAD_LETTERS, Gauge, "Dead letters held"),
    (names::ERASURES_PENDING, Gauge, "People who are being erased and are not gone from everywhere yet"),
    (names::JOURNAL_DEAD_LETTER_BYTES, Gauge, "Bytes of the dead letters held"),
    (
        names::JOURNAL_DEAD_LETTERS_DROPPED,
        Counter,
        "Dead letters dropped, oldest first, because there were too many",
    ),
    (names::JOURNAL_DEAD_LETTERS_REPLAYED, Counter, "Dead letters put back through the pipeline"),
    (names::JOURNAL_SET_ASIDE, Counter, "Damaged journals set aside at a start"),
    (names::DOOR_ACTS, Counter, "Times that a light or buzzer at a door was to be on, by what became of it"),
    (names::DOOR_ON, Gauge, "1 while a light or buzzer at a door is to be on"),
    (names::STALE_POINTS, Gauge, "Sensor points whose value is stale: nobody reads them any more"),
    (names::SOURCE_UP, Gauge, "1 while the source is connected and set up"),
    (names::SOURCE_CONNECTIONS, Counter, "Connections to the source that were set up"),
    (
        names::SOURCE_CONNECTION_FAILURES,
        Counter,
        "Attempts to connect to the source that failed, and connections lost",
    ),
    (names::MQTT_UNACKNOWLEDGED, Gauge, "MQTT messages handed on and not acknowledged yet"),
    (
        names::MQTT_UNACKNOWLEDGED_BYTES,
        Gauge,
        "Bytes of MQTT messages that are not durable yet, of max_inflight_bytes",
    ),
    (names::MQTT_ACKS, Counter, "MQTT acknowledgements written"),
    (names::MQTT_STALE_ACKS, Counter, "MQTT acknowledgements not sent, because their connection is gone"),
    (names::MQTT_OVERSIZE, Counter, "MQTT messages over the payload limit, kept as dead letters"),
    (names::MQTT_QOS0, Counter, "MQTT messages with QoS 0, which a broker never delivers again"),
    (names::MQTT_REQUESTS, Counter, "Requests of our own that were published: Sparkplug rebirths"),
    (names::MQTT_SESSIONS_LOST, Counter, "Reconnections on which the broker no longer knew our session"),
    (names::MQTT_SESSION_LOST_AT, Gauge, "When the broker last no longer knew our session, Unix time"),
    (names::SERIAL_DROPPED, Counter, "Serial frames and garbage dropped, because the pipeline had no room"),
    (names::SERIAL_GARBAGE, Counter, "Bytes on serial lines that belonged to no frame"),
    (
        names::SERIAL_NUDGES,
        Counter,
        "Times that a serial reader was asked again, because nothing had come of it",
    ),
    (names::MODBUS_REQUESTS, Counter, "Modbus requests, by result"),
    (names::MODBUS_POLLS_SKIPPED, Counter, "Modbus polls left out, by reason"),
    (names::MODBUS_JITTER, Histogram, "How far a Modbus poll began behind its time"),
    (
        names::MODBUS_LEFT_ALONE,
        Counter,
        "Modbus requests not sent, because their device does not answer while others on its line do",
    ),
    (names::MODBUS_REFUSED, Gauge, "Registers that a Modbus device is known to refuse"),
    (names::MODBUS_DROPPED, Counter, "Modbus answers dropped, because the pipeline had no room"),
    (names::READER_READS, Counter, "Tag reports, by antenna"),
    (
        names::READER_ANTENNA_CONNECTED,
        Gauge,
        "1 while the reader says that the antenna is connected; NaN while it is away",
    ),
    (names::READER_TROUBLES, Counter, "Times that a reader said that something is wrong with it, by what"),
    (
        names::READER_TEMPERATURE,
        Gauge,
        "Degrees Celsius inside the reader, where it can be asked; NaN while it is away",
    ),
    (names::READER_CLOCK_LEAD, Gauge, "How far the reader's clock runs ahead of ours"),
    (
        names::READER_CLOCK_DRIFT,
        Gauge,
        "What the reader's clock gains on ours, from ten minutes after it connected",
    ),
    (names::LLRP_LOSSES, Counter, "LLRP connections that failed or were lost, by reason"),
    (
        names::LLRP_TURNED_AWAY,
        Counter,
        "Connections that readers made to us and that went no further, by reason",
    ),
    (
        names::LLRP_FILTERS_REFUSED,
        Counter,
        "Readers found to refuse to choose tags; they report all, and it is filtered here",
    ),
    (
        names::LLRP_UNFRAMED,
        Counter,
        "Stretches of bytes that were no LLRP message, by reason; each is a dead letter",
    ),
];

/// Tells the recorder what everything is.
pub(super) fn describe() {
    for &(name, kind, help) in HELP {
        match kind {
            Counter => describe_counter!(name, Unit::Count, help),
            Gauge => describe_gauge!(name, Unit::Count, help),
            Histogram => describe_histogram!(name, Unit::Seconds, help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HELP;

    #[test]
    fn every_metric_is_explained() {
        let source = include_str!("names.rs");
        let named = source.split('"').skip(1).step_by(2).filter(|text| text.starts_with("tallyman_"));
        for name in named {
            assert!(HELP.iter().any(|(known, ..)| *known == name), "{name} has no help text");
        }
        assert!(HELP.len() > 40);
    }
}
