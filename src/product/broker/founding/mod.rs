//! How a cluster begins: once, with all its first members present (D13).
//!
//! `format --members` writes down who they are, and no more: a disk's id is random,
//! so nobody knows the others' yet, and the disk is *unfounded*. The founder is the
//! member with the lowest node id.
//!
//! ```text
//!   founder ── ask ──▶ every first member: unfounded? which disk?
//!           ◀─ all ──  not founded, disk d                        round 1
//!           ── ask ──▶ again
//!           ◀─ all ──  not founded, the same disks                round 2
//!   decided: these disks are the first configuration. Durable here, then told
//!   to whoever asks; a member takes it, durably, and is founded.
//! ```
//!
//! Promise: no two first configurations are ever in force. The argument:
//!
//! 1. A disk takes one first configuration in its life, and only one that names it.
//! 2. Between the two rounds there is a moment at which every disk that the founder
//!    names was there, and had taken nothing: each said so later than that. So of
//!    any earlier configuration nobody is left who took it, and nothing that it
//!    acknowledged is on any disk.
//! 3. A later founder asks the same nodes. One disk that took a configuration is
//!    enough: it says so, and the asker stands back, as a blank disk that waits to
//!    be let in (D14), whatever it was formatted as.
//! 4. Two configurations that were decided at the same time could not both have a
//!    majority: each node has one disk, which takes one of them.
//! 5. An answer counts only for the question that is open. A disk that says to the
//!    founder that it is unfounded asks again from then on: the answers of an earlier
//!    founder, whose disk is gone, are not taken any more.
//!
//! A crash anywhere leaves unfounded disks, or founded ones of one configuration: the
//! founding goes on, or begins again. A disk that stood back holds nothing, and
//! answers a founder that asks it: the cluster that it had heard of may be gone. A
//! disk that is lost before it took the configuration, or after, is formatted again
//! and stands back once it asks.
//!
//! Not covered: where *every* disk that took a configuration is lost and formatted
//! with `--members`, nobody is left who knows that there was a cluster, and another
//! one is founded. An operator who wants a halt (D16) formats with `--replacement`.

mod message;
mod record;
mod run;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::raft::{Epoch, ReplicaId};
pub use message::founding_speaker;
pub(super) use message::{FoundingMessage, Said};
pub use record::FOUNDING_FILE;
pub(super) use record::Record;
pub(super) use run::Founded;

/// Node to disk: who begins a cluster.
pub(super) type First = BTreeMap<u64, u64>;

/// The next action of a disk that is not founded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// To that node, whatever its disk.
    Send { to: u64, said: Said },
    /// This disk, the founder's, begins a cluster: durable before it is told.
    Decide(First),
    /// This disk is one of those with which a cluster began.
    Accept { first: First, epoch: Epoch },
    /// There is a cluster, and this disk is not of those that began it: it waits to
    /// be let in. It has taken nothing, so it may be asked again.
    StandBack,
}

/// Why it is not founded yet, for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Waiting {
    /// Members that have not answered.
    pub(super) silent: Vec<u64>,
    /// Nodes that were formatted with another list, and which.
    pub(super) differ: BTreeMap<u64, Vec<u64>>,
    /// Members whose disks were formatted as replacements.
    pub(super) replacements: BTreeSet<u64>,
}

/// A disk that was formatted with `--members` and is not founded, without a clock,
/// a disk or a network.
///
/// 1. `heard` and `before` hold disks of members that said, to the question of
///    their round, that they are unfounded under the same list.
/// 2. Every disk of `before` said so before any of `heard` was asked.
#[derive(Debug)]
pub(super) struct Unfounded {
    me: ReplicaId,
    members: BTreeSet<u64>,
    /// Every other node that may know of a cluster.
    others: BTreeSet<u64>,
    question: u64,
    heard: First,
    before: Option<First>,
    answered: BTreeSet<u64>,
    differ: BTreeMap<u64, Vec<u64>>,
    replacements: BTreeSet<u64>,
}

impl Unfounded {
    /// `question` is random, as is every later one.
    pub(super) fn new(
        me: ReplicaId,
        members: &[u64],
        peers: impl IntoIterator<Item = u64>,
        question: u64,
    ) -> Self {
        let members: BTreeSet<u64> = members.iter().copied().collect();
        let others = members.iter().copied().chain(peers);
        Self {
            me,
            others: others.filter(|node| *node != me.node).collect(),
            members,
            question,
            heard: First::new(),
            before: None,
            answered: BTreeSet::new(),
            differ: BTreeMap::new(),
            replacements: BTreeSet::new(),
        }
    }

