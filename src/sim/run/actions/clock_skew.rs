//! The wall clock is wrong from the start, and stays so.

use crate::history::FaultKind;
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// So far ahead, nanoseconds.
#[derive(Debug)]
struct Skewed(i64);

impl Run<'_> {
    pub(super) fn skew(&mut self, node: usize, by_ns: i64) {
        self.set_ahead(node, by_ns);
        self.open_window(node, FaultKind::ClockSkew, Skewed(by_ns), None);
    }
}

impl Lasts for Skewed {
    fn traces(&self, run: &Run<'_>, node: usize) -> u64 {
        run.told_wrong_times(node)
    }

    fn could_matter(&self, run: &Run<'_>, _: usize) -> bool {
        run.passes_a_deadline(self.0)
    }

    fn needs(&self) -> Needs {
        Needs::Asked
    }

    /// It goes on being as wrong: nothing jumps while everything heals.
    fn end(&self, _: &mut Run<'_>, _: usize) {}
}
