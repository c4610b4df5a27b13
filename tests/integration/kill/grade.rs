//! What was recorded, held against the truth by natural key. Pure.
//!
//! A read is known by reader, code, antenna and the reader's own time; a fix by device and the time it
//! says. Both are unique in the truth, so a key recorded twice is a double.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tallyman_simulators::Truth;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ReadKey {
    pub reader: String,
    pub epc: String,
    pub antenna: u16,
    pub reader_time_us: i64,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FixKey {
    /// `user/device`.
    pub device: String,
    pub time_us: i64,
}

/// One `kill -9`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Kill {
    /// Just before the signal.
    pub at: Timestamp,
    /// When there was certainly no process any more.
    pub gone: Timestamp,
    /// Just before the next start.
    pub restarted: Timestamp,
    /// A read that was sent so long before, or later, need not be recorded.
    pub window: Duration,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Tally {
    /// Left the device: a report written whole, a message with its PUBACK.
    pub sent: usize,
    pub recorded: usize,
    /// Not recorded, and sent so shortly before a kill that it need not be.
    pub excused: usize,
    /// The longest that an excused one had been sent before its kill.
    pub oldest_excused: Duration,
    /// Not recorded, without an excuse: what and how long before the kill.
    pub missing: Vec<String>,
    /// Recorded more than once: the surplus.
    pub doubled: Vec<String>,
    /// Recorded, and never sent.
    pub invented: Vec<String>,
    /// Not recorded, although something sent later by the same device to the same process was.
    pub out_of_order: Vec<String>,
}

impl Tally {
    pub fn is_sound(&self) -> bool {
        self.faults().next().is_none()
    }

    /// In words.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        let told = |kind: &'static str, them: &[String]| {
            them.iter().map(|it| format!("{kind}: {it}")).collect::<Vec<_>>()
        };
        told("missing", &self.missing)
            .into_iter()
            .chain(told("doubled", &self.doubled))
            .chain(told("invented", &self.invented))
            .chain(told("out of order", &self.out_of_order))
    }
}

/// When the daemon has connected to each reader, as it tells.
pub type Connected = BTreeMap<String, Vec<Timestamp>>;

/// Reads that were sent within its window before a kill, or still to the process that was killed, are
/// excused: LLRP does not deliver again.
pub fn reads(truth: &[Truth], recorded: Vec<ReadKey>, kills: &[Kill], connected: &Connected) -> Tally {
    let mut tally = Tally::default();
    let mut counts = count(recorded, &mut tally);
    let mut sent: Vec<_> = truth.iter().filter_map(sent_read).collect();
    // Reads of one write were sent at one time: then the reader's time decides.
    sent.sort_by_key(|(sent_at, key)| (*sent_at, key.reader_time_us));
    // By reader and process, the latest read that was not recorded.
    let mut lost: BTreeMap<(String, usize), String> = BTreeMap::new();
    tally.sent = sent.len();
    for (sent_at, key) in sent {
        let life = (0..kills.len())
            .take_while(|kill| connected_after(kills, *kill, &key.reader, connected) <= sent_at);
        let life = life.count();
        let place = (key.reader.clone(), life);
        if counts.remove(&key).is_some() {
            tally.recorded += 1;
            if let Some(earlier) = lost.remove(&place) {
                tally.out_of_order.push(earlier);
            }
            continue;
        }
        let before_kill = kills.get(life).map(|kill| (age(sent_at, kill.at), kill.window));
        match before_kill {
            Some((age, window)) if age <= window => {
                tally.excused += 1;
                tally.oldest_excused = tally.oldest_excused.max(age);
            }
            age => {
                tally.missing.push(format!("{key:?}, sent so long before the kill, of its window: {age:?}"))
            }
        }
        lost.insert(place, format!("{key:?}"));
    }
    // A report that was not written whole may still have been taken: that is no invention.
    for key in truth.iter().filter_map(read_key) {
        counts.remove(&key);
    }
    tally.invented = counts.into_keys().map(|key| format!("{key:?}")).collect();
    tally
}

/// When the start after a kill connected to `reader`. What was sent before went to the process that was
/// killed: a reader learns of that with a delay. A start that was killed before it had committed that it is
/// connected had been so for less than its window.
fn connected_after(kills: &[Kill], kill: usize, reader: &str, connected: &Connected) -> Timestamp {
    let (restarted, next) = (kills[kill].restarted, kills.get(kill + 1));
    let in_time = |at: &&Timestamp| **at >= restarted && next.is_none_or(|next| **at <= next.at);
    let told = connected.get(reader).and_then(|times| times.iter().find(in_time)).copied();
    told.unwrap_or_else(|| next.map_or(restarted, |next| restarted.max(next.at - next.window)))
}

/// Fixes have no excuse: what the broker has acknowledged it delivers until we acknowledge it.
pub fn fixes(truth: &[Truth], recorded: Vec<FixKey>) -> Tally {
    let mut tally = Tally::default();
    let mut counts = count(recorded, &mut tally);
    for fix in truth {
        let Truth::Fix { device, tst, puback_at, .. } = fix else { continue };
        let key = FixKey { device: device.clone(), time_us: tst * 1_000_000 };
        let recorded = counts.remove(&key).is_some();
        if puback_at.is_none() {
            continue;
        }
        tally.sent += 1;
        match recorded {
            true => tally.recorded += 1,
            false => tally.missing.push(format!("{key:?}")),
        }
    }
    tally.invented = counts.into_keys().map(|key| format!("{key:?}")).collect();
    tally
}

