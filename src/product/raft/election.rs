//! Pre-vote, vote, and becoming a leader (Raft paper, §5.2 and §5.4.1; thesis,
//! §9.6 and §4.2.3).

use std::collections::BTreeSet;

use super::replica::{Raft, State};
use super::replication::Leader;
use super::{EntryId, HardState, Message, Output, ReplicaId};

impl Raft {
    /// Between one and two timeouts from now, at random, so that votes seldom
    /// split (Raft paper, §5.2).
    pub(super) fn reset_election_timer(&mut self) {
        let timeout_ns = self.settings.election_timeout_ns;
        self.election_due_ns = self.now_ns + timeout_ns + self.rng.below(timeout_ns);
    }

    pub(super) fn tick_election(&mut self) {
        if self.now_ns < self.election_due_ns {
            return;
        }
        self.reset_election_timer();
        if self.may_campaign() {
            self.ask_before_standing();
        } else {
            self.state = State::Follower;
        }
    }

    /// A replica may lead that is a voter (D14), has nothing uncertain (D12), and whose
    /// disk answers (D17). One whose removal is not committed may be the only one with
    /// the log to win (thesis, §4.2.2).
    fn may_campaign(&self) -> bool {
        self.is_needed() && self.gate.hard().uncertain_tail.is_none() && !self.hung
    }

    /// A voter, as far as is certain.
    pub(super) fn is_needed(&self) -> bool {
        self.configurations.may_be_voter(self.me, self.commit_index)
    }

    /// Pre-vote: finds out whether an election would succeed, and changes no
    /// state, so that a replica which cannot win disturbs nobody (D17).
    fn ask_before_standing(&mut self) {
        self.leader = None;
        self.state = State::PreCandidate(BTreeSet::from([self.me]));
        let next_term = self.term() + 1;
        let last = self.log.last();
        self.send_to_voters(|| Message::PreVote { next_term, last });
        self.count_pre_votes();
    }

    fn send_to_voters(&mut self, message: impl Fn() -> Message) {
        let voters: Vec<ReplicaId> = self.configurations.latest().voters().collect();
        for voter in voters {
            if voter != self.me {
                self.send(voter, message());
            }
        }
    }

    pub(super) fn on_pre_vote(&mut self, from: ReplicaId, next_term: u64, last: EntryId) {
        if self.is_blank() || !self.knows_candidate(from, last) {
            return;
        }
        let granted = next_term > self.term()
            && !self.is_loyal()
            && self.may_vote()
            && self.is_up_to_date(last);
        self.send(from, Message::PreVoteAnswer { next_term, granted });
    }

    pub(super) fn on_pre_vote_answer(&mut self, from: ReplicaId, next_term: u64, granted: bool) {
        let asked = next_term == self.term() + 1;
        if let State::PreCandidate(votes) = &mut self.state
            && granted
            && asked
        {
            votes.insert(from);
            self.count_pre_votes();
        }
    }

    fn count_pre_votes(&mut self) {
        if let State::PreCandidate(votes) = &self.state
            && self
                .configurations
                .latest()
                .is_quorum(|voter| votes.contains(&voter))
        {
            self.stand(false);
        }
    }

    /// A new term, and a vote for oneself. Neither the own vote counts nor is
    /// another asked for before both are durable (D1).
    fn stand(&mut self, transfer: bool) {
        let hard = self.gate.hard();
        self.change_hard(HardState {
            term: hard.term + 1,
            vote: Some(self.me),
            ..hard
        });
        self.enter_term();
        self.state = State::Candidate {
            votes: BTreeSet::new(),
            transfer,
        };
        self.reset_election_timer();
        let last = self.log.last();
        self.send_to_voters(|| Message::Vote { last, transfer });
    }

    /// The hard state is durable: a candidate's own vote counts.
    pub(super) fn count_own_vote(&mut self) {
        if let State::Candidate { votes, .. } = &mut self.state
            && self.gate.is_durable()
        {
            votes.insert(self.me);
            self.count_votes();
        }
    }

