//! What a seed drew, for a person.

use std::collections::BTreeSet;

use crate::scenario::{Between, Scenario};

/// A line for what there is, one for the faults, and one for what is left out.
pub(super) fn words(full: &Scenario, drawn: &Scenario) -> Vec<String> {
    let cluster = &drawn.cluster;
    let (kinds, topics) = (kinds(drawn), topics(drawn));
    let mut lines = vec![
        format!(
            "{} brokers, segments of {} bytes, checkpoints every {} ms, syncs of {} us, \
             latencies of {} us",
            cluster.brokers,
            cluster.broker.segment_bytes,
            cluster.broker.checkpoint_interval_ms,
            range(drawn.disk.sync_us),
            range(drawn.network.latency_us),
        ),
        format!("topics {}; faults {}", list(&topics), list(&kinds)),
    ];
    if let Some(cpu) = cluster.cpu {
        lines.push(format!(
            "brokers' work takes {} times as long",
            cpu.slowdown
        ));
    }
    let all = self::topics(full).into_iter().chain(self::kinds(full));
    let left_out: Vec<&str> = all
        .filter(|name| !topics.contains(name) && !kinds.contains(name))
        .collect();
    if !left_out.is_empty() {
        lines.push(format!("left out {}", left_out.join(", ")));
    }
    lines
}

fn topics(scenario: &Scenario) -> BTreeSet<&str> {
    let workloads = scenario.workloads.iter();
    workloads.map(|workload| workload.topic()).collect()
}

fn kinds(scenario: &Scenario) -> BTreeSet<&'static str> {
    let rules = scenario.faults.iter();
    rules.map(|rule| rule.harm.kind().name()).collect()
}

fn list(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

fn range(range: Between) -> String {
    format!("{} to {}", range.low, range.high)
}
