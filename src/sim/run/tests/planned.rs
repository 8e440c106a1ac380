//! Runs by their plans: the same as by seed, and what an editor says.

use std::path::Path;
use std::sync::Arc;

use super::{run_with_timeline, scenario};
use crate::history::FaultKind;
use crate::scenario::{Scenario, load, parse_plan, plan, written};

/// The scenario with the plan of a file's text.
fn planned(scenario: &Scenario, text: &str) -> (Scenario, u64) {
    let (seed, planned) =
        parse_plan("plan.toml", text, scenario, None).unwrap_or_else(|error| panic!("{error}"));
    let scenario = Scenario {
        planned: Some(Arc::new(planned)),
        ..scenario.clone()
    };
    (scenario, seed)
}

fn by_plan(scenario: &Scenario, text: &str) -> crate::report::RunReport {
    let (scenario, seed) = planned(scenario, text);
    run_with_timeline(scenario, seed)
}

#[test]
fn a_plan_gives_the_run_of_its_seed() {
    for file in [
        "single/power-twice",
        "single/rot-in-log",
        "raft/kill-then-power",
        "raft/crashed-at-a-commit",
        "raft/disk-destroyed",
        "raft/membership-crashes",
        "raft/rolled-back-harmless",
        "transactions/raft-all-lose-power-at-every-step",
        "transactions/single-order-services-die-and-come-back",
        "raft/clocks-jump",
        "raft/limping-link",
        "swarm",
    ] {
        let path = format!("scenarios/{file}.toml");
        let scenario = load(Path::new(&path)).unwrap_or_else(|error| panic!("{error}"));
        for seed in [2, 5] {
            let drawn = plan(&scenario.drawn(seed), seed);
            let text = written(&scenario, seed, &drawn);
            let (by_plan, of_plan) = planned(&scenario, &text);
            assert_eq!(of_plan, seed);
            assert_eq!(*by_plan.planned.clone().expect("there"), drawn);
            let by_seed = run_with_timeline(scenario.clone(), seed);
            let by_plan = run_with_timeline(by_plan, seed);
            assert_eq!(
                by_seed.trace_hash, by_plan.trace_hash,
                "{file}, seed {seed}"
            );
            assert_eq!(by_seed.verdict, by_plan.verdict, "{file}, seed {seed}");
        }
    }
}

/// When the power went, and what was said of it.
fn power_losses(report: &crate::report::RunReport) -> Vec<(u64, String)> {
    let lines = report.timeline.iter();
    let lost = lines.filter(|line| line.text.contains("power lost"));
    lost.map(|line| (line.at_ns, line.text.clone())).collect()
}

#[test]
fn an_edited_plan_does_what_it_says() {
    let scenario = scenario();
    let text = written(&scenario, 3, &plan(&scenario, 3));
    let by_seed = by_plan(&scenario, &text);

    let fault = text.find("[[fault]]").expect("there");
    let next = fault + 9 + text[fault + 9..].find("[[fault]]").expect("two");
    let mut edited = text[..fault].to_owned();
    edited.push_str(
        "[[fault]]\nfrom_ns = 250_000_000\n[[fault.hit]]\nvictim = { broker = 0 }\n\
         does = { kind = \"power-loss\", survival = { keep_pending = [0] }, down_ns = 50_000_000 }\n",
    );
    edited.push_str(&text[next..]);
    let run = by_plan(&scenario, &edited);
    let lost = power_losses(&run);
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].1.contains("survival as planned"), "{lost:?}");
    assert_eq!(lost[0].0 / 1_000_000, 250);
    assert_ne!(run.trace_hash, by_seed.trace_hash);
    assert_eq!(
        run.faults[&FaultKind::Partition].fired,
        1,
        "the other one stays"
    );

    let mut none = text[..text.find("[[fault]]").expect("there")].to_owned();
    none.push_str("[end]\n");
    let run = by_plan(&scenario, &none);
    // Effects of the network itself are no fault of the plan.
    let planned = [FaultKind::PowerLoss, FaultKind::Partition];
    let fired = planned.map(|kind| run.faults.contains_key(&kind));
    assert_eq!(fired, [false, false], "{:?}", run.faults);
}

/// The chance that one fault is left to does not depend on the others.
#[test]
fn a_fault_less_leaves_the_others_what_they_were() {
    let scenario = scenario();
    let mut whole = plan(&scenario, 3);
    let draws: Vec<u32> = whole
        .faults
        .iter()
        .map(|fault| fault.hits[0].draw)
        .collect();
    whole.faults.remove(0);
    let text = written(&scenario, 3, &whole);
    let (less, _) = planned(&scenario, &text);
    let less = less.planned.expect("there");
    assert_eq!(less.faults[0].hits[0].draw, draws[1]);
}
