//! The command line.
//!
//! Promise: standard output holds results only, in an order and with bytes that
//! depend on scenarios and seeds alone; what is for a person who waits
//! (progress, hung runs) goes to standard error. Exit codes: guarantee.md,
//! section 3.

mod allocations;
mod bench;
mod list;
mod progress;
mod replay;
mod run;
#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub use allocations::CountingAllocator;

use crate::check::Exit;
use crate::explore::{ExploreError, Runner};
use crate::scenario::ScenarioError;

/// Simulates a message broker under faults, and judges what it promised.
#[derive(Debug, Parser)]
#[command(name = "zeroloss", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 as expected, 2 usage or bad file, 10 a promise broken or an \
expectation missed,\n11 stuck or hung, 12 panic, 13 nondeterminism, 14 too many void runs, 1 the \
testbed's own I/O."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios over their seeds, a line each.
    Run(RunArgs),
    /// Run one seed twice, compare, and show everything that happened.
    Replay(ReplayArgs),
    /// Measure what runs cost, beside a bare skeleton of them.
    Bench(bench::BenchArgs),
    /// List scenarios: id, expectation, seeds, faults, why.
    List(ListArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Scenario files, or directories of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// One seed, in place of the files' own.
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Seeds A up to, not including, B, in place of the files' own.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Option<Range<u64>>,
    /// Runs at the same time; never changes what is printed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// A line of JSON for each scenario, and nothing else.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// A scenario file.
    file: PathBuf,
    /// The seed.
    #[arg(long, value_name = "N")]
    seed: u64,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// Judge by what clients saw alone.
    #[arg(long)]
    no_oracle: bool,
    /// Wall-clock seconds after which a run counts as hung.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    watchdog_s: u64,
}

impl CommonArgs {
    fn hang_after(&self) -> Duration {
        Duration::from_secs(self.watchdog_s)
    }
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Scenario files, or directories of them.
    #[arg(value_name = "FILE|DIR", default_value = "scenarios")]
    paths: Vec<PathBuf>,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    crate::scenario::seeds(text).map_err(|(message, label)| format!("{message} ({label})"))
}

/// Why a command ended without a result of its own.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Explore(#[from] ExploreError),
    #[error("error: cannot write: {0}")]
    Output(#[from] std::io::Error),
}

impl CommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Scenario(_) => Exit::Usage,
            Self::Explore(ExploreError::Hung(_)) => Exit::Stuck,
            Self::Explore(ExploreError::Output(_)) | Self::Output(_) => Exit::TestbedIo,
        }
    }

    /// The reader of a pipe has seen enough: nothing to complain about.
    fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Explore(ExploreError::Output(error)) | Self::Output(error) => {
                error.kind() == ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }
}

/// The process: reads its arguments, runs them with `runner`, and ends. After a
/// hung run the caller must end the process, since a thread cannot be ended.
pub fn main(runner: impl Runner) -> ExitCode {
    let cli = Cli::parse();
    let runner: Arc<dyn Runner> = Arc::new(runner);
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    ExitCode::from(execute(&cli, &runner, &mut out, &mut err).code())
}

fn execute(cli: &Cli, runner: &Arc<dyn Runner>, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let result = match &cli.command {
        Command::Run(args) => run::run(args, runner, out, err),
        Command::Replay(args) => replay::replay(args, runner, out),
        Command::List(args) => list::list(args, out),
        Command::Bench(args) => bench::bench(args, out).map(|()| Exit::Success),
    };
    result.unwrap_or_else(|error| {
        if !error.is_broken_pipe() {
            // Where even this cannot be written the exit code must do.
            let _ = writeln!(err, "{error}");
        }
        error.exit()
    })
}
