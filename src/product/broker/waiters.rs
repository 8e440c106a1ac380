//! Answers that wait until what they depend on is durable enough.
//!
//! Invariant: waiters are in the order of their entries, so of `end_address`;
//! each is released by a position at or past its entry's *end*, and answered
//! once. Index and term only show that order. A leader that steps down dismisses
//! all of them before its log is cut, so that an entry rewritten at the same
//! address releases nobody (D25).

use std::collections::VecDeque;

use super::held_pulls::Pull;
use super::transactions::Decision;
use crate::env::ConnId;
use crate::remoting::ReplyTo;

/// The answer that is sent when an entry is durable enough.
#[derive(Debug, Clone)]
pub(crate) struct SendAnswer {
    pub(crate) reply_to: ReplyTo,
    pub(crate) what: Answered,
}

/// The content of an answer to a client.
#[derive(Debug, Clone)]
pub(crate) enum Answered {
    /// Where its message is.
    Message {
        queue_id: u32,
        queue_offset: u64,
        address: u64,
        /// Its own id, where it has one.
        unique_key: Option<Box<str>>,
        is_half: bool,
    },
    /// A pull: where its group begins is recorded by then.
    Pull(Box<Pull>),
    /// That it is done: an offset commit, a change of members.
    Done,
    /// How its transaction ended.
    Ended {
        /// As the client would have it.
        asked: Decision,
        /// As it is.
        outcome: Decision,
    },
}

/// An answer that waits for one entry.
#[derive(Debug)]
pub(crate) struct Waiter<A> {
    /// The entry's index.
    pub(crate) index: u64,
    /// The entry's term.
    pub(crate) term: u64,
    /// One past the entry's last log address.
    pub(crate) end_address: u64,
    /// When to give up, on the broker's clock.
    pub(crate) deadline_ns: u64,
    /// The stream to answer on.
    pub(crate) conn: ConnId,
    /// The answer.
    pub(crate) answer: A,
}

/// All answers that wait, oldest first.
#[derive(Debug)]
pub(crate) struct Waiters<A>(VecDeque<Waiter<A>>);

impl<A> Default for Waiters<A> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<A> Waiters<A> {
    /// Adds a waiter for an entry behind all others.
    pub(crate) fn push(&mut self, waiter: Waiter<A>) {
        debug_assert!(
            self.0
                .back()
                .is_none_or(|last| last.end_address <= waiter.end_address
                    && last.index <= waiter.index
                    && last.term <= waiter.term),
            "waiters are in the order of their entries"
        );
        self.0.push_back(waiter);
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The next waiter whose entry lies wholly below `released_address`.
    pub(crate) fn pop_released(&mut self, released_address: u64) -> Option<Waiter<A>> {
        let oldest = self.0.front()?;
        if oldest.end_address <= released_address {
            self.0.pop_front()
        } else {
            None
        }
    }

    /// The next waiter whose time is up. All wait equally long, so the oldest is
    /// the first.
    pub(crate) fn pop_expired(&mut self, now_ns: u64) -> Option<Waiter<A>> {
        let oldest = self.0.front()?;
        if oldest.deadline_ns <= now_ns {
            self.0.pop_front()
        } else {
            None
        }
    }

    /// Any waiter: nobody will be released any more.
    pub(crate) fn pop(&mut self) -> Option<Waiter<A>> {
        self.0.pop_front()
    }

    /// When the oldest gives up.
    pub(crate) fn deadline_ns(&self) -> Option<u64> {
        self.0.front().map(|oldest| oldest.deadline_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::{Waiter, Waiters};
    use crate::env::ConnId;

    fn waiter(index: u64, end_address: u64) -> Waiter<u64> {
        Waiter {
            index,
            term: 0,
            end_address,
            deadline_ns: index,
            conn: ConnId(0),
            answer: index,
        }
    }

    #[test]
    fn an_entry_releases_only_when_its_end_is_covered() {
        let mut waiters = Waiters::default();
        waiters.push(waiter(1, 100));
        waiters.push(waiter(2, 200));
        assert!(waiters.pop_released(99).is_none());
        assert_eq!(
            waiters.pop_released(199).map(|waiter| waiter.answer),
            Some(1)
        );
        assert!(
            waiters.pop_released(199).is_none(),
            "its start is covered, its end is not"
        );
        assert_eq!(waiters.pop_expired(2).map(|waiter| waiter.answer), Some(2));
        assert!(waiters.pop().is_none());
    }
}
