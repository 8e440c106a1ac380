//! The command line.
//!
//! Promise: standard output holds results only, in an order and with bytes that
//! depend on scenarios and seeds alone; what is for a person who waits
//! (progress, hung runs) goes to standard error. Exit codes: guarantee.md,
//! section 3.
//!
//! The program `zeroloss` is [`main`] around [`sim::run`](crate::sim::run). [`call`] is the same
//! for a program that goes on afterwards:
//!
//! ```
//! use zeroloss::check::Exit;
//! use zeroloss::cli::call;
//!
//! let zeroloss = |arguments: &str| {
//!     let arguments = ["zeroloss"].into_iter().chain(arguments.split(' '));
//!     let (mut out, mut err) = (Vec::new(), Vec::new());
//!     let exit = call(arguments, zeroloss::sim::run, &mut out, &mut err);
//!     (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
//! };
//! let (exit, out, _progress) = zeroloss("run scenarios/sweep/single-sync.toml");
//! assert_eq!(exit, Exit::Success);
//! assert!(out.starts_with("pass  sweep/single-sync"));
//!
//! let (exit, out, err) = zeroloss("run scenarios/sweep --sed 7");
//! assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
//! assert!(err.contains("'--seed'"), "a tip");
//! ```

mod allocations;
mod bench;
mod fresh;
mod interleave;
mod keys;
mod list;
mod plan;
mod progress;
mod replay;
mod run;
mod sweep;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use zeroloss_broker::operator::{Ending, Operation, OperationError};

pub use allocations::CountingAllocator;

use crate::check::Exit;
use crate::explore::{ExploreError, Runner};
use crate::scenario::{CrashPoint, ScenarioError};

/// A message broker, and the simulation that judges what it promises.
#[derive(Debug, Parser)]
#[command(name = "zeroloss", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 as expected, 2 usage or bad file, 10 a promise broken or an \
expectation missed,\n11 stuck or hung, 12 panic, 13 nondeterminism, 14 too many void runs, 15 a replica \
that its operator\nmust decide about, 1 the testbed's own I/O."
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
    /// Show the faults of one seed, with nothing left to draw: a file to read, to
    /// edit, and to replay.
    ///
    /// The edited faults are those that happen; the seed that the file names draws all
    /// the rest (workload, latencies, elections). `replay --plan` refuses a plan that
    /// does not fit its scenario.
    Plan(PlanArgs),
    /// Crash one short run at every boundary between two of its disk operations.
    ///
    /// Answers whether there is any moment at which a crash loses something: the
    /// run is recorded once, then done again for each boundary, with each broker
    /// alone, each smallest majority and all of them losing power there, and
    /// nothing, everything, every prefix and drawn subsets of what was not
    /// synced surviving; and with kills, followed by a power loss at every later
    /// boundary. Each is judged with all checks, and by what clients saw alone.
    Sweep(SweepArgs),
    /// Search all interleavings of a few replicas' consensus, without a broker around it.
    ///
    /// The real Raft core, with every order of messages, syncs, power losses, lost and
    /// damaged disks and changes of members within bounds, shortest first. The shortest
    /// way to a broken promise is shown step by step.
    Interleave(interleave::InterleaveArgs),
    /// Measure what runs cost, beside a bare skeleton of them.
    ///
    /// The skeleton makes the calls on clock, network and disks that the run's
    /// processes made, at the same times, with no broker, client or check in it.
    ///
    /// A scenario with one broker is run as it is, once for each --in-flight. A
    /// scenario with Raft is run without its faults, once for each --replicas
    /// and each --producers, one send in flight for each producer: how many
    /// syncs an acknowledged message takes shows how many of them share one.
    Bench(bench::BenchArgs),
    /// List scenarios: id, expectation, seeds, faults, why.
    List(ListArgs),
    /// Show the keys of scenario files, each with its default, meaning and values.
    Keys(KeysArgs),
    #[command(flatten)]
    Operate(Operation),
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
    /// So many seeds that nobody ran before, in place of the files' own: their
    /// start follows from the commit that is checked out, and is said.
    #[arg(
        long,
        value_name = "N",
        conflicts_with_all = ["seed", "seeds"],
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    fresh: Option<u64>,
    /// Runs at the same time; never changes what is printed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// A line of JSON for each scenario, and nothing else.
    #[arg(long)]
    json: bool,
    /// Below each line, how often each kind of fault was armed, fired, could
    /// have mattered and did. (JSON has it always.)
    #[arg(long)]
    ledger: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// A scenario file.
    file: PathBuf,
    /// The seed; of a plan, the one that it names.
    #[arg(long, value_name = "N", required_unless_present = "plan")]
    seed: Option<u64>,
    /// The faults of this file, made by `zeroloss plan`, and no others.
    #[arg(long, value_name = "PLAN")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct PlanArgs {
    /// A scenario file.
    file: PathBuf,
    /// The seed.
    #[arg(long, value_name = "N")]
    seed: u64,
    /// Write it here instead of showing it.
    #[arg(long, value_name = "PLAN")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct SweepArgs {
    /// A scenario file without faults of its own: a short one.
    file: PathBuf,
    /// The seed; without it the first of the file's own.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// End at the first point that does not fit.
    #[arg(long, conflicts_with = "point")]
    first: bool,
    /// One point alone, as a sweep printed it, with everything that happened.
    #[arg(long, value_name = "POINT")]
    point: Option<CrashPoint>,
    /// Runs at the same time; never changes what is printed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// Judge by what clients saw alone.
    #[arg(long)]
    no_oracle: bool,
    /// CPU seconds after which a run counts as hung; 20 times as many of wall time, where
    /// it uses none.
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

