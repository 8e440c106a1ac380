//! Silent losses: a broker that served on over what it could tell was damaged.
//!
//! A bad sector takes a message of a single broker, and that is nobody's fault; but
//! the table says "L, *U once detected*" (guarantee.md, section 6). Entries below a
//! record that was synced later are proved to have been synced (D11), so their damage
//! cannot pass for a torn tail: the broker stops, and only its operator gives up what
//! is lost. A queue offset that names another message before the operator's word says
//! that the broker dropped the first one silently, and such a loss is not excused.
//!
//! Judged by what clients saw and by the ledger alone.

use crate::history::{FaultEvent, FaultKind, Ledger, SendOutcome};

use super::{Facts, Lost};

/// Whether `lost`, which the fault at that place of the ledger took, was given
/// up without the operator's word although the broker could tell. Only for
/// configurations that acknowledge what is durable.
pub(super) fn is_silent(facts: &Facts<'_>, ledger: &Ledger, lost: &Lost, fault: usize) -> bool {
    let taken_by = &ledger.fired[fault];
    is_of_a_sector(taken_by)
        && is_proved_synced(facts, ledger, lost, taken_by)
        && replaced_ns(facts, lost, taken_by.at_ns)
            .is_some_and(|replaced_ns| !salvaged_between(ledger, taken_by, replaced_ns))
}

fn is_of_a_sector(fault: &FaultEvent) -> bool {
    matches!(fault.kind, FaultKind::Rot | FaultKind::ReadError)
}

/// Whether a later record outlived the fault: more of them were synced, one
/// after the other, than sectors were ever harmed.
fn is_proved_synced(
    facts: &Facts<'_>,
    ledger: &Ledger,
    lost: &Lost,
    taken_by: &FaultEvent,
) -> bool {
    let upto_ns = taken_by.at_ns;
    let damaged = ledger.fired.iter().filter(|fault| {
        let unseen = matches!(
            fault.kind,
            FaultKind::LostWrite | FaultKind::MisdirectedWrite
        );
        fault.at_ns <= upto_ns && fault.node == taken_by.node && (is_of_a_sector(fault) || unseen)
    });
    let mut synced: Vec<(u64, u64)> = facts
        .sends
        .values()
        .filter_map(|sent| match sent.outcome {
            Some((ended, SendOutcome::Acknowledged { .. })) => {
                Some((facts.at_ns(ended), facts.at_ns(sent.began)))
            }
            _ => None,
        })
        .filter(|(ended_ns, _)| *ended_ns < upto_ns)
        .collect();
    synced.sort_unstable();
    let mut last_ns = lost.known_ns;
    let mut one_after_the_other = 0;
    for (ended_ns, began_ns) in synced {
        if began_ns > last_ns {
            one_after_the_other += 1;
            last_ns = ended_ns;
        }
    }
    one_after_the_other > damaged.count()
}

/// When another message was first known at the place of the lost one.
fn replaced_ns(facts: &Facts<'_>, lost: &Lost, after_ns: u64) -> Option<u64> {
    let (queue, offset) = lost.place()?;
    let places = facts.queues.get(queue)?.places();
    let known = places.all().iter().filter(|place| place.offset == offset);
    known
        .map(|place| facts.at_ns(place.known))
        .filter(|known_ns| *known_ns > after_ns)
        .min()
}

fn salvaged_between(ledger: &Ledger, fault: &FaultEvent, upto_ns: u64) -> bool {
    let on_node = ledger
        .salvaged
        .iter()
        .filter(|(node, _)| *node == fault.node);
    on_node
        .map(|(_, at_ns)| *at_ns)
        .any(|at_ns| fault.at_ns <= at_ns && at_ns <= upto_ns)
}
