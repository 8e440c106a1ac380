//! Where one queue of a consumer stands.

use crate::client::progress::Progress;
use crate::client::{OpId, Queue};

/// One holding of a queue: from when it was taken to when it is let go. A queue
/// that comes again is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim(pub(super) u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// To be locked.
    Lock,
    /// For the answer to that.
    Locking,
    /// To ask what the group has recorded.
    Recorded,
    /// To ask where to begin: nothing is recorded.
    Start,
    /// To pull.
    Pull,
    /// For an answer.
    Asked,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Pull {
    pub(super) op: OpId,
    pub(super) offset: u64,
    pub(super) issued_ns: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Commit {
    pub(super) op: OpId,
    pub(super) offset: u64,
}

/// A lock on a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    /// It counts as lost then.
    pub(super) until_ns: u64,
    /// It is asked for again then.
    pub(super) renew_ns: u64,
}

pub(super) struct QueueState {
    pub(super) claim: Claim,
    /// The topic's place among the consumer's.
    pub(super) topic: usize,
    pub(super) queue: Queue,
    pub(super) phase: Phase,
    /// The next request of this queue, a commit apart, is not issued before.
    pub(super) not_before_ns: u64,
    /// Known once resumed.
    pub(super) progress: Option<Progress>,
    pub(super) pull: Option<Pull>,
    pub(super) commit: Option<Commit>,
    /// A commit is wanted.
    pub(super) commit_due: bool,
    /// The last offset that the broker is known to have recorded.
    pub(super) committed: Option<u64>,
    /// When a commit was last acknowledged.
    pub(super) committed_ns: u64,
    /// It is another member's: nothing but its last commit is left to do, until
    /// then.
    pub(super) leaves_by_ns: Option<u64>,
    pub(super) lease: Option<Lease>,
}

impl QueueState {
    pub(super) fn new(claim: Claim, topic: usize, queue: Queue, phase: Phase) -> Self {
        Self {
            claim,
            topic,
            queue,
            phase,
            not_before_ns: 0,
            progress: None,
            pull: None,
            commit: None,
            commit_due: false,
            committed: None,
            committed_ns: 0,
            leaves_by_ns: None,
            lease: None,
        }
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaves_by_ns.is_some()
    }

    /// The outstanding pull, if it is this one; it is not outstanding any more.
    pub(super) fn take_pull(&mut self, op: OpId) -> Option<Pull> {
        self.pull.take_if(|pull| pull.op == op)
    }
}
