//! One seed, one run: the same on any thread, in any order.

use std::thread;

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
in_flight = 2
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
    assert!(alone.counts.acknowledged > 50, "it did something");
    assert!(all[0].timeline.len() > 100 && all[4].timeline.is_empty());
}
