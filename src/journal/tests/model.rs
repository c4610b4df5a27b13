//! The journal against a model in memory: any order of commits, restarts, crashes and maintenance.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::faults::copy_as_after_a_crash;
use super::*;

const CAP: usize = 10;

#[derive(Clone, Debug)]
enum Step {
    Commit {
        /// Which events, out of a hundred: some come again.
        events: Vec<u64>,
        state: BTreeMap<u8, Option<u8>>,
        letters: u64,
    },
    CloseAndOpen,
    /// Goes on with what lies on disk at this moment.
    Crash,
    /// The same, with the last bytes of the log missing: a commit whose fsync never came.
    TornLog {
        missing: u64,
    },
    Forwarded(u8),
    NewEpoch,
    Heartbeat,
    /// So many days pass.
    Maintain {
        days: u32,
        protect: bool,
    },
    Replay {
        letter: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let commit = (
        prop_oneof![prop::collection::vec(0..100u64, 0..20), prop::collection::vec(100..5000u64, 100..300),],
        prop::collection::btree_map(0..8u8, prop::option::of(any::<u8>()), 0..5),
        0..4u64,
    )
        .prop_map(|(events, state, letters)| Step::Commit { events, state, letters });
    prop_oneof![
        8 => commit,
        1 => Just(Step::CloseAndOpen),
        1 => Just(Step::Crash),
        2 => (0..60_000u64).prop_map(|missing| Step::TornLog { missing }),
        1 => any::<u8>().prop_map(Step::Forwarded),
        1 => Just(Step::NewEpoch),
        1 => Just(Step::Heartbeat),
        2 => (0..40u32, any::<bool>()).prop_map(|(days, protect)| Step::Maintain { days, protect }),
        1 => (1..30u64).prop_map(|letter| Step::Replay { letter }),
    ]
}

/// What the journal is to hold.
#[derive(Clone, PartialEq, Debug, Default)]
struct Model {
    /// By number: id, whether it is a measurement, when recorded.
    events: BTreeMap<u64, (EventId, bool, Timestamp)>,
    last_seq: u64,
    state: BTreeMap<String, Vec<u8>>,
    letters: Vec<(u64, String)>,
    last_letter: u64,
    asked: BTreeSet<u64>,
    epoch: String,
    forwarded: u64,
    heartbeat: Option<Timestamp>,
}

impl Model {
    fn commit(&mut self, batch: &Batch, now: Timestamp) {
        for event in &batch.events {
            if self.events.values().all(|(id, ..)| *id != event.id) {
                self.last_seq += 1;
                let measurement = event.body.kind() == "fix";
                self.events.insert(self.last_seq, (event.id, measurement, now));
            }
        }
        for row in &batch.state {
            match &row.value {
                Some(value) => self.state.insert(row.key.clone(), value.clone()),
                None => self.state.remove(&row.key),
            };
        }
        for letter in &batch.dead_letters {
            self.last_letter += 1;
            self.letters.push((self.last_letter, letter.detail.clone()));
        }
        let excess = self.letters.len().saturating_sub(CAP);
        for (id, _) in self.letters.drain(..excess) {
            self.asked.remove(&id);
        }
        self.heartbeat = Some(now);
    }

    /// One group, in one transaction.
    fn prune(&mut self, measurements: bool, now: Timestamp, protect: bool) {
        let forwarded = self.forwarded;
        let keep = if measurements { 30 } else { 400 } * DAY;
        self.events.retain(|seq, (_, measurement, recorded_at)| {
            *measurement != measurements || *recorded_at >= now - keep || (protect && *seq > forwarded)
        });
    }
}

async fn held(journal: &mut Opened) -> Model {
    let conn = &mut journal.writer.conn;
    let asked: Vec<i64> = sqlx::query_scalar("SELECT id FROM replay_request").fetch_all(conn).await.unwrap();
    let reader = &journal.reader;
    let meta = reader.meta().await.unwrap();
    let stored = reader.events_after(0, 1_000_000).await.unwrap();
    let letters = reader.dead_letters(None, 1000).await.unwrap();
    let row = |event: &crate::journal::StoredEvent| (event.id, &*event.kind == "fix", event.recorded_at);
    Model {
        events: stored.iter().map(|event| (event.seq, row(event))).collect(),
        last_seq: meta.last_seq,
        state: reader.states(StateKind::Asset, None, 1000).await.unwrap().into_iter().collect(),
        letters: letters.into_iter().map(|letter| (letter.id, letter.detail)).collect(),
        epoch: meta.epoch,
        forwarded: meta.forwarded_seq,
        heartbeat: meta.last_heartbeat,
        asked: asked.into_iter().map(|id| id as u64).collect(),
        last_letter: 0,
    }
}

/// The journal under test, and every state that a crash may fall back to.
struct Trial {
    folder: tempfile::TempDir,
    journal: Opened,
    model: Model,
    /// What was durable before the last transaction, and so on back.
    history: Vec<Model>,
    now: Timestamp,
}

impl Trial {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = opened(folder.path()).await;
        let model = Model { epoch: journal.meta.epoch.clone(), ..Model::default() };
        Self { folder, journal, model, history: Vec::new(), now: noon(0) }
    }

