//! The tap: reads what brokers write to their disks and answer to their
//! clients, and keeps the white-box account.
//!
//! ```text
//!   disk writes ──▶ Holdings: which entries, since when, durable up to where
//!        │     └──▶ Replicas: the same of each of several, as facts for checks
//!   peer messages ──┘
//!   answers     ──▶ is what this answer depends on held? (acknowledgement oracle)
//! ```
//!
//! It sees bytes, and the notices that brokers give their operators (they lead, they
//! halt, they cut their logs); never a variable of the product.

mod answers;
mod codecs;
mod damage;
mod disks;
mod ends;
mod full;
mod heard;
mod holdings;
mod image;
mod owed;
mod probes;
mod replicas;
#[cfg(test)]
mod replicas_tests;
mod roles;
mod stops;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::{BTreeMap, BTreeSet};

use super::disk_io::DiskIo;
use super::net::{NodeId, stream_of};
use super::world::Core;
use crate::broker::founding_speaker;
use crate::check::read_committed::CommitFact;
pub(crate) use crate::check::replicas::Medium;
use crate::check::replicas::{Media, Moment};
use crate::check::{Finding, Promise};
use crate::env::{ConnId, NetEvent};
use crate::raft::{Message, PeerMessage};
use bytes::Bytes;
use damage::Damage;
use ends::Transactions;
use heard::Heard;
pub(crate) use holdings::WrittenEntry;
use holdings::{Holdings, most_written};
use image::{Image, View};
pub(crate) use image::{segment_address, segment_named};
use owed::{Owed, Owing};
pub(crate) use probes::Happened;
use replicas::Replicas;
pub(crate) use replicas::Taken;
pub(crate) use roles::Leadership;
use stops::Stops;
pub(crate) use trail::{DiscardLimits, Order, Ruling, Said, ToldStep};

/// The tap of a run.
#[derive(Debug)]
pub(crate) struct Tap {
    medium: Medium,
    /// Bytes of a broker's reserve (D31).
    reserve_bytes: u64,
    /// Nodes below this number are brokers.
    brokers: u32,
    holdings: Vec<Holdings>,
    /// Where brokers replicate.
    replicas: Option<Box<Replicas>>,
    /// Offset commits asked for and not answered: the digest of their entry, and
    /// when they were asked for, nanoseconds. The same offset may be committed
    /// more than once.
    commits: BTreeMap<(u64, i32), (u64, u64)>,
    /// Where the scenario has transactions.
    transactions: Option<Box<Transactions>>,
    leaderships: Vec<Leadership>,
    /// One past the last log address that each broker acknowledged, or that was
    /// left of it.
    acknowledged: BTreeMap<NodeId, u64>,
    /// The nodes that reported that the cluster halted.
    halted: BTreeSet<NodeId>,
    /// The nodes whose blank disks wait to be formatted as first ones.
    to_format: BTreeSet<NodeId>,
    refusals: BTreeMap<NodeId, u64>,
    owed: Owed,
    heard: Heard,
    stops: Stops,
    /// The nodes whose disks became older ones than they were.
    rolled_back: BTreeSet<NodeId>,
    /// The longest piece of a base that the brokers' settings allow, bytes.
    piece_bytes_max: usize,
    on_lies: BTreeMap<NodeId, u64>,
    happened: Happened,
    /// When a broker first said that its store is opened again, nanoseconds.
    pub(crate) reopened_ns: Option<u64>,
    findings: Vec<Finding>,
    pub(crate) served_early: Vec<CommitFact>,
    pub(crate) sightings: Sightings,
}

/// Bytes before a piece's own: total, digest, offset, checksum.
const PIECE_HEAD_BYTES: usize = 32;

/// How often the tap saw what faults may wait for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sightings {
    /// Writes of entries to a commit log.
    pub(crate) appends: u64,
    /// Messages acknowledged.
    pub(crate) acknowledgements: u64,
    /// Votes given.
    pub(crate) votes: u64,
}

