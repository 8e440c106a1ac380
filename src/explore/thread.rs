//! A fresh thread for each run, and a watchdog over them.
//!
//! The simulator needs the fresh thread for its determinism (its hash seeds are
//! taken from a thread's first use). The watchdog needs wall time: a run that
//! loops without ever yielding cannot be ended from inside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::report::RunReport;
use crate::scenario::{RunOptions, Scenario};

use super::panics::caught;
use super::{RunKey, Runner};

/// Simulated nodes run on the stack of their run's thread.
const STACK_BYTES: usize = 16 << 20;

/// A run that did not return.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("HUNG {scenario}  seed={seed}\n  reproduce: zeroloss replay {file} --seed {seed}")]
pub struct Hung {
    /// The scenario's id.
    pub scenario: String,
    /// Its file.
    pub file: String,
    /// The seed.
    pub seed: u64,
}

/// Runs in flight.
pub(super) struct Threads {
    runner: Arc<dyn Runner>,
    hang_after: Duration,
    running: BTreeMap<RunKey, Running>,
    results: Receiver<(RunKey, RunReport)>,
    sender: Sender<(RunKey, RunReport)>,
}

struct Running {
    scenario: Arc<Scenario>,
    since: Instant,
}

impl Threads {
    pub(super) fn new(runner: &Arc<dyn Runner>, hang_after: Duration) -> Self {
        let (sender, results) = channel();
        Self {
            runner: runner.clone(),
            hang_after,
            running: BTreeMap::new(),
            results,
            sender,
        }
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Starts a run on a thread of its own.
    ///
    /// # Panics
    ///
    /// Where the system gives no thread.
    pub(super) fn start(&mut self, key: RunKey, scenario: &Arc<Scenario>, options: RunOptions) {
        let running = Running {
            scenario: scenario.clone(),
            since: now(),
        };
        self.running.insert(key, running);
        let (runner, scenario) = (self.runner.clone(), scenario.clone());
        let sender = self.sender.clone();
        let run = move || {
            let report = caught(|| runner.run(&scenario, key.seed, &options))
                .unwrap_or_else(|panic| RunReport::crashed(&scenario.id, key.seed, &panic));
            // Nobody listens any more once an exploration ended early.
            let _ = sender.send((key, report));
        };
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn(run).expect("the system gives a thread");
    }

    /// Waits for a run to end.
    pub(super) fn next(&mut self) -> Result<(RunKey, RunReport), Hung> {
        loop {
            let oldest = self.running.values().min_by_key(|run| run.since);
            let oldest = oldest.expect("waits only for what was started");
            let left = self.hang_after.saturating_sub(now() - oldest.since);
            match self.results.recv_timeout(left) {
                Ok((key, report)) => {
                    self.running.remove(&key);
                    return Ok((key, report));
                }
                Err(RecvTimeoutError::Timeout) => self.check_hung()?,
                Err(RecvTimeoutError::Disconnected) => unreachable!("a sender is kept here"),
            }
        }
    }

    fn check_hung(&self) -> Result<(), Hung> {
        let now = now();
        let hung = self.running.iter();
        let mut hung = hung.filter(|(_, run)| now - run.since >= self.hang_after);
        match hung.next() {
            None => Ok(()),
            Some((key, run)) => Err(Hung {
                scenario: run.scenario.id.clone(),
                file: run.scenario.file.clone(),
                seed: key.seed,
            }),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the watchdog is the one place that needs the wall clock"
)]
fn now() -> Instant {
    Instant::now()
}
