//! A broker as a replica: the consensus core's inputs and outputs, made real.
//!
//! ```text
//!   peer messages ─▶ packets ─▶ Raft::step ─▶ outputs ─▶ drive
//!   finished syncs ─▶             ▲                       │
//!   staged entries ─▶             └── durable, saved ─────┤
//!                                                         ├─▶ log: store, truncate
//!                                                         ├─▶ saving: term and vote
//!                                                         ├─▶ packets, with frames
//!                                                         └─▶ committed: the read limit
//! ```
//!
//! The core says what may leave and when; here is only how. Nothing here decides
//! anything about consensus.

mod admin;
mod behind;
mod cursors;
mod drive;
mod epochs;
mod fetch;
mod install;
mod leading;
mod open;
mod peer_messages;
mod pieces;
mod quarantined;
mod reads;
mod recent;
mod recover;
mod saving;
mod scrub;
mod view;
mod waits;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use super::config::Peer;
use super::error::StoreError;
use crate::env::ConnId;
use crate::raft::{EntryId, Epoch, HardState, Raft, ReplicaId, Role};
use crate::remoting::ReplyTo;
use behind::Behind;
use bytes::Bytes;
use cursors::Cursors;
use fetch::Fetching;
use pieces::{Incoming, Outgoing};
use recent::RecentFrames;
use waits::Waits;

pub(super) use open::open;
pub use open::{FirstMembers, format_replica};
pub(super) use pieces::BASE_BYTES_MAX;
pub use quarantined::QUARANTINE_FILE;
pub(super) use reads::{READ_BYTES_MAX, Reads, Wanted};
pub use recover::{Survivor, recover_unsafe, survivor};
pub(super) use saving::renew_unfounded;
pub(super) use view::ReplicaView;

/// A hard state on its way to the disk.
pub(super) type Saving = Pin<Box<dyn Future<Output = Result<HardState, StoreError>> + Send>>;

/// See the module.
pub(super) struct Replica {
    pub(super) raft: Raft,
    me: ReplicaId,
    cluster_id: u64,
    /// Of a blank disk that was formatted as a first one: with whom.
    pub(super) members: Vec<u64>,
    /// Of a blank disk, the newest that it has heard of.
    pub(super) epoch: Epoch,
    peers: BTreeMap<u64, Peer>,
    recent: RecentFrames,
    cursors: Cursors,
    behind: Behind,
    pub(super) saving: Option<Saving>,
    hard_state_sync: bool,
    /// Clients are served: this replica leads, and what was committed before is
    /// applied.
    pub(super) serves: bool,
    /// As the configuration in force says; to report a change of it.
    votes: bool,
    pub(super) fetching: Option<Fetching>,
    /// An operator who waits for a change that the core has not taken up yet.
    pub(super) asked: Option<(ConnId, ReplyTo)>,
    scrub_interval_ns: u64,
    scrub_at_ns: u64,
    /// The rest of this round.
    scrub_left_bytes: u64,
    /// Where the next look at the log begins.
    scrubbed_address: u64,
    /// The base in the form in which it is sent.
    base: Outgoing,
    /// The base that is under way to this replica.
    incoming: Option<Incoming>,
    waits: Waits,
}

impl Replica {
    /// Appends wait for the next step.
    pub(super) fn has_more(&self) -> bool {
        self.behind.has_more()
    }

    /// A replica whose log has a hole applies nothing, and says only what others ask
    /// about the ends of their logs (D12). Any peer fills it, so that takes a moment
    /// and no leader.
    pub(super) fn takes_part(&self) -> bool {
        self.fetching.is_none()
    }

    /// Whether clients are served and entries appended: this replica leads, as far as it
    /// knows.
    pub(super) fn leads(&self) -> bool {
        self.serves && self.raft.accepts_proposals()
    }

    /// The disks that the cluster began with, as far as that may be said.
    pub(super) fn first(&self) -> BTreeMap<u64, u64> {
        self.raft.configuration().founders.clone()
    }

    /// Where every node is reached.
    pub(super) fn peers(&self) -> &BTreeMap<u64, Peer> {
        &self.peers
    }

    /// The earliest moment at which something is due.
    pub(super) fn deadline_ns(&self) -> u64 {
        let scrub_at_ns = self.takes_part().then_some(self.scrub_at_ns);
        let others = self.ask_at_ns().into_iter().chain(scrub_at_ns);
        let always_ns = self.raft.deadline_ns().min(self.waits.due_ns);
        others.fold(always_ns, u64::min)
    }

    /// A hard state under way is on the disk before another is written there.
    async fn saved(&mut self) -> Result<(), StoreError> {
        match self.saving.take() {
            Some(saving) => saving.await.map(drop),
            None => Ok(()),
        }
    }

    /// The log begins elsewhere now.
    pub(super) fn set_base(&mut self, encoded: Bytes) {
        self.base = Outgoing::new(encoded);
    }

    /// When peers are to be asked again, for damaged entries or for a piece of a
    /// base.
    fn ask_at_ns(&self) -> Option<u64> {
        let entries = self.fetching.as_ref().map(Fetching::ask_at_ns);
        let piece = self.incoming.as_ref().and_then(Incoming::ask_at_ns);
        entries.into_iter().chain(piece).min()
    }

    /// Whether the core would do anything with that base, offered in that term, but
    /// answer: it begins anew behind it, or cannot compare it yet.
    fn wants_base(&self, base: EntryId, term: u64) -> bool {
        let raft = &self.raft;
        let leads = raft.role() == Role::Leader && term <= raft.term();
        self.takes_part() && term >= raft.term() && !leads && raft.lacks(base)
    }

    /// Whether there is a hole before a base's end.
    fn lost_before(&self, base: EntryId) -> bool {
        let hole = self.fetching.as_ref().map(Fetching::first_missing);
        hole.is_some_and(|first| base.index >= first)
    }

    /// Where clients find the leader, as far as this replica knows.
    pub(super) fn leader(&self) -> Option<Peer> {
        let leader = self.raft.leader()?;
        self.peers.get(&leader.node).copied()
    }
}