fn count<Key: Ord + std::fmt::Debug>(recorded: Vec<Key>, tally: &mut Tally) -> BTreeMap<Key, usize> {
    let mut counts = BTreeMap::new();
    for key in recorded {
        let times = counts.entry(key).or_insert(0);
        *times += 1;
    }
    let doubled = counts.iter().filter(|(_, times)| **times > 1);
    tally.doubled = doubled.map(|(key, times)| format!("{key:?}: {times} times")).collect();
    counts
}

fn sent_read(truth: &Truth) -> Option<(Timestamp, ReadKey)> {
    let Truth::Read { sent_at: Some(sent_at), .. } = truth else { return None };
    Some((*sent_at, read_key(truth)?))
}

fn read_key(truth: &Truth) -> Option<ReadKey> {
    let Truth::Read { reader, epc, antenna, wire_us, .. } = truth else { return None };
    Some(ReadKey {
        reader: reader.clone(),
        epc: epc.clone(),
        antenna: *antenna,
        reader_time_us: i64::try_from(*wire_us).expect("a time in our age"),
    })
}

/// How long before `kill`; nothing where it was later.
fn age(sent_at: Timestamp, kill: Timestamp) -> Duration {
    let micros = kill.as_microsecond() - sent_at.as_microsecond();
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(100);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).expect("in range")
    }

    fn read(ms: i64) -> Truth {
        Truth::Read {
            reader: "r".into(),
            epc: "aa".into(),
            antenna: 1,
            at: at(ms),
            wire_us: u64::try_from(ms * 1000).expect("positive"),
            sent_at: Some(at(ms)),
        }
    }

    fn key(ms: i64) -> ReadKey {
        ReadKey { reader: "r".into(), epc: "aa".into(), antenna: 1, reader_time_us: ms * 1000 }
    }

    fn killed(ms: i64) -> Kill {
        Kill { at: at(ms), gone: at(ms + 5), restarted: at(ms + 10), window: WINDOW }
    }

    fn connected() -> Connected {
        [("r".to_owned(), vec![at(0), at(1015)])].into()
    }

    #[test]
    fn what_was_sent_before_the_next_connection_went_to_the_one_that_was_killed() {
        let tally = reads(&[read(1012), read(1020)], vec![key(1020)], &[killed(1000)], &connected());
        assert_eq!((tally.excused, tally.recorded), (1, 1));
        assert!(tally.is_sound(), "{tally:?}");
        let tally = reads(&[read(1016), read(1020)], vec![key(1020)], &[killed(1000)], &connected());
        assert_eq!((tally.missing.len(), tally.out_of_order.len()), (1, 1));
    }

    #[test]
    fn only_the_last_before_a_kill_are_excused() {
        let truth: Vec<_> = [100, 850, 950, 1005, 1020].map(read).into();
        let tally = reads(&truth, vec![key(100), key(1020)], &[killed(1000)], &connected());
        assert_eq!((tally.sent, tally.recorded, tally.excused), (5, 2, 2));
        assert_eq!(tally.oldest_excused, Duration::from_millis(50));
        assert_eq!(tally.missing.len(), 1, "{tally:?}");
        assert!(tally.missing[0].contains("850000") && tally.missing[0].contains("150ms"), "{tally:?}");
        assert!(tally.out_of_order.is_empty());
    }

    #[test]
    fn after_the_last_kill_there_is_no_excuse() {
        let tally = reads(&[read(2000)], vec![], &[killed(1000)], &connected());
        assert_eq!((tally.excused, tally.missing.len()), (0, 1));
    }

    #[test]
    fn a_hole_is_told_even_within_the_window() {
        let tally = reads(&[read(960), read(970)], vec![key(970)], &[killed(1000)], &connected());
        assert_eq!((tally.excused, tally.out_of_order.len()), (1, 1));
        assert!(!tally.is_sound());
    }

    #[test]
    fn doubles_and_inventions_are_told() {
        let tally = reads(&[read(1)], vec![key(1), key(1), key(2)], &[], &connected());
        assert_eq!((tally.recorded, tally.doubled.len(), tally.invented.len()), (1, 1, 1));
    }

    #[test]
    fn a_fix_counts_once_it_is_acknowledged() {
        let fix = |tst, puback_at| Truth::Fix {
            device: "u/d".into(),
            tst,
            lat: 0.0,
            lon: 0.0,
            payload: String::new(),
            published_at: None,
            puback_at,
        };
        let truth = [fix(1, Some(at(0))), fix(2, Some(at(0))), fix(3, None)];
        let recorded = [1, 3, 3].map(|s| FixKey { device: "u/d".into(), time_us: s * 1_000_000 });
        let tally = fixes(&truth, recorded.into());
        assert_eq!((tally.sent, tally.recorded), (2, 1));
        assert_eq!((tally.missing.len(), tally.doubled.len(), tally.invented.len()), (1, 1, 0));
    }
}
