//! The replicas, their disks, and the messages between them.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Check;
use super::disk::{Disk, TestEntry};
use crate::raft::{
    ANY_DISK, Configuration, EntryHead, EntryId, Input, Message, Output, Raft, ReplicaId, Role,
    Settings, Start, Unreadable,
};

/// A message under way, and the entries that travel behind it.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) from: ReplicaId,
    pub(super) to: ReplicaId,
    pub(super) term: u64,
    pub(super) message: Message,
    pub(super) entries: Vec<TestEntry>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) me: ReplicaId,
    pub(super) disk: Disk,
    /// None while it is off.
    pub(super) raft: Option<Raft>,
    /// Its clock is ahead of the others' by so much.
    pub(super) ahead_ns: u64,
}

pub(super) struct Cluster {
    pub(super) nodes: BTreeMap<u64, Node>,
    pub(super) bag: Vec<Flight>,
    pub(super) now_ns: u64,
    pub(super) settings: Settings,
    pub(super) check: Check,
    /// The notices since it was last asked.
    pub(super) told: Vec<String>,
    next_value: u64,
    entropy: u64,
}

impl Cluster {
    /// Voters 0..n on disks 10, 11, …
    pub(super) fn new(n: u64, entropy: u64) -> Self {
        let replicas = (0..n).map(|node| ReplicaId {
            node,
            disk: 10 + node,
        });
        let configuration = Configuration::of_voters(replicas.clone());
        let node = |me: ReplicaId| {
            let disk = Disk::formatted(Some(configuration.clone()));
            (
                me.node,
                Node {
                    me,
                    disk,
                    raft: None,
                    ahead_ns: 0,
                },
            )
        };
        let mut cluster = Self {
            nodes: replicas.map(node).collect(),
            bag: Vec::new(),
            now_ns: 0,
            settings: Settings {
                append_entries_max: 3,
                inflight_max: 2,
                ..Settings::default()
            },
            check: Check::default(),
            told: Vec::new(),
            next_value: 0,
            entropy,
        };
        for node in 0..n {
            cluster.start(node);
        }
        cluster
    }

    pub(super) fn start(&mut self, node: u64) {
        self.entropy = self.entropy.wrapping_add(1);
        let peers: BTreeSet<u64> = self.nodes.keys().copied().collect();
        let entropy = self.entropy.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = self.node(node);
        let disk = &place.disk;
        let start = Start {
            me: place.me,
            settings: Settings::default(),
            hard: disk.hard,
            log: disk.view(),
            configurations: disk.configurations(),
            commit_index: disk.base.index,
            durable_index: disk.durable_index,
            holes: disk.holes(),
            peers,
            now_ns: 0,
            entropy,
        };
        let (settings, now_ns) = (self.settings, self.clock_ns(node));
        self.node(node).raft = Some(Raft::new(Start {
            settings,
            now_ns,
            ..start
        }));
        self.drain(node, &[]);
    }

    pub(super) fn node(&mut self, node: u64) -> &mut Node {
        self.nodes.get_mut(&node).expect("a node of the cluster")
    }

    fn clock_ns(&self, node: u64) -> u64 {
        self.now_ns + self.nodes[&node].ahead_ns
    }

    pub(super) fn raft(&self, node: u64) -> Option<&Raft> {
        self.nodes[&node].raft.as_ref()
    }

    pub(super) fn role(&self, node: u64) -> Option<Role> {
        self.raft(node).map(Raft::role)
    }

    pub(super) fn step(&mut self, node: u64, input: Input, entries: &[TestEntry]) {
        let now_ns = self.clock_ns(node);
        if let Some(raft) = &mut self.node(node).raft {
            raft.step(now_ns, input);
            self.drain(node, entries);
        }
    }

    fn drain(&mut self, node: u64, entries: &[TestEntry]) {
        while let Some(output) = self.node(node).raft.as_mut().and_then(Raft::next_output) {
            self.carry_out(node, output, entries);
            let me = self.nodes[&node].me;
            self.check.disk(me, &self.nodes[&node].disk);
        }
    }

