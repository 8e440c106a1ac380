//! The errors that a caller of the log can meet: what, where, and what to do about it.

use std::io;

use super::RECORD_BYTES_MAX;
use super::frames::Flaw;
use super::identity::IdentityError;
use super::recovery::TailUncertain;
use super::replicated::FrameError;
use crate::record::EncodeError;

/// Why the log did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk failed. The log is poisoned from here on.
    #[error("{doing} failed: {source}; the log is closed until it is reopened")]
    Io {
        /// The action that failed, and its file.
        doing: String,
        /// The disk's error.
        source: io::Error,
    },
    /// An earlier write or sync failed or was given up halfway, so that nothing
    /// is known of what was pending (D23): reopen the log.
    #[error("the log is poisoned ({cause}): reopen it")]
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// No log takes the record. Nothing was appended.
    #[error("record of {record_bytes} bytes; a log takes at most {RECORD_BYTES_MAX}")]
    RecordTooLong {
        /// The record's length.
        record_bytes: u64,
    },
    /// Another replica's frame is not the next entry. Nothing was appended.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The message does not fit a record. Nothing was appended.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Why an entry could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log does not reach so far.
    #[error("log address {address} is not below the log's end {end_address}")]
    BeyondEnd {
        /// Asked for.
        address: u64,
        /// The appended position.
        end_address: u64,
    },
    /// The address is inside an entry, or between the log's parts.
    #[error("no entry begins at log address {address}")]
    NotAnEntry {
        /// Asked for.
        address: u64,
    },
    /// The log does not hold the index.
    #[error("index {index} is not in the log, which has {first_index} to before {next_index}")]
    NoSuchIndex {
        /// Asked for.
        index: u64,
        /// The base's.
        first_index: u64,
        /// The appended position's.
        next_index: u64,
    },
    /// The entry was there and does not verify any more (D28).
    #[error(
        "the entry at log address {address} does not verify, {path} position {position}: {flaw}"
    )]
    Corrupt {
        /// The segment's file.
        path: String,
        /// Position in it, bytes.
        position: u64,
        /// The entry's log address.
        address: u64,
        /// The flaw.
        flaw: Flaw,
    },
    /// The read failed for a reason other than the medium.
    #[error("reading {path} failed: {source}")]
    Io {
        /// The segment's file.
        path: String,
        /// The disk's error.
        source: io::Error,
    },
}

/// A record that does not verify though something durable says that it had been
/// synced (D11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    /// The file.
    pub path: String,
    /// Position in it, bytes.
    pub position: u64,
    /// Log address of the first entry that is lost: everything below is whole.
    pub address: u64,
    /// The flaw at that place.
    pub flaw: Flaw,
    /// How it is known that it had been synced.
    pub proof: Proof,
}

impl std::fmt::Display for Corruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            path,
            position,
            address,
            flaw,
            proof,
        } = self;
        write!(
            f,
            "the log is corrupt at log address {address} ({path} position {position}): {flaw}. \
             It had been synced: {proof}. All below that address is whole. Restore the file from a \
             copy, if there is one"
        )
    }
}

/// The durable thing that says that a record had been synced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Proof {
    /// A segment follows; it is made only once the one before it is synced.
    #[error("{path} follows, which is made only after that was synced")]
    Successor {
        /// The following segment.
        path: String,
    },
    /// A later record or mark of the same file says so.
    #[error("{path} position {position} says that all below {durable_address} was durable")]
    Placement {
        /// The file.
        path: String,
        /// Where the record or mark stands, bytes.
        position: u64,
        /// The address in the record or mark.
        durable_address: u64,
    },
    /// The header of the segment: what it was born with was synced first.
    #[error("{path} got its name after all below {durable_address} was durable")]
    Birth {
        /// The file.
        path: String,
        /// The address in its header, or in its name where the header is bad.
        durable_address: u64,
    },
    /// The checkpoint.
    #[error("the checkpoint says that all below {durable_address} was durable")]
    Checkpoint {
        /// The address in the checkpoint.
        durable_address: u64,
    },
    /// The checkpoint is unreadable, so that it cannot say that the bad tail
    /// had *not* been synced.
    #[error("the checkpoint that would tell is unreadable ({why}), so this is assumed")]
    CheckpointUnreadable {
        /// The reason.
        why: String,
    },
}

impl Proof {
    /// The address in the proof, where it has one itself.
    pub(super) fn durable_address(&self) -> u64 {
        match self {
            Self::Placement {
                durable_address, ..
            }
            | Self::Birth {
                durable_address, ..
            }
            | Self::Checkpoint { durable_address } => *durable_address,
            Self::Successor { .. } | Self::CheckpointUnreadable { .. } => 0,
        }
    }
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk has no identity that verifies.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A segment was made on another disk or for another cluster.
    #[error(
        "{path} belongs to another disk ({disk_id:#018x}) or cluster ({cluster_id:#018x}). Nothing \
         was changed. If the file was copied here, move it out of the directory; if {} is the wrong \
         one, restore that",
        super::IDENTITY_FILE
    )]
    ForeignSegment {
        /// The file.
        path: String,
        /// The disk that it belongs to.
        disk_id: u64,
        /// The cluster that it belongs to.
        cluster_id: u64,
    },
    /// The log ends before the place at which it is said to begin.
    #[error(
        "the log ends at address {end_address}, and the file `base` stands for all below \
         {base_address}: what was synced between is gone, or `base` is of another log. Nothing was \
         changed. Restore both from a copy, if there is one"
    )]
    BelowBase {
        /// Where the log ends.
        end_address: u64,
        /// Where it is said to begin.
        base_address: u64,
    },
    /// A file has a segment's name, and nothing in it verifies.
    #[error(
        "{path} bears a segment's name, and neither its header nor any entry in it verifies. \
         Nothing was changed. If the file is not the broker's, move it out of the directory and \
         start again; if it may be a segment that rotted, restore it from a copy first: what was \
         in it alone is not in the log without it"
    )]
    Unrecognizable {
        /// The file.
        path: String,
    },
    /// Synced bytes are gone.
    #[error("{0}")]
    Corrupt(Box<Corruption>),
    /// A replica's log may have had more than it has. Nothing was changed.
    #[error("the log is uncertain from index {} on: {}", .0.from.next_index, .0.flaw)]
    TailUncertain(Box<TailUncertain>),
    /// Segments this small could not hold a record.
    #[error("segment_bytes = {segment_bytes} is too small: at least {segment_bytes_min}")]
    SegmentTooSmall {
        /// As configured.
        segment_bytes: u64,
        /// The least that works on this disk.
        segment_bytes_min: u64,
    },
    /// The disk failed. Opening may be tried again.
    #[error("{doing} failed: {source}")]
    Io {
        /// The action that failed.
        doing: &'static str,
        /// The disk's error.
        source: io::Error,
    },
}

/// Names what was being done when the disk failed.
pub(super) trait Doing<T> {
    /// As an [`OpenError`].
    fn doing(self, doing: &'static str) -> Result<T, OpenError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, OpenError> {
        self.map_err(|source| OpenError::Io { doing, source })
    }
}
