//! The finding of a check: a broken promise, in words, and where to look.

use std::fmt;

use serde::Serialize;

/// A promise of guarantee.md, section 2, or another way for a run to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// No acknowledged message is lost.
    Durability,
    /// A value that was not acknowledged but was once read persists.
    KnownStored,
    /// Every value read was sent, and its send was not rejected.
    NoPhantom,
    /// Visible once committed and not before; decided once.
    Transactions,
    /// Every paid order has one red packet, and no other order any.
    Business,
    /// A queue offset names one value.
    OffsetUniqueness,
    /// A value stands in one place.
    StoredOnce,
    /// Acknowledged before sent: the smaller offset.
    QueueOrder,
    /// Nothing visible is skipped by a group.
    AtLeastOnce,
    /// A queue's messages are processed in its order, by one member at a time,
    /// where that is asked for.
    ConsumeOrder,
    /// A message that was sent back comes again, not too early, or stands among the dead
    /// letters.
    Redelivery,
    /// Members of a group keep to the queues that are theirs.
    Rebalancing,
    /// An acknowledged offset commit is not lost.
    GroupOffsets,
    /// A send within the documented limits is not refused for good; one beyond is not stored.
    Limits,
    /// Nothing is served beyond the read limit.
    ReadCommitted,
    /// At most one leader in a term.
    ElectionSafety,
    /// A leader never cuts its own log.
    LeaderAppendOnly,
    /// One index and one term: one entry, and one log below it.
    LogMatching,
    /// A leader has all that was committed before its term.
    LeaderCompleteness,
    /// Nobody applies another entry at an index.
    StateMachineSafety,
    /// Terms, votes and what was said to peers stay.
    PromisesKept,
    /// Nothing is acknowledged before it is held where the configuration says.
    Acknowledgement,
    /// After healing, everything works again within the stated time.
    Liveness,
    /// No step of a broker's loop is longer than a bounded one.
    BoundedStep,
    /// No broker holds more of what others send than it bears, nor sends more of a base at
    /// once than it may.
    Bounds,
    /// A broker's notices are true.
    ToldTruly,
    /// The run's events stay within a budget per simulated second.
    EventBudget,
    /// Product code does not panic.
    NoPanic,
    /// Equal seeds give equal runs.
    Determinism,
}

impl Promise {
    /// Whether it promises that things happen, and not that they are right.
    pub fn is_progress(self) -> bool {
        matches!(self, Self::Liveness | Self::BoundedStep | Self::EventBudget)
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Durability => "durability",
            Self::KnownStored => "known-stored",
            Self::NoPhantom => "no-phantom",
            Self::Transactions => "transactions",
            Self::Business => "business",
            Self::OffsetUniqueness => "offset-uniqueness",
            Self::StoredOnce => "stored-once",
            Self::QueueOrder => "queue-order",
            Self::AtLeastOnce => "at-least-once",
            Self::ConsumeOrder => "consume-order",
            Self::Redelivery => "redelivery",
            Self::Rebalancing => "rebalancing",
            Self::GroupOffsets => "group-offsets",
            Self::Limits => "limits",
            Self::ReadCommitted => "read-committed",
            Self::ElectionSafety => "election-safety",
            Self::LeaderAppendOnly => "leader-append-only",
            Self::LogMatching => "log-matching",
            Self::LeaderCompleteness => "leader-completeness",
            Self::StateMachineSafety => "state-machine-safety",
            Self::PromisesKept => "promises-kept",
            Self::Acknowledgement => "acknowledgement",
            Self::Liveness => "liveness",
            Self::BoundedStep => "bounded-step",
            Self::Bounds => "bounds",
            Self::ToldTruly => "told-truly",
            Self::EventBudget => "event-budget",
            Self::NoPanic => "no-panic",
            Self::Determinism => "determinism",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The promise that was broken.
    pub promise: Promise,
    /// The events, a line each; the first says it all.
    pub lines: Vec<String>,
    /// When it was established, nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The entry of the history, or the event of the simulator, that
    /// established it.
    pub event: u64,
    /// Further moments worth a look in the timeline, nanoseconds.
    pub moments_ns: Vec<u64>,
}
