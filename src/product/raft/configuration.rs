//! The replicas that count: seats, learners, and the changes that lead from one
//! configuration to the next (D13–D15).

use std::collections::{BTreeMap, BTreeSet};

use super::ReplicaId;
use super::codec::MEMBERS_MAX;

/// The members of the cluster.
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
    /// Nodes whose seats an unsafe recovery gave up (D16). A blank disk there
    /// is fed without being asked for, and promoted once it has caught up.
    pub returning: BTreeSet<u64>,
    /// The disks that the cluster began with, node to disk. One that was away ever
    /// since learns from it that it is no blank one. None after an unsafe recovery:
    /// who was not there is a replacement (D13).
    pub founders: BTreeMap<u64, u64>,
}

/// A seat and who sits in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The disk of the replica.
    pub disk: u64,
    /// The rights of its replica.
    pub state: SeatState,
}

/// The rights of the replica in a seat.
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
        let seat = |(node, disk): (&u64, &u64)| {
            let state = SeatState::Voter;
            (*node, Seat { disk: *disk, state })
        };
        let disk_of = |replica: ReplicaId| (replica.node, replica.disk);
        let founders: BTreeMap<u64, u64> = replicas.into_iter().map(disk_of).collect();
        Self {
            seats: founders.iter().map(seat).collect(),
            founders,
            ..Self::default()
        }
    }

    /// The configuration that is left of this one where `survivor` goes on alone: the
    /// others may come back with other disks (D16).
    #[must_use]
    pub fn recovered_by(&self, survivor: ReplicaId) -> Self {
        let nodes = self.seats.keys().chain(&self.returning).copied();
        Self {
            returning: nodes.filter(|node| *node != survivor.node).collect(),
            founders: BTreeMap::new(),
            ..Self::of_voters([survivor])
        }
    }

    /// How a blank disk of that node gets its place without being asked for.
    pub(super) fn let_in(&self, ReplicaId { node, disk }: ReplicaId) -> Option<Change> {
        if self.seats.contains_key(&node) || self.learners.contains_key(&node) {
            Some(Change::Replace { node, disk })
        } else {
            let returns = self.returning.contains(&node);
            returns.then_some(Change::AddLearner { node, disk })
        }
    }

    /// The nodes that are promoted without being asked for, once they have
    /// caught up.
    pub(super) fn to_promote(&self) -> impl Iterator<Item = u64> {
        let seats = self.seats.iter();
        let replaced = seats.filter(|(_, seat)| seat.state == SeatState::Replaced);
        let learners = self.learners.keys();
        let returning = learners.filter(|node| self.returning.contains(node));
        replaced.map(|(node, _)| *node).chain(returning.copied())
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

    /// Whether `replica` is fed: it has a seat or a learner's place.
    #[must_use]
    pub fn is_member(&self, replica: ReplicaId) -> bool {
        self.members().any(|member| member == replica)
    }

    /// All replicas that are fed.
    pub fn members(&self) -> impl Iterator<Item = ReplicaId> {
        let seats = self.seats.iter().map(|(node, seat)| (*node, seat.disk));
        let learners = self.learners.iter().map(|(node, disk)| (*node, *disk));
        seats
            .chain(learners)
            .map(|(node, disk)| ReplicaId { node, disk })
    }

    /// The replicas that vote and acknowledge. May be fewer than the quorum.
    pub fn voters(&self) -> impl Iterator<Item = ReplicaId> {
        self.members().filter(|member| self.is_voter(*member))
    }

    /// Whether a quorum of voters is `counted`.
    pub(super) fn is_quorum(&self, counted: impl Fn(ReplicaId) -> bool) -> bool {
        self.voters().filter(|voter| counted(*voter)).count() >= self.quorum()
    }

    /// The highest index that a quorum of voters has; 0 where there is none.
    pub(super) fn agreed_index(&self, index_of: impl Fn(ReplicaId) -> u64) -> u64 {
        let mut indexes: Vec<u64> = self.voters().map(index_of).collect();
        indexes.sort_unstable_by(|a, b| b.cmp(a));
        indexes.get(self.quorum() - 1).copied().unwrap_or(0)
    }

    /// The configuration one step on; `None` where the step makes no sense, or
    /// would leave fewer voters than the quorum and so could never be undone.
    #[must_use]
    pub fn after(&self, change: Change) -> Option<Self> {
        let mut next = self.clone();
        let sits = |disk| Seat {
            disk,
            state: SeatState::Voter,
        };
        let changed = match change {
            Change::Replace { node, disk } => next.replace(node, disk),
            Change::Promote { node } => match (next.seats.get_mut(&node), next.learners.get(&node))
            {
                (Some(seat), _) if seat.state == SeatState::Replaced => {
                    *seat = sits(seat.disk);
                    true
                }
                (None, Some(disk)) => {
                    next.seats.insert(node, sits(*disk));
                    next.learners.remove(&node);
                    next.returning.remove(&node);
                    true
                }
                _ => false,
            },
            Change::AddLearner { node, disk } => {
                !next.seats.contains_key(&node) && next.learners.insert(node, disk) != Some(disk)
            }
            Change::RemoveLearner { node } => next.learners.remove(&node).is_some(),
            Change::Remove { node } => next.seats.remove(&node).is_some(),
        };
        let fits = next.learners.len() <= MEMBERS_MAX && next.seats.len() <= MEMBERS_MAX;
        (changed && fits && next.voters().count() >= next.quorum()).then_some(next)
    }

    /// Whether a change would leave things as they are, since that is what it asks
    /// for: it was made before, maybe, and who asked did not hear of it.
    pub(super) fn has(&self, change: Change) -> bool {
        let disk_of_seat = |node| self.seats.get(&node).map(|seat| seat.disk);
        match change {
            Change::Replace { node, disk } => disk_of_seat(node) == Some(disk),
            Change::Promote { node } => self.voters().any(|voter| voter.node == node),
            Change::AddLearner { node, disk } => {
                self.learners.get(&node) == Some(&disk) || disk_of_seat(node) == Some(disk)
            }
            Change::RemoveLearner { node } => !self.learners.contains_key(&node),
            Change::Remove { node } => !self.seats.contains_key(&node),
        }
    }

    /// The seat stays and counts in n; who sits in it counts no more (D14).
    fn replace(&mut self, node: u64, disk: u64) -> bool {
        if let Some(seat) = self.seats.get_mut(&node) {
            let state = SeatState::Replaced;
            let before = std::mem::replace(seat, Seat { disk, state });
            before.disk != disk
        } else if let Some(learner) = self.learners.get_mut(&node) {
            std::mem::replace(learner, disk) != disk
        } else {
            false
        }
    }
}

