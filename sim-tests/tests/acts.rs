//! The four acts (`scenarios/acts`), held: which messages are lost, to which fault, and
//! which are not.

use std::collections::BTreeSet;
use std::path::Path;

use zeroloss::check::{Blame, LostThing, Verdict};
use zeroloss::history::FaultKind;
use zeroloss::report::RunReport;
use zeroloss::scenario::{RunOptions, Scenario, load};
use zeroloss::sim;

const SEEDS: u64 = 20;

fn act(name: &str) -> Scenario {
    let acts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/acts");
    load(&acts.join(name)).expect("a valid scenario")
}

/// A run on a thread of its own: madsim's repeatability begins there.
#[expect(clippy::disallowed_methods, reason = "one thread for each simulation")]
fn run(scenario: &Scenario, seed: u64) -> RunReport {
    let scenario = scenario.clone();
    let options = RunOptions {
        oracle: true,
        timeline: true,
    };
    let run = std::thread::spawn(move || sim::run(&scenario, seed, &options));
    run.join().expect("a run without a panic")
}

/// Queue and offset, as the timeline writes them, of every send that a client
/// saw acknowledged before the fault.
fn acknowledged_before(report: &RunReport, fault: &str) -> BTreeSet<String> {
    let before = report
        .timeline
        .iter()
        .take_while(|line| !line.text.contains(fault));
    let words = before.filter(|line| line.text.contains(" acknowledged "));
    let place = words.filter_map(|line| {
        let after = line.text.split(" acknowledged ").nth(1)?;
        after.split(' ').next().map(str::to_owned)
    });
    place.collect()
}

fn lost_places(report: &RunReport) -> BTreeSet<String> {
    let places = report
        .lost
        .iter()
        .filter_map(|(lost, _)| match &lost.thing {
            LostThing::Acknowledged { queue, offset, .. } => Some(format!("{queue}@{offset}")),
            _ => None,
        });
    places.collect()
}

#[test]
fn act_1_loses_and_names_the_power_loss() {
    let scenario = act("1-async-flush-power-loss.toml");
    let mut losing = 0;
    for seed in 0..SEEDS {
        let report = run(&scenario, seed);
        assert!(
            report.findings.is_empty(),
            "seed {seed}: {:?}",
            report.findings
        );
        let blamed = report
            .lost
            .iter()
            .all(|(_, blame)| matches!(blame, Blame::Fault(0)));
        assert!(
            blamed,
            "seed {seed}: the only fault took every one: {:?}",
            report.lost
        );
        losing += u64::from(report.verdict == Verdict::ExpectedLoss);
    }
    assert!(
        losing * 10 >= SEEDS * 8,
        "{losing} of {SEEDS} seeds lost something"
    );
}

#[test]
fn act_2_loses_nothing_to_the_same_power_loss() {
    let (weak, strict) = (
        act("1-async-flush-power-loss.toml"),
        act("2-sync-flush-power-loss.toml"),
    );
    let mut dirty = 0;
    for seed in 0..SEEDS {
        assert_eq!(
            zeroloss::scenario::plan(&weak, seed),
            zeroloss::scenario::plan(&strict, seed),
            "one plan for both acts"
        );
        let report = run(&strict, seed);
        assert_eq!(
            report.verdict,
            Verdict::Pass,
            "seed {seed}: {:?}",
            report.findings
        );
        assert!(report.lost.is_empty(), "seed {seed}");
        dirty += report.faults[&FaultKind::PowerLoss].dirty;
    }
    assert!(
        dirty * 10 >= SEEDS * 8,
        "{dirty} of {SEEDS} power losses hit pending log bytes"
    );
}

#[test]
fn act_3_loses_all_that_was_acknowledged_before() {
    let scenario = act("3-sync-flush-disk-destroyed.toml");
    for seed in 0..SEEDS {
        let report = run(&scenario, seed);
        assert_eq!(
            report.verdict,
            Verdict::ExpectedLoss,
            "seed {seed}: {:?}",
            report.findings
        );
        let (before, lost) = (
            acknowledged_before(&report, "disk destroyed"),
            lost_places(&report),
        );
        assert!(
            before.len() > 50,
            "seed {seed}: {} acknowledged before",
            before.len()
        );
        let kept: Vec<_> = before.difference(&lost).collect();
        assert!(
            kept.is_empty(),
            "seed {seed}: acknowledged before and not lost: {kept:?}"
        );
        assert!(
            report.counts.lost_processed > 0,
            "seed {seed}: a consumer had been there"
        );
    }
}

#[test]
fn act_4_loses_nothing_to_the_same_destroyed_disk() {
    let (alone, replicated) = (
        act("3-sync-flush-disk-destroyed.toml"),
        act("4-raft-disk-destroyed.toml"),
    );
    for seed in 0..SEEDS {
        let what_happens = |scenario: &Scenario| {
            let fault = &zeroloss::scenario::plan(scenario, seed).faults[0];
            (fault.trigger.from_ns, fault.hits.clone())
        };
        assert_eq!(
            what_happens(&alone),
            what_happens(&replicated),
            "one disk, one moment for both acts"
        );
        let report = run(&replicated, seed);
        assert_eq!(
            report.verdict,
            Verdict::Pass,
            "seed {seed}: {:?}",
            report.findings
        );
        assert!(report.lost.is_empty(), "seed {seed}");
        // The disk that went held what was acknowledged.
        assert_eq!(report.faults[&FaultKind::DiskDestroyed].eligible, 1);
    }
}
