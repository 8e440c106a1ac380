//! Both clocks of a machine go faster or slower than time does; of a broker's or of a
//! client's.

use std::any::Any;

use crate::history::FaultKind;
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// So much faster, parts per million.
#[derive(Debug)]
struct Drifting {
    by_ppm: i64,
    is_client_s: bool,
}

impl Run<'_> {
    pub(super) fn drift(&mut self, node: usize, by_ppm: i64, lasts_ns: Option<u64>) {
        self.set_rate(node, by_ppm);
        let is_client_s = node >= self.machines.len();
        let drifting = Drifting {
            by_ppm,
            is_client_s,
        };
        self.open_window(node, drifting, lasts_ns);
    }
}

impl Lasts for Drifting {
    fn kind(&self) -> FaultKind {
        match self.is_client_s {
            true => FaultKind::ClientClockDrift,
            false => FaultKind::ClockDrift,
        }
    }

    /// A deadline came at another time.
    fn traces(&self, run: &Run<'_>, node: usize) -> u64 {
        run.world.lock().timers.moved(node as u32)
    }

    fn could_matter(&self, run: &Run<'_>, node: usize) -> bool {
        match self.is_client_s {
            true => run.is_client_at_work(node),
            false => run.sends_in_flight() > 0,
        }
    }

    fn needs(&self) -> Needs {
        Needs::Asked
    }

    fn end(&self, run: &mut Run<'_>, node: usize) {
        run.set_rate(node, -self.by_ppm);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
