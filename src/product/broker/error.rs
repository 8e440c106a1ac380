//! Errors of a broker, and what its operator is to do about each.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use super::entries::BadEntry;
use super::groups::NAME_BYTES_MAX;
use crate::env::Reopening;
use crate::env::failure::{self, Failure};
use crate::log::{DiskKind, LogError, OpenError, QueueError, ReadError};
use crate::raft::{Divergence, EntryId, Epoch, ReplicaId};
use crate::record::{DecodeError, PropertyError};

/// Why a broker stopped, or did not start.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// The stored data cannot be served as it is.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its address is not to be had.
    #[error("cannot listen on {address}: {source}; choose another address or end its owner")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

impl BrokerError {
    /// Whether the operating system refused something, and the medium lost nothing by
    /// it. No broker that has its address ends for that (D32).
    #[must_use]
    pub fn says_nothing_of_stored_data(&self) -> bool {
        match self {
            Self::Store(error) => error.says_nothing_of_stored_data(),
            Self::Listen { .. } => false,
        }
    }
}

/// Why stored data cannot be opened or used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log failed while open; opening it again may help.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An entry cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A consume queue failed; it is derived, and is rebuilt at the next start.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The disk failed.
    #[error("{doing} failed: {source}")]
    Io {
        /// The action that failed.
        doing: &'static str,
        /// The disk's error.
        source: io::Error,
    },
    /// The log ends before what the state's snapshot was made of: durable
    /// bytes are gone.
    #[error(
        "the log ends at address {log_end}, but {path} was made of everything below {applied}: \
         synced bytes are gone. Restore the log from a copy, if there is one"
    )]
    LogBehindState {
        /// The log's end.
        log_end: u64,
        /// The snapshot's address.
        applied: u64,
        /// The snapshot's file.
        path: &'static str,
    },
    /// A replica's disk does not say what the replica promised others (D1).
    #[error(
        "{path}: {why}: this replica has forgotten what it promised and must not take part. \
         Restore nothing older. See first whether the others serve; if they do, move this directory \
         away and format a new one with --replacement: it catches up from them. If they do not, \
         keep this directory: it may hold the last copy of acknowledged messages"
    )]
    Amnesia {
        /// The file.
        path: &'static str,
        /// The reason why it is refused.
        why: String,
    },
    /// A replica holds less than it acknowledged: an older image, or a disk that
    /// lied.
    #[error(
        "this replica acknowledged entry {acknowledged} and has only {last}: its disk was set back \
         or lied about a sync. See first whether the others serve; if they do, move this directory \
         away and format a new one with --replacement: it catches up from them. If they do not, \
         keep this directory: it may hold the last copy of acknowledged messages"
    )]
    RolledBack {
        /// The last entry that it acknowledged.
        acknowledged: EntryId,
        /// The last entry that it has.
        last: EntryId,
    },
    /// A leader contradicts what is committed here: other replicas have
    /// forgotten what they acknowledged. This one halts with what may be the
    /// last copy.
    #[error(
        "node {} leads, or led, with entry {} where entry {} was committed here, as was all up to \
         {} (term {}): other replicas have forgotten what they acknowledged, their disks were set \
         back or lied about a sync. Nothing was cut here, and nothing is served. Keep this \
         directory: it may hold the last copy of acknowledged messages. To go on with what it \
         holds, stop the others, run `recover` on it, and replace their disks; to go on \
         with the others, move this directory away and format a new one with --replacement: what \
         was acknowledged from entry {} on is then lost, but for what you keep",
        .0.leader.node, .0.theirs, .0.ours, .0.commit_index, .0.term, .0.ours
    )]
    Diverged(Divergence),
    /// The cluster was recovered without this disk.
    #[error(
        "the cluster was recovered without this disk: broker {} is of epoch {theirs}, and this \
         replica of epoch {own}. Nothing is served here, and nothing was cut. Keep this directory \
         as long as you may need what it alone holds; to take part again, format a new one with \
         --replacement",
        .by.node
    )]
    NewerEpoch {
        /// This replica's.
        own: Epoch,
        /// The newer one.
        theirs: Epoch,
        /// The replica that said so.
        by: ReplicaId,
    },
    /// Two survivors were recovered apart from each other.
    #[error(
        "two survivors were recovered apart from each other: broker {} is of epoch {theirs}, and \
         this replica of epoch {own}. Both stop, for each may have acknowledged what the other \
         lacks. Decide which goes on: `recover --unsafe` on that one again, and new \
         directories, formatted with --replacement, for the others. Keep the old ones",
        .by.node
    )]
    RivalEpoch {
        /// This replica's.
        own: Epoch,
        /// The other one.
        theirs: Epoch,
        /// The replica that said so.
        by: ReplicaId,
    },
    /// An unsafe recovery was cut short.
    #[error("`recover --unsafe` was cut short on this directory: run it again")]
    Recovering,
    /// A replica's disk that holds nothing yet.
    #[error(
        "the disk holds nothing yet, neither of a founding nor as a replacement: there is \
             nothing to recover"
    )]
    Blank,
    /// The disk was formatted as something else.
    #[error(
        "this is the directory of {}, broker {node_id} of cluster {cluster_id}; nothing was \
         changed. {}", of_kind(*kind), cure_of_kind(*kind)
    )]
    WrongKind {
        /// As formatted.
        kind: DiskKind,
        /// The cluster that it belongs to.
        cluster_id: u64,
        /// The node that it belongs to.
        node_id: u64,
    },
    /// Nobody knows where one of the first members is reached.
    #[error(
        "broker {node} is one of the first members that the disk was formatted with, and no --peer \
         names it: name every member"
    )]
    UnknownMember {
        /// The member.
        node: u64,
    },
    /// The disk is another node's.
    #[error("the disk is that of node {found}, and this is node {wanted}")]
    WrongNode {
        /// By the disk.
        found: u64,
        /// By the configuration.
        wanted: u64,
    },
    /// A hole in the log of a replica that is alone.
    #[error(
        "entries {from_index}..{upto_index} (from log address {address} on) cannot be read, and this \
         cluster has no other replica to fill them in from. All others are whole: keep this \
         directory. Put the segment that holds them back from a copy of this disk, and start again; \
         or start with the addresses of nodes that once were members: any disk that still has these \
         entries fills them in"
    )]
    NobodyToAsk {
        /// The first of them.
        from_index: u64,
        /// One past the last.
        upto_index: u64,
        /// Where they begin.
        address: u64,
    },
    /// An entry does not fit what came before it.
    #[error("the entry at log address {address} does not fit the log before it: {what}")]
    Inconsistent {
        /// Its address.
        address: u64,
        /// In which way.
        what: String,
    },
    /// A queue leads to a record that is not the one it stands for. Queues are
    /// derived: made again from the log, it is right.
    #[error("{topic}/{queue_id} offset {offset} leads to another record, at log address {address}")]
    QueueDisagrees {
        /// The topic.
        topic: String,
        /// The queue.
        queue_id: u32,
        /// The offset.
        offset: u64,
        /// Where it leads.
        address: u64,
    },
    /// An entry's record cannot be decoded though its checksums verify.
    #[error("the entry at log address {address} is not what its kind says: {what}")]
    Undecodable {
        /// Its address.
        address: u64,
        /// In which way.
        what: String,
    },
}

