//! The operator's commands: what a directory is, serving it, and what to do where disks
//! are lost or damaged.
//!
//! Promise: an error says what, where, and what to do; nothing destroys data that may
//! be whole but by the operator's explicit word.
//!
//! The commands are subcommands of any program's:
//!
//! ```
//! use clap::Parser;
//! use zeroloss_broker::operator::{Ending, Operation};
//!
//! #[derive(Parser)]
//! struct Program {
//!     #[command(subcommand)]
//!     operation: Operation,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = std::env::temp_dir().join(format!("zeroloss-operator-{}", std::process::id()));
//! let path = dir.to_str().unwrap();
//! let format = Program::parse_from(["program", "format", path, "--broker-id", "7"]).operation;
//! let mut said = Vec::new();
//! format.execute(&mut said)?;
//! assert!(String::from_utf8(said)?.ends_with("of broker 7, cluster 1\n"));
//!
//! // A directory is formatted once.
//! let refused = format.execute(&mut Vec::new()).unwrap_err();
//! assert_eq!(refused.ending(), Ending::Usage);
//! assert!(refused.to_string().contains(path));
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok(())
//! # }
//! ```

mod directory;
mod flags;
mod serve;

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;

use clap::{Args, Subcommand, ValueEnum};

use crate::broker::Peer;
use directory::DirectoryError;

/// A command on a broker's directory.
#[derive(Debug, Subcommand)]
pub enum Operation {
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

/// Why a command did not do what it should, in words for the operator.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct OperationError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    /// The directory, its broker, or flags that contradict them.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Standard output takes nothing.
    #[error("error: cannot write: {0}")]
    Output(#[from] io::Error),
}

impl From<DirectoryError> for OperationError {
    fn from(error: DirectoryError) -> Self {
        Self(error.into())
    }
}

impl From<io::Error> for OperationError {
    fn from(error: io::Error) -> Self {
        Self(error.into())
    }
}

/// How a command ended, as the operating system is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Done,
    /// Input or output failed: the broker's, or the command's own.
    Io,
    /// Wrong usage, or a directory that is not for this.
    Usage,
    /// A replica must not take part before its operator has decided: starting it again
    /// changes nothing.
    Refused,
}

static PROGRAM: OnceLock<&str> = OnceLock::new();

/// The program that an operator is told to call.
fn program() -> &'static str {
    PROGRAM.get().copied().unwrap_or("zeroloss")
}

/// Names the program that an operator is told to call; without it `zeroloss`.
pub fn call_program(name: &'static str) {
    // The first name holds.
    let _ = PROGRAM.set(name);
}

impl Operation {
    /// Does it; results go to `out`.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn execute(&self, out: &mut dyn Write) -> Result<(), OperationError> {
        match self {
            Self::Serve(args) => serve::serve(args, out),
            Self::Format(args) => directory::format(args, out),
            Self::Salvage(args) => directory::salvage(args, out),
            Self::Recover(args) => directory::recover(args, out),
        }
    }
}

impl OperationError {
    /// How the command ended with it.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match &self.0 {
            Cause::Directory(error) => error.ending(),
            Cause::Output(_) => Ending::Io,
        }
    }

    /// The reader of a pipe has seen enough: nothing to complain about.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(&self.0, Cause::Output(error) if error.kind() == ErrorKind::BrokenPipe)
    }
}

impl Ending {
    /// The number for the operating system.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Io => 1,
            Self::Usage => 2,
            Self::Refused => 15,
        }
    }
}

/// The flags of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The directory (storePathRootDir), made by `format`.
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

/// The flags of `format`.
#[derive(Debug, Args)]
pub struct FormatArgs {
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

/// The flags of `recover`.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// The directory of a replica that survived.
    dir: PathBuf,
    /// Yes: acknowledged messages may be lost by this.
    #[arg(long = "unsafe")]
    is_unsafe: bool,
    /// Size of a commit log file (mapedFileSizeCommitLog).
    #[arg(long, value_name = "N", default_value_t = 1 << 30, value_parser = segment_bytes())]
    segment_bytes: u64,
}

/// The flags of `salvage`.
#[derive(Debug, Args)]
pub struct SalvageArgs {
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
