//! What a check reports: a broken promise, in words, and where to look.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::history::{Queue, Value};

/// A promise of guarantee.md, section 2, or another way for a run to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// No acknowledged message is lost.
    Durability,
    /// What was not acknowledged but was once read persists.
    KnownStored,
    /// Every value read was sent, and its send was not rejected.
    NoPhantom,
    /// A queue offset names one value.
    OffsetUniqueness,
    /// Acknowledged before sent: the smaller offset.
    QueueOrder,
    /// Nothing visible is skipped by a group.
    AtLeastOnce,
    /// An acknowledged offset commit is not lost.
    GroupOffsets,
    /// Nothing is served beyond the read limit.
    ReadCommitted,
    /// Nothing is acknowledged before it is held where the configuration says.
    Acknowledgement,
    /// After healing, everything works again within the stated time.
    Liveness,
    /// The run's events stay within a budget per simulated second.
    EventBudget,
    /// Product code does not panic.
    NoPanic,
    /// Equal seeds give equal runs.
    Determinism,
}

impl Promise {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Durability => "durability",
            Self::KnownStored => "known-stored",
            Self::NoPhantom => "no-phantom",
            Self::OffsetUniqueness => "offset-uniqueness",
            Self::QueueOrder => "queue-order",
            Self::AtLeastOnce => "at-least-once",
            Self::GroupOffsets => "group-offsets",
            Self::ReadCommitted => "read-committed",
            Self::Acknowledgement => "acknowledgement",
            Self::Liveness => "liveness",
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
    /// Which.
    pub promise: Promise,
    /// What happened, a line each; the first says it all.
    pub lines: Vec<String>,
    /// When it was established, nanoseconds since the start of the run.
    pub at_ns: u64,
    /// The entry of the history, or the event of the simulator, that
    /// established it.
    pub event: u64,
    /// Further moments worth a look in the timeline, nanoseconds.
    pub moments_ns: Vec<u64>,
}

/// Something acknowledged, or once read, that is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// What.
    pub thing: LostThing,
    /// Since when it had to persist: the acknowledgement, or the first read,
    /// nanoseconds since the start of the run.
    pub known_ns: u64,
    /// When its absence was seen.
    pub missed_ns: u64,
}

/// What can be lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LostThing {
    /// An acknowledged message.
    Acknowledged {
        /// Where it was acknowledged.
        queue: Queue,
        /// The queue offset of its acknowledgement.
        offset: u64,
        /// The log address of its acknowledgement.
        address: u64,
        /// What it says.
        value: Value,
    },
    /// A message that was read, without an acknowledgement of that place.
    Read {
        /// Where it was read.
        queue: Queue,
        /// The queue offset at which it was read.
        offset: u64,
        /// What it says.
        value: Value,
    },
    /// An acknowledged commit of a group's offset.
    GroupOffset {
        /// The group.
        group: Arc<str>,
        /// The queue.
        queue: Queue,
        /// The offset that was committed.
        offset: u64,
    },
}

/// Why something is gone, as a white-box tracker saw it (guarantee.md, section
/// 3, `expected-loss`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// At this fault, an index into `Ledger::fired`, too few replicas were left
    /// that held it. Where a lie had kept it from the medium, the fault is the
    /// lie, and not the power loss that uncovered it.
    Fault(usize),
    /// Enough replicas still held it.
    StillHeld,
}