    fn carry_out(&mut self, node: u64, output: Output, entries: &[TestEntry]) {
        let me = self.nodes[&node].me;
        let leading = self.role(node) == Some(Role::Leader);
        match output {
            Output::SaveHardState(hard) => self.node(node).disk.saving = Some(hard),
            Output::Send { to, term, message } => self.post(me, to, term, message, Vec::new()),
            Output::Replicate {
                to,
                term,
                mut append,
                upto_index,
            } => {
                let entries = self.nodes[&node]
                    .disk
                    .entries(append.prev.index, upto_index);
                append.heads = entries.iter().map(|entry| entry.head.clone()).collect();
                self.post(me, to, term, Message::Append(append), entries);
            }
            Output::SendTail {
                to,
                term,
                mut tail,
                upto_index,
            } => {
                let entries = self.nodes[&node]
                    .disk
                    .entries(tail.previous.index, upto_index);
                tail.heads = entries.iter().map(|entry| entry.head.clone()).collect();
                self.post(me, to, term, Message::Tail(tail), entries);
            }
            Output::SendBase { to, term, request } => {
                let disk = &self.nodes[&node].disk;
                let message = Message::Install {
                    request,
                    base: disk.base,
                    configuration: disk.base_configuration.clone().expect("not blank"),
                };
                self.post(me, to, term, message, Vec::new());
            }
            Output::Truncate { from_index } => {
                assert!(!leading, "a leader's log only grows");
                self.check.cuts(me, from_index, &self.nodes[&node].disk);
                self.node(node).disk.truncate(from_index);
            }
            Output::Store {
                from_index,
                upto_index,
            } => {
                assert!(!leading, "a leader's log only grows");
                let span = from_index..=upto_index;
                for entry in entries {
                    if span.contains(&entry.head.id.index) {
                        self.append(node, entry.clone());
                    }
                }
                assert_eq!(self.nodes[&node].disk.last().index, upto_index);
            }
            Output::InstallBase { .. } => {}
            Output::AppendNoOp { term } => self.stage(node, term, None),
            Output::AppendConfiguration {
                term,
                configuration,
            } => self.stage(node, term, Some(configuration)),
            Output::Committed { index } => {
                let place = &self.nodes[&node];
                let raft = place.raft.as_ref().expect("it spoke");
                let leading = leading.then(|| (raft.term(), raft.configuration()));
                self.check.commits(me, index, leading, &place.disk);
            }
            Output::BecameLeader { term } => {
                self.check.leads(me, term, &self.nodes[&node].disk);
            }
            Output::ReadReady { id, index } => self.check.answered(id, index),
            Output::Halted { blank_nodes, .. } => {
                self.told
                    .push(format!("{node} reports: halted, blank {blank_nodes:?}"));
            }
            Output::RolledBack { acknowledged, last } => {
                self.told.push(format!(
                    "{node} reports: rolled back to {last}, had acknowledged {acknowledged}"
                ));
            }
            Output::TailCertain => self.told.push(format!("{node}: the tail is certain")),
            Output::Diverged(found) | Output::Overruled(found) => {
                panic!("state machine safety: {node} diverged: {found:?}")
            }
            Output::SteppedDown { .. }
            | Output::ReadFailed { .. }
            | Output::ChangeRefused(_)
            | Output::AlreadyChanged(_) => {}
        }
    }

    fn post(
        &mut self,
        from: ReplicaId,
        to: ReplicaId,
        term: u64,
        mut message: Message,
        entries: Vec<TestEntry>,
    ) {
        let disk = &self.nodes[&from.node].disk;
        if let Message::Ask { previous, hash, .. } = &mut message {
            *hash = Disk::hash_of(*previous);
        }
        self.check.sent(from, disk, to, term, &message);
        if let Message::YouForgot { acknowledged_index } = message {
            let disk = &self.nodes[&to.node].disk;
            let has = disk.durable_index >= acknowledged_index;
            assert!(!has, "{to:?} has {acknowledged_index}: it did not forget");
        }
        self.bag.push(Flight {
            from,
            to,
            term,
            message,
            entries,
        });
    }

    fn append(&mut self, node: u64, entry: TestEntry) {
        let disk = &mut self.nodes.get_mut(&node).expect("a node").disk;
        self.check.stored(&entry, disk.last());
        disk.log.push(entry);
    }

    /// The leader's driver stages an entry of `term` and proposes it.
    fn stage(&mut self, node: u64, term: u64, configuration: Option<Configuration>) {
        let head = self.stage_only(node, term, configuration);
        self.propose_head(node, head);
    }

    fn stage_only(
        &mut self,
        node: u64,
        term: u64,
        configuration: Option<Configuration>,
    ) -> EntryHead {
        let index = self.nodes[&node].disk.last().index + 1;
        let id = EntryId { term, index };
        let head = EntryHead { id, configuration };
        self.next_value += 1;
        let value = self.next_value;
        self.append(
            node,
            TestEntry {
                head: head.clone(),
                value,
            },
        );
        head
    }

    fn propose_head(&mut self, node: u64, head: EntryHead) {
        let now_ns = self.clock_ns(node);
        let raft = self.node(node).raft.as_mut().expect("it is on");
        raft.step(now_ns, Input::Proposed(head));
    }

