//! Arguments → configuration → telemetry → run → exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Half the time that a sighting takes with the C library's, whose free lists lie all over a large heap.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    tallyman::cli::main()
}
