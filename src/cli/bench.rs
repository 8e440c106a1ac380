//! `bench`: what a run costs, beside a bare skeleton of itself.
//!
//! CPU time is the thread's own. Runs and skeletons take turns, so that the
//! ratio holds when the machine's speed drifts.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::CommandError;
use super::allocations;
use crate::check::Verdict;
use crate::scenario::{self, RunOptions, Scenario, Workload};
use crate::sim::{DiskLatency, Latency, LinkConfig, RunCosts, SkeletonPlan};
use crate::sim::{run_measured, run_skeleton};

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// The scenario; its producers send as fast as their sends in flight let
    /// them.
    #[arg(default_value = "scenarios/acts/2-sync-flush-power-loss.toml")]
    file: PathBuf,
    /// Pairs of a run and a skeleton for each row.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pairs: u64,
    /// Also do so many short runs in this process, and show its memory.
    #[arg(long, value_name = "RUNS")]
    memory: Option<u64>,
}

/// Sums over some runs.
#[derive(Debug, Default)]
struct Sums {
    costs: RunCosts,
    runs: u64,
    void: u64,
    cpu_ns: u64,
    allocations: u64,
}

pub(super) fn bench(args: &BenchArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let scenario = scenario::load(&args.file)?;
    writeln!(
        out,
        "{:<22} {:>8} {:>9} {:>9} {:>9} {:>8} {:>8} {:>7}",
        "", "acked", "acked per", "simulated", "non-void", "µs CPU", "events", "allocs"
    )?;
    writeln!(
        out,
        "{:<22} {:>8} {:>9} {:>9} {:>9} {:>8} {:>8} {:>7}",
        "", "", "CPU-s", "s per", "runs per", "per", "per", "per"
    )?;
    writeln!(
        out,
        "{:<22} {:>8} {:>9} {:>9} {:>9} {:>8} {:>8} {:>7}",
        "", "", "", "CPU-s", "CPU-s", "acked", "acked", "acked"
    )?;
    for in_flight in [1, 16] {
        compare(&scenario, in_flight, args.pairs, out)?;
    }
    if let Some(runs) = args.memory {
        memory(&scenario, runs, out)?;
    }
    Ok(())
}

fn compare(
    scenario: &Scenario,
    in_flight: u32,
    pairs: u64,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let scenario = closed_loop(scenario, in_flight);
    let (mut runs, mut skeletons) = (Sums::default(), Sums::default());
    let mut ratios = Vec::new();
    for seed in 0..pairs {
        let (before_run, before_skeleton) = (runs.cpu_ns, skeletons.cpu_ns);
        let like = measure(&mut runs, {
            let scenario = scenario.clone();
            move || {
                let (report, costs) = run_measured(&scenario, seed, &RunOptions::default());
                (costs, report.verdict == Verdict::Void)
            }
        });
        let plan = skeleton_of(&scenario, in_flight, like);
        measure(&mut skeletons, move || (run_skeleton(&plan, seed), false));
        let run_ns = (runs.cpu_ns - before_run) as f64;
        ratios.push(run_ns / (skeletons.cpu_ns - before_skeleton) as f64);
    }
    ratios.sort_by(f64::total_cmp);
    row(out, &format!("{in_flight} in flight"), &runs)?;
    // Per message that the run acknowledged, not per exchange of its own.
    skeletons.costs.acknowledged = runs.costs.acknowledged;
    row(out, "  its skeleton", &skeletons)?;
    writeln!(
        out,
        "  CPU of the run / CPU of its skeleton: median {:.2} (least {:.2}, most {:.2})",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    )?;
    let per_sync = runs.costs.acknowledged as f64 / runs.costs.disk.syncs.max(1) as f64;
    let same = |run: u64, skeleton: u64| skeleton as f64 / run.max(1) as f64;
    writeln!(
        out,
        "  acked per sync {per_sync:.1}; the skeleton's deliveries {:.2}, writes {:.2}, syncs {:.2} of the run's",
        same(runs.costs.deliveries, skeletons.costs.deliveries),
        same(runs.costs.disk.writes, skeletons.costs.disk.writes),
        same(runs.costs.disk.syncs, skeletons.costs.disk.syncs),
    )?;
    Ok(())
}

