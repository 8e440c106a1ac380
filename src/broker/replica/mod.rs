//! A broker as a replica: the consensus core's inputs and outputs, made real.
//!
//! ```text
//!   peer messages ─▶ packets ─▶ Raft::step ─▶ outputs ─▶ drive
//!   finished syncs ─▶             ▲                       │
//!   staged entries ─▶             └── durable, saved ─────┤
//!                                                         ├─▶ log: store, truncate
//!                                                         ├─▶ hard state file
//!                                                         ├─▶ peer messages, with frames
//!                                                         └─▶ committed: the read limit
//! ```
//!
//! The core says what may leave and when; here is only how. Nothing here decides
//! anything about consensus.

mod drive;
mod packets;
mod recent;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use super::config::{Peer, RaftConfig};
use super::error::StoreError;
use crate::raft::{HardState, Raft, ReplicaId, Role};
use recent::RecentFrames;

/// A hard state on its way to the disk.
pub(super) type Saving = Pin<Box<dyn Future<Output = Result<HardState, StoreError>> + Send>>;

/// See the module.
pub(super) struct Replica {
    pub(super) raft: Raft,
    me: ReplicaId,
    cluster_id: u64,
    peers: BTreeMap<u64, Peer>,
    recent: RecentFrames,
    pub(super) saving: Option<Saving>,
    hard_state_sync: bool,
}

impl Replica {
    /// Whether clients may be served: this replica leads, and everything that
    /// was committed before is applied.
    pub(super) fn is_serving(&self) -> bool {
        self.raft.is_serving()
    }

    /// Where clients find the leader, as far as this replica knows.
    pub(super) fn leader(&self) -> Option<Peer> {
        let leader = self.raft.leader()?;
        self.peers.get(&leader.node).copied()
    }
}
