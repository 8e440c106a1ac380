//! Replicated clusters: roles, partitions, repetition, the budget, the operator.

use crate::broker::{self, FlushDiskType, RaftConfig};
use crate::check::Replication;
use crate::history::FaultKind;
use crate::scenario::{
    Between, Core, CutDirection, CutLinks, FaultAction, OperationKind, PartitionShape, Scenario,
    Subject, Target, parse,
};

const GOOD: &str = r#"
title = "disks destroyed again and again"
why   = "A replaced replica has to forget its votes before it may count."

[cluster]
brokers = 5
replication = "raft"
spares = 1
flush = "sync"
heartbeat_ms = 40
election_timeout_ms = [150, 300]
preferred_leader = 2
retention_ms = 60_000

[[workload]]
kind = "send"
messages = 400

[[fault]]
kind = "disk-destroyed"
target = "any-broker"
at_ms = [200, 9_000]
every_ms = [300, 500]

[[fault]]
kind = "kill"
target = "leader"
when = "has-leader"
then = { kind = "power-loss", after_ms = [5, 40], survival = "none" }

[[fault]]
kind = "partition"
target = "minority"
shape = "split"
links = "brokers"
cut = "both"

[[operator]]
kind = "add-node"
at_ms = 500

[run]
seeds = "0..8"

[expect]
outcome = "zero-loss"
core = "majority"
"#;

fn good(text: &str) -> Scenario {
    parse("raft/again", "scenarios/raft/again.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the good file has no {from}");
    GOOD.replacen(from, to, 1)
}

fn bad(from: &str, to: &str) -> String {
    match parse(
        "raft/again",
        "scenarios/raft/again.toml",
        &changed(from, to),
    ) {
        Ok(_) => panic!("accepted: {to}"),
        Err(error) => error.to_string(),
    }
}

fn raft(scenario: &Scenario) -> &RaftConfig {
    match &scenario.cluster.broker.replication {
        broker::Replication::Raft(raft) => raft,
        broker::Replication::None => panic!("it replicates"),
    }
}

#[test]
fn a_good_file_means_what_it_says() {
    let scenario = good(GOOD);
    let cluster = &scenario.cluster;
    assert_eq!((cluster.brokers, cluster.machines()), (5, 6));
    assert_eq!((cluster.minority(), cluster.quorum()), (2, 3));
    assert_eq!(cluster.replication, Replication::Raft);
    let timeout = Between {
        low: 150,
        high: 300,
    };
    assert_eq!(cluster.election_timeout_ms, timeout);
    let raft = raft(&scenario);
    assert_eq!((raft.heartbeat_ms, raft.preferred_leader), (40, Some(2)));
    assert_eq!(scenario.cluster.broker.retention_ms, Some(60_000));
    assert_eq!(cluster.broker.flush_disk_type, FlushDiskType::Sync);
    assert!(raft.hard_state_sync);
    assert_eq!(scenario.expect.core, Core::Majority);

    let [destroyed, kill, partition] = &scenario.faults[..] else {
        panic!("three rules")
    };
    assert!(destroyed.within_budget && !kill.within_budget);
    assert!(destroyed.every_ms.is_some() && destroyed.count > 1_000);
    assert_eq!(kill.target, Target::Leader);
    let then = kill.then.as_ref().expect("a second action");
    assert_eq!(then.action.kind(), FaultKind::PowerLoss);
    assert_eq!(partition.target, Target::Minority);
    let FaultAction::Partition {
        shape, links, cut, ..
    } = &partition.action
    else {
        panic!("a partition")
    };
    assert_eq!(
        (shape.get(), links.get(), cut.chosen()),
        (
            PartitionShape::Split,
            CutLinks::Brokers,
            Some(CutDirection::Both)
        )
    );
    let [added] = &scenario.operations[..] else {
        panic!("one rule")
    };
    assert_eq!(
        (added.kind, added.subject),
        (OperationKind::AddNode, Subject::Spare)
    );
}

