//! One send: its attempts, and what they prove.
//!
//! ```text
//!            leaves                 SEND_OK
//!   Waiting ────────► InFlight ──────────────► Acknowledged
//!      ▲                 │  not answered, or an error
//!      │ the time comes  ▼
//!      └────────────── Paused ──── no attempt left ──► Rejected, or Unknown
//! ```
//!
//! Invariant: an attempt whose bytes were handed to a stream is unresolved until it
//! is answered with an error that is given only before an append. An attempt that
//! never left is no attempt.

use bytes::Bytes;

use super::session::TopicId;
use crate::client::SendOutcome;
use crate::remoting::ResponseCode;

/// How an attempt ended that did not bring `SEND_OK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptEnd {
    /// Not answered in time, or its stream ended.
    Unanswered,
    /// Answered with an error.
    Error(ResponseCode),
}

/// The next step of the send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// For a route, or for its broker to be up.
    Waiting,
    /// The attempt with this number has left.
    InFlight { attempt: u32 },
    /// For the time of the next attempt.
    Paused { until_ns: u64 },
}

/// One send that has not ended.
#[derive(Debug)]
pub(super) struct SendOp {
    pub(super) topic: TopicId,
    /// Chosen with the first attempt; every attempt goes to the same one.
    pub(super) queue: Option<u32>,
    pub(super) body: Bytes,
    pub(super) properties: String,
    pub(super) born_ms: u64,
    /// Unless an attempt is in flight, the send ends then.
    pub(super) deadline_ns: u64,
    pub(super) phase: Phase,
    attempts: u32,
    /// Attempts that left and are not known to have been refused.
    unresolved: u32,
    /// The last refusal.
    rejected: Option<ResponseCode>,
}

impl SendOp {
    pub(super) fn new(
        topic: TopicId,
        queue: Option<u32>,
        body: Bytes,
        properties: String,
        born_ms: u64,
        deadline_ns: u64,
    ) -> Self {
        Self {
            topic,
            queue,
            body,
            properties,
            born_ms,
            deadline_ns,
            phase: Phase::Waiting,
            attempts: 0,
            unresolved: 0,
            rejected: None,
        }
    }

    /// The number that the next attempt has.
    pub(super) fn next_attempt(&self) -> u32 {
        self.attempts
    }

    /// The attempt's bytes were handed to a stream.
    pub(super) fn left(&mut self) {
        self.phase = Phase::InFlight {
            attempt: self.attempts,
        };
        self.attempts += 1;
        self.unresolved += 1;
    }

    /// An attempt ended; an error may also resolve one that was given up.
    pub(super) fn attempt_ended(&mut self, end: AttemptEnd) {
        match end {
            AttemptEnd::Unanswered => {}
            AttemptEnd::Error(code) if code.given_before_append() => self.refused(code),
            AttemptEnd::Error(_) => {}
        }
    }

    fn refused(&mut self, code: ResponseCode) {
        self.unresolved -= 1;
        self.rejected = Some(code);
    }

    /// Whether another attempt is worth making (RocketMQ's
    /// `retryResponseCodes`). Stored but not known to be durable is final: a
    /// second copy would not make the first one so.
    pub(super) fn may_retry(&self, end: AttemptEnd, retries: u32) -> bool {
        let worth = match end {
            AttemptEnd::Unanswered => true,
            AttemptEnd::Error(code) => matches!(
                code,
                ResponseCode::SYSTEM_ERROR
                    | ResponseCode::SYSTEM_BUSY
                    | ResponseCode::SERVICE_NOT_AVAILABLE
                    | ResponseCode::NO_PERMISSION
                    | ResponseCode::TOPIC_NOT_EXIST
            ),
        };
        worth && self.attempts <= retries
    }

    /// How the send ends if it ends now, without a `SEND_OK`. One that never
    /// left is unknown too: no answer says that it was refused.
    pub(super) fn outcome(&self) -> SendOutcome {
        match self.rejected {
            Some(code) if self.unresolved == 0 => SendOutcome::Rejected { code: code.0 },
            _ => SendOutcome::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op() -> SendOp {
        let topic = crate::client::session::TopicId::FIRST;
        SendOp::new(topic, None, Bytes::new(), String::new(), 0, 0)
    }

    /// The outcome after attempts that ended so, one after the other.
    fn after(ends: &[AttemptEnd]) -> SendOutcome {
        let mut op = op();
        for end in ends {
            op.left();
            op.attempt_ended(*end);
        }
        op.outcome()
    }

    const LOST: AttemptEnd = AttemptEnd::Unanswered;
    const BUSY: AttemptEnd = AttemptEnd::Error(ResponseCode::SYSTEM_BUSY);
    const ILLEGAL: AttemptEnd = AttemptEnd::Error(ResponseCode::MESSAGE_ILLEGAL);
    const FAILED: AttemptEnd = AttemptEnd::Error(ResponseCode::SYSTEM_ERROR);
    const NOT_FLUSHED: AttemptEnd = AttemptEnd::Error(ResponseCode::FLUSH_DISK_TIMEOUT);

    #[test]
    fn rejected_only_if_every_attempt_was_refused() {
        assert_eq!(after(&[ILLEGAL]), SendOutcome::Rejected { code: 13 });
        assert_eq!(after(&[BUSY, ILLEGAL]), SendOutcome::Rejected { code: 13 });
        for end in [LOST, FAILED, NOT_FLUSHED] {
            assert_eq!(after(&[end]), SendOutcome::Unknown);
            assert_eq!(after(&[end, BUSY]), SendOutcome::Unknown);
            assert_eq!(after(&[BUSY, end]), SendOutcome::Unknown);
        }
    }

    #[test]
    fn a_send_that_never_left_was_not_refused() {
        assert_eq!(after(&[]), SendOutcome::Unknown);
    }

    #[test]
    fn an_attempt_in_flight_is_unresolved() {
        let mut op = op();
        op.left();
        op.attempt_ended(BUSY);
        op.left();
        assert_eq!(op.outcome(), SendOutcome::Unknown);
    }

    #[test]
    fn a_late_refusal_resolves_an_attempt_that_was_given_up() {
        assert_eq!(after(&[LOST, BUSY]), SendOutcome::Unknown);
        let mut op = op();
        op.left();
        op.attempt_ended(LOST);
        op.left();
        op.attempt_ended(BUSY);
        op.attempt_ended(BUSY);
        assert_eq!(op.outcome(), SendOutcome::Rejected { code: 2 });
    }

    #[test]
    fn retries_are_for_what_may_pass() {
        let mut op = op();
        op.left();
        assert!(op.may_retry(LOST, 1));
        assert!(op.may_retry(BUSY, 1));
        assert!(op.may_retry(FAILED, 1));
        assert!(!op.may_retry(ILLEGAL, 1));
        assert!(!op.may_retry(NOT_FLUSHED, 1));
        op.left();
        assert!(!op.may_retry(LOST, 1));
    }
}
