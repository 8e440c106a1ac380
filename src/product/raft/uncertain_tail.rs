//! A log whose end did not verify (D12; "Protocol-Aware Recovery for
//! Consensus-Based Storage", FAST'18).
//!
//! ```text
//!   had   1 2 3 4 ? ?        the end was cut; it may have acknowledged there
//!   has   1 2 3 4            does not campaign, votes only for later terms
//!
//!   asks everyone, in a term above any that the lost entries can have:
//!   what stands behind 4?
//!         a copy    ─▶ stored, and asked again behind it
//!         nothing   ─▶ the log ends there, once so many said so that one of
//!                      them would have it, had it been committed
//! ```
//!
//! An append from a leader of at least that term ends the uncertain tail sooner.

use std::collections::BTreeMap;

use super::configuration::SeatState;
use super::replica::{Raft, State};
use super::{ANY_DISK, EntryHead, EntryId, HardState, Message, Output, ReplicaId, Tail};

/// Rounds are numbered from here on, a leader's requests from 1: a base that
/// answers an ask is told from one that a leader sends.
pub(super) const ROUND: u64 = 1 << 63;

/// The state of an inquiry.
///
/// Answers are about what stands behind this replica's *present* last entry;
/// when that changes, they are forgotten.
#[derive(Debug, Clone)]
pub(super) struct Uncertain {
    ask_due_ns: u64,
    /// Names the present round; 0 before the first.
    round: u64,
    /// The last entry that the round is about.
    previous: EntryId,
    /// Node to who said what. A node may have another disk than the one known
    /// here.
    answers: BTreeMap<u64, (ReplicaId, Tail)>,
    /// A leader's commit index, of its own term, that this replica matched.
    covered_index: Option<u64>,
}

impl Uncertain {
    pub(super) fn new(now_ns: u64) -> Self {
        Self {
            ask_due_ns: now_ns,
            round: 0,
            previous: EntryId::ZERO,
            answers: BTreeMap::new(),
            covered_index: None,
        }
    }

    pub(super) fn round(&self) -> u64 {
        self.round
    }

    pub(super) fn previous(&self) -> EntryId {
        self.previous
    }

    pub(super) fn answers(&self) -> &BTreeMap<u64, (ReplicaId, Tail)> {
        &self.answers
    }

    pub(super) fn covered_index(&self) -> Option<u64> {
        self.covered_index
    }
}

/// The action at the lowest uncertain index.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TailVerdict {
    /// Too few have answered.
    Wait,
    /// Nobody has anything: nothing was committed there.
    End,
    /// This node's copy is the one to take.
    Copy(u64, EntryHead),
}

impl Raft {
    pub(super) fn uncertain_tail_deadline_ns(&self) -> u64 {
        self.uncertain
            .as_ref()
            .map_or(u64::MAX, |uncertain| uncertain.ask_due_ns)
    }

    /// The nodes that have not said what they hold behind the end of this log, while
    /// that is uncertain.
    #[must_use]
    pub fn unheard_about_tail(&self) -> Vec<u64> {
        let Some(uncertain) = &self.uncertain else {
            return Vec::new();
        };
        let seats = self.configurations.latest().seats.keys().copied();
        let heard = |node: &u64| *node == self.me.node || uncertain.answers.contains_key(node);
        seats.filter(|node| !heard(node)).collect()
    }

    pub(super) fn tick_uncertain_tail(&mut self) {
        let due = self.uncertain_tail_deadline_ns() <= self.now_ns;
        if due && let Some(uncertain) = &mut self.uncertain {
            uncertain.ask_due_ns = self.now_ns + self.settings.election_timeout_ns;
            self.ask_all();
        }
    }

    /// Only a voter's acknowledgements count; but what made a learner one may be
    /// among what it lost, and then no leader can be elected without it.
    fn may_have_counted(&self) -> bool {
        self.is_needed() || self.configurations.latest().is_member(self.me)
    }

    /// Others than these wait for a leader.
    fn ask_all(&mut self) {
        let configuration = self.configurations.latest();
        if !self.may_have_counted() {
            return;
        }
        let nodes: Vec<u64> = configuration.seats.keys().copied().collect();
        self.open_round();
        for node in nodes {
            self.ask(node);
        }
        self.check_answers(None);
    }

    /// The question is the same whatever disk the node has now: if it is another than the
    /// one that sat there, that one is gone.
    fn ask(&mut self, node: u64) {
        if let Some(uncertain) = &self.uncertain
            && node != self.me.node
        {
            let request = uncertain.round;
            let previous = uncertain.previous;
            let disk = ANY_DISK;
            let ask = Message::Ask {
                request,
                previous,
                hash: 0,
            };
            self.send(ReplicaId { node, disk }, ask);
        }
    }

