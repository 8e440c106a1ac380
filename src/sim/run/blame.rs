//! Why something is gone: the first fault after which too little held it.

use crate::broker::OffsetCommit;
use crate::check::{Blame, Lost, LostThing};
use crate::history::{FaultKind, Ledger};
use crate::sim::tap::{Tap, WrittenEntry};

/// Who took what was lost. Where the entry was held throughout, nobody did.
pub(super) fn blame(lost: &Lost, ledger: &Ledger, tap: &Tap) -> Blame {
    let Some(entry) = entry_of(lost, tap) else {
        return Blame::StillHeld;
    };
    let taken = ledger
        .fired
        .iter()
        .position(|fault| fault.at_ns >= entry.written_ns && fault.held_after < entry.end_address);
    match taken {
        None => Blame::StillHeld,
        Some(index) => Blame::Fault(lie_behind(ledger, index, &entry).unwrap_or(index)),
    }
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
    }
}

/// The lie that a power loss uncovered: a disk that was lying, or had dropped a
/// write, between the entry and the loss.
fn lie_behind(ledger: &Ledger, uncovered_by: usize, entry: &WrittenEntry) -> Option<usize> {
    let loss = &ledger.fired[uncovered_by];
    if loss.kind != FaultKind::PowerLoss {
        return None;
    }
    let lies = |kind| {
        matches!(
            kind,
            FaultKind::DiskLying | FaultKind::LostWrite | FaultKind::MisdirectedWrite
        )
    };
    let before = ledger.fired[..uncovered_by].iter().enumerate().rev();
    let told = before.filter(|(_, fault)| fault.node == loss.node && lies(fault.kind));
    // A lie about a sync covers what was written before it, too.
    told.map(|(index, _)| index).find(|index| {
        let fault = &ledger.fired[*index];
        fault.kind != FaultKind::DiskLying || fault.at_ns <= entry.written_ns + LIE_REACHES_NS
    })
}

/// An entry is synced, or believed to be, this long after it was written at
/// the latest: an asynchronous flush's interval, and a slow disk.
const LIE_REACHES_NS: u64 = 2_000_000_000;
