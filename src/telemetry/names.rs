//! Names of all metrics, by stage. Base units; counters end in `_total`; no label holds an asset or a tag.

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
/// Acknowledgements written.
pub const MQTT_ACKS: &str = "tallyman_mqtt_acks_total";
/// Acknowledgements not sent, because the connection they belong to is gone.
pub const MQTT_STALE_ACKS: &str = "tallyman_mqtt_stale_acks_total";
/// Messages cut to the payload limit.
pub const MQTT_OVERSIZE: &str = "tallyman_mqtt_oversize_messages_total";
/// Messages sent with QoS 0, which a broker never delivers again.
pub const MQTT_QOS0: &str = "tallyman_mqtt_qos0_messages_total";
/// Reconnections on which the broker no longer knew our session.
pub const MQTT_SESSIONS_LOST: &str = "tallyman_mqtt_sessions_lost_total";

// source, Modbus: label `source`
/// Requests, by `result`: `ok`, `exception`, `timeout`, `transport`.
pub const MODBUS_REQUESTS: &str = "tallyman_modbus_requests_total";
/// Polls left out, by `reason`: `late`, `journal-full`.
pub const MODBUS_POLLS_SKIPPED: &str = "tallyman_modbus_polls_skipped_total";
/// Answers dropped, because the pipeline had no room.
pub const MODBUS_DROPPED: &str = "tallyman_modbus_dropped_answers_total";
