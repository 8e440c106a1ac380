//! The command line.

/// Simulation is selected by a global `cfg`, which `.cargo/config.toml` sets.
#[cfg(not(madsim))]
fn main() -> std::process::ExitCode {
    eprint!("{}", HOW_TO_REBUILD);
    std::process::ExitCode::from(2)
}

#[cfg(not(madsim))]
const HOW_TO_REBUILD: &str = "\
error: this zeroloss was built without its simulator

  In the checkout, build without a RUSTFLAGS variable: any value of it, even an
  empty one, replaces the flags of .cargo/config.toml that select the simulator.
      unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS; cargo run -- run scenarios

  From elsewhere that file is not read, and the flag must be given:
      RUSTFLAGS=\"--cfg madsim\" cargo install --git URL zeroloss
";

/// Counts, for `bench`.
#[cfg(madsim)]
#[global_allocator]
static ALLOCATOR: zeroloss::cli::CountingAllocator = zeroloss::cli::CountingAllocator;

#[cfg(madsim)]
fn main() -> std::process::ExitCode {
    zeroloss::cli::main(zeroloss::sim::run)
}
