//! A part of the daemon reports its own trouble; it becomes an alert like any other.

use super::alerts::Rule;
use super::ids::SiteId;

/// `problem` in words while it lasts, `None` when it is over.
#[derive(Clone, PartialEq, Debug)]
pub struct Health {
    pub rule: Rule,
    pub subject: String,
    pub site: Option<SiteId>,
    pub problem: Option<String>,
}