#[test]
fn the_preset_is_dledger_as_it_is() {
    let scenario = good(&changed("flush = \"sync\"", "preset = \"dledger\""));
    let broker = &scenario.cluster.broker;
    assert_eq!(broker.flush_disk_type, FlushDiskType::Async);
    assert_eq!(broker.flush_interval_ms, 10);
    assert!(!raft(&scenario).hard_state_sync);
}

#[test]
fn asynchronous_flush_still_syncs_term_and_vote() {
    let scenario = good(&changed("\"sync\"", "\"async\""));
    assert_eq!(
        scenario.cluster.broker.flush_disk_type,
        FlushDiskType::Async
    );
    assert!(raft(&scenario).hard_state_sync);
}

#[test]
fn the_budget_binds_where_zero_loss_is_expected() {
    let loss = changed("\"zero-loss\"", "\"loss\"");
    assert!(!good(&loss).faults[0].within_budget);
    let said = changed("every_ms", "within_budget = false\nevery_ms");
    assert!(!good(&said).faults[0].within_budget);
    let rolled_back = changed("\"disk-destroyed\"", "\"disk-rolled-back\"");
    assert!(good(&rolled_back).faults[0].within_budget);
}

#[test]
fn bad_files_are_shown_where_they_are_bad() {
    let single = "brokers = 5\nreplication = \"raft\"\nspares = 1";
    let cases = [
        ("an even number", "brokers = 5", "brokers = 4"),
        ("too few", "brokers = 5", "brokers = 1"),
        ("how many is not said", "brokers = 5\n", ""),
        (
            "not built yet",
            "replication = \"raft\"",
            "replication = \"primary-backup\"",
        ),
        ("a setting of Raft alone", single, "brokers = 1"),
        (
            "the preset decides",
            "heartbeat_ms",
            "preset = \"dledger\"\nheartbeat_ms",
        ),
        (
            "an unknown preset",
            "flush = \"sync\"",
            "preset = \"dleger\"",
        ),
        (
            "elections between heartbeats",
            "heartbeat_ms = 40",
            "heartbeat_ms = 100",
        ),
        (
            "nobody to prefer",
            "preferred_leader = 2",
            "preferred_leader = 5",
        ),
        ("no such machine", "\"any-broker\"", "6"),
        ("an unknown role", "\"any-broker\"", "\"boss\""),
        (
            "nobody on the other side",
            "target = \"minority\"",
            "target = \"all\"",
        ),
        (
            "a bridge of several",
            "shape = \"split\"",
            "shape = \"bridge\"",
        ),
        (
            "a bridge one way",
            "target = \"minority\"\nshape = \"split\"\nlinks = \"brokers\"\ncut = \"both\"",
            "shape = \"bridge\"\ncut = \"inbound\"",
        ),
        (
            "silent amnesia",
            "every_ms = [300, 500]",
            "[[fault]]\nkind = \"disk-lying\"",
        ),
        (
            "silent amnesia within the budget",
            "every_ms = [300, 500]",
            "[[fault]]\nkind = \"lost-write\"\nwithin_budget = true",
        ),
        (
            "what the budget does not bound",
            "when = \"has-leader\"",
            "within_budget = true",
        ),
        ("a second action without a time", "after_ms = [5, 40], ", ""),
        (
            "a second action that needs a plan",
            "kind = \"power-loss\", after_ms = [5, 40], survival = \"none\"",
            "kind = \"partition\", after_ms = 5",
        ),
        (
            "a second action on all behind one on several",
            "target = \"leader\"\nwhen = \"has-leader\"\nthen = {",
            "target = \"quorum\"\nthen = { on = \"all\",",
        ),
        ("no spare", "spares = 1\n", ""),
        (
            "a member added",
            "kind = \"add-node\"",
            "kind = \"add-node\"\ntarget = 3",
        ),
        (
            "a spare removed",
            "kind = \"add-node\"",
            "kind = \"remove-node\"\ntarget = 5",
        ),
    ];
    let shown = cases.map(|(name, from, to)| format!("# {name}\n{}\n", bad(from, to)));
    insta::assert_snapshot!(shown.join("\n"));
}
