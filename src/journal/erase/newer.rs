//! Rows of state that were committed while a walk is under way, and name the person all the same.
//!
//! Memory forgot the person before the erasure was committed, so such a row is of somebody who has the number, a name
//! or a badge by now. The walk over rows of state, which carry no number, would not know; so their keys are noted in
//! the erasure's own row, in the commit that brings them.

use super::walk;
use crate::domain::erasure::{Eraser, Erasure, Stage};
use crate::domain::state::StateRow;

/// The erasures that have to note rows of a commit, as they are with them.
pub(super) fn noted(erasures: &[Erasure], rows: &[StateRow]) -> Vec<Erasure> {
    erasures.iter().filter(|erasure| still_walks(erasure)).filter_map(|erasure| with(erasure, rows)).collect()
}

fn still_walks(erasure: &Erasure) -> bool {
    match erasure.stage {
        Stage::Events { .. } | Stage::DeadLetters { .. } | Stage::State { .. } => true,
        Stage::Database { .. } | Stage::File => false,
    }
}

fn with(erasure: &Erasure, rows: &[StateRow]) -> Option<Erasure> {
    let eraser = Eraser::new(erasure);
    let names = |row: &&StateRow| row.value.as_deref().is_some_and(|value| walk::names(&eraser, row, value));
    let key = |row: &StateRow| (row.kind.as_str().to_owned(), row.key.to_string());
    let found = rows.iter().filter(names).map(key).filter(|key| !erasure.newer.contains(key));
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return None;
    }
    let mut erasure = erasure.clone();
    erasure.newer.extend(found);
    Some(erasure)
}
