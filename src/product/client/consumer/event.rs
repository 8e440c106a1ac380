//! The reports of a consumer.

use crate::client::records::{BadRecord, Received};
use crate::client::{OpId, Queue};
use crate::remoting::ResponseCode;

/// A report of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerEvent {
    /// The group has other members now.
    Ranked {
        /// This consumer's place among them, from 0; `None`: it is not among
        /// them.
        place: Option<u32>,
        /// How many they are.
        members: u32,
    },
    /// The broker was asked where the group stands in a queue.
    ResumeBegan {
        /// The queue.
        queue: Queue,
    },
    /// A queue is another member's, or its lock is lost: what is in hand of it is
    /// not to be processed any more, and what is being processed does not count.
    Released {
        /// The queue.
        queue: Queue,
    },
    /// The consumer has left its group, after [`Consumer::leave`](super::Consumer::leave).
    Left,
    /// A message is on its way back to the broker.
    SendBackBegan {
        /// Ended by `SendBackEnded` with the same number, unless the queue is let
        /// go before.
        op: OpId,
        /// The queue that it was served from.
        queue: Queue,
        /// Its offset there.
        offset: u64,
    },
    /// A sending back ended; one that was not acknowledged is repeated.
    SendBackEnded {
        /// The operation.
        op: OpId,
        /// Whether it was acknowledged; otherwise unknown.
        acknowledged: bool,
    },
    /// A queue's start is known.
    Resumed {
        /// The queue.
        queue: Queue,
        /// The offset that the broker had recorded for the group.
        recorded: Option<u64>,
        /// The first offset that will be pulled: the recorded one, or the
        /// queue's first.
        start: u64,
    },
    /// A pull was issued.
    PullBegan {
        /// Ended by `Pulled` or `PullFailed` with the same number.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// From which offset.
        offset: u64,
    },
    /// A pull was answered.
    Pulled {
        /// The operation.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// The offset that was asked for.
        offset: u64,
        /// Found, not found, or moved.
        end: PullEnd,
        /// `nextBeginOffset`, as the broker gave it.
        next_begin_offset: u64,
        /// `minOffset`, as the broker gave it.
        min_offset: u64,
        /// `maxOffset`, as the broker gave it.
        max_offset: u64,
        /// The messages that were served, up to a bad record; to be processed, each
        /// reported by [`Consumer::processed`](super::Consumer::processed).
        messages: Vec<Received>,
        /// A record that cannot be read. The queue stands still before it: it is
        /// pulled again, after a pause, until it can be read.
        bad: Option<BadRecord>,
    },
    /// A pull was not answered, or with an error; it is repeated.
    PullFailed {
        /// The operation.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// The error; `None` where none came.
        code: Option<ResponseCode>,
    },
    /// An offset commit was issued.
    CommitBegan {
        /// Ended by `CommitEnded` with the same number.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// Everything below is processed.
        offset: u64,
    },
    /// An offset commit ended.
    CommitEnded {
        /// The operation.
        op: OpId,
        /// Of which queue.
        queue: Queue,
        /// The offset that was to be recorded.
        offset: u64,
        /// Whether it was acknowledged; otherwise unknown.
        acknowledged: bool,
    },
}

impl ConsumerEvent {
    /// Whether it hands out messages of that queue.
    pub(super) fn serves(&self, of: &Queue) -> bool {
        matches!(self, Self::Pulled { queue, .. } if queue == of)
    }
}

/// The content of an answer to a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullEnd {
    /// Messages. The only end that says something of the offsets below
    /// `next_begin_offset`.
    Found,
    /// Nothing there yet (`PULL_NOT_FOUND`).
    NotFound,
    /// Nothing there that matches (`PULL_RETRY_IMMEDIATELY`).
    NoMatch,
    /// The queue does not have that offset (`PULL_OFFSET_MOVED`). Where
    /// `next_begin_offset` is below it the queue has lost what was served from
    /// there on: nothing of that is to be processed any more.
    Moved,
}
