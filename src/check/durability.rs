//! Durability: no acknowledged message is lost (guarantee.md, section 1,
//! "Lost(m)").
//!
//! A message is acknowledged at offset 0, and after healing everything is read:
//!
//! ```
//! use zeroloss::check::{Facts, durability};
//! use zeroloss::history::{Event, Queue, Recorder, SendOutcome, Value};
//!
//! const S: u64 = 1_000_000_000;
//! let queue = Queue { topic: "orders".into(), queue_id: 3 };
//! let (value, _body) = Value::make(1, 1, 64, 0);
//! let lost = |found: &[(u64, Option<Value>)]| {
//!     let seen = Recorder::default();
//!     let outcome = SendOutcome::Acknowledged { queue: queue.clone(), offset: 0, address: 0 };
//!     seen.record(1 * S, 1, Event::SendBegan { op: 1, value });
//!     seen.record(2 * S, 1, Event::SendEnded { op: 1, outcome });
//!     let (queue, messages) = (queue.clone(), found.to_vec());
//!     seen.record(9 * S, 2, Event::FinalRead { queue, min_offset: 0, max_offset: 1, messages });
//!     let lost = durability::check(&Facts::new(&seen.take()));
//!     lost.iter().map(ToString::to_string).collect::<Vec<_>>()
//! };
//! assert!(lost(&[(0, Some(value))]).is_empty());
//! let told = "client 1 #1, acknowledged at 2.000s as orders/3@0 (log address 0), absent after convergence";
//! assert_eq!(lost(&[]), [told]);
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::facts::QueueFacts;
use super::presence::{Absence, absences, times_ns};
use super::{Facts, Lost, LostThing};

/// Every acknowledged message that is not where it was acknowledged, in the
/// order of queues and offsets.
pub fn check(facts: &Facts<'_>) -> Vec<Lost> {
    let mut lost = Vec::new();
    for (queue, queue_facts) in &facts.queues {
        let absences = absences(facts, queue_facts, queue_facts.acknowledged_places());
        let addresses = addresses(queue_facts, &absences);
        for absence in absences {
            let (known_ns, missed_ns) = times_ns(facts, &absence);
            lost.push(Lost {
                thing: LostThing::Acknowledged {
                    queue: (*queue).clone(),
                    offset: absence.place.offset,
                    address: addresses[&absence.place.known],
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

/// The log addresses of acknowledgements that turned out to be lost.
fn addresses(queue: &QueueFacts<'_>, absences: &[Absence]) -> BTreeMap<usize, u64> {
    let lost: BTreeSet<_> = absences.iter().map(|absence| absence.place.known).collect();
    let acknowledged = queue.acknowledged.iter();
    let acknowledged = acknowledged.filter(|ack| lost.contains(&ack.index));
    acknowledged.map(|ack| (ack.index, ack.address)).collect()
}

#[cfg(test)]
mod tests {
    use crate::check::story::story;
    use crate::check::{Facts, Missed};

    fn lost(text: &str) -> Vec<String> {
        let history = story(text);
        let lost = super::check(&Facts::new(&history));
        lost.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_message_read_where_it_was_acknowledged_is_not_lost() {
        assert!(lost("send 1; ack 1@0; pull 0..1: 1@0; final 0..1: 1@0").is_empty());
        assert!(lost("").is_empty());
    }

    #[test]
    fn absent_from_the_final_read_is_lost() {
        insta::assert_snapshot!(
            lost("send 1; ack 1@0; send 2; ack 2@1; final 0..1: 1@0").join("\n"),
            @"client 1 #2, acknowledged at 4.000s as orders/3@1 (log address 100), absent after convergence"
        );
    }

    #[test]
    fn moved_replaced_or_unreadable_is_lost() {
        insta::assert_snapshot!(
            lost("send 1; ack 1@0; final 0..2: 2@0 1@1").join("\n"),
            @"client 1 #1, acknowledged at 2.000s as orders/3@0 (log address 0), replaced by client 1 #2 after convergence"
        );
        insta::assert_snapshot!(
            lost("send 1; ack 1@0; final 0..1: ?@0").join("\n"),
            @"client 1 #1, acknowledged at 2.000s as orders/3@0 (log address 0), unreadable after convergence"
        );
    }

    #[test]
    fn a_raised_minimum_offset_excuses_nothing() {
        assert_eq!(lost("send 1; ack 1@0; final 1..1:").len(), 1);
    }

    #[test]
    fn below_the_minimum_offset_only_what_was_old_enough_has_expired() {
        let lost_after = |retention_ms, text| {
            let history = story(text);
            let facts = Facts::new(&history).with_retention(retention_ms);
            super::check(&facts).len()
        };
        // Sent at 1 s and at 3 s, read at 5 s.
        let text = "send 1; ack 1@0; send 2; ack 2@1; final 2..2:";
        let retentions = [None, Some(5_000), Some(3_000), Some(1_000)];
        assert_eq!(retentions.map(|ms| lost_after(ms, text)), [2, 2, 1, 0]);
        let above = "send 1; ack 1@0; send 2; ack 2@1; final 1..2:";
        assert_eq!(lost_after(Some(1_000), above), 1, "1 is not below");
    }

    #[test]
    fn a_pull_begun_later_that_goes_over_it_loses_it_even_if_it_comes_back() {
        let text = "send 1; ack 1@0; send 2; ack 2@1; pull 0..2: 2@1; final 0..2: 1@0 2@1";
        insta::assert_snapshot!(
            lost(text).join("\n"),
            @"client 1 #1, acknowledged at 2.000s as orders/3@0 (log address 0), absent in the pull of 0..2 answered at 5.000s"
        );
    }

    #[test]
    fn a_pull_begun_before_the_acknowledgement_covers_nothing() {
        assert!(lost("send 1; ask 0; ack 1@0; answer 0..1:; final 0..1: 1@0").is_empty());
    }

    #[test]
    fn not_found_and_a_range_beside_it_cover_nothing() {
        let text = "send 1; ack 1@4; nothing 0..9; pull 0..4: 9@3; pull 5..9: 8@5; final 4..5: 1@4";
        assert!(lost(text).is_empty());
    }

    #[test]
    fn each_message_is_lost_once_by_the_first_read_that_lacks_it() {
        let history = story("send 1; ack 1@0; pull 0..1:; pull 0..1:; final 0..0:");
        let lost = super::check(&Facts::new(&history));
        assert_eq!(lost.len(), 1);
        assert!(matches!(lost[0].missed, Missed::Pull { .. }));
        assert_eq!(lost[0].event, 3);
    }

    #[test]
    fn unknown_and_rejected_sends_are_not_lost() {
        assert!(lost("send 1; unknown 1; send 2; reject 2; send 3; final 0..0:").is_empty());
    }
}
