//! A deadline on tokio's clock.

use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::Sleep;

use crate::env::Timer;

/// A timer of [`RealEnv`](super::RealEnv). Millisecond resolution; never early.
#[derive(Debug)]
pub struct RealTimer {
    origin: Instant,
    sleep: Pin<Box<Sleep>>,
    is_set: bool,
}

impl RealTimer {
    pub(super) fn new(origin: Instant, runtime: &Handle) -> Self {
        let _inside = runtime.enter();
        let sleep = Box::pin(tokio::time::sleep_until(origin.into()));
        Self {
            origin,
            sleep,
            is_set: false,
        }
    }
}

impl Timer for RealTimer {
    fn reset(&mut self, deadline_ns: Option<u64>) {
        self.is_set = deadline_ns.is_some();
        if let Some(deadline_ns) = deadline_ns {
            // Past the end of the clock is as good as never.
            let deadline = self.origin.checked_add(Duration::from_nanos(deadline_ns));
            match deadline {
                Some(deadline) => self.sleep.as_mut().reset(deadline.into()),
                None => self.is_set = false,
            }
        }
    }

    async fn fired(&mut self) {
        match self.is_set {
            true => self.sleep.as_mut().await,
            false => std::future::pending().await,
        }
        self.is_set = false;
    }
}
