//! The core: what happened in, what to do out.

use super::{Configuration, EntryId, HardState, Input, Output, ReplicaId, Start};

/// What a replica is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its disk is new: it announces itself and waits for a base (D14).
    Blank,
    /// Follows, or waits for someone to follow.
    Follower,
    /// Asks whether an election would succeed.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

/// A replica's part in the consensus.
#[derive(Debug)]
pub struct Raft {}

impl Raft {
    /// A replica as its disk describes it. Outputs may be waiting.
    #[must_use]
    pub fn new(_start: Start) -> Self {
        todo!()
    }

    /// Something happened at `now_ns`.
    pub fn step(&mut self, _now_ns: u64, _input: Input) {
        todo!()
    }

    /// The next thing to do, or nothing. Appends are batched: what was proposed
    /// before the first call goes out in one.
    pub fn next_output(&mut self) -> Option<Output> {
        todo!()
    }

    /// When [`Input::Timeout`] is due, at the latest.
    #[must_use]
    pub fn deadline_ns(&self) -> u64 {
        todo!()
    }

    /// What this replica is.
    #[must_use]
    pub fn role(&self) -> Role {
        todo!()
    }

    /// The current term; what rests on it may not be durable yet.
    #[must_use]
    pub fn term(&self) -> u64 {
        todo!()
    }

    /// The hard state, durable or not.
    #[must_use]
    pub fn hard_state(&self) -> HardState {
        todo!()
    }

    /// The leader of the current term, as far as known.
    #[must_use]
    pub fn leader(&self) -> Option<ReplicaId> {
        todo!()
    }

    /// What is known to be committed.
    #[must_use]
    pub fn commit_index(&self) -> u64 {
        todo!()
    }

    /// This replica leads and has committed an entry of its own term (D18).
    #[must_use]
    pub fn is_serving(&self) -> bool {
        todo!()
    }

    /// This replica leads and is not handing leadership over: entries may be
    /// staged and proposed.
    #[must_use]
    pub fn accepts_proposals(&self) -> bool {
        todo!()
    }

    /// The configuration in force: the last in the log, committed or not (D15).
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        todo!()
    }

    /// The last entry.
    #[must_use]
    pub fn last(&self) -> EntryId {
        todo!()
    }
}