impl Tap {
    /// A tap on so many brokers, the first nodes of the run.
    pub(crate) fn new(brokers: u32, medium: Medium) -> Self {
        Self {
            medium,
            reserve_bytes: 0,
            brokers,
            holdings: (0..brokers).map(|_| Holdings::default()).collect(),
            replicas: None,
            commits: BTreeMap::new(),
            transactions: None,
            leaderships: Vec::new(),
            acknowledged: BTreeMap::new(),
            halted: BTreeSet::new(),
            to_format: BTreeSet::new(),
            refusals: BTreeMap::new(),
            owed: Owed::default(),
            heard: Heard::default(),
            stops: Stops::default(),
            rolled_back: BTreeSet::new(),
            piece_bytes_max: usize::MAX,
            on_lies: BTreeMap::new(),
            happened: Happened::new(),
            reopened_ns: None,
            findings: Vec::new(),
            served_early: Vec::new(),
            sightings: Sightings::default(),
        }
    }

    /// A tap on so many replicas, the first `members` of which have seats.
    pub(crate) fn of_replicas(members: u32, brokers: u32, media: Media) -> Self {
        Self {
            holdings: (0..brokers).map(|_| Holdings::of_a_replica()).collect(),
            replicas: Some(Box::new(Replicas::new(members, brokers, media))),
            ..Self::new(brokers, media.log)
        }
    }

    /// The same, of brokers with such a reserve.
    pub(crate) fn with_reserve(mut self, reserve_bytes: u64) -> Self {
        self.reserve_bytes = reserve_bytes;
        self
    }

    /// The same, of brokers that send so much of a base at once.
    pub(crate) fn with_pieces(mut self, piece_bytes_max: usize) -> Self {
        self.piece_bytes_max = piece_bytes_max;
        self
    }

    /// The same, of replicas that follow a leader for so long at least, nanoseconds,
    /// after they have heard it.
    pub(crate) fn with_followers(mut self, follows_for_ns: u64) -> Self {
        self.heard = Heard::by_followers(follows_for_ns);
        self
    }

    /// The same, with an eye on transactions.
    pub(crate) fn that_follows_transactions(
        mut self,
        limits: DiscardLimits,
        from_memory: bool,
    ) -> Self {
        let transactions = Transactions::new(self.brokers, limits, from_memory);
        self.transactions = Some(Box::new(transactions));
        self
    }

    /// A tap that sees nothing: there are no brokers.
    pub(crate) fn none() -> Self {
        Self::new(0, Medium::Durable)
    }

    /// A promise is broken now.
    pub(crate) fn finds(&mut self, core: &Core, promise: Promise, lines: Vec<String>) {
        self.findings.push(Finding {
            promise,
            lines,
            at_ns: core.now_ns,
            event: core.trace_events(),
            moments_ns: Vec::new(),
        });
    }

    /// A process takes an event of the network.
    pub(crate) fn takes(&mut self, now_ns: u64, node: NodeId, event: &NetEvent) {
        if node < self.brokers {
            self.owed.takes(now_ns, node, event);
            if let NetEvent::Peer { from, bytes } = event {
                self.heard.takes(now_ns, node, *from, bytes);
            }
        }
    }

    /// A process closes a stream.
    pub(crate) fn closes(&mut self, node: NodeId, conn: ConnId) {
        self.owed.ended(node, conn);
    }

    /// A process is no more, or does not listen any more.
    pub(crate) fn listens_no_more(&mut self, node: NodeId) {
        self.owed.died(node);
    }

    /// Of these nodes' processes: a request that one took long ago, and neither answered
    /// nor refused.
    pub(crate) fn overdue(
        &self,
        now_ns: u64,
        nodes: impl Fn(NodeId) -> bool,
    ) -> Option<(NodeId, Owing)> {
        self.owed.overdue(now_ns, nodes)
    }

    /// The breaches, as far as the tap saw.
    pub(crate) fn take_findings(&mut self) -> Vec<Finding> {
        let mut findings = std::mem::take(&mut self.findings);
        if let Some(replicas) = &mut self.replicas {
            findings.extend(replicas.cluster.take_findings());
        }
        findings
    }

    /// The breaches of promises that had lapsed, because of faults under which nothing is
    /// promised.
    pub(crate) fn take_waived(&mut self) -> Vec<Finding> {
        let replicas = self.replicas.as_mut();
        replicas.map_or_else(Vec::new, |replicas| replicas.cluster.take_waived())
    }

    /// How many brokers there are.
    pub(crate) fn brokers(&self) -> u32 {
        self.brokers
    }

