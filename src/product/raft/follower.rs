//! The follower's side of replication (Raft paper, §5.3 and figure 2,
//! "AppendEntries RPC").

use super::replica::{Raft, State};
use super::uncertain_tail::ROUND;
use super::{Append, AppendAnswer, Divergence, EntryHead, EntryId, Message, Output, ReplicaId};

impl Raft {
    /// `leader` leads this term.
    fn follow(&mut self, leader: ReplicaId) {
        if !self.is_blank() {
            self.state = State::Follower;
        }
        self.leader = Some(leader);
        self.leader_heard_ns = Some(self.now_ns);
        self.reset_election_timer();
    }

    pub(super) fn on_append(&mut self, from: ReplicaId, mut append: Append) {
        // Nobody else leads a term that this replica leads (election safety).
        if self.is_leader() || self.is_blank() || !is_contiguous(&append, self.term()) {
            return;
        }
        self.follow(from);
        if !self.gate.is_durable() {
            // No entry of a term is taken before the term is durable here; the
            // answer waits with it, and the leader sends again.
            return self.reject(from, append.request, append.prev);
        }
        if let Some(theirs) = self.contradiction(&append) {
            return self.diverge(from, theirs);
        }
        self.skip_base(&mut append);
        if !self.log.contains(append.prev) {
            return self.reject(from, append.request, append.prev);
        }
        let matched_index = append.prev.index + append.heads.len() as u64;
        self.take_entries(append.heads);
        self.matched_index = self.matched_index.max(matched_index);
        // D5: not beyond what was compared; what stands there may be another's.
        self.commit(append.commit_index.min(matched_index));
        self.answering = Some((from, append.request));
        self.answer_durable();
        self.note_cover(append.commit_index);
        self.check_uncertain_tail();
    }

    /// The leader's first entry that is not the one committed here.
    fn contradiction(&self, append: &Append) -> Option<EntryId> {
        let heads = append.heads.iter().map(|head| head.id);
        let mut theirs = std::iter::once(append.prev).chain(heads);
        theirs.find(|id| self.is_contradicted_by(*id))
    }

    /// Whether another entry than that is committed here. Every leader has what
    /// is committed (Leader Completeness), as long as nobody forgets what it
    /// acknowledged.
    fn is_contradicted_by(&self, id: EntryId) -> bool {
        let comparable = self.log.base().index..=self.commit_index;
        comparable.contains(&id.index) && !self.log.contains(id)
    }

    /// A leader has `theirs` where another entry is committed: others have
    /// forgotten what they acknowledged, or voted. Nothing is cut, and nothing
    /// is said any more; what is here may be the last copy.
    fn diverge(&mut self, leader: ReplicaId, theirs: EntryId) {
        let divergence = Divergence {
            leader,
            term: self.term(),
            theirs,
            ours: self.log.id_at(theirs.index).expect("it was compared"),
            commit_index: self.commit_index,
        };
        self.outputs
            .push_back(match self.settings.promises_durable {
                true => Output::Diverged(divergence),
                false => Output::Overruled(divergence),
            });
        self.stop();
    }

    /// Entries at or below the base are committed, so every leader has them.
    fn skip_base(&self, append: &mut Append) {
        let base = self.log.base();
        if append.prev.index < base.index {
            append.heads.retain(|head| head.id.index > base.index);
            append.prev = base;
        }
    }

    /// Appends what is new behind what is there. Entries that are there stay, unless a
    /// new one contradicts them: a late append is often shorter than the log (D6).
    fn take_entries(&mut self, heads: Vec<EntryHead>) {
        let known = heads
            .iter()
            .take_while(|head| self.log.contains(head.id))
            .count();
        if let Some(first) = heads.get(known) {
            if first.id.index <= self.log.last().index {
                self.truncate(first.id.index);
            }
            self.store(heads.into_iter().skip(known));
        }
    }

