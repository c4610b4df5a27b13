//! Arguments → configuration → telemetry → run → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tallyman::cli::main()
}
