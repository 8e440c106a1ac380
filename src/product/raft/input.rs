//! The events that happen to a replica.

use std::collections::BTreeSet;

use super::{
    Change, Configuration, EntryHead, EntryId, HardState, LogView, Message, ReplicaId, Settings,
};

/// The input from which a replica starts: the content of its disk, and its settings.
#[derive(Debug, Clone)]
pub struct Start {
    /// The id of this replica.
    pub me: ReplicaId,
    /// Times and bounds.
    pub settings: Settings,
    /// As it is on the disk.
    pub hard: HardState,
    /// As it is on the disk, made durable (D24).
    pub log: LogView,
    /// (index, configuration), ascending, of the base and of the log. None at
    /// all: the disk is blank (D14).
    pub configurations: Vec<(u64, Configuration)>,
    /// Known committed: the base, or an applied snapshot.
    pub commit_index: u64,
    /// The durable end of the log.
    pub durable_index: u64,
    /// The parts of the log that cannot be read, ascending. With any, the replica only
    /// answers who asks what stands behind the end of its log (D12).
    pub holes: Vec<Unreadable>,
    /// All nodes of the address book.
    pub peers: BTreeSet<u64>,
    /// Now.
    pub now_ns: u64,
    /// 64 random bits.
    pub entropy: u64,
}

/// Consecutive entries that are there and cannot be read (D12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable {
    /// The first of them.
    pub from_index: u64,
    /// The first readable one behind them.
    pub upto_index: u64,
    /// The hash of the last of them, as the one behind it has it.
    pub hash: u64,
}

impl Unreadable {
    /// Whether the entry at `index` is one of them.
    #[must_use]
    pub fn holds(&self, index: u64) -> bool {
        (self.from_index..self.upto_index).contains(&index)
    }
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// [`super::Raft::deadline_ns`] has come, and what had come before was handed over.
    Timeout,
    /// A message for this replica: its cluster id and its addressee were
    /// checked, and its `heads` filled in.
    Message {
        /// The sender.
        from: ReplicaId,
        /// The sender's term.
        term: u64,
        /// The message.
        message: Message,
    },
    /// An entry was staged behind the last one, of the term in which this replica
    /// leads, or led when it was staged.
    Proposed(EntryHead),
    /// The log is durable up to this entry. Counts only if that is still the
    /// entry at its index (D25).
    Durable(EntryId),
    /// The hard state is durable as it was handed out.
    HardStateSaved(HardState),
    /// The log was dropped up to here.
    Dropped {
        /// The last entry below the log now.
        base: EntryId,
    },
    /// A read index is wanted (D18).
    Read {
        /// Comes back with the answer.
        id: u64,
    },
    /// The operator wants a change of the configuration.
    Change(Change),
    /// The operator wants this node to lead.
    Transfer {
        /// The node.
        node: u64,
    },
    /// A write or a sync failed: nothing is said any more (D3). The log is
    /// opened anew, and so is the core.
    LogFailed,
}