#[derive(Debug, Args)]
struct KeysArgs {
    /// A table or a key, or a part of its name; all of them where nothing is said.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
    #[error(transparent)]
    Operation(#[from] OperationError),
    #[error("error: {0} has faults of its own: a sweep wants a run without, `faults = \"none\"`")]
    HasFaults(String),
    #[error(
        "error: no table and no key has \"{0}\" in its name\n  help: `zeroloss keys` shows all of them"
    )]
    NoSuchKey(String),
    #[error("error: cannot write: {0}")]
    Output(#[from] std::io::Error),
}

/// A command of the operator's, which this program runs, too.
impl From<Ending> for Exit {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Done => Self::Success,
            Ending::Io => Self::TestbedIo,
            Ending::Usage => Self::Usage,
            Ending::Refused => Self::Refused,
        }
    }
}

impl CommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Scenario(_) | Self::HasFaults(_) | Self::NoSuchKey(_) => Exit::Usage,
            Self::Operation(error) => error.ending().into(),
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
            Self::Operation(error) => error.is_broken_pipe(),
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

/// As [`main`], with arguments of the caller's own, the program's name first, and with
/// streams of its own; and the process goes on.
pub fn call<A: Into<OsString> + Clone>(
    arguments: impl IntoIterator<Item = A>,
    runner: impl Runner,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let runner: Arc<dyn Runner> = Arc::new(runner);
    let (ended, answer) = match Cli::try_parse_from(arguments) {
        Ok(cli) => return execute(&cli, &runner, out, err),
        // It was asked for help, or for its version.
        Err(answer) if !answer.use_stderr() => (write!(out, "{answer}"), Exit::Success),
        Err(error) => (write!(err, "{error}"), Exit::Usage),
    };
    ended.map_or(Exit::TestbedIo, |()| answer)
}

fn execute(cli: &Cli, runner: &Arc<dyn Runner>, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let result = match &cli.command {
        Command::Run(args) => run::run(args, runner, out, err),
        Command::Replay(args) => replay::replay(args, runner, out),
        Command::Plan(args) => plan::plan(args, out),
        Command::Sweep(args) => sweep::command(args, out),
        Command::Interleave(args) => interleave::interleave(args, out, err),
        Command::List(args) => list::list(args, out),
        Command::Keys(args) => keys::keys(args, out),
        Command::Bench(args) => bench::bench(args, out).map(|()| Exit::Success),
        Command::Operate(operation) => operation
            .execute(out)
            .map(|()| Exit::Success)
            .map_err(CommandError::from),
    };
    result.unwrap_or_else(|error| {
        if !error.is_broken_pipe() {
            // Where even this cannot be written the exit code must do.
            let _ = writeln!(err, "{error}");
        }
        error.exit()
    })
}