    fn is_founder(&self) -> bool {
        self.members.first() == Some(&self.me.node)
    }

    fn list(&self) -> Vec<u64> {
        self.members.iter().copied().collect()
    }

    /// Asks everybody.
    pub(super) fn ask(&self) -> Vec<Action> {
        let said = || Said::Ask {
            question: self.question,
            members: self.list(),
        };
        let to_each = self.others.iter().map(|to| Action::Send {
            to: *to,
            said: said(),
        });
        to_each.collect()
    }

    /// Why it is still not founded, since the last call.
    pub(super) fn waiting(&mut self) -> Waiting {
        let answered = std::mem::take(&mut self.answered);
        let others = self.members.iter().copied();
        let silent = others.filter(|node| *node != self.me.node && !answered.contains(node));
        Waiting {
            silent: silent.collect(),
            differ: std::mem::take(&mut self.differ),
            replacements: std::mem::take(&mut self.replacements),
        }
    }

    /// Something was said to this disk. `fresh` is random: the next question, where
    /// one is due.
    pub(super) fn hear(&mut self, from: ReplicaId, said: Said, fresh: u64) -> Vec<Action> {
        match said {
            Said::Ask { question, members } => self.answer(from, question, members, fresh),
            Said::Unfounded { question, .. }
            | Said::Blank { question }
            | Said::Founded { question, .. }
                if question != self.question =>
            {
                Vec::new()
            }
            Said::Unfounded { members, .. } => self.heard(from, members, fresh),
            Said::Blank { .. } => {
                self.answered.insert(from.node);
                if self.members.contains(&from.node) {
                    self.replacements.insert(from.node);
                }
                Vec::new()
            }
            Said::Epoch { .. } => Vec::new(),
            Said::Founded { first, epoch, .. } => {
                vec![match first.get(&self.me.node) == Some(&self.me.disk) {
                    true => Action::Accept { first, epoch },
                    false => Action::StandBack,
                }]
            }
        }
    }

    fn answer(
        &mut self,
        from: ReplicaId,
        question: u64,
        members: Vec<u64>,
        fresh: u64,
    ) -> Vec<Action> {
        if members != self.list() {
            self.differ.insert(from.node, members);
        } else if self.members.first() == Some(&from.node) {
            // Questions that were asked before this are void: see the module, point 5.
            self.question = fresh;
        }
        let said = Said::Unfounded {
            question,
            members: self.list(),
        };
        let to = from.node;
        vec![Action::Send { to, said }]
    }

    /// A member has taken nothing.
    fn heard(&mut self, from: ReplicaId, members: Vec<u64>, fresh: u64) -> Vec<Action> {
        if members != self.list() {
            self.differ.insert(from.node, members);
            return Vec::new();
        }
        if !self.members.contains(&from.node) || from.node == self.me.node {
            return Vec::new();
        }
        self.answered.insert(from.node);
        self.heard.insert(from.node, from.disk);
        if !self.is_founder() || self.heard.len() + 1 < self.members.len() {
            return Vec::new();
        }
        let heard = std::mem::take(&mut self.heard);
        self.question = fresh;
        if self.before.replace(heard.clone()).as_ref() != Some(&heard) {
            return self.ask();
        }
        let mut first = heard;
        first.insert(self.me.node, self.me.disk);
        vec![Action::Decide(first)]
    }
}

impl Waiting {
    /// The replacements, where everybody else is as it should be.
    pub(super) fn only_for_replacements(self) -> Vec<u64> {
        match self.silent.is_empty() && self.differ.is_empty() {
            true => self.replacements.into_iter().collect(),
            false => Vec::new(),
        }
    }
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the cluster is not founded yet: that takes every first member once.")?;
        if !self.silent.is_empty() {
            write!(
                f,
                " Nothing is heard of brokers {:?}: start them.",
                self.silent
            )?;
        }
        for (node, members) in &self.differ {
            write!(
                f,
                " Broker {node} was formatted with --members {members:?}: format the one that is \
                 wrong again, in a new directory."
            )?;
        }
        for node in &self.replacements {
            write!(
                f,
                " The disk of broker {node} was formatted with --replacement, and there is nothing \
                 yet to be let in to: format it with --members, as the others, in a new directory."
            )?;
        }
        Ok(())
    }
}
