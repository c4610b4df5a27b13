//! A fixed RFID reader that speaks LLRP 1.0.1 (EPCglobal, August 2007), and 1.1 where it is told to, to any client.
//! Waits for clients, or calls one.
//!
//! ```text
//! reader.read(observation) → held reads → RO_ACCESS_REPORT as the ROSpec asks → socket → truth
//!                                ↑ replayed in order to the next client
//! ```

mod access;
mod capabilities;
mod connection;
mod dial;
mod dispatch;
mod reader;
pub(crate) mod report;
mod rospec;
mod settings;
mod state;
pub mod wire;

pub use reader::{Reader, ReaderOptions};
pub use report::{Radio, TagObservation};
pub use state::Taken;

/// Message types (LLRP 1.0.1, table of section 16.1).
pub mod message {
    pub const GET_READER_CAPABILITIES: u16 = 1;
    pub const GET_READER_CONFIG: u16 = 2;
    pub const SET_READER_CONFIG: u16 = 3;
    pub const CLOSE_CONNECTION_RESPONSE: u16 = 4;
    pub const CLOSE_CONNECTION: u16 = 14;
    pub const ADD_ROSPEC: u16 = 20;
    pub const DELETE_ROSPEC: u16 = 21;
    pub const START_ROSPEC: u16 = 22;
    pub const STOP_ROSPEC: u16 = 23;
    pub const ENABLE_ROSPEC: u16 = 24;
    pub const DISABLE_ROSPEC: u16 = 25;
    pub const GET_ROSPECS: u16 = 26;
    pub const ADD_ACCESSSPEC: u16 = 40;
    pub const DELETE_ACCESSSPEC: u16 = 41;
    pub const ENABLE_ACCESSSPEC: u16 = 42;
    pub const DISABLE_ACCESSSPEC: u16 = 43;
    pub const GET_ACCESSSPECS: u16 = 44;
    pub const CLIENT_REQUEST_OP: u16 = 45;
    pub const GET_SUPPORTED_VERSION: u16 = 46;
    pub const SET_PROTOCOL_VERSION: u16 = 47;
    pub const CLIENT_REQUEST_OP_RESPONSE: u16 = 55;
    pub const GET_REPORT: u16 = 60;
    pub const RO_ACCESS_REPORT: u16 = 61;
    pub const KEEPALIVE: u16 = 62;
    pub const READER_EVENT_NOTIFICATION: u16 = 63;
    pub const ENABLE_EVENTS_AND_REPORTS: u16 = 64;
    pub const KEEPALIVE_ACK: u16 = 72;
    pub const ERROR_MESSAGE: u16 = 100;
    pub const CUSTOM_MESSAGE: u16 = 1023;
}

/// Status codes (section 14.1.1).
pub mod status {
    pub const SUCCESS: u16 = 0;
    pub const PARAMETER_ERROR: u16 = 100;
    pub const FIELD_ERROR: u16 = 101;
    pub const MISSING_PARAMETER: u16 = 103;
    pub const OVERFLOW_PARAMETER: u16 = 105;
    pub const UNSUPPORTED_MESSAGE: u16 = 109;
    pub const UNSUPPORTED_VERSION: u16 = 110;
    pub const INVALID: u16 = 300;
}
