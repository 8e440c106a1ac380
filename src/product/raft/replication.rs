//! The leader's side: entries out, acknowledgements in, commit (Raft paper,
//! §5.3 and §5.4.2).

use std::collections::BTreeMap;

use super::progress::{Feed, Progress};
use super::reads::PendingRead;
use super::replica::{Raft, State};
use super::transfer::Transfer;
use super::{
    Append, AppendAnswer, EntryHead, EntryId, Message, Output, ReplicaId, Settings, UNASKED,
};

/// The state of one leadership alone; it ends with the term.
#[derive(Debug, Clone)]
pub(super) struct Leader {
    pub(super) term: u64,
    /// The first entry of the term; until it is committed nothing is served
    /// (D18), no change is made (D15).
    pub(super) first_index: u64,
    pub(super) followers: BTreeMap<u64, Progress>,
    pub(super) next_request: u64,
    heartbeat_due_ns: u64,
    quorum_due_ns: u64,
    /// Every follower gets a word, entries or not.
    pub(super) beat: bool,
    /// Own entries have been waiting for the disk since then.
    own_pending_since_ns: Option<u64>,
    /// An entry of the core's own wish is about to be proposed.
    pub(super) proposing: bool,
    pub(super) reads: Vec<PendingRead>,
    pub(super) transfer: Option<Transfer>,
    pub(super) prefer_due_ns: u64,
    /// Node to (disk, what its next join must carry).
    pub(super) challenges: BTreeMap<u64, (u64, u64)>,
}

impl Leader {
    pub(super) fn new(term: u64, first_index: u64, now_ns: u64, settings: &Settings) -> Self {
        Self {
            term,
            first_index,
            followers: BTreeMap::new(),
            next_request: UNASKED + 1,
            heartbeat_due_ns: now_ns + settings.heartbeat_ns,
            quorum_due_ns: now_ns + settings.election_timeout_ns,
            beat: true,
            own_pending_since_ns: None,
            proposing: true,
            reads: Vec::new(),
            transfer: None,
            prefer_due_ns: now_ns + settings.election_timeout_ns,
            challenges: BTreeMap::new(),
        }
    }

    /// A leadership that was handed over is not handed on to the preferred node.
    /// Two replicas that are told to prefer each other would else hand it back and
    /// forth for ever; and an operator's wish outranks a preference.
    pub(super) fn keep_leadership(&mut self) {
        self.prefer_due_ns = u64::MAX;
    }

    /// The progress of `replica`, if it is fed.
    pub(super) fn progress(&mut self, replica: ReplicaId) -> Option<&mut Progress> {
        self.followers
            .get_mut(&replica.node)
            .filter(|progress| progress.disk == replica.disk)
    }

    /// How far `replica` has acknowledged.
    pub(super) fn matched_index(&self, replica: ReplicaId) -> u64 {
        self.followers
            .get(&replica.node)
            .filter(|progress| progress.disk == replica.disk && progress.forgot.is_none())
            .map_or(0, |progress| progress.matched_index)
    }
}

impl Raft {
    pub(super) fn leader_deadline_ns(&self, leader: &Leader) -> u64 {
        let own_sync_ns = leader.own_pending_since_ns.map_or(u64::MAX, |since_ns| {
            since_ns.saturating_add(self.settings.own_sync_timeout_ns)
        });
        leader
            .heartbeat_due_ns
            .min(leader.quorum_due_ns)
            .min(own_sync_ns)
    }

    pub(super) fn tick_leader(&mut self) {
        let now_ns = self.now_ns;
        let timeout_ns = self.settings.election_timeout_ns;
        let heartbeat_ns = self.settings.heartbeat_ns;
        let own_sync_timeout_ns = self.settings.own_sync_timeout_ns;
        let State::Leader(leader) = &mut self.state else {
            return;
        };
        if leader
            .own_pending_since_ns
            .is_some_and(|since_ns| now_ns >= since_ns.saturating_add(own_sync_timeout_ns))
        {
            // D17: a leader whose disk hangs stands in the way.
            self.hung = true;
            return self.step_down();
        }
        if now_ns >= leader.quorum_due_ns {
            leader.quorum_due_ns = now_ns + timeout_ns;
            if !self.hears_quorum() {
                return self.step_down_as(true);
            }
        }
        let State::Leader(leader) = &mut self.state else {
            return;
        };
        // A beat that a read asks for puts this one off by nothing: where reads come
        // all the time, what was lost would never be sent again.
        if now_ns >= leader.heartbeat_due_ns {
            leader.heartbeat_due_ns = now_ns + heartbeat_ns;
            leader.beat = true;
            for progress in leader.followers.values_mut() {
                progress.ask_again(now_ns, timeout_ns);
            }
        }
        self.tick_transfer();
    }

