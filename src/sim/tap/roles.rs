//! Who leads, and how far the cluster is, as far as a run's faults need to know.
//!
//! What stands here is read off answers to clients and off the log's bytes. It
//! may know less than the truth, never more: a leader that has not yet
//! acknowledged anything is not known, a replica counts as caught up only once
//! it holds durably whatever was acknowledged to anybody.

use super::Tap;
use crate::sim::disk_io::DiskIo;
use crate::sim::net::NodeId;

impl Tap {
    /// Who leads: the broker that acknowledged last. A single broker always does.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        match self.brokers {
            1 => Some(0),
            _ => self.last_to_acknowledge,
        }
    }

    /// A broker acknowledged a message whose entry ends there.
    pub(super) fn leads(&mut self, node: NodeId, end_address: Option<u64>) {
        self.last_to_acknowledge = Some(node);
        self.acknowledged_end = self.acknowledged_end.max(end_address.unwrap_or(0));
    }

    /// Whether a broker that forgot before `since_ns` is a full member again
    /// (guarantee.md, section 1, "outstanding"): its promotion is committed, and
    /// it holds durably all there was up to it.
    pub(crate) fn is_whole_since(&mut self, disk: &DiskIo, node: NodeId, since_ns: u64) -> bool {
        self.is_promoted(node, since_ns) && self.durable_end(disk, node) >= self.acknowledged_end
    }

    /// Whether a committed configuration made after `since_ns` has the broker as a
    /// voter. Until configurations are read off the log: as soon as its own log
    /// has anything in it.
    fn is_promoted(&self, node: NodeId, _since_ns: u64) -> bool {
        self.holdings[node as usize].cached_end() > 0
    }

    /// A broker wrote a line to its operator.
    pub(crate) fn reported(&mut self, node: NodeId, line: &str) {
        if line.starts_with(HALTED) {
            self.halted.insert(node);
        }
    }

    /// Whether any broker said that the cluster has lost its majority for good.
    pub(crate) fn says_halted(&self) -> bool {
        !self.halted.is_empty()
    }
}

/// How the line begins with which a leaderless cluster gives up (D16).
const HALTED: &str = "halted";
