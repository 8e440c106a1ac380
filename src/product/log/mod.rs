//! The commit log: what is acknowledged rests on it.
//!
//! Promise: an entry below [`CommitLog::flushed`] survives every crash and every
//! power loss, and is found again by [`CommitLog::open`]; what a fault of the
//! medium did to it is reported, never silently left out. The log spawns
//! nothing, keeps no waiters and answers nobody: its owner's loop asks for
//! [`Job`]s, polls them, and hands back what became of them.
//!
//! ```text
//!  stage ─────▶ write ─────▶ next_job ··· Job ··· job_done
//!  memory       page cache   sync, or roll        durable
//!  tail()       appended()                        flushed()
//! ```
//!
//! | module | promise |
//! |---|---|
//! | `identity` | whose disk this is; nothing starts on another's (D27) |
//! | `atomic_file` | small files replaced as a whole |
//! | `checkpoint` | what was durable, and whether the stop was clean |
//! | `segment` | files, their headers, the cut by generation |
//! | `staging` | entries in memory, sealed and chained |
//! | `commit_log` | the three positions and what moves them |
//! | `job` | sync and roll, as futures that stand alone |
//! | `truncate` | the log cut at an entry, for those that replace the rest (D6) |
//! | `frames`, `walk`, `copy` | what stands at a position of a file, judged |
//! | `recovery` | what survived, what is corrupt, what is copied (D11, D24) |
//! | `foreign` | entries as another replica sealed them, staged as they are |
//! | `index` | entries by index, and the terms along the log |
//! | `hole`, `repair` | what rotted between whole entries, and its way back (D12) |
//! | `base` | where the log begins: dropped below, or begun anew (D8, D30) |
//! | `scrub` | rot found before somebody needs the bytes (D28) |
//! | `salvage` | the operator's way past a corrupt record |
//! | `read` | entries by address, verified at every use (D28) |
//! | `consume_queue` | a queue's entries by number; derived, rebuilt at will |
//!
//! One entry, from memory to the medium, and back after the process has ended:
//!
//! ```
//! use zeroloss_broker::env::{Env, real::RealEnv};
//! use zeroloss_broker::log::{CommitLog, Identity, LogConfig, format};
//! use zeroloss_broker::record::EntryKind;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = std::env::temp_dir().join(format!("zeroloss-log-{}", std::process::id()));
//! let env = RealEnv::new(dir.clone())?;
//! let identity = Identity { cluster_id: 1, node_id: 0, disk_id: env.random_u64(), kind: None };
//! format(&env.disk(), identity).await?;
//! let config = LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() };
//! let (mut log, _) = CommitLog::open(env.disk(), config, env.random_u64()).await?;
//!
//! let staged = log.stage(EntryKind::OffsetCommit, 1, |_address, record| {
//!     record.extend_from_slice(b"red-packet: 42");
//!     Ok(())
//! })?;
//! log.write().await?;
//! assert_eq!((log.appended().address, log.flushed().address), (staged.end_address, 0));
//! let done = log.next_job().expect("something to sync").await;
//! assert_eq!(log.job_done(done)?.address, staged.end_address);
//! drop(log);
//!
//! let (log, _) = CommitLog::open(env.disk(), config, env.random_u64()).await?;
//! assert_eq!(log.read(staged.address, 14).await?.record(), b"red-packet: 42");
//! # std::fs::remove_dir_all(dir)?;
//! # Ok(())
//! # }
//! ```

mod atomic_file;
mod base;
mod checkpoint;
mod commit_log;
mod consume_queue;
mod copy;
mod error;
mod frames;
mod hole;
mod identity;
mod index;
mod job;
mod position;
mod read;
mod recovery;
mod repair;
mod replicated;
mod salvage;
mod scrub;
mod segment;
mod staging;
mod truncate;
mod walk;

pub use atomic_file::{
    AtomicFile, read as read_atomic_file, remove as remove_atomic_file,
    renew as renew_atomic_files, replace as replace_atomic_file,
    replace_in_pieces as replace_atomic_file_in_pieces,
    replace_unsynced as replace_atomic_file_unsynced,
};
pub use checkpoint::{ABORT_FILE, CHECKPOINT_FILE, Checkpoint, CheckpointState};
pub use commit_log::{CommitLog, Written};
pub use consume_queue::{ConsumeQueue, QueueEntry, QueueError, QueueTail};
pub use error::{Corruption, LogError, OpenError, Proof, ReadError};
pub use frames::Flaw;
pub use hole::Hole;
pub use identity::{
    DiskKind, FormatError, IDENTITY_FILE, Identity, IdentityError, format, format_with,
    read_identity,
};
pub use job::{Done, Job, JobKind};
pub use position::Position;
pub use read::{Batch, Entry};
pub use recovery::{CopiedTail, LogEnd, Recovery, Stray, TailUncertain};
pub use repair::RepairError;
pub use replicated::FrameError;
pub use salvage::{SalvageError, SalvageReport, salvage};
pub use scrub::Scrubbed;
pub use segment::HeaderFlaw;
pub use staging::Staged;

/// Directory of the commit log's segments, under the disk's root.
pub const COMMIT_LOG_DIR: &str = "commitlog";
/// Directory of the consume queues, under the disk's root.
pub const CONSUME_QUEUE_DIR: &str = "consumequeue";

/// Longest record that a log takes, bytes: twice what a client's frame holds. It is
/// no setting, and not the size of a segment: what one configuration took in, every
/// other one can store again.
pub const RECORD_BYTES_MAX: u64 = 32 << 20;

/// The settings of a commit log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// Size of a segment file, bytes (`mapedFileSizeCommitLog`); rounded down
    /// to whole sectors. An entry that is longer has a segment of its own size.
    pub segment_bytes: u64,
    /// Bytes of the disk that appends leave free for hard state, truncation and
    /// repair (D31).
    pub reserve_bytes: u64,
    /// The log is one of several replicas: what is damaged comes back from the
    /// others. So nothing that may have been acknowledged is cut before the
    /// owner has written down its uncertain tail (D12), and damage that valid entries
    /// follow is a [`Hole`], not the end of the log.
    pub replicated: bool,
    /// Sizes of its reads and writes.
    pub sizes: LogSizes,
}

/// Sizes of what a log reads and writes at a time. Nothing that is stored depends on
/// them, so that every opening may have others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSizes {
    /// Bytes of a segment that a recovery, a repair and a look for rot read at a time.
    pub window_bytes: u64,
    /// Bytes on their way into a new segment that are written at a time, about.
    pub piece_bytes: usize,
    /// Bytes behind the last entry of a copied segment's map from which on the next
    /// entry is taken into it.
    pub group_bytes: u64,
}

impl LogSizes {
    /// See [`LogSizes`].
    pub const DEFAULT: Self = Self {
        window_bytes: 256 << 10,
        piece_bytes: 1 << 20,
        group_bytes: 64 << 10,
    };
}

impl Default for LogSizes {
    fn default() -> Self {
        Self::DEFAULT
    }
}
