//! Election safety: "at most one leader can be elected in a given term" (Ongaro,
//! figure 3.2).
//!
//! Two replicas send appends of one term:
//!
//! ```
//! use zeroloss::check::replicas::Replica;
//! use zeroloss::check::replicas::election_safety::Leaders;
//!
//! let [b1, b2] = [1, 2].map(|node| Replica { node, disk: 9 });
//! let mut leaders = Leaders::default();
//! assert_eq!(leaders.leads(b1, 1), Ok(true));
//! assert_eq!(leaders.leads(b2, 2), Ok(true));
//! assert_eq!(leaders.leads(b2, 2), Ok(false), "it is known");
//!
//! let broken = leaders.leads(b1, 2).unwrap_err();
//! assert_eq!(broken.lines, ["b2 and b1 both lead term 2"]);
//! assert_eq!((leaders.of(2), leaders.newest_of(b1)), (Some(b2), Some(1)));
//! ```

use std::collections::BTreeMap;

use super::Broken;
use super::fact::Replica;
use crate::check::Promise;

/// The leader of each term: the replica that sent an append of it.
#[derive(Debug, Clone, Default)]
pub struct Leaders(BTreeMap<u64, Replica>);

impl Leaders {
    /// A replica sends as the leader of a term: whether for the first time.
    ///
    /// # Errors
    /// Another one does, too.
    pub fn leads(&mut self, replica: Replica, term: u64) -> Result<bool, Broken> {
        match self.0.insert(term, replica) {
            None => Ok(true),
            Some(leader) if leader == replica => Ok(false),
            Some(leader) => {
                self.0.insert(term, leader);
                let line = format!("{leader} and {replica} both lead term {term}");
                Err(Broken::new(Promise::ElectionSafety, line))
            }
        }
    }

    /// The leader of a term.
    pub fn of(&self, term: u64) -> Option<Replica> {
        self.0.get(&term).copied()
    }

    /// The leader of the highest term.
    pub fn newest(&self) -> Option<(u64, Replica)> {
        self.0
            .last_key_value()
            .map(|(term, leader)| (*term, *leader))
    }

    /// The highest term that a replica led.
    pub fn newest_of(&self, replica: Replica) -> Option<u64> {
        let newest_first = self.0.iter().rev();
        let mut own = newest_first.filter(|(_, leader)| **leader == replica);
        own.next().map(|(term, _)| *term)
    }
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::findings;

    #[test]
    fn one_leader_in_a_term() {
        assert!(findings("lead 0 1; lead 0 1; lead 1 2; lead 0 1; lead 0 3").is_empty());
    }

    #[test]
    fn two_are_one_too_many() {
        insta::assert_snapshot!(
            findings("lead 0 1; lead 1 2; lead 2 2"),
            @"election-safety: b1 and b2 both lead term 2"
        );
    }

    #[test]
    fn a_node_with_another_disk_is_another_leader() {
        assert!(!findings("lead 0 1; disk 0 7; lead 0 1").is_empty());
    }
}
