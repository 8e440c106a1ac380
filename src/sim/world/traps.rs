//! Traps: faults that wait for an event, sprung in the very step in which it
//! happens.
//!
//! ```text
//!   a process' call ──▶ the world does it ──▶ happened ──▶ the k-th? ─▶ victims halted
//!                                                                          │
//!            the run fires the fault, before any other event  ◀────────────┘
//! ```
//!
//! Promise: between the event and the fault nothing happens on its victims that
//! the fault would have prevented: who is to die does nothing any more.

use std::collections::BTreeSet;

use super::{Inner, TraceKind};
use crate::broker::BASE_FILE;
use crate::log::{CHECKPOINT_FILE, COMMIT_LOG_DIR};
use crate::scenario::{AtEvent, Event, FileClass, Victim};
use crate::sim::disk_io::Synced;
use crate::sim::files::paths_of;
use crate::sim::net::NodeId;

/// A fault that waits for an event.
#[derive(Debug, Clone)]
pub(crate) struct Trap {
    /// The run's step that fires the fault.
    pub(crate) step: u64,
    /// The event that it waits for.
    pub(crate) at: AtEvent,
    /// The victims that it hits.
    pub(crate) victims: Vec<Victim>,
    /// Not after.
    pub(crate) until_ns: u64,
    /// Whether its victims' processes die.
    pub(crate) is_deadly: bool,
    /// The answer of the fault budget.
    pub(crate) room: Room,
    /// Events so far.
    pub(crate) seen: u64,
}

/// Whether victims may forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Room {
    /// The budget does not bound the fault.
    Unbound,
    /// Not before the next look.
    None,
    /// Together with these, no more than so many.
    Beside(BTreeSet<NodeId>, usize),
}

impl Room {
    fn has(&self, victims: &[NodeId]) -> bool {
        match self {
            Self::Unbound => true,
            Self::None => false,
            Self::Beside(outstanding, most) => {
                let all: BTreeSet<_> = outstanding.iter().chain(victims).collect();
                all.len() <= *most
            }
        }
    }
}

/// The traps of a run.
#[derive(Debug, Default)]
pub(crate) struct Traps {
    set: Vec<Trap>,
    /// Those that were sprung: the run's step, and the fault's victims.
    sprung: Vec<(u64, Vec<NodeId>)>,
    /// Those whose events came while there was no room, by the run's step.
    waited: BTreeSet<u64>,
    /// Members from the start: who does not lead them follows.
    members: u32,
    /// One past the last log address that was committed at the last look.
    committed_end: u64,
}

impl Traps {
    /// Sets a trap for one of so many members, from now on.
    pub(crate) fn set(&mut self, trap: Trap, members: u32, committed_end: u64) {
        if self.set.is_empty() {
            self.committed_end = committed_end;
        }
        self.members = members;
        self.set.push(trap);
    }

    /// Says what the budget says of a trap; false where it is not set any more.
    pub(crate) fn give_room(&mut self, step: u64, room: Room) -> bool {
        let trap = self.set.iter_mut().find(|trap| trap.step == step);
        trap.map(|trap| trap.room = room).is_some()
    }

    /// Somebody forgot: what the budget said does not hold any more.
    pub(crate) fn take_room(&mut self) {
        for trap in &mut self.set {
            if trap.room != Room::Unbound {
                trap.room = Room::None;
            }
        }
    }

    /// The traps whose events came while there was no room, by the run's step.
    pub(crate) fn take_waited(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.waited)
    }

    /// Nothing harms any more.
    pub(crate) fn clear(&mut self) {
        self.set.clear();
    }

    /// Whether any trap was sprung that the run has not heard of.
    pub(crate) fn has_sprung(&self) -> bool {
        !self.sprung.is_empty()
    }

    /// The run's step for the trap that was sprung first.
    pub(crate) fn first_sprung(&self) -> Option<u64> {
        self.sprung.first().map(|(step, _)| *step)
    }

    /// The nodes that the fault of the trap that was sprung first hits: the run hears of
    /// it.
    pub(crate) fn take_sprung(&mut self) -> Vec<NodeId> {
        self.sprung.remove(0).1
    }

    /// A victim by its number.
    fn node_of(&self, victim: Victim, leader: Option<NodeId>) -> Option<NodeId> {
        match victim {
            Victim::Broker(node) => Some(node),
            Victim::Leader => leader,
            Victim::Follower(place) => follower(self.members, leader?, place),
            Victim::LivingProducer(_) | Victim::Client(_) => None,
        }
    }
}

/// The member with that place among those that do not lead.
pub(crate) fn follower(members: u32, leader: NodeId, place: u32) -> Option<NodeId> {
    let mut followers = (0..members).filter(|member| *member != leader);
    let index = (place as usize).checked_rem(followers.clone().count())?;
    followers.nth(index)
}

