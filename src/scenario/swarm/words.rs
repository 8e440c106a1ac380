//! The choices of a seed, for a person.

use std::collections::BTreeSet;

use super::{Swarm, draw};
use crate::scenario::{Begin, Between, EndsBy, Scenario, Spelling, Workload};

/// A line for what there is, one for the faults, and one for what is left out.
pub(super) fn words(full: &Scenario, swarm: &Swarm, seed: u64) -> Vec<String> {
    let drawn = &full.drawn(seed);
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
    if drawn.disk.sync_tail > 0.0 {
        lines.push(format!(
            "{:.1} % of the syncs take up to {} us",
            100.0 * drawn.disk.sync_tail,
            drawn.disk.sync_tail_max_us
        ));
    }
    if let Some(cpu) = cluster.cpu {
        lines.push(format!(
            "brokers' work takes {} times as long",
            cpu.slowdown
        ));
    }
    let settings = draw::settings_of_their_own(swarm).filter_map(|range| {
        let value = draw::values(range, seed).next()?;
        Some(format!("{} {value}", range.row.key.name))
    });
    let settings: Vec<String> = settings.collect();
    if !settings.is_empty() {
        lines.push(format!("settings: {}", settings.join(", ")));
    }
    let habits: Vec<String> = drawn.workloads.iter().filter_map(habits).collect();
    if !habits.is_empty() {
        lines.push(format!("habits: {}", habits.join("; ")));
    }
    let crashes: BTreeSet<&str> = drawn
        .faults
        .iter()
        .filter_map(|rule| rule.then.as_ref().map(|_| rule.action.kind().name()))
        .collect();
    if !crashes.is_empty() {
        lines.push(format!("crashes soon after {}", list(&crashes)));
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

/// The habits of a workload's clients that ours would not have.
fn habits(workload: &Workload) -> Option<String> {
    let mut habits = Vec::new();
    match workload {
        Workload::Send(send) if send.oneway_one_in > 0 => {
            habits.push(format!("one in {} sent one-way", send.oneway_one_in));
        }
        Workload::Send(_) | Workload::RedPacket(_) => {}
        Workload::Pay(pay) => {
            if pay.ends_by != EndsBy::default() {
                habits.push(format!("ends by {:?}", pay.ends_by));
            }
            habits.extend(pay.ends_oneway.then(|| "ends one-way".to_owned()));
        }
        Workload::Consume(consume) => {
            let equal_ids = consume.membership.as_ref().is_some_and(|it| it.equal_ids);
            habits.extend(equal_ids.then(|| "equal ids".to_owned()));
            habits.extend(consume.commits_late.then(|| "commits late".to_owned()));
            if consume.from != Begin::default() {
                habits.push(format!("from {:?}", consume.from));
            }
            if consume.spelling != Spelling::default() {
                habits.push(format!("heartbeats of {:?}", consume.spelling));
            }
        }
    }
    let topic = workload.topic();
    (!habits.is_empty()).then(|| format!("{topic}: {}", habits.join(", ").to_lowercase()))
}

fn topics(scenario: &Scenario) -> BTreeSet<&str> {
    let workloads = scenario.workloads.iter();
    workloads.map(|workload| workload.topic()).collect()
}

fn kinds(scenario: &Scenario) -> BTreeSet<&'static str> {
    let rules = scenario.faults.iter();
    rules.map(|rule| rule.action.kind().name()).collect()
}

fn list(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

fn range(range: Between) -> String {
    format!("{} to {}", range.low, range.high)
}
