//! Of several replicas: the first fault that took an entry from one of them and
//! left too few that held it (guarantee.md, section 3, `expected-loss`).

use crate::check::replicas::{Cluster, Head};
use crate::history::Ledger;

/// The index of the fault "at \[which\] too few held it (Raft: fewer than
/// ⌊n/2⌋+1 …), or \[which\] took a term or vote that this configuration does not
/// make durable". `counts`: whether its victim held what it had of the entry, by
/// index into the ledger. What is in a cache only, and was not believed to be
/// durable, nothing rests on.
pub(super) fn taken_by(
    head: &Head,
    ledger: &Ledger,
    cluster: &Cluster,
    counts: impl Fn(usize) -> bool,
) -> Option<usize> {
    let quorum = cluster.seats().quorum();
    let took_entry = first(ledger, |fault, node, after, upto| {
        counts(fault)
            && cluster.took(head, node, after, upto)
            && cluster.held_after(head, upto) < quorum
    });
    took_entry.or_else(|| {
        first(ledger, |_, node, after, upto| {
            cluster.took_hard_state(node, after, upto)
        })
    })
}

/// The first fault of which that is true: of its index, its node, and the time
/// between the event of the fault before and its own.
fn first(ledger: &Ledger, is_it: impl Fn(usize, u32, u64, u64) -> bool) -> Option<usize> {
    let mut after = 0;
    let mut fired = ledger.fired.iter().enumerate();
    let found = fired.find(|(index, fault)| {
        let before = std::mem::replace(&mut after, fault.event);
        is_it(*index, fault.node, before, fault.event)
    });
    found.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::taken_by;
    use crate::check::replicas::{Cause, Cluster, Entry, Fact, Head, Media, Medium, Moment};
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

    /// Three replicas that acknowledge what is cached. The entry is cached on all,
    /// durable on those; then the power goes at b1, and at b0.
    fn lost(durable_on: &[u32], counts: [bool; 2]) -> Option<usize> {
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
        let entry = Entry {
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
        let fired = vec![fault(1, event - 5), fault(0, event + 5)];
        taken_by(
            &HEAD,
            &Ledger {
                fired,
                ..Ledger::default()
            },
            &cluster,
            |fault| counts[fault],
        )
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
