//! The command line.
//!
//! Promise: standard output holds results only, in an order and with bytes that
//! depend on scenarios and seeds alone; what is for a person who waits
//! (progress, hung runs) goes to standard error. Exit codes: guarantee.md,
//! section 3.

mod allocations;
mod bench;
mod directory;
mod flags;
mod fresh;
mod list;
mod plan;
mod progress;
mod replay;
mod run;
mod serve;
mod sweep;
#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use allocations::CountingAllocator;

use crate::broker::Peer;
use crate::check::Exit;
use crate::explore::{ExploreError, Runner};
use crate::scenario::{CrashPoint, ScenarioError};

use directory::DirectoryError;

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
    /// Serve a formatted directory on real sockets, until Ctrl-C.
    ///
    /// Ends with 15 where a replica must not take part before its operator has decided:
    /// its disk forgot what it promised, or other replicas have another entry than the
    /// one committed here. Its finding and the operator's part stand on standard error,
    /// and again at every start.
    Serve(ServeArgs),
    /// Make a directory a broker's own, once.
    Format(FormatArgs),
    /// Give up what is corrupt in a broker's directory, and all behind it.
    Salvage(SalvageArgs),
    /// Go on with one replica where a majority of disks is lost.
    ///
    /// Says what that may cost. Without --unsafe nothing else happens, and the
    /// command ends with 2.
    Recover(RecoverArgs),
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
struct ServeArgs {
    /// The directory (storePathRootDir), made by `zeroloss format`.
    dir: PathBuf,
    /// Where clients connect (brokerIP1, listenPort); port 0: any. Of a replica,
    /// --peer says it. [default: 127.0.0.1:10911]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The broker's name in routes (brokerName).
    #[arg(long, value_name = "NAME", default_value = "broker-a")]
    broker_name: String,
    /// When a message is acknowledged (flushDiskType).
    #[arg(long, value_enum, default_value = "sync")]
    flush: Flush,
    /// Size of a commit log file (mapedFileSizeCommitLog). So much must be free
    /// for a message to be taken.
    #[arg(long, value_name = "N", default_value_t = 1 << 30, value_parser = segment_bytes())]
    segment_bytes: u64,
    /// Room that is kept for what goes on when the disk is full, bytes: offsets,
    /// decisions, starts. So much and a commit log file must be free for a message
    /// to be taken.
    #[arg(long, value_name = "N", default_value_t = 64 << 20)]
    reserve_bytes: u64,
    /// Queues of a topic that its first message makes (defaultTopicQueueNums).
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    queues: u32,
    /// Store a retried send once, of producers that number their messages. The
    /// same on every replica of a cluster.
    #[arg(long)]
    producer_dedup: bool,
    /// A replica of the cluster, this one included: its broker id, where its
    /// peers reach it and where clients do. Once for each; the directory was
    /// formatted with `--members` or `--replacement`.
    #[arg(long = "peer", value_name = "ID=PEER_ADDR/CLIENT_ADDR", value_parser = serve::peer)]
    peers: Vec<(u64, Peer)>,
    /// The replica that leads when it can (preferredLeaderId).
    #[arg(long, value_name = "ID", requires = "peers")]
    preferred_leader: Option<u64>,
    /// Messages older than this may be dropped (fileReservedTime, there in
    /// hours), milliseconds; segments that are wholly older go.
    #[arg(long, value_name = "MS")]
    retention_ms: Option<u64>,
}

/// RocketMQ's `flushDiskType`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Flush {
    /// Once it is on the disk (SYNC_FLUSH).
    Sync,
    /// Once it is in the page cache (ASYNC_FLUSH): a power loss loses it.
    Async,
}

#[derive(Debug, Args)]
struct FormatArgs {
    /// The directory; made where it is missing. Must hold no broker's data.
    dir: PathBuf,
    /// The cluster (brokerClusterName, as a number).
    #[arg(long, value_name = "N", default_value_t = 1)]
    cluster_id: u64,
    /// The broker within the cluster (brokerId).
    #[arg(long, value_name = "N", default_value_t = 0)]
    broker_id: u64,
    /// The first replicas of a replicated cluster, this broker included: an odd
    /// number, and the same list on each of them. Without it the broker stands
    /// alone.
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',')]
    members: Vec<u64>,
    /// The disk replaces a lost one, or is a new replica's: it waits until the
    /// cluster lets it in and catches up before it counts.
    #[arg(long, conflicts_with = "members")]
    replacement: bool,
}

#[derive(Debug, Args)]
struct RecoverArgs {
    /// The directory of a replica that survived.
    dir: PathBuf,
    /// Yes: acknowledged messages may be lost by this.
    #[arg(long = "unsafe")]
    is_unsafe: bool,
    /// Size of a commit log file (mapedFileSizeCommitLog).
    #[arg(long, value_name = "N", default_value_t = 1 << 30, value_parser = segment_bytes())]
    segment_bytes: u64,
}

#[derive(Debug, Args)]
struct SalvageArgs {
    /// The directory.
    dir: PathBuf,
    /// Yes: acknowledged messages may be lost by this.
    #[arg(long = "unsafe")]
    is_unsafe: bool,
    /// Size of the commit log file that the log goes on in
    /// (mapedFileSizeCommitLog).
    #[arg(long, value_name = "N", default_value_t = 1 << 30, value_parser = segment_bytes())]
    segment_bytes: u64,
}

/// From what holds RocketMQ's smallest records to what a page cache bears.
fn segment_bytes() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(65_536..=1 << 34)
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
    Directory(#[from] DirectoryError),
    #[error("error: {0} has faults of its own: a sweep wants a run without, `faults = \"none\"`")]
    HasFaults(String),
    #[error("error: cannot write: {0}")]
    Output(#[from] std::io::Error),
}

impl CommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Scenario(_) | Self::HasFaults(_) => Exit::Usage,
            Self::Directory(error) => error.exit(),
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
        Command::Plan(args) => plan::plan(args, out),
        Command::Sweep(args) => sweep::command(args, out),
        Command::List(args) => list::list(args, out),
        Command::Bench(args) => bench::bench(args, out).map(|()| Exit::Success),
        Command::Serve(args) => serve::serve(args, out),
        Command::Format(args) => directory::format(args, out),
        Command::Salvage(args) => directory::salvage(args, out),
        Command::Recover(args) => directory::recover(args, out),
    };
    result.unwrap_or_else(|error| {
        if !error.is_broken_pipe() {
            // Where even this cannot be written the exit code must do.
            let _ = writeln!(err, "{error}");
        }
        error.exit()
    })
}
