//! What mean signals say at most: who is told when each tag comes to rest and is taken up again, waits for the whole
//! of the stay, and says the zone whose best antenna heard it best on average. That it says so at the stay's begin costs
//! it nothing (`grade.rs`), so that what it misses is where the signals themselves are wrong.

use tallyman_simulators::zones::{Read, Run, Stay};

use super::Said;

/// A report is of the turn before it.
const TURN_US: i64 = 250_000;

pub(super) fn moves_known(run: &Run) -> Vec<Said> {
    let mut said = Vec::new();
    for (tag, life) in run.lives.iter().enumerate() {
        let reads: Vec<&Read> = run.reads.iter().filter(|read| read.tag == tag).collect();
        let stays = life.stays.iter().map(|stay| (us(stay.from_s), strongest(&reads, stay)));
        let gone = life.moves.iter().filter(|moved| moved.to.is_none()).map(|moved| (us(moved.came_s), None));
        let mut answers: Vec<_> = stays.chain(gone).collect();
        answers.sort();
        answers.dedup_by_key(|(_, zone)| *zone);
        said.extend(answers.into_iter().map(|(at_us, zone)| Said { tag, at_us, zone }));
    }
    said
}

fn us(seconds: f64) -> i64 {
    (seconds * 1e6) as i64
}

fn strongest(reads: &[&Read], stay: &Stay) -> Option<usize> {
    let during = |read: &&&Read| (us(stay.from_s)..us(stay.to_s)).contains(&(read.at_us - TURN_US));
    let mut means: std::collections::BTreeMap<(usize, u16), (f64, f64)> = Default::default();
    for read in reads.iter().filter(during) {
        let (sum, number) = means.entry((read.zone, read.antenna)).or_default();
        *sum += f64::from(read.dbm);
        *number += 1.0;
    }
    let best = means.iter().max_by(|(_, a), (_, b)| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    best.map(|((zone, _), _)| *zone)
}
