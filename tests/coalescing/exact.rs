//! The least that a table can be read with: a shortest path over its values by address.
//!
//! A request is a stretch of addresses, and reads every value that lies in it. In a best set of requests none lies within
//! another, so in the order of their first addresses they share the values out in stretches of neighbours: a path from "nothing
//! is read" to "all is read" whose steps are requests. Every step is tried, and each is judged address by address.

use super::{Cost, Span, TableMap};

/// The fewest requests, and of those the fewest registers.
pub fn minimum(table: &TableMap) -> Cost {
    let (together, alone) = table.split();
    // How cheaply the first so many values can be read; nothing is known of most of them at first.
    let mut cheapest: Vec<Option<Cost>> = vec![None; together.len() + 1];
    cheapest[0] = Some(Cost::default());
    for from in 0..together.len() {
        let Some(so_far) = cheapest[from] else { continue };
        for to in from + 1..=together.len() {
            let held = &together[from..to];
            let request = around(held);
            // A value by itself is asked for whatever the limits say.
            if held.len() > 1 && !is_lawful(table, held, request) {
                if held[held.len() - 1].0 - request.0 > table.max_length {
                    break;
                }
                continue;
            }
            let cost = so_far.and(request.1 - request.0);
            cheapest[to] = Some(cheapest[to].map_or(cost, |known| known.min(cost)));
        }
    }
    let together = cheapest.pop().flatten().unwrap_or_default();
    together.plus(Cost::of(alone))
}

fn around(held: &[Span]) -> Span {
    let first = held.iter().map(|span| span.0).min().unwrap_or_default();
    (first, held.iter().map(|span| span.1).max().unwrap_or_default())
}

/// Whether one request may read these values: no address of it is refused, it is not too long, and nowhere do too many
/// addresses that nobody wants follow one another.
pub fn is_lawful(table: &TableMap, held: &[Span], request: Span) -> bool {
    let mut unwanted = 0;
    for address in request.0..request.1 {
        let is_wanted = held.iter().any(|(first, end)| (*first..*end).contains(&address));
        unwanted = if is_wanted { 0 } else { unwanted + 1 };
        if unwanted > table.max_gap || table.refuses(address) {
            return false;
        }
    }
    request.1 - request.0 <= table.max_length
}
