//! What the joints of the stages promise, on a real journal.

use std::time::Instant;

use super::driving::{GATHER, Inputs, drive};
use super::writer::{Downstream, Work, WriterTask};
use super::*;
use crate::config::{self, JournalConfig};
use crate::domain::alerts::{AlertTransition, Rule};
use crate::domain::events::{Event, EventBody};
use crate::domain::frames::{AckToken, Frame, Payload};
use crate::domain::health::Health;
use crate::domain::state::StateRow;
use crate::journal::Control;
use crate::pipeline::core::{Core, Group};
use crate::source::Intake;

const DAY: Duration = Duration::from_secs(86_400);

async fn opened(folder: &std::path::Path, clock: &WallClock) -> Opened {
    opened_with(folder, clock, 1 << 30).await
}

async fn opened_with(folder: &std::path::Path, clock: &WallClock, max_bytes: u64) -> Opened {
    let config = JournalConfig {
        path: folder.join("journal.db"),
        max_bytes,
        reserve_bytes: 1 << 20,
        keep_reads: false,
        max_dead_letters: 10,
        max_dead_letter_bytes: 256 << 20,
        retain_events: DAY,
        retain_people: DAY,
        retain_drivers: DAY,
        retain_measurements: DAY,
        retain_reads: DAY,
    };
    journal::open(&config, &"dock-1".into(), clock.now()).await.unwrap()
}

/// A stage that ends in the moment of the stop ended because of it.
#[tokio::test]
async fn a_stage_that_ends_with_the_stop_is_no_failure() {
    for _ in 0..64 {
        let mut stages = Stages::within(Duration::from_secs(10));
        let shutdown = CancellationToken::new();
        stages.spawn("core", std::future::ready(()));
        shutdown.cancel();
        tokio::task::yield_now().await;
        stages.supervise(shutdown).await.unwrap();
    }
}

#[tokio::test]
async fn a_stage_that_ends_by_itself_stops_the_daemon() {
    let mut stages = Stages::default();
    stages.spawn("core", std::future::ready(()));
    let ended = stages.supervise(CancellationToken::new()).await;
    assert!(matches!(ended, Err(RunError::StageEnded("core"))), "{ended:?}");
}

/// Nobody listens but to what was committed.
fn downstream() -> (Downstream, watch::Receiver<u64>) {
    let (committed, commits) = watch::channel(0);
    let downstream = Downstream {
        lanes: BTreeMap::new(),
        committed,
        board: Arc::new(Board::new(Vec::new())),
        bell: None,
        space: Space::new(watch::channel(Gate::Open).0, mpsc::channel(HEALTH_QUEUE).0, false),
        listening: watch::channel(true).0,
        replays: mpsc::channel(REPLAY_QUEUE).0,
        ready: telemetry::Readiness::default(),
    };
    (downstream, commits)
}

/// Else an alert would be told again after the next start, and a session that the broker loses meanwhile would not be told of.
#[tokio::test]
async fn what_was_to_be_noted_before_a_stop_is() {
    let folder = tempfile::tempdir().unwrap();
    let clock = WallClock::new();
    let opened = opened(folder.path(), &clock).await;
    let (work, work_rx) = mpsc::channel(WORK_QUEUE);
    let (control, control_rx) = mpsc::channel(CONTROL_QUEUE);
    work.send(Work { group: Group::default(), replies: Vec::new() }).await.unwrap();
    drop(work);
    let names: Vec<String> = (0..CONTROL_QUEUE).map(|nth| format!("receiver {nth:02}")).collect();
    for name in &names {
        let note = StateRow::put(StateKind::Receiver, name.as_str(), &1);
        control.send(Control::Note(note)).await.unwrap();
    }
    WriterTask::new(opened.writer, clock.clone(), downstream().0).run(work_rx, control_rx).await;
    drop(opened.reader);
    let reader = self::opened(folder.path(), &clock).await.reader;
    let noted = reader.all_states(StateKind::Receiver).await.unwrap();
    assert_eq!(noted.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
}

/// Else what nobody reads would be silent, and all of it at once.
#[tokio::test]
async fn a_full_journal_says_that_nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    let clock = WallClock::new();
    for (max_bytes, listens) in [(1 << 30, true), (1 << 20, false)] {
        let opened = opened_with(folder.path(), &clock, max_bytes).await;
        let (work, work_rx) = mpsc::channel(WORK_QUEUE);
        let (_control, control_rx) = mpsc::channel(CONTROL_QUEUE);
        work.send(Work { group: Group::default(), replies: Vec::new() }).await.unwrap();
        drop(work);
        let (mut downstream, _commits) = downstream();
        let (listening, heard) = watch::channel(!listens);
        downstream.listening = listening;
        WriterTask::new(opened.writer, clock.clone(), downstream).run(work_rx, control_rx).await;
        assert_eq!(*heard.borrow(), listens);
    }
}

/// The next start must see the whole time of this absence, should this one be killed before it has told it.
#[tokio::test(flavor = "multi_thread")]
async fn no_heartbeat_goes_before_the_first_group() {
    let folder = tempfile::tempdir().unwrap();
    let clock = WallClock::new();
    let opened = opened(folder.path(), &clock).await;
    let reader = opened.reader.clone();
    let (work_tx, work_rx) = mpsc::channel(WORK_QUEUE);
    let (_control, control_rx) = mpsc::channel(CONTROL_QUEUE);
    let (downstream, mut commits) = downstream();
    let writer = tokio::spawn(WriterTask::new(opened.writer, clock, downstream).run(work_rx, control_rx));

    // A heartbeat takes a sync or two; so many syncs later it would be there.
    let mut file = std::fs::File::create(folder.path().join("syncs")).unwrap();
    for _ in 0..20 {
        std::io::Write::write_all(&mut file, &[0; 4096]).unwrap();
        file.sync_all().unwrap();
        assert_eq!(reader.meta().await.unwrap().last_heartbeat, opened.meta.last_heartbeat);
    }
    let mut group = Group::default();
    group.batch.state.push(StateRow::put(StateKind::Commands, "n", &1));
    work_tx.send(Work { group, replies: Vec::new() }).await.unwrap();
    commits.changed().await.unwrap();
    assert_ne!(reader.meta().await.unwrap().last_heartbeat, opened.meta.last_heartbeat);
    drop(work_tx);
    writer.await.unwrap();
}

