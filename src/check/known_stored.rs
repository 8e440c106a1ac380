//! Known-stored: a message that was once read stays, acknowledged or not
//! (guarantee.md, section 1, "Acknowledged").
//!
//! This covers unknown messages and also the further copies that a retry of an
//! acknowledged one leaves behind: a client that read a copy at an offset may rely on
//! that offset. Acknowledged places are durability's.
//!
//! Nobody knows whether a message was stored, until somebody reads it:
//!
//! ```
//! use zeroloss::check::{Facts, known_stored};
//! use zeroloss::history::{Event, Queue, Recorder, SendOutcome, Value};
//!
//! let queue = Queue { topic: "orders".into(), queue_id: 3 };
//! let (value, _body) = Value::make(1, 1, 64, 0);
//! let lost = |is_pulled: bool| {
//!     let seen = Recorder::default();
//!     seen.record(1, 1, Event::SendBegan { op: 1, value });
//!     seen.record(2, 1, Event::SendEnded { op: 1, outcome: SendOutcome::Unknown });
//! #   let queue = queue.clone();
//!     if is_pulled {
//!         let (queue, messages) = (queue.clone(), vec![(0, Some(value))]);
//!         let (offset, next_begin_offset, found) = (0, 1, true);
//!         let pulled = Event::Pulled { op: 1, queue, offset, next_begin_offset, messages, found };
//!         seen.record(3, 2, pulled);
//!     }
//!     // In the end it is not there.
//!     let read = Event::FinalRead { queue, min_offset: 0, max_offset: 0, messages: Vec::new() };
//!     seen.record(4, 3, read);
//!     known_stored::check(&Facts::new(&seen.take())).len()
//! };
//! assert_eq!((lost(false), lost(true)), (0, 1));
//! ```

use super::facts::QueueFacts;
use super::places::Places;
use super::presence::{absences, times_ns};
use super::{Facts, Lost, LostThing};

/// Every message that was read somewhere, was not acknowledged there, and is
/// gone, in the order of queues and offsets.
pub fn check(facts: &Facts<'_>) -> Vec<Lost> {
    let mut lost = Vec::new();
    for (queue, queue_facts) in &facts.queues {
        for absence in absences(facts, queue_facts, &read_only(queue_facts)) {
            let (known_ns, missed_ns) = times_ns(facts, &absence);
            lost.push(Lost {
                thing: LostThing::Read {
                    queue: (*queue).clone(),
                    offset: absence.place.offset,
                    value: absence.place.value,
                },
                known_ns,
                missed_ns,
                event: absence.index as u64,
                missed: absence.missed,
            });
        }
    }
    lost
}

fn read_only(queue: &QueueFacts<'_>) -> Places {
    let acknowledged = queue.acknowledged_places();
    let read = queue.read_places().all().iter();
    Places::new(read.filter(|place| !acknowledged.has(place.key())).copied())
}

#[cfg(test)]
mod tests {
    use crate::check::Facts;
    use crate::check::story::story;

    fn lost(text: &str) -> Vec<String> {
        let history = story(text);
        let lost = super::check(&Facts::new(&history));
        lost.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unknown_message_may_come_and_then_stays() {
        assert!(lost("send 1; unknown 1; final 0..1: 1@0").is_empty());
        assert!(lost("send 1; unknown 1; final 0..0:").is_empty());
        assert!(lost("send 1; unknown 1; pull 0..1: 1@0; final 0..1: 1@0").is_empty());
    }

    #[test]
    fn once_read_it_must_not_go() {
        insta::assert_snapshot!(
            lost("send 1; unknown 1; pull 0..1: 1@0; final 0..0:").join("\n"),
            @"client 1 #1, read at 3.000s as orders/3@0, absent after convergence"
        );
        insta::assert_snapshot!(
            lost("send 1; pull 0..1: 1@0; pull 0..1: 2@0; final 0..1: 1@0").join("\n"),
            @r"
        client 1 #1, read at 2.000s as orders/3@0, replaced by client 1 #2 in the pull of 0..1 answered at 3.000s
        client 1 #2, read at 3.000s as orders/3@0, replaced by client 1 #1 after convergence
        "
        );
    }

    #[test]
    fn a_second_copy_that_was_read_stays_too() {
        assert_eq!(
            lost("send 1; ack 1@5; pull 4..5: 1@4; final 4..6: 1@5"),
            ["client 1 #1, read at 3.000s as orders/3@4, absent after convergence"]
        );
    }

    #[test]
    fn acknowledged_places_are_left_to_durability() {
        assert!(lost("send 1; ack 1@0; pull 0..1: 1@0; final 0..0:").is_empty());
    }
}
