//! Order within a queue: acknowledged before sent means the smaller offset; and
//! an answer serves its messages in the order of their offsets.
//!
//! The second message is sent when the first is acknowledged, and has to stand behind it:
//!
//! ```
//! use zeroloss::check::{Facts, Waived, queue_order};
//! use zeroloss::history::{Event, Queue, Recorder, SendOutcome, Value};
//!
//! const S: u64 = 1_000_000_000;
//! let queue = Queue { topic: "orders".into(), queue_id: 3 };
//! let disorder = |offsets: [u64; 2]| {
//!     let seen = Recorder::default();
//!     for (op, offset) in (1..).zip(offsets) {
//!         let (value, _body) = Value::make(1, op, 64, 0);
//!         seen.record(op * S, 1, Event::SendBegan { op, value });
//!         let (queue, address) = (queue.clone(), 100 * op);
//!         let outcome = SendOutcome::Acknowledged { queue, offset, address };
//!         seen.record(op * S, 1, Event::SendEnded { op, outcome });
//!     }
//!     let disorder = queue_order::check(&Facts::new(&seen.take()), &Waived::none());
//!     disorder.iter().map(ToString::to_string).collect::<Vec<_>>()
//! };
//! assert!(disorder([4, 5]).is_empty());
//! let wrong = "orders/3 offset 5 acknowledged to client 1 #1 at 1.000s, but client 1 #2, sent at \
//!              2.000s, stands at 4";
//! assert_eq!(disorder([5, 4]), [wrong]);
//! ```

use std::fmt;

use crate::history::{Queue, Value};

use super::facts::{Acknowledged, QueueFacts};
use super::places::Place;
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
    for place in queue_facts.places().all() {
        let Place {
            offset,
            value,
            known,
        } = *place;
        let Some(sent) = facts.sends.get(value) else {
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

#[cfg(test)]
mod tests {
    use crate::check::story::story;
    use crate::check::{Facts, Waived, durability};

    fn disorder(text: &str) -> Vec<String> {
        let history = story(text);
        let disorder = super::check(&Facts::new(&history), &Waived::none());
        disorder.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn later_sends_get_larger_offsets() {
        assert!(disorder("send 1; ack 1@0; send 2; ack 2@1; final 0..2: 1@0 2@1").is_empty());
    }

    #[test]
    fn concurrent_sends_get_any() {
        assert!(disorder("send 1; send 2; ack 2@1; ack 1@0").is_empty());
    }

    #[test]
    fn sent_after_the_acknowledgement_and_stored_before_it() {
        insta::assert_snapshot!(
            disorder("send 1; ack 1@5; send 2; ack 2@4; send 3; unknown 3; final 3..6: 3@3 2@4 1@5")
                .join("\n"),
            @r"
        orders/3 offset 5 acknowledged to client 1 #1 at 2.000s, but client 1 #3, sent at 5.000s, stands at 3
        orders/3 offset 5 acknowledged to client 1 #1 at 2.000s, but client 1 #2, sent at 3.000s, stands at 4
        "
        );
    }

    #[test]
    fn a_later_smaller_acknowledgement_does_not_hide_an_earlier_larger_one() {
        let text = "send 1; send 2; send 9; ack 1@8; ack 2@3; send 3; ack 3@5";
        assert_eq!(disorder(text).len(), 1);
    }

    #[test]
    fn an_answer_serves_in_order() {
        insta::assert_snapshot!(
            disorder("pull 0..3: 1@0 2@2 3@1 4@1").join("\n"),
            @r"
        orders/3 served offset 1 behind 2 in one answer at 1.000s
        orders/3 served offset 1 behind 1 in one answer at 1.000s
        "
        );
    }

    #[test]
    fn only_survivors_are_held_to_their_order() {
        // 2 at offset 9 is lost; 1 at offset 5 survives, and so does its order.
        let text = "send 1; ack 1@5; send 2; ack 2@9; send 3; ack 3@6; send 4; ack 4@4;
                    final 0..10: 4@4 1@5 3@6";
        let history = story(text);
        let facts = Facts::new(&history);
        let waived = Waived::of(&durability::check(&facts));
        let left = super::check(&facts, &waived);
        assert_eq!(left.len(), 1);
        assert!(left[0].to_string().contains("#4"), "{}", left[0]);
    }
}
