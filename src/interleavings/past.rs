//! All that was said and decided, and whether a step agrees with it.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::{Disk, Entry};
use crate::raft::{Configuration, EntryId, Message, Names, ReplicaId, Words};

/// A promise that a step has broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which one.
    pub promise: Promise,
    /// By what.
    pub how: String,
}

/// The promises that a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// One leader a term, and one leadership.
    ElectionSafety,
    /// Equal names are equal entries with equal predecessors.
    LogMatching,
    /// A leader has all that was committed in earlier terms: nothing committed is lost.
    LeaderCompleteness,
    /// One entry is committed at an index, and nobody meets a contradiction.
    StateMachineSafety,
    /// The durable term never falls, and no durable entry is of a later one.
    TermsKept,
    /// A message says only things that are durable when it leaves (D1, D2).
    TruthTold,
    /// A leader commits what a quorum holds durably, and an entry of its own term (D3, D4).
    QuorumHolds,
    /// The core does not panic.
    NoPanic,
    /// With all faults healed the replicas come to commit again, and to agree.
    Liveness,
}

impl Promise {
    /// Whether only a look inside can tell: a client has seen no harm yet.
    #[must_use]
    pub fn is_inside(self) -> bool {
        matches!(self, Self::TruthTold | Self::QuorumHolds)
    }

    /// The name of the promise.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ElectionSafety => "election safety",
            Self::LogMatching => "log matching",
            Self::LeaderCompleteness => "leader completeness",
            Self::StateMachineSafety => "state-machine safety",
            Self::TermsKept => "terms kept",
            Self::TruthTold => "truth told",
            Self::QuorumHolds => "quorum holds",
            Self::NoPanic => "no panic",
            Self::Liveness => "liveness",
        }
    }
}

/// An error, where `holds` is not so.
pub(super) fn keep(
    promise: Promise,
    holds: bool,
    how: impl FnOnce() -> String,
) -> Result<(), Broken> {
    match holds {
        true => Ok(()),
        false => Err(Broken {
            promise,
            how: how(),
        }),
    }
}

/// An entry that was committed, and the term of the leader that did so first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) id: EntryId,
    pub(super) value: u64,
    pub(super) in_term: u64,
}

/// The part of the past that a later step can contradict.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// Term to who led it, and how often that one had started then.
    pub(super) leaders: BTreeMap<u64, (ReplicaId, u64)>,
    /// From index 1.
    pub(super) committed: Vec<Committed>,
    /// Nodes that lost what had been durable.
    pub(super) harmed: BTreeSet<u64>,
}

impl Past {
    /// Election safety, and leader completeness.
    pub(super) fn leads(
        &mut self,
        me: ReplicaId,
        starts: u64,
        term: u64,
        disk: &Disk,
    ) -> Result<(), Broken> {
        let first = *self.leaders.entry(term).or_insert((me, starts));
        keep(Promise::ElectionSafety, first == (me, starts), || {
            let again = if first.0 == me { " once more" } else { "" };
            format!(
                "n{} leads term {term}{again}, which n{} led",
                me.node, first.0.node
            )
        })?;
        for committed in &self.committed {
            let index = committed.id.index;
            let entry = disk.entry(index).map(|entry| (entry.head.id, entry.value));
            let has = index <= disk.base.index || entry == Some((committed.id, committed.value));
            keep(
                Promise::LeaderCompleteness,
                committed.in_term >= term || has,
                || {
                    let (node, id, before) = (me.node, committed.id, committed.in_term);
                    format!("n{node} leads term {term} without {id}, committed in term {before}")
                },
            )?;
        }
        Ok(())
    }