fn row(out: &mut dyn Write, name: &str, sums: &Sums) -> Result<(), CommandError> {
    let Sums {
        costs,
        runs,
        void,
        cpu_ns,
        allocations,
    } = sums;
    let cpu_s = *cpu_ns as f64 / 1e9;
    let acked = costs.acknowledged as f64;
    writeln!(
        out,
        "{name:<22} {:>8} {:>9.0} {:>9.0} {:>9.1} {:>8.2} {:>8.2} {:>7.1}",
        costs.acknowledged,
        acked / cpu_s,
        costs.simulated_ns as f64 / 1e9 / cpu_s,
        (runs - void) as f64 / cpu_s,
        cpu_s * 1e6 / acked,
        costs.events as f64 / acked,
        *allocations as f64 / acked,
    )?;
    Ok(())
}

/// The scenario with so many sends in flight, and no rate.
fn closed_loop(scenario: &Scenario, in_flight: u32) -> Scenario {
    let mut scenario = scenario.clone();
    for workload in &mut scenario.workloads {
        if let Workload::Send(send) = workload {
            send.in_flight = in_flight;
            send.rate_per_s = None;
        }
    }
    scenario
}

fn skeleton_of(scenario: &Scenario, in_flight: u32, like: RunCosts) -> SkeletonPlan {
    let us = |range: scenario::Between| Latency::uniform(range.low * 1_000, range.high * 1_000);
    SkeletonPlan {
        clients: scenario.producers().len() as u32,
        in_flight: u64::from(in_flight),
        like,
        link: LinkConfig {
            latency: us(scenario.network.latency_us),
            ..LinkConfig::default()
        },
        disk: DiskLatency {
            sync: us(scenario.disk.sync_us),
        },
    }
}

/// Does `work` on a fresh thread, and adds what it cost.
fn measure(sums: &mut Sums, work: impl FnOnce() -> (RunCosts, bool) + Send + 'static) -> RunCosts {
    let measured = std::thread::Builder::new().spawn(move || {
        let (cpu_ns, allocated) = (thread_cpu_ns(), allocations::so_far());
        let (costs, void) = work();
        (
            costs,
            void,
            thread_cpu_ns() - cpu_ns,
            allocations::so_far() - allocated,
        )
    });
    let thread = measured.expect("the system has a thread left");
    let (costs, void, cpu_ns, allocations) = thread.join().expect("a run under bench");
    sums.runs += 1;
    sums.void += u64::from(void);
    sums.cpu_ns += cpu_ns;
    sums.allocations += allocations;
    sums.costs.acknowledged += costs.acknowledged;
    sums.costs.simulated_ns += costs.simulated_ns;
    sums.costs.deliveries += costs.deliveries;
    sums.costs.events += costs.events;
    sums.costs.disk.writes += costs.disk.writes;
    sums.costs.disk.syncs += costs.disk.syncs;
    costs
}

fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Resident memory of this process after each tenth of `runs` short runs.
fn memory(scenario: &Scenario, runs: u64, out: &mut dyn Write) -> Result<(), CommandError> {
    let mut short = scenario.clone();
    short.run.duration_ms = 100;
    for fault in &mut short.faults {
        fault.at_ms = scenario::Between { low: 30, high: 80 };
    }
    let step = (runs / 10).max(1);
    writeln!(out, "resident memory over {runs} runs in one process, MiB:")?;
    for seed in 0..runs {
        if seed % step == 0 {
            write!(out, " {:.1}", resident_mib()?)?;
        }
        let short = short.clone();
        measure(&mut Sums::default(), move || {
            (run_measured(&short, seed, &RunOptions::default()).1, false)
        });
    }
    writeln!(out, " {:.1}", resident_mib()?)?;
    Ok(())
}

fn resident_mib() -> Result<f64, CommandError> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse::<u64>().ok());
    let bytes = pages.unwrap_or(0) * rustix::param::page_size() as u64;
    Ok(bytes as f64 / f64::from(1 << 20))
}
