//! The process is asked to stop cleanly.

use crate::history::FaultKind;
use crate::sim::run::phases::Run;

impl Run<'_> {
    pub(super) fn restart(&mut self, machine: usize, down_ns: u64) {
        let dirty = self.dirty(machine as u32);
        let eligible = self.sends_in_flight() > 0;
        let note = "asked to stop".to_owned();
        let worked = self.is_at_work(machine, dirty);
        self.enter(FaultKind::Restart, machine as u32, eligible, dirty, note);
        self.is_observed(worked);
        self.machines[machine].down_ns = down_ns;
        self.world.lock().tap.is_asked_to_stop(machine as u32);
        self.machines[machine].stop();
    }
}
