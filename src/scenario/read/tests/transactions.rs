//! Scenarios with transactions: who pays, who dies where, what is needed.

use crate::history::{Happening, TransactionStep, VictimRole};
use crate::scenario::{Condition, FaultAction, Need, Scenario, Victim, parse, plan};

const GOOD: &str = r#"
title = "orders"
why = "their services die"

[cluster]
flush = "sync"

[[workload]]
kind = "pay"
topic = "paid"
services = 2
instances = 3
receipt_us = [100, 9_000]

[[workload]]
kind = "red-packet"
topic = "paid"

[[fault]]
kind = "client-kill"
target = "producer-group"
when = "paid-not-ended"
down_ms = "never"

[[fault]]
kind = "client-power"
target = "database"
when = "check-open"

[run]
seeds = "0..8"
duration_ms = 2_000

[expect]
outcome = "zero-loss"
needs = ["order-service-at-paid-not-ended", "half-discarded"]
"#;

fn good(text: &str) -> Scenario {
    parse("x", "x.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn instances_share_a_group_and_a_database() {
    let scenario = good(GOOD);
    assert_eq!(scenario.producer_groups(), [vec![0, 1, 2], vec![3, 4, 5]]);
    assert_eq!(scenario.consumers(), [6]);
    assert_eq!(scenario.databases(), [7, 8]);
    let needs = [
        Need::DeathAt(VictimRole::OrderService, TransactionStep::PaidNotEnded),
        Need::Happening(Happening::HalfDiscarded),
    ];
    assert_eq!(scenario.expect.needs, needs);
    let one = GOOD.replacen(
        r#"["order-service-at-paid-not-ended", "half-discarded"]"#,
        r#""order-service-at-paid-not-ended""#,
        1,
    );
    assert_eq!(good(&one).expect.needs, needs[..1]);
}

#[test]
fn a_group_dies_at_once_and_a_database_comes_back() {
    let scenario = good(GOOD);
    for seed in 0..8 {
        for fault in plan(&scenario, seed).faults {
            let victims: Vec<Victim> = fault.hits.iter().map(|hit| hit.victim).collect();
            let hit = &fault.hits[0];
            match fault.trigger.when {
                Condition::At(TransactionStep::PaidNotEnded) => {
                    let groups = [[0, 1, 2], [3, 4, 5]].map(|group| group.map(Victim::Client));
                    assert!(groups.iter().any(|group| victims == group));
                    assert!(matches!(&hit.action, FaultAction::ClientKill { down }
                        if down.ns().is_none()));
                }
                other => {
                    assert_eq!(other, Condition::At(TransactionStep::CheckOpen));
                    assert!([7, 8].map(Victim::Client).contains(&hit.victim));
                    let comes_back = Some(100_000_000)..=Some(1_000_000_000);
                    assert!(matches!(&hit.action, FaultAction::ClientPower { down, .. }
                        if comes_back.contains(&down.ns())));
                }
            }
        }
    }
}

#[test]
fn transaction_steps_need_transactions() {
    let cases = [
        (
            "a transaction step misspelt",
            "\"check-open\"",
            "\"check-opened\"",
        ),
        (
            "a broker where none is",
            "kind = \"client-power\"\ntarget = \"database\"\nwhen = \"check-open\"",
            "kind = \"kill\"\nwhen = \"processed-not-committed\"",
        ),
        ("a need misspelt", "\"half-discarded\"", "\"half-dropped\""),
        (
            "a broker that dies for good",
            "kind = \"client-kill\"\ntarget = \"producer-group\"",
            "kind = \"kill\"",
        ),
        (
            "several red-packet services",
            "kind = \"red-packet\"",
            "kind = \"red-packet\"\nconsumers = 2",
        ),
    ];
    let shown = cases.map(|(name, from, to)| {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{name}");
        let error = parse("x", "x.toml", &text).expect_err(name);
        format!("# {name}\n{error}\n")
    });
    insta::assert_snapshot!(shown.join("\n"));
    let sends = GOOD.replacen(
        "services = 2\ninstances = 3\nreceipt_us = [100, 9_000]",
        "rate_per_s = 9",
        1,
    );
    let sends = sends.replacen("kind = \"pay\"", "kind = \"send\"", 1);
    let sends = sends.replacen("target = \"producer-group\"", "target = \"producer\"", 1);
    let error = parse("x", "x.toml", &sends).expect_err("nobody pays");
    assert!(
        error
            .to_string()
            .contains("there is no transaction in this scenario"),
        "{error}"
    );
}
