//! Offset uniqueness: among values acknowledged or read, a queue offset names
//! one.
//!
//! Offset 0 is given to two messages:
//!
//! ```
//! use zeroloss::check::{Facts, Waived, offset_uniqueness};
//! use zeroloss::history::{Event, Queue, Recorder, SendOutcome, Value};
//!
//! const S: u64 = 1_000_000_000;
//! let queue = Queue { topic: "orders".into(), queue_id: 3 };
//! let reused = |offsets: [u64; 2]| {
//!     let seen = Recorder::default();
//!     for (op, offset) in (1..).zip(offsets) {
//!         let (value, _body) = Value::make(1, op, 64, 0);
//!         seen.record(op * S, 1, Event::SendBegan { op, value });
//!         let (queue, address) = (queue.clone(), 100 * op);
//!         let outcome = SendOutcome::Acknowledged { queue, offset, address };
//!         seen.record(op * S, 1, Event::SendEnded { op, outcome });
//!     }
//!     let reused = offset_uniqueness::check(&Facts::new(&seen.take()), &Waived::none());
//!     reused.iter().map(ToString::to_string).collect::<Vec<_>>()
//! };
//! assert!(reused([0, 1]).is_empty());
//! let twice = "orders/3 offset 0 named client 1 #1 at 1.000s, and client 1 #2 at 2.000s";
//! assert_eq!(reused([0, 0]), [twice]);
//! ```

use std::fmt;

use crate::history::{Queue, Value};

use super::places::Place;
use super::{At, Facts, Finding, Promise, Waived};

/// An offset that named two values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reused {
    /// The queue.
    pub queue: Queue,
    /// The offset.
    pub offset: u64,
    /// The value that was known there first.
    pub first: Value,
    /// Since when, nanoseconds.
    pub first_ns: u64,
    /// The value that was known there later.
    pub second: Value,
    /// Since when, nanoseconds.
    pub second_ns: u64,
    /// The entry of the history that shows the second.
    pub event: u64,
}

/// Every offset that named more than one value, in the order of queues and
/// offsets; where there are more than two, each later one beside the first.
pub fn check(facts: &Facts<'_>, waived: &Waived) -> Vec<Reused> {
    let mut reused = Vec::new();
    for (queue, queue_facts) in &facts.queues {
        let places = queue_facts.places();
        let offsets = places.all().chunk_by(|a, b| a.offset == b.offset);
        let several = offsets.filter(|places| places.len() > 1);
        for places in several.filter(|places| !waived.covers(queue, places[0].offset)) {
            add_reused(facts, queue, places.to_vec(), &mut reused);
        }
    }
    reused
}

/// The places of one offset: each later one beside the first.
fn add_reused(facts: &Facts<'_>, queue: &Queue, mut places: Vec<Place>, out: &mut Vec<Reused>) {
    places.sort_by_key(|place| place.known);
    let first = places[0];
    out.extend(places[1..].iter().map(|second| Reused {
        queue: queue.clone(),
        offset: first.offset,
        first: first.value,
        first_ns: facts.at_ns(first.known),
        second: second.value,
        second_ns: facts.at_ns(second.known),
        event: second.known as u64,
    }));
}

impl Reused {
    /// As a broken promise.
    pub fn finding(&self) -> Finding {
        Finding {
            promise: Promise::OffsetUniqueness,
            lines: vec![self.to_string()],
            at_ns: self.second_ns,
            event: self.event,
            moments_ns: vec![self.first_ns],
        }
    }
}

impl fmt::Display for Reused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} offset {} named {} at {}, and {} at {}",
            self.queue,
            self.offset,
            self.first,
            At(self.first_ns),
            self.second,
            At(self.second_ns)
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::check::story::story;
    use crate::check::{Facts, Waived, durability};

    fn reused(text: &str) -> Vec<String> {
        let history = story(text);
        let reused = super::check(&Facts::new(&history), &Waived::none());
        reused.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_value_for_each_offset() {
        let text = "send 1; ack 1@0; pull 0..1: 1@0; send 2; ack 2@1; final 0..2: 1@0 2@1";
        assert!(reused(text).is_empty());
    }

    #[test]
    fn acknowledged_twice_or_read_as_another() {
        insta::assert_snapshot!(
            reused("send 1; ack 1@0; send 2; ack 2@0; pull 7..8: 3@7; final 7..8: 4@7").join("\n"),
            @r"
        orders/3 offset 0 named client 1 #1 at 2.000s, and client 1 #2 at 4.000s
        orders/3 offset 7 named client 1 #3 at 5.000s, and client 1 #4 at 6.000s
        "
        );
    }

    #[test]
    fn reuse_after_an_allowed_loss_belongs_to_that_loss() {
        let history = story("send 1; ack 1@0; send 2; ack 2@0; final 0..1: 2@0");
        let facts = Facts::new(&history);
        let waived = Waived::of(&durability::check(&facts));
        assert!(super::check(&facts, &waived).is_empty());
        assert_eq!(super::check(&facts, &Waived::none()).len(), 1);
    }
}
