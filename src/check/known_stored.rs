//! Known-stored: a message that was once read stays, acknowledged or not
//! (guarantee.md, section 1, "Acknowledged").
//!
//! This covers unknown messages and also the further copies that a retry of an
//! acknowledged one leaves behind: whoever read a copy at an offset may rely on
//! that offset. Acknowledged places are durability's.

use super::facts::QueueFacts;
use super::presence::{Places, absences, times_ns};
use super::{Facts, Lost, LostThing};

/// Every message that was read somewhere, was not acknowledged there, and is
/// gone, in the order of queues and offsets.
pub fn check(facts: &Facts<'_>) -> Vec<Lost> {
    let mut lost = Vec::new();
    for (queue, queue_facts) in &facts.queues {
        for absence in absences(queue_facts, &read_only(queue_facts)) {
            let (known_ns, missed_ns) = times_ns(facts, &absence);
            lost.push(Lost {
                thing: LostThing::Read {
                    queue: (*queue).clone(),
                    offset: absence.offset,
                    value: absence.value,
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
    let mut places = Places::new();
    for (place, index) in queue.read_places() {
        places.entry(place).or_insert(index);
    }
    for ack in &queue.acknowledged {
        places.remove(&(ack.offset, ack.value));
    }
    places
}
