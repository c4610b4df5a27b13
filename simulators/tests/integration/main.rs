//! The simulators on their real transports, held against independent parties: a hand-written client,
//! tshark's dissector, Mosquitto. What is not installed is skipped, and named.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client;
mod llrp;
mod load;
mod mosquitto;
mod sllurp;
mod tshark;
mod world;

use std::time::Duration;

/// Nothing here takes this long unless it hangs.
const BOUND: Duration = Duration::from_secs(20);

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(BOUND, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {} s", BOUND.as_secs()),
    }
}

/// Asks until it holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    within(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
