//! At least once: every visible message from the group's recorded start on is
//! processed. Skipping is a failure, repeating is counted.
//!
//! That what lies above the recorded offset is reached in the end is
//! [`liveness`](super::liveness)'s.
//!
//! A group commits that everything below 2 is done, and has processed only the second of the two
//! messages there:
//!
//! ```
//! use zeroloss::check::{Facts, Waived, at_least_once};
//! use zeroloss::history::{Event, Queue, Recorder, Value};
//!
//! let queue = || Queue { topic: "orders".into(), queue_id: 3 };
//! let group = || "red-packet".into();
//! let [(first, _), (second, _)] = [1, 2].map(|number| Value::make(1, number, 64, 0));
//! let seen = Recorder::default();
//! seen.record(1, 2, Event::Resumed { group: group(), queue: queue(), offset: None });
//! let (offset, value) = (1, second);
//! seen.record(2, 2, Event::Processed { group: group(), queue: queue(), offset, value });
//! seen.record(3, 2, Event::CommitBegan { op: 1, group: group(), queue: queue(), offset: 2 });
//! seen.record(4, 2, Event::CommitEnded { op: 1, acknowledged: true });
//! let messages = vec![(0, Some(first)), (1, Some(second))];
//! seen.record(5, 3, Event::FinalRead { queue: queue(), min_offset: 0, max_offset: 2, messages });
//!
//! let history = seen.take();
//! let skipped = at_least_once::check(&Facts::new(&history), &Waived::none());
//! assert_eq!(skipped.len(), 1);
//! assert_eq!((skipped[0].first, skipped[0].last, skipped[0].done_below), (0, 0, 2));
//! ```

use std::fmt;

use crate::history::{Queue, Value};

use super::groups::{GroupFacts, Key};
use super::{At, Facts, Finding, Promise, Waived};

/// Messages that a group's recorded offset has passed and nobody processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The group.
    pub group: String,
    /// The queue.
    pub queue: Queue,
    /// The first offset skipped.
    pub first: u64,
    /// The last one of this stretch of visible messages.
    pub last: u64,
    /// How many messages the stretch has.
    pub messages: u64,
    /// Below this everything counts as done.
    pub done_below: u64,
    /// When that was read, nanoseconds.
    pub at_ns: u64,
    /// The entry of the history that holds the final read of the queue, or of
    /// the offset where that was read.
    pub event: u64,
}

/// Every stretch of skipped messages, in the order of groups, queues, offsets.
pub fn check(facts: &Facts<'_>, waived: &Waived) -> Vec<Skipped> {
    let mut skipped = Vec::new();
    for (key, group) in &facts.groups {
        check_group(facts, *key, group, waived, &mut skipped);
    }
    skipped
}

/// Whether the group wants that message and nobody did anything about it: it was
/// neither processed nor sent back. The fate of messages that were sent back is
/// [`redelivery`](super::redelivery)'s.
fn is_left(facts: &Facts<'_>, key: Key<'_>, group: &GroupFacts, offset: u64, value: Value) -> bool {
    facts.wants(key, value) && group.done_since(offset, value).is_none()
}

fn check_group(
    facts: &Facts<'_>,
    key: Key<'_>,
    group: &GroupFacts,
    waived: &Waived,
    out: &mut Vec<Skipped>,
) {
    let (name, queue) = key;
    let read = facts.queues.get(queue).and_then(|queue| queue.final_read);
    let Some(read) = read else {
        return; // liveness reports a queue that was never read back
    };
    let index = group.final_offset.map_or(read.index, |last| last.index);
    let done_below = group.done_below();
    let due = group.start(|at| facts.may_expire_by(at))..done_below;
    let mut stretch_open = false;
    for (offset, value) in read.messages {
        // A body that says nothing cannot be compared: no_phantom reports it.
        let is_skipped = due.contains(offset)
            && value.is_some_and(|value| is_left(facts, key, group, *offset, value))
            && !waived.covers(queue, *offset);
        match out.last_mut() {
            Some(stretch) if is_skipped && stretch_open => {
                stretch.last = *offset;
                stretch.messages += 1;
            }
            _ if is_skipped => out.push(Skipped {
                group: name.to_string(),
                queue: queue.clone(),
                first: *offset,
                last: *offset,
                messages: 1,
                done_below,
                at_ns: facts.at_ns(index),
                event: index as u64,
            }),
            _ => {}
        }
        stretch_open = is_skipped;
    }
}