    /// A broker sent a message to another one.
    pub(crate) fn peer_message(&mut self, core: &Core, disk: &DiskIo, node: NodeId, bytes: &Bytes) {
        let Some(replicas) = &mut self.replicas else {
            return;
        };
        if let Some(speaker) = founding_speaker(bytes) {
            return replicas.spoke(moment(core), node, speaker.disk);
        }
        let Ok(packet) = PeerMessage::decode(bytes.clone()) else {
            return;
        };
        let piece_bytes = piece_bytes(&packet);
        replicas.spoke(moment(core), node, packet.from.disk);
        let votes = replicas.sent(moment(core), node, &packet);
        self.sightings.votes += u64::from(votes);
        let most = self.piece_bytes_max;
        if piece_bytes > most {
            let line =
                format!("b{node} sent {piece_bytes} bytes of a base at once; {most} are the most");
            self.finds(core, Promise::Bounds, vec![line]);
        }
        self.probe_message(&disk.model, &packet.message);
        self.note_leader(core.now_ns);
    }

    /// One past the last log address that a broker holds durably, by the account
    /// alone: what a sector that went bad took from a single broker's disk is
    /// still in it.
    pub(crate) fn durable_end(&mut self, disk: &DiskIo, node: NodeId) -> u64 {
        match &self.replicas {
            Some(replicas) => replicas.durable_end(node),
            None => self.holdings[node as usize].durable_end(&disk.model),
        }
    }

    /// One past the last log address that a disk would still hold durably,
    /// whatever the account says.
    pub(crate) fn held_now(&self, disk: &DiskIo) -> u64 {
        match &self.replicas {
            Some(_) => Image::of(&disk.model, View::Durable, Damage::None),
            None => Image::alone(&disk.model),
        }
        .certain_end()
    }

    /// Whether a small file verifies, by the names that are seen and by those that
    /// the power leaves.
    pub(crate) fn stands(&self, disk: &DiskIo, path: &str) -> bool {
        [View::Cached, View::Durable]
            .into_iter()
            .all(|view| codecs::atomic_file(&disk.model, path, view).is_some())
    }

    /// Whether a replica has, or will find, an end of its log of which it cannot say
    /// whether it is one (D12), or a segment without its header.
    pub(crate) fn is_ambiguous(&self, disk: &DiskIo) -> bool {
        let image = Image::of(&disk.model, View::Cached, Damage::None);
        codecs::has_uncertain_tail(&disk.model)
            || image.has_ragged_end
            || image.corrupt_header_address.is_some()
    }

    /// One past the last log address that a broker may believe it holds durably,
    /// because its disk said so: what a disk lied about counts as held.
    pub(crate) fn believed_end(&mut self, disk: &DiskIo, node: NodeId) -> u64 {
        let durable_end = self.durable_end(disk, node);
        if let Some(replicas) = &self.replicas {
            return replicas.believed_end(node);
        }
        durable_end.max(self.holdings[node as usize].believed_end(&disk.model))
    }

    /// One past the last log address up to which a broker can have caught up:
    /// what it holds durably. Where its disk has lied, that is no more than it
    /// believes: nobody writes again what was said to be durable.
    pub(crate) fn level_end(&mut self, disk: &DiskIo, node: NodeId) -> u64 {
        match disk.model.lies() {
            0 => self.durable_end(disk, node),
            _ => self.believed_end(disk, node),
        }
    }

    /// Whether a fault that left so much took an acknowledged message of a
    /// broker's disk; what is gone is asked about once.
    pub(crate) fn take_acknowledged(&mut self, node: NodeId, held_after: u64) -> bool {
        let acknowledged = self.acknowledged.entry(node).or_default();
        let taken = *acknowledged > held_after;
        *acknowledged = held_after.min(*acknowledged);
        taken
    }

    /// How often a broker refused a request because something of its own had run out.
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
        match self.replicas {
            None => before.max_by_key(|entry| entry.written_ns).copied(),
            Some(_) => most_written(before),
        }
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
        let stream = stream_of(conn);
        if self.brokers == 0 {
            return;
        }
        if node < self.brokers {
            self.broker_answers(core, &disks[node as usize], node, stream, bytes);
        } else {
            self.client_asks(core.now_ns, stream, bytes);
        }
    }
}

/// Bytes of a base that travel with a message.
fn piece_bytes(packet: &PeerMessage) -> usize {
    match packet.message {
        Message::Install { .. } | Message::Expired { .. } | Message::BasePiece { .. } => {
            packet.frames.len().saturating_sub(PIECE_HEAD_BYTES)
        }
        _ => 0,
    }
}

/// Where in the run something happens.
fn moment(core: &Core) -> Moment {
    Moment {
        at_ns: core.now_ns,
        event: core.trace_events(),
    }
}
