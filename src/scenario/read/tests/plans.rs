//! Plan files: what is written is read, and what does not fit is refused.

use super::super::parse_plan;
use crate::history::FaultKind;
use crate::scenario::{FaultAction, FaultPlan, Scenario, Survivors, parse, plan, written};

const RAFT: &str = r#"
title = "plans"
why = "they are read as they were written"
[cluster]
brokers = 3
replication = "raft"
spares = 1
flush = "sync"
[[workload]]
kind = "send"
messages = 10
[[fault]]
kind = "power-loss"
target = "leader"
when = "has-leader"
at_ms = [100, 900]
survival = "torn"
then = { kind = "kill", after_ms = [5, 40] }
[[fault]]
kind = "client-kill"
at_ms = [100, 900]
when = "in-flight"
[[operator]]
kind = "add-node"
at_ms = 500
[run]
seeds = "0..1"
duration_ms = 1_000
[expect]
outcome = "zero-loss"
"#;

fn scenario(text: &str) -> Scenario {
    parse("plans", "plans.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn text(scenario: &Scenario) -> String {
    written(scenario, 7, &plan(scenario, 7))
}

fn read(scenario: &Scenario, text: &str) -> FaultPlan {
    let (seed, plan) =
        parse_plan("plan.toml", text, scenario, None).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(seed, 7);
    plan
}

#[test]
fn a_plan_is_readable() {
    insta::assert_snapshot!(text(&scenario(RAFT)));
}

#[test]
fn a_written_plan_is_read() {
    let every = [
        "kind = \"partition\"\ntarget = \"minority\"\nshape = \"split\"",
        "kind = \"sync-error\"\ntarget = \"follower\"",
        "kind = \"disk-slow\"\ntarget = \"any-broker\"\nevery_ms = 90",
        "kind = \"disk-destroyed\"\nat_event = { event = \"sync\", nth = [1, 9] }",
        "kind = \"disk-rolled-back\"\nage_ms = 100",
        "kind = \"rot\"\ntarget = 2\nwhen = \"rolling\"",
        "kind = \"sync-error\"\nskip = [3, 8]\n\
         then = { kind = \"power-loss\", on = \"all\", after_ms = [0, 9], when = \"dirty\" }",
    ];
    let rules = every.map(|keys| format!("[[fault]]\n{keys}\n"));
    let scenario = scenario(&RAFT.replacen("[[fault]]", &(rules.concat() + "[[fault]]"), 1));
    assert_eq!(read(&scenario, &text(&scenario)), plan(&scenario, 7));
}

/// With each word for an end that never comes by itself.
#[test]
fn every_kind_of_action_is_read_as_it_was_written() {
    let kinds = FaultKind::ALL.into_iter();
    let kinds = kinds.filter(|kind| !kind.is_a_setting());
    let mut rules: String = kinds
        .map(|kind| format!("[[fault]]\nkind = \"{kind}\"\n"))
        .collect();
    for (kind, key, never) in [
        ("client-kill", "down_ms", "never"),
        ("clock-jump", "lasts_ms", "for-good"),
        ("clock-drift", "lasts_ms", "to-the-end"),
    ] {
        rules.push_str(&format!(
            "[[fault]]\nkind = \"{kind}\"\n{key} = \"{never}\"\n"
        ));
    }
    rules.push_str("[[fault]]\nkind = \"pause\"\nreading = [0, 9]\n");
    let scenario = RAFT.replacen("[[fault]]", &(rules + "[[fault]]"), 1);
    let scenario = self::scenario(&scenario.replacen("\"zero-loss\"", "\"loss\"", 1));
    let (text, planned) = (text(&scenario), plan(&scenario, 7));
    assert_eq!(read(&scenario, &text), planned);
    let kept = text.replacen("\"torn\"", "{ keep_pending = [0, 3] }", 1);
    let edited = read(&scenario, &kept).faults;
    let differs = edited.iter().zip(&planned.faults).filter(|(a, b)| a != b);
    let differs: Vec<_> = differs.map(|(edited, _)| &edited.hits[0].action).collect();
    assert!(
        matches!(differs[..], [FaultAction::PowerLoss { survival, .. }]
            if *survival == Survivors::Kept([0, 3].into())),
        "{differs:?}"
    );
}

#[test]
fn a_plan_outlives_words_for_people_and_other_seeds() {
    let text = text(&scenario(RAFT));
    let reworded = RAFT
        .replacen("\"plans\"", "\"plans, reworded\"", 1)
        .replacen("0..1", "0..9", 1)
        .replacen("[run]", "# a remark\n[run]", 1);
    read(&scenario(&reworded), &text);
}

#[test]
fn a_plan_that_does_not_fit_is_refused() {
    let made_for = scenario(RAFT);
    let whole = text(&made_for);
    let changed = scenario(&RAFT.replacen("messages = 10", "messages = 11", 1));
    let single = {
        let from = RAFT.find("brokers = 3").expect("there");
        let to = RAFT.find("flush =").expect("there");
        let operator = RAFT.find("[[operator]]").expect("there");
        let run = RAFT.find("[run]").expect("there");
        let text = format!("{}{}{}", &RAFT[..from], &RAFT[to..operator], &RAFT[run..]);
        let text = text.replacen("target = \"leader\"\nwhen = \"has-leader\"\n", "", 1);
        scenario(&text)
    };
    let for_single = text(&single);
    let cases = [
        (
            "a word that is no key",
            &made_for,
            whole.replacen("\nuntil_ns", "\nuntill_ns", 1),
        ),
        (
            "no such action",
            &made_for,
            whole.replacen("\"power-loss\"", "\"power-los\"", 1),
        ),
        (
            "no such key of an action",
            &made_for,
            whole.replacen(", survival =", ", survivl =", 1),
        ),
        (
            "no such survival",
            &made_for,
            whole.replacen("\"torn\"", "\"thorn\"", 1),
        ),
        (
            "a broker that is not there",
            &made_for,
            whole.replacen("\"leader\"", "{ broker = 4 }", 1),
        ),
        (
            "a client that is not there",
            &made_for,
            whole.replacen("client = 0", "client = 9", 1),
        ),
        (
            "a client's fault on a broker",
            &made_for,
            whole.replacen("{ client = 0 }", "{ broker = 0 }", 1),
        ),
        (
            "a broker's fault on a client",
            &made_for,
            whole.replacen("\"leader\"", "{ client = 0 }", 1),
        ),
        (
            "a role without replicas",
            &single,
            for_single.replacen("{ broker = 0 }", "\"leader\"", 1),
        ),
        (
            "a time beyond the end",
            &made_for,
            whole.replacen("\nuntil_ns = ", "\nuntil_ns = 9", 1),
        ),
        (
            "another version",
            &made_for,
            whole.replacen("version = 2", "version = 3", 1),
        ),
        (
            "another scenario",
            &made_for,
            whole.replacen("scenario = \"plans\"", "scenario = \"other\"", 1),
        ),
        ("a scenario that has changed", &changed, whole.clone()),
        (
            "cut off between two faults",
            &made_for,
            whole[..whole.rfind("[[fault]]").expect("there")].to_owned(),
        ),
        (
            "cut off in a fault",
            &made_for,
            whole[..whole.find("does = ").expect("there") + 20].to_owned(),
        ),
        (
            "a condition and an event",
            &made_for,
            whole.replacen(
                "when = \"has-leader\"",
                "when = \"has-leader\"\nat_event = { event = \"sync\", nth = 3 }",
                1,
            ),
        ),
    ];
    let shown = cases.map(|(name, scenario, text)| {
        let error = parse_plan("plan.toml", &text, scenario, None);
        let error = error.expect_err(name);
        format!("-- {name}\n{error}\n")
    });
    insta::assert_snapshot!(shown.join("\n"));
    let other = parse_plan("plan.toml", &whole, &made_for, Some(8)).expect_err("of seed 7");
    assert!(other.to_string().contains("plan of seed 7"), "{other}");
}
