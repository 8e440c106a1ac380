//! Good files mean what they say; bad ones are shown where they are bad.

mod events;
mod plans;
mod raft;
mod transactions;

use super::parse;
use crate::broker::FlushDiskType;
use crate::check::ExpectedOutcome;
use crate::history::FaultKind;
use crate::scenario::{
    Between, Condition, FaultAction, LinkEnd, Scenario, Survival, Survivors, Target, Victim,
    Workload, plan,
};

const GOOD: &str = r#"
title = "power loss under synchronous flush"
why   = "A producer is acknowledged only after the sync."

[cluster]
flush = "sync"
segment_bytes = 65_536

[[workload]]
kind = "send"
producers = 4
in_flight = 8
messages = 400
body_bytes = [100, 200]

[[workload]]
kind = "consume"
consumers = 2

[[fault]]
kind = "power-loss"
target = "any"
when = "dirty"
at_ms = [1_000, 9_000]
survival = "sector-subset"
count = 3

[[fault]]
kind = "client-kill"
target = "consumer"
when = "in-flight"

[run]
seeds = "0..8"

[expect]
outcome = "zero-loss"
"#;

fn good(text: &str) -> Scenario {
    match parse(
        "single/power-loss",
        "scenarios/single/power-loss.toml",
        text,
    ) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{error}"),
    }
}

