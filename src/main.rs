//! The command line.

/// Counts, for `bench`.
#[global_allocator]
static ALLOCATOR: zeroloss::cli::CountingAllocator = zeroloss::cli::CountingAllocator;

fn main() -> std::process::ExitCode {
    zeroloss::cli::main(zeroloss::sim::run)
}