    /// A client sends; refused where this node does not lead.
    pub(super) fn propose(&mut self, node: u64) -> bool {
        let Some(term) = self
            .raft(node)
            .filter(|raft| raft.accepts_proposals())
            .map(Raft::term)
        else {
            return false;
        };
        self.stage(node, term, None);
        self.drain(node, &[]);
        true
    }

    /// A leader's process stops between staging entries and proposing them, and
    /// goes on when everybody else has gone on without it.
    pub(super) fn propose_late(&mut self, node: u64, entries: u64, late_ns: u64) -> bool {
        let leader = self.raft(node).filter(|raft| raft.accepts_proposals());
        let Some(term) = leader.map(Raft::term) else {
            return false;
        };
        let staged: Vec<_> = (0..entries)
            .map(|_| self.stage_only(node, term, None))
            .collect();
        self.now_ns += late_ns;
        let now_ns = self.clock_ns(node);
        let raft = self.node(node).raft.as_mut().expect("it is on");
        raft.step(now_ns, Input::Timeout);
        for head in staged {
            self.propose_head(node, head);
        }
        self.drain(node, &[]);
        true
    }

    /// The message arrives, if its addressee is there.
    pub(super) fn arrive(&mut self, flight: Flight) {
        let node = flight.to.node;
        let place = &self.nodes[&node];
        let meant = flight.to.disk == place.me.disk || flight.to.disk == ANY_DISK;
        if !meant || place.raft.is_none() {
            return;
        }
        let install = match &flight.message {
            Message::Install {
                base,
                configuration,
                ..
            } => Some((*base, configuration.clone())),
            _ => None,
        };
        let now_ns = self.clock_ns(node);
        let raft = self.node(node).raft.as_mut().expect("it is on");
        raft.step(
            now_ns,
            Input::Message {
                from: flight.from,
                term: flight.term,
                message: flight.message,
            },
        );
        // The base is installed at once, and the replica starts anew behind it:
        // crashes in between are the log's business.
        let raft = self.node(node).raft.as_mut().expect("it is on");
        let mut outputs = Vec::new();
        while let Some(output) = raft.next_output() {
            outputs.push(output);
        }
        let installs = outputs
            .iter()
            .any(|o| matches!(o, Output::InstallBase { .. }));
        for output in outputs {
            self.carry_out(node, output, &flight.entries);
        }
        self.drain(node, &flight.entries);
        if let (true, Some((base, configuration))) = (installs, install) {
            self.node(node).disk.install(base, configuration);
            self.start(node);
        }
        let me = self.nodes[&node].me;
        self.check.disk(me, &self.nodes[&node].disk);
    }

    /// The hard state under way becomes durable.
    pub(super) fn save(&mut self, node: u64) -> bool {
        let place = self.node(node);
        let Some(hard) = place.disk.saving.take() else {
            return false;
        };
        place.disk.hard = hard;
        let me = place.me;
        self.check.disk(me, &self.nodes[&node].disk);
        self.step(node, Input::HardStateSaved(hard), &[]);
        true
    }

    pub(super) fn begin_sync(&mut self, node: u64) {
        let disk = &mut self.node(node).disk;
        if disk.sync.is_none() {
            disk.sync = Some((disk.last(), false));
        }
    }

    /// The sync under way ends. One that began before the log was cut covered
    /// nothing that was written since, and says so late: it names an entry that
    /// is there no more (D25).
    pub(super) fn end_sync(&mut self, node: u64) -> bool {
        let place = self.node(node);
        let disk = &mut place.disk;
        let Some((covered, cut)) = disk.sync.take() else {
            return false;
        };
        if cut && disk.id_at(covered.index) == Some(covered) {
            return true;
        }
        if !cut && covered.index > disk.durable_index {
            disk.durable_index = covered.index;
        }
        let me = place.me;
        self.check.disk(me, &self.nodes[&node].disk);
        self.step(node, Input::Durable(covered), &[]);
        true
    }

    /// Power off. `kept` picks how much of what was under way survives.
    pub(super) fn crash(&mut self, node: u64, survives_index: u64, save_survives: bool) {
        let place = self.node(node);
        place.raft = None;
        place.disk.lose_power(survives_index, save_survives);
        let me = place.me;
        self.check.disk(me, &self.nodes[&node].disk);
    }

    /// The end of a log that is off does not verify from `from_index` on: what
    /// a driver does before it starts (D12).
    pub(super) fn tear(&mut self, node: u64, from_index: u64) {
        let disk = &mut self.node(node).disk;
        disk.hard = disk.hard.is_uncertain(from_index, 0);
        disk.truncate(from_index);
    }

    /// A durable entry of a log that is off cannot be read any more.
    pub(super) fn rot(&mut self, node: u64, index: u64) {
        self.node(node).disk.rotten.insert(index);
    }

