//! The operator: starts what stopped, salvages, replaces disks, changes members.
//!
//! He gives up what a medium lost, and only that: a broker that refuses what no
//! ledgered fault explains is started as it is, and refuses again. It is stuck,
//! as its users would say.

use super::clients::Client;
use super::cluster::Machine;
use super::phases::{Phase, Run, RunStep};
use super::process::{Blames, Exit, NewDisk, Operator};
use crate::check::replicas::Cluster;
use crate::check::{At, ExpectedOutcome, Flush, Promise};
use crate::history::{FaultKind, Happening};
use crate::scenario::random::{Purpose, Stream};
use crate::scenario::{Operation, Victim};
use crate::sim::net::NodeId;
use crate::sim::tap::Taken;
use crate::sim::world::{Inner, TraceKind};

const MS_NS: u64 = 1_000_000;
/// The lane of [`Purpose::Operator`] from which on each machine has its own.
const REFORMATS: u32 = 100;
/// Until a broker that stopped for a passing reason is started again.
const PATIENCE_NS: u64 = 1_000 * MS_NS;
/// Until a disk that only a hand can help is worked on.
const AT_ONCE_NS: u64 = 10 * MS_NS;

impl Run<'_> {
    /// Plans the start of a broker, and the operator's work before it.
    pub(super) fn plan_start(&mut self, machine: usize, at_ns: u64, operator: Operator) {
        let start = self.machines[machine].plan_start(operator);
        self.at(at_ns, RunStep::StartBroker(machine, start));
    }

    pub(super) fn start_broker(&mut self, machine: usize, start: u64) {
        if !self.machines[machine].is_due(start) {
            return;
        }
        if self.machines[machine].duty() == Operator::Salvage {
            let node = self.machines[machine].node;
            self.ledger.salvaged.push((node, self.world.now_ns()));
        }
        // Before a topic is there, members are told of as many queues as one broker's
        // setting has, and another may make it.
        let topics_are_there = self.clients.iter().all(Client::has_topic);
        self.machines[machine].settings_may_change(topics_are_there);
        if self.machines[machine].start(&self.world, &self.handle) {
            let mut inner = self.world.lock();
            inner.tap.happens(Happening::SettingsChanged);
        }
    }

    /// The kind that a blank disk of a machine is formatted as, where the machine had
    /// another disk. A start script that formats what is blank says `--members` every
    /// time, and before the cluster is founded that is the only right word. Where a halt
    /// is wanted (D16) it is not: of a cluster without any disk left, it makes a new one.
    pub(super) fn new_disk(&self, machine: usize) -> NewDisk {
        let cluster = &self.scenario.cluster;
        let first = machine < cluster.brokers as usize;
        let is_founded = {
            let inner = self.world.lock();
            inner.tap.cluster().is_some_and(Cluster::is_founded)
        };
        let mut drawn = Stream::lane(self.seed, Purpose::Operator, REFORMATS + machine as u32);
        let by_script =
            self.scenario.expect.outcome == ExpectedOutcome::ZeroLoss && drawn.chance(0.5);
        match !cluster.is_replicated() || first && (!is_founded || by_script) {
            true => NewDisk::First,
            false => NewDisk::Replacement,
        }
    }

    /// A broker that stopped cleanly starts again; one that refuses is its
    /// operator's. A single broker's operator comes when everything heals; a
    /// cluster is looked after all the time.
    pub(super) fn note_exits(&mut self) {
        for machine in 0..self.machines.len() {
            self.machines[machine].note_duty();
            let exit = self.machines[machine].take_exit(&self.handle);
            if exit == Some(Exit::Clean) {
                let node = self.machines[machine].node;
                self.world.lock().tap.stopped(node);
            }
            if exit.is_some() {
                self.world.process_dies(self.machines[machine].node, false);
            }
            match exit {
                Some(Exit::Refused {
                    blames: Blames::Recovery,
                    ..
                }) => self.was_refused_as_old(machine),
                Some(Exit::Clean) => {
                    let down_ns = self.machines[machine].down_ns.max(2 * MS_NS);
                    let at_ns = self.world.now_ns() + down_ns;
                    self.plan_start(machine, at_ns, Operator::None);
                }
                Some(Exit::Refused { why, blames }) => {
                    self.machines[machine].blames = blames;
                    let text = format!("serves no more: {why}");
                    let node = self.machines[machine].node;
                    self.world
                        .note(TraceKind::Node, node, 0, text.as_bytes(), || text.clone());
                    if blames == Blames::Passing {
                        self.ended_for_what_passes(machine, &why);
                    }
                    let attended = self.scenario.cluster.is_replicated();
                    if attended || self.phase != Phase::Safety {
                        self.call_operator(machine);
                    }
                }
                None => {}
            }
        }
    }

    /// Formats disks again that were formatted as replacements of what was founded
    /// then, and is not any more: the disks that knew of it are gone.
    pub(super) fn format_again(&mut self) {
        let nodes = self.world.lock().tap.take_to_format();
        for node in nodes {
            let machine = node as usize;
            if !self.machines[machine].is_up() || self.new_disk(machine) != NewDisk::First {
                continue;
            }
            self.end_process(machine, false);
            let (operator, pause_ns) = self.put_in_blank_disk(machine);
            self.plan_start(machine, self.world.now_ns() + pause_ns, operator);
        }
    }

    /// An error that harmed nothing ended a process. Its operator starts it again;
    /// others' do not.
    fn ended_for_what_passes(&self, machine: usize, why: &str) {
        let mut inner = self.world.lock();
        let Inner { core, tap, .. } = &mut *inner;
        let lines = vec![
            format!("b{machine} ended by itself at {}: {why}", At(core.now_ns)),
            "no process ends for an error that harms nothing (D32)".to_owned(),
        ];
        tap.finds(core, Promise::Liveness, lines);
    }

    /// Helps a broker that refuses to serve.
    pub(super) fn call_operator(&mut self, machine: usize) {
        let damaged = self.has_been_damaged(machine);
        let replicated = self.scenario.cluster.is_replicated();
        let (operator, pause_ns) = match self.machines[machine].blames {
            _ if !replicated && damaged => (Operator::Salvage, AT_ONCE_NS),
            Blames::Disk if replicated && damaged => self.replace_disk(machine),
            Blames::Blank if replicated && !self.has_been_named(machine) => {
                (Operator::Format(self.new_disk(machine)), AT_ONCE_NS)
            }
            // He goes on with those that serve.
            Blames::Others if self.somebody_forgot() => self.replace_disk(machine),
            // A recovery that failed half-way is made again.
            _ if self.machines[machine].duty() == Operator::Recover => (Operator::None, AT_ONCE_NS),
            _ => (Operator::None, PATIENCE_NS),
        };
        let at_ns = self.world.now_ns() + pause_ns;
        self.plan_start(machine, at_ns, operator);
        if self.phase == Phase::Reading {
            // The salvaged log may lack the topic itself: the next send makes it anew.
            self.start_probe();
        }
    }

    /// Puts a blank disk into a machine whose own is of no use; waits while so
    /// many others are being replaced that nobody could take it in.
    fn replace_disk(&mut self, machine: usize) -> (Operator, u64) {
        let node = machine as NodeId;
        match self.has_room_for_blank(node) {
            true => self.put_in_blank_disk(machine),
            false => (Operator::None, PATIENCE_NS),
        }
    }

    /// Puts a blank disk into a machine.
    pub(super) fn put_in_blank_disk(&mut self, machine: usize) -> (Operator, u64) {
        let node = machine as NodeId;
        {
            let mut inner = self.world.lock();
            let inner = &mut *inner;
            let disk = &mut inner.disks[machine];
            disk.model.replace();
            disk.machine_died();
            inner.tap.lost_cache(&inner.core, disk, node, Taken::Disk);
        }
        self.was_blanked(machine);
        let text = "operator puts in a blank disk";
        self.world
            .note(TraceKind::Node, node, 0, text.as_bytes(), || {
                text.to_owned()
            });
        (Operator::Format(self.new_disk(machine)), AT_ONCE_NS)
    }

    /// Whether the machine's disk durably had a name since it was put in. One that
    /// formatting left in the page cache alone may lose it, and is formatted again.
    fn has_been_named(&self, machine: usize) -> bool {
        let inner = self.world.lock();
        let cluster = inner.tap.cluster();
        cluster.is_some_and(|cluster| cluster.has_named_disk(self.machines[machine].node))
    }

    /// Whether a fault took or changed what the machine's disk had synced, since
    /// it was put in: that may be a file which formatting had just written.
    fn has_been_damaged(&self, machine: usize) -> bool {
        let Machine { node, blank_ns, .. } = self.machines[machine];
        let mut fired = self.ledger.fired.iter();
        fired.any(|fault| {
            fault.node == node && fault.at_ns > blank_ns && self.damages_disk(fault.kind)
        })
    }

    /// Whether a fault made a replica forget without its knowing.
    fn somebody_forgot(&self) -> bool {
        let mut fired = self.ledger.fired.iter();
        fired.any(|fault| fault.kind.is_silent_amnesia())
    }

    /// Whether a fault of that kind can leave a disk that is of no use. Of a
    /// replica whose entries, term or vote are not synced before they count, a
    /// power loss can, and a failed sync. A broker alone has nothing to refuse
    /// for then: one that does halts needlessly (S21), and nobody helps it.
    fn damages_disk(&self, kind: FaultKind) -> bool {
        let promised = self.scenario.configuration();
        let unsynced = self.scenario.cluster.is_replicated()
            && (promised.flush == Flush::Async || !promised.hard_state_synced);
        let takes = matches!(kind, FaultKind::PowerLoss | FaultKind::SyncError);
        kind.takes_what_was_synced() || (unsynced && takes)
    }

    /// Carries out a planned operation, where its subject is known.
    pub(super) fn operate(&mut self, number: usize) {
        if self.phase != Phase::Safety {
            return;
        }
        // A cluster with fewer members has less room.
        self.world.lock().traps.take_room();
        let operation = self.plan.operations[number].operation;
        if let Operation::Recover { survivor, .. } = operation {
            return self.recover(number, survivor);
        }
        let Some((action, node)) = self.action(operation) else {
            return;
        };
        let text = format!("operator: {action:?}");
        self.world
            .note(TraceKind::Node, node, 0, text.as_bytes(), || text.clone());
        self.ask_cluster(action);
    }

    /// The operation with its subjects by their numbers, and whom it is about.
    fn action(&self, operation: Operation) -> Option<(Action, NodeId)> {
        let node = |victim| match self.resolve(victim)? {
            Victim::Broker(node) => Some(node),
            _ => None,
        };
        let action = match operation {
            Operation::ReplaceNode { victim, spare } => Action::Replace {
                node: node(victim)?,
                by: spare,
            },
            Operation::AddNode { node } => Action::Add { node },
            Operation::RemoveNode { victim } => Action::Remove {
                node: node(victim)?,
            },
            Operation::TransferLeadership { to } => Action::Transfer { to: node(to)? },
            Operation::Recover { .. } => return None,
        };
        Some((action, action.node()))
    }
}

/// A change of members or leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A spare takes a member's place.
    Replace {
        /// The node that goes.
        node: NodeId,
        /// The node that comes.
        by: NodeId,
    },
    /// A machine becomes a member.
    Add {
        /// The node.
        node: NodeId,
    },
    /// A member is one no more.
    Remove {
        /// The node.
        node: NodeId,
    },
    /// A member shall lead.
    Transfer {
        /// The new leader.
        to: NodeId,
    },
}

impl Action {
    fn node(self) -> NodeId {
        match self {
            Self::Replace { node, .. } | Self::Add { node } | Self::Remove { node } => node,
            Self::Transfer { to } => to,
        }
    }
}
