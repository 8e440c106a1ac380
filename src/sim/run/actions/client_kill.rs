//! A client dies.

use crate::history::{ClientId, FaultKind};
use crate::scenario::Victim;
use crate::sim::run::phases::{Run, RunStep};

impl Run<'_> {
    pub(super) fn kill_client(&mut self, node: usize, down_ns: Option<u64>) {
        self.end_client(node, FaultKind::ClientKill, down_ns, |run| {
            run.world.process_dies(node as u32, false);
            run.world.lock().disks[node].process_died();
            "killed".to_owned()
        });
    }

    /// Ends a client's process as `kind` says; `die` does the rest, and says what.
    pub(super) fn end_client(
        &mut self,
        node: usize,
        kind: FaultKind,
        down_ns: Option<u64>,
        die: impl FnOnce(&mut Self) -> String,
    ) {
        let index = self.client_on(node).expect("a client's node");
        self.close_pauses(node);
        let death = self.death_of(Victim::Client(index as u32));
        let asked = self.asked_of_client(index);
        self.clients[index].kill(&self.handle);
        self.follower.died(index as ClientId);
        let note = die(self);
        self.enter(kind, node as u32, asked > 0, (0, 0), note);
        self.is_observed(asked > 0);
        self.is_death(death);
        if let Some(down_ns) = down_ns {
            // madsim wants a millisecond between a death and the next life.
            let at_ns = self.world.now_ns() + down_ns.max(2_000_000);
            self.at(at_ns, RunStep::StartClient(index));
        }
    }
}
