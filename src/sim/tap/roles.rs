//! The leader, the replicas that have forgotten, and the progress of the cluster, as
//! far as a run's faults need to know them: read off the account of replicas.

use std::collections::BTreeSet;

use super::{Tap, moment};
use crate::check::Promise;
use crate::check::replicas::Cluster;
use crate::env::Notice;
use crate::history::Happening;
use crate::sim::disk_io::DiskIo;
use crate::sim::net::NodeId;
use crate::sim::world::Core;

/// Somebody leads a term, since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) since_ns: u64,
    pub(crate) term: u64,
    pub(crate) node: NodeId,
}

impl Tap {
    /// Notes who leads now.
    pub(super) fn note_leader(&mut self, now_ns: u64) {
        let newest = self.replicas.as_ref().and_then(|it| it.cluster.leader());
        let known = self.leaderships.last().map(|it| (it.term, it.node));
        if let Some((term, node)) = newest.filter(|newest| Some(*newest) != known) {
            self.leaderships.push(Leadership {
                since_ns: now_ns,
                term,
                node,
            });
        }
    }

    /// The leaders, each with its beginning, in the order of terms.
    pub(crate) fn leaderships(&self) -> &[Leadership] {
        &self.leaderships
    }

    /// The leader of the highest term at that time.
    pub(crate) fn led_at(&self, at_ns: u64) -> Option<Leadership> {
        let until = self.leaderships.partition_point(|it| it.since_ns <= at_ns);
        self.leaderships[..until].last().copied()
    }

    /// The leader: the sender of the newest term's appends, running or not. A single
    /// broker always does.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        match &self.replicas {
            Some(replicas) => replicas.cluster.leader().map(|(_, leader)| leader),
            None => Some(0),
        }
    }

    /// One past the last log address that is committed; of a single broker,
    /// nothing is said.
    pub(crate) fn committed_end(&self) -> u64 {
        let replicas = self.replicas.as_ref();
        replicas.map_or(0, |replicas| replicas.cluster.committed().end_address)
    }

    /// Whether a fault that left `held_after` of the entries that a replica durably held
    /// took one that the cluster had acknowledged, by any replica.
    pub(crate) fn was_relied_on(&self, held_before: u64, held_after: u64) -> bool {
        !self.acknowledged.is_empty() && held_before.min(self.committed_end()) > held_after
    }

    /// Whether a disk holds what was acknowledged, or what all rest on.
    pub(crate) fn would_be_missed(&self, node: NodeId, held: u64) -> bool {
        let acknowledged = self.acknowledged.get(&node).copied();
        acknowledged.unwrap_or(0) > 0 || self.was_relied_on(held, 0)
    }

    /// The members whose amnesia is outstanding (guarantee.md, section 1).
    pub(crate) fn outstanding(&self) -> BTreeSet<NodeId> {
        let replicas = self.replicas.as_ref();
        replicas.map_or_else(BTreeSet::new, |replicas| replicas.cluster.outstanding())
    }

    /// Whether a majority of the disks is gone.
    pub(crate) fn has_lost_majority(&self) -> bool {
        let replicas = self.replicas.as_ref();
        replicas.is_some_and(|replicas| replicas.cluster.has_lost_majority())
    }

    /// The account of replicas; of a single broker there is none.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.replicas.as_ref().map(|replicas| &replicas.cluster)
    }

    /// How many brokers durably hold all that is committed.
    pub(crate) fn hold_committed(&self) -> u32 {
        let replicas = self.replicas.as_ref();
        replicas.map_or(0, |replicas| replicas.cluster.hold_committed() as u32)
    }

    /// Whether a broker that forgot is a full member again (guarantee.md, section
    /// 1, "outstanding").
    pub(crate) fn is_whole_since(&self, _disk: &DiskIo, node: NodeId, _since_ns: u64) -> bool {
        !self.outstanding().contains(&node)
    }

    /// A broker told its operator something.
    pub(crate) fn reported(&mut self, core: &Core, node: NodeId, notice: &Notice) {
        self.probe_notice(notice);
        match notice {
            Notice::LogOpened { stop, .. } => {
                if let Some(line) = self.stops.opened(node, stop) {
                    self.finds(core, Promise::ToldTruly, vec![line]);
                }
            }
            Notice::StopUnrecorded { .. } => self.stops.left(node),
            Notice::StoreReopened { .. } => {
                self.stops.left(node);
                self.reopened_ns.get_or_insert(core.now_ns);
            }
            Notice::LeaderSteppedDown { .. } if core.stopped_in_a_step(node) => {
                self.happens(Happening::LeadershipLostInAStep);
            }
            Notice::FoundingWaits { replacements, .. } => {
                let nodes = replacements.iter().map(|node| *node as NodeId);
                self.to_format.extend(nodes);
            }
            Notice::Halted {
                blank_nodes,
                configuration_index,
            } => {
                self.halted.insert(node);
                if let Some(replicas) = &mut self.replicas {
                    let heard = self.heard.leader(core.now_ns, node);
                    let named = (blank_nodes.as_slice(), *configuration_index);
                    replicas.halted(moment(core), node, named, heard);
                }
            }
            _ => {}
        }
    }

    /// The nodes whose blank disks wait for another formatting, as brokers told their
    /// operator since the last call.
    pub(crate) fn take_to_format(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.to_format)
    }

    /// Whether any broker said that the cluster has lost its majority for good.
    pub(crate) fn says_halted(&self) -> bool {
        !self.halted.is_empty()
    }
}