/// The configurations of the base and of the log behind it, with their indices.
///
/// 1. Ascending. The last one is in force, committed or not (D15).
/// 2. The first is at or below the base; none at all means a blank disk.
#[derive(Debug, Clone)]
pub(super) struct Configurations {
    history: Vec<(u64, Configuration)>,
    /// The configuration on a blank disk: nobody.
    nobody: Configuration,
}

impl Configurations {
    pub(super) fn new(history: Vec<(u64, Configuration)>) -> Self {
        assert!(history.is_sorted_by_key(|(index, _)| *index));
        Self {
            history,
            nobody: Configuration::default(),
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.history.is_empty()
    }

    /// With their indices, ascending.
    pub(super) fn all(&self) -> &[(u64, Configuration)] {
        &self.history
    }

    /// In force as soon as it is in the log (D15).
    pub(super) fn latest(&self) -> &Configuration {
        self.history
            .last()
            .map_or(&self.nobody, |(_, configuration)| configuration)
    }

    /// Where the one in force stands.
    pub(super) fn latest_index(&self) -> u64 {
        self.history.last().map_or(0, |(index, _)| *index)
    }

    /// Whether `replica` is a voter in the configuration in force, or would be
    /// if what is not committed were rolled back.
    pub(super) fn may_be_voter(&self, replica: ReplicaId, commit_index: u64) -> bool {
        let settled = self
            .history
            .partition_point(|(index, _)| *index <= commit_index);
        self.history[settled.saturating_sub(1)..]
            .iter()
            .any(|(_, configuration)| configuration.is_voter(replica))
    }

    pub(super) fn push(&mut self, index: u64, configuration: Configuration) {
        debug_assert!(index > self.latest_index() || self.is_blank());
        self.history.push((index, configuration));
    }

    /// Rolls back what the log loses (D15).
    pub(super) fn truncate(&mut self, from_index: u64) {
        self.history.retain(|(index, _)| *index < from_index);
    }

    /// Forgets what a later one at or below the base has replaced.
    pub(super) fn drop_to(&mut self, base_index: u64) {
        let behind = self
            .history
            .partition_point(|(index, _)| *index <= base_index);
        self.history.drain(..behind.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters(n: u64) -> Configuration {
        Configuration::of_voters((0..n).map(|node| ReplicaId {
            node,
            disk: 10 + node,
        }))
    }

    #[test]
    fn a_quorum_is_more_than_half_of_all_seats() {
        for (n, quorum) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)] {
            assert_eq!(voters(n).quorum(), quorum, "of {n}");
        }
    }

    #[test]
    fn the_last_entry_of_a_quorum() {
        for (indexes, agreed) in [
            ([9, 9, 9, 9, 9], 9),
            ([9, 8, 7, 6, 5], 7),
            ([9, 9, 0, 0, 0], 0),
            ([0, 4, 0, 4, 4], 4),
        ] {
            let of = |replica: ReplicaId| indexes[replica.node as usize];
            assert_eq!(voters(5).agreed_index(of), agreed, "{indexes:?}");
        }
    }

    /// D14: a replaced seat counts in n, and nobody counts on it.
    #[test]
    fn a_replaced_seat_raises_the_bar_for_the_others() {
        let change = Change::Replace { node: 1, disk: 99 };
        let replaced = voters(3).after(change).expect("a seat");
        assert_eq!((replaced.quorum(), replaced.voters().count()), (2, 2));
        let new = ReplicaId { node: 1, disk: 99 };
        assert!(replaced.is_member(new) && !replaced.is_voter(new));
        let all_but_0 = |voter: ReplicaId| voter.node != 0;
        assert!(voters(3).is_quorum(all_but_0) && !replaced.is_quorum(all_but_0));
        let promoted = replaced.after(Change::Promote { node: 1 });
        assert!(promoted.expect("replaced").is_voter(new));
    }

    #[test]
    fn changes_that_make_no_sense() {
        let replace = |node, disk| Change::Replace { node, disk };
        let one_gone = voters(3).after(replace(1, 99)).expect("a seat");
        for (configuration, change) in [
            (&voters(3), replace(7, 99)),
            (&voters(3), replace(1, 11)),
            (&voters(3), Change::Promote { node: 1 }),
            (&voters(3), Change::RemoveLearner { node: 1 }),
            (&voters(3), Change::AddLearner { node: 1, disk: 5 }),
            // Two of three gone: no quorum could undo it (D16).
            (&one_gone, replace(2, 99)),
            (&one_gone, Change::Remove { node: 2 }),
            (&voters(1), Change::Remove { node: 0 }),
        ] {
            assert_eq!(configuration.after(change), None, "{change:?}");
        }
    }

    #[test]
    fn a_change_that_was_made_is_there() {
        let replace = |node, disk| Change::Replace { node, disk };
        let add = Change::AddLearner { node: 7, disk: 5 };
        let mut configuration = voters(3);
        for (change, undone_by) in [
            (add, Change::RemoveLearner { node: 7 }),
            (replace(1, 99), replace(1, 11)),
            (Change::Promote { node: 1 }, replace(1, 98)),
            (Change::Promote { node: 7 }, Change::Remove { node: 7 }),
        ] {
            assert!(!configuration.has(change), "{change:?}");
            configuration = configuration.after(change).expect("makes sense");
            assert!(configuration.has(change), "{change:?}");
            assert!(!configuration.has(undone_by), "{undone_by:?}");
        }
        assert!(configuration.has(add), "promoted since");
    }

    #[test]
    fn a_configuration_is_in_force_at_once_and_rolls_back() {
        let mut history = Configurations::new(vec![(0, voters(3))]);
        history.push(5, voters(4));
        history.push(8, voters(5));
        assert_eq!(history.latest(), &voters(5));
        history.truncate(8);
        assert_eq!((history.latest(), history.latest_index()), (&voters(4), 5));
        history.drop_to(6);
        history.truncate(7);
        assert_eq!(history.latest(), &voters(4));
    }
}
