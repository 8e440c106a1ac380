//! The wall clock is set, for good or for a while.

use crate::history::FaultKind;
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// The wall clock is wrong.
#[derive(Debug)]
struct Jumped {
    /// Nanoseconds ahead.
    by_ns: i64,
    /// It is not set right again.
    for_good: bool,
}

impl Run<'_> {
    pub(super) fn jump(&mut self, node: usize, by_ns: i64, lasts_ns: Option<u64>) {
        self.set_ahead(node, by_ns);
        let for_good = lasts_ns.is_none();
        let jumped = Jumped { by_ns, for_good };
        self.open_window(node, FaultKind::ClockJump, jumped, lasts_ns);
    }
}

impl Lasts for Jumped {
    fn traces(&self, run: &Run<'_>, node: usize) -> u64 {
        run.told_wrong_times(node)
    }

    fn could_matter(&self, run: &Run<'_>, _: usize) -> bool {
        run.passes_a_deadline(self.by_ns)
    }

    fn needs(&self) -> Needs {
        Needs::Asked
    }

    /// One for good goes on being as wrong: nothing jumps while everything heals.
    fn end(&self, run: &mut Run<'_>, node: usize) {
        if !self.for_good {
            run.set_ahead(node, -self.by_ns);
        }
    }
}
