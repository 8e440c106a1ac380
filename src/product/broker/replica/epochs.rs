//! Epochs: after an unsafe recovery, disks of before it are refused (D16).
//!
//! ```text
//!   founded ── epoch 1 ──▶ recover --unsafe ── epoch 2 ──▶ …
//!                               ╲ an old disk comes back: told so, it stops for good
//! ```
//!
//! Promise: a replica never listens to one of another epoch, and one that meets a
//! newer epoch of its own cluster stops, durably. So what is acknowledged in the new
//! one is not cut by old disks that come back; unless they are a majority of the old
//! cluster and none of them ever meets a disk of the new one.

use super::quarantined::Quarantined;
use super::view::ReplicaView;
use crate::broker::error::StoreError;
use crate::broker::founding::Said;
use crate::env::Env;
use crate::raft::{ANY_DISK, Epoch, ReplicaId};

/// How another replica's epoch stands to one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// The same; or one of both holds nothing yet.
    Same,
    /// Of another cluster.
    Foreign,
    /// The cluster was recovered without it.
    Older,
    /// The cluster was recovered without this one.
    Newer,
    /// Two were recovered apart from each other.
    Rival,
}

/// How `theirs` stands to `own`.
pub(super) fn relation(own: Epoch, theirs: Epoch) -> Relation {
    if own.number == 0 || theirs.number == 0 || own == theirs {
        Relation::Same
    } else if own.founding != theirs.founding {
        Relation::Foreign
    } else if theirs.number < own.number {
        Relation::Older
    } else if theirs.number > own.number {
        Relation::Newer
    } else {
        Relation::Rival
    }
}

impl<E: Env> ReplicaView<'_, E> {
    /// Says to everybody of which epoch this replica is, as soon as it is open: who
    /// knows of a newer one says so before there is any election.
    pub(in crate::broker) fn greet(&mut self) {
        if self.store.base.is_none() {
            return;
        }
        let (me, epoch) = (self.replica.me.node, self.replica.epoch);
        let others: Vec<u64> = self.replica.peers.keys().copied().collect();
        for node in others.into_iter().filter(|node| *node != me) {
            let to_disk = ANY_DISK;
            self.inform(node, Said::Epoch { to_disk, epoch });
        }
    }

    /// Another replica is of that epoch; `to_disk` is whom it said that to.
    pub(in crate::broker) async fn meets_epoch(
        &mut self,
        from: ReplicaId,
        to_disk: u64,
        theirs: Epoch,
    ) -> Result<(), StoreError> {
        let (me, own) = (self.replica.me, self.replica.epoch);
        let relation = relation(own, theirs);
        if matches!(relation, Relation::Same | Relation::Foreign) {
            return Ok(());
        }
        // Also a newer one is told: it answers to this very disk, and only what is
        // said to it stops it.
        let back = Said::Epoch {
            to_disk: from.disk,
            epoch: own,
        };
        let is_to_me = to_disk == me.disk;
        if relation != Relation::Newer || !is_to_me {
            self.inform(from.node, back);
        }
        let quarantined = match relation {
            Relation::Newer if is_to_me => Quarantined::Superseded {
                own,
                theirs,
                by: from,
            },
            Relation::Rival if is_to_me => Quarantined::Rival {
                own,
                theirs,
                by: from,
            },
            _ => return Ok(()),
        };
        Err(quarantined.store(&self.broker.env.disk()).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_of_one_founding_are_compared_and_no_others() {
        let of = |founding, number, id| Epoch {
            founding,
            number,
            id,
        };
        for (theirs, expected) in [
            (of(7, 2, 9), Relation::Same),
            (Epoch::default(), Relation::Same),
            (of(8, 3, 9), Relation::Foreign),
            (of(7, 1, 7), Relation::Older),
            (of(7, 3, 1), Relation::Newer),
            (of(7, 2, 8), Relation::Rival),
        ] {
            assert_eq!(relation(of(7, 2, 9), theirs), expected, "{theirs:?}");
        }
    }
}
