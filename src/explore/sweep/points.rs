//! From recorded boundaries to crash points.

use std::collections::BTreeMap;

use crate::report::{Crash, Victims};
use crate::scenario::{BoundaryCrash, Cluster, CrashPoint, Fate, Kept};
use crate::sim::{Boundary, DiskAt};

/// A point of a sweep, not run yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) point: CrashPoint,
    pub(super) crash: Crash,
    pub(super) victims: Victims,
    /// Whether anything was pending on a victim's disk.
    pub(super) is_dirty: bool,
    /// The data that its last crash has to leave on the victims' disks.
    pub(super) left: Vec<u64>,
    /// The place in the list of an earlier point that leaves the same to the
    /// same victims at the same boundary: the rest of the run is the same too.
    pub(super) same_as: Option<usize>,
}

/// Each broker alone, each smallest majority, and all of them.
pub(super) fn victims(cluster: &Cluster) -> Vec<(Victims, Vec<u32>)> {
    let (brokers, quorum) = (cluster.brokers, cluster.quorum());
    let mut sets: Vec<_> = (0..brokers)
        .map(|node| (Victims::One, vec![node]))
        .collect();
    if quorum > 1 {
        let quorums = (0..1u32 << brokers).filter(|set| set.count_ones() == quorum);
        sets.extend(quorums.map(|set| {
            let members = (0..brokers).filter(|node| set >> node & 1 == 1);
            (Victims::Quorum, members.collect())
        }));
    }
    if brokers > quorum {
        sets.push((Victims::All, (0..brokers).collect()));
    }
    sets
}

/// Every power loss of every set of victims at every boundary.
pub(super) fn power(cluster: &Cluster, boundaries: &[Boundary]) -> Vec<Planned> {
    let sets = victims(cluster);
    let mut points = Vec::new();
    for boundary in boundaries {
        for (victims, nodes) in &sets {
            at(boundary, *victims, nodes, &mut points);
        }
    }
    points
}

fn at(boundary: &Boundary, victims: Victims, nodes: &[u32], points: &mut Vec<Planned>) {
    let disks: Vec<&DiskAt> = nodes
        .iter()
        .map(|node| &*boundary.disks[*node as usize])
        .collect();
    let is_dirty = disks.iter().any(|disk| disk.pending_pieces > 0);
    let mut seen = BTreeMap::new();
    for (crash, kept) in survivals(&disks) {
        let left = disks.iter().zip(&kept);
        let left: Option<Vec<u64>> = left.map(|(disk, kept)| disk.left_by(*kept)).collect();
        let left = left.expect("what is asked was recorded");
        let place = points.len();
        let first = *seen.entry(left.clone()).or_insert(place);
        let fates = nodes.iter().zip(kept);
        let victims_fates = fates.map(|(node, kept)| (*node, Fate::Power(kept)));
        let at_boundary = BoundaryCrash {
            boundary: boundary.number,
            victims: victims_fates.collect(),
        };
        points.push(Planned {
            point: CrashPoint::default().then(at_boundary),
            crash,
            victims,
            is_dirty,
            left,
            same_as: (first < place).then_some(first),
        });
    }
}

/// The data that may be left of several disks at once: the same of each, or a prefix
/// of one, of every length, while the others keep nothing.
fn survivals(disks: &[&DiskAt]) -> Vec<(Crash, Vec<Kept>)> {
    let mut survivals = Vec::new();
    let of_one = disks[0].left.iter().map(|(kept, _)| *kept);
    for kept in of_one.filter(|kept| !matches!(kept, Kept::Prefix(_))) {
        survivals.push((Crash::Power(kept.into()), vec![kept; disks.len()]));
    }
    for (swept, disk) in disks.iter().enumerate() {
        for pieces in 0..=disk.pending_pieces {
            let mut kept = vec![Kept::None; disks.len()];
            kept[swept] = Kept::Prefix(pieces);
            survivals.push((Crash::Power(kept[swept].into()), kept));
        }
    }
    survivals.sort_by_key(|(crash, _)| *crash);
    survivals
}

/// Kills of all brokers: wherever the commit log of one is ahead of its medium,
/// at the last boundary before a disk changes.
pub(super) fn kills(cluster: &Cluster, boundaries: &[Boundary]) -> Vec<Planned> {
    let sets = victims(cluster);
    let (victims, nodes) = sets.last().expect("there is a broker");
    let operations = |boundary: &Boundary| -> Vec<u64> {
        let disks = boundary.disks.iter();
        disks.map(|disk| disk.operations).collect()
    };
    let is_dirty = |boundary: &&Boundary| boundary.disks.iter().any(|disk| disk.is_log_dirty);
    let stretches = boundaries.chunk_by(|a, b| operations(a) == operations(b));
    let last = stretches.filter_map(|stretch| stretch.last());
    let points = last.filter(is_dirty).map(|boundary| {
        let at_boundary = BoundaryCrash {
            boundary: boundary.number,
            victims: nodes.iter().map(|node| (*node, Fate::Kill)).collect(),
        };
        Planned {
            point: CrashPoint::default().then(at_boundary),
            crash: Crash::Kill,
            victims: *victims,
            is_dirty: true,
            left: Vec::new(),
            same_as: None,
        }
    });
    points.collect()
}

/// The power of all who were killed, at every boundary after it, nothing
/// surviving.
pub(super) fn power_after(killed: &Planned, boundaries: &[Boundary]) -> Vec<Planned> {
    let victims = &killed.point.crashes[0].victims;
    let nodes: Vec<u32> = victims.iter().map(|(node, _)| *node).collect();
    let points = boundaries.iter().map(|boundary| {
        let disks = nodes.iter().map(|node| &boundary.disks[*node as usize]);
        let left = disks.clone().map(|disk| disk.left_by(Kept::None));
        let left: Option<Vec<u64>> = left.collect();
        let fates = nodes.iter().map(|node| (*node, Fate::Power(Kept::None)));
        let at_boundary = BoundaryCrash {
            boundary: boundary.number,
            victims: fates.collect(),
        };
        Planned {
            point: killed.point.then(at_boundary),
            crash: Crash::PowerAfterKill,
            victims: killed.victims,
            is_dirty: disks.clone().any(|disk| disk.pending_pieces > 0),
            left: left.expect("what is asked was recorded"),
            same_as: None,
        }
    });
    points.collect()
}
