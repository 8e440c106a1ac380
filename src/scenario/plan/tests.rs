//! Plans as data: what a file and a seed come to.

use crate::scenario::{FaultAction, Scenario, Victim, parse, plan};

fn scenario(rest: &str) -> Scenario {
    let text = format!(
        r#"
title = "plans"
why = "a plan has nothing left to draw"
[cluster]
brokers = 5
replication = "raft"
spares = 2
flush = "sync"
[[workload]]
kind = "send"
messages = 1
{rest}
[run]
seeds = "0..1"
duration_ms = 1_000
[expect]
outcome = "zero-loss"
"#
    );
    parse("plans", "plans.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

/// The plan, a line for each fault and operation.
fn shown(rest: &str, seed: u64) -> String {
    let plan = plan(&scenario(rest), seed);
    let faults = plan.faults.iter().map(|fault| {
        let (from_ms, until_ms) = (
            fault.trigger.from_ns / 1_000_000,
            fault.trigger.until_ns / 1_000_000,
        );
        let hits = fault.hits.iter().map(|hit| {
            let then = hit.then.as_ref();
            let then = then.map(|then| format!(", after {} ns {:?}", then.after_ns, then.action));
            format!(
                "\n  {:?} {:?}{}",
                hit.victim,
                hit.action,
                then.unwrap_or_default()
            )
        });
        let bound = match fault.trigger.within_budget {
            true => ", within the budget",
            false => "",
        };
        format!(
            "{from_ms}..{until_ms} ms, {:?}{bound}{}",
            fault.trigger.when,
            hits.collect::<String>()
        )
    });
    let operations = plan
        .operations
        .iter()
        .map(|planned| format!("{} ms {:?}", planned.at_ns / 1_000_000, planned.operation));
    faults.chain(operations).collect::<Vec<_>>().join("\n")
}

#[test]
fn several_victims_are_hit_at_one_instant() {
    let rule = |target| format!("[[fault]]\nkind = \"power-loss\"\ntarget = \"{target}\"");
    let all = ["minority", "quorum", "all"].map(|target| shown(&rule(target), 4));
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn roles_stay_roles() {
    let rules = "[[fault]]\nkind = \"kill\"\ntarget = \"leader\"\nwhen = \"has-leader\"\n\
                 then = { kind = \"power-loss\", after_ms = [5, 40], survival = \"none\" }\n\
                 [[fault]]\nkind = \"disk-destroyed\"\ntarget = \"follower\"\nwhen = \"rolling\"";
    insta::assert_snapshot!(shown(rules, 4));
}

#[test]
fn every_so_often_until_the_window_ends() {
    let rule = "[[fault]]\nkind = \"disk-destroyed\"\nat_ms = [100, 900]\nevery_ms = [150, 250]\ndown_ms = 20";
    insta::assert_snapshot!(shown(rule, 4));
}

#[test]
fn a_partition_of_several_ends_for_all_at_once() {
    let rule = "[[fault]]\nkind = \"partition\"\ntarget = \"minority\"\nshape = \"split\"";
    insta::assert_snapshot!(shown(rule, 4));
}

#[test]
fn operations_take_the_spares_in_turn() {
    let rules = "faults = \"none\"\n[[operator]]\nkind = \"add-node\"\nat_ms = [100, 500]\nevery_ms = 100\ncount = 3\n\
                 [[operator]]\nkind = \"replace-node\"\ntarget = 0\nat_ms = 600\n\
                 [[operator]]\nkind = \"transfer-leadership\"\nat_ms = 700";
    let text = rules.replace("faults = \"none\"\n", "[[fault]]\nkind = \"kill\"\n");
    insta::assert_snapshot!(shown(&text, 4));
}

#[test]
fn one_after_another_in_one_order_and_back_in_another() {
    let rule = "[[fault]]\nkind = \"partition\"\ntarget = \"all\"\nat_ms = [100, 200]\n\
                spread_ms = [10, 60]\nlasts_ms = [100, 400]";
    let (mut orders, mut other_way_back) = (std::collections::BTreeSet::new(), 0);
    for seed in 0..20 {
        let faults = plan(&scenario(rule), seed).faults;
        let cut: Vec<_> = faults.iter().map(|fault| fault.hits[0].victim).collect();
        let mut healed: Vec<_> = faults.iter().collect();
        healed.sort_by_key(|fault| match fault.hits[0].action {
            FaultAction::Partition { lasts, .. } => fault.trigger.from_ns + lasts.ns(),
            _ => panic!("a partition"),
        });
        let healed: Vec<_> = healed.iter().map(|fault| fault.hits[0].victim).collect();
        other_way_back += u32::from(cut != healed);
        let mut all = cut.clone();
        all.sort();
        assert_eq!(all, [0, 1, 2, 3, 4].map(Victim::Broker));
        let moments: Vec<_> = faults.iter().map(|fault| fault.trigger.from_ns).collect();
        let gaps = moments
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) / 1_000_000);
        assert!(
            gaps.into_iter().all(|gap| (9..=60).contains(&gap)),
            "{moments:?}"
        );
        orders.insert(cut);
    }
    assert!(orders.len() > 15 && other_way_back > 15);
}
