//! The replicas that have forgotten and not yet recovered (guarantee.md, section 1).
//!
//! "An amnesia is judged by the ledger (synced bytes were taken), not by what the
//! replica detects: a torn unsynced tail is none. It is **outstanding** until the
//! replica's promotion is committed and it durably holds every index up to that
//! entry; rot, until the record is durable again."

use std::collections::{BTreeMap, BTreeSet};

use super::committed::Committed;
use super::fact::{Replica, Seats};
use super::log::Log;

/// The kind of thing that a replica forgot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgot {
    /// All: its disk is another one.
    Everything,
    /// A record that it had synced; it held the log up to that index.
    Record {
        /// The last index.
        upto: u64,
    },
    /// It cannot know what; nobody is going to promote it.
    Unknown,
}

/// The forgotten things, by node.
#[derive(Debug, Clone, Default)]
pub struct Amnesia(BTreeMap<u32, Forgot>);

impl Amnesia {
    /// A fault took synced bytes. The deeper amnesia counts.
    pub fn forgot(&mut self, node: u32, what: Forgot) {
        let rank = |what: &Forgot| match what {
            Forgot::Record { upto } => (0, *upto),
            Forgot::Unknown => (1, 0),
            Forgot::Everything => (2, 0),
        };
        let worst = self.0.entry(node).or_insert(what);
        if rank(worst) < rank(&what) {
            *worst = what;
        }
    }

    /// The cluster begins with the disk that the node has now.
    pub fn begins(&mut self, node: u32) {
        self.0.remove(&node);
    }

    /// The replica itself cut its log: what is above is not missed any more.
    pub fn cut(&mut self, node: u32, from_index: u64) {
        if let Some(Forgot::Record { upto }) = self.0.get_mut(&node) {
            *upto = (*upto).min(from_index.saturating_sub(1));
        }
    }

    /// A replica's durable log has grown: whether it has recovered.
    pub fn settle(&mut self, replica: Replica, durable: &Log, committed: &Committed) {
        let recovered = match self.0.get(&replica.node) {
            None | Some(Forgot::Unknown) => false,
            Some(Forgot::Record { upto }) => durable.last().index >= *upto,
            Some(Forgot::Everything) => is_promoted(replica, durable, committed),
        };
        if recovered {
            self.0.remove(&replica.node);
        }
    }

    /// The nodes whose amnesia is outstanding.
    pub fn outstanding(&self) -> BTreeSet<u32> {
        self.0.keys().copied().collect()
    }

    /// Of these, the ones that have a seat and forgot everything.
    pub fn blank_of(&self, seats: &Seats) -> usize {
        let seated = self.0.iter().filter(|(node, _)| seats.0.contains_key(node));
        let blank = seated.filter(|(_, what)| **what == Forgot::Everything);
        blank.count()
    }
}

/// Whether a configuration that gives the replica a vote is committed, and in its
/// own log.
fn is_promoted(replica: Replica, durable: &Log, committed: &Committed) -> bool {
    durable.all_seats().iter().any(|(index, seats)| {
        let fixed = committed.get(*index);
        seats.has_voter(replica) && fixed.is_some_and(|fixed| durable.has(&fixed))
    })
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::outstanding;

    #[test]
    fn rot_is_outstanding_until_the_record_is_durable_again() {
        let text = "write 1 1.1 2.1; sync 1 2; rot 1 1";
        assert_eq!(outstanding(text), [1]);
        assert!(outstanding(&format!("{text}; write 1 2.1; sync 1 2")).is_empty());
        assert!(outstanding(&format!("{text}; hard 1 2; cut 1 1")).is_empty());
    }

    #[test]
    fn a_blank_disk_is_outstanding_until_its_promotion_is_committed_and_held() {
        let begin = "hard 0 1; hard 1 1; lead 0 1; write 0 1.1; write 1 1.1; sync 0 1; sync 1 1;
                     destroy 2; disk 2 9;";
        assert_eq!(outstanding(begin), [2]);
        // Entry 2 gives the new disk its vote.
        let promoted = "write 0 2.1=0:0,1:0,2:9; sync 0 2; write 1 2.1=0:0,1:0,2:9; sync 1 2;";
        assert_eq!(outstanding(&format!("{begin} {promoted}")), [2]);
        let held = "hard 2 1; write 2 1.1 2.1=0:0,1:0,2:9; sync 2 2";
        assert_eq!(
            outstanding(&format!("{begin} {held}")),
            [2],
            "not committed"
        );
        assert!(outstanding(&format!("{begin} {promoted} {held}")).is_empty());
    }

    #[test]
    fn a_removed_replica_owes_nothing_once_the_removal_is_committed() {
        let begin = "hard 0 1; hard 1 1; lead 0 1; write 0 1.1; write 1 1.1; sync 0 1; sync 1 1;
                     destroy 2; disk 2 9; write 0 2.1=0:0,1:0; sync 0 2;";
        assert_eq!(outstanding(begin), [2], "it may be lost with its leader");
        let committed = "write 1 2.1=0:0,1:0; sync 1 2";
        assert!(outstanding(&format!("{begin} {committed}")).is_empty());
    }

    #[test]
    fn a_loss_by_a_crash_is_no_amnesia() {
        assert!(outstanding("write 1 1.1 2.1; sync 1 1; power 1 1").is_empty());
    }
}
