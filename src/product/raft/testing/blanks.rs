//! One replica among blank disks: how many are too many, and who lets them in (D16).

use super::lone::{Lone, replica};
use crate::raft::{Change, Configuration, Input, Message, Output, ReplicaId, Settings};

/// A blank disk announces itself.
fn blank(node: u64, disk: u64) -> Input {
    Input::Message {
        from: ReplicaId { node, disk },
        term: 0,
        message: Message::Join { challenge: 0 },
    }
}

fn halted(outputs: &[Output]) -> Vec<u64> {
    let halted = outputs.iter().find_map(|output| match output {
        Output::Halted { blank_nodes, .. } => Some(blank_nodes.clone()),
        _ => None,
    });
    halted.unwrap_or_default()
}

/// D16: of four, two blank disks are too many; one that was blank and has been
/// promoted since is none.
#[test]
fn a_spare_that_was_promoted_is_not_blank() {
    for announced in [replica(3).disk, 97] {
        let mut lone = Lone::new(3, &[1], None);
        assert!(halted(&lone.step(blank(3, announced))).is_empty());
        lone.append_configuration(Configuration::of_voters((0..4).map(replica)));
        lone.now_ns += 2 * Settings::default().election_timeout_ns;
        assert!(halted(&lone.step(blank(2, 99))).is_empty(), "3 of 4");
        assert_eq!(halted(&lone.step(blank(3, 98))), [2, 3]);
    }
}

/// D16: a blank disk says so again and again; one that has not for long may have been
/// filled where this replica could not see it.
#[test]
fn a_disk_that_was_blank_long_ago_may_be_whole() {
    let mut lone = Lone::new(3, &[1], None);
    assert!(halted(&lone.step(blank(1, 98))).is_empty(), "2 of 3");
    lone.now_ns += 20 * Settings::default().election_timeout_ns;
    assert!(halted(&lone.step(blank(2, 99))).is_empty(), "2 of 3");
    assert_eq!(halted(&lone.step(blank(1, 98))), [1, 2]);
}

/// D16: a replica that lags may know an old configuration only. As long as it hears a
/// leader, that one has a majority.
#[test]
fn a_replica_that_hears_a_leader_does_not_halt() {
    let mut lone = Lone::new(3, &[1], None);
    lone.append(5, lone.raft.last(), &[], 0);
    assert!(halted(&lone.step(blank(1, 98))).is_empty());
    assert!(halted(&lone.step(blank(2, 99))).is_empty());
    lone.now_ns += 2 * Settings::default().election_timeout_ns;
    assert_eq!(halted(&lone.step(blank(2, 99))), [1, 2]);
}

/// D16: who goes on alone lets the others back in: a blank disk is fed, and
/// votes once it has caught up.
#[test]
fn a_replica_recovered_alone_lets_the_others_in() {
    let three = Configuration::of_voters((0..3).map(replica));
    let mut place = three.recovered_by(replica(0));
    assert_eq!((place.seats.len(), place.quorum()), (1, 1));
    for (node, voters) in [(1, 2), (2, 3)] {
        let new = ReplicaId { node, disk: 99 };
        assert!(place.to_promote().next().is_none());
        for _ in 0..2 {
            // Another disk may come before the first one is promoted.
            let change = place.let_in(new).expect("its node is expected");
            place = place.after(change).unwrap_or(place);
            assert!(place.is_member(new) && !place.is_voter(new));
        }
        assert_eq!(place.to_promote().collect::<Vec<_>>(), [node]);
        place = place.after(Change::Promote { node }).expect("a learner");
        assert_eq!(place.voters().count(), voters);
    }
    let stranger = ReplicaId { node: 7, disk: 99 };
    assert_eq!(place.let_in(stranger), None);
}
