//! A client's words for queues, and for the end of what it did.

use std::fmt;
use std::sync::Arc;

use crate::remoting::retry::{DEAD_LETTER_PREFIX, RETRY_PREFIX};
use crate::remoting::send::SCHEDULE_TOPIC;

/// A client's own count of its operations.
pub type OpId = u64;

/// A queue: the unit of order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The queue's number in the topic.
    pub queue_id: u32,
}

impl Queue {
    /// Whether a group's messages come again here.
    #[must_use]
    pub fn is_of_retries(&self) -> bool {
        self.topic.starts_with(RETRY_PREFIX)
    }

    /// Whether messages wait here for their time.
    #[must_use]
    pub fn is_schedule(&self) -> bool {
        &*self.topic == SCHEDULE_TOPIC
    }

    /// The group whose dead letters stand here, if any do.
    #[must_use]
    pub fn group_of_dead_letters(&self) -> Option<&str> {
        self.topic.strip_prefix(DEAD_LETTER_PREFIX)
    }
}

/// `topic/queue`.
impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.queue_id)
    }
}

/// How a send ended. Three outcomes, never two (guarantee.md, section 1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SendOutcome {
    /// `SEND_OK`.
    Acknowledged {
        /// Where.
        queue: Queue,
        /// The queue offset.
        offset: u64,
        /// The log address out of the message id.
        address: u64,
    },
    /// Every attempt was answered with an error given only before an append.
    Rejected {
        /// The last response code.
        code: i32,
    },
    /// Anything else.
    Unknown,
}

/// How the end of a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndOutcome {
    /// It is decided so, durably.
    Acknowledged,
    /// It is decided otherwise, or not to be decided any more.
    Refused {
        /// The response code.
        code: i32,
    },
    /// Nobody knows.
    Unknown,
}

impl fmt::Display for SendOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acknowledged {
                queue,
                offset,
                address,
            } => write!(f, "acknowledged {queue}@{offset} addr {address}"),
            Self::Rejected { code } => write!(f, "rejected, code {code}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// How a transaction's end ended.
impl fmt::Display for EndOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acknowledged => f.write_str("acknowledged"),
            Self::Refused { code } => write!(f, "refused with code {code}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
