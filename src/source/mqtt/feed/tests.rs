//! A source whose broker is the test.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::*;
use crate::source::Gate;
use crate::source::clock::WallClock;

fn config() -> BrokerConfig {
    BrokerConfig { name: "b".into(), ..BrokerConfig::new("h".to_owned(), 1883, "c".to_owned()) }
}

/// The feed, and what the pipeline takes from it.
fn feed(config: &BrokerConfig) -> (Feed, mpsc::Receiver<Intake>) {
    let (queue, taken) = mpsc::channel(16);
    let gate = watch::channel(Gate::Open).1;
    let memory = Memory { row: None, notes: mpsc::channel(16).0 };
    (Feed::new(config, memory, IntakeSender { queue, gate, clock: WallClock::new() }), taken)
}

async fn told(feed: &mut Feed, taken: &mut mpsc::Receiver<Intake>) -> Vec<String> {
    feed.wait(sleep(Duration::from_millis(20)), &CancellationToken::new()).await;
    let told = std::iter::from_fn(|| taken.try_recv().ok()).map(|item| match item {
        Intake::Link(LinkChange { state: LinkState::Down { reason }, .. }) => reason,
        other => panic!("{other:?}"),
    });
    told.collect()
}

/// First the broker shuts down, then the password is refused: who looks at the alert must see the latter.
#[tokio::test]
async fn the_last_reason_is_told_and_each_once() {
    let (mut feed, mut taken) = feed(&config());
    for (reasons, expected) in [
        (&["cut"][..], &["cut"][..]),
        (&["cut", "cut"], &[]),
        (&["refused"], &["refused"]),
        (&["cut", "password"], &["password"]),
    ] {
        for reason in reasons {
            feed.lost(reason);
        }
        assert_eq!(told(&mut feed, &mut taken).await, expected);
    }
    feed.connected(false);
    feed.lost("password");
    assert_eq!(told(&mut feed, &mut taken).await, [""; 0], "it had not come up");
}
