//! The replica: its state, and who takes which input.
//!
//! The rules are in the files beside this one: `terms` (which message counts at
//! all), `election`, `replication` (the leader's side), `follower`, `membership`,
//! `reads`, `transfer`, `uncertain_tail`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::configuration::Configurations;
use super::gate::Gate;
use super::replication::Leader;
use super::rng::Rng;
use super::uncertain_tail::Uncertain;
use super::{
    EntryId, HardState, Input, LogView, Message, Output, ReplicaId, Settings, Start, Unreadable,
};

/// The role of a replica at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its disk is new: it announces itself and waits for a base (D14).
    Blank,
    /// Follows, or waits for someone to follow.
    Follower,
    /// Asks whether an election would succeed.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

/// A role with what belongs to it alone.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// Announces itself when the deadline comes, with the last challenge.
    Blank {
        join_due_ns: u64,
        challenge: u64,
    },
    Follower,
    /// The replicas that would vote for it.
    PreCandidate(BTreeSet<ReplicaId>),
    /// Its votes; `transfer` as in [`Message::Vote`].
    Candidate {
        votes: BTreeSet<ReplicaId>,
        transfer: bool,
    },
    Leader(Box<Leader>),
}

/// A replica's part in the consensus.
///
/// 1. `commit_index` never falls, and what is at or below it is never cut.
/// 2. Every entry at or below `durable_index` is durable as it is in `log`.
/// 3. No entry of `log` has a term above the *durable* hard state's: an append
///    of a later term waits until that term is durable here.
/// 4. `matched_index` was compared with the log of this term's leader, all
///    below it included.
#[derive(Debug, Clone)]
pub struct Raft {
    pub(super) me: ReplicaId,
    pub(super) settings: Settings,
    pub(super) peers: BTreeSet<u64>,
    pub(super) rng: Rng,
    pub(super) now_ns: u64,
    pub(super) gate: Gate,
    pub(super) log: LogView,
    pub(super) configurations: Configurations,
    pub(super) commit_index: u64,
    pub(super) durable_index: u64,
    /// While there are any, it only answers asks.
    pub(super) holes: Vec<Unreadable>,
    pub(super) state: State,
    pub(super) leader: Option<ReplicaId>,
    /// When it began: a leader may be there that it has not heard yet.
    pub(super) began_ns: u64,
    /// When a leader was last heard; its followers are loyal for a while.
    pub(super) leader_heard_ns: Option<u64>,
    pub(super) election_due_ns: u64,
    pub(super) matched_index: u64,
    /// Where to send what becomes durable: the leader's last append.
    pub(super) answering: Option<(ReplicaId, u64)>,
    /// Led, and its disk did not keep up (D17).
    pub(super) hung: bool,
    pub(super) uncertain: Option<Uncertain>,
    /// Blank disks that announced themselves, by node: which, and when.
    pub(super) joins: BTreeMap<u64, (u64, u64)>,
    pub(super) halted: BTreeSet<u64>,
    /// It must not say anything any more.
    pub(super) stopped: bool,
    pub(super) outputs: VecDeque<Output>,
}

impl Raft {
    /// A replica as its disk describes it. Outputs may be waiting.
    ///
    /// # Panics
    /// An uncertain tail without a raised term.
    #[must_use]
    pub fn new(start: Start) -> Self {
        let uncertain_tail = start.hard.uncertain_tail;
        assert!(
            uncertain_tail
                .is_none_or(|uncertain_tail| uncertain_tail.term_before < start.hard.term),
            "an uncertain tail is written with a raised term (D12)"
        );
        let configurations = Configurations::new(start.configurations);
        let state = if configurations.is_blank() {
            State::Blank {
                join_due_ns: start.now_ns,
                challenge: 0,
            }
        } else {
            State::Follower
        };
        let mut raft = Self {
            me: start.me,
            settings: start.settings,
            peers: start.peers,
            rng: Rng::new(start.entropy ^ start.me.disk),
            now_ns: start.now_ns,
            gate: Gate::new(start.hard),
            commit_index: start.commit_index.max(start.log.base().index),
            durable_index: start.durable_index.min(start.log.last().index),
            holes: start.holes,
            log: start.log,
            configurations,
            state,
            leader: None,
            began_ns: start.now_ns,
            leader_heard_ns: None,
            election_due_ns: 0,
            matched_index: 0,
            answering: None,
            hung: false,
            uncertain: uncertain_tail.map(|_| Uncertain::new(start.now_ns)),
            joins: BTreeMap::new(),
            halted: BTreeSet::new(),
            stopped: false,
            outputs: VecDeque::new(),
        };
        raft.reset_election_timer();
        raft.check_hard_state();
        raft.begin_save();
        raft
    }

    /// An entry of a later term than the hard state's: the hard state is not
    /// the one that this replica last relied on (invariant 3).
    fn check_hard_state(&mut self) {
        let hard = self.gate.hard();
        let last = self.log.last();
        if last.term <= hard.term {
            return;
        }
        if self.settings.promises_durable {
            self.outputs.push_back(Output::RolledBack {
                acknowledged: last,
                last: EntryId {
                    term: hard.term,
                    index: last.index,
                },
            });
            self.stop();
        } else {
            self.change_hard(HardState {
                term: last.term,
                vote: None,
                ..hard
            });
        }
    }

