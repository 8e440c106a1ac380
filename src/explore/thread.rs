//! A fresh thread for each run, and a watchdog over them.
//!
//! The simulator needs the fresh thread for its determinism (its hash seeds are
//! taken from a thread's first use). The watchdog needs wall time: a run that
//! loops without ever yielding cannot be ended from inside.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Simulated nodes run on the stack of their run's thread.
const STACK_BYTES: usize = 16 << 20;

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
    since: Instant,
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
        let since = now();
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
        let hung = self.running.values();
        let mut hung = hung.filter(|run| now - run.since >= self.hang_after);
        match hung.next() {
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
