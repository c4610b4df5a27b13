//! Forwarding into a real TimescaleDB: every test in a database of its own.

mod events;
mod follow;
pub mod proxy;
pub mod rig;

mod answers;
mod columns;
mod divergence;
mod mirror;
mod outages;
mod people;
mod people_beside;
mod people_bounds;
mod refusals;
