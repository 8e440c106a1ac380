//! Both clocks of a machine go faster or slower than time does; of a broker's or of a
//! client's.

use crate::history::FaultKind;
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// So much faster, parts per million.
#[derive(Debug)]
struct Drifting(i64);

impl Run<'_> {
    pub(super) fn drift(&mut self, node: usize, by_ppm: i64, lasts_ns: Option<u64>) {
        self.set_rate(node, by_ppm);
        let kind = match self.is_broker_s(node) {
            true => FaultKind::ClockDrift,
            false => FaultKind::ClientClockDrift,
        };
        self.open_window(node, kind, Drifting(by_ppm), lasts_ns);
    }
}

impl Lasts for Drifting {
    /// A deadline came at another time.
    fn traces(&self, run: &Run<'_>, node: usize) -> u64 {
        run.world.lock().timers.moved(node as u32)
    }

    fn needs(&self) -> Needs {
        Needs::Asked
    }

    fn end(&self, run: &mut Run<'_>, node: usize) {
        run.set_rate(node, -self.0);
    }
}
