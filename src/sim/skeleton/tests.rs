//! A skeleton does what its run did.

use std::thread;

use super::run_skeleton;
use crate::scenario::{RunOptions, Scenario, parse};
use crate::sim::{run_measured, run_recorded};

fn scenario() -> Scenario {
    let text = r#"
title = "a power loss"
why = "recovery reads, copies and renames; clients connect anew"

[cluster]
flush = "sync"
segment_bytes = 16_384

[[workload]]
kind = "send"
producers = 2
in_flight = 8
rate_per_s = 2_000

[[workload]]
kind = "consume"

# Bytes that are read together depend on when they are read.
[network]
split = 0.0

[[fault]]
kind = "power-loss"
at_ms = [100, 200]

[run]
seeds = "0..4"
duration_ms = 400

[expect]
outcome = "zero-loss"
"#;
    parse("loss", "loss.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a run has a fresh thread of its own"
)]
fn on_a_thread<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    thread::spawn(work).join().expect("it runs")
}

#[test]
fn the_same_operations_as_the_run_beside_it() {
    for seed in 0..4 {
        let script = on_a_thread(move || run_recorded(&scenario(), seed));
        let skeleton = on_a_thread(move || run_skeleton(&scenario(), seed, script));
        let (_, run) = on_a_thread(move || run_measured(&scenario(), seed, &RunOptions::default()));
        assert!(run.acknowledged > 50 && run.disk.reads > 50);
        // The operations under way when the power goes differ by a few.
        let near = |here: u64, there: u64| here.abs_diff(there) * 50 <= there;
        let (there, here) = (run.disk, skeleton.disk);
        let same = near(skeleton.deliveries, run.deliveries)
            && near(skeleton.delivered_bytes, run.delivered_bytes)
            && near(here.writes, there.writes)
            && near(here.written_bytes, there.written_bytes)
            && near(here.syncs, there.syncs)
            && near(here.reads, there.reads)
            && near(here.read_bytes, there.read_bytes);
        assert!(same, "{run:?} {skeleton:?}");
    }
}
