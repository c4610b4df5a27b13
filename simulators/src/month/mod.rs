//! A company's month in virtual time: the bytes that its readers and trackers send, what its people tell
//! the daemon, and the truth.
//!
//! ```text
//! scenario (TOML) + seed → Month ──next()──▶ Input: bytes, links, commands, the daemon's own stops
//!                            └───finish()──▶ truth: lost, out, blind, overdue
//! ```
//! Nothing here has a socket or a clock: time is what the queue of happenings says. The truth of who is lost
//! and who listened is kept from what the devices really sent, never from what a daemon made of it.

mod acts;
mod check;
mod company;
mod devices;
mod hauls;
mod luck;
mod observer;
mod queue;
mod scenario;
mod truth;
pub(crate) mod wire;
mod world;

pub use acts::HELD_BACK;
pub use company::{Company, Docks, Door, Shelf, Thing, Vehicle};
pub use luck::{MASS_THEFT, UNNOTICED};
pub use scenario::Scenario;
pub use truth::{Aboard, Entry, Lost, Out, Stay, Stranger, Truths, Working};
pub use world::{Input, Month, What};
