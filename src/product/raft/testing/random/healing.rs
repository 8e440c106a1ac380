//! The end of a run: all trouble is over, and the cluster must work again.

use super::Run;
use crate::raft::testing::cluster::Node;
use crate::raft::{Change, Input, Raft};

impl Run {
    /// No more trouble: everyone is on, nothing is lost, and nothing takes
    /// long.
    pub(super) fn heal(&mut self) {
        self.cut = None;
        let nodes: Vec<u64> = self.cluster.nodes.keys().copied().collect();
        for node in &nodes {
            if self.cluster.raft(*node).is_none() {
                self.cluster.start(*node);
            }
        }
        let mut probed = None;
        for _ in 0..4000 {
            for node in &nodes {
                self.cluster.save(*node);
                self.cluster.end_sync(*node);
                self.cluster.begin_sync(*node);
                self.cluster.end_sync(*node);
            }
            if self.cluster.bag.is_empty() {
                if self.is_well() {
                    return;
                }
                self.readmit();
                for node in &nodes {
                    nodes
                        .iter()
                        .for_each(|peer| self.cluster.fetch(*node, *peer));
                }
                let serving = nodes
                    .iter()
                    .find(|node| self.cluster.raft(**node).is_some_and(Raft::is_serving));
                if let Some(node) = serving
                    && self.cluster.raft(*node).map(Raft::term) != probed
                {
                    probed = self.cluster.raft(*node).map(Raft::term);
                    self.cluster.propose(*node);
                }
                if self.cluster.bag.is_empty() {
                    let nodes = self.cluster.nodes.values();
                    let next = nodes
                        .filter_map(|node| Some((node.raft.as_ref()?.deadline_ns(), node.me.node)))
                        .min();
                    self.cluster.timeout(next.expect("all are on").1);
                }
            } else {
                let flight = self.cluster.bag.remove(0);
                self.cluster.arrive(flight);
            }
        }
        panic!("liveness: {}", self.describe());
    }

    /// A node that lost its seat gets it back.
    fn readmit(&mut self) {
        let serving = self
            .cluster
            .nodes
            .values()
            .find(|node| node.raft.as_ref().is_some_and(Raft::is_serving));
        let Some(leader) = serving else { return };
        let configuration = leader
            .raft
            .as_ref()
            .expect("it serves")
            .configuration()
            .clone();
        let at = leader.me.node;
        for (node, disk) in self
            .cluster
            .nodes
            .values()
            .map(|node| (node.me.node, node.me.disk))
            .collect::<Vec<_>>()
        {
            let change = if configuration.seats.contains_key(&node) {
                continue;
            } else if configuration.learners.get(&node) == Some(&disk) {
                Change::Promote { node }
            } else {
                Change::AddLearner { node, disk }
            };
            self.cluster.step(at, Input::Change(change), &[]);
        }
    }

    /// All vote, nothing is uncertain, all know and hold what is committed.
    fn is_well(&self) -> bool {
        let committed = self
            .cluster
            .check
            .committed
            .last_key_value()
            .map_or(0, |(index, _)| *index);
        let serving = self
            .cluster
            .nodes
            .values()
            .any(|node| node.raft.as_ref().is_some_and(Raft::is_serving));
        serving
            && self.cluster.nodes.values().all(|node| {
                node.raft.as_ref().is_some_and(|raft| {
                    raft.commit_index() == committed
                        && raft.last().index == committed
                        && raft.configuration().is_voter(node.me)
                        && raft.hard_state().uncertain_tail.is_none()
                })
            })
    }

    fn describe(&self) -> String {
        let line = |node: &Node| match &node.raft {
            None => format!("{} off", node.me.node),
            Some(raft) => format!(
                "{}:{} {:?} term {} last {} commit {} durable {} rotten {:?} uncertain tail {:?} {:?}",
                node.me.node,
                node.me.disk,
                raft.role(),
                raft.term(),
                raft.last(),
                raft.commit_index(),
                node.disk.durable_index,
                node.disk.rotten,
                raft.hard_state().uncertain_tail,
                raft.configuration(),
            ),
        };
        self.cluster
            .nodes
            .values()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }
}