/// What an earlier run told may be over: a journal that was given room, a database that was taken out of the configuration,
/// a damaged file that was taken away.
#[tokio::test]
async fn our_own_troubles_of_an_earlier_run_end_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let clock = WallClock::new();
    let now = clock.now();
    let path = folder.path().join("journal.db");
    let aside = folder.path().join("journal.db.damaged-20260101T000000Z");
    std::fs::write(&aside, "").unwrap();
    let config = config::parse("node = \"n\"\n", &path, &|_| None).unwrap();
    let mut core = Core::new(&config, Vec::new()).unwrap();
    health::tell_at_start(&mut core, &config, &path, Some(&aside), now);
    for subject in ["space", "timescale", "timescale-history", "register", "register-rows"] {
        let (subject, problem) = (subject.to_owned(), Some("away".to_owned()));
        core.health(Health { rule: Rule::Journal, subject, site: None, problem }, now);
    }
    core.take_group();
    let resolved = |core: &mut Core| {
        let ends = |event: Event| match event.body {
            EventBody::Alert { transition: AlertTransition::Resolved, alert } => Some(alert.key.subject),
            _ => None,
        };
        let events = core.take_group().batch.events.into_iter();
        events.filter_map(ends).collect::<Vec<_>>()
    };
    health::tell_at_start(&mut core, &config, &path, None, now);
    let of_the_store = ["timescale", "timescale-history", "register", "register-rows"];
    assert_eq!(resolved(&mut core), of_the_store, "the damaged file is still there");
    std::fs::remove_file(&aside).unwrap();
    health::tell_at_start(&mut core, &config, &path, None, now);
    assert_eq!(resolved(&mut core), ["set-aside"]);

    let opened = opened(folder.path(), &clock).await;
    let (work, work_rx) = mpsc::channel(WORK_QUEUE);
    let (_control, control_rx) = mpsc::channel(CONTROL_QUEUE);
    let (health, mut told) = mpsc::channel(HEALTH_QUEUE);
    let space = Space::new(watch::channel(Gate::Open).0, health, false);
    let downstream = Downstream { space, ..downstream().0 };
    work.send(Work { group: Group::default(), replies: Vec::new() }).await.unwrap();
    drop(work);
    WriterTask::new(opened.writer, clock, downstream).run(work_rx, control_rx).await;
    core.health(told.recv().await.unwrap(), now);
    assert_eq!(resolved(&mut core), ["space"]);
    assert!(told.recv().await.is_none(), "it is told once");
}

/// What no source knows: a dead letter, with an acknowledgement or without.
fn letter(acknowledged: bool) -> Intake {
    let ack = acknowledged.then_some(AckToken { generation: 1, ordinal: 0, packet_id: 1, bytes: 0 });
    let payload =
        Payload::Mqtt { topic: "nobody/s".to_owned(), payload: vec![0], retained: false, redelivered: false };
    Intake::Frame(Frame { source: "broker".into(), received_at: WallClock::new().now(), payload, ack })
}

/// A frame that nobody waits for leaves with the next one that somebody does, and that one at once. The machine may be
/// slow: one try of many has to show it, and where each leaves alone, or waits, none does.
#[tokio::test]
async fn what_nobody_waits_for_gathers_until_somebody_does() {
    let text = "node = \"n\"\n[[site]]\nname = \"hq\"\ntimezone = \"UTC\"\n[[broker]]\nname = \"broker\"\nsite = \"hq\"\n\
                address = \"127.0.0.1:1\"\nclient_id = \"n\"\n[[broker.topic]]\nfilter = \"owntracks/+/+\"\n\
                format = \"owntracks\"\n";
    let config = config::parse(text, std::path::Path::new("."), &|_| None).unwrap();
    let (intake, intake_rx) = mpsc::channel(16);
    let (_replays, replays) = mpsc::channel(1);
    let (_commands, commands) = mpsc::channel(1);
    let (_register, register) = mpsc::channel(1);
    let (_health, health) = mpsc::channel(1);
    let (_listening, listening) = watch::channel(true);
    let inputs = Inputs { intake: intake_rx, replays, commands, register, health, listening };
    let (work, mut groups) = mpsc::channel(WORK_QUEUE);
    let core = Core::new(&config, Vec::new()).unwrap();
    let driving = tokio::spawn(drive(core, inputs, work, WallClock::new(), 1000));
    assert!(groups.recv().await.is_some(), "what the start left");
    let (mut together, mut at_once) = (0, 0);
    for _ in 0..50 {
        intake.send(letter(false)).await.unwrap();
        let began = Instant::now();
        while intake.capacity() < intake.max_capacity() {
            tokio::task::yield_now().await;
        }
        intake.send(letter(true)).await.unwrap();
        let mut letters = 0;
        while letters < 2 {
            let group = groups.recv().await.unwrap().group;
            letters += group.batch.dead_letters.len();
            together += usize::from(group.batch.dead_letters.len() == 2);
        }
        at_once += usize::from(began.elapsed() < GATHER / 2);
    }
    assert!(together > 0 && at_once > 0, "{together} together, {at_once} at once");
    drop(intake);
    driving.await.unwrap();
}
