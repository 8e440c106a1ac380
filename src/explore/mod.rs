//! Many runs: every scenario over its seeds, on all cores.
//!
//! Promise: results come out in the order of the scenarios, and of the seeds
//! within one, whatever the number of workers; each run has a fresh thread; a
//! panic is a result, and a run that hangs ends the exploration.
//!
//! ```text
//!   jobs ──> runs in flight (a thread each) ──> results, in any order
//!                 │                                   │
//!             watchdog                       reordered, added up
//!                                                     │
//!        first unfit seed once more, with timeline <──┴──> report
//! ```
//!
//! A runner that only pretends, over four seeds, with one of which it panics:
//!
//! ```
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! #
//! use zeroloss::explore::{Job, Observer, Runner, Settings, explore};
//! use zeroloss::report::ScenarioReport;
//! # use zeroloss::report::RunReport;
//! use zeroloss::scenario::{RunOptions, Scenario, load};
//!
//! #[derive(Default)]
//! struct Reports(Vec<ScenarioReport>);
//! impl Observer for Reports {
//!     fn run_ended(&mut self) {}
//!     fn scenario_ended(&mut self, report: ScenarioReport) -> std::io::Result<()> {
//!         Ok(self.0.push(report))
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # fn passed(scenario: &Scenario, seed: u64) -> RunReport {
//! #     let passed = zeroloss::check::Verdict::Pass;
//! #     let report = RunReport::crashed(&scenario.id, seed, "");
//! #     RunReport { verdict: passed, findings: Vec::new(), ..report }
//! # }
//! let runner: Arc<dyn Runner> = Arc::new(|scenario: &Scenario, seed, _: &RunOptions| match seed {
//!     2 => panic!("index out of bounds"),
//!     _ => passed(scenario, seed),
//! });
//! let scenario = Arc::new(load("scenarios/single/power-any.toml".as_ref())?);
//! let settings = Settings { jobs: 2, oracle: true, hang_after: Duration::from_secs(60) };
//! let mut reports = Reports::default();
//! explore(&runner, &[Job { scenario, seeds: 0..4 }], &settings, &mut reports)?;
//! assert_eq!(reports.0[0].tally.to_string(), "3 pass, 1 crashed");
//! # Ok(())
//! # }
//! ```

mod panics;
mod progress;
pub mod sweep;
mod thread;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::report::{RunReport, ScenarioReport, text};
use crate::scenario::{RunOptions, Scenario};

use panics::caught;
use progress::ScenarioProgress;
use thread::Threads;

pub use thread::Hung;

/// A function that can do one run. Called on a fresh thread for each; equal arguments
/// must give equal reports. A panic is caught and judged as a crash of the product.
pub trait Runner: Send + Sync + 'static {
    /// One run of `scenario` with `seed`, judged.
    fn run(&self, scenario: &Scenario, seed: u64, options: &RunOptions) -> RunReport;
}

impl<F> Runner for F
where
    F: Fn(&Scenario, u64, &RunOptions) -> RunReport + Send + Sync + 'static,
{
    fn run(&self, scenario: &Scenario, seed: u64, options: &RunOptions) -> RunReport {
        self(scenario, seed, options)
    }
}

/// A scenario and the seeds to run it with.
#[derive(Debug, Clone)]
pub struct Job {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// The seeds; the end is excluded.
    pub seeds: Range<u64>,
}

/// How to explore.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Runs at the same time, at least 1.
    pub jobs: usize,
    /// Ask the white-box oracles too.
    pub oracle: bool,
    /// A run that uses more CPU time hangs; so does one that takes twenty times as long by
    /// the wall clock.
    pub hang_after: Duration,
}

/// The messages of an exploration while it goes on.
pub trait Observer {
    /// One more run is over.
    fn run_ended(&mut self);
    /// A scenario is over, and all those before it.
    ///
    /// # Errors
    ///
    /// An error that keeps the report from being shown; it ends the exploration.
    fn scenario_ended(&mut self, report: ScenarioReport) -> std::io::Result<()>;
}

