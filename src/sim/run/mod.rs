//! One run: one scenario, one seed, judged.
//!
//! ```text
//!   plan(scenario, seed) ─▶ safety phase: workloads under faults
//!                               │  duration
//!                               ▼
//!                           everything heals: disks, links, processes
//!                               │  probe acknowledged, sends ended
//!                               ▼
//!                           groups catch up, a fresh reader reads all
//!                               ▼
//!                           history, ledger ─▶ judge
//! ```

mod actions;
mod admin;
mod blame;
mod budget;
mod clients;
mod clocks;
mod cluster;
mod columns;
mod consumers;
mod crash;
mod cuts;
mod databases;
mod entries;
mod faults;
mod follower;
mod healing;
mod links;
mod observed;
mod operator;
mod phases;
mod process;
mod recovery;
mod steps;
mod strangers;
#[cfg(test)]
mod tests;
mod timeline;
mod transaction_steps;
mod transcript;
mod traps;
mod victims;
mod watch;
mod windows;

use std::sync::Arc;

use madsim::runtime::{Handle, Runtime};

use self::phases::Run;
use super::boundary::{Boundaries, Boundary};
use super::costs::RunCosts;
use super::skeleton::Script;
use super::tap::Tap;
use super::world::{DriveEnd, Inner, World, drive};
use crate::check::read_committed::CommitFact;
use crate::check::replicas::Cluster;
use crate::check::{Ending, Evidence, Finding, judge};
use crate::history::History;
use crate::report::{RunReport, Trace};
use crate::scenario::{CrashPoint, RunOptions, Scenario, Workload};

/// Runs `scenario` with `seed`. To be called on a fresh thread: madsim's
/// repeatability begins there.
///
/// # Panics
/// Where product code panics.
pub fn run(scenario: &Scenario, seed: u64, options: &RunOptions) -> RunReport {
    run_measured(scenario, seed, options).0
}

/// As [`run`], with what the run did in numbers.
///
/// # Panics
/// Where product code panics.
pub fn run_measured(scenario: &Scenario, seed: u64, options: &RunOptions) -> (RunReport, RunCosts) {
    let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
    runtime.block_on(run_here(&scenario.drawn(seed), seed, options))
}

/// The transcript of one transaction of the run of `scenario` with `seed`, for somebody
/// who knows nothing of the code: the first that was committed while the leader
/// died, so that nobody heard of the commit, and whose order got its red packet
/// all the same. `None`: there was none.
///
/// To be called on a fresh thread, as [`run`].
///
/// # Panics
/// Where product code panics.
pub fn transcript_of(scenario: &Scenario, seed: u64) -> Option<String> {
    let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
    runtime.block_on(async {
        let scenario = scenario.drawn(seed);
        let run = Run::new(&scenario, seed, &RunOptions::default(), Handle::current());
        let (run, _) = to_its_end(run).await;
        let history = run.recorder.take();
        transcript::tell(&run, &history)
    })
}

/// As [`run`], for what its processes asked of their world.
///
/// # Panics
/// Where product code panics.
pub fn run_recorded(scenario: &Scenario, seed: u64) -> Script {
    let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
    runtime.block_on(async {
        let scenario = scenario.drawn(seed);
        let run = Run::new(&scenario, seed, &RunOptions::default(), Handle::current());
        let world = Arc::clone(&run.world);
        world.keep_calls();
        drop(to_its_end(run).await);
        world.take_script()
    })
}

/// The result of a run with crashes at boundaries.
#[derive(Debug, Clone)]
pub struct Swept {
    /// Judged by every check.
    pub judged: RunReport,
    /// The same run, judged by what clients saw alone.
    pub black_box: RunReport,
    /// How many crashes there were.
    pub crashes: usize,
    /// The content that power losses left, in their order: a number for each disk.
    pub left: Vec<u64>,
    /// The boundaries behind the last crash, where they were asked for.
    pub boundaries: Vec<Boundary>,
}

/// The wishes of a sweep for a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepOptions {
    /// Record the boundaries behind the last crash.
    pub record: bool,
    /// Keep the full timeline.
    pub timeline: bool,
}

/// As [`run`], with the crashes of `point`.
///
/// # Panics
/// Where product code panics.
pub fn run_swept(
    scenario: &Scenario,
    seed: u64,
    point: &CrashPoint,
    options: SweepOptions,
) -> Swept {
    let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
    let observed = RunOptions {
        oracle: true,
        timeline: options.timeline,
    };
    runtime.block_on(async {
        let scenario = scenario.drawn(seed);
        let mut run = Run::new(&scenario, seed, &observed, Handle::current());
        run.watch_boundaries(point, options.record);
        let (mut run, ending) = to_its_end(run).await;
        let boundaries = run.world.lock().boundaries.take();
        let ended = Ended::of(&mut run, ending, &observed);
        Swept {
            black_box: ended.judged(&run, Observed::default()),
            judged: ended.judged(&run, Observed::taken(&run)),
            crashes: run.crashes,
            left: std::mem::take(&mut run.left),
            boundaries: boundaries.map_or_else(Vec::new, Boundaries::into_record),
        }
    })
}

