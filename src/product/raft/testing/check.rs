//! The rules that must hold after every step: Raft's five (Raft paper, figure 3),
//! promises kept, and nothing acknowledged lost.

use std::collections::BTreeMap;

use super::disk::{Disk, TestEntry};
use crate::raft::{Configuration, EntryId, Message, ReplicaId};

/// Watches disks and messages, not the core's variables, wherever it can.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// Only what a user could see is judged: no count of holdings at a commit,
    /// no look at what leaves.
    pub(super) black_box: bool,
    leaders: BTreeMap<u64, ReplicaId>,
    /// Every entry there ever was: its value and the one before it.
    entries: BTreeMap<EntryId, (u64, EntryId)>,
    /// Index to (entry, the term of the leader that committed it first).
    pub(super) committed: BTreeMap<u64, (EntryId, u64)>,
    /// The highest index that a replica held durably in a term it was durably
    /// in.
    held: BTreeMap<(ReplicaId, u64), u64>,
    /// Durable terms and votes.
    terms: BTreeMap<ReplicaId, u64>,
    votes: BTreeMap<(ReplicaId, u64), ReplicaId>,
    /// Reads under way: what was committed when each was asked.
    reads: BTreeMap<u64, u64>,
    pub(super) read_count: u64,
}

impl Check {
    /// Log Matching: equal names mean equal entries and equal predecessors.
    pub(super) fn stored(&mut self, entry: &TestEntry, previous: EntryId) {
        let known = self
            .entries
            .entry(entry.head.id)
            .or_insert((entry.value, previous));
        assert_eq!(
            *known,
            (entry.value, previous),
            "log matching: {} is two entries",
            entry.head.id
        );
    }

    /// The disk of `me` changed, or may have.
    pub(super) fn disk(&mut self, me: ReplicaId, disk: &Disk) {
        let hard = disk.hard;
        let term = self.terms.entry(me).or_default();
        assert!(hard.term >= *term, "{me:?}: its durable term fell");
        *term = hard.term;
        if let Some(vote) = hard.vote {
            let voted = *self.votes.entry((me, hard.term)).or_insert(vote);
            assert_eq!(voted, vote, "{me:?}: two votes in term {}", hard.term);
        }
        assert!(disk.last().term <= hard.term, "{me:?}: an entry of no term");
        if let Some(durable) = disk.id_at(disk.durable_index)
            && durable.term == hard.term
        {
            let held = self.held.entry((me, durable.term)).or_default();
            *held = durable.index.max(*held);
        }
    }

    /// A statement that leaves must be true already (D1, D2).
    pub(super) fn sent(
        &self,
        me: ReplicaId,
        disk: &Disk,
        to: ReplicaId,
        term: u64,
        message: &Message,
    ) {
        if self.black_box {
            return;
        }
        assert!(
            term <= disk.hard.term,
            "{me:?}: {message:?} before term {term} is durable"
        );
        match message {
            Message::VoteAnswer { granted: true } if disk.hard.term == term => {
                assert_eq!(disk.hard.vote, Some(to), "a vote before it is durable");
            }
            Message::AppendAnswer(answer) => {
                assert!(
                    answer.matched_index <= disk.durable_index,
                    "{me:?}: acknowledged before it is durable"
                );
            }
            _ => {}
        }
    }

    /// Election Safety, and Leader Completeness.
    pub(super) fn leads(&mut self, me: ReplicaId, term: u64, disk: &Disk) {
        let leader = *self.leaders.entry(term).or_insert(me);
        assert_eq!(leader, me, "election safety: two leaders of term {term}");
        for (index, (id, in_term)) in &self.committed {
            assert!(
                *in_term >= term || *index <= disk.base.index || disk.id_at(*index) == Some(*id),
                "leader completeness: {me:?} leads term {term} without {id}, committed in {in_term}"
            );
        }
    }

    /// State Machine Safety; and a leader commits only what a quorum holds
    /// together with an entry of its own term.
    pub(super) fn commits(
        &mut self,
        me: ReplicaId,
        index: u64,
        leading: Option<(u64, &Configuration)>,
        disk: &Disk,
    ) {
        if let (Some((term, configuration)), false) = (leading, self.black_box) {
            let holds = |voter: ReplicaId| self.held.get(&(voter, term)) >= Some(&index);
            assert!(
                configuration.is_quorum(holds),
                "{me:?} commits {index} in term {term}, and no quorum holds it"
            );
        }
        let known = self
            .committed
            .last_key_value()
            .map_or(0, |(index, _)| *index);
        // Entries that are known were compared when they were committed, and entries
        // carry their predecessors; so only the last known one and what is new.
        for index in known.min(index).max(disk.base.index)..=index {
            let id = disk.id_at(index).expect("a committed entry is there");
            let term = leading.map_or(u64::MAX, |(term, _)| term);
            if index > 0 {
                let (committed, in_term) = self.committed.entry(index).or_insert((id, term));
                assert_eq!(*committed, id, "state machine safety at {index}");
                *in_term = term.min(*in_term);
            }
        }
    }

    pub(super) fn asked(&mut self, id: u64) {
        let committed = self
            .committed
            .last_key_value()
            .map_or(0, |(index, _)| *index);
        self.reads.insert(id, committed);
    }

    /// A read sees all that was committed when it was asked (D18).
    pub(super) fn answered(&mut self, id: u64, index: u64) {
        let committed = self.reads.remove(&id).expect("a read that was asked");
        assert!(index >= committed, "a read at {index} misses {committed}");
        self.read_count += 1;
    }

    /// A truncation under a term no higher than an entry's own breaks a
    /// promise.
    pub(super) fn cuts(&self, me: ReplicaId, from_index: u64, disk: &Disk) {
        for index in from_index..=disk.durable_index {
            let id = disk.id_at(index).expect("a durable entry");
            assert!(
                id.term < disk.hard.term,
                "{me:?} cuts {id} in term {}",
                disk.hard.term
            );
        }
    }
}