/// The diagnostic of the good file with one text replaced by another.
fn bad(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the good file has no {from}");
    let text = GOOD.replacen(from, to, 1);
    match parse(
        "single/power-loss",
        "scenarios/single/power-loss.toml",
        &text,
    ) {
        Ok(_) => panic!("accepted: {to}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_good_file_means_what_it_says() {
    let scenario = good(GOOD);
    assert_eq!(scenario.id, "single/power-loss");
    assert_eq!(scenario.cluster.broker.segment_bytes, 65_536);
    assert_eq!(scenario.cluster.broker.flush_disk_type, FlushDiskType::Sync);
    assert_eq!(scenario.producers(), [0, 1, 2, 3]);
    assert_eq!(scenario.consumers(), [4, 5]);
    assert_eq!(scenario.run.seeds, 0..8);
    assert_eq!(scenario.expect.outcome, ExpectedOutcome::ZeroLoss);
    let Workload::Send(send) = &scenario.workloads[0] else {
        panic!("the first workload sends");
    };
    let wanted = Between {
        low: 100,
        high: 200,
    };
    assert_eq!((send.messages, send.body_bytes), (Some(400), wanted));
    let fault = &scenario.faults[0];
    assert_eq!(
        (fault.target, fault.when, fault.count),
        (Target::AnyBroker, Condition::Dirty, 3)
    );
    assert!(matches!(
        fault.action,
        FaultAction::PowerLoss {
            survival: Survivors::InThisWay(Survival::SectorSubset),
            ..
        }
    ));
}

#[test]
fn every_kind_of_fault_can_be_written() {
    let kinds = FaultKind::ALL.into_iter();
    for kind in kinds.filter(|kind| !kind.is_a_setting()) {
        let text = GOOD.replacen("[run]", &format!("[[fault]]\nkind = \"{kind}\"\n[run]"), 1);
        assert_eq!(good(&text).faults[2].action.kind(), kind);
    }
    for survival in Survival::ALL {
        good(&GOOD.replacen("sector-subset", survival.name(), 1));
    }
    good(&GOOD.replacen("sector-subset", "random", 1));
}

#[test]
fn clocks_and_limps_mean_what_they_say() {
    let rule = |fault: &str| {
        let text = GOOD.replacen("[run]", &format!("[[fault]]\n{fault}\n[run]"), 1);
        good(&text).faults.pop().expect("it was added")
    };
    let skew = rule("kind = \"clock-skew\"\nby_ms = 7");
    assert_eq!(skew.at_ms, Between { low: 0, high: 0 });
    let of = |fault: &str| format!("{:?}", rule(fault).action);
    insta::assert_snapshot!(of(
        "kind = \"clock-jump\"\nby_ms = 7\nway = \"back\"\nlasts_ms = \"for-good\""
    ));
    insta::assert_snapshot!(format!("{:?}", skew.action));
    insta::assert_snapshot!(of(
        "kind = \"clock-drift\"\nby_ppm = 7\nway = \"fast\"\nlasts_ms = 7"
    ));
    insta::assert_snapshot!(of("kind = \"disk-limping\"\nlasts_ms = 7"));
}

#[test]
fn links_are_as_the_network_unless_they_say_otherwise() {
    let text = format!(
        "{GOOD}\n[network]\nloss = 0.1\nretransmit_ms = 50\n\
         [[link]]\nfrom = \"clients\"\nto = 0\nlatency_us = 9\n[[link]]\nfrom = 0\nsplit = 0.5\n"
    );
    let scenario = good(&text);
    let [to_broker, from_broker] = scenario.links[..] else {
        panic!("two rules")
    };
    assert_eq!(
        (to_broker.from, to_broker.to),
        (LinkEnd::Clients, LinkEnd::Broker(0))
    );
    let slow = Between { low: 9, high: 9 };
    assert_eq!(to_broker.network.latency_us, slow);
    assert_eq!(to_broker.network.loss, 0.1);
    assert_eq!(
        (from_broker.from, from_broker.to),
        (LinkEnd::Broker(0), LinkEnd::Any)
    );
    let wanted = crate::scenario::NetworkSettings {
        split: 0.5,
        ..scenario.network
    };
    assert_eq!(from_broker.network, wanted);
}

#[test]
fn no_faults_must_be_said() {
    let start = GOOD.find("[[fault]]").expect("there");
    let end = GOOD.find("[run]").expect("there");
    let without = format!("{}{}", &GOOD[..start], &GOOD[end..]);
    let said = format!("faults = \"none\"\n{without}");
    assert!(good(&said).is_faultless());
    let error = parse("x", "x.toml", &without).expect_err("not said");
    insta::assert_snapshot!(error, @r#"
    error: a scenario without faults must say so
     --> x.toml:2:1
      |
    2 | title = "power loss under synchronous flush"
      | ^ no [[fault]] here
      |
      = help: add a [[fault]], or faults = "none" above the first table
    "#);
    let loss = said.replacen("zero-loss", "loss", 1);
    let error = parse("x", "x.toml", &loss).expect_err("a contradiction");
    assert!(
        error
            .to_string()
            .contains("nothing is lost without a fault")
    );
}

#[test]
fn a_plan_is_a_function_of_scenario_and_seed() {
    let scenario = good(GOOD);
    let first = plan(&scenario, 7);
    assert_eq!(first, plan(&scenario, 7));
    assert_ne!(first, plan(&scenario, 8));
    assert_eq!(first.faults.len(), 4);
    let mut last_ns = 0;
    for fault in &first.faults {
        assert!(
            fault.trigger.from_ns >= last_ns && fault.trigger.from_ns <= fault.trigger.until_ns
        );
        last_ns = fault.trigger.from_ns;
        let [hit] = &fault.hits[..] else {
            panic!("one victim")
        };
        match hit.action.clone() {
            FaultAction::PowerLoss { survival, down } => {
                assert_eq!(hit.victim, Victim::Broker(0));
                assert_eq!(survival, Survivors::InThisWay(Survival::SectorSubset));
                assert!((100_000_000..=1_000_000_000).contains(&down.ns()));
                assert_eq!(fault.trigger.until_ns, 9_000_000_000);
            }
            _ => assert!(matches!(hit.victim, Victim::Client(4 | 5))),
        }
    }
}

#[test]
fn an_edit_to_one_rule_leaves_the_faults_of_the_others() {
    let before = plan(&good(GOOD), 3);
    let after = plan(&good(&GOOD.replacen("count = 3", "count = 1", 1)), 3);
    let client = |plan: &crate::scenario::FaultPlan| {
        let kill = plan
            .faults
            .iter()
            .find(|fault| matches!(fault.hits[0].victim, Victim::Client(_)));
        kill.cloned().expect("planned")
    };
    assert_eq!(client(&before), client(&after));
}

#[test]
fn bad_files_are_shown_where_they_are_bad() {
    let cases = [
        ("an unknown key, nearly right", "flush =", "flsh ="),
        ("an unknown key", "in_flight = 8", "colour = 3"),
        ("an unknown section", "[cluster]", "[brokers]"),
        ("a missing key", "flush = \"sync\"\n", ""),
        ("a missing section", "[run]\nseeds = \"0..8\"\n", ""),
        ("a wrong type", "producers = 4", "producers = \"four\""),
        ("a wrong word", "flush = \"sync\"", "flush = \"synch\""),
        ("a negative number", "messages = 400", "messages = -1"),
        ("too small a number", "in_flight = 8", "in_flight = 0"),
        ("a range the wrong way round", "[100, 200]", "[200, 100]"),
        (
            "a window after the end",
            "[1_000, 9_000]",
            "[1_000, 19_000]",
        ),
        (
            "a key of another kind",
            "target = \"consumer\"",
            "survival = \"none\"",
        ),
        (
            "an unknown kind",
            "kind = \"power-loss\"",
            "kind = \"powerloss\"",
        ),
        ("no such broker", "target = \"any\"", "target = 1"),
        ("no seeds", "0..8", "8..8"),
        ("seeds misspelt", "\"0..8\"", "\"0-8\""),
        (
            "replication",
            "flush = \"sync\"",
            "flush = \"sync\"\nreplication = \"raft\"",
        ),
        (
            "several brokers",
            "flush = \"sync\"",
            "flush = \"sync\"\nbrokers = 3",
        ),
        (
            "a share without a loss",
            "[expect]",
            "[expect]\nshare = 0.5",
        ),
        ("halting alone", "\"zero-loss\"", "\"halt\""),
        ("both ways", "title =", "faults = \"none\"\ntitle ="),
        ("unbounded sends", "messages = 400\n", ""),
        ("nobody sends", "consumers = 2", "topic = \"payments\""),
        ("no such link", "[expect]", "[[link]]\nfrom = 1\n[expect]"),
        (
            "a link through which nothing comes",
            "[expect]",
            "[network]\nloss = 1\n[expect]",
        ),
        ("no TOML", "seeds = \"0..8\"", "seeds = 0..8"),
    ];
    let shown = cases.map(|(name, from, to)| format!("# {name}\n{}\n", bad(from, to)));
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn delays_and_leases_are_the_brokers() {
    let with = |line: &str| GOOD.replace("flush = \"sync\"", &format!("flush = \"sync\"\n{line}"));
    let broker = good(&with("delay_levels_ms = [10, 2_000]\nqueue_lock_ms = 500"))
        .cluster
        .broker;
    assert_eq!(broker.delay_levels_ms, [10, 2_000]);
    assert_eq!(broker.queue_lock_ms, 500);
    let usual = good(GOOD).cluster.broker;
    assert_eq!(usual.delay_levels_ms.len(), 18);
    assert_eq!(usual.client_expired_ms, 120_000);
    let levels = format!("delay_levels_ms = {:?}", [1; 19]);
    for bad in [
        &*levels,
        "delay_levels_ms = 5",
        "delay_levels_ms = [\"1s\"]",
    ] {
        let read = parse("bad", "bad.toml", &with(bad));
        assert!(read.is_err(), "{bad}");
    }
}

#[test]
fn members_agree_on_their_queues_and_consumers_do_not() {
    let text = GOOD.replace(
        "consumers = 2",
        "members = 3\nordered = true\nfail_one_in = 4\nfail_times = 2\nstay_ms = [10, 20]",
    );
    let scenario = good(&text);
    assert_eq!(scenario.consumers(), [4, 5, 6]);
    let members = scenario
        .workloads
        .iter()
        .find_map(|workload| match workload {
            Workload::Consume(consume) => consume.membership.clone(),
            _ => None,
        });
    let members = members.expect("they are members");
    let failing = members.failing.expect("some fail");
    assert!(members.ordered && members.tags.is_none() && members.stays.is_some());
    assert_eq!(
        (failing.one_in, failing.times.low, failing.times.high),
        (4, 2, 2)
    );
    assert_eq!(failing.retries_max, 16);
    for (to, why) in [
        (
            "consumers = 2\nordered = true",
            "only members of a group do that",
        ),
        ("consumers = 2\nmembers = 2", "`members` agree on theirs"),
        ("members = 2\ntags = [0, 1]", "messages without tags"),
    ] {
        let shown = bad("consumers = 2", to);
        assert!(shown.contains(why), "{shown}");
    }
}
