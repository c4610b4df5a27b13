//! What trackers and receivers send, one file or folder a format.

pub mod nmea;
pub mod owntracks;
pub mod teltonika;

const KMH_PER_MPS: f64 = 3.6;
