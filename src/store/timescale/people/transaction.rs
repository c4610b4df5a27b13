//! One step in one transaction, which holds nobody up: not the forwarder, whose connection it has meanwhile, and not
//! those whose rows it wants.

use std::time::Duration;

use crate::store::timescale::connection::Connection;
use crate::store::timescale::error::StoreError;
use crate::store::timescale::register::mirror;

/// What somebody else has locked is waited for this long, and then is left for another time.
const LOCK_WAIT: Duration = Duration::from_millis(200);

/// How long a step may take.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Patience {
    usual: Duration,
    /// As long as the server lets a statement take.
    most: Duration,
    now: Duration,
}

impl Patience {
    /// A statement takes no longer than `usual`, because forwarding waits for it, as long as that is enough.
    pub fn new(usual: Duration, most: Duration) -> Self {
        let usual = usual.min(most);
        Self { usual, most, now: usual }
    }

    /// What took too long and cannot be done in parts has twice the time when it is tried again.
    pub fn after<T>(&mut self, outcome: &Result<T, StoreError>) {
        self.now = match outcome {
            Ok(_) => self.usual,
            Err(error) if error.is_too_much_at_once() => (self.now * 2).min(self.most),
            Err(_) => self.now,
        };
    }

    /// A lock is given up before the statement is: else waiting would pass for too much work.
    fn lock(&self) -> Duration {
        LOCK_WAIT.min(self.now / 2)
    }
}

/// Does it in one transaction, or nothing of it.
pub async fn transacted<T>(
    connection: &mut Connection,
    patience: Patience,
    act: impl AsyncFnOnce(&mut Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.begin().await?;
    let outcome = async {
        let bounds = format!(
            "SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
            patience.now.as_millis().max(1),
            patience.lock().as_millis().max(1)
        );
        connection.execute("bound a step", &bounds).await?;
        mirror::write_as_mirror(connection).await?;
        act(connection).await
    };
    match outcome.await {
        Ok(done) => connection.commit().await.map(|()| done),
        Err(error) => {
            connection.rollback().await?;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_s_limit_holds_and_a_lock_is_given_up_first() {
        let [short, long] = [100, 5_000].map(Duration::from_millis);
        assert_eq!(Patience::new(long, short), Patience::new(short, short));
        assert_eq!(Patience::new(long, short).lock(), short / 2);
        assert_eq!(Patience::new(long, long).lock(), LOCK_WAIT);
    }
}
