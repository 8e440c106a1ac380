//! A fresh thread for each run, and a watchdog over them.
//!
//! The simulator needs the fresh thread for its determinism (its hash seeds are
//! taken from a thread's first use). The watchdog stands outside: a run that loops
//! without ever yielding cannot be ended from inside. It counts CPU time, since a
//! machine that is busy with other work slows a run down as much as it likes; only a
//! run that waits for ever, and needs none, is given a multiple of it as wall time.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Simulated nodes run on the stack of their run's thread.
const STACK_BYTES: usize = 16 << 20;

/// So many times longer than it may compute, a run may take.
const WALL_FACTOR: u32 = 20;

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
    results: Receiver<(K, T)>,
    sender: Sender<(K, T)>,
}

struct Running {
    if_hung: Hung,
    since: Spent,
}

/// Time that has gone by.
#[derive(Debug, Clone, Copy)]
struct Spent {
    wall: Instant,
    /// CPU time of this process, all its threads together.
    cpu: Duration,
}

impl Spent {
    fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            wall: now(),
            cpu: Duration::new(cpu.tv_sec as u64, cpu.tv_nsec as u32),
        }
    }
}

impl<K: Ord + Copy + Send + 'static, T: Send + 'static> Threads<K, T> {
    pub(super) fn new(hang_after: Duration) -> Self {
        let (sender, results) = channel();
        Self {
            hang_after,
            running: BTreeMap::new(),
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
        let since = Spent::now();
        self.running.insert(key, Running { if_hung, since });
        let sender = self.sender.clone();
        // Nobody listens any more once an exploration ended early.
        let run = move || drop(sender.send((key, work())));
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn(run).expect("the system gives a thread");
    }

    /// Waits for a run to end.
    pub(super) fn next(&mut self) -> Result<(K, T), Hung> {
        loop {
            self.check_hung()?;
            match self.results.recv_timeout(LOOKS_EVERY) {
                Ok((key, report)) => {
                    self.running.remove(&key);
                    return Ok((key, report));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("a sender is kept here"),
            }
        }
    }

    fn check_hung(&self) -> Result<(), Hung> {
        let now = Spent::now();
        // All that run have a share in the process' time.
        let runs = self.running.len() as u32;
        let is_hung = |run: &&Running| {
            now.cpu - run.since.cpu >= self.hang_after * runs
                || now.wall - run.since.wall >= self.hang_after * WALL_FACTOR
        };
        match self.running.values().find(is_hung) {
            None => Ok(()),
            Some(run) => Err(run.if_hung.clone()),
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
