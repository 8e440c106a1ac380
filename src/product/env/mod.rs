//! The seam between the product and its world: clock, timers, tasks,
//! randomness, disk and network.
//!
//! Promise: everything the broker and the clients learn of the outside, or do to it,
//! passes through these traits; their implementation decides what a crash, a slow
//! disk or a cut link means. There are two implementations: [`real`] (tokio and
//! `std::fs`) and the simulator's.
//!
//! ```text
//!   broker loop ──┬── Disk/File   write ≠ sync ≠ sync_dir
//!                 ├── Net         byte streams (clients), peer messages (replication)
//!                 ├── Timer       one per loop, reset lazily
//!                 └── now, random
//! ```
//!
//! Times are `u64` nanoseconds on a monotonic clock of the node's own, unless a
//! name ends in another unit.
//!
//! Code that takes a [`Disk`] runs on any of them. A file that must be there after a power
//! loss takes two syncs, one of its bytes and one of its name:
//!
//! ```
//! use std::io;
//!
//! use zeroloss_broker::env::{Disk, Env, File, real::RealEnv};
//!
//! async fn keep<D: Disk>(disk: &D, path: &str, bytes: &'static [u8]) -> io::Result<()> {
//!     let file = disk.create(path).await?;
//!     file.write_at(0, bytes.into()).await?;
//!     file.sync_all().await?;
//!     disk.sync_dir("").await
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> io::Result<()> {
//! # let dir = std::env::temp_dir().join(format!("zeroloss-env-{}", std::process::id()));
//! let disk = RealEnv::new(dir.clone())?.disk();
//! keep(&disk, "identity", b"broker 7").await?;
//! assert_eq!(disk.list("").await?, ["identity"]);
//! assert_eq!(disk.open("identity").await?.read_at(0, 100).await?, "broker 7");
//! # std::fs::remove_dir_all(dir)
//! # }
//! ```

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;

#[cfg(test)]
pub(crate) mod conformance;
mod either;
pub mod failure;
mod notice;
pub mod path;
mod pool;
pub mod real;
mod yielding;

pub use either::{Either, either};
pub use notice::{FoundEnd, FoundTail, Level, MadeFrom, Notice, Reopening, Stop, WaitedFor};
pub use pool::{Pooled, PooledFile};
pub use yielding::yield_once;

/// Longest peer message, bytes: the longest record that a log takes fits, with a
/// mebibyte for what stands around it. A sender of more sends it in pieces.
pub const PEER_MESSAGE_BYTES_MAX: usize = 33 << 20;
/// Streams that peers may have to an endpoint at once.
pub const PEER_LINKS_MAX: usize = 64;
/// Bytes of peer messages whose end has not come, over all streams; the first
/// 64 KiB of each do not count.
pub const PEER_PARTIAL_BYTES_MAX: usize = 64 << 20;
/// Bytes that wait to be written to one stream, or sent to one peer.
pub const UNSENT_OF_STREAM_BYTES_MAX: usize = 64 << 20;
/// Bytes that wait to be written, over all streams.
pub const UNSENT_BYTES_MAX: usize = 256 << 20;

/// One node's world. Cheap to clone.
pub trait Env: Clone + Send + Sync + 'static {
    /// The node's disk.
    type Disk: Disk;
    /// A network endpoint of the node.
    type Net: Net;
    /// A timer on the node's monotonic clock.
    type Timer: Timer;

    /// Monotonic time since an origin of the node's own, nanoseconds. Never
    /// falls while the process lives; says nothing across restarts.
    fn now_ns(&self) -> u64;
    /// The wall clock, milliseconds since 1970. May be wrong and may jump.
    fn wall_ms(&self) -> u64;
    /// 64 random bits.
    fn random_u64(&self) -> u64;
    /// A new timer, not set.
    fn timer(&self) -> Self::Timer;
    /// The node's disk; every call gives a handle to the same one.
    fn disk(&self) -> Self::Disk;
    /// A new endpoint with an event queue of its own.
    fn net(&self) -> Self::Net;
    /// Tells the operator what was found, what failed, what to do.
    fn report(&self, notice: Notice);
    /// Runs `task` beside the caller until it ends or the process dies.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// A single resettable deadline.
pub trait Timer: Send + 'static {
    /// Replaces the deadline; `None` unsets it. A deadline in the past fires at
    /// the next poll.
    fn reset(&mut self, deadline_ns: Option<u64>);
    /// Resolves once the deadline has passed, and unsets it. Pending for ever
    /// while none is set. Cancel-safe.
    fn fired(&mut self) -> impl Future<Output = ()> + Send;
}

/// A directory tree on one disk. Paths are relative, `/`-separated, and name
/// nothing outside the tree.
///
/// The crashes that data survive: a *process kill* keeps every resolved operation; a
/// *power loss* keeps only what a sync covered (guarantee.md, section 4).
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file.
    type File: File;

    /// The unit in which the medium persists bytes; a write that shares a
    /// sector with older bytes may tear them (D26).
    fn sector_bytes(&self) -> usize;
    /// Bytes that may still be written. No reservation.
    fn free_bytes(&self) -> impl Future<Output = io::Result<u64>> + Send;
    /// Creates an empty file. `AlreadyExists` where the name is taken. The name
    /// is durable only after [`Disk::sync_dir`] of the parent.
    fn create(&self, path: &str) -> impl Future<Output = io::Result<Self::File>> + Send;
    /// Opens a file to read and write. `NotFound` where there is none.
    fn open(&self, path: &str) -> impl Future<Output = io::Result<Self::File>> + Send;
    /// Renames a file, replacing `to`. Atomic as a name, unordered with data.
    fn rename(&self, from: &str, to: &str) -> impl Future<Output = io::Result<()>> + Send;
    /// Removes a file.
    fn remove(&self, path: &str) -> impl Future<Output = io::Result<()>> + Send;
    /// The names in a directory, sorted. `NotFound` where there is none.
    fn list(&self, directory: &str) -> impl Future<Output = io::Result<Vec<String>>> + Send;
    /// Creates a directory and its missing parents; present is no error.
    fn create_dir(&self, directory: &str) -> impl Future<Output = io::Result<()>> + Send;
    /// Makes the directory's entries, as they were at the call, durable. `""` is
    /// the root.
    fn sync_dir(&self, directory: &str) -> impl Future<Output = io::Result<()>> + Send;
}