    async fn take(&mut self, step: &Step) {
        self.now = self.now + Duration::from_secs(1);
        self.history.push(self.model.clone());
        match step {
            Step::Commit { events, state, letters } => {
                let batch = batch(events, state, *letters, self.model.last_letter);
                self.journal.writer.commit(&batch, self.now).await.unwrap();
                if batch != Batch::default() {
                    self.model.commit(&batch, self.now);
                }
            }
            Step::CloseAndOpen => self.close_and_open().await,
            Step::Crash => self.crash(0).await,
            Step::TornLog { missing } => self.crash(*missing).await,
            Step::Forwarded(part) => {
                let seq = self.model.last_seq * u64::from(*part) / 255;
                self.journal.writer.set_forwarded(seq).await.unwrap();
                self.model.forwarded = seq;
            }
            Step::NewEpoch => self.model.epoch = self.journal.writer.new_epoch().await.unwrap(),
            Step::Heartbeat => {
                self.journal.writer.heartbeat(self.now).await.unwrap();
                self.model.heartbeat = Some(self.now);
            }
            Step::Maintain { days, protect } => {
                self.now = self.now + *days * DAY;
                self.journal.writer.protect_unforwarded(*protect);
                self.journal.writer.maintain(self.now).await.unwrap();
                self.model.prune(true, self.now, *protect);
                self.history.push(self.model.clone());
                self.model.prune(false, self.now, *protect);
            }
            Step::Replay { letter } => self.replay(*letter).await,
        }
    }

    async fn close_and_open(&mut self) {
        let path = self.folder.path().to_owned();
        self.journal.reader.clone().close().await;
        // The lock goes with the writer, so a second journal stands in while the first is closed.
        let meanwhile = tempfile::tempdir().unwrap();
        let old = std::mem::replace(&mut self.journal, opened(meanwhile.path()).await);
        old.writer.close().await.unwrap();
        self.journal = opened(&path).await;
        assert!(self.journal.set_aside.is_none());
    }

    async fn crash(&mut self, missing: u64) {
        let folder = tempfile::tempdir().unwrap();
        copy_as_after_a_crash(self.folder.path(), folder.path());
        let log = crate::journal::file::beside(&config(folder.path()).path, "-wal");
        if let (Ok(file), true) = (std::fs::File::options().write(true).open(&log), missing > 0) {
            file.set_len(file.metadata().unwrap().len().saturating_sub(missing)).unwrap();
        }
        self.journal = opened(folder.path()).await;
        self.folder = folder;
        if missing > 0 {
            self.fall_back().await;
        }
    }

    /// After a torn log, the journal is as it was after some transaction, and nothing in between.
    async fn fall_back(&mut self) {
        let found = held(&mut self.journal).await;
        if self.journal.meta.created {
            // Not even the making of the file had reached the disk.
            self.model = Model { epoch: found.epoch, ..Model::default() };
            self.history.clear();
            return;
        }
        let states = std::iter::once(&self.model).chain(self.history.iter().rev());
        let same = |model: &&Model| Model { last_letter: 0, ..(*model).clone() } == found;
        let earlier = states.into_iter().find(same).expect("what some transaction left");
        self.model = earlier.clone();
    }

    async fn replay(&mut self, letter: u64) {
        let path = config(self.folder.path()).path;
        let unknown = request_replay(&path, &[letter]).await.unwrap();
        let there = self.model.letters.iter().any(|(id, _)| *id == letter);
        assert_eq!(unknown.is_empty(), there);
        if there {
            self.model.asked.insert(letter);
            self.history.push(self.model.clone());
        }
        let taken = self.journal.writer.take_replays().await.unwrap();
        assert!(taken.iter().map(|letter| &letter.id).eq(&self.model.asked));
        let replayed = taken.iter().map(|letter| letter.id).collect();
        self.journal.writer.commit(&Batch { replayed, ..Batch::default() }, self.now).await.unwrap();
        if !taken.is_empty() {
            let asked = std::mem::take(&mut self.model.asked);
            self.model.letters.retain(|(id, _)| !asked.contains(id));
            self.model.heartbeat = Some(self.now);
        }
    }

    async fn compare(&mut self) {
        let expected = Model { last_letter: 0, ..self.model.clone() };
        assert_eq!(held(&mut self.journal).await, expected);
        assert_eq!(self.journal.writer.counted.last_seq, expected.last_seq);
        assert_eq!(self.journal.writer.counted.dead_letters.count, expected.letters.len() as u64);
    }
}

fn batch(numbers: &[u64], state: &BTreeMap<u8, Option<u8>>, letters: u64, last_letter: u64) -> Batch {
    let row = |(key, value): (&u8, &Option<u8>)| match value {
        Some(value) => StateRow::put(StateKind::Asset, format!("A-{key}"), value),
        None => StateRow::delete(StateKind::Asset, format!("A-{key}")),
    };
    Batch {
        events: numbers.iter().map(|&nth| if nth % 2 == 0 { location(nth) } else { fix(nth) }).collect(),
        state: state.iter().map(row).collect(),
        dead_letters: (1..=letters).map(|nth| letter(last_letter + nth)).collect(),
        replayed: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn the_journal_does_as_the_model(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut trial = Trial::new().await;
            for step in &steps {
                trial.take(step).await;
                trial.compare().await;
            }
        });
    }
}
