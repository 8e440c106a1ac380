//! A process stops for a while and goes on, believing what it did before; a broker's or
//! a client's.
//!
//! Nothing of such a process runs. Its kernel goes on: it takes connections and
//! bytes, and ends syncs; the process sees of it when it goes on. Its belief about
//! its clock then is its own affair.

use std::any::Any;

use crate::history::FaultKind;
use crate::sim::net::NodeId;
use crate::sim::run::phases::Run;
use crate::sim::run::windows::{Lasts, Needs};

/// The process does not run.
#[derive(Debug)]
struct Paused {
    is_client_s: bool,
}

impl Run<'_> {
    /// Stops the process on a machine: between two of its steps, or at that reading of
    /// its clock, in the middle of one.
    pub(super) fn pause(&mut self, node: usize, lasts_ns: u64, reading: u32) {
        if let Some(life) = self.life_on(node) {
            match reading {
                0 => self.handle.pause(life),
                _ => self.world.stop_in_a_step(node as NodeId, reading, lasts_ns),
            }
            let is_client_s = node >= self.machines.len();
            self.open_window(node, Paused { is_client_s }, Some(lasts_ns));
        }
    }

    /// A process that is stopped dies: the next one runs.
    pub(in crate::sim::run) fn close_pauses(&mut self, node: usize) {
        self.close_windows_of(node, |what| what.as_any().is::<Paused>());
    }

    /// The client on a node has something under way, or is a database.
    pub(super) fn is_client_at_work(&self, node: usize) -> bool {
        let mut clients = self.clients.iter();
        let own = clients.find(|client| client.node as usize == node);
        own.is_some_and(|own| own.is_at_work() || own.is_database())
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

impl Lasts for Paused {
    fn kind(&self) -> FaultKind {
        match self.is_client_s {
            true => FaultKind::ClientPause,
            false => FaultKind::Pause,
        }
    }

    /// None: any request that was in flight is enough.
    fn traces(&self, _: &Run<'_>, _: usize) -> u64 {
        0
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

    fn is_seen_at_the_end(&self) -> bool {
        true
    }

    fn end(&self, run: &mut Run<'_>, node: usize) {
        if run.lasts::<Self>(node).next().is_some() {
            return;
        }
        run.world.stop_no_more(node as NodeId);
        if let Some(life) = run.life_on(node) {
            run.handle.resume(life);
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
