//! Points of boundaries that were made up.

use std::sync::Arc;

use super::points::{Planned, kills, power, power_after, victims};
use crate::report::{Crash, Survives};
use crate::scenario::{Cluster, Kept, parse};
use crate::sim::{Boundary, DiskAt};

fn cluster(brokers: u32) -> Cluster {
    let raft = match brokers {
        1 => String::new(),
        _ => format!("brokers = {brokers}\nreplication = \"raft\"\n"),
    };
    let text = format!(
        "faults = \"none\"\ntitle = \"points\"\nwhy = \"They are counted.\"\n\
         [cluster]\n{raft}flush = \"sync\"\n[[workload]]\nkind = \"send\"\nmessages = 1\n\
         [run]\nseeds = \"0..1\"\nduration_ms = 100\n[expect]\noutcome = \"zero-loss\"\n"
    );
    parse("x", "x.toml", &text).expect("a scenario").cluster
}

/// A disk on which so many pieces are pending; each prefix leaves another disk,
/// and a draw an empty one.
fn disk(operations: u64, pending_pieces: u32) -> Arc<DiskAt> {
    let of = |kept| match kept {
        Kept::All => u64::from(pending_pieces),
        Kept::Prefix(pieces) => u64::from(pieces),
        _ => 0,
    };
    let kept = [Kept::None, Kept::All, Kept::Subset(0), Kept::Torn(0)];
    let prefixes = (0..=pending_pieces).map(Kept::Prefix);
    let left = kept.into_iter().chain(prefixes);
    Arc::new(DiskAt {
        operations,
        pending_pieces,
        is_log_dirty: pending_pieces > 0,
        left: left.map(|kept| (kept, of(kept))).collect(),
    })
}

fn boundary(number: u64, disks: &[(u64, u32)]) -> Boundary {
    let disks = disks
        .iter()
        .map(|(operations, pieces)| disk(*operations, *pieces));
    Boundary {
        number,
        at_ns: number,
        disks: disks.collect(),
    }
}

/// A line for each point: what crashes, and where it is run.
fn shown(points: &[Planned]) -> String {
    let lines = points.iter().map(|planned| {
        let run = match planned.same_as {
            None => String::new(),
            Some(first) => format!("  as {}", points[first].point),
        };
        format!("{}{run}\n", planned.point)
    });
    lines.collect()
}

#[test]
fn each_alone_each_smallest_majority_and_all() {
    let sets = |brokers| {
        let sets = victims(&cluster(brokers)).into_iter();
        let sets = sets.map(|(victims, nodes)| format!("{victims} {nodes:?}"));
        sets.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(sets(1), "one [0]");
    insta::assert_snapshot!(sets(3), @"one [0] one [1] one [2] quorum [0, 1] quorum [0, 2] quorum [1, 2] all [0, 1, 2]");
    assert_eq!(victims(&cluster(5)).len(), 5 + 10 + 1);
}

#[test]
fn of_one_disk_every_prefix_is_tried_and_equal_ones_once() {
    let points = power(
        &cluster(1),
        &[boundary(1, &[(1, 0)]), boundary(2, &[(2, 2)])],
    );
    insta::assert_snapshot!(shown(&points), @"
    1:b0=none
    1:b0=all  as 1:b0=none
    1:b0=prefix-0  as 1:b0=none
    1:b0=subset-0  as 1:b0=none
    1:b0=torn-0  as 1:b0=none
    2:b0=none
    2:b0=all
    2:b0=prefix-0  as 2:b0=none
    2:b0=prefix-1
    2:b0=prefix-2  as 2:b0=all
    2:b0=subset-0  as 2:b0=none
    2:b0=torn-0  as 2:b0=none
    ");
    assert!(points[..5].iter().all(|planned| !planned.is_dirty));
    assert!(points[5..].iter().all(|planned| planned.is_dirty));
}

#[test]
fn of_several_disks_one_is_swept_while_the_others_keep_nothing() {
    let points = power(&cluster(3), &[boundary(1, &[(1, 1), (1, 2), (1, 0)])]);
    let prefixes = points.into_iter().filter(|planned| {
        planned.crash == Crash::Power(Survives::Prefix)
            && planned.point.crashes[0].victims.len() == 2
    });
    let prefixes = prefixes.map(|planned| format!("{}\n", planned.point));
    insta::assert_snapshot!(prefixes.collect::<String>(), @"
    1:b0=prefix-0,b1=none
    1:b0=prefix-1,b1=none
    1:b0=none,b1=prefix-0
    1:b0=none,b1=prefix-1
    1:b0=none,b1=prefix-2
    1:b0=prefix-0,b2=none
    1:b0=prefix-1,b2=none
    1:b0=none,b2=prefix-0
    1:b1=prefix-0,b2=none
    1:b1=prefix-1,b2=none
    1:b1=prefix-2,b2=none
    1:b1=none,b2=prefix-0
    ");
}

#[test]
fn a_killed_process_is_behind_its_medium_and_loses_power_at_every_later_boundary() {
    let recorded = [
        boundary(1, &[(1, 0)]),
        boundary(2, &[(2, 3)]),
        boundary(3, &[(2, 3)]),
        boundary(4, &[(3, 0)]),
    ];
    let kills = kills(&cluster(1), &recorded);
    assert_eq!(shown(&kills), "3:b0=kill\n");
    let after = power_after(&kills[0], &[boundary(4, &[(3, 0)]), boundary(5, &[(4, 1)])]);
    insta::assert_snapshot!(shown(&after), @"
    3:b0=kill/4:b0=none
    3:b0=kill/5:b0=none
    ");
    let is_dirty: Vec<bool> = after.iter().map(|planned| planned.is_dirty).collect();
    assert_eq!(is_dirty, [false, true]);
}