/// An open file. Clones share it; it stays readable after rename and remove.
pub trait File: Clone + Send + Sync + 'static {
    /// Resolves when the bytes are *cached*: readable, and lost with the power.
    /// On an error (`StorageFull`, I/O) a part may have been written.
    fn write_at(&self, position: u64, bytes: Bytes) -> impl Future<Output = io::Result<()>> + Send;
    /// Up to `length` bytes from `position`; fewer only at the end of the file.
    fn read_at(
        &self,
        position: u64,
        length: usize,
    ) -> impl Future<Output = io::Result<Bytes>> + Send;
    /// The first position at or behind `position` where anything but zeros may
    /// stand; `None` where all that follows is a hole that was never written. A
    /// disk that does not know says `position`.
    fn data_from(&self, position: u64) -> impl Future<Output = io::Result<Option<u64>>> + Send {
        async move { Ok(Some(position)) }
    }
    /// Sets the size; bytes gained read zero. Durable only after a sync.
    fn set_len(&self, length: u64) -> impl Future<Output = io::Result<()>> + Send;
    /// The size as cached, bytes.
    fn size_bytes(&self) -> impl Future<Output = io::Result<u64>> + Send;
    /// Makes durable what was written before the call, with the size needed to
    /// read it back (fdatasync). After an error *nothing* is known of what was
    /// pending, and a retry that succeeds proves nothing (D23).
    fn sync_data(&self) -> impl Future<Output = io::Result<()>> + Send;
    /// As `sync_data`, with all metadata of the file (fsync); not its name.
    fn sync_all(&self) -> impl Future<Output = io::Result<()>> + Send;
}

/// A stream of one endpoint. Never reused within the endpoint's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed; all it had written has been read.
    Eof,
    /// Reset, or the connect was refused.
    Reset,
    /// Connect timed out.
    Timeout,
    /// This side's peer reads too slowly: what waited to be written passed the
    /// endpoint's bound.
    Overflow,
}

/// The two kinds of events: what peers said, and what happens on streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// [`NetEvent::Peer`].
    Peers,
    /// All others.
    Streams,
}

/// A report of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetEvent {
    /// A listening endpoint accepted a stream.
    Accepted {
        /// The new stream.
        conn: ConnId,
        /// The other side's address.
        from: SocketAddr,
    },
    /// A stream asked for by [`Net::connect`] is up.
    Connected {
        /// The stream.
        conn: ConnId,
    },
    /// Bytes in order, cut anywhere.
    Data {
        /// The stream.
        conn: ConnId,
        /// At least one byte.
        bytes: Bytes,
    },
    /// The stream is gone; nothing more is reported of it. Not reported for a
    /// stream that this side closed.
    Closed {
        /// The stream.
        conn: ConnId,
        /// How.
        reason: CloseReason,
    },
    /// A peer message: whole; maybe late, repeated, overtaken, or never.
    Peer {
        /// The sender's peer address.
        from: SocketAddr,
        /// The message.
        bytes: Bytes,
    },
}

/// A network endpoint: streams and peer messages, one event queue. Calls other
/// than `next` never wait.
///
/// Streams mean what TCP means: ordered, never repeated, loss shows as delay
/// only; they end by EOF, by reset, or silently (nothing more ever comes).
pub trait Net: Send + 'static {
    /// Accepts streams at `address` (port 0: any). Returns the bound address.
    fn listen(
        &mut self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<SocketAddr>> + Send;
    /// Receives peer messages at `address`, which is also the sender's address
    /// of this endpoint's own peer messages.
    fn listen_peers(
        &mut self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<SocketAddr>> + Send;
    /// Begins a stream; `Connected` or `Closed` follows. Bytes may be written
    /// at once.
    fn connect(&mut self, to: SocketAddr) -> ConnId;
    /// Queues bytes on a stream. On a stream that is gone: nothing.
    fn write(&mut self, conn: ConnId, bytes: Bytes);
    /// Closes after what was queued has left. Unknown streams: nothing.
    fn close(&mut self, conn: ConnId);
    /// Sends a peer message, at most once, maybe never.
    ///
    /// # Panics
    /// It has more than [`PEER_MESSAGE_BYTES_MAX`]: it would never come, however
    /// often it is said again.
    fn send(&mut self, to: SocketAddr, bytes: Bytes);
    /// Streams that the endpoint bears at once.
    fn streams_max(&self) -> usize {
        usize::MAX
    }
    /// An event that is already there. What peers said comes before what happens on
    /// streams: behind the requests of too many clients, a leader would not hear its
    /// followers, and take itself for cut off.
    fn try_next(&mut self) -> Option<NetEvent> {
        self.try_next_of(Source::Peers)
            .or_else(|| self.try_next_of(Source::Streams))
    }
    /// How many events of one source are already there.
    fn waiting(&self, from: Source) -> usize;
    /// An event of one source that is already there.
    fn try_next_of(&mut self, from: Source) -> Option<NetEvent>;
    /// The next event, in the same order. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = NetEvent> + Send;
}
