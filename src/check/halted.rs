//! Halted: "a majority's disks are gone, and the cluster refuses to serve"
//! (guarantee.md, section 3; D16). That it does not serve holes is durability's.

use crate::history::SendOutcome;

use super::{At, Facts, Finding, Liveness, Promise};

/// Every send that was acknowledged after healing: a replica that acknowledges has
/// not halted.
pub(super) fn check(facts: &Facts<'_>, liveness: &Liveness) -> Vec<Finding> {
    let ended = facts.sends.values().filter_map(|sent| sent.outcome);
    let acknowledged = ended.filter_map(|(index, outcome)| match outcome {
        SendOutcome::Acknowledged { queue, offset, .. } => Some((index, queue, offset)),
        SendOutcome::Rejected { .. } | SendOutcome::Unknown => None,
    });
    let late = acknowledged.filter(|(index, ..)| facts.at_ns(*index) > liveness.healed_ns);
    late.map(|(index, queue, offset)| Finding {
        promise: Promise::Liveness,
        lines: vec![format!(
            "the cluster says that it has halted, and acknowledged {queue} offset {offset} at {}",
            At(facts.at_ns(index))
        )],
        at_ns: facts.at_ns(index),
        event: index as u64,
        moments_ns: vec![liveness.healed_ns],
    })
    .collect()
}
