//! A replica's state as numbers: equal for replicas that will do the same.
//!
//! For searches over many states. Three kinds of values mean nothing but themselves, and
//! are renamed so that equal situations look equal:
//!
//! - nodes and their disks, by an order that the caller chooses;
//! - numbers of requests, which are only compared: by how many that can still be answered
//!   lie below;
//! - rounds and challenges, drawn at random: by whether they are the present ones.
//!
//! Left out are all times, what will be drawn at random, the blank disks that announced
//! themselves, and what was said of them to the operator. So the digest serves where all
//! times of the settings are 0, and a deadline comes whenever the caller says so. Left out,
//! too, is how many probes have gone unanswered: of 8 the oldest is forgotten.

use std::collections::BTreeMap;

use super::progress::Feed;
use super::replica::{Raft, State};
use super::replication::Leader;
use super::uncertain_tail::ROUND;
use super::{
    Append, AppendAnswer, Configuration, EntryHead, EntryId, HardState, Message, Output, ReplicaId,
    SeatState, Tail, UNASKED,
};

/// The words of a digest, in order.
pub type Words = Vec<u64>;

/// The names by which a digest calls nodes, disks, requests, rounds and challenges.
#[derive(Debug, Clone)]
pub struct Names {
    /// Node to its place in the order.
    places: Vec<u64>,
    disk_name: fn(u64) -> u64,
    /// (term, number) of requests that can still be answered; ascending once sealed.
    requests: Vec<(u64, u64)>,
    /// Node to the present round of its inquiry.
    rounds: Vec<(u64, u64)>,
    /// (challenge, term) of those that leaders wait for.
    challenges: Vec<(u64, u64)>,
}

impl Names {
    /// Names for nodes 0, 1, …: `places[node]` is the node's place in the order, and
    /// `disk_name` tells disks of one node apart.
    #[must_use]
    pub fn new(places: Vec<u64>, disk_name: fn(u64) -> u64) -> Self {
        Self {
            places,
            disk_name,
            requests: Vec::new(),
            rounds: Vec::new(),
            challenges: Vec::new(),
        }
    }

    /// Notes the names that a replica uses. All replicas and messages come before
    /// [`Names::seal`].
    pub fn note(&mut self, raft: &Raft) {
        if let Some((_, request)) = raft.answering {
            self.note_request(raft.term(), request);
        }
        for output in raft.gate.held() {
            match output {
                Output::Send { term, message, .. } => self.note_message(*term, message),
                Output::Replicate { term, append, .. } => self.note_request(*term, append.request),
                Output::SendBase { term, request, .. } => self.note_request(*term, *request),
                _ => {}
            }
        }
        if let Some(uncertain) = &raft.uncertain {
            self.rounds.push((raft.me.node, uncertain.round()));
        }
        if let State::Leader(leader) = &raft.state {
            let challenges = leader.challenges.values();
            let term = leader.term;
            self.challenges
                .extend(challenges.map(|(_, challenge)| (*challenge, term)));
        }
    }

    /// Notes the names that a message under way uses.
    pub fn note_message(&mut self, term: u64, message: &Message) {
        match message {
            Message::Append(append) => self.note_request(term, append.request),
            Message::AppendAnswer(answer) => self.note_request(term, answer.request),
            Message::Install { request, .. } => self.note_request(term, *request),
            _ => {}
        }
    }

    /// All names are noted.
    pub fn seal(&mut self) {
        self.requests.sort_unstable();
        self.requests.dedup();
    }

    fn note_request(&mut self, term: u64, request: u64) {
        if request != UNASKED && request < ROUND {
            self.requests.push((term, request));
        }
    }

    /// A node's place in the order.
    #[must_use]
    pub fn node(&self, node: u64) -> u64 {
        let at = usize::try_from(node).unwrap_or(usize::MAX);
        self.places.get(at).copied().unwrap_or(node)
    }

    /// A replica in one word.
    #[must_use]
    pub fn replica(&self, replica: ReplicaId) -> u64 {
        (self.node(replica.node) << 32) | (self.disk_name)(replica.disk)
    }

    fn maybe(&self, replica: Option<ReplicaId>) -> u64 {
        replica.map_or(u64::MAX, |replica| self.replica(replica))
    }

    /// Twice the number of requests of that term below it, and 1 more where it can
    /// itself be answered.
    fn request(&self, term: u64, request: u64) -> u64 {
        let first = self.requests.partition_point(|it| it.0 < term);
        let at = self.requests.partition_point(|it| *it < (term, request));
        let lives = self.requests.get(at) == Some(&(term, request));
        2 * (at - first) as u64 + u64::from(lives)
    }

    fn round(&self, node: u64, round: u64) -> u64 {
        u64::from(self.rounds.contains(&(node, round)))
    }

    fn challenge(&self, challenge: u64) -> u64 {
        let found = self.challenges.iter().find(|it| it.0 == challenge);
        found.map_or(0, |(_, term)| 1 + term)
    }

