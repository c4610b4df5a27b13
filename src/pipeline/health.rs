//! What is told at the start of our own trouble: what is wrong now, and what an earlier run told of that nobody
//! tells of any more.

use std::path::Path;

use super::core::Core;
use crate::config::Config;
use crate::domain::alerts::Rule;
use crate::domain::health::Health;
use crate::domain::time::Timestamp;
use crate::{journal, store};

/// Subject of the alert of a journal that was damaged.
const SET_ASIDE: &str = "set-aside";

/// To be called once, after [`Core::started`]. Whoever does tell of a trouble under `config` tells its state anew, so
/// that an alert of an earlier run ends there. `set_aside`: what has just become of a damaged journal at `path`.
pub(super) fn tell_at_start(
    core: &mut Core,
    config: &Config,
    path: &Path,
    set_aside: Option<&Path>,
    now: Timestamp,
) {
    let mut tell = |subject: &str, problem: Option<String>| {
        core.health(Health { rule: Rule::Journal, subject: subject.to_owned(), site: None, problem }, now);
    };
    for subject in store::timescale::untold(config.timescale.as_ref()) {
        tell(subject, None);
    }
    match set_aside {
        Some(aside) => {
            let problem = format!(
                "the journal was damaged and has been set aside as {}; a new one was begun. Keep the old file: `sqlite3 \
                 FILE .recover` may read what the database does not have. Once it is moved out of that folder, this alert \
                 ends at the next start",
                aside.display()
            );
            tracing::error!("{problem}");
            tell(SET_ASIDE, Some(problem));
        }
        None if journal::has_set_aside(path) => {}
        None => tell(SET_ASIDE, None),
    }
}
