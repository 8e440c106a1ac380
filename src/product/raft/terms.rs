//! The messages that count at all: terms, and who may speak (D7, D13).

use super::replica::Raft;
use super::{EntryId, Message, ReplicaId, UNASKED};

/// Terms by which a message of somebody who is no member as far as is known here raises
/// a replica's own, at most: one message must not use up all the terms there are.
pub const TERMS_AHEAD_MAX: u64 = 1 << 32;

impl Raft {
    /// The rules for terms, before any other (Raft paper, figure 2, "rules for
    /// all servers").
    pub(super) fn on_message(&mut self, from: ReplicaId, term: u64, message: Message) {
        if from.node == self.me.node {
            return;
        }
        match message {
            // These change no term, but where it says so.
            Message::PreVote { next_term, last } => return self.on_pre_vote(from, next_term, last),
            Message::Join { challenge } => return self.on_join(from, challenge),
            Message::Challenge { challenge } => {
                // The leader is there in whichever term. One that is near is taken up
                // now: the base that follows need not wait for it.
                let is_near = term.saturating_sub(self.term()) <= TERMS_AHEAD_MAX;
                if self.is_blank() && term > self.term() && is_near {
                    self.adopt_term(term);
                }
                return self.on_challenge(challenge);
            }
            Message::Fetch { .. }
            | Message::Fetched { .. }
            | Message::Expired { .. }
            | Message::WantBase { .. }
            | Message::BasePiece { .. } => return,
            // A stranger may learn what is here, but changes no term.
            Message::Ask {
                request,
                previous,
                hash,
            } if !self.knows_asker(from, previous) => {
                return self.on_ask(from, request, (previous, hash));
            }
            // Only a voter's denial counts, and only in the asker's term.
            Message::Tail(tail) if !self.configurations.latest().is_voter(from) => {
                return self.on_tail(from, tail);
            }
            _ if !self.may_speak(from, &message) => return,
            _ => {}
        }
        if self.configurations.latest().is_voter(from) {
            // Its disk is there after all.
            self.joins.remove(&from.node);
        }
        if term > self.term() {
            let Some(adopted) = self.adoptable(from, term, &message) else {
                return;
            };
            self.adopt_term(adopted);
            if adopted < term {
                return;
            }
        } else if term < self.term() {
            return self.on_stale(from, &message);
        }
        match message {
            Message::PreVoteAnswer { next_term, granted } => {
                self.on_pre_vote_answer(from, next_term, granted);
            }
            Message::Vote { last, .. } => self.on_vote(from, last),
            Message::VoteAnswer { granted } => self.on_vote_answer(from, granted),
            Message::Append(append) => self.on_append(from, append),
            Message::AppendAnswer(answer) => self.on_append_answer(from, answer),
            Message::TimeoutNow => self.on_timeout_now(from),
            Message::Install { request, base, .. } => self.on_install(from, request, base),
            Message::Ask {
                request,
                previous,
                hash,
            } => self.on_ask(from, request, (previous, hash)),
            Message::Tail(tail) => self.on_tail(from, tail),
            Message::YouForgot { acknowledged_index } => {
                self.on_you_forgot(from, acknowledged_index);
            }
            Message::PreVote { .. }
            | Message::Join { .. }
            | Message::Challenge { .. }
            | Message::Fetch { .. }
            | Message::Fetched { .. }
            | Message::Expired { .. }
            | Message::WantBase { .. }
            | Message::BasePiece { .. } => unreachable!("taken above"),
        }
    }

    /// The senders that count at all. A replica that was replaced or removed must not
    /// disturb, and one that I do not know *yet* must be able to lead me.
    fn may_speak(&self, from: ReplicaId, message: &Message) -> bool {
        match message {
            // The sender leads, so it was elected; a follower that lags may not know of
            // it (thesis, §4.1).
            Message::Append(_) | Message::YouForgot { .. } | Message::Install { .. } => true,
            // A blank disk has promised nothing to anyone (D14).
            _ if self.is_blank() => false,
            Message::Vote { last, transfer } => {
                self.knows_candidate(from, *last) && (*transfer || !self.is_loyal())
            }
            Message::Ask { previous, .. } => self.knows_asker(from, *previous),
            _ => self.knows(from),
        }
    }

    /// As with candidates: a replica that my configuration does not know must
    /// have an entry that I lack.
    fn knows_asker(&self, from: ReplicaId, previous: EntryId) -> bool {
        self.knows(from) || !self.is_blank() && previous > self.log.last()
    }

    /// The term to take up for a message of a higher one. A blank disk follows nobody
    /// before it has a base, and takes the term that comes with the base, whichever it
    /// is. A member is followed however far it is ahead. Anybody else who is too far ahead
    /// is followed a step at a time, and only by a replica without a leader: it may be a
    /// leader whose disk this replica does not know yet, and its next message is nearer.
    fn adoptable(&self, from: ReplicaId, term: u64, message: &Message) -> Option<u64> {
        match message {
            Message::Install { .. } if self.is_blank() => Some(term),
            _ if self.is_blank() => None,
            _ if self.knows(from) => Some(term),
            _ if term - self.term() <= TERMS_AHEAD_MAX => Some(term),
            _ if self.is_loyal() => None,
            _ => Some(self.term() + TERMS_AHEAD_MAX),
        }
    }

    fn knows(&self, replica: ReplicaId) -> bool {
        self.configurations.latest().is_member(replica)
    }

    /// The sender of this was behind; tell it the term, so that it stops. Where it leads
    /// that term by now, it takes this for no answer: its requests of then had the same
    /// numbers.
    fn on_stale(&mut self, from: ReplicaId, message: &Message) {
        match message {
            Message::Vote { .. } => self.send(from, Message::VoteAnswer { granted: false }),
            Message::Append(append) => self.reject(from, UNASKED, append.prev),
            Message::Install { base, .. } => self.reject(from, UNASKED, *base),
            // It names the term that it is about, which its sender is not in.
            Message::PreVoteAnswer { next_term, granted } => {
                self.on_pre_vote_answer(from, *next_term, *granted);
            }
            // The answer counts in any term from the asker's on.
            Message::Ask {
                request,
                previous,
                hash,
            } => self.on_ask(from, *request, (*previous, *hash)),
            _ => {}
        }
    }
}
