//! Read index (D18; thesis, §6.4): a leader may answer from its state once it
//! knows that it still led after the question came.

use super::Output;
use super::replica::{Raft, State};

/// A read that waits for a quorum's word.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingRead {
    pub(super) id: u64,
    index: u64,
    /// Only answers to requests from here on were asked for after it came.
    from_request: u64,
}

impl PendingRead {
    pub(super) fn index(&self) -> u64 {
        self.index
    }

    pub(super) fn first_request(&self) -> u64 {
        self.from_request
    }
}

impl Raft {
    pub(super) fn on_read(&mut self, id: u64) {
        // A new leader does not know yet what is committed: its commit index
        // may lie below what the one before acknowledged (thesis, §6.4, step 1).
        if !self.is_serving() {
            return self.outputs.push_back(Output::ReadFailed { id });
        }
        let index = self.commit_index;
        if let State::Leader(leader) = &mut self.state {
            leader.beat = true;
            let from_request = leader.next_request;
            leader.reads.push(PendingRead {
                id,
                index,
                from_request,
            });
        }
        self.answer_reads();
    }

    /// A quorum that answered in this term had not gone on to a later one.
    pub(super) fn answer_reads(&mut self) {
        let State::Leader(leader) = &mut self.state else {
            return;
        };
        let configuration = self.configurations.latest();
        let followers = &leader.followers;
        let confirmed = |read: &PendingRead| {
            configuration.is_quorum(|voter| {
                voter == self.me
                    || followers
                        .get(&voter.node)
                        .is_some_and(|progress| progress.answered_request >= read.from_request)
            })
        };
        // Reads came in order, so those that are confirmed stand in front.
        let ready = leader
            .reads
            .iter()
            .take_while(|read| confirmed(read))
            .count();
        for PendingRead { id, index, .. } in leader.reads.drain(..ready) {
            self.outputs.push_back(Output::ReadReady { id, index });
        }
    }
}