    fn sorted<'a, T: 'a>(&self, map: &'a BTreeMap<u64, T>) -> Vec<(u64, &'a T)> {
        let mut all: Vec<_> = map
            .iter()
            .map(|(node, it)| (self.node(*node), it))
            .collect();
        all.sort_by_key(|(place, _)| *place);
        all
    }

    fn id(id: EntryId, out: &mut Words) {
        out.push((id.term << 32) | id.index);
    }

    /// The words of a hard state.
    pub fn hard(&self, hard: HardState, out: &mut Words) {
        out.extend([hard.term, self.maybe(hard.vote)]);
        out.push(
            hard.uncertain_tail
                .map_or(u64::MAX, |tail| (tail.term_before << 32) | tail.from_index),
        );
    }

    /// The words of a configuration. Its founders are left out: a core never asks.
    pub fn configuration(&self, configuration: &Configuration, out: &mut Words) {
        for (place, seat) in self.sorted(&configuration.seats) {
            let votes = u64::from(seat.state == SeatState::Voter);
            out.push((place << 32) | ((self.disk_name)(seat.disk) << 1) | votes);
        }
        out.push(u64::MAX);
        for (place, disk) in self.sorted(&configuration.learners) {
            out.push((place << 32) | (self.disk_name)(*disk));
        }
        let mut returning: Vec<u64> = configuration
            .returning
            .iter()
            .map(|it| self.node(*it))
            .collect();
        returning.sort_unstable();
        out.push(u64::MAX);
        out.extend(returning);
    }

    /// The words of entries.
    pub fn heads(&self, heads: &[EntryHead], out: &mut Words) {
        out.push(heads.len() as u64);
        for head in heads {
            Self::id(head.id, out);
            if let Some(configuration) = &head.configuration {
                self.configuration(configuration, out);
            }
        }
    }

    fn tail(&self, tail: &Tail, out: &mut Words) {
        Self::id(tail.previous, out);
        Self::id(tail.last, out);
        let from = |index: Option<u64>| index.unwrap_or(u64::MAX);
        out.extend([u64::from(tail.chained), tail.base_index]);
        out.extend([from(tail.uncertain_from), from(tail.silent_from)]);
        self.heads(&tail.heads, out);
    }

    fn append(&self, term: u64, append: &Append, out: &mut Words) {
        out.extend([self.request(term, append.request), append.commit_index]);
        Self::id(append.prev, out);
        self.heads(&append.heads, out);
    }

    fn answer(&self, term: u64, answer: &AppendAnswer, out: &mut Words) {
        out.extend([
            self.request(term, answer.request),
            u64::from(answer.accepted),
        ]);
        out.extend([answer.matched_index, answer.last_index]);
        Self::id(answer.hint, out);
        out.push(u64::from(answer.is_uncertain));
    }

    /// The words of a message of `term` under way.
    pub fn message(
        &self,
        (from, to): (ReplicaId, ReplicaId),
        term: u64,
        message: &Message,
        out: &mut Words,
    ) {
        out.extend([self.replica(from), self.replica(to), term]);
        match message {
            Message::PreVote { next_term, last } => {
                out.extend([1, *next_term]);
                Self::id(*last, out);
            }
            Message::PreVoteAnswer { next_term, granted } => {
                out.extend([2, *next_term, u64::from(*granted)]);
            }
            Message::Vote { last, transfer } => {
                out.extend([3, u64::from(*transfer)]);
                Self::id(*last, out);
            }
            Message::VoteAnswer { granted } => out.extend([4, u64::from(*granted)]),
            Message::Append(append) => {
                out.push(5);
                self.append(term, append, out);
            }
            Message::AppendAnswer(answer) => {
                out.push(6);
                self.answer(term, answer, out);
            }
            Message::TimeoutNow => out.push(7),
            Message::Join { challenge } => out.extend([8, self.challenge(*challenge)]),
            Message::Challenge { challenge } => out.extend([9, self.challenge(*challenge)]),
            Message::Install {
                request,
                base,
                configuration,
            } => {
                let request = match *request >= ROUND {
                    true => (1 << 40) | self.round(to.node, *request),
                    false => self.request(term, *request),
                };
                out.extend([10, request]);
                Self::id(*base, out);
                self.configuration(configuration, out);
            }
            Message::Ask {
                request,
                previous,
                hash,
            } => {
                out.extend([11, self.round(from.node, *request), *hash]);
                Self::id(*previous, out);
            }
            Message::Tail(tail) => {
                out.extend([12, self.round(to.node, tail.request)]);
                self.tail(tail, out);
            }
            Message::YouForgot { acknowledged_index } => out.extend([13, *acknowledged_index]),
            // The core takes none of these.
            Message::Fetch { .. }
            | Message::Fetched { .. }
            | Message::Expired { .. }
            | Message::WantBase { .. }
            | Message::BasePiece { .. } => out.push(14),
        }
    }
}

