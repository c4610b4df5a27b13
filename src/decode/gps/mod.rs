//! What trackers and receivers send, one file or folder a format.

pub mod nmea;
pub mod owntracks;
pub mod teltonika;
