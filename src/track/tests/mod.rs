//! Tables of inputs and the events they make, one file a rule.

mod alerting;
mod antennas;
mod audits;
mod custody;
mod doors;
mod erasing;
mod exits;
mod ghosts;
mod handovers;
mod holds;
mod idle;
mod kits;
mod lifecycle;
mod location;
mod maintenance;
mod offenders;
mod properties;
mod readiness;
mod register;
mod sensors;
mod silence;
mod strangers;
mod troubles;
mod unheard;
mod vehicles;
pub(crate) mod world;

pub(crate) use world::rules;
mod zones;
