//! No phantom: every value read was sent, and its send was not rejected. Never
//! waived.
//!
//! A message comes out that nobody had sent:
//!
//! ```
//! use zeroloss::check::no_phantom::{self, Why};
//! use zeroloss::check::Facts;
//! use zeroloss::history::{Event, Queue, Recorder, Value};
//!
//! let queue = Queue { topic: "orders".into(), queue_id: 3 };
//! let [(sent, _), (phantom, _)] = [1, 2].map(|number| Value::make(1, number, 64, 0));
//! let seen = Recorder::default();
//! seen.record(1, 1, Event::SendBegan { op: 1, value: sent });
//! let messages = vec![(0, Some(sent)), (1, Some(phantom))];
//! seen.record(2, 2, Event::FinalRead { queue, min_offset: 0, max_offset: 2, messages });
//!
//! let history = seen.take();
//! let found = no_phantom::check(&Facts::new(&history));
//! // The first one was sent, and may have been stored, acknowledged or not.
//! assert_eq!(found.len(), 1);
//! assert_eq!((found[0].offset, found[0].why), (1, Why::NeverSent(phantom)));
//! ```

use std::collections::BTreeMap;
use std::fmt;

use crate::history::{Queue, SendOutcome, Value};

use super::facts::{QueueFacts, Sent};
use super::places::Place;
use super::{At, Facts, Finding, Promise};

/// A message that must not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phantom {
    /// Where it was read.
    pub queue: Queue,
    /// At which offset.
    pub offset: u64,
    /// When, nanoseconds.
    pub at_ns: u64,
    /// The entry of the history that holds the read.
    pub event: u64,
    /// Why it must not exist.
    pub why: Why,
}

/// Why a message must not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its body says nothing.
    Unreadable,
    /// Nobody had sent it.
    NeverSent(Value),
    /// Its half message was sent, and no commit of it.
    NotCommitted(Value),
    /// It was sent with another body.
    OtherBody(Value),
    /// Its send was rejected.
    Rejected {
        /// The value of the message.
        value: Value,
        /// The response code.
        code: i32,
        /// When, nanoseconds.
        at_ns: u64,
    },
}

/// Every phantom, once for each queue, offset and value, in the order in which
/// they were read.
pub fn check(facts: &Facts<'_>) -> Vec<Phantom> {
    let mut phantoms = Vec::new();
    for (queue, queue_facts) in &facts.queues {
        let readable = queue_facts.read_places().all().iter();
        let readable =
            readable.filter_map(|place| Some((place.offset, place.known, judge(facts, place)?)));
        let unreadable = unreadable(queue_facts).into_iter();
        let unreadable = unreadable.map(|(offset, index)| (offset, index, Why::Unreadable));
        phantoms.extend(
            readable
                .chain(unreadable)
                .map(|(offset, index, why)| Phantom {
                    queue: (*queue).clone(),
                    offset,
                    at_ns: facts.at_ns(index),
                    event: index as u64,
                    why,
                }),
        );
    }
    phantoms.sort_by_key(|phantom| (phantom.event, phantom.offset));
    phantoms
}

/// Offsets with a body that says nothing, and the first read that served it.
fn unreadable(queue: &QueueFacts<'_>) -> BTreeMap<u64, usize> {
    let mut found = BTreeMap::new();
    for read in &queue.reads {
        for (offset, _) in read.messages.iter().filter(|(_, value)| value.is_none()) {
            found.entry(*offset).or_insert(read.index);
        }
    }
    found
}

fn judge(facts: &Facts<'_>, place: &Place) -> Option<Why> {
    let value = place.value;
    match facts.sends.get(value) {
        Some(sent) if sent.began < place.known => judge_sent(facts, sent, value),
        Some(_) => Some(Why::NeverSent(value)),
        None => judge_transaction(facts, place),
    }
}

fn judge_transaction(facts: &Facts<'_>, place: &Place) -> Option<Why> {
    let value = place.value;
    let Some(transaction) = facts.transactions.get(value) else {
        return Some(Why::NeverSent(value));
    };
    let sent = transaction
        .visible_from()
        .is_some_and(|index| index < place.known);
    if transaction.value.digest != value.digest {
        Some(Why::OtherBody(value))
    } else {
        (!sent).then_some(Why::NotCommitted(value))
    }
}

fn judge_sent(facts: &Facts<'_>, sent: &Sent<'_>, value: Value) -> Option<Why> {
    match sent.outcome {
        _ if sent.value.digest != value.digest => Some(Why::OtherBody(value)),
        Some((index, SendOutcome::Rejected { code })) => Some(Why::Rejected {
            value,
            code: *code,
            at_ns: facts.at_ns(index),
        }),
        _ => None,
    }
}

impl Phantom {
    /// As a broken promise.
    pub fn finding(&self) -> Finding {
        let moments_ns = match self.why {
            Why::Rejected { at_ns, .. } => vec![at_ns],
            _ => Vec::new(),
        };
        Finding {
            promise: Promise::NoPhantom,
            lines: vec![self.to_string()],
            at_ns: self.at_ns,
            event: self.event,
            moments_ns,
        }
    }
}

impl fmt::Display for Phantom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queue, offset, .. } = self;
        write!(f, "{queue} offset {offset} read at {}: ", At(self.at_ns))?;
        match self.why {
            Why::Unreadable => write!(f, "no value can be read from its body"),
            Why::NeverSent(value) => write!(f, "{value} was never sent"),
            Why::NotCommitted(value) => write!(f, "no commit of {value} had been sent"),
            Why::OtherBody(value) => write!(f, "{value} was sent with another body"),
            Why::Rejected { value, code, at_ns } => {
                write!(f, "{value} was rejected at {} with code {code}", At(at_ns))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Facts;
    use crate::check::story::story;

    fn phantoms(text: &str) -> Vec<String> {
        let history = story(text);
        let phantoms = super::check(&Facts::new(&history));
        phantoms.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_message_that_was_sent_may_be_read() {
        let text = "send 1; pull 0..1: 1@0; ack 1@0; send 2; unknown 2; final 0..2: 1@0 2@1";
        assert!(phantoms(text).is_empty());
    }

    #[test]
    fn a_message_that_was_not_sent_must_not_be_read() {
        insta::assert_snapshot!(
            phantoms("pull 0..1: 1@0; send 1; send 2; reject 2; final 0..5: 1@1 1!@2 ?@3 2@4")
                .join("\n"),
            @r"
        orders/3 offset 0 read at 1.000s: client 1 #1 was never sent
        orders/3 offset 2 read at 5.000s: client 1 #1 was sent with another body
        orders/3 offset 3 read at 5.000s: no value can be read from its body
        orders/3 offset 4 read at 5.000s: client 1 #2 was rejected at 4.000s with code 2
        "
        );
    }

    #[test]
    fn a_rejection_that_comes_after_the_read_is_one_too() {
        assert_eq!(phantoms("send 1; pull 0..1: 1@0; reject 1").len(), 1);
    }

    #[test]
    fn each_is_reported_once() {
        assert_eq!(
            phantoms("pull 0..1: 7@0; pull 0..1: 7@0; final 0..1: 7@0").len(),
            1
        );
    }
}