impl Skipped {
    /// As a broken promise.
    pub fn finding(&self) -> Finding {
        Finding {
            promise: Promise::AtLeastOnce,
            lines: vec![self.to_string()],
            at_ns: self.at_ns,
            event: self.event,
            moments_ns: Vec::new(),
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            group,
            queue,
            first,
            last,
            ..
        } = self;
        match self.messages {
            1 => write!(f, "group {group} skipped {queue} offset {first}")?,
            count => write!(
                f,
                "group {group} skipped {count} messages of {queue}, offsets {first} to {last}"
            )?,
        }
        write!(
            f,
            ": its offset was {} at {}",
            self.done_below,
            At(self.at_ns)
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::check::story::story;
    use crate::check::{Counts, Facts, Waived, durability};

    fn skipped(text: &str) -> Vec<String> {
        let history = story(text);
        let skipped = super::check(&Facts::new(&history), &Waived::none());
        skipped.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_processed_once_or_more() {
        let text = "resume none; process 1@0; process 2@1; process 1@0; commit 2;
                    final 0..2: 1@0 2@1; recorded 2";
        assert!(skipped(text).is_empty());
        let history = story(text);
        let counts = Counts::of(&Facts::new(&history));
        assert_eq!((counts.processed, counts.repeated), (3, 1));
    }

    #[test]
    fn messages_below_the_recorded_offset_were_processed() {
        insta::assert_snapshot!(
            skipped(
                "resume none; process 3@2; process 6@5; commit 6;
                 final 0..6: 1@0 2@1 3@2 4@3 6@5; recorded 6"
            )
            .join("\n"),
            @r"
        group red-packet skipped 2 messages of orders/3, offsets 0 to 1: its offset was 6 at 6.000s
        group red-packet skipped orders/3 offset 3: its offset was 6 at 6.000s
        "
        );
    }

    #[test]
    fn a_message_sent_back_is_done_here_once_that_is_acknowledged() {
        let text = "resume none; back 1@0 0 +3; commit 1; final 0..1: 1@0; recorded 1";
        assert_eq!(skipped(text).len(), 1);
        let text = "resume none; back 1@0 0 +3; backed 1; commit 1; final 0..1: 1@0; recorded 1";
        assert!(skipped(text).is_empty());
    }

    #[test]
    fn a_message_that_the_group_does_not_want_is_not_due() {
        let text = "resume none; process 1@0; commit 2; final 0..2: 1@0 2@1; recorded 2";
        assert_eq!(skipped(text).len(), 1);
        assert!(skipped(&format!("wants 1 of 2; {text}")).is_empty());
        assert_eq!(skipped(&format!("wants 0 of 2; {text}")).len(), 1);
    }

    #[test]
    fn a_message_before_the_start_or_above_the_offset_is_not_due() {
        assert!(skipped("resume 1; final 0..3: 1@0 2@1 3@2; recorded 1").is_empty());
    }

    #[test]
    fn a_group_without_an_offset_begins_at_the_first_message_or_where_it_pulled() {
        // It went to the end, as clients do that are told of no offset.
        let text = "resume none; pull 2..3: 3@2; process 3@2; commit 3;
                    final 0..3: 1@0 2@1 3@2; recorded 3";
        assert_eq!(skipped(text).len(), 1);
        // The member that takes it over skips nothing that came since.
        let text = "resume none; pull 1..2: 2@1; 2: resume none; 2: pull 2..3: 3@2;
                    2: process 3@2; 2: commit 3; final 0..3: 1@0 2@1 3@2; recorded 3";
        let history = story(text);
        let expired = Facts::new(&history).with_retention(Some(0));
        let skipped = super::check(&expired, &Waived::none());
        assert_eq!(skipped.len(), 1);
        assert_eq!((skipped[0].first, skipped[0].last), (1, 1));
    }

    #[test]
    fn a_group_that_was_never_answered_begins_where_it_asked() {
        let skipped = |text: &str| {
            let history = story(text);
            let expired = Facts::new(&history).with_retention(Some(0));
            super::check(&expired, &Waived::none()).len()
        };
        // The commit was applied, and its answer lost.
        let text = "resume none; begin 3; final 0..3: 1@0 2@1 3@2; recorded 3";
        assert_eq!(skipped(text), 0);
        // It was told 0, asked for that, and told later that nothing is recorded.
        let text = "resume 0; resume none; begin 3; final 0..3: 1@0 2@1 3@2; recorded 3";
        assert_eq!(skipped(text), 0);
        assert_eq!(
            skipped("resume 0; begin 3; final 0..3: 1@0 2@1 3@2; recorded 3"),
            1
        );
        // A later commit does not move the beginning.
        let text = "resume none; begin 2; begin 3; final 0..3: 1@0 2@1 3@2; recorded 3";
        assert_eq!(skipped(text), 1);
    }

    #[test]
    fn another_message_processed_at_the_offset_does_not_count() {
        let text = "resume none; process 9@0; commit 1; final 0..1: 1@0; recorded 1";
        assert_eq!(skipped(text).len(), 1);
    }

    #[test]
    fn without_a_final_offset_the_acknowledged_commit_counts() {
        assert_eq!(skipped("commit 1; final 0..1: 1@0").len(), 1);
        assert!(skipped("begin 1; final 0..1: 1@0").is_empty());
    }

    #[test]
    fn an_offset_reused_after_an_allowed_loss_is_not_skipped() {
        let text = "send 1; ack 1@0; process 1@0; commit 1; send 2; ack 2@0;
                    final 0..1: 2@0; recorded 1";
        let history = story(text);
        let facts = Facts::new(&history);
        assert_eq!(super::check(&facts, &Waived::none()).len(), 1);
        let waived = Waived::of(&durability::check(&facts));
        assert!(super::check(&facts, &waived).is_empty());
    }
}
