//! The words everything else is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Configuration;

/// The file at the root of a replica's disk that holds its [`HardState`].
pub const HARD_STATE_FILE: &str = "hardstate";

/// Stands for whatever disk a node has now, in the address of a message from a
/// replica that knows its peers' nodes and not their disks.
pub const ANY_DISK: u64 = 0;

/// One incarnation of a replica: a node with the disk that it had (D13). A node
/// whose disk was replaced is another replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaId {
    /// The node within the cluster.
    pub node: u64,
    /// The disk's own name; never [`ANY_DISK`] for a sender.
    pub disk: u64,
}

/// A stretch of a cluster's life: from its founding, or from an unsafe recovery, to
/// the next recovery (D16). Every peer message carries it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Epoch {
    /// Random: of which founding. Clusters of different foundings have nothing to
    /// say to each other, whatever their cluster ids are.
    pub founding: u64,
    /// 1 from the founding on, and one more with each recovery; 0 of a disk that
    /// holds nothing yet.
    pub number: u64,
    /// Random: of which recovery.
    pub id: u64,
}

impl Epoch {
    /// Of a replica from before there were epochs.
    pub const OLD: Self = Self {
        founding: 0,
        number: 1,
        id: 0,
    };
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#x})", self.number, self.id)
    }
}

/// Names an entry. Two logs that hold the same `EntryId` are equal up to it
/// (Log Matching, Raft paper, figure 3).
///
/// The order is that of elections (Raft paper, §5.4.1): the later term is more
/// up to date, and of equal terms the longer log. So `term` comes first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct EntryId {
    /// The term it was appended in; 0 before the first entry.
    pub term: u64,
    /// Its number in the log, from 1; 0 before the first entry.
    pub index: u64,
}

impl EntryId {
    /// Before the first entry; every log holds it.
    pub const ZERO: Self = Self { term: 0, index: 0 };
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.term)
    }
}

/// The part of an entry that the core knows as it passes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryHead {
    /// The entry's id.
    pub id: EntryId,
    /// The configuration in it, where its kind is `Configuration`.
    pub configuration: Option<Configuration>,
}

impl From<EntryId> for EntryHead {
    fn from(id: EntryId) -> Self {
        Self {
            id,
            configuration: None,
        }
    }
}

/// The state that a replica must never forget (D1).
///
/// 1. `term` never falls.
/// 2. `vote` changes only from nothing, or with the term.
/// 3. No entry of the durable log has a term above `term`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HardState {
    /// The latest term this replica has seen.
    pub term: u64,
    /// The candidate that it voted for in that term.
    pub vote: Option<ReplicaId>,
    /// Entries that it may have had and lost (D12).
    pub uncertain_tail: Option<UncertainTail>,
}

impl HardState {
    /// The state that is durable before the log is cut at `from_index`, its end uncertain
    /// (D12): a term above any that the lost entries can have.
    ///
    /// An uncertain tail that goes on keeps its beginning, and takes the term up to now:
    /// while it was open this replica may have acknowledged entries of any term
    /// up to that, and lost them by the second cut
    /// (reports/findings/010-a-second-doubt.md).
    #[must_use]
    pub fn is_uncertain(self, from_index: u64, had_upto_address: u64) -> Self {
        let old = self.uncertain_tail;
        let uncertain_tail = UncertainTail {
            from_index: old.map_or(from_index, |old| old.from_index.min(from_index)),
            term_before: self.term,
            had_upto_address: old
                .map_or(0, |old| old.had_upto_address)
                .max(had_upto_address),
        };
        Self {
            term: self.term + 1,
            vote: None,
            uncertain_tail: Some(uncertain_tail),
        }
    }

    /// In a later term, without a vote.
    #[must_use]
    pub fn in_term(self, term: u64) -> Self {
        debug_assert!(term > self.term, "terms only rise");
        Self {
            term,
            vote: None,
            ..self
        }
    }
}

/// The end of the log did not verify and was cut: from `from_index` on this
/// replica may have held, and acknowledged, entries that it has no more (D12).
///
/// The driver writes it durably *before* the cut, together with a term above
/// `term_before` and no vote. If there is an uncertain tail already, the lower
/// `from_index` stays and `term_before` is the term up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UncertainTail {
    /// The first uncertain index.
    pub from_index: u64,
    /// The hard state's term before it was last raised for this uncertain tail: no
    /// uncertain entry has a later one.
    pub term_before: u64,
    /// Log address up to which the log had been synced for certain, as far as
    /// known; for the operator. Within the fault budget an entry that no other
    /// replica has was not committed, whether or not it was once here.
    pub had_upto_address: u64,
}

/// A leader's log is not the one that was committed here. Within the fault
/// budget that cannot be (Leader Completeness, Raft paper, figure 3): somebody
/// has forgotten what it acknowledged or for whom it voted, and does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// The leader, or the sender of its base.
    pub leader: ReplicaId,
    /// This replica's term at that time.
    pub term: u64,
    /// The leader's entry.
    pub theirs: EntryId,
    /// The entry that is committed here, at the same index.
    pub ours: EntryId,
    /// Everything up to here is committed here.
    pub commit_index: u64,
}

/// Times and bounds. Times are nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A leader is heard at least this often.
    pub heartbeat_ns: u64,
    /// Silence after which an election may begin; up to twice that, at random.
    pub election_timeout_ns: u64,
    /// A leader whose own entries are not durable for so long steps down (D17).
    pub own_sync_timeout_ns: u64,
    /// Entries in one append, at most.
    pub append_entries_max: u64,
    /// Appends under way to one follower, at most.
    pub inflight_max: usize,
    /// The node that should lead where it can.
    pub preferred: Option<u64>,
    /// Acknowledgements, term and vote survive a power failure. False only for presets
    /// that acknowledge from a cache: there a replica that forgot goes on, and entries
    /// that are lost by that are lost.
    pub promises_durable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat_ns: 50_000_000,
            election_timeout_ns: 500_000_000,
            own_sync_timeout_ns: 2_000_000_000,
            append_entries_max: 256,
            inflight_max: 8,
            preferred: None,
            promises_durable: true,
        }
    }
}
