//! A client's machine loses power.

use super::power_loss::cut_power;
use crate::history::FaultKind;
use crate::scenario::Survivors;
use crate::sim::run::phases::Run;

impl Run<'_> {
    pub(super) fn take_power_of_client(
        &mut self,
        node: usize,
        (survivors, draw): (&Survivors, u32),
        down_ns: Option<u64>,
    ) {
        self.end_client(node, FaultKind::ClientPower, down_ns, |run| {
            run.world.process_dies(node as u32, true);
            let disk = &mut run.world.lock().disks[node];
            let note = cut_power(&mut disk.model, survivors, draw);
            disk.machine_died();
            note
        });
    }
}