impl Inner {
    /// A file was written to, or its sync asked for.
    pub(crate) fn touched(&mut self, node: NodeId, event: Event, path: Option<&str>) {
        if self.traps.set.is_empty() {
            return;
        }
        self.count(node, event, path, 1);
        if path.is_some_and(is_snapshot) {
            self.count(node, Event::Snapshot, None, 1);
        }
    }

    /// A sync is done. One that outlived its process is nobody's event.
    pub(crate) fn synced(&mut self, node: NodeId, synced: Synced) {
        if self.traps.set.is_empty() {
            return;
        }
        let path = match synced {
            Synced::File { ino, .. } => self.disks[node as usize].model.path_of(ino),
            Synced::Directory { .. } => None,
        };
        self.count(node, Event::Synced, path.as_deref(), 1);
        self.may_be_committed(node);
    }

    /// A file got its name.
    pub(crate) fn named(&mut self, node: NodeId, path: &str) {
        if is_log(path) {
            self.happened(node, Event::Roll, 1);
        } else if is_snapshot(path) {
            self.happened(node, Event::Snapshot, 1);
        }
    }

    /// Something that has no file happened on a machine, so many times at once.
    pub(crate) fn happened(&mut self, node: NodeId, event: Event, times: u64) {
        if times > 0 && !self.traps.set.is_empty() {
            self.count(node, event, None, times);
        }
    }

    /// A process called its disk.
    pub(crate) fn called_disk(&mut self, node: NodeId) {
        if !self.traps.set.is_empty() && !self.core.serves(node) {
            self.count(node, Event::Recovery, None, 1);
            if self.disks[node as usize].is_commanded() {
                self.count(node, Event::Command, None, 1);
            }
        }
    }

    /// Something may have become committed.
    pub(crate) fn may_be_committed(&mut self, node: NodeId) {
        if self.traps.set.is_empty() {
            return;
        }
        let end = self.tap.committed_end();
        let moved = end > self.traps.committed_end;
        self.traps.committed_end = end.max(self.traps.committed_end);
        self.happened(node, Event::Commit, u64::from(moved));
    }

    fn count(&mut self, node: NodeId, event: Event, path: Option<&str>, times: u64) {
        let leader = self.tap.leader();
        let mut number = 0;
        while number < self.traps.set.len() {
            match self.springs(number, node, (event, path, times), leader) {
                Some(victims) => self.spring(number, victims),
                None => number += 1,
            }
        }
    }

    /// Whether that event springs that trap: on whom.
    fn springs(
        &mut self,
        number: usize,
        node: NodeId,
        (event, path, times): (Event, Option<&str>, u64),
        leader: Option<NodeId>,
    ) -> Option<Vec<NodeId>> {
        let trap = &self.traps.set[number];
        let is_file = match trap.at.file {
            None | Some(FileClass::Any) => true,
            Some(class) => path.is_some_and(|path| path.starts_with(paths_of(class))),
        };
        if trap.at.event != event || !is_file {
            return None;
        }
        let victims = trap.victims.iter();
        let victims = victims.map(|victim| self.traps.node_of(*victim, leader));
        let victims: Vec<NodeId> = victims.collect::<Option<_>>()?;
        if event != Event::Commit && !victims.contains(&node) {
            return None;
        }
        let now_ns = self.core.now_ns;
        let trap = &mut self.traps.set[number];
        trap.seen += times;
        let is_due = trap.seen >= trap.at.nth && now_ns <= trap.until_ns;
        let are_up = || {
            victims
                .iter()
                .all(|victim| self.core.is_process_up(*victim))
        };
        if !is_due || !are_up() {
            return None;
        }
        if trap.room.has(&victims) {
            return Some(victims);
        }
        let step = trap.step;
        self.traps.waited.insert(step);
        None
    }

    fn spring(&mut self, number: usize, victims: Vec<NodeId>) {
        let trap = self.traps.set.remove(number);
        for victim in victims.iter().filter(|_| trap.is_deadly) {
            self.core.halt(*victim);
        }
        self.core
            .trace(TraceKind::Fault, victims[0], trap.seen, &[], || {
                format!(
                    "{} number {}: a fault comes",
                    trap.at.event.name(),
                    trap.seen
                )
            });
        self.traps.sprung.push((trap.step, victims));
    }
}

fn is_log(path: &str) -> bool {
    path.strip_prefix(COMMIT_LOG_DIR)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Files that stand for older entries, and what is written aside for them.
fn is_snapshot(path: &str) -> bool {
    path.starts_with(BASE_FILE) || path.starts_with(CHECKPOINT_FILE)
}