/// Why an exploration ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExploreError {
    /// A run did not return.
    #[error(transparent)]
    Hung(#[from] Hung),
    /// A report could not be shown.
    #[error("cannot write the report: {0}")]
    Output(#[from] std::io::Error),
}

/// Runs every job and reports to `observer`.
///
/// # Errors
///
/// A hung run (its thread cannot be ended: end the process), or an output that
/// failed.
pub fn explore(
    runner: &Arc<dyn Runner>,
    jobs: &[Job],
    settings: &Settings,
    observer: &mut dyn Observer,
) -> Result<(), ExploreError> {
    let mut exploration = Exploration {
        runner,
        jobs,
        scenarios: jobs.iter().map(ScenarioProgress::new).collect(),
        unstarted: runs(jobs),
        closer_looks: Vec::new(),
        shown: 0,
    };
    let mut threads = Threads::new(settings.hang_after);
    loop {
        exploration.start(&mut threads, settings);
        exploration.show(observer)?;
        if threads.running() == 0 {
            return Ok(());
        }
        let (key, report) = threads.next()?;
        observer.run_ended();
        exploration.take(key, report);
    }
}

/// One run on a fresh thread, as [`explore`] does it.
///
/// # Errors
///
/// Where it hangs.
pub fn run_once(
    runner: &Arc<dyn Runner>,
    scenario: &Arc<Scenario>,
    seed: u64,
    options: RunOptions,
    hang_after: Duration,
) -> Result<RunReport, Hung> {
    let mut threads = Threads::new(hang_after);
    let (job, look) = (0, Look::First);
    let key = RunKey { job, seed, look };
    start(&mut threads, key, runner, scenario, options);
    threads.next().map(|(_, report)| report)
}

fn start(
    threads: &mut Threads<RunKey, RunReport>,
    key: RunKey,
    runner: &Arc<dyn Runner>,
    scenario: &Arc<Scenario>,
    options: RunOptions,
) {
    let if_hung = Hung {
        scenario: scenario.id.clone(),
        seed: key.seed,
        reproduce: text::replay(&scenario.file, key.seed),
    };
    let (runner, scenario) = (runner.clone(), scenario.clone());
    threads.start(key, if_hung, move || {
        caught(|| runner.run(&scenario, key.seed, &options))
            .unwrap_or_else(|panic| RunReport::crashed(&scenario.id, key.seed, &panic))
    });
}

/// The name of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RunKey {
    job: usize,
    seed: u64,
    look: Look,
}

/// Why a seed is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    First,
    /// Once more, with its timeline: it was the first that did not fit.
    Closer,
}

/// Every run, in order, none of them held in memory.
fn runs(jobs: &[Job]) -> Box<dyn Iterator<Item = RunKey> + '_> {
    let look = Look::First;
    Box::new(
        jobs.iter().enumerate().flat_map(move |(job, of)| {
            of.seeds.clone().map(move |seed| RunKey { job, seed, look })
        }),
    )
}

struct Exploration<'j> {
    runner: &'j Arc<dyn Runner>,
    jobs: &'j [Job],
    scenarios: Vec<ScenarioProgress>,
    unstarted: Box<dyn Iterator<Item = RunKey> + 'j>,
    closer_looks: Vec<RunKey>,
    /// How many scenarios were shown.
    shown: usize,
}

impl Exploration<'_> {
    fn start(&mut self, threads: &mut Threads<RunKey, RunReport>, settings: &Settings) {
        while threads.running() < settings.jobs.max(1) {
            let next = self.closer_looks.pop().or_else(|| self.unstarted.next());
            let Some(key) = next else { return };
            let options = RunOptions {
                oracle: settings.oracle,
                timeline: key.look == Look::Closer,
            };
            let scenario = &self.jobs[key.job].scenario;
            start(threads, key, self.runner, scenario, options);
        }
    }

    fn take(&mut self, key: RunKey, report: RunReport) {
        let scenario = &mut self.scenarios[key.job];
        let unfit_seed = match key.look {
            Look::First => scenario.take_first(key.seed, report),
            Look::Closer => scenario.take_closer(report),
        };
        self.closer_looks.extend(unfit_seed.map(|seed| RunKey {
            job: key.job,
            seed,
            look: Look::Closer,
        }));
    }

    fn show(&mut self, observer: &mut dyn Observer) -> std::io::Result<()> {
        while let Some(report) = self
            .scenarios
            .get_mut(self.shown)
            .and_then(|next| next.finished())
        {
            self.shown += 1;
            observer.scenario_ended(report)?;
        }
        Ok(())
    }
}
