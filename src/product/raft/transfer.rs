//! Leadership handed over (thesis, §3.10), on the operator's wish or to the
//! preferred node.

use super::replica::{Raft, State};
use super::{Message, ReplicaId};

/// Attempts to hand over to the preferred node are so many election timeouts
/// apart, so that one that fails does not keep the cluster busy.
const PREFER_EVERY_TIMEOUTS: u64 = 8;

/// A handover under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transfer {
    to: ReplicaId,
    /// Then this leader goes on.
    due_ns: u64,
    /// It was told to stand.
    told: bool,
}

impl Transfer {
    pub(super) fn to(&self) -> ReplicaId {
        self.to
    }

    pub(super) fn is_told(&self) -> bool {
        self.told
    }
}

impl Raft {
    pub(super) fn begin_transfer(&mut self, node: u64) {
        let Some(to) = self
            .configurations
            .latest()
            .voters()
            .find(|voter| voter.node == node)
        else {
            return;
        };
        let due_ns = self.now_ns + self.settings.election_timeout_ns;
        if to == self.me {
            return;
        }
        if let State::Leader(leader) = &mut self.state {
            leader.transfer = Some(Transfer {
                to,
                due_ns,
                told: false,
            });
        }
        self.drive_transfer();
    }

    /// The target stands once it holds everything: it would win no election
    /// before, and entries staged meanwhile would only grow its lag.
    pub(super) fn drive_transfer(&mut self) {
        let last_index = self.log.last().index;
        let State::Leader(leader) = &mut self.state else {
            return;
        };
        let Some(transfer) = leader.transfer.filter(|transfer| !transfer.told) else {
            return;
        };
        if leader.matched_index(transfer.to) == last_index {
            leader.transfer = Some(Transfer {
                told: true,
                ..transfer
            });
            self.send(transfer.to, Message::TimeoutNow);
        }
    }

    pub(super) fn tick_transfer(&mut self) {
        let now_ns = self.now_ns;
        let every_ns = PREFER_EVERY_TIMEOUTS * self.settings.election_timeout_ns;
        let serving = self.is_serving();
        let preferred = self.settings.preferred;
        let commit_index = self.commit_index;
        let State::Leader(leader) = &mut self.state else {
            return;
        };
        leader
            .transfer
            .take_if(|transfer| now_ns >= transfer.due_ns);
        let Some(node) = preferred.filter(|node| *node != self.me.node) else {
            return;
        };
        if !serving || leader.transfer.is_some() || now_ns < leader.prefer_due_ns {
            return;
        }
        let caught_up = leader
            .followers
            .get(&node)
            .is_some_and(|progress| progress.matched_index >= commit_index);
        if caught_up {
            leader.prefer_due_ns = now_ns + every_ns;
            self.begin_transfer(node);
        }
    }

    /// This replica leads and is not handing leadership over: entries may be
    /// staged and proposed.
    #[must_use]
    pub fn accepts_proposals(&self) -> bool {
        matches!(&self.state, State::Leader(leader) if leader.transfer.is_none())
    }
}
