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
