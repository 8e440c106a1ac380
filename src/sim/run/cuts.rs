//! Partitions on the run's machines: which directed links a shape cuts, and the
//! cuts in force.

use std::collections::BTreeSet;

use super::phases::Run;
use crate::scenario::{CutDirection, CutLinks, PartitionShape};
use crate::sim::net::NodeId;

/// Directed links: from whom, to whom.
pub(super) type Links = BTreeSet<(NodeId, NodeId)>;

/// A partition as planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) shape: PartitionShape,
    pub(super) links: CutLinks,
    pub(super) cut: CutDirection,
}

/// The machines of a run: brokers first, clients after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ground {
    pub(super) brokers: NodeId,
    pub(super) nodes: NodeId,
}

impl Partition {
    /// The links that it cuts for one of its victims; all of a split's victims
    /// are in `group`.
    pub(super) fn links(self, ground: Ground, victim: NodeId, group: &[NodeId]) -> Links {
        let inbound = self.cut != CutDirection::Outbound;
        let outbound = self.cut != CutDirection::Inbound;
        let parted: Links = match self.shape {
            PartitionShape::Bridge => halves_apart(ground, victim),
            PartitionShape::Isolate | PartitionShape::Split => {
                let together = |other: &NodeId| match self.shape {
                    PartitionShape::Split => group.contains(other),
                    _ => *other == victim,
                };
                let others = (0..ground.nodes).filter(|other| !together(other));
                let both = others.flat_map(|other| {
                    let inbound = inbound.then_some((other, victim));
                    inbound
                        .into_iter()
                        .chain(outbound.then_some((victim, other)))
                });
                both.collect()
            }
        };
        let is_broker = |node: NodeId| node < ground.brokers;
        let wanted = |(from, to): &(NodeId, NodeId)| match self.links {
            CutLinks::All => true,
            CutLinks::Brokers => is_broker(*from) && is_broker(*to),
            CutLinks::Clients => is_broker(*from) != is_broker(*to),
        };
        parted.into_iter().filter(wanted).collect()
    }
}

/// The brokers other than `bridge`, by number, in two halves.
fn halves_apart(ground: Ground, bridge: NodeId) -> Links {
    let others: Vec<NodeId> = (0..ground.brokers).filter(|node| *node != bridge).collect();
    let (low, high) = others.split_at(others.len() / 2);
    let pairs = low
        .iter()
        .flat_map(|low| high.iter().map(|high| (*low, *high)));
    pairs
        .flat_map(|(low, high)| [(low, high), (high, low)])
        .collect()
}

/// Keeps the links from and to these machines.
pub(super) fn keep_touching(links: &mut Links, nodes: &BTreeSet<NodeId>) {
    links.retain(|(from, to)| nodes.contains(from) || nodes.contains(to));
}

impl Run<'_> {
    /// The links that a partition cuts for one of its victims.
    pub(super) fn links_of(&self, partition: Partition, victim: NodeId, group: &[NodeId]) -> Links {
        let ground = Ground {
            brokers: self.scenario.cluster.machines(),
            nodes: self.world.lock().core.node_count(),
        };
        partition.links(ground, victim, group)
    }

    /// Cuts these links, and heals everything else.
    pub(super) fn cut_only(&mut self, wanted: Links) {
        let mut healed: Vec<_> = self.cuts.difference(&wanted).copied().collect();
        // By machine, so that what was held comes in an order that is easy to
        // follow in a timeline.
        healed.sort_by_key(|link| (link.0.max(link.1), link.0.min(link.1), link.0 < link.1));
        {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            for (from, to) in wanted.difference(&self.cuts) {
                inner.net.cut(*from, *to);
            }
            for (from, to) in healed {
                inner.net.heal(&mut inner.core, from, to);
            }
        }
        self.cuts = wanted;
    }
}

#[cfg(test)]
mod tests {
    use super::{Ground, Links, Partition};
    use crate::scenario::{CutDirection, CutLinks, PartitionShape};

    /// Five brokers and one client.
    const GROUND: Ground = Ground {
        brokers: 5,
        nodes: 6,
    };

    /// A row for each sender, a column for each receiver; `x` is cut.
    fn matrix(links: &Links) -> String {
        let name = |node| if node < GROUND.brokers { 'b' } else { 'c' };
        let rows = (0..GROUND.nodes).map(|from| {
            let cells = (0..GROUND.nodes).map(|to| match links.contains(&(from, to)) {
                true => " x",
                false => " .",
            });
            format!("{}{from}{}", name(from), cells.collect::<String>())
        });
        rows.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn shapes_cut_what_they_say() {
        use CutDirection::{Both, Inbound, Outbound};
        use CutLinks::{All, Brokers, Clients};
        use PartitionShape::{Bridge, Isolate, Split};
        let cases: [(&str, _, _, _, &[u32]); 8] = [
            ("isolate 1", Isolate, All, Both, &[1]),
            ("isolate 1, clients reach it", Isolate, Brokers, Both, &[1]),
            ("isolate 1 from clients only", Isolate, Clients, Both, &[1]),
            ("isolate 1, it hears nothing", Isolate, All, Inbound, &[1]),
            ("isolate 1, nobody hears it", Isolate, All, Outbound, &[1]),
            ("split 0 3", Split, All, Both, &[0, 3]),
            (
                "split 0 3, clients reach all",
                Split,
                Brokers,
                Both,
                &[0, 3],
            ),
            ("bridge 2", Bridge, All, Both, &[2]),
        ];
        let shown = cases.map(|(name, shape, links, cut, group)| {
            let partition = Partition { shape, links, cut };
            let each = group.iter();
            let all: Links = each
                .flat_map(|victim| partition.links(GROUND, *victim, group))
                .collect();
            format!("{name}\n{}\n", matrix(&all))
        });
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn three_brokers_have_a_bridge_too() {
        let ground = Ground {
            brokers: 3,
            nodes: 4,
        };
        let bridge = Partition {
            shape: PartitionShape::Bridge,
            links: CutLinks::All,
            cut: CutDirection::Both,
        };
        let links = bridge.links(ground, 1, &[1]);
        assert_eq!(links, Links::from([(0, 2), (2, 0)]));
    }
}
