//! Stored once (guarantee.md, D19): where producers number their sends and
//! brokers drop what comes again, a value stands in one place. Elsewhere that is
//! counted, and no promise.

use std::collections::BTreeMap;

use super::{At, Facts, Finding, Promise};
use crate::history::Queue;

/// Every further place in which a value was acknowledged or read.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Finding> {
    // A message that waited, or was sent back, stands elsewhere too, as often as it did.
    let own = |queue: &Queue| {
        let is_dead = queue.group_of_dead_letters().is_some();
        !queue.is_of_retries() && !queue.is_schedule() && !is_dead
    };
    let queues = facts.queues.iter().filter(|(queue, _)| own(queue));
    let places = queues.flat_map(|(queue, of_queue)| {
        let all = of_queue.places().all().iter();
        all.map(move |place| (place.known, *queue, *place))
    });
    let mut places: Vec<_> = places.collect();
    places.sort_by_key(|(known, queue, place)| (*known, *queue, place.offset));
    let mut first = BTreeMap::new();
    let mut findings = Vec::new();
    for (known, queue, place) in places {
        let value = (place.value.client, place.value.sequence);
        let (first_known, first_queue, first_offset) =
            *first.entry(value).or_insert((known, queue, place.offset));
        if (first_queue, first_offset) == (queue, place.offset) {
            continue;
        }
        let first_ns = facts.at_ns(first_known);
        findings.push(Finding {
            promise: Promise::StoredOnce,
            lines: vec![format!(
                "{} stands at {first_queue} offset {first_offset} (known at {}), and at {queue} \
                 offset {} too",
                place.value,
                At(first_ns),
                place.offset
            )],
            at_ns: facts.at_ns(known),
            event: known as u64,
            moments_ns: vec![first_ns],
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use crate::check::story::lines_found;

    fn findings(text: &str) -> String {
        lines_found(text, super::check)
    }

    #[test]
    fn a_value_may_be_seen_often_in_one_place_and_in_no_other() {
        let once = "send 1; ack 1@0; send 2; ack 2@1; final 0..2: 1@0 2@1";
        assert_eq!(findings(once), "");
        insta::assert_snapshot!(findings("send 1; ack 1@0; final 0..2: 1@0 1@1"), @"client 1 #1 stands at orders/3 offset 0 (known at 2.000s), and at orders/3 offset 1 too");
        insta::assert_snapshot!(findings("send 1; ack 1@1; final 0..1: 1@0"), @"client 1 #1 stands at orders/3 offset 1 (known at 2.000s), and at orders/3 offset 0 too");
    }
}