    /// Check-quorum (D17; thesis, §6.2): a leader that is cut off must not go
    /// on taking what it cannot commit.
    fn hears_quorum(&self) -> bool {
        let State::Leader(leader) = &self.state else {
            return false;
        };
        let since_ns = self
            .now_ns
            .saturating_sub(self.settings.election_timeout_ns);
        self.configurations.latest().is_quorum(|voter| {
            voter == self.me
                || leader
                    .followers
                    .get(&voter.node)
                    .is_some_and(|progress| progress.heard_ns >= since_ns)
        })
    }

    /// The driver staged an entry behind the last one, while this replica led.
    ///
    /// Time may have ended that leadership since: between staging and proposing, or
    /// between two entries of one batch, a process can stop for as long as it likes. The
    /// entry is in the log then, and stays there as what any deposed leader has: a tail
    /// that is not committed, which the next leader keeps or cuts. A client that waits
    /// for it was told with [`Output::SteppedDown`].
    pub(super) fn on_proposed(&mut self, head: EntryHead) {
        let now_ns = self.now_ns;
        assert!(
            head.id.term <= self.term(),
            "an entry of a term to come was staged"
        );
        self.log.push(head.id);
        if let Some(configuration) = head.configuration {
            self.take_configuration(head.id.index, configuration);
            self.follow_configuration();
        }
        if let State::Leader(leader) = &mut self.state {
            assert_eq!(
                head.id.term, leader.term,
                "an entry of another term was staged"
            );
            leader.own_pending_since_ns.get_or_insert(now_ns);
            leader.proposing = false;
        }
    }

    /// Hands out appends: as many entries as there are and as fit.
    pub(super) fn replicate(&mut self) {
        let term = self.term();
        let configuration = self.configurations.latest();
        let commit_index = self.commit_index;
        let settled = self.configurations.latest_index() <= commit_index;
        let State::Leader(leader) = &mut self.state else {
            return;
        };
        if leader.proposing {
            return;
        }
        let beat = std::mem::take(&mut leader.beat);
        for (node, progress) in &mut leader.followers {
            let to = ReplicaId {
                node: *node,
                disk: progress.disk,
            };
            let append = |request, prev, upto_index| Output::Replicate {
                to,
                term,
                append: Append {
                    request,
                    prev,
                    commit_index,
                    heads: Vec::new(),
                },
                upto_index,
            };
            let mut said = false;
            while let Some((prev, upto_index)) = next_batch(progress, &self.log, &self.settings) {
                let request = take(&mut leader.next_request);
                progress.sent(request, upto_index);
                said = true;
                self.gate
                    .send(append(request, prev, upto_index), &mut self.outputs);
            }
            // D14: a blank disk gets its base once its own configuration entry
            // is committed.
            let placed = settled || configuration.is_voter(to);
            if let Feed::Base { sent: sent @ None } = &mut progress.feed
                && placed
            {
                let request = take(&mut leader.next_request);
                *sent = Some((self.log.base().index, self.now_ns));
                self.gate
                    .send(Output::SendBase { to, term, request }, &mut self.outputs);
            }
            if beat && !said {
                let request = take(&mut leader.next_request);
                let index = match progress.feed {
                    Feed::Replicate => progress.next_index - 1,
                    _ => progress.matched_index,
                };
                let prev = self.log.id_at(index).unwrap_or(EntryId::ZERO);
                self.gate
                    .send(append(request, prev, prev.index), &mut self.outputs);
            }
        }
    }

