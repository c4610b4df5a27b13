//! Tables of inputs and the events they make, one file a rule.

mod alerting;
mod audits;
mod custody;
mod ghosts;
mod lifecycle;
mod location;
mod maintenance;
mod properties;
mod readiness;
mod register;
mod sensors;
mod world;

pub(crate) use world::rules;
