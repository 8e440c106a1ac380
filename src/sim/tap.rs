//! The tap: reads what brokers write to their disks and answer to their
//! clients, and keeps the white-box account.
//!
//! ```text
//!   disk writes ──▶ Holdings: which entries, since when, durable up to where
//!   answers     ──▶ is what this answer depends on held? (acknowledgement oracle)
//! ```
//!
//! It sees bytes only, never a variable of the product.

mod answers;
mod holdings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::disk::{Ino, Seq};
use super::disk_io::{DiskIo, Synced};
use super::net::NodeId;
use super::world::Core;
use crate::check::Finding;
use crate::check::read_committed::CommitFact;
use crate::env::ConnId;
use crate::log::LogConfig;
pub(crate) use holdings::WrittenEntry;
use holdings::{Holdings, held_address};

/// Which medium an acknowledgement rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// `SYNC_FLUSH`.
    Durable,
    /// `ASYNC_FLUSH`.
    Cached,
}

impl Medium {
    /// What bytes are once they are there.
    fn name(self) -> &'static str {
        match self {
            Self::Durable => "synced",
            Self::Cached => "cached",
        }
    }
}

/// The tap of a run.
#[derive(Debug)]
pub(crate) struct Tap {
    medium: Medium,
    log_config: LogConfig,
    /// Nodes below this number are brokers.
    brokers: u32,
    holdings: Vec<Holdings>,
    /// Offset commits asked for and not answered: the digest of their entry.
    commits: BTreeMap<(u64, i32), u64>,
    /// One past the last log address that each broker acknowledged, or that was
    /// left of it.
    acknowledged: BTreeMap<NodeId, u64>,
    refusals: BTreeMap<NodeId, u64>,
    on_lies: BTreeMap<NodeId, u64>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) served_early: Vec<CommitFact>,
}

impl Tap {
    /// A tap on so many brokers, the first nodes of the run.
    pub(crate) fn new(brokers: u32, medium: Medium, log_config: LogConfig) -> Self {
        Self {
            medium,
            log_config,
            brokers,
            holdings: (0..brokers).map(|_| Holdings::default()).collect(),
            commits: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            refusals: BTreeMap::new(),
            on_lies: BTreeMap::new(),
            findings: Vec::new(),
            served_early: Vec::new(),
        }
    }

    /// A tap that sees nothing: there are no brokers.
    pub(crate) fn none() -> Self {
        Self::new(
            0,
            Medium::Durable,
            LogConfig {
                segment_bytes: 0,
                reserve_bytes: 0,
            },
        )
    }

    /// How many brokers there are.
    pub(crate) fn brokers(&self) -> u32 {
        self.brokers
    }

    /// A broker wrote to a file of its disk.
    pub(crate) fn written(
        &mut self,
        core: &Core,
        node: NodeId,
        file: (Ino, Seq),
        path: &str,
        position: u64,
        bytes: &Bytes,
    ) {
        if let Some(holdings) = self.holdings.get_mut(node as usize) {
            holdings.written(core.now_ns, file, path, position, bytes);
        }
    }

    /// A broker renamed a file.
    pub(crate) fn renamed(&mut self, node: NodeId, ino: Ino, seq: Seq, to: &str) {
        if let Some(holdings) = self.holdings.get_mut(node as usize) {
            holdings.renamed(ino, seq, to);
        }
    }

    /// A sync of a broker's disk completed.
    pub(crate) fn synced(&mut self, disk: &DiskIo, node: NodeId, synced: Synced) {
        if let Some(holdings) = self.holdings.get_mut(node as usize) {
            holdings.synced(synced);
            holdings.settle(&disk.model);
        }
    }

    /// A broker's disk lost what it had not made durable, or was replaced.
    pub(crate) fn lost_cache(&mut self, disk: &DiskIo, node: NodeId) {
        if let Some(holdings) = self.holdings.get_mut(node as usize) {
            holdings.lost_cache(&disk.model, self.log_config);
        }
    }

    /// One past the last log address that a broker holds durably, by the account
    /// alone: what a sector that went bad took from the disk is still in it.
    pub(crate) fn durable_end(&mut self, disk: &DiskIo, node: NodeId) -> u64 {
        self.holdings[node as usize].durable_end(&disk.model)
    }

    /// One past the last log address that a disk would still hold durably,
    /// whatever the account says.
    pub(crate) fn held_now(&self, disk: &DiskIo) -> u64 {
        held_address(&disk.model, self.log_config)
    }

    /// One past the last log address that a broker may believe it holds durably,
    /// because its disk said so: what a disk lied about counts as held.
    pub(crate) fn believed_end(&mut self, disk: &DiskIo, node: NodeId) -> u64 {
        let durable_end = self.durable_end(disk, node);
        durable_end.max(self.holdings[node as usize].believed_end(&disk.model))
    }

    /// Whether a fault that left so much took an acknowledged message of a
    /// broker's disk; what is gone is asked about once.
    pub(crate) fn take_acknowledged(&mut self, node: NodeId, held_after: u64) -> bool {
        let acknowledged = self.acknowledged.entry(node).or_default();
        let taken = *acknowledged > held_after;
        *acknowledged = held_after.min(*acknowledged);
        taken
    }

    /// How often a broker refused a request for want of something of its own.
    pub(crate) fn refusals(&self, node: NodeId) -> u64 {
        self.refusals.get(&node).copied().unwrap_or(0)
    }

    /// How many answers of a broker rested on what its disk lied about.
    pub(crate) fn acknowledged_on_lies(&self, node: NodeId) -> u64 {
        self.on_lies.get(&node).copied().unwrap_or(0)
    }

    /// The newest entry written before `at_ns` that is `wanted`, of any broker.
    pub(crate) fn written_before(
        &self,
        at_ns: u64,
        wanted: impl Fn(&WrittenEntry) -> bool,
    ) -> Option<WrittenEntry> {
        let all = self.holdings.iter().flat_map(Holdings::everything_written);
        let before = all.filter(|entry| entry.written_ns <= at_ns && wanted(entry));
        before.max_by_key(|entry| entry.written_ns).copied()
    }

    /// One past the last log address that may be relied on.
    fn relied_end(&mut self, disk: &DiskIo, node: NodeId) -> u64 {
        match self.medium {
            Medium::Durable => self.believed_end(disk, node),
            Medium::Cached => self.holdings[node as usize].cached_end(),
        }
    }

    /// Somebody wrote to a stream.
    pub(crate) fn stream_write(
        &mut self,
        core: &mut Core,
        disks: &[DiskIo],
        node: NodeId,
        conn: ConnId,
        bytes: &Bytes,
    ) {
        let stream = conn.0 >> 1;
        if self.brokers == 0 {
            return;
        }
        if node < self.brokers {
            self.broker_answers(core, &disks[node as usize], node, stream, bytes);
        } else {
            self.client_asks(stream, bytes);
        }
    }
}