impl Raft {
    /// The words of this replica's state, by `names`.
    pub fn digest(&self, names: &Names, out: &mut Words) {
        out.extend([names.replica(self.me), u64::from(self.stopped)]);
        self.gate.digest(self.me, names, out);
        out.push(u64::MAX);
        Names::id(self.log.base(), out);
        for index in self.log.base().index + 1..=self.log.last().index {
            Names::id(self.log.id_at(index).unwrap_or(EntryId::ZERO), out);
        }
        out.push(u64::MAX);
        for (index, configuration) in self.configurations.all() {
            out.push(*index);
            names.configuration(configuration, out);
        }
        out.extend([
            u64::MAX,
            self.commit_index,
            self.durable_index,
            self.matched_index,
        ]);
        for hole in &self.holes {
            out.extend([hole.from_index, hole.upto_index, hole.hash]);
        }
        out.extend([u64::MAX, names.maybe(self.leader), u64::from(self.hung)]);
        if let Some((leader, request)) = self.answering {
            out.extend([names.replica(leader), names.request(self.term(), request)]);
        }
        out.push(u64::MAX);
        if let Some(uncertain) = &self.uncertain {
            out.push(u64::from(uncertain.round() != 0));
            Names::id(uncertain.previous(), out);
            out.push(uncertain.covered_index().unwrap_or(u64::MAX));
            for (place, (replica, tail)) in names.sorted(uncertain.answers()) {
                out.extend([place, names.replica(*replica)]);
                names.tail(tail, out);
            }
        }
        out.push(u64::MAX);
        self.digest_role(names, out);
    }

    fn digest_role(&self, names: &Names, out: &mut Words) {
        let voters = |votes: &std::collections::BTreeSet<ReplicaId>, out: &mut Words| {
            let mut votes: Vec<u64> = votes.iter().map(|it| names.replica(*it)).collect();
            votes.sort_unstable();
            out.extend(votes);
        };
        match &self.state {
            State::Blank { challenge, .. } => out.extend([1, names.challenge(*challenge)]),
            State::Follower => out.push(2),
            State::PreCandidate(votes) => {
                out.push(3);
                voters(votes, out);
            }
            State::Candidate { votes, transfer } => {
                out.extend([4, u64::from(*transfer)]);
                voters(votes, out);
            }
            State::Leader(leader) => {
                out.push(5);
                leader.digest(names, out);
            }
        }
    }
}

impl Leader {
    fn digest(&self, names: &Names, out: &mut Words) {
        let request = |number: u64| names.request(self.term, number);
        out.extend([self.first_index, request(self.next_request)]);
        out.extend([u64::from(self.beat), u64::from(self.proposing)]);
        for (place, progress) in names.sorted(&self.followers) {
            out.extend([place, (names.disk_name)(progress.disk)]);
            out.extend([progress.matched_index, progress.next_index]);
            match progress.feed {
                Feed::Probe { sent, unanswered } => {
                    out.extend([1, u64::from(sent), u64::from(unanswered)]);
                }
                Feed::Replicate => out.push(2),
                Feed::Base { sent } => out.extend([3, sent.map_or(u64::MAX, |(index, _)| index)]),
            }
            // Of probes, only the answers matter that can still come.
            let probes = matches!(progress.feed, Feed::Probe { .. });
            let inflight = progress.inflight.iter();
            let counts = |sent: u64| !probes || request(sent) % 2 == 1;
            let inflight = inflight.filter(|(sent, _)| counts(*sent));
            out.extend(inflight.flat_map(|(sent, upto_index)| [request(*sent), *upto_index]));
            out.extend([
                request(progress.floor_request),
                request(progress.probed_request),
            ]);
            out.push(progress.forgot.unwrap_or(u64::MAX));
            if !self.reads.is_empty() {
                out.push(request(progress.answered_request));
            }
        }
        out.push(u64::MAX);
        for read in &self.reads {
            out.extend([read.id, read.index(), request(read.first_request())]);
        }
        out.push(u64::MAX);
        if let Some(transfer) = &self.transfer {
            out.extend([names.replica(transfer.to()), u64::from(transfer.is_told())]);
        }
        for (place, (disk, challenge)) in names.sorted(&self.challenges) {
            out.extend([place, (names.disk_name)(*disk), names.challenge(*challenge)]);
        }
    }
}

impl super::gate::Gate {
    fn digest(&self, me: ReplicaId, names: &Names, out: &mut Words) {
        names.hard(self.hard(), out);
        out.push(u64::from(self.is_durable()));
        if let Some(saving) = self.saving() {
            names.hard(saving, out);
        }
        for (behind, output) in self.held_behind() {
            out.push(u64::from(behind));
            match output {
                Output::Send { to, term, message } => names.message((me, *to), *term, message, out),
                Output::Replicate {
                    to,
                    term,
                    append,
                    upto_index,
                } => {
                    out.extend([21, names.replica(*to), *term, *upto_index]);
                    names.append(*term, append, out);
                }
                Output::SendTail {
                    to,
                    term,
                    tail,
                    upto_index,
                } => {
                    out.extend([22, names.replica(*to), *term, *upto_index]);
                    out.push(names.round(to.node, tail.request));
                    names.tail(tail, out);
                }
                Output::SendBase { to, term, request } => {
                    out.extend([
                        23,
                        names.replica(*to),
                        *term,
                        names.request(*term, *request),
                    ]);
                }
                _ => out.push(24),
            }
        }
    }
}