    /// A driver's way with the lowest hole: takes it from `peer`, or its base,
    /// or finds that another entry is committed there (see
    /// `broker::replica::fetch`). The core starts anew.
    pub(super) fn fetch(&mut self, node: u64, peer: u64) {
        let Some(hole) = self.nodes[&node].disk.holes().first().copied() else {
            return;
        };
        let (Some(_), Some(theirs)) = (self.raft(node), self.raft(peer)) else {
            return;
        };
        let commit_index = theirs.commit_index();
        let (disk, other) = (&self.nodes[&node].disk, &self.nodes[&peer].disk);
        if other.base_configuration.is_none() {
            return;
        }
        if other.base.index >= hole.from_index {
            let configuration = other.base_configuration.clone().expect("not blank");
            let base = other.base;
            return self.stand_in(node, base, configuration);
        }
        let same = |index: u64| {
            let there = !other.rotten.contains(&index) && index <= other.durable_index;
            there && other.id_at(index) == disk.id_at(index)
        };
        if (hole.from_index..hole.upto_index).all(same) {
            let filled = hole.from_index..hole.upto_index;
            let disk = &mut self.node(node).disk;
            disk.rotten.retain(|index| !filled.contains(index));
            return self.reopen(node);
        }
        if Self::is_superseded(hole, disk, other, commit_index) {
            self.reopen_after(node, |disk| {
                disk.hard = disk.hard.is_uncertain(hole.from_index, 0);
                disk.truncate(hole.from_index);
            });
        }
    }

    /// As `broker::replica::fetch::is_superseded`: what can be known without reading
    /// what is in the hole.
    fn is_superseded(hole: Unreadable, disk: &Disk, other: &Disk, commit_index: u64) -> bool {
        let last_index = hole.upto_index - 1;
        let differs = |index: u64| {
            let readable = !other.rotten.contains(&index);
            let theirs = other.id_at(index).filter(|_| readable);
            theirs.is_some() && disk.id_at(index).is_some() && theirs != disk.id_at(index)
        };
        let committed = other.id_at(commit_index);
        let behind = disk.id_at(hole.upto_index).or(disk.id_at(last_index));
        let of_later_term = (hole.from_index..=last_index).contains(&commit_index)
            && committed.is_some_and(|id| behind.is_some_and(|behind| id.term > behind.term));
        let parts_below = commit_index + 1 >= hole.from_index && differs(hole.from_index - 1);
        let below = commit_index < hole.from_index && differs(commit_index);
        // A base took the place of a part of it, and what is behind never followed.
        let parts_here = disk
            .id_at(hole.from_index - 1)
            .zip(behind)
            .is_some_and(|(before, behind)| before.term > behind.term);
        parts_here
            || below
            || of_later_term
            || parts_below
            || commit_index >= last_index && differs(last_index)
    }

    /// A base takes the place of what is below it; what follows it stays.
    fn stand_in(&mut self, node: u64, base: EntryId, configuration: Configuration) {
        self.reopen_after(node, |disk| {
            if disk.hard.term < base.term {
                disk.hard = disk.hard.in_term(base.term);
            }
            // Inside a hole nothing can be compared: what follows it stays.
            let inside = [base.index, base.index + 1].map(|index| disk.rotten.contains(&index));
            let same = inside == [true, true] || disk.id_at(base.index) == Some(base);
            if disk.last().index <= base.index || !same {
                let hard = disk.hard;
                disk.install(base, configuration);
                disk.hard = hard;
            } else {
                disk.log.retain(|entry| entry.head.id.index > base.index);
                disk.rotten.retain(|index| *index > base.index);
                disk.base = base;
                disk.base_configuration = Some(configuration);
            }
        });
    }

    fn reopen(&mut self, node: u64) {
        self.reopen_after(node, |_| {});
    }

    /// A save under way ends before anything else is done to the disk.
    fn reopen_after(&mut self, node: u64, change: impl FnOnce(&mut Disk)) {
        let place = self.node(node);
        if let Some(hard) = place.disk.saving.take() {
            place.disk.hard = hard;
        }
        place.raft = None;
        change(&mut place.disk);
        self.start(node);
    }

    /// The disk is gone; a new one is formatted as a replacement.
    pub(super) fn replace(&mut self, node: u64, disk: u64) {
        let place = self.node(node);
        place.raft = None;
        place.me = ReplicaId { node, disk };
        place.disk = Disk::formatted(None);
    }

    /// Lets a deadline come.
    pub(super) fn timeout(&mut self, node: u64) {
        if let Some(raft) = self.raft(node) {
            self.now_ns = raft.deadline_ns().max(self.now_ns);
            self.step(node, Input::Timeout, &[]);
        }
    }
}