    /// Answers to an earlier round, or about another end, count no more.
    fn open_round(&mut self) {
        let last = self.log.last();
        let fresh = self.rng.next() | ROUND;
        if let Some(uncertain) = &mut self.uncertain
            && (uncertain.round == 0 || uncertain.previous != last)
        {
            uncertain.round = fresh;
            uncertain.previous = last;
            uncertain.answers.clear();
        }
    }

    /// The asker's term was adopted before, and the answer leaves once that is
    /// durable: no late append of an earlier term can bring here what is denied
    /// now (17 steps at n=5 without it (searched)).
    ///
    /// ```text
    ///   previous is …            and the entry behind it is …    said of that
    ///   here                     readable                        a copy
    ///   here, or not readable    in a hole                       may have had it
    ///   another one              –                               never had it
    ///   the last of a hole       readable, its hash is said:     a copy, or never
    ///                            … it is not                     nothing
    /// ```
    ///
    /// An entry that cannot be read is as lost as one that is cut: one fault took both,
    /// and of one entry it may take as many copies as the budget has (D12).
    pub(super) fn on_ask(
        &mut self,
        from: ReplicaId,
        request: u64,
        (previous, hash): (EntryId, u64),
    ) {
        let last = self.log.last();
        let term = self.term();
        let base_index = self.log.base().index;
        if previous.index < base_index {
            // The entries that are asked for are committed and gone: a denial would be a
            // lie.
            let to = from;
            return self.gate_send(Output::SendBase { to, term, request });
        }
        let index = previous.index + 1;
        let in_hole = |index: u64| self.holes.iter().find(|hole| hole.holds(index));
        let is_lost = in_hole(index).is_some();
        let chained = match in_hole(previous.index) {
            Some(hole) => !is_lost && hole.hash == hash,
            None => self.log.contains(previous),
        };
        let is_unknown = !is_lost && hash == 0 && in_hole(previous.index).is_some();
        let has_lost = is_lost && (chained || in_hole(previous.index).is_some());
        let forgot = self.uncertain.is_some() || self.is_blank();
        let tail = Tail {
            request,
            previous,
            chained,
            last,
            base_index,
            uncertain_from: match has_lost {
                true => Some(index),
                false => forgot.then_some(last.index + 1),
            },
            silent_from: is_unknown.then_some(index),
            heads: Vec::new(),
        };
        let bound = previous.index + self.settings.append_entries_max;
        let behind = self.holes.iter().filter(|hole| hole.from_index >= index);
        let readable_index = behind.map(|hole| hole.from_index - 1).min();
        let upto_index = if chained && !is_lost {
            last.index
                .min(bound)
                .min(readable_index.unwrap_or(u64::MAX))
        } else {
            previous.index
        };
        self.gate_send(Output::SendTail {
            to: from,
            term,
            tail,
            upto_index,
        });
    }

    /// A base that comes as the answer to an ask; its sender need not lead.
    pub(super) fn is_repair(&self, request: u64, base: EntryId) -> bool {
        self.uncertain.as_ref().is_some_and(|uncertain| {
            uncertain.round == request && base.index > self.log.last().index
        })
    }

    pub(super) fn on_tail(&mut self, from: ReplicaId, tail: Tail) {
        let last = self.log.last();
        if let Some(uncertain) = &mut self.uncertain
            && tail.request == uncertain.round
            && tail.previous == last
        {
            uncertain.answers.insert(from.node, (from, tail));
            self.check_answers(Some(from.node));
        }
    }

    /// Takes what can be decided; a copy only from the message that is being
    /// stepped, since only its frames are at hand.
    fn check_answers(&mut self, stepped: Option<u64>) {
        match self.verdict(stepped) {
            TailVerdict::Wait => {}
            TailVerdict::Copy(node, head) if stepped == Some(node) => {
                if !self.gate.is_durable() {
                    // No entry of a term before that term; asked again later.
                    return;
                }
                self.store([head]);
                self.ask_all();
            }
            TailVerdict::Copy(node, _) => {
                if stepped.is_some() {
                    self.ask(node);
                }
            }
            // The entries that were taken must be durable before the uncertain tail is erased.
            TailVerdict::End if self.durable_index == self.log.last().index => {
                self.end_uncertainty()
            }
            TailVerdict::End => {}
        }
    }

