//! committed[index] = (term, hash): the checker's own, "not by the product's
//! variable" (guarantee.md, section 2).
//!
//! Fixed for an index, and for all below it along that log, "when ⌊n/2⌋+1
//! replicas first *hold* the entry and one of the leader's own term at or above
//! it". Which replicas hold an entry of the leader's own term T: those that held
//! it at a moment at which their own hard state said T, so they took it from that
//! leader. As the terms of a log only rise, one number says it for each replica
//! and term, and an entry costs a look at n numbers:
//!
//! ```text
//!   accepted[T]   b0 ─▶ 9   b1 ─▶ 7   b2 ─▶ 7      quorum of 3: all up to 7
//! ```

use std::collections::BTreeMap;

use super::fact::{Head, Replica, Seats};
use super::log::Log;

/// The table.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    fixed: Vec<Head>,
    /// By term: the last index that a majority held in that term.
    by_term: BTreeMap<u64, u64>,
    /// By term and replica: the last entry of that term that it held in it.
    accepted: BTreeMap<u64, BTreeMap<Replica, u64>>,
}

/// A majority holds another entry where one was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// The entry that was committed.
    pub was: Head,
    /// The entry that a majority holds there now.
    pub now: Head,
    /// The term in which it does.
    pub term: u64,
}

impl Committed {
    /// The last entry committed; index 0: none.
    pub fn last(&self) -> Head {
        self.fixed.last().copied().unwrap_or_default()
    }

    /// The entry that is committed at an index.
    pub fn get(&self, index: u64) -> Option<Head> {
        self.fixed.get(index.checked_sub(1)? as usize).copied()
    }

    /// The committed entry that covers a log address.
    pub fn at_address(&self, address: u64) -> Option<Head> {
        let place = self
            .fixed
            .partition_point(|head| head.end_address <= address);
        self.fixed.get(place).copied()
    }

    /// The last index that a majority held together with an entry of that term.
    pub fn upto_in(&self, term: u64) -> u64 {
        self.by_term.get(&term).copied().unwrap_or(0)
    }

    /// The last entry that was fixed in a term below `term`.
    pub fn upto_before(&self, term: u64) -> Option<Head> {
        let index = self.by_term.range(..term).map(|(_, index)| *index).max();
        self.get(index?)
    }

    /// The replicas that held an entry of that term at or above that index, in that term.
    pub fn accepted_by(&self, term: u64, index: u64) -> Vec<Replica> {
        let accepted = self.accepted.get(&term).into_iter().flatten();
        let there = accepted.filter(|(_, upto)| **upto >= index);
        there.map(|(replica, _)| *replica).collect()
    }

    /// A replica whose hard state says `term` holds an entry of that term.
    pub fn accept(&mut self, replica: Replica, term: u64, index: u64) {
        let accepted = self.accepted.entry(term).or_default();
        let upto = accepted.entry(replica).or_default();
        *upto = index.max(*upto);
    }

    /// Fixes what a majority holds of `log`, whose configurations decide who
    /// counts; `initial` where it has none. `ahead`: one behind its end, which the
    /// term's leader has appended, and the index from which on it holds.
    ///
    /// # Errors
    /// Another entry was committed there. Nothing is changed.
    pub fn advance(
        &mut self,
        term: u64,
        log: &Log,
        ahead: Option<(u64, &Seats)>,
        initial: &Seats,
    ) -> Result<(), Conflict> {
        let reached = self.reached(term, log, ahead, initial);
        // The others may hold more than this one has written.
        let upto = reached.min(log.last().index);
        let Some(head) = log.get(upto).filter(|head| head.term == term) else {
            return Ok(());
        };
        let common = upto.min(self.last().index);
        if let (Some(was), Some(now)) = (self.get(common), log.get(common))
            && !was.is(&now)
        {
            return Err(Conflict { was, now, term });
        }
        let new: Option<Vec<Head>> = (common + 1..=upto).map(|index| log.get(index)).collect();
        // A log that begins above what is committed says nothing of the rest.
        if let Some(new) = new {
            self.fixed.extend(new);
            let upto = self.by_term.entry(term).or_default();
            *upto = head.index.max(*upto);
        }
        Ok(())
    }

    /// Forgets what was lost with permission, from that index on.
    pub fn forget_from(&mut self, index: u64) {
        self.fixed.truncate(index.saturating_sub(1) as usize);
        for upto in self.by_term.values_mut() {
            *upto = (*upto).min(index.saturating_sub(1));
        }
    }

