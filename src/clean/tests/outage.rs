//! An outage that ends with newer fixes: what was told by them before the older ones came, and what these put right.

use super::late::{ROAD, YARD, told_by_time};
use super::*;

/// Where a truck is in each second: in the yard when the outage begins and until 300, there again from 1500 to 2100.
fn lat(second: i64) -> f64 {
    const FAR_M: f64 = 1112.0;
    let driven_m = match second {
        ..300 => 0.0,
        300..1200 => ((second - 300) * 10) as f64,
        1200..1500 => ((1500 - second) * 10) as f64,
        1500..2100 => 0.0,
        _ => ((second - 2100) * 10) as f64,
    };
    YARD + (ROAD - YARD) * (driven_m / FAR_M).min(1.0)
}

/// What is told where fixes of these seconds come in this order: those from 3600 on when they are made, the others at once.
fn told(order: impl IntoIterator<Item = i64>) -> Vec<String> {
    let before = (-20..0).map(|nth| nth * 30).map(|second| (second, second));
    let mut now = 3600;
    let outage = order.into_iter().map(|second| {
        now = now.max(second);
        (second, now)
    });
    let step = |(second, received): (i64, i64)| Step::Fix(second * 1000, received * 1000, lat(second));
    let steps: Vec<Step> = before.chain(outage).map(step).collect();
    told_by_time(&rules(), &steps)
}

fn live() -> impl Iterator<Item = i64> {
    (0..60).map(|nth| 3600 + nth * 20)
}

#[test]
fn what_was_told_of_the_end_of_an_outage_hides_no_visit_in_it() {
    let backlog: Vec<i64> = (0..180).map(|nth| nth * 20).collect();
    let backward: Vec<i64> = backlog.iter().rev().copied().collect();
    let in_order = told(backlog.iter().copied().chain(live()));
    assert_eq!(in_order.len(), 4, "{in_order:?}");
    let mut orders = Vec::new();
    for backlog in [&backlog, &backward] {
        for first in [1, 2, 3, 6] {
            let order = live().take(first).chain(backlog.iter().copied()).chain(live().skip(first));
            orders.push((format!("{first} before {}", backlog[0]), order.collect::<Vec<_>>()));
        }
        for every in [5, 20, 60] {
            let mut between = live();
            let mut order = vec![3600];
            between.next();
            for some in backlog.chunks(every) {
                order.extend(some);
                order.extend(between.next());
            }
            orders.push((format!("{every} at a time from {}", backlog[0]), order));
        }
    }
    for (name, order) in orders {
        let told = told(order);
        let missing: Vec<&String> = in_order.iter().filter(|line| !told.contains(line)).collect();
        assert_eq!(missing, [""; 0], "{name}: {told:?}");
        // The end that was told at once was that of what was known then.
        let more: Vec<&String> = told.iter().filter(|line| !in_order.contains(line)).collect();
        assert!(more.len() <= 1 && more.iter().all(|line| line.contains("Exited")), "{name}: {told:?}");
        assert!(told.len() <= in_order.len() + 1, "{name}: {told:?}");
    }
}
