//! Where one queue of a consumer stands.

use crate::client::progress::Progress;
use crate::history::{OpId, Queue};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// To ask what the group has recorded.
    Recorded,
    /// To ask where the queue begins.
    Min,
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

pub(super) struct QueueState {
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
}

impl QueueState {
    pub(super) fn new(queue: Queue) -> Self {
        Self {
            queue,
            phase: Phase::Recorded,
            not_before_ns: 0,
            progress: None,
            pull: None,
            commit: None,
            commit_due: false,
            committed: None,
        }
    }

    /// The outstanding pull, if it is this one; it is not outstanding any more.
    pub(super) fn take_pull(&mut self, op: OpId) -> Option<Pull> {
        self.pull.take_if(|pull| pull.op == op)
    }
}