    /// An entry that was committed is held by a quorum; at most f of them have
    /// lost it, and the others are among those who answered.
    fn verdict(&self, stepped: Option<u64>) -> TailVerdict {
        let configuration = self.configurations.latest();
        let (Some(uncertain), true) = (&self.uncertain, self.may_have_counted()) else {
            return TailVerdict::Wait;
        };
        if uncertain.previous != self.log.last() {
            // The answers are about another end.
            return TailVerdict::Wait;
        }
        let index = self.log.last().index + 1;
        let minority = configuration.seats.len() - configuration.quorum();
        // This replica is the first of the ambiguous ones.
        let (mut amnesiac, mut unheard) = (1, 0);
        let mut best: Option<(EntryId, u64, &EntryHead)> = None;
        for (node, seat) in &configuration.seats {
            if *node == self.me.node {
                continue;
            }
            let answer = uncertain.answers.get(node);
            let other_disk = answer.is_some_and(|(replica, _)| replica.disk != seat.disk);
            let forgot = other_disk || seat.state == SeatState::Replaced;
            match answer.map(|(_, tail)| tail.word_on(index)) {
                // Of several, the one in the log that a voter would prefer: who has
                // an entry of the term in which this one was committed, or of a later
                // one, has this one (Leader Completeness). Its own term says less: it
                // may be older than that of another that was never committed.
                Some(Word::Has(head)) => {
                    let last = answer.map_or(EntryId::ZERO, |(_, tail)| tail.last);
                    if best.is_none_or(|(best, ..)| best < last) {
                        best = Some((last, *node, head));
                    }
                }
                Some(Word::MayHaveHad) => amnesiac += 1,
                // The disk that sat there before may have had it.
                Some(Word::HasNone) if forgot => amnesiac += 1,
                Some(Word::HasNone) => {}
                // Even a replaced one: its promotion may be among what was lost
                // here (found by a random schedule, n=3).
                None | Some(Word::Silent) => unheard += 1,
            }
        }
        if amnesiac.min(minority) + unheard > minority {
            return TailVerdict::Wait;
        }
        best.map_or(TailVerdict::End, |(_, node, head)| {
            let said = stepped.and_then(|node| uncertain.answers.get(&node));
            let same = said.is_some_and(|(_, tail)| tail.heads.first() == Some(head));
            // Its frames are at hand.
            let node = stepped.filter(|_| same).unwrap_or(node);
            TailVerdict::Copy(node, head.clone())
        })
    }

    /// Remembers that a leader's append covers what is uncertain.
    pub(super) fn note_cover(&mut self, leader_commit_index: u64) {
        let of_its_term = self
            .log
            .id_at(leader_commit_index)
            .is_some_and(|id| id.term == self.gate.hard().term);
        if let Some(uncertain) = &mut self.uncertain
            && of_its_term
            && self.matched_index >= leader_commit_index
        {
            uncertain.covered_index = Some(leader_commit_index);
        }
    }

    /// The leader has everything that was committed before its term, and this
    /// replica durably has it, too.
    pub(super) fn check_uncertain_tail(&mut self) {
        let Some(uncertain) = &self.uncertain else {
            return;
        };
        if uncertain
            .covered_index
            .is_some_and(|index| self.durable_index >= index)
        {
            self.end_uncertainty();
        } else {
            self.check_answers(None);
        }
    }

    fn end_uncertainty(&mut self) {
        let hard = self.gate.hard();
        self.uncertain = None;
        self.change_hard(HardState {
            uncertain_tail: None,
            ..hard
        });
        self.outputs.push_back(Output::TailCertain);
        if !matches!(self.state, State::Leader(_)) {
            self.reset_election_timer();
        }
    }
}

/// The word of an answer about one index.
enum Word<'a> {
    /// A copy.
    Has(&'a EntryHead),
    /// It never held one that chains to the asker's log.
    HasNone,
    /// It lost its own end there, or cannot read what it has there.
    MayHaveHad,
    /// Nothing: dropped with the base (so committed, not denied), not sent, or not
    /// to be told.
    Silent,
}

impl Tail {
    /// The word about the index behind `previous`.
    fn word_on(&self, index: u64) -> Word<'_> {
        let unknown = self.silent_from.is_some_and(|from| from <= index);
        if self.base_index >= index || unknown {
            return Word::Silent;
        }
        if let (true, Some(head)) = (self.chained, self.heads.first()) {
            return Word::Has(head);
        }
        if self.uncertain_from.is_some_and(|from| from <= index) {
            return Word::MayHaveHad;
        }
        if self.chained && self.last.index >= index {
            Word::Silent
        } else {
            Word::HasNone
        }
    }
}