    /// A configuration counts from its own index on; below it, the one before
    /// does, too: only one change is in flight, so their majorities meet.
    fn reached(&self, term: u64, log: &Log, ahead: Option<(u64, &Seats)>, initial: &Seats) -> u64 {
        let (mut since, mut newest, mut before) = log.latest_seats();
        if let Some((index, seats)) = ahead {
            (since, newest, before) = (index, Some(seats), newest);
        }
        let newest_upto = self.majority(term, newest.unwrap_or(initial));
        let before = before.unwrap_or(initial);
        let before_upto = self.majority(term, before).min(since.saturating_sub(1));
        newest_upto.max(before_upto)
    }

    /// The last index that a majority of the seats accepted in that term.
    fn majority(&self, term: u64, seats: &Seats) -> u64 {
        let Some(accepted) = self.accepted.get(&term) else {
            return 0;
        };
        let voters = seats.voters();
        let mut upto: Vec<u64> = voters
            .filter_map(|replica| accepted.get(&replica).copied())
            .collect();
        upto.sort_unstable_by(|a, b| b.cmp(a));
        upto.get(seats.quorum() - 1).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fact::{Cause, Head, LogEntry, Replica, Seats};
    use super::super::log::Log;
    use super::Committed;

    fn seats(nodes: u32) -> Seats {
        Seats((0..nodes).map(|node| (node, Some(0))).collect())
    }

    fn log(terms: &[u64]) -> Log {
        let mut log = Log::default();
        for (index, term) in (1..).zip(terms) {
            let head = Head {
                index,
                term: *term,
                hash: 100 * term + index,
                end_address: index,
            };
            let entry = LogEntry {
                head,
                seats: None,
                expired_address: None,
            };
            log.push(&entry, 0);
        }
        log
    }

    fn replica(node: u32) -> Replica {
        Replica { node, disk: 0 }
    }

    #[test]
    fn a_majority_fixes_all_below() {
        let (mut committed, log) = (Committed::default(), log(&[1, 1, 1]));
        committed.accept(replica(0), 1, 3);
        committed
            .advance(1, &log, None, &seats(3))
            .expect("no conflict");
        assert_eq!(committed.last().index, 0, "one of three");
        committed.accept(replica(2), 1, 2);
        committed
            .advance(1, &log, None, &seats(3))
            .expect("no conflict");
        assert_eq!(committed.last(), log.get(2).expect("there"));
        assert_eq!(committed.get(1), log.get(1));
        assert_eq!(committed.upto_in(1), 2);
    }

    #[test]
    fn an_entry_of_an_old_term_is_not_committed_by_counting() {
        // Figure 8 of the Raft paper: entry 2 of term 2 on a majority in term 4.
        let (mut committed, log) = (Committed::default(), log(&[1, 2, 4]));
        committed.accept(replica(0), 4, 3);
        committed
            .advance(4, &log, None, &seats(3))
            .expect("no conflict");
        assert_eq!(committed.last().index, 0);
        committed.accept(replica(1), 4, 3);
        committed
            .advance(4, &log, None, &seats(3))
            .expect("no conflict");
        assert_eq!(committed.last().index, 3);
        assert_eq!(committed.upto_before(4), None);
        assert_eq!(committed.upto_before(5), log.get(3));
    }

    #[test]
    fn another_majority_at_the_same_index_is_a_conflict() {
        let mut committed = Committed::default();
        for node in 0..2 {
            committed.accept(replica(node), 1, 2);
        }
        committed
            .advance(1, &log(&[1, 1]), None, &seats(3))
            .expect("no conflict");
        for node in 1..3 {
            committed.accept(replica(node), 3, 2);
        }
        let other = log(&[1, 3]);
        let conflict = committed
            .advance(3, &other, None, &seats(3))
            .expect_err("a conflict");
        assert_eq!((conflict.was.term, conflict.now.term), (1, 3));
        committed.forget_from(2);
        committed
            .advance(3, &other, None, &seats(3))
            .expect("it was forgotten");
        assert_eq!(committed.last(), other.get(2).expect("there"));
    }

    #[test]
    fn only_voters_count_and_a_replaced_seat_counts_in_n() {
        let mut committed = Committed::default();
        let mut log = log(&[1]);
        let mut five = seats(5);
        five.0.insert(4, None);
        let configured = LogEntry {
            head: Head {
                index: 2,
                term: 1,
                hash: 7,
                end_address: 2,
            },
            seats: Some(five),
            expired_address: None,
        };
        log.push(&configured, 0);
        for node in [0, 1, 4] {
            committed.accept(replica(node), 1, 2);
        }
        committed.accept(Replica { node: 2, disk: 9 }, 1, 2);
        committed
            .advance(1, &log, None, &seats(5))
            .expect("no conflict");
        assert_eq!(committed.last().index, 1, "below it, seat 4 still counted");
        committed.accept(replica(2), 1, 2);
        committed
            .advance(1, &log, None, &seats(5))
            .expect("no conflict");
        assert_eq!(committed.last().index, 2);
        log.cut(1, 0, Cause::Replica);
    }
}
