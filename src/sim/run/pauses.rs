//! Processes that stop for a while and go on, believing what they did before.
//!
//! Nothing of such a process runs. Its kernel goes on: it takes connections and
//! bytes, and ends syncs; the process sees of it when it goes on. Its belief about
//! its clock then is its own affair.

use super::phases::Run;
use super::windows::Lasting;
use crate::sim::net::NodeId;

impl Run<'_> {
    /// Stops the process on a machine, a client's or a broker's: between two of its
    /// steps, or at that reading of its clock, in the middle of one.
    pub(super) fn pause(&mut self, node: usize, lasts_ns: u64, reading: u32) {
        if let Some(life) = self.life_on(node) {
            match reading {
                0 => self.handle.pause(life),
                _ => self.world.stop_in_a_step(node as NodeId, reading, lasts_ns),
            }
            let kind = match node < self.machines.len() {
                true => Lasting::Paused,
                false => Lasting::ClientPaused,
            };
            self.open_window(node, kind, Some(lasts_ns));
        }
    }

    /// The process on a machine goes on.
    pub(super) fn unpause(&self, node: usize) {
        self.world.stop_no_more(node as NodeId);
        if let Some(life) = self.life_on(node) {
            self.handle.resume(life);
        }
    }

    fn life_on(&self, node: usize) -> Option<madsim::task::NodeId> {
        match self.machines.get(node) {
            Some(machine) => machine.life(),
            None => {
                let mut clients = self.clients.iter();
                clients.find(|client| client.node as usize == node)?.life()
            }
        }
    }
}
