//! The replicas, their disks and the messages between them, at one moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::bounds::Bounds;
use super::disk::{Disk, Entry};
use super::past::{Broken, Past, Promise, keep, logs_match};
use crate::raft::{
    ANY_DISK, Configuration, EntryHead, EntryId, Input, Message, Output, Raft, ReplicaId, Role,
    Settings, Start,
};

/// A message under way, and the entries that travel behind it.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) from: ReplicaId,
    pub(super) to: ReplicaId,
    pub(super) term: u64,
    pub(super) message: Message,
    pub(super) entries: Vec<Entry>,
    /// Something newer of its kind was said since.
    pub(super) late: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) me: ReplicaId,
    pub(super) disk: Disk,
    pub(super) raft: Raft,
    pub(super) starts: u64,
    /// Its clock: stands still, but where hearing nobody for long is the point.
    pub(super) now_ns: u64,
}

/// How often each thing has happened that may happen only so often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) entries: u64,
    pub(super) crashes: u64,
    pub(super) tears: u64,
    pub(super) rots: u64,
    pub(super) wipes: u64,
    pub(super) repeats: u64,
    pub(super) lates: u64,
    pub(super) step_downs: u64,
    pub(super) unheard: u64,
    pub(super) losses: u64,
    pub(super) changes: u64,
    pub(super) drops: u64,
}

impl Spent {
    pub(super) fn words(&self) -> [u64; 12] {
        [
            self.entries,
            self.crashes,
            self.tears,
            self.rots,
            self.wipes,
            self.repeats,
            self.lates,
            self.step_downs,
            self.unheard,
            self.losses,
            self.changes,
            self.drops,
        ]
    }
}

/// The disk of a node after so many were replaced. Its own name is the number in the upper
/// bits.
fn disk_of(node: u64, wipes: u64) -> u64 {
    ((wipes + 1) << 16) | (node + 1)
}

/// A disk's name without its node.
pub(super) fn disk_name(disk: u64) -> u64 {
    disk >> 16
}

/// How far a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saves {
    /// A save of term and vote ends within the step.
    AtOnce,
    /// It goes on.
    GoOn,
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) nodes: Vec<Arc<Node>>,
    pub(super) bag: Vec<Arc<Flight>>,
    /// The messages of the step under way.
    pub(super) sent: Vec<Flight>,
    pub(super) past: Arc<Past>,
    pub(super) spent: Spent,
    settings: Settings,
    /// Things that only a look inside can tell are judged, too.
    inside: bool,
    /// The course of events, where somebody wants to read it.
    pub(super) told: Option<Vec<String>>,
}

/// Nodes are few.
pub(super) fn at(node: u64) -> usize {
    node as usize
}

impl World {
    /// Voters, then learners, on new disks.
    pub(super) fn new(bounds: &Bounds) -> Result<Self, Broken> {
        let replica = |node| ReplicaId {
            node,
            disk: disk_of(node, 0),
        };
        let mut configuration = Configuration::of_voters((0..bounds.voters).map(replica));
        for node in bounds.voters..bounds.nodes() {
            configuration.learners.insert(node, disk_of(node, 0));
        }
        let settings = Settings {
            heartbeat_ns: 0,
            election_timeout_ns: 0,
            own_sync_timeout_ns: u64::MAX,
            append_entries_max: bounds.append_entries,
            inflight_max: 1,
            ..Settings::default()
        };
        let nodes = 0..bounds.nodes();
        let peers: BTreeSet<u64> = nodes.clone().collect();
        let node = |node| {
            let (me, disk) = (replica(node), Disk::formatted(Some(configuration.clone())));
            let raft = core(me, &disk, settings, &peers, 0, 0);
            Arc::new(Node {
                me,
                disk,
                raft,
                starts: 0,
                now_ns: 0,
            })
        };
        let mut world = Self {
            nodes: nodes.clone().map(node).collect(),
            bag: Vec::new(),
            sent: Vec::new(),
            past: Arc::default(),
            spent: Spent::default(),
            settings,
            inside: bounds.inside,
            told: None,
        };
        for node in nodes {
            world.drain(node, &[])?;
        }
        Ok(world)
    }

    pub(super) fn node(&self, node: u64) -> &Node {
        &self.nodes[at(node)]
    }

    pub(super) fn node_mut(&mut self, node: u64) -> &mut Node {
        Arc::make_mut(&mut self.nodes[at(node)])
    }

