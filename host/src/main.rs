//! The command `sonde`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sonde_host::cli::main()
}
