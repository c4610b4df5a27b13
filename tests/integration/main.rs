//! The daemon's parts against real servers. A test whose server is not there says so by name and passes,
//! unless `TALLYMAN_REQUIRE_SERVERS=1`: then it fails. `deploy/dev/test` sets everything up.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod timescale;
