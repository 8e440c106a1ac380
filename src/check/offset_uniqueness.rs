//! Offset uniqueness: among values acknowledged or read, a queue offset names
//! one.

use std::fmt;

use crate::history::{Queue, Value};

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
        let mut places: Vec<_> = queue_facts.places().into_iter().collect();
        places.sort_unstable_by_key(|((offset, _), index)| (*offset, *index));
        let groups = places.chunk_by(|((a, _), _), ((b, _), _)| a == b);
        for group in groups.filter(|group| !waived.covers(queue, group[0].0.0)) {
            let ((offset, first), first_index) = group[0];
            for ((_, second), index) in &group[1..] {
                reused.push(Reused {
                    queue: (*queue).clone(),
                    offset,
                    first,
                    first_ns: facts.at_ns(first_index),
                    second: *second,
                    second_ns: facts.at_ns(*index),
                    event: *index as u64,
                });
            }
        }
    }
    reused
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
