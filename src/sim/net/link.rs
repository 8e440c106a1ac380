//! Links: what lies between two nodes, each direction for itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::latency::Latency;

/// A node's number in the run.
pub type NodeId = u32;

/// One direction between two nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkConfig {
    /// Time from send to arrival.
    pub latency: Latency,
    /// Share of packets lost: a peer message is gone, a stream is late by a
    /// retransmission, which may be lost too.
    pub loss: f64,
    /// After how long a stream's sender sends again, nanoseconds; twice that
    /// after each further loss.
    pub retransmit_ns: u64,
    /// A connect that nobody answers ends after this.
    pub connect_ns: u64,
    /// Share of peer messages delivered twice.
    pub duplicate: f64,
    /// Share of peer messages held back long enough to be overtaken.
    pub reorder: f64,
    /// How long at most, nanoseconds; `None`: ten times the longest latency.
    pub held_back_ns_max: Option<u64>,
    /// Share of peer messages beside which something garbled comes.
    pub garbage: f64,
    /// Share of stream writes that arrive in two pieces.
    pub split: f64,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            latency: Latency {
                min_ns: 200_000,
                max_ns: 600_000,
                tail_share: 0.01,
                tail_max_ns: 5_000_000,
            },
            loss: 0.0,
            retransmit_ns: 200_000_000,
            connect_ns: 3_000_000_000,
            duplicate: 0.0,
            reorder: 0.0,
            held_back_ns_max: None,
            garbage: 0.0,
            split: 0.02,
        }
    }
}

/// All links of a run.
#[derive(Debug, Default)]
pub(crate) struct Links {
    default: LinkConfig,
    special: BTreeMap<(NodeId, NodeId), LinkConfig>,
    cut: BTreeSet<(NodeId, NodeId)>,
    /// The count of messages that cuts swallowed or held, so far.
    cut_hits: BTreeMap<(NodeId, NodeId), u64>,
    /// Directions that take so many times as long.
    limping: BTreeMap<(NodeId, NodeId), u32>,
    /// The count of messages that were late by that, so far.
    limped: BTreeMap<(NodeId, NodeId), u64>,
}

impl Links {
    /// Every link as `default`.
    pub(crate) fn new(default: LinkConfig) -> Self {
        Self {
            default,
            ..Self::default()
        }
    }

    /// The link in one direction.
    pub(crate) fn config(&self, from: NodeId, to: NodeId) -> &LinkConfig {
        self.special.get(&(from, to)).unwrap_or(&self.default)
    }

    /// Gives one direction a character of its own.
    pub(crate) fn set(&mut self, from: NodeId, to: NodeId, config: LinkConfig) {
        self.special.insert((from, to), config);
    }

    /// Nothing arrives in this direction any more, not even what is in flight.
    pub(crate) fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
    }

    /// Undoes a cut.
    pub(crate) fn heal(&mut self, from: NodeId, to: NodeId) {
        self.cut.remove(&(from, to));
    }

    /// These directions take so many times as long, and no others.
    pub(crate) fn limp(&mut self, limping: BTreeMap<(NodeId, NodeId), u32>) {
        self.limping = limping;
    }

    /// How many times as long something takes in this direction; counted.
    pub(crate) fn take_factor(&mut self, from: NodeId, to: NodeId) -> u64 {
        let Some(factor) = self.limping.get(&(from, to)) else {
            return 1;
        };
        *self.limped.entry((from, to)).or_default() += 1;
        u64::from(*factor)
    }

    /// The directions that limp, with the messages that were late by that, so far.
    pub(crate) fn limped_on<'l>(
        &self,
        links: impl IntoIterator<Item = &'l (NodeId, NodeId)>,
    ) -> u64 {
        let limped = links.into_iter().filter_map(|link| self.limped.get(link));
        limped.sum()
    }

    /// Counts an arrival that a cut swallowed or held.
    pub(crate) fn count_hit(&mut self, from: NodeId, to: NodeId) {
        *self.cut_hits.entry((from, to)).or_default() += 1;
    }

    /// Arrivals that cuts swallowed or held in some directions, so far.
    pub(crate) fn hits_on<'l>(&self, links: impl IntoIterator<Item = &'l (NodeId, NodeId)>) -> u64 {
        let hits = links.into_iter().filter_map(|link| self.cut_hits.get(link));
        hits.sum()
    }

    /// Whether nothing arrives in this direction.
    pub(crate) fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        !self.cut.is_empty() && self.cut.contains(&(from, to))
    }
}
