//! The losses: what is gone, since when it had to stay, and who is to blame.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::history::{Queue, Value};

use super::moment::At;
use super::{Finding, Promise};

/// Something acknowledged, or once read, that is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// The lost thing.
    pub thing: LostThing,
    /// Since when it had to stay: the acknowledgement or the first read,
    /// nanoseconds since the start of the run.
    pub known_ns: u64,
    /// When its absence was seen.
    pub missed_ns: u64,
    /// The entry of the history that shows the absence.
    pub event: u64,
    /// How it was missed.
    pub missed: Missed,
}

/// The kinds of things that can be lost.
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
        /// The value of the message.
        value: Value,
    },
    /// A message that was read, without an acknowledgement of that place.
    Read {
        /// Where it was read.
        queue: Queue,
        /// The queue offset at which it was read.
        offset: u64,
        /// The value of the message.
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
    /// A transaction that was committed, or whose half message was acknowledged
    /// and whose order is paid.
    Transaction {
        /// The order.
        value: Value,
        /// The log address of its half message.
        half_address: u64,
        /// Its commit was acknowledged.
        committed: bool,
    },
}

/// How an absence was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missed {
    /// The complete read after heal lacks it.
    FinalRead {
        /// The content of that place now.
        instead: Instead,
    },
    /// A successful pull, begun later, went over its offset.
    Pull {
        /// The offset that was asked for.
        offset: u64,
        /// One past the last offset that the answer covers.
        next_begin_offset: u64,
        /// The content of that place now.
        instead: Instead,
    },
    /// The broker had another offset recorded.
    Recorded {
        /// The recorded offset; `None`: none.
        offset: Option<u64>,
    },
}

/// The content at an offset in place of the missed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instead {
    /// Nothing.
    Nothing,
    /// Another message.
    Other(Value),
    /// A message whose body says nothing.
    Unreadable,
}

impl Lost {
    /// The queue and the offset, where a message is lost.
    pub fn place(&self) -> Option<(&Queue, u64)> {
        match &self.thing {
            LostThing::Acknowledged { queue, offset, .. }
            | LostThing::Read { queue, offset, .. } => Some((queue, *offset)),
            LostThing::GroupOffset { .. } | LostThing::Transaction { .. } => None,
        }
    }

    /// The promise that its loss breaks.
    pub fn promise(&self) -> Promise {
        match self.thing {
            LostThing::Acknowledged { .. } => Promise::Durability,
            LostThing::Read { .. } => Promise::KnownStored,
            LostThing::GroupOffset { .. } => Promise::GroupOffsets,
            LostThing::Transaction { .. } => Promise::Transactions,
        }
    }

    /// As a broken promise.
    pub fn finding(&self) -> Finding {
        Finding {
            promise: self.promise(),
            lines: vec![self.to_string()],
            at_ns: self.missed_ns,
            event: self.event,
            moments_ns: vec![self.known_ns],
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = At(self.known_ns);
        match &self.thing {
            LostThing::Acknowledged {
                queue,
                offset,
                address,
                value,
            } => write!(
                f,
                "{value}, acknowledged at {known} as {queue}@{offset} (log address {address}), "
            )?,
            LostThing::Read {
                queue,
                offset,
                value,
            } => write!(f, "{value}, read at {known} as {queue}@{offset}, ")?,
            LostThing::GroupOffset {
                group,
                queue,
                offset,
            } => write!(
                f,
                "group {group} on {queue}: commit of {offset} acknowledged at {known}, "
            )?,
            LostThing::Transaction {
                value, committed, ..
            } => match committed {
                true => write!(f, "{value}: commit acknowledged at {known}, ")?,
                false => write!(f, "{value} is paid, half message acknowledged at {known}, ")?,
            },
        }
        let missed = At(self.missed_ns);
        match self.missed {
            Missed::FinalRead { instead } => write!(f, "{instead} after convergence"),
            Missed::Pull {
                offset,
                next_begin_offset,
                instead,
            } => write!(
                f,
                "{instead} in the pull of {offset}..{next_begin_offset} answered at {missed}"
            ),
            Missed::Recorded {
                offset: Some(offset),
            } => write!(f, "recorded as {offset} at {missed}"),
            Missed::Recorded { offset: None } => write!(f, "no offset recorded at {missed}"),
        }
    }
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("absent"),
            Self::Other(value) => write!(f, "replaced by {value}"),
            Self::Unreadable => f.write_str("unreadable"),
        }
    }
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

/// The places whose loss is allowed. For these, and for no others, the promises
/// that follow from "it stays" lapse (guarantee.md, section 3, "Where loss is
/// allowed").
#[derive(Debug, Clone, Default)]
pub struct Waived(BTreeMap<Queue, BTreeSet<u64>>);

impl Waived {
    /// Nothing is waived.
    pub fn none() -> Self {
        Self::default()
    }

    /// Waives the places of `lost`.
    pub fn of<'a>(lost: impl IntoIterator<Item = &'a Lost>) -> Self {
        let mut places = BTreeMap::<Queue, BTreeSet<u64>>::new();
        for (queue, offset) in lost.into_iter().filter_map(Lost::place) {
            places.entry(queue.clone()).or_default().insert(offset);
        }
        Self(places)
    }

    /// Whether the place is waived.
    pub(super) fn covers(&self, queue: &Queue, offset: u64) -> bool {
        self.0
            .get(queue)
            .is_some_and(|offsets| offsets.contains(&offset))
    }
}