    pub(super) fn numbers(&self) -> std::ops::Range<u64> {
        0..self.nodes.len() as u64
    }

    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            told.push(line());
        }
    }

    /// The core begins anew, from the disk.
    pub(super) fn start(&mut self, node: u64) -> Result<(), Broken> {
        let (settings, peers) = (self.settings, self.numbers().collect());
        let place = self.node_mut(node);
        place.starts += 1;
        let (starts, now_ns) = (place.starts, place.now_ns);
        place.raft = core(place.me, &place.disk, settings, &peers, starts, now_ns);
        self.drain(node, &[])
    }

    /// Tells a core what happened, and does what follows.
    pub(super) fn step(
        &mut self,
        node: u64,
        input: Input,
        entries: &[Entry],
    ) -> Result<(), Broken> {
        let place = self.node_mut(node);
        place.raft.step(place.now_ns, input);
        self.drain(node, entries)
    }

    pub(super) fn drain(&mut self, node: u64, entries: &[Entry]) -> Result<(), Broken> {
        while let Some(output) = self.node_mut(node).raft.next_output() {
            self.carry_out(node, output, entries)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, node: u64, output: Output, entries: &[Entry]) -> Result<(), Broken> {
        let me = self.node(node).me;
        match output {
            Output::SaveHardState(hard) => self.node_mut(node).disk.saving = Some(hard),
            Output::Send {
                to,
                term,
                mut message,
            } => {
                if let Message::Ask { previous, hash, .. } = &mut message
                    && self.node(node).disk.last() == *previous
                {
                    *hash = Disk::hash_of(*previous);
                }
                return self.post(me, to, term, message, Vec::new());
            }
            Output::Replicate {
                to,
                term,
                mut append,
                upto_index,
            } => {
                let entries = self.node(node).disk.entries(append.prev.index, upto_index);
                append.heads = entries.iter().map(|entry| entry.head.clone()).collect();
                return self.post(me, to, term, Message::Append(append), entries);
            }
            Output::SendTail {
                to,
                term,
                mut tail,
                upto_index,
            } => {
                let entries = self
                    .node(node)
                    .disk
                    .entries(tail.previous.index, upto_index);
                tail.heads = entries.iter().map(|entry| entry.head.clone()).collect();
                return self.post(me, to, term, Message::Tail(tail), entries);
            }
            Output::SendBase { to, term, request } => {
                let disk = &self.node(node).disk;
                if let Some(configuration) = disk.base_configuration.clone() {
                    let message = Message::Install {
                        request,
                        base: disk.base,
                        configuration,
                    };
                    return self.post(me, to, term, message, Vec::new());
                }
            }
            Output::Truncate { from_index } => {
                self.say(|| format!("      n{node} cuts its log before {from_index}"));
                self.node_mut(node).disk.truncate(from_index);
            }
            Output::Store {
                from_index,
                upto_index,
            } => {
                let span = from_index..=upto_index;
                let stored = entries.iter().filter(|it| span.contains(&it.head.id.index));
                for entry in stored {
                    self.say(|| format!("      n{node} stores {}", entry.head.id));
                    self.node_mut(node).disk.log.push(entry.clone());
                }
            }
            Output::AppendNoOp { term } => return self.stage(node, term, None),
            Output::AppendConfiguration {
                term,
                configuration,
            } => return self.stage(node, term, Some(configuration)),
            Output::Committed { index } => return self.committed(node, index),
            Output::BecameLeader { term } => {
                self.say(|| format!("      n{node} leads term {term}"));
                let place = Arc::clone(&self.nodes[at(node)]);
                let past = Arc::make_mut(&mut self.past);
                return past.leads(me, place.starts, term, &place.disk);
            }
            Output::TailCertain => self.say(|| format!("      n{node}: nothing is uncertain")),
            Output::Diverged(found) | Output::Overruled(found) => {
                return keep(Promise::StateMachineSafety, false, || {
                    let (ours, theirs) = (found.ours, found.theirs);
                    format!("n{node} has {ours} committed, and its leader has {theirs}")
                });
            }
            Output::RolledBack { acknowledged, last } => {
                return keep(Promise::TermsKept, false, || {
                    format!("n{node} acknowledged {acknowledged} and has {last}")
                });
            }
            // The base is installed behind the step that brought it.
            Output::InstallBase { .. }
            | Output::SteppedDown { .. }
            | Output::ReadReady { .. }
            | Output::ReadFailed { .. }
            | Output::ChangeRefused(_)
            | Output::AlreadyChanged(_)
            | Output::Halted { .. } => {}
        }
        Ok(())
    }

    fn committed(&mut self, node: u64, index: u64) -> Result<(), Broken> {
        self.say(|| format!("      n{node} knows that all up to {index} is committed"));
        let place = Arc::clone(&self.nodes[at(node)]);
        let term = place.raft.term();
        let leading = (place.raft.role() == Role::Leader).then_some(term);
        let past = Arc::make_mut(&mut self.past);
        past.commits(place.me, index, leading, &place.disk)?;
        let (Some(term), Some(id), true) = (leading, place.disk.id_at(index), self.inside) else {
            return Ok(());
        };
        let holds = |voter: ReplicaId| {
            let place = &self.nodes[at(voter.node)];
            place.me == voter && place.disk.holds(id)
        };
        self.past
            .quorum_holds(term, id, place.raft.configuration(), holds)
    }

    fn post(
        &mut self,
        from: ReplicaId,
        to: ReplicaId,
        term: u64,
        message: Message,
        entries: Vec<Entry>,
    ) -> Result<(), Broken> {
        if self.inside {
            Past::sent(from, &self.node(from.node).disk, to, term, &message)?;
        }
        self.sent.push(Flight {
            from,
            to,
            term,
            message,
            entries,
            late: false,
        });
        Ok(())
    }

    /// A leader's driver stages an entry and proposes it.
    pub(super) fn stage(
        &mut self,
        node: u64,
        term: u64,
        configuration: Option<Configuration>,
    ) -> Result<(), Broken> {
        let place = self.node_mut(node);
        let index = place.disk.last().index + 1;
        let id = EntryId { term, index };
        let head = EntryHead { id, configuration };
        place.disk.log.push(Entry {
            head: head.clone(),
            value: place.starts,
        });
        place.raft.step(place.now_ns, Input::Proposed(head));
        self.say(|| format!("      n{node} appends {id}"));
        Ok(())
    }

    /// A message arrives. A base in it is installed at once, and the core starts anew
    /// behind it: crashes in between are the log's business.
    pub(super) fn arrive(&mut self, flight: &Flight) -> Result<(), Broken> {
        let node = flight.to.node;
        let place = self.node_mut(node);
        place.raft.step(
            place.now_ns,
            Input::Message {
                from: flight.from,
                term: flight.term,
                message: flight.message.clone(),
            },
        );
        let mut base = None;
        while let Some(output) = self.node_mut(node).raft.next_output() {
            if let (
                Output::InstallBase { .. },
                Message::Install {
                    base: id,
                    configuration,
                    ..
                },
            ) = (&output, &flight.message)
            {
                base = Some((*id, configuration.clone()));
            }
            self.carry_out(node, output, &flight.entries)?;
        }
        if let Some((id, configuration)) = base {
            self.say(|| format!("      n{node} begins anew behind {id}"));
            let disk = &mut self.node_mut(node).disk;
            if let Some(hard) = disk.saving.take() {
                disk.hard = hard;
            }
            disk.stand_in(id, configuration);
            self.start(node)?;
        }
        Ok(())
    }

    pub(super) fn is_meant(&self, flight: &Flight) -> bool {
        let disk = self.node(flight.to.node).me.disk;
        flight.to.disk == disk || flight.to.disk == ANY_DISK
    }

    /// The save under way ends, and those that follow it.
    pub(super) fn save(&mut self, node: u64, saves: Saves) -> Result<(), Broken> {
        while let Some(hard) = self.node_mut(node).disk.saving.take() {
            self.node_mut(node).disk.hard = hard;
            self.step(node, Input::HardStateSaved(hard), &[])?;
            if saves == Saves::GoOn {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn begin_sync(&mut self, node: u64) {
        let disk = &mut self.node_mut(node).disk;
        disk.sync = Some((disk.last(), false));
    }

    /// A sync that began before the log was cut covered nothing that was written since,
    /// and says so late: it names an entry that is there no more (D25).
    pub(super) fn end_sync(&mut self, node: u64) -> Result<(), Broken> {
        let disk = &mut self.node_mut(node).disk;
        let Some((id, cut)) = disk.sync.take() else {
            return Ok(());
        };
        if !cut {
            disk.durable_index = disk.durable_index.max(id.index);
        }
        self.step(node, Input::Durable(id), &[])
    }

    /// Checks the invariants that hold after every step.
    pub(super) fn check(&self) -> Result<(), Broken> {
        for node in &self.nodes {
            let (last, hard) = (node.disk.last(), node.disk.hard);
            keep(Promise::TermsKept, last.term <= hard.term, || {
                format!(
                    "n{} has {last} and durably term {}",
                    node.me.node, hard.term
                )
            })?;
        }
        logs_match(self.nodes.iter().map(|node| &node.disk))
    }

    /// A blank disk takes the place of the node's.
    pub(super) fn replace(&mut self, node: u64) -> Result<(), Broken> {
        self.spent.wipes += 1;
        let disk = disk_of(node, self.spent.wipes);
        let place = self.node_mut(node);
        place.me.disk = disk;
        place.disk = Disk::formatted(None);
        self.start(node)
    }

    /// Forgets what happened; nothing is under way any more.
    pub(super) fn forget(&mut self) {
        self.bag.clear();
        self.sent.clear();
        self.spent = Spent::default();
    }
}

fn core(
    me: ReplicaId,
    disk: &Disk,
    settings: Settings,
    peers: &BTreeSet<u64>,
    starts: u64,
    now_ns: u64,
) -> Raft {
    let readable_index = disk.rotten.first().map_or(u64::MAX, |first| first - 1);
    Raft::new(Start {
        me,
        settings,
        hard: disk.hard,
        log: disk.view(),
        configurations: disk.configurations(),
        commit_index: disk.base.index,
        durable_index: disk.durable_index.min(readable_index),
        holes: disk.holes(),
        peers: peers.clone(),
        now_ns,
        entropy: (starts + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    })
}