fn of_kind(kind: DiskKind) -> &'static str {
    match kind {
        DiskKind::Single => "a broker that stands alone",
        DiskKind::Replica => "a replica",
    }
}

fn cure_of_kind(kind: DiskKind) -> &'static str {
    match kind {
        DiskKind::Single => {
            "Serve it without --peer: no other broker has what it holds, so keep it. A damaged \
             one is salvaged, not recovered"
        }
        DiskKind::Replica => {
            "Serve it with --peer ID=PEER_ADDR/CLIENT_ADDR, once for each replica; what is damaged \
             comes back from the others. Where a majority of the disks is lost: `recover`"
        }
    }
}

impl StoreError {
    /// Whether opening the store again may help.
    ///
    /// Any error of the operating system may pass: what it says of stored data was
    /// decided before, by the table of [`crate::env::failure`].
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Open(error) => failure::io_behind(error).is_some(),
            Self::Log(_) | Self::Read(_) | Self::Queue(_) | Self::Io { .. } => true,
            Self::QueueDisagrees { .. } => true,
            Self::LogBehindState { .. }
            | Self::Inconsistent { .. }
            | Self::Undecodable { .. }
            | Self::Amnesia { .. }
            | Self::RolledBack { .. }
            | Self::Diverged(_)
            | Self::NobodyToAsk { .. }
            | Self::NewerEpoch { .. }
            | Self::RivalEpoch { .. }
            | Self::Recovering
            | Self::Blank
            | Self::WrongKind { .. }
            | Self::UnknownMember { .. }
            | Self::WrongNode { .. } => false,
        }
    }

    /// Whether the operating system refused something, and the medium lost nothing by it.
    pub(super) fn says_nothing_of_stored_data(&self) -> bool {
        failure::io_behind(self).is_some_and(|error| !failure::medium_lost_data(error))
    }

    /// The reason for which the store is opened again.
    pub(super) fn reopening(&self) -> Reopening {
        match self {
            _ if self.wants_rebuild() => Reopening::QueueDamaged,
            _ if self.is_of_a_full_disk() => Reopening::Full,
            _ => Reopening::Failure,
        }
    }

    /// The error in words, and what to do about it where the operating system is behind
    /// it.
    pub(super) fn for_the_operator(&self) -> String {
        match failure::cure(self) {
            Some(cure) => format!("{self}: {cure}"),
            None => self.to_string(),
        }
    }

    /// Whether there was no room left.
    pub(super) fn is_of_a_full_disk(&self) -> bool {
        failure::io_behind(self).map(Failure::of) == Some(Failure::Full)
    }

    /// Whether it is a read that failed, and the data that were to be read are as they
    /// were: only the request is refused, and may be made again.
    pub(super) fn is_of_this_read(&self) -> bool {
        match self {
            Self::Read(ReadError::Io { source, .. })
            | Self::Queue(QueueError::Io { source, .. }) => !failure::medium_lost_data(source),
            _ => false,
        }
    }

    /// Whether a snapshot that failed so may be tried again with the store open: no
    /// queue is poisoned, and small files are replaced as a whole.
    pub(super) fn leaves_a_snapshot_undone(&self) -> bool {
        let (Self::Queue(QueueError::Io { source, .. }) | Self::Io { source, .. }) = self else {
            return false;
        };
        !matches!(Failure::of(source), Failure::LostData | Failure::Unknown)
    }

    /// Whether what is derived has to be made again from the log.
    pub(super) fn wants_rebuild(&self) -> bool {
        match self {
            Self::Queue(error) => error.is_damage(),
            Self::QueueDisagrees { .. } => true,
            _ => false,
        }
    }

    pub(super) fn undecodable(address: u64, why: DecodeError) -> Self {
        Self::Undecodable {
            address,
            what: why.to_string(),
        }
    }

    pub(super) fn bad_entry(address: u64, why: BadEntry) -> Self {
        Self::Undecodable {
            address,
            what: why.to_string(),
        }
    }
}

