//! Waits that only others can end: the operator is told what is waited for, from
//! whom, and what to do; again and again, at long intervals.

use super::Replica;
use super::fetch::Fetching;
use super::view::ReplicaView;
use crate::env::Env;
use crate::env::{Notice, WaitedFor};
use crate::raft::Role;

/// For so long nothing is said: most waits end by themselves.
const PATIENCE_NS: u64 = 10_000_000_000;
/// Pause between two notices of one wait.
const AGAIN_NS: u64 = 60_000_000_000;

/// Since when there has been no leader to follow, and when that is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    since_ns: u64,
    pub(super) due_ns: u64,
}

impl Waits {
    pub(super) fn since(now_ns: u64) -> Self {
        Self {
            since_ns: now_ns,
            due_ns: now_ns + PATIENCE_NS,
        }
    }
}

impl Replica {
    fn waited_for(&self) -> Option<WaitedFor> {
        let me = self.me.node;
        let peers = || self.peers.keys().copied().filter(|node| *node != me);
        if let Some((from_index, upto_index)) = self.fetching.as_ref().map(Fetching::wanted) {
            return Some(WaitedFor::Entries {
                from_index,
                upto_index,
                nodes: peers().collect(),
            });
        }
        if self.raft.leader().is_some() || self.raft.role() == Role::Leader {
            return None;
        }
        if self.raft.role() == Role::Blank {
            let nodes = peers().collect();
            return Some(WaitedFor::LettingIn { nodes });
        }
        let unheard = self.raft.unheard_about_tail();
        Some(match self.raft.hard_state().uncertain_tail {
            Some(uncertain_tail) if !unheard.is_empty() => WaitedFor::Word {
                from_index: uncertain_tail.from_index,
                nodes: unheard,
            },
            _ => WaitedFor::Leader {
                nodes: self.raft.configuration().seats.keys().copied().collect(),
            },
        })
    }
}

impl<E: Env> ReplicaView<'_, E> {
    /// Tells the operator what is waited for, when it is time.
    pub(super) fn tell_waits(&mut self) {
        let now_ns = self.broker.env.now_ns();
        if self.replica.waits.due_ns > now_ns {
            return;
        }
        let Some(what) = self.replica.waited_for() else {
            self.replica.waits = Waits::since(now_ns);
            return;
        };
        self.replica.waits.due_ns = now_ns + AGAIN_NS;
        let for_s = (now_ns - self.replica.waits.since_ns) / 1_000_000_000;
        self.broker.env.report(Notice::Waits { for_s, what });
    }
}
