//! Requests for the shipped profiles and some random maps, with the harness of `cargo bench --bench coalescing`.

#[path = "../coalescing/mod.rs"]
mod graded;

use graded::{Cost, TableMap};

#[test]
fn as_few_requests_as_the_limits_allow_and_never_more_than_others_make() {
    let report = graded::grade(150, 5000);
    let failures: Vec<&String> = report.failures().collect();
    assert!(failures.is_empty(), "{failures:#?}\n{report}");
    // The maps are such that something can be won on them.
    let won: usize = report.0.iter().map(|row| row.rule_asks_more).sum();
    assert!(won >= 10, "{report}");
    assert!(report.0.iter().all(|row| row.maps > 0 && row.counts.points > 0), "{report}");
}

fn table(wanted: &[u32], refused: &[(u32, u32)]) -> TableMap {
    let wanted = wanted.iter().map(|address| (*address, address + 1)).collect();
    TableMap { wanted, refused: refused.to_vec(), max_length: 8, max_gap: 4 }
}

/// What the others are held to, counted by hand.
#[test]
fn the_minimum_and_the_rule_are_those_that_one_counts_by_hand() {
    let cost = |requests, registers| Cost { requests, registers };
    for (table, minimum, rule) in [
        (table(&[], &[]), cost(0, 0), cost(0, 0)),
        (table(&[5], &[]), cost(1, 1), cost(1, 1)),
        (table(&[0, 5], &[]), cost(1, 6), cost(1, 6)),
        (table(&[0, 6], &[]), cost(2, 2), cost(2, 2)),
        // 0 to 1 and 5 to 8, where filling the first request asks for 0 to 6 and 8.
        (table(&[0, 1, 5, 6, 8], &[]), cost(2, 6), cost(2, 8)),
        (table(&[0, 2, 4, 6], &[(3, 4)]), cost(2, 6), cost(2, 6)),
        // What is refused itself stands alone, and nothing reaches over it.
        (table(&[0, 1, 2], &[(1, 2)]), cost(3, 3), cost(3, 3)),
    ] {
        assert_eq!((graded::minimum(&table), graded::by_rule(&table)), (minimum, rule), "{:?}", table.wanted);
    }
}
