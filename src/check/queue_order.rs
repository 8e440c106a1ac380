//! Order within a queue: acknowledged before sent means the smaller offset; and
//! an answer serves its messages in the order of their offsets.

use std::fmt;

use crate::history::{Queue, Value};

use super::facts::{Acknowledged, QueueFacts};
use super::{At, Facts, Finding, Promise, Waived};

/// Two messages in the wrong order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutOfOrder {
    /// The later one was sent after the earlier one was acknowledged, and stands
    /// before it.
    Stored {
        /// The queue.
        queue: Queue,
        /// The message that was acknowledged first, and where.
        earlier: (Value, u64),
        /// When it was acknowledged, nanoseconds.
        acknowledged_ns: u64,
        /// The message that was sent afterwards, and where.
        later: (Value, u64),
        /// When that was sent, nanoseconds.
        sent_ns: u64,
        /// When its offset was known, nanoseconds.
        at_ns: u64,
        /// The entry of the history that shows it.
        event: u64,
    },
    /// One answer served an offset that is not above the one before.
    Served {
        /// The queue.
        queue: Queue,
        /// The offset served before.
        previous: u64,
        /// The offset that follows it.
        next: u64,
        /// When, nanoseconds.
        at_ns: u64,
        /// The entry of the history that holds the answer.
        event: u64,
    },
}

/// Every violation, by queue. Waived places take no part: order among survivors
/// is never waived.
pub fn check(facts: &Facts<'_>, waived: &Waived) -> Vec<OutOfOrder> {
    let mut violations = Vec::new();
    for (queue, queue_facts) in &facts.queues {
        check_stored(facts, queue, queue_facts, waived, &mut violations);
        check_served(facts, queue, queue_facts, &mut violations);
    }
    violations
}

fn check_stored(
    facts: &Facts<'_>,
    queue: &Queue,
    queue_facts: &QueueFacts<'_>,
    waived: &Waived,
    out: &mut Vec<OutOfOrder>,
) {
    let highest = running_highest(queue_facts.acknowledged.iter().copied().filter(|ack| {
        // An offset that was lost says nothing about those that survived.
        !waived.covers(queue, ack.offset)
    }));
    for ((offset, value), known) in queue_facts.places() {
        let Some(sent) = facts.sends.get(&(value.client, value.sequence)) else {
            continue; // no_phantom's
        };
        let before = highest.partition_point(|(index, _)| *index < sent.began);
        let Some((_, earlier)) = before.checked_sub(1).map(|last| highest[last]) else {
            continue;
        };
        if offset < earlier.offset && !waived.covers(queue, offset) {
            out.push(OutOfOrder::Stored {
                queue: queue.clone(),
                earlier: (earlier.value, earlier.offset),
                acknowledged_ns: facts.at_ns(earlier.index),
                later: (value, offset),
                sent_ns: facts.at_ns(sent.began),
                at_ns: facts.at_ns(known),
                event: known as u64,
            });
        }
    }
}

/// For each acknowledgement, the one of the highest offset up to it.
fn running_highest(acknowledged: impl Iterator<Item = Acknowledged>) -> Vec<(usize, Acknowledged)> {
    let mut highest: Vec<(usize, Acknowledged)> = Vec::new();
    for ack in acknowledged {
        let top = match highest.last() {
            Some((_, top)) if top.offset >= ack.offset => *top,
            _ => ack,
        };
        highest.push((ack.index, top));
    }
    highest
}

fn check_served(
    facts: &Facts<'_>,
    queue: &Queue,
    queue_facts: &QueueFacts<'_>,
    out: &mut Vec<OutOfOrder>,
) {
    for read in &queue_facts.reads {
        let pairs = read.messages.windows(2);
        out.extend(
            pairs
                .filter(|pair| pair[0].0 >= pair[1].0)
                .map(|pair| OutOfOrder::Served {
                    queue: queue.clone(),
                    previous: pair[0].0,
                    next: pair[1].0,
                    at_ns: facts.at_ns(read.index),
                    event: read.index as u64,
                }),
        );
    }
}

impl OutOfOrder {
    /// As a broken promise.
    pub fn finding(&self) -> Finding {
        let (at_ns, event, moments_ns) = match self {
            Self::Stored {
                at_ns,
                event,
                acknowledged_ns,
                sent_ns,
                ..
            } => (*at_ns, *event, vec![*acknowledged_ns, *sent_ns]),
            Self::Served { at_ns, event, .. } => (*at_ns, *event, Vec::new()),
        };
        Finding {
            promise: Promise::QueueOrder,
            lines: vec![self.to_string()],
            at_ns,
            event,
            moments_ns,
        }
    }
}

impl fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored {
                queue,
                earlier,
                acknowledged_ns,
                later,
                sent_ns,
                ..
            } => write!(
                f,
                "{queue} offset {} acknowledged to {} at {}, but {}, sent at {}, stands at {}",
                earlier.1,
                earlier.0,
                At(*acknowledged_ns),
                later.0,
                At(*sent_ns),
                later.1
            ),
            Self::Served {
                queue,
                previous,
                next,
                at_ns,
                ..
            } => write!(
                f,
                "{queue} served offset {next} behind {previous} in one answer at {}",
                At(*at_ns)
            ),
        }
    }
}
