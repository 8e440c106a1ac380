//! Durability: no acknowledged message is lost (guarantee.md, section 1,
//! "Lost(m)").

use std::collections::BTreeMap;

use super::presence::{absences, times_ns};
use super::{Facts, Lost, LostThing};

/// Every acknowledged message that is not where it was acknowledged, in the
/// order of queues and offsets.
pub fn check(facts: &Facts<'_>) -> Vec<Lost> {
    let mut lost = Vec::new();
    for (queue, queue_facts) in &facts.queues {
        let acknowledged = queue_facts.acknowledged.iter();
        let places = acknowledged
            .clone()
            .map(|ack| ((ack.offset, ack.value), ack.index))
            .collect();
        let addresses: BTreeMap<_, _> = acknowledged
            .map(|ack| ((ack.offset, ack.value), ack.address))
            .collect();
        for absence in absences(queue_facts, &places) {
            let (known_ns, missed_ns) = times_ns(facts, &absence);
            lost.push(Lost {
                thing: LostThing::Acknowledged {
                    queue: (*queue).clone(),
                    offset: absence.offset,
                    address: addresses[&(absence.offset, absence.value)],
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
