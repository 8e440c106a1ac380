//! One seed, one run: the same on any thread, in any order.

mod events;
mod planned;

use std::thread;

use crate::history::FaultKind;
use crate::report::RunReport;
use crate::scenario::{RunOptions, Scenario, parse};

fn scenario() -> Scenario {
    let text = r#"
title = "everything at once"
why = "what differs between two runs of one seed would differ here"

[cluster]
flush = "sync"

[network]
loss = 0.01
split = 0.2

[[link]]
from = 0
to = "clients"
latency_us = [100, 5_000]

[[workload]]
kind = "send"
producers = 2
in_flight = 8
rate_per_s = 200

[[workload]]
kind = "consume"
consumers = 2

[[fault]]
kind = "power-loss"
at_ms = [100, 300]

[[fault]]
kind = "partition"
at_ms = [400, 500]
lasts_ms = [100, 200]

[run]
seeds = "0..4"
duration_ms = 1_000

[expect]
outcome = "zero-loss"
"#;
    parse("everything", "everything.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a run has a fresh thread of its own"
)]
fn on_a_thread(seed: u64, timeline: bool) -> thread::JoinHandle<RunReport> {
    thread::spawn(move || {
        let options = RunOptions {
            timeline,
            ..RunOptions::default()
        };
        super::run(&scenario(), seed, &options)
    })
}

fn summary(report: &RunReport) -> (u64, u64, String) {
    (report.trace_hash, report.events, report.verdict.to_string())
}

#[test]
fn one_seed_is_one_trace_alone_after_others_and_beside_others() {
    let alone = on_a_thread(3, false).join().expect("runs");
    let all: Vec<_> = (0..8).map(|seed| on_a_thread(seed % 4, seed < 4)).collect();
    let all: Vec<_> = all
        .into_iter()
        .map(|run| run.join().expect("runs"))
        .collect();
    for seed in 0..4 {
        assert_eq!(summary(&all[seed]), summary(&all[seed + 4]), "seed {seed}");
    }
    assert_eq!(summary(&all[3]), summary(&alone));
    assert_ne!(all[0].trace_hash, all[1].trace_hash);
    assert!(alone.counts.acknowledged > 20, "it did something");
    assert!(all[0].timeline.len() > 100 && all[4].timeline.is_empty());
}

/// Entries that followers hold before their leader has written them are committed,
/// and the leader could not read any of them: it is beginning a segment.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a run has a fresh thread of its own"
)]
fn a_leader_that_begins_a_segment_keeps_its_log() {
    let text = r#"
title = "small segments"
why = "followers are ahead of a leader that begins one"
faults = "none"

[cluster]
brokers = 3
replication = "raft"
flush = "sync"
segment_bytes = 16_384

[[workload]]
kind = "send"
producers = 8
messages = 400

[[workload]]
kind = "consume"

[disk]
sync_us = [2_000, 8_000]

[run]
seeds = "0..4"
duration_ms = 2_000

[expect]
outcome = "zero-loss"
"#;
    let scenario = parse("segments", "segments.toml", text);
    let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
    for seed in 0..4 {
        let scenario = scenario.clone();
        let options = RunOptions {
            timeline: true,
            ..RunOptions::default()
        };
        let run = thread::spawn(move || super::run(&scenario, seed, &options));
        let report = run.join().expect("runs");
        let mut lines = report.timeline.iter();
        let reopened = lines.find(|line| line.text.contains("opened again"));
        assert!(reopened.is_none(), "seed {seed}: {reopened:?}");
        assert!(report.counts.acknowledged > 100, "seed {seed}");
    }
}

/// More requests come while a broker stands still than it takes in one step: each is
/// answered, and none is lost between two steps.
#[test]
fn what_waited_for_a_broker_that_stood_still_is_answered() {
    let text = r#"
title = "a burst"
why = "more waits than one step takes"

[cluster]
flush = "sync"

[client]
send_timeout_ms = 5_000
send_retries = 0

[[workload]]
kind = "send"
producers = 4
in_flight = 300
rate_per_s = 2_000

[[fault]]
kind = "pause"
at_ms = [500, 510]
lasts_ms = 500

[run]
seeds = "0..1"
duration_ms = 1_500

[expect]
outcome = "zero-loss"
"#;
    let scenario = parse("burst", "burst.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let report = run_on_a_thread(scenario);
    assert_eq!(report.counts.unknown, 0, "unanswered");
    assert!(report.counts.acknowledged > 1_000, "{:?}", report.counts);
}

/// How many faults of a kind could matter, where producers are at work or have
/// sent a single message long before.
fn eligible(kind: FaultKind, keys: &str, busy: bool) -> (u64, u64) {
    let sends = if busy {
        "rate_per_s = 500"
    } else {
        "messages = 1"
    };
    let text = format!(
        r#"
title = "one fault"
why = "it counts only where it could matter"
[cluster]
flush = "sync"
[[workload]]
kind = "send"
producers = 2
in_flight = 8
{sends}
[[fault]]
kind = "{kind}"
at_ms = [1_500, 1_600]
{keys}
[run]
seeds = "0..1"
duration_ms = 2_500
[expect]
outcome = "zero-loss"
"#
    );
    let scenario = parse("one", "one.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    let report = run_on_a_thread(scenario);
    let count = report.faults[&kind];
    (count.fired, count.eligible)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a run has a fresh thread of its own"
)]
fn run_on_a_thread(scenario: Scenario) -> RunReport {
    let run = thread::spawn(move || super::run(&scenario, 0, &RunOptions::default()));
    run.join().expect("runs")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a run has a fresh thread of its own"
)]
fn run_with_timeline(scenario: Scenario, seed: u64) -> RunReport {
    let options = RunOptions {
        timeline: true,
        ..RunOptions::default()
    };
    let run = thread::spawn(move || super::run(&scenario, seed, &options));
    run.join().expect("runs")
}

#[test]
fn a_fault_is_eligible_only_where_it_could_matter() {
    let lasting = "lasts_ms = 200";
    for (kind, keys) in [
        (FaultKind::Partition, lasting),
        (FaultKind::DiskSlow, lasting),
        (FaultKind::DiskHung, lasting),
        (FaultKind::DiskFull, lasting),
        (
            FaultKind::DiskError,
            "operation = \"write\"\nlasts_ms = 200",
        ),
        (FaultKind::DiskLying, lasting),
        // Still open when everything heals.
        (FaultKind::Partition, "lasts_ms = 20_000"),
        (FaultKind::PowerLoss, "when = \"dirty\"\ndown_ms = 100"),
        (FaultKind::Kill, "when = \"in-flight\"\ndown_ms = 100"),
        (FaultKind::StrayFile, "when = \"in-flight\"\ndown_ms = 100"),
        (FaultKind::LostWrite, ""),
        (FaultKind::SyncError, ""),
    ] {
        assert_eq!(eligible(kind, keys, true), (1, 1), "{kind}, busy");
        assert_eq!(eligible(kind, keys, false).1, 0, "{kind}, idle");
    }
    for kind in [FaultKind::DiskDestroyed, FaultKind::DiskRolledBack] {
        assert_eq!(eligible(kind, "", true), (1, 1), "{kind}, busy");
    }
    // The message that was acknowledged long before is in the image.
    assert_eq!(eligible(FaultKind::DiskDestroyed, "", false), (1, 1));
    let recent = "age_ms = 100";
    assert_eq!(eligible(FaultKind::DiskRolledBack, recent, false), (1, 0));
}