    /// Something happened at `now_ns`.
    pub fn step(&mut self, now_ns: u64, input: Input) {
        if self.stopped {
            return;
        }
        self.now_ns = self.now_ns.max(now_ns);
        if self.is_holed() {
            self.step_holed(input);
            return self.begin_save();
        }
        match input {
            Input::Timeout => self.tick(),
            Input::Message {
                from,
                term,
                message,
            } => self.on_message(from, term, message),
            Input::Proposed(head) => self.on_proposed(head),
            Input::Durable(id) => self.on_durable(id),
            Input::HardStateSaved(hard) => self.on_saved(hard),
            Input::Dropped { base } => {
                self.log.drop_to(base);
                self.configurations.drop_to(base.index);
            }
            Input::Read { id } => self.on_read(id),
            Input::Change(change) => self.on_change(change),
            Input::Transfer { node } => self.begin_transfer(node),
            Input::LogFailed => self.on_log_failed(),
        }
        if !self.stopped {
            self.begin_save();
        }
    }

    /// The next thing to do, or nothing. Appends are batched: what was proposed
    /// before the first call goes out in one.
    pub fn next_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() {
            self.replicate();
        }
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due, at the latest.
    #[must_use]
    pub fn deadline_ns(&self) -> u64 {
        if self.stopped || self.is_holed() {
            return u64::MAX;
        }
        let due_ns = match &self.state {
            State::Blank { join_due_ns, .. } => *join_due_ns,
            State::Leader(leader) => self.leader_deadline_ns(leader),
            _ => self.election_due_ns,
        };
        due_ns.min(self.uncertain_tail_deadline_ns())
    }

    /// All that is said by a replica which cannot read all it has: only what it was asked
    /// about the end of another's log, in the asker's term, once that is durable
    /// here. It takes no entry, no vote, and no leader.
    fn step_holed(&mut self, input: Input) {
        match input {
            Input::Message {
                from,
                term,
                message: message @ Message::Ask { .. },
            } => self.on_message(from, term, message),
            Input::HardStateSaved(hard) => self.on_saved(hard),
            Input::LogFailed => self.on_log_failed(),
            _ => {}
        }
    }

    /// The changes that time alone brings about, and these only when the driver says
    /// that time is up: it has handed over by then what has come. Else the first of
    /// several answers that waited would end a leadership before the others are heard.
    fn tick(&mut self) {
        if self.stopped {
            return;
        }
        match self.state {
            State::Blank { .. } => self.tick_blank(),
            State::Leader(_) => self.tick_leader(),
            _ => self.tick_election(),
        }
        self.tick_uncertain_tail();
    }

    /// A later term: whatever this replica was in the last one is over.
    pub(super) fn adopt_term(&mut self, term: u64) {
        let hard = self.gate.hard();
        assert!(term > hard.term, "a term never falls");
        self.change_hard(HardState {
            term,
            vote: None,
            ..hard
        });
        self.enter_term();
    }

    /// The term is new: nothing was compared with its leader's log yet.
    pub(super) fn enter_term(&mut self) {
        self.step_down();
        self.leader = None;
        self.matched_index = 0;
        self.answering = None;
    }

    pub(super) fn change_hard(&mut self, hard: HardState) {
        self.gate.change(hard);
    }

    /// Once at the end of a step, so that a term and the vote in it are one
    /// save.
    fn begin_save(&mut self) {
        if let Some(hard) = self.gate.begin_save() {
            self.outputs.push_back(Output::SaveHardState(hard));
        }
    }

    fn on_saved(&mut self, hard: HardState) {
        self.gate.saved(hard, &mut self.outputs);
        self.count_own_vote();
    }

    /// Says it once the hard state is durable as it is now (D1).
    pub(super) fn send(&mut self, to: ReplicaId, message: Message) {
        let term = self.term();
        self.gate_send(Output::Send { to, term, message });
    }

    pub(super) fn gate_send(&mut self, output: Output) {
        self.gate.send(output, &mut self.outputs);
    }

    fn on_durable(&mut self, id: EntryId) {
        // D25: the sync may have begun before the entry at that index was
        // replaced by another.
        if !self.log.contains(id) || id.index <= self.durable_index {
            return;
        }
        self.durable_index = id.index;
        self.hung &= self.durable_index < self.log.last().index;
        if self.is_leader() {
            self.on_own_durable();
        } else {
            self.answer_durable();
        }
        self.check_uncertain_tail();
    }

    /// A failed write or sync: this index and term are never used again (D3,
    /// D23).
    fn on_log_failed(&mut self) {
        self.step_down();
        self.stop();
    }

    pub(super) fn stop(&mut self) {
        self.gate.close();
        self.outputs.retain(|output| {
            !matches!(
                output,
                Output::Send { .. }
                    | Output::Replicate { .. }
                    | Output::SendTail { .. }
                    | Output::SendBase { .. }
            )
        });
        self.stopped = true;
    }

    /// Some of its log cannot be read.
    pub(super) fn is_holed(&self) -> bool {
        !self.holes.is_empty()
    }

    pub(super) fn is_leader(&self) -> bool {
        matches!(self.state, State::Leader(_))
    }

    pub(super) fn is_blank(&self) -> bool {
        matches!(self.state, State::Blank { .. })
    }

    pub(super) fn commit(&mut self, index: u64) {
        if index > self.commit_index {
            self.commit_index = index;
            self.outputs.push_back(Output::Committed { index });
        }
    }
}
