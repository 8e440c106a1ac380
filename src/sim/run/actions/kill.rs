//! The process dies.

use crate::history::FaultKind;
use crate::scenario::Victim;
use crate::sim::run::phases::Run;
use crate::sim::run::process::Operator;

impl Run<'_> {
    pub(in crate::sim::run) fn kill(&mut self, machine: usize, down_ns: u64) {
        let death = self.death_of(Victim::Broker(machine as u32));
        let dirty = self.dirty(machine as u32);
        let eligible = self.sends_in_flight() > 0;
        let worked = self.is_at_work(machine, dirty);
        self.end_process(machine, false);
        self.world.lock().disks[machine].process_died();
        let note = "killed".to_owned();
        self.enter(FaultKind::Kill, machine as u32, eligible, dirty, note);
        self.is_observed(worked);
        self.is_death(death);
        self.start_later(machine, down_ns, Operator::None);
    }
}