    pub(super) fn on_vote(&mut self, from: ReplicaId, last: EntryId) {
        let hard = self.gate.hard();
        let free = hard.vote.is_none_or(|vote| vote == from);
        let granted = free && self.leader.is_none() && self.may_vote() && self.is_up_to_date(last);
        if granted {
            self.change_hard(HardState {
                vote: Some(from),
                ..hard
            });
            self.reset_election_timer();
        }
        self.send(from, Message::VoteAnswer { granted });
    }

    /// The candidate's configuration decides whose vote counts (thesis, §4.1): a removal
    /// that this replica knows of may have been rolled back elsewhere. Only one whose
    /// seat has a new disk, its own or another, knows better (D14).
    fn may_vote(&self) -> bool {
        let configuration = self.configurations.latest();
        let seated = configuration.seats.contains_key(&self.me.node);
        !seated || configuration.is_voter(self.me)
    }

    /// The candidate's log is at least as up to date as this one (Raft paper,
    /// §5.4.1). With an uncertain tail, this log once was longer than it is: only a candidate
    /// that has an entry of a later term than any uncertain one is certain
    /// to have what was committed of them (D12).
    fn is_up_to_date(&self, last: EntryId) -> bool {
        let certain = self
            .gate
            .hard()
            .uncertain_tail
            .is_none_or(|uncertain_tail| last.term > uncertain_tail.term_before);
        last >= self.log.last() && certain
    }

    /// A candidate that my configuration does not know must have an entry that
    /// I lack: the one that made it a voter. A replica that was replaced has
    /// not, and is ignored (D13).
    pub(super) fn knows_candidate(&self, from: ReplicaId, last: EntryId) -> bool {
        self.configurations.latest().is_voter(from) || last > self.log.last()
    }

    /// A leader was heard lately: no election is wanted (thesis, §4.2.3).
    pub(super) fn is_loyal(&self) -> bool {
        self.is_leader()
            || self
                .leader_heard_ns
                .is_some_and(|heard_ns| self.now_ns < heard_ns + self.settings.election_timeout_ns)
    }

    pub(super) fn on_vote_answer(&mut self, from: ReplicaId, granted: bool) {
        if let State::Candidate { votes, .. } = &mut self.state
            && granted
        {
            votes.insert(from);
            self.count_votes();
        }
    }

    fn count_votes(&mut self) {
        if let State::Candidate { votes, transfer } = &self.state
            && self
                .configurations
                .latest()
                .is_quorum(|voter| votes.contains(&voter))
        {
            self.lead(*transfer);
        }
    }

    /// `transfer`: leadership was handed over to it.
    fn lead(&mut self, transfer: bool) {
        let term = self.term();
        self.leader = Some(self.me);
        let mut leader = Leader::new(term, self.log.last().index + 1, self.now_ns, &self.settings);
        if transfer {
            leader.keep_leadership();
        }
        self.state = State::Leader(Box::new(leader));
        self.follow_configuration();
        self.outputs.push_back(Output::BecameLeader { term });
        // D4: nothing of an earlier term is committed by counting, so an entry
        // of this one is needed to commit what is there.
        self.outputs.push_back(Output::AppendNoOp { term });
    }

    /// Back to following; waiting clients learn nothing ("unknown", D25).
    pub(super) fn step_down(&mut self) {
        self.step_down_as(false);
    }

    /// As [`Raft::step_down`]; `unheard`: since no majority was heard.
    pub(super) fn step_down_as(&mut self, unheard: bool) {
        if self.is_blank() {
            return;
        }
        let before = std::mem::replace(&mut self.state, State::Follower);
        if let State::Leader(leader) = before {
            self.leader = None;
            self.leader_heard_ns = None;
            for read in leader.reads {
                self.outputs.push_back(Output::ReadFailed { id: read.id });
            }
            // Outputs that were not staged yet are not staged any more.
            self.outputs.retain(|output| {
                !matches!(
                    output,
                    Output::AppendNoOp { .. } | Output::AppendConfiguration { .. }
                )
            });
            let term = leader.term;
            self.outputs
                .push_back(Output::SteppedDown { term, unheard });
            self.reset_election_timer();
        }
    }

    /// The leader hands over to this replica: no pre-vote, and the others need
    /// not be loyal (thesis, §3.10).
    pub(super) fn on_timeout_now(&mut self, from: ReplicaId) {
        if self.leader == Some(from) && self.may_campaign() {
            self.stand(true);
        }
    }
}
