//! A fresh thread for each run, and a watchdog over them.
//!
//! The simulator needs the fresh thread for its determinism (its hash seeds are
//! taken from a thread's first use). The watchdog stands outside: a run that loops
//! without ever yielding cannot be ended from inside. It counts CPU time, since a
//! machine that is busy with other work slows a run down as much as it likes: each run's
//! share of this process' own. Only a run that waits for ever, and needs none, is given a
//! multiple of it as wall time.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Simulated nodes run on the stack of their run's thread.
const STACK_BYTES: usize = 16 << 20;

/// So many times longer than it may compute, a run may take.
const WALL_FACTOR: u32 = 20;

/// A run that hangs is noticed so much later, at most.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// A run that did not return.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("HUNG {scenario}  seed={seed}\n  reproduce: {reproduce}")]
pub struct Hung {
    /// The scenario's id.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The command that does it again.
    pub reproduce: String,
}

/// Runs in flight, by a key of the caller's, each with a result.
pub(super) struct Threads<K, T> {
    hang_after: Duration,
    running: BTreeMap<K, Running>,
    /// CPU time of this process that the runs have been charged with.
    charged: Duration,
    results: Receiver<(K, T)>,
    sender: Sender<(K, T)>,
}

struct Running {
    if_hung: Hung,
    since: Instant,
    /// Its share of the process' CPU time.
    cpu: Duration,
}

impl<K: Ord + Copy + Send + 'static, T: Send + 'static> Threads<K, T> {
    pub(super) fn new(hang_after: Duration) -> Self {
        let (sender, results) = channel();
        Self {
            hang_after,
            running: BTreeMap::new(),
            charged: process_cpu(),
            results,
            sender,
        }
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Starts `work`, which must not panic, on a thread of its own.
    ///
    /// # Panics
    ///
    /// Where the system gives no thread.
    pub(super) fn start(
        &mut self,
        key: K,
        if_hung: Hung,
        work: impl FnOnce() -> T + Send + 'static,
    ) {
        self.charge(process_cpu());
        let run = Running {
            if_hung,
            since: now(),
            cpu: Duration::ZERO,
        };
        self.running.insert(key, run);
        let sender = self.sender.clone();
        // Nobody listens any more once an exploration ended early.
        let run = move || drop(sender.send((key, work())));
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn(run).expect("the system gives a thread");
    }

    /// Waits for a run to end.
    pub(super) fn next(&mut self) -> Result<(K, T), Hung> {
        loop {
            self.charge(process_cpu());
            self.check_hung()?;
            match self.results.recv_timeout(LOOKS_EVERY) {
                Ok((key, report)) => {
                    self.charge(process_cpu());
                    self.running.remove(&key);
                    return Ok((key, report));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("a sender is kept here"),
            }
        }
    }

    /// Each run has an equal share of what the process used while it was one of so many.
    fn charge(&mut self, process_cpu: Duration) {
        let used = process_cpu - std::mem::replace(&mut self.charged, process_cpu);
        let runs = self.running.len().max(1) as u32;
        for run in self.running.values_mut() {
            run.cpu += used / runs;
        }
    }

    fn check_hung(&self) -> Result<(), Hung> {
        let now = now();
        let is_hung = |run: &&Running| {
            run.cpu >= self.hang_after || now - run.since >= self.hang_after * WALL_FACTOR
        };
        match self.running.values().find(is_hung) {
            None => Ok(()),
            Some(run) => Err(run.if_hung.clone()),
        }
    }
}

/// CPU time of this process, all its threads together.
fn process_cpu() -> Duration {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(cpu.tv_sec as u64, cpu.tv_nsec as u32)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the watchdog is the one place that needs the wall clock"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn run() -> Running {
        let if_hung = Hung {
            scenario: "a".to_owned(),
            seed: 0,
            reproduce: String::new(),
        };
        Running {
            if_hung,
            since: now(),
            cpu: Duration::ZERO,
        }
    }

    #[test]
    fn a_run_is_charged_with_its_share_alone() {
        let mut threads: Threads<u32, ()> = Threads::new(120 * S);
        threads.charged = Duration::ZERO;
        threads.running.insert(0, run());
        threads.running.insert(1, run());
        threads.charge(200 * S);
        threads.running.remove(&0);
        assert!(threads.check_hung().is_ok(), "it has used 100 s of the 200");
        threads.charge(219 * S);
        assert!(threads.check_hung().is_ok());
        threads.charge(220 * S);
        assert!(threads.check_hung().is_err());
    }
}