    /// Cuts the log before `from_index`, where a leader's entry contradicts it.
    ///
    /// # Panics
    /// That was committed.
    fn truncate(&mut self, from_index: u64) {
        assert!(
            from_index > self.commit_index,
            "what is committed ({}) is compared before anything is cut: {from_index}",
            self.commit_index
        );
        self.log.truncate(from_index);
        self.configurations.truncate(from_index);
        self.durable_index = self.durable_index.min(from_index - 1);
        self.outputs.push_back(Output::Truncate { from_index });
    }

    /// Appends `heads`, which came with the message that is being stepped.
    pub(super) fn store(&mut self, heads: impl IntoIterator<Item = EntryHead>) {
        let from_index = self.log.last().index + 1;
        for head in heads {
            self.log.push(head.id);
            if let Some(configuration) = head.configuration {
                self.take_configuration(head.id.index, configuration);
            }
        }
        let upto_index = self.log.last().index;
        self.outputs.push_back(Output::Store {
            from_index,
            upto_index,
        });
    }

    /// Acknowledges what is matched and durable to the leader of this term.
    pub(super) fn answer_durable(&mut self) {
        if let Some((leader, request)) = self.answering {
            let answer = self.answer(request, true, self.log.last());
            self.send(leader, Message::AppendAnswer(answer));
        }
    }

    /// `prev` is not here, or cannot be compared yet.
    pub(super) fn reject(&mut self, leader: ReplicaId, request: u64, prev: EntryId) {
        let answer = self.answer(request, false, self.log.last_within(prev));
        self.send(leader, Message::AppendAnswer(answer));
    }

    fn answer(&self, request: u64, accepted: bool, hint: EntryId) -> AppendAnswer {
        AppendAnswer {
            request,
            accepted,
            // D2: durable but not compared may be a divergent suffix; compared
            // but not durable may be gone tomorrow.
            matched_index: self.matched_index.min(self.durable_index),
            last_index: self.log.last().index,
            hint,
            is_uncertain: self.gate.hard().uncertain_tail.is_some(),
        }
    }

    /// The leader's log begins behind `base` (D8).
    pub(super) fn on_install(&mut self, from: ReplicaId, request: u64, base: EntryId) {
        let repair = self.is_repair(request, base);
        if self.is_leader() || request >= ROUND && !repair {
            return;
        }
        if !repair {
            self.follow(from);
        }
        if !self.gate.is_durable() {
            // The leader sends again. A repair is nothing that it asked for: it is
            // asked for once more from here.
            return match repair {
                true => {}
                false => self.reject(from, request, base),
            };
        }
        if self.is_contradicted_by(base) && !self.is_blank() {
            return self.diverge(from, base);
        }
        let known = self.log.contains(base) || base.index <= self.commit_index;
        if known && !self.is_blank() {
            // The entries up to `base` are the same here, and those behind it may be,
            // too: they stay (D8).
            let matched_index = base.index.min(self.log.last().index);
            self.matched_index = self.matched_index.max(matched_index);
            self.answering = Some((from, request));
            return self.answer_durable();
        }
        // Behind the base, it is another log's core.
        self.outputs.push_back(Output::InstallBase { base });
        self.stop();
    }

    /// The leader of this term has an acknowledgement of mine beyond my log:
    /// this disk is an older one than it was (silent amnesia, seen).
    pub(super) fn on_you_forgot(&mut self, from: ReplicaId, acknowledged_index: u64) {
        let last = self.log.last();
        let knows = self.gate.hard().uncertain_tail.is_some();
        if self.leader == Some(from) && acknowledged_index > last.index && !knows {
            self.outputs.push_back(Output::RolledBack {
                acknowledged: EntryId {
                    term: self.term(),
                    index: acknowledged_index,
                },
                last,
            });
            self.stop();
        }
    }
}

/// Invariant 1 of an append.
fn is_contiguous(append: &Append, term: u64) -> bool {
    let mut before = append.prev;
    append.heads.iter().all(|head| {
        let follows = head.id.index == before.index + 1 && head.id.term >= before.term;
        before = head.id;
        follows
    }) && before.term <= term
}