/// Why a message or an offset was not appended. Nothing was.
#[derive(Debug, Error)]
pub(crate) enum AppendError {
    /// The topic has fewer queues.
    #[error("queue {queue_id} of a topic with {queues} queues")]
    NoSuchQueue {
        /// As asked for.
        queue_id: u32,
        /// How many there are.
        queues: u32,
    },
    /// The properties with which a half message would be committed cannot be stored.
    #[error("properties of {length_bytes} bytes once it is committed; at most {bytes_max}")]
    FinalProperties {
        /// Their length.
        length_bytes: usize,
        /// Longest ones, bytes.
        bytes_max: usize,
    },
    /// There are as many of that as a broker bears.
    #[error("there are {most} {what}: no more are taken")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many.
        most: usize,
    },
    /// A name that would be kept is too long.
    #[error("a {what} of {length} bytes; at most {NAME_BYTES_MAX}")]
    Name {
        /// Of what.
        what: &'static str,
        /// Its length, bytes.
        length: usize,
    },
    /// A property that the broker adds cannot be written.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// The log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A new topic's queues cannot be made.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl AppendError {
    /// The failure of the log or the disk behind it; `None` where only this
    /// append was refused.
    pub(crate) fn into_fatal(self) -> Option<StoreError> {
        match self {
            Self::NoSuchQueue { .. }
            | Self::FinalProperties { .. }
            | Self::Full { .. }
            | Self::Name { .. }
            | Self::Property(_)
            | Self::Log(LogError::RecordTooLong { .. } | LogError::Encode(_)) => None,
            Self::Log(failed) => Some(failed.into()),
            Self::Queue(failed) => Some(failed.into()),
        }
    }
}
