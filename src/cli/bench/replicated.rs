//! The cost of replication: CPU and syncs per acknowledged message.

use std::io::Write;

use clap::Args;

use super::{CommandError, Pairs, Sums, closed_loop};
use crate::scenario::{Scenario, Workload};

#[derive(Debug, Args)]
pub(super) struct ReplicatedArgs {
    /// With Raft: brokers; rows for each
    #[arg(long, value_delimiter = ',', default_values_t = [3, 5])]
    replicas: Vec<u32>,
    /// With Raft: producers, each with one send in flight; a row for each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    producers: Vec<u32>,
    /// With Raft: pairs of a run and a skeleton for each row
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    replicated_pairs: u64,
}

pub(super) fn table(
    scenario: &Scenario,
    args: &ReplicatedArgs,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    writeln!(out, "{}, without its faults", scenario.id)?;
    heading(
        out,
        ["", "µs CPU", "", "deliveries", "writes", "syncs", "syncs"],
    )?;
    let names = [
        "acked",
        "per",
        "ratio",
        "per acked",
        "per acked",
        "of the",
        "of all",
    ];
    heading(out, names)?;
    heading(out, ["", "acked", "", "", "", "leader", "per acked"])?;
    heading(out, ["", "", "", "", "", "per acked", ""])?;
    for replicas in &args.replicas {
        for producers in &args.producers {
            let scenario = faultless(scenario, *replicas, *producers);
            let pairs = Pairs::of(&scenario, args.replicated_pairs);
            let name = format!("n = {replicas}, producers: {producers}");
            row(out, &name, &pairs.runs, Some(pairs.median_ratio()))?;
            row(out, "  its skeleton", &pairs.skeletons, None)?;
        }
    }
    Ok(())
}

fn heading(out: &mut dyn Write, names: [&str; 7]) -> Result<(), CommandError> {
    let [acked, cpu, ratio, deliveries, writes, leaders, all] = names;
    writeln!(
        out,
        "{:<22} {acked:>8} {cpu:>7} {ratio:>6} {deliveries:>10} {writes:>9} {leaders:>9} {all:>9}",
        ""
    )?;
    Ok(())
}

fn row(
    out: &mut dyn Write,
    name: &str,
    sums: &Sums,
    ratio: Option<f64>,
) -> Result<(), CommandError> {
    let costs = &sums.costs;
    let per_acked = |count: u64| count as f64 / costs.acknowledged as f64;
    let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    writeln!(
        out,
        "{name:<22} {:>8} {:>7.2} {ratio:>6} {:>10.2} {:>9.2} {:>9.3} {:>9.3}",
        costs.acknowledged,
        per_acked(sums.cpu_ns) / 1e3,
        per_acked(costs.deliveries),
        per_acked(costs.disk.writes),
        per_acked(costs.leader_syncs),
        per_acked(costs.disk.syncs),
    )?;
    Ok(())
}

/// The scenario with so many brokers and producers, each of which waits for its
/// answer, and nothing that goes wrong.
fn faultless(scenario: &Scenario, replicas: u32, producers: u32) -> Scenario {
    let mut scenario = closed_loop(scenario, 1);
    scenario.faults.clear();
    scenario.cluster.brokers = replicas;
    for workload in &mut scenario.workloads {
        if let Workload::Send(send) = workload {
            send.producers = producers;
        }
    }
    scenario
}
