//! Of several replicas: the faults that took an entry from one of them and left too
//! few that held it (guarantee.md, section 3, `expected-loss`).

use crate::check::replicas::{Cluster, Head};
use crate::history::{FaultKind, Ledger};

/// The indices of the faults "at \[which\] too few held it (Raft: fewer than ⌊n/2⌋+1
/// …), or \[which\] took a term or vote that this configuration does not make
/// durable", these behind those, each in their order. `counts`: whether its victim
/// held what it had of the entry, by index into the ledger. Nothing rests on entries
/// that are in a cache only and were not believed to be durable.
pub(super) fn takers(
    head: &Head,
    ledger: &Ledger,
    cluster: &Cluster,
    counts: impl Fn(usize) -> bool,
) -> impl Iterator<Item = usize> {
    let quorum = cluster.seats().quorum();
    let took_entry = windows(ledger).filter(move |window| {
        let fault = &ledger.fired[window.index];
        counts(window.index)
            && cluster.took(head, fault.node, window.after, window.upto)
            && cluster.held_after(head, fault.event) < quorum
    });
    let took_hard_state = windows(ledger).filter(|window| {
        let node = ledger.fired[window.index].node;
        cluster.took_hard_state(node, window.after, window.upto)
    });
    took_entry.chain(took_hard_state).map(|window| window.index)
}

/// The time in which a fault can have taken an entry: after one event, and up to another.
struct Window {
    index: usize,
    after: u64,
    upto: u64,
}

/// Of every fault: from the one before to itself. A sector that went bad and a sync
/// that failed take what a replica cuts when it meets them, until something else
/// happens to it.
fn windows(ledger: &Ledger) -> impl Iterator<Item = Window> {
    let before = ledger.fired.iter().map(|fault| fault.event);
    let after = std::iter::once(0).chain(before);
    let fired = ledger.fired.iter().enumerate();
    fired.zip(after).map(|((index, fault), after)| Window {
        index,
        after,
        upto: met_upto(ledger, index).unwrap_or(fault.event),
    })
}

fn met_upto(ledger: &Ledger, index: usize) -> Option<u64> {
    let is_met_later = |kind| {
        matches!(
            kind,
            FaultKind::Rot | FaultKind::ReadError | FaultKind::SyncError
        )
    };
    let fault = &ledger.fired[index];
    is_met_later(fault.kind).then(|| {
        let later = &ledger.fired[index + 1..];
        let next = later
            .iter()
            .find(|next| next.node == fault.node && !is_met_later(next.kind));
        next.map_or(u64::MAX, |next| next.event - 1)
    })
}

#[cfg(test)]
mod tests {
    use super::takers;
    use crate::check::replicas::{Cause, Cluster, Fact, Head, LogEntry, Media, Medium, Moment};
    use crate::history::{FaultEvent, FaultKind, Ledger};

    const HEAD: Head = Head {
        index: 1,
        term: 1,
        hash: 7,
        end_address: 100,
    };

    fn fault(node: u32, event: u64) -> FaultEvent {
        FaultEvent {
            at_ns: event,
            event,
            kind: FaultKind::PowerLoss,
            node,
            eligible: true,
            observed: true,
            dirty_log_bytes: 0,
            dirty_other_bytes: 0,
            sends_in_flight: 0,
            held_after: 0,
            hit: 0,
            held_by: 0,
            death: None,
            note: String::new(),
        }
    }

    #[test]
    fn entries_cut_at_a_bad_sector_or_a_failed_sync_were_taken_by_it() {
        for (kind, taken) in [
            (FaultKind::SyncError, Some(0)),
            (FaultKind::ReadError, Some(0)),
            (FaultKind::Kill, None),
        ] {
            let met = FaultEvent {
                kind,
                ..fault(1, 32)
            };
            let fired = vec![met, fault(0, 36), fault(2, 60)];
            assert_eq!(first_taker(&[], fired, [true; 3]), taken, "{kind}");
        }
    }

    /// Three replicas that acknowledge what is cached. The entry is cached on all,
    /// durable on those; then the power goes at b1, and at b0.
    fn lost(durable_on: &[u32], counts: [bool; 2]) -> Option<usize> {
        let cuts = [1, 0].iter().filter(|node| !durable_on.contains(node));
        let event = 10 * (3 + durable_on.len() + cuts.count()) as u64;
        let fired = vec![fault(1, event - 5), fault(0, event + 5)];
        first_taker(durable_on, fired, counts)
    }

    /// The entry is cached on all at events 10 to 30, durable on those behind it;
    /// then a crash takes it from b1, and from b0, ten events later each.
    fn first_taker<const N: usize>(
        durable_on: &[u32],
        fired: Vec<FaultEvent>,
        counts: [bool; N],
    ) -> Option<usize> {
        let media = Media {
            log: Medium::Cached,
            hard_state: Medium::Durable,
        };
        let mut cluster = Cluster::new(3, 3, media);
        let mut event = 0;
        let mut note = |fact| {
            event += 10;
            cluster.note(Moment { at_ns: 0, event }, fact);
        };
        let entry = LogEntry {
            head: HEAD,
            seats: None,
            expired_address: None,
        };
        let (cached, durable) = ([0, 1, 2].map(|node| (node, Medium::Cached)), durable_on);
        let durable = durable.iter().map(|node| (*node, Medium::Durable));
        for (node, medium) in cached.into_iter().chain(durable) {
            let entry = entry.clone();
            note(Fact::Appended {
                node,
                medium,
                entry,
            });
        }
        for node in [1, 0] {
            if !durable_on.contains(&node) {
                note(Fact::Cut {
                    node,
                    medium: Medium::Cached,
                    from_index: 1,
                    cause: Cause::Crash,
                });
            }
        }
        let ledger = Ledger {
            fired,
            ..Ledger::default()
        };
        takers(&HEAD, &ledger, &cluster, |fault| counts[fault]).next()
    }

    #[test]
    fn the_first_fault_that_left_too_few_is_named() {
        assert_eq!(lost(&[], [true; 2]), Some(0));
        assert_eq!(lost(&[2], [true; 2]), Some(0), "one of three is too few");
    }

    #[test]
    fn where_enough_still_held_it_nobody_took_it() {
        assert_eq!(lost(&[1, 2], [true; 2]), None);
    }

    #[test]
    fn a_fault_of_a_node_that_kept_it_is_not_named() {
        assert_eq!(lost(&[1], [true; 2]), Some(1));
    }
    #[test]
    fn a_fault_that_took_what_nobody_relied_on_is_not_named() {
        assert_eq!(lost(&[], [false, true]), Some(1));
        assert_eq!(lost(&[], [false, false]), None);
    }
}
