//! Why something is gone: the first fault after which too little held it.

mod replicas;

use std::collections::BTreeMap;

use crate::broker::OffsetCommit;
use crate::check::{Blame, Lost, LostThing};
use crate::history::{FaultEvent, FaultKind, Ledger};
use crate::sim::tap::{Medium, Tap, WrittenEntry};

/// The fault that took the lost entry. Where the entry was held throughout, nobody
/// did. `believed`: how far the log was believed durable when the power went, by
/// index into the ledger; `may_lose`: whether nothing is promised under that fault.
pub(super) fn blame(
    lost: &Lost,
    ledger: &Ledger,
    believed: &BTreeMap<usize, u64>,
    may_lose: impl Fn(usize) -> bool,
    tap: &Tap,
) -> Blame {
    let Some(entry) = entry_of(lost, tap) else {
        return Blame::StillHeld;
    };
    if let Some(cluster) = tap.cluster() {
        let counts = |index: usize| {
            cluster.medium() == Medium::Cached
                || believed
                    .get(&index)
                    .is_none_or(|end| *end >= entry.end_address)
        };
        let takers = replicas::takers(&entry.head, ledger, cluster, counts);
        let named = takers.map(|index| uncovered(ledger, index, believed, &entry).unwrap_or(index));
        return named_of(named, may_lose).map_or(Blame::StillHeld, Blame::Fault);
    }
    let taken = ledger.fired.iter().position(|fault| {
        let reaches = fault.at_ns >= entry.written_ns || is_hole_below(fault, &entry, tap);
        reaches && fault.held_after < entry.end_address
    });
    match taken {
        None => Blame::StillHeld,
        Some(index) => Blame::Fault(uncovered(ledger, index, believed, &entry).unwrap_or(index)),
    }
}

/// Of all faults after which too few held it: the first under which nothing is
/// promised, and where there is none, the first. (What takes one copy, and what takes
/// the others that were cached only, may be two of them: the second lost it.)
fn named_of(
    mut takers: impl Iterator<Item = usize>,
    may_lose: impl Fn(usize) -> bool,
) -> Option<usize> {
    let first = takers.next()?;
    let mut all = std::iter::once(first).chain(takers);
    Some(all.find(|index| may_lose(*index)).unwrap_or(first))
}

/// Whether it is a sector that went bad.
fn is_damage(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Rot | FaultKind::ReadError)
}

/// Whether the entry was written above a sector that had gone bad unnoticed, or above
/// bytes whose sync had failed and not returned yet: it never was in the contiguous
/// valid prefix, so nothing ever held it
/// (guarantee.md, section 1, "Holds"). Once the log was cut there and went on,
/// what is written is held again.
fn is_hole_below(fault: &FaultEvent, entry: &WrittenEntry, tap: &Tap) -> bool {
    (is_damage(fault.kind) || fault.kind == FaultKind::SyncError)
        && fault.at_ns < entry.written_ns
        && fault.held_after <= entry.address
        && !went_on_from(fault.held_after, fault.at_ns, entry.written_ns, tap)
}

/// Whether an entry took the place of the one at `hole` between two moments. Where
/// the bad sector held no more than padding, the first entry written there is the
/// one that was due.
fn went_on_from(hole: u64, from_ns: u64, upto_ns: u64, tap: &Tap) -> bool {
    let later = |other: &WrittenEntry| other.address == hole && other.written_ns > from_ns;
    let Some(newest) = tap.written_before(upto_ns, later) else {
        return false;
    };
    let last = tap.written_before(from_ns, |_| true);
    let was_due = last.is_none_or(|last| last.end_address == hole);
    !was_due || tap.written_before(newest.written_ns - 1, later).is_some()
}

/// The entry that was lost, as it was last written before it was relied on.
fn entry_of(lost: &Lost, tap: &Tap) -> Option<WrittenEntry> {
    match &lost.thing {
        LostThing::Acknowledged { address, .. } => {
            tap.written_before(lost.known_ns, |entry| entry.address == *address)
        }
        LostThing::Read { queue, offset, .. } => tap.written_before(lost.known_ns, |entry| {
            entry.place == Some((queue.queue_id, *offset))
        }),
        LostThing::GroupOffset {
            group,
            queue,
            offset,
        } => {
            let mut record = Vec::new();
            OffsetCommit {
                group: group.to_string(),
                topic: queue.topic.to_string(),
                queue_id: queue.queue_id,
                offset: *offset,
            }
            .encode(&mut record);
            let digest = xxhash_rust::xxh3::xxh3_64(&record);
            tap.written_before(lost.known_ns, |entry| entry.commit_digest == Some(digest))
        }
        LostThing::Transaction {
            half_address,
            committed,
            ..
        } => tap.written_before(lost.known_ns, |entry| match committed {
            true => entry.decides == Some(*half_address),
            false => entry.address == *half_address,
        }),
    }
}

/// The fault that a power loss uncovered: the disk had said that the entry was
/// durable, so a lie took it, or a bad sector below it. Of several, the first since
/// the power last went.
fn uncovered(
    ledger: &Ledger,
    uncovered_by: usize,
    believed: &BTreeMap<usize, u64>,
    entry: &WrittenEntry,
) -> Option<usize> {
    let believed_end = believed.get(&uncovered_by)?;
    if *believed_end < entry.end_address {
        return None;
    }
    let node = ledger.fired[uncovered_by].node;
    let before = ledger.fired[..uncovered_by].iter().enumerate().rev();
    let since_power = before
        .filter(|(_, fault)| fault.node == node)
        .take_while(|(_, fault)| fault.kind != FaultKind::PowerLoss);
    let deeper = since_power.filter(|(_, fault)| match fault.kind {
        FaultKind::DiskLying | FaultKind::LostWrite | FaultKind::MisdirectedWrite => true,
        kind => is_damage(kind) && fault.held_after < entry.end_address,
    });
    deeper.map(|(index, _)| index).last()
}

#[cfg(test)]
mod tests {
    use super::named_of;

    #[test]
    fn of_two_faults_that_took_copies_the_one_that_may_lose_is_named() {
        let of = |takers: &[usize]| named_of(takers.iter().copied(), |index| index >= 5);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[1, 2]), Some(1), "nothing excuses it");
        assert_eq!(of(&[1, 7, 8]), Some(7));
    }
}