/// The machines and links of a run, with no process on them and nobody watching.
pub(super) fn empty_world(scenario: &Scenario, seed: u64) -> World {
    let scenario = &scenario.drawn(seed);
    let network = links::config(&scenario.network);
    let world = World::new(seed, network, false, Tap::none());
    for broker in 0..scenario.cluster.machines() {
        world.add_node(cluster::disk(scenario, seed, broker));
    }
    let clients = scenario.workloads.iter().map(Workload::client_count);
    let clients = clients.sum::<u32>() + scenario.databases().len() as u32;
    // And the probe, and the last reader.
    for _ in 0..clients + 2 {
        clients::add_client(&world, seed);
    }
    links::set_up(&world, scenario);
    world
}

async fn run_here(scenario: &Scenario, seed: u64, options: &RunOptions) -> (RunReport, RunCosts) {
    let run = Run::new(scenario, seed, options, Handle::current());
    let world = Arc::clone(&run.world);
    let (run, ending) = to_its_end(run).await;
    let report = report(run, ending, options);
    let leader = world.lock().tap.leader();
    let costs = RunCosts::of(&world, leader, report.counts.acknowledged);
    (report, costs)
}

/// Runs until everything has happened and every process is gone.
async fn to_its_end(mut run: Run<'_>) -> (Run<'_>, Ending) {
    run.begin();
    let world = Arc::clone(&run.world);
    let end = drive(&world, run.events_max(), |step| run.step(step)).await;
    let ending = match end {
        DriveEnd::Control => run.ending.clone(),
        DriveEnd::TooManyEvents | DriveEnd::NothingLeft => run.storm(),
    };
    run.note_fired();
    run.judge_unseen();
    run.judge_unanswered();
    run.end().await;
    (run, ending)
}

fn report(mut run: Run<'_>, ending: Ending, options: &RunOptions) -> RunReport {
    let ended = Ended::of(&mut run, ending, options);
    run.ledger.reopened_ns = run.world.lock().tap.reopened_ns;
    let observed = match options.oracle {
        true => Observed::taken(&run),
        false => Observed::default(),
    };
    ended.judged(&run, observed)
}

/// A run that is over, and what judges it.
struct Ended {
    history: History,
    trace: Trace,
    ending: Ending,
}

/// The observations of white-box oracles and trackers.
#[derive(Default)]
struct Observed {
    findings: Vec<Finding>,
    waived: Vec<Finding>,
    commit_facts: Vec<CommitFact>,
}

impl Observed {
    fn taken(run: &Run<'_>) -> Self {
        let exceeded = run.exceeded_bounds();
        let Inner { core, tap, .. } = &mut *run.world.lock();
        let mut findings = tap.take_findings();
        findings.extend(steps::check(core.loops(), run.scenario));
        findings.extend(exceeded);
        Self {
            findings,
            waived: tap.take_waived(),
            commit_facts: std::mem::take(&mut tap.served_early),
        }
    }
}

impl Ended {
    fn of(run: &mut Run<'_>, ending: Ending, options: &RunOptions) -> Self {
        run.read_databases();
        run.follow();
        let history = run.recorder.take();
        run.observe(&history);
        let (hash, events) = run.world.trace_state();
        let timeline = match options.timeline {
            true => timeline::merge(
                run.world.take_lines(),
                &history,
                run.scenario.cluster.machines(),
            ),
            false => Vec::new(),
        };
        let trace = Trace {
            hash: timeline::with_history(hash, &history),
            events: events + history.entries.len() as u64,
            simulated_ns: run.world.now_ns(),
            timeline,
        };
        Self {
            history,
            trace,
            ending,
        }
    }

    fn judged(&self, run: &Run<'_>, observed: Observed) -> RunReport {
        let liveness = run.liveness();
        let lacks = run.lacks();
        let happened = run.happened();
        let nothing_due = run.why_nothing_is_due();
        let inner = run.world.lock();
        let configuration = run.scenario.configuration();
        let may_lose = |index: usize| configuration.may_lose(&run.ledger.fired[index]);
        let judgement = judge(Evidence {
            configuration,
            faultless: run.scenario.is_faultless(),
            lacks,
            history: &self.history,
            ledger: &run.ledger,
            blame: &|lost| blame::blame(lost, &run.ledger, &run.believed, may_lose, &inner.tap),
            commit_facts: &observed.commit_facts,
            oracle: observed.findings,
            waived: observed.waived,
            has_lapsed: inner.tap.cluster().is_some_and(Cluster::has_lapsed),
            liveness,
            ending: self.ending.clone(),
        });
        let (scenario, trace) = (&run.scenario.id, self.trace.clone());
        let mut report = RunReport::new(scenario, run.seed, trace, &run.ledger, judgement);
        report.happened = happened;
        report.nothing_due = nothing_due;
        report
    }
}
