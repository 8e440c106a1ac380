//! The command line as a program of this package, for tests that need a
//! process: to kill one, or to see that two of them print the same bytes.

fn main() -> std::process::ExitCode {
    zeroloss::cli::main(zeroloss::sim::run)
}
