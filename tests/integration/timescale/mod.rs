//! Forwarding into a real TimescaleDB: every test in a database of its own.

mod events;
mod proxy;
mod rig;

mod columns;
mod divergence;
mod outages;
mod refusals;
