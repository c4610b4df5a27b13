//! Whoever is given the number of somebody who is being erased keeps what came since it was asked for.

use super::*;

/// With room for more dead letters than come.
async fn roomy(folder: &Path) -> Opened {
    let config = JournalConfig { max_dead_letters: 10_000, ..config(folder) };
    let mut journal = open(&config, &node(), noon(0)).await.unwrap();
    journal.writer.protect_unforwarded(true);
    journal
}

/// As if killed: nothing is closed in order.
async fn killed(journal: Opened, folder: &Path) -> Opened {
    drop(journal);
    roomy(folder).await
}

/// Of somebody who is called the same by now: an event, a dead letter, rows of state.
fn newcomer(nth: u64) -> Batch {
    let row = |kind, key: &str| StateRow::put(kind, key, &serde_json::json!({ "holder": ID }));
    let state = vec![
        row(StateKind::Register, &format!("person/{ID}")),
        row(StateKind::Holder, ID),
        row(StateKind::Followed, &format!("seen-{nth}")),
    ];
    let dead_letters = vec![DeadLetter { payload: format!("by {ID}").into_bytes(), ..letter(nth) }];
    Batch { state, dead_letters, ..events([checkout(7_000 + nth)]) }
}

fn stage(journal: &Opened) -> (&'static str, Stage) {
    let stage = journal.writer.erasures[0].stage.clone();
    let name = match stage {
        Stage::Events { .. } => "events",
        Stage::DeadLetters { .. } => "dead letters",
        Stage::State { .. } => "state",
        Stage::Database { .. } => "database",
        Stage::File => "file",
    };
    (name, stage)
}

#[tokio::test]
async fn who_has_the_number_since_it_was_asked_for_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = roomy(folder.path()).await;
    journal.writer.commit(&everything(), noon(2)).await.unwrap();
    journal.writer.commit(&asked(), noon(3)).await.unwrap();
    let until = journal.reader.meta().await.unwrap().last_seq;
    // Killed before its first step; then before every step somebody's commit, and killed again.
    journal = killed(journal, folder.path()).await;
    let (mut stages, mut came) = (Vec::new(), 0);
    while stage(&journal).0 != "database" {
        stages.push(stage(&journal).0);
        journal.writer.commit(&newcomer(came), noon(4)).await.unwrap();
        came += 1;
        assert!(came < 20, "{stages:?}");
        journal = killed(journal, folder.path()).await;
        journal.writer.erase().await.unwrap();
    }
    stages.dedup();
    assert_eq!(stages, ["events", "dead letters", "state"]);
    let rows = async |kind| journal.reader.all_states(kind).await.unwrap();
    let theirs = serde_json::to_vec(&serde_json::json!({ "holder": ID })).unwrap();
    assert_eq!(rows(StateKind::Holder).await, [(ID.to_owned(), theirs.clone())]);
    assert_eq!(rows(StateKind::Register).await, [(format!("person/{ID}"), theirs.clone())]);
    let followed = rows(StateKind::Followed).await;
    assert_eq!(followed.len() as u64, came);
    assert!(followed.iter().all(|(_, value)| *value == theirs), "{followed:?}");
    // Of the three letters of before, one named nobody.
    assert_eq!(journal.reader.dead_letter_ids().await.unwrap().len() as u64, 1 + came);
    let stored = journal.reader.events_after(0, 10_000).await.unwrap();
    let held = stored.iter().filter(|event| &*event.kind == "checked-out");
    let held: Vec<bool> = held.map(|event| event.body.contains(ID)).collect();
    assert!(!held[0]);
    assert_eq!(held[1..], vec![true; came as usize]);
    assert_eq!(stage(&journal).1, Stage::Database { seq: until + came, until: Some(until) });
    assert!(journal.writer.erasures[0].newer.is_empty());
}

#[tokio::test]
async fn letters_that_come_faster_than_a_step_reads_them_hold_it_up_no_longer() {
    let text = |stage: Stage| {
        let erasure = Erasure::new(LABEL.to_owned(), ID.to_owned(), vec![ID.to_owned()], Vec::new(), noon(0));
        StateRow::put(StateKind::Erasure, LABEL, &Erasure { stage, ..erasure })
    };
    // Asked for now; and begun by an earlier build, which noted no letter.
    for begun in [Stage::Events { after: 0, until: None }, Stage::DeadLetters { after: 0, until: None }] {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = roomy(folder.path()).await;
        journal.writer.commit(&everything(), noon(2)).await.unwrap();
        let asked = Batch { state: vec![text(begun)], ..Batch::default() };
        journal.writer.commit(&asked, noon(3)).await.unwrap();
        let mut steps = 0;
        while stage(&journal).0 != "state" {
            steps += 1;
            assert!(steps < 10, "{:?}", stage(&journal));
            journal.writer.erase().await.unwrap();
            let dead_letters = (0..120).map(letter).collect();
            journal.writer.commit(&Batch { dead_letters, ..Batch::default() }, noon(4)).await.unwrap();
        }
    }
}
