//! Readers, trackers and sensors that speak the real transports, obey injected faults and write down
//! the truth.
//!
//! ```text
//! scenario (TOML) + seed → World::plan → { plant: what stands where · script: what happens when · truth }
//! World::start → LLRP readers (TCP) · serial readers (pseudo-terminals) · trackers (MQTT client) · Modbus devices (TCP) → begin → truth, counts
//! ```
//!
//! This crate knows nothing of the daemon that it is used to test: LLRP frames, MQTT packets and Modbus
//! ADUs are written by hand here, so that a mistake on one side cannot cancel itself out on the other, and
//! so that a frame can be broken on purpose.

pub mod clock;
mod dice;
pub mod faults;
pub mod fleet;
mod listening;
pub mod llrp;
pub mod load;
pub mod modbus;
pub mod month;
pub mod mqtt;
pub mod portal;
pub mod processes;
pub mod scenario;
mod scenario_file;
pub mod serial;
mod sync;
pub mod truth;
pub mod world;
pub mod zones;

pub use scenario::{Scenario, ScenarioError};
pub use scenario_file::{FileError, Range, ScenarioFile};
pub use truth::{Emitted, FixCount, ReadCount, Truth};
pub use world::World;
pub use world::plant::Plant;
pub use world::running::{Parts, Running, StartError, StartOptions};
