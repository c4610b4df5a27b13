//! What could not be decoded: how much of it is kept, and its replay.

use super::*;

#[tokio::test]
async fn dead_letters_beyond_the_cap_go_oldest_first_and_their_ids_are_not_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    for first in [0, 4, 8] {
        let batch = Batch { dead_letters: (first..first + 4).map(letter).collect(), ..Batch::default() };
        journal.writer.commit(&batch, noon(60)).await.unwrap();
    }
    let held = journal.reader.dead_letters(None, 100).await.unwrap();
    assert_eq!(held.iter().map(|letter| letter.id).collect::<Vec<_>>(), (3..=12).collect::<Vec<_>>());
    assert_eq!(held[0].detail, "letter 2");
    assert_eq!((held[0].received_at, held[0].recorded_at), (noon(2), noon(60)));
    assert_eq!(held[0].payload, [2, 0, 255]);
    assert_eq!(journal.reader.dead_letter(1).await.unwrap(), None);
}

#[tokio::test]
async fn a_lowered_cap_is_reached_by_maintenance() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let batch = Batch { dead_letters: (0..10).map(letter).collect(), ..Batch::default() };
    journal.writer.commit(&batch, noon(0)).await.unwrap();
    journal.reader.close().await;
    journal.writer.close().await.unwrap();
    let config = crate::config::JournalConfig { max_dead_letters: 3, ..config(folder.path()) };
    let mut journal = open(&config, &node(), noon(0)).await.unwrap();
    assert_eq!(journal.writer.maintain(noon(0)).await.unwrap().dead_letters_dropped, 7);
    assert_eq!(journal.reader.dead_letters(None, 100).await.unwrap()[0].id, 8);
}

#[tokio::test]
async fn a_replay_goes_with_the_commit_that_holds_what_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path()).path;
    let mut journal = opened(folder.path()).await;
    let batch = Batch { dead_letters: (0..3).map(letter).collect(), ..Batch::default() };
    journal.writer.commit(&batch, noon(0)).await.unwrap();
    assert!(journal.writer.take_replays().await.unwrap().is_empty());
    assert_eq!(request_replay(&path, &[1, 3, 77]).await.unwrap(), [77]);
    assert_eq!(request_replay(&path, &[3]).await.unwrap(), [0u64; 0]);

    let taken = journal.writer.take_replays().await.unwrap();
    assert_eq!(taken.iter().map(|letter| letter.id).collect::<Vec<_>>(), [1, 3]);
    assert!(journal.writer.take_replays().await.unwrap().is_empty(), "handed out twice");

    // Dies before the commit: the next start takes them up again.
    journal.reader.close().await;
    journal.writer.close().await.unwrap();
    let mut journal = opened(folder.path()).await;
    assert_eq!(journal.writer.take_replays().await.unwrap().len(), 2);

    // What came of 3 is another dead letter.
    journal.writer.commit(&events([location(0)]), noon(1)).await.unwrap();
    assert_eq!(journal.reader.dead_letters(None, 10).await.unwrap().len(), 3, "removed by another's commit");
    let batch = Batch { dead_letters: vec![letter(9)], replayed: vec![1, 3], ..events([location(1)]) };
    journal.writer.commit(&batch, noon(1)).await.unwrap();
    let held = journal.reader.dead_letters(None, 10).await.unwrap();
    assert_eq!(held.iter().map(|letter| letter.id).collect::<Vec<_>>(), [2, 4]);
    assert!(journal.writer.take_replays().await.unwrap().is_empty());
}

/// The newest stay, as many as fit; the figure is right after a restart and after a replay.
#[tokio::test]
async fn dead_letters_are_capped_by_their_bytes_too() {
    let folder = tempfile::tempdir().unwrap();
    let config = crate::config::JournalConfig {
        max_dead_letters: 1000,
        max_dead_letter_bytes: 1 << 20,
        ..config(folder.path())
    };
    let mut journal = open(&config, &node(), noon(0)).await.unwrap();
    let large = |nth, bytes| DeadLetter { payload: vec![0; bytes], topic: None, ..letter(nth) };
    for nth in 0..20 {
        let batch = Batch { dead_letters: vec![large(nth, 100_000)], ..Batch::default() };
        journal.writer.commit(&batch, noon(0)).await.unwrap();
    }
    let ids = journal.reader.dead_letter_ids().await.unwrap();
    assert_eq!(ids, (11..=20).collect::<Vec<_>>());
    // One that is as large as ten of them.
    let batch = Batch { dead_letters: vec![large(20, 1_000_000)], replayed: vec![20], ..Batch::default() };
    journal.writer.commit(&batch, noon(0)).await.unwrap();
    assert_eq!(journal.reader.dead_letter_ids().await.unwrap(), [21]);
    let counted = journal.writer.counted.dead_letters;
    assert_eq!((counted.count, counted.bytes), (1, 1_000_000 + 9));
    journal.reader.close().await;
    journal.writer.close().await.unwrap();

    let small = crate::config::JournalConfig { max_bytes: 16 << 20, ..config };
    assert_eq!(small.dead_letter_bytes(), 1 << 20);
    let tight = crate::config::JournalConfig { max_dead_letter_bytes: 1 << 30, max_bytes: 2 << 20, ..small };
    assert_eq!(tight.dead_letter_bytes(), 512 << 10, "a quarter of the journal");
    let mut journal = open(&tight, &node(), noon(0)).await.unwrap();
    assert_eq!(journal.writer.counted.dead_letters, counted);
    assert_eq!(journal.writer.maintain(noon(0)).await.unwrap().dead_letters_dropped, 1);
}

/// A replay of many large letters does not hold all of them in memory.
#[tokio::test]
async fn large_letters_are_replayed_a_few_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = opened(folder.path()).await;
    let large = |nth| DeadLetter { payload: vec![nth as u8; 7 << 20], ..letter(nth) };
    for nth in 1..=5 {
        let batch = Batch { dead_letters: vec![large(nth)], ..Batch::default() };
        journal.writer.commit(&batch, noon(0)).await.unwrap();
    }
    request_replay(&folder.path().join("journal.db"), &[1, 2, 3, 4, 5]).await.unwrap();
    let ids = |letters: Vec<crate::journal::StoredDeadLetter>| -> Vec<u64> {
        letters.iter().map(|letter| letter.id).collect()
    };
    assert_eq!(ids(journal.writer.take_replays().await.unwrap()), [1, 2]);
    assert!(journal.writer.take_replays().await.unwrap().is_empty());
    let done = Batch { replayed: vec![1, 2], ..Batch::default() };
    journal.writer.commit(&done, noon(1)).await.unwrap();
    assert_eq!(ids(journal.writer.take_replays().await.unwrap()), [3, 4]);
}