    pub(super) fn on_append_answer(&mut self, from: ReplicaId, answer: AppendAnswer) {
        let promises_durable = self.settings.promises_durable;
        let State::Leader(leader) = &mut self.state else {
            return;
        };
        let next_request = leader.next_request;
        // D7: an answer of another incarnation is nobody's.
        let Some(progress) = leader.progress(from) else {
            return;
        };
        progress.heard_ns = self.now_ns;
        if !(UNASKED + 1..next_request).contains(&answer.request) {
            return;
        }
        // Nobody holds more of this log than there is of it.
        if answer.matched_index > self.log.last().index {
            return;
        }
        progress.answered_request = progress.answered_request.max(answer.request);
        if answer.request >= progress.floor_request && answer.last_index < progress.matched_index {
            if answer.is_uncertain || !promises_durable {
                progress.lost(answer.last_index, next_request);
            } else {
                progress.forgot = Some(progress.matched_index);
            }
        }
        if let Some(acknowledged_index) = progress.forgot {
            return self.send(from, Message::YouForgot { acknowledged_index });
        }
        if answer.accepted {
            progress.accepted(answer.request);
            progress.matched(answer.matched_index, next_request);
            progress.has_base();
        } else if answer.request >= progress.probed_request {
            let base = self.log.base();
            if answer.hint.index < base.index || answer.hint.term < base.term {
                // Our logs part below what is left of this one.
                progress.feed = Feed::Base { sent: None };
            } else {
                let parted = self.log.last_within(answer.hint);
                progress.probe_from(parted.index, next_request);
            }
        }
        self.advance_commit();
        self.answer_reads();
        self.drive_membership();
        self.drive_transfer();
    }

    pub(super) fn on_own_durable(&mut self) {
        let State::Leader(leader) = &mut self.state else {
            return;
        };
        let pending = self.durable_index < self.log.last().index;
        leader.own_pending_since_ns = pending.then_some(self.now_ns);
        self.advance_commit();
        self.drive_membership();
    }

    /// Commits what a quorum holds durably, and holds together with an entry of
    /// this term (D4; Raft paper, §5.4.2 and figure 8).
    pub(super) fn advance_commit(&mut self) {
        let State::Leader(leader) = &self.state else {
            return;
        };
        // D3: the leader counts itself like any other, by what is durable.
        let own_index = self.durable_index;
        let agreed_index = self.configurations.latest().agreed_index(|voter| {
            if voter == self.me {
                own_index
            } else {
                leader.matched_index(voter)
            }
        });
        let of_this_term = agreed_index >= leader.first_index;
        if of_this_term && agreed_index > self.commit_index {
            self.commit(agreed_index);
            self.on_committed();
        }
    }

    /// This replica leads and has committed an entry of its own term (D18).
    #[must_use]
    pub fn is_serving(&self) -> bool {
        matches!(&self.state, State::Leader(leader) if self.commit_index >= leader.first_index)
    }
}

/// The number of the next request.
pub(super) fn take(next_request: &mut u64) -> u64 {
    let request = *next_request;
    *next_request += 1;
    request
}

/// The entries that may leave for a follower now: (the one before them, the
/// last one). A probe may be without any.
fn next_batch(
    progress: &mut Progress,
    log: &super::LogView,
    settings: &Settings,
) -> Option<(EntryId, u64)> {
    let last_index = log.last().index;
    let waiting = match progress.feed {
        Feed::Probe { .. } => true,
        Feed::Replicate => progress.next_index <= last_index,
        Feed::Base { .. } => false,
    };
    if !waiting || progress.forgot.is_some() {
        return None;
    }
    let Some(prev) = log.id_at(progress.next_index - 1) else {
        // Dropped since, and what was under way may be lost.
        progress.feed = Feed::Base { sent: None };
        return None;
    };
    if !progress.has_room(settings.inflight_max) {
        return None;
    }
    let entries = match progress.feed {
        Feed::Probe {
            unanswered: true, ..
        } => 0,
        _ => settings.append_entries_max,
    };
    Some((prev, last_index.min(prev.index + entries)))
}