    /// State-machine safety. `leading`: the term of a leader that commits.
    pub(super) fn commits(
        &mut self,
        me: ReplicaId,
        index: u64,
        leading: Option<u64>,
        disk: &Disk,
    ) -> Result<(), Broken> {
        for at in disk.base.index + 1..=index {
            let Some(Entry { head, value }) = disk.entry(at) else {
                continue;
            };
            let known = usize::try_from(at - 1).unwrap_or(usize::MAX);
            let new = Committed {
                id: head.id,
                value: *value,
                in_term: leading.unwrap_or(u64::MAX),
            };
            match self.committed.get_mut(known) {
                Some(old) => {
                    keep(
                        Promise::StateMachineSafety,
                        (old.id, old.value) == (new.id, new.value),
                        || format!("n{} commits {}, and {} was", me.node, new.id, old.id),
                    )?;
                    old.in_term = old.in_term.min(new.in_term);
                }
                None => self.committed.push(new),
            }
        }
        Ok(())
    }

    /// D3, D4: the entry is the leader's own, and a quorum holds it, or was harmed since.
    pub(super) fn quorum_holds(
        &self,
        term: u64,
        id: EntryId,
        configuration: &Configuration,
        holds: impl Fn(ReplicaId) -> bool,
    ) -> Result<(), Broken> {
        keep(Promise::QuorumHolds, id.term == term, || {
            format!("{id} is committed by counting in term {term}")
        })?;
        let holders = configuration.voters();
        let holders = holders.filter(|it| self.harmed.contains(&it.node) || holds(*it));
        let count = holders.count();
        let quorum = configuration.seats.len() / 2 + 1;
        keep(Promise::QuorumHolds, count >= quorum, || {
            format!("{id} is committed in term {term} and durable on {count}, not {quorum}")
        })
    }

    /// D1, D2: a message that leaves is true of the disk.
    pub(super) fn sent(
        me: ReplicaId,
        disk: &Disk,
        to: ReplicaId,
        term: u64,
        message: &Message,
    ) -> Result<(), Broken> {
        let node = me.node;
        keep(Promise::TruthTold, term <= disk.hard.term, || {
            format!(
                "n{node} speaks in term {term}, and {} is durable",
                disk.hard.term
            )
        })?;
        match message {
            Message::VoteAnswer { granted: true } if disk.hard.term == term => {
                keep(Promise::TruthTold, disk.hard.vote == Some(to), || {
                    format!("n{node} says its vote of term {term}, which is not durable")
                })
            }
            Message::AppendAnswer(answer) => {
                let durable_index = disk.durable_index;
                keep(
                    Promise::TruthTold,
                    answer.matched_index <= durable_index,
                    || {
                        let matched_index = answer.matched_index;
                        format!(
                            "n{node} acknowledges {matched_index}, and {durable_index} is durable"
                        )
                    },
                )
            }
            _ => Ok(()),
        }
    }

    pub(super) fn digest(&self, names: &Names, out: &mut Words) {
        for (term, (replica, starts)) in &self.leaders {
            out.extend([*term, names.replica(*replica), *starts]);
        }
        out.push(u64::MAX);
        for committed in &self.committed {
            let id = committed.id;
            out.extend([
                (id.term << 32) | id.index,
                committed.value,
                committed.in_term,
            ]);
        }
        out.push(u64::MAX);
        let mut harmed: Vec<u64> = self.harmed.iter().map(|node| names.node(*node)).collect();
        harmed.sort_unstable();
        out.extend(harmed);
    }
}

/// Log matching, between any two logs.
pub(super) fn logs_match<'a>(disks: impl Iterator<Item = &'a Disk> + Clone) -> Result<(), Broken> {
    for (at, one) in disks.clone().enumerate() {
        for other in disks.clone().skip(at + 1) {
            let mut before_differs = false;
            for entry in &one.log {
                let id = entry.head.id;
                let Some(theirs) = other.entry(id.index) else {
                    continue;
                };
                let same_name = theirs.head.id == id;
                let same = same_name && theirs.value == entry.value;
                let holds = !same_name || same && !before_differs;
                keep(Promise::LogMatching, holds, || {
                    format!("{id} is two entries, or follows two")
                })?;
                before_differs = !same;
            }
        }
    }
    Ok(())
}
