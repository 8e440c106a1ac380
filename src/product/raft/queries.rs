//! The questions that a driver may ask a replica.

use super::replica::{Raft, State};
use super::{Configuration, EntryId, HardState, LogView, ReplicaId, Role};

impl Raft {
    /// The role of this replica.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.state {
            State::Blank { .. } => Role::Blank,
            State::Follower => Role::Follower,
            State::PreCandidate(_) => Role::PreCandidate,
            State::Candidate { .. } => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    /// The current term; what rests on it may not be durable yet.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.gate.hard().term
    }

    /// The hard state, durable or not.
    #[must_use]
    pub fn hard_state(&self) -> HardState {
        self.gate.hard()
    }

    /// The leader of the current term, as far as known.
    #[must_use]
    pub fn leader(&self) -> Option<ReplicaId> {
        self.leader
    }

    /// The last entry that is known to be committed.
    #[must_use]
    pub fn commit_index(&self) -> u64 {
        self.commit_index
    }

    /// The configuration in force: the last in the log, committed or not (D15).
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        self.configurations.latest()
    }

    /// The last entry.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.log.last()
    }

    /// Whether a base that ends with that entry brings what is not here.
    #[must_use]
    pub fn lacks(&self, base: EntryId) -> bool {
        let known = self.log.contains(base) || base.index <= self.commit_index;
        self.is_blank() || !known
    }

    /// Whether an answer to that request is about what this replica asks now (D12).
    #[must_use]
    pub fn asks_in_round(&self, request: u64) -> bool {
        let uncertain = self.uncertain.as_ref();
        uncertain.is_some_and(|uncertain| uncertain.round() == request)
    }

    /// The log as the core sees it.
    #[must_use]
    pub fn log(&self) -> &LogView {
        &self.log
    }
}
