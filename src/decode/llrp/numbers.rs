//! The type numbers that the session and the report decoder name (LLRP 1.0.1, section 16).

/// Message types.
pub mod message {
    pub const GET_READER_CAPABILITIES: u16 = 1;
    pub const GET_READER_CONFIG: u16 = 2;
    pub const SET_READER_CONFIG: u16 = 3;
    pub const CLOSE_CONNECTION_RESPONSE: u16 = 4;
    pub const GET_READER_CAPABILITIES_RESPONSE: u16 = 11;
    pub const GET_READER_CONFIG_RESPONSE: u16 = 12;
    pub const SET_READER_CONFIG_RESPONSE: u16 = 13;
    pub const CLOSE_CONNECTION: u16 = 14;
    pub const ADD_ROSPEC: u16 = 20;
    pub const DELETE_ROSPEC: u16 = 21;
    pub const START_ROSPEC: u16 = 22;
    pub const ENABLE_ROSPEC: u16 = 24;
    pub const DISABLE_ROSPEC: u16 = 25;
    pub const GET_ROSPECS: u16 = 26;
    pub const ADD_ROSPEC_RESPONSE: u16 = 30;
    pub const DELETE_ROSPEC_RESPONSE: u16 = 31;
    pub const START_ROSPEC_RESPONSE: u16 = 32;
    pub const ENABLE_ROSPEC_RESPONSE: u16 = 34;
    pub const GET_ROSPECS_RESPONSE: u16 = 36;
    pub const GET_SUPPORTED_VERSION: u16 = 46;
    pub const SET_PROTOCOL_VERSION: u16 = 47;
    pub const RO_ACCESS_REPORT: u16 = 61;
    pub const KEEPALIVE: u16 = 62;
    pub const READER_EVENT_NOTIFICATION: u16 = 63;
    pub const ENABLE_EVENTS_AND_REPORTS: u16 = 64;
    pub const KEEPALIVE_ACK: u16 = 72;
    pub const ERROR_MESSAGE: u16 = 100;
    pub const CUSTOM_MESSAGE: u16 = 1023;
}

/// Parameter types; below 128 TV, from 128 TLV.
pub mod parameter {
    pub const ANTENNA_ID: u16 = 1;
    pub const FIRST_SEEN_UTC: u16 = 2;
    pub const FIRST_SEEN_UPTIME: u16 = 3;
    pub const LAST_SEEN_UTC: u16 = 4;
    pub const LAST_SEEN_UPTIME: u16 = 5;
    pub const PEAK_RSSI: u16 = 6;
    pub const TAG_SEEN_COUNT: u16 = 8;
    pub const C1G2_CRC: u16 = 11;
    pub const C1G2_PC: u16 = 12;
    pub const EPC_96: u16 = 13;
    pub const UTC_TIMESTAMP: u16 = 128;
    pub const UPTIME: u16 = 129;
    pub const ROSPEC: u16 = 177;
    pub const RO_BOUNDARY_SPEC: u16 = 178;
    pub const ROSPEC_START_TRIGGER: u16 = 179;
    pub const PERIODIC_TRIGGER_VALUE: u16 = 180;
    pub const GPI_TRIGGER_VALUE: u16 = 181;
    pub const ROSPEC_STOP_TRIGGER: u16 = 182;
    pub const AISPEC: u16 = 183;
    pub const AISPEC_STOP_TRIGGER: u16 = 184;
    pub const INVENTORY_PARAMETER_SPEC: u16 = 186;
    pub const IDENTIFICATION: u16 = 218;
    pub const GPO_WRITE_DATA: u16 = 219;
    pub const KEEPALIVE_SPEC: u16 = 220;
    pub const ANTENNA_PROPERTIES: u16 = 221;
    pub const ANTENNA_CONFIGURATION: u16 = 222;
    pub const RF_TRANSMITTER: u16 = 224;
    pub const EVENTS_AND_REPORTS: u16 = 226;
    pub const RO_REPORT_SPEC: u16 = 237;
    pub const TAG_REPORT_CONTENT_SELECTOR: u16 = 238;
    pub const TAG_REPORT_DATA: u16 = 240;
    pub const EPC_DATA: u16 = 241;
    pub const READER_EVENT_NOTIFICATION_SPEC: u16 = 244;
    pub const EVENT_NOTIFICATION_STATE: u16 = 245;
    pub const READER_EVENT_NOTIFICATION_DATA: u16 = 246;
    pub const GPI_EVENT: u16 = 248;
    pub const BUFFER_LEVEL_WARNING_EVENT: u16 = 250;
    pub const BUFFER_OVERFLOW_ERROR_EVENT: u16 = 251;
    pub const READER_EXCEPTION_EVENT: u16 = 252;
    pub const ANTENNA_EVENT: u16 = 255;
    pub const CONNECTION_ATTEMPT_EVENT: u16 = 256;
    pub const CONNECTION_CLOSE_EVENT: u16 = 257;
    pub const LLRP_STATUS: u16 = 287;
    pub const C1G2_INVENTORY_COMMAND: u16 = 330;
    pub const C1G2_FILTER: u16 = 331;
    pub const C1G2_TAG_INVENTORY_MASK: u16 = 332;
    pub const C1G2_STATE_UNAWARE_FILTER_ACTION: u16 = 334;
    pub const C1G2_RF_CONTROL: u16 = 335;
    pub const C1G2_SINGULATION_CONTROL: u16 = 336;
    pub const C1G2_EPC_MEMORY_SELECTOR: u16 = 348;
    pub const CUSTOM: u16 = 1023;
}
