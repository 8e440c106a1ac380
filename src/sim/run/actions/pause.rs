//! A process stops for a while and goes on, believing what it did before; a broker's or
//! a client's.
//!
//! Nothing of such a process runs. Its kernel goes on: it takes connections and
//! bytes, and ends syncs; the process sees of it when it goes on. Its belief about
//! its clock then is its own affair.

use crate::history::FaultKind;
use crate::sim::net::NodeId;
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// The process does not run.
#[derive(Debug)]
struct Paused;

impl Run<'_> {
    /// Stops the process on a machine: between two of its steps, or at that reading of
    /// its clock, in the middle of one.
    pub(super) fn pause(&mut self, node: usize, lasts_ns: u64, reading: u32) {
        if let Some(life) = self.life_on(node) {
            match reading {
                0 => self.handle.pause(life),
                _ => self.world.stop_in_a_step(node as NodeId, reading, lasts_ns),
            }
            let kind = match self.is_broker_s(node) {
                true => FaultKind::Pause,
                false => FaultKind::ClientPause,
            };
            self.open_window(node, kind, Paused, Some(lasts_ns));
        }
    }

    /// A process that is stopped dies: the next one runs.
    pub(in crate::sim::run) fn close_pauses(&mut self, node: usize) {
        self.close_all::<Paused>(node);
    }

    fn life_on(&self, node: usize) -> Option<madsim::task::NodeId> {
        match self.machines.get(node) {
            Some(machine) => machine.life(),
            None => self.clients[self.client_on(node)?].life(),
        }
    }
}

impl Lasts for Paused {
    /// None: any request that was in flight is enough.
    fn traces(&self, _: &Run<'_>, _: usize) -> u64 {
        0
    }

    fn needs(&self) -> Needs {
        Needs::Asked
    }

    fn is_seen_at_the_end(&self) -> bool {
        true
    }

    fn end(&self, run: &mut Run<'_>, node: usize) {
        if run.open_on::<Self>(node).next().is_some() {
            return;
        }
        run.world.stop_no_more(node as NodeId);
        if let Some(life) = run.life_on(node) {
            run.handle.resume(life);
        }
    }
}
