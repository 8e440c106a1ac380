//! Who counts: seats, learners, and the changes that lead from one
//! configuration to the next (D13–D15).

use std::collections::BTreeMap;

use super::ReplicaId;

/// Who is in the cluster.
///
/// 1. A node has a seat or a learner's place, not both.
/// 2. Two configurations of which one is a [`Change`] away from the other have
///    quorums that intersect (thesis, §4.1).
/// 3. A [`SeatState::Replaced`] seat counts in n and is never counted on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// Node to seat; their number is n.
    pub seats: BTreeMap<u64, Seat>,
    /// Node to disk: fed, and not counted.
    pub learners: BTreeMap<u64, u64>,
}

/// A seat and who sits in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The disk of the replica.
    pub disk: u64,
    /// What it may do.
    pub state: SeatState,
}

/// What the replica in a seat may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatState {
    /// Votes and acknowledges.
    Voter,
    /// Its disk is new: it is fed, and neither votes nor counts until it is
    /// promoted (D14).
    Replaced,
}

/// A single step from one configuration to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The node's disk is gone, and `disk` is the new one.
    Replace {
        /// A node with a seat or a learner's place.
        node: u64,
        /// Its new disk.
        disk: u64,
    },
    /// The replica in the node's `Replaced` seat, or its learner, becomes a
    /// voter.
    Promote {
        /// The node.
        node: u64,
    },
    /// A further replica is fed, without a seat.
    AddLearner {
        /// The node.
        node: u64,
        /// Its disk.
        disk: u64,
    },
    /// A learner goes.
    RemoveLearner {
        /// The node.
        node: u64,
    },
    /// A seat goes.
    Remove {
        /// The node.
        node: u64,
    },
}

impl Configuration {
    /// First voters: a seat for each of `replicas`.
    #[must_use]
    pub fn of_voters(replicas: impl IntoIterator<Item = ReplicaId>) -> Self {
        let seat = |replica: ReplicaId| {
            let state = SeatState::Voter;
            let disk = replica.disk;
            (replica.node, Seat { disk, state })
        };
        Self {
            seats: replicas.into_iter().map(seat).collect(),
            learners: BTreeMap::new(),
        }
    }

    /// Votes or acknowledgements needed: more than half of *all* seats.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.seats.len() / 2 + 1
    }

    /// Whether `replica` votes and acknowledges.
    #[must_use]
    pub fn is_voter(&self, replica: ReplicaId) -> bool {
        self.seats
            .get(&replica.node)
            .is_some_and(|seat| seat.disk == replica.disk && seat.state == SeatState::Voter)
    }

    /// The bytes of a configuration entry's record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }

    /// Reads what [`Configuration::encode`] wrote; `None` for anything else.
    #[must_use]
    pub fn decode(_bytes: &[u8]) -> Option<Self> {
        todo!()
    }
}
