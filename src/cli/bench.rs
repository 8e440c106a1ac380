//! `bench`: what a run costs, beside a bare skeleton of itself.
//!
//! CPU time is the thread's own. Runs and skeletons take turns, so that the ratio
//! holds when the machine's speed drifts. The calls that a skeleton plays are
//! recorded from another run with the same seed, which is not measured. Replicated
//! scenarios have a table of their own.

mod replicated;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::CommandError;
use super::allocations;
use crate::check::Verdict;
use crate::scenario::{self, RunOptions, Scenario, Workload};
use crate::sim::{RunCosts, Script, run_measured, run_recorded, run_skeleton};

const SINGLE: &str = "scenarios/acts/2-sync-flush-power-loss.toml";
const REPLICATED: &str = "scenarios/acts/4-raft-disk-destroyed.toml";

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// The scenario; its producers send as fast as their sends in flight let
    /// them [default: act 2, then act 4]
    file: Option<PathBuf>,
    /// Pairs of a run and a skeleton for each row of a single broker
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pairs: u64,
    /// Sends that each producer keeps in flight; a row for each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    in_flight: Vec<u32>,
    #[command(flatten)]
    replicated: replicated::ReplicatedArgs,
    /// Also do so many short runs in this process, and show its memory
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

/// Runs, each beside its skeleton.
#[derive(Debug, Default)]
struct Pairs {
    runs: Sums,
    /// They acknowledge nothing: per message that the runs did.
    skeletons: Sums,
    /// CPU of a run by that of its skeleton, the least first.
    ratios: Vec<f64>,
}

impl Pairs {
    /// The first so many seeds of a scenario.
    fn of(scenario: &Scenario, pairs: u64) -> Self {
        let mut all = Self::default();
        for seed in 0..pairs {
            all.add(scenario, seed);
        }
        all.ratios.sort_by(f64::total_cmp);
        all.skeletons.costs.acknowledged = all.runs.costs.acknowledged;
        all
    }

    fn add(&mut self, scenario: &Scenario, seed: u64) {
        let script = record(scenario, seed);
        let run = scenario.clone();
        let run_ns = measure(&mut self.runs, move || {
            let (report, costs) = run_measured(&run, seed, &RunOptions::default());
            (costs, report.verdict == Verdict::Void)
        });
        let played = scenario.clone();
        let skeleton_ns = measure(&mut self.skeletons, move || {
            (run_skeleton(&played, seed, script), false)
        });
        self.ratios.push(run_ns as f64 / skeleton_ns as f64);
    }

    fn median_ratio(&self) -> f64 {
        self.ratios[self.ratios.len() / 2]
    }
}

pub(super) fn bench(args: &BenchArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let files = match &args.file {
        Some(file) => vec![file.as_path()],
        None => vec![Path::new(SINGLE), Path::new(REPLICATED)],
    };
    for file in files {
        let scenario = scenario::load(file)?;
        match scenario.cluster.is_replicated() {
            true => replicated::table(&scenario, &args.replicated, out)?,
            false => single(&scenario, args, out)?,
        }
        if let Some(runs) = args.memory {
            memory(&scenario, runs, out)?;
        }
    }
    Ok(())
}

fn single(scenario: &Scenario, args: &BenchArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    writeln!(out, "{}", scenario.id)?;
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
    for in_flight in &args.in_flight {
        compare(scenario, *in_flight, args.pairs, out)?;
    }
    Ok(())
}

fn compare(
    scenario: &Scenario,
    in_flight: u32,
    pairs: u64,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let pairs = Pairs::of(&closed_loop(scenario, in_flight), pairs);
    row(out, &format!("{in_flight} in flight"), &pairs.runs)?;
    row(out, "  its skeleton", &pairs.skeletons)?;
    writeln!(
        out,
        "  CPU of the run / CPU of its skeleton: median {:.2} (least {:.2}, most {:.2})",
        pairs.median_ratio(),
        pairs.ratios[0],
        pairs.ratios[pairs.ratios.len() - 1]
    )?;
    operations(out, &pairs.runs.costs, &pairs.skeletons.costs)
}

/// That both did the same, for everyone to see.
fn operations(
    out: &mut dyn Write,
    run: &RunCosts,
    skeleton: &RunCosts,
) -> Result<(), CommandError> {
    writeln!(
        out,
        "  {:<20} {:>10} {:>7} {:>8} {:>7} {:>7} {:>8} {:>8} {:>7}",
        "what both did", "deliveries", "MiB", "writes", "MiB", "syncs", "reads", "MiB", "changes"
    )?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    for (name, costs) in [("the run", run), ("its skeleton", skeleton)] {
        let disk = &costs.disk;
        writeln!(
            out,
            "  {name:<20} {:>10} {:>7.2} {:>8} {:>7.2} {:>7} {:>8} {:>8.2} {:>7}",
            costs.deliveries,
            mib(costs.delivered_bytes),
            disk.writes,
            mib(disk.written_bytes),
            disk.syncs,
            disk.reads,
            mib(disk.read_bytes),
            disk.changes,
        )?;
    }
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

/// The requests of the processes of a run to their world.
fn record(scenario: &Scenario, seed: u64) -> Script {
    let scenario = scenario.clone();
    let recorded = std::thread::Builder::new().spawn(move || run_recorded(&scenario, seed));
    let thread = recorded.expect("the system has a thread left");
    thread.join().expect("a run under bench")
}

/// Does `work` on a fresh thread, and adds what it cost; returns the CPU
/// nanoseconds.
fn measure(sums: &mut Sums, work: impl FnOnce() -> (RunCosts, bool) + Send + 'static) -> u64 {
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
    sums.costs.add(&costs);
    cpu_ns
}

/// CPU time of this thread, nanoseconds.
pub(super) fn thread_cpu_ns() -> u64 {
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
