//! Where the benchmarks' assets are, as configuration.

pub const HALL: &str = r#"
[[site]]
name = "hq"
timezone = "Europe/Berlin"
[[zone]]
name = "hall"
coverage = "continuous"
[[class]]
name = "tool"
ghost_after = "4h"
"#;
