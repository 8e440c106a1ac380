//! Bases: what a replica stores in place of the entries that it lacks (D8).
//!
//! "Compaction drops only wholly expired segments", and what has expired is "log
//! entries, decided once by the leader" (D30). So a base may stand for entries only
//! when they are committed, by the checker's own table, and when an entry that is
//! committed there says that they have expired. Any other record that a base stands
//! for is a record left out.
//!
//! With the entries of the example of [`served`](super::served), of which the first is
//! committed. A base stands in its place, before and after the cluster says that it has
//! expired:
//!
//! ```
//! use zeroloss::check::Promise;
//! use zeroloss::check::replicas::{Expiries, Head, Replica, bases};
//!
//! # use zeroloss::check::replicas::{Committed, Log, LogEntry, Seats};
//! # let seats = Seats((0..3).map(|node| (node, Some(9))).collect());
//! # let [b0, b1, b2] = [0, 1, 2].map(|node| Replica { node, disk: 9 });
//! # let head = |index, term| {
//! #     let (hash, end_address) = ((term << 8 | index) << 32, 100 * index);
//! #     Head { index, term, hash, end_address }
//! # };
//! # let mut log = Log::default();
//! # for index in 1..=2 {
//! #     log.push(&LogEntry { head: head(index, 1), seats: None, expired_address: None }, 0);
//! # }
//! # let mut committed = Committed::default();
//! # committed.accept(b0, 1, 2);
//! # committed.accept(b1, 1, 1);
//! # committed.advance(1, &log, None, &seats).unwrap();
//! let (base, mut expiries) = (head(1, 1), Expiries::default());
//! let installed = |expiries: &Expiries| {
//!     let broken = bases::check(b2, base, expiries.expired_address(&committed), &committed);
//!     broken.map(|broken| broken.promise)
//! };
//! assert_eq!(installed(&expiries), Some(Promise::PromisesKept));
//! // The word of an entry that is not committed does not count.
//! expiries.says(head(2, 1), 100);
//! assert_eq!(installed(&expiries), Some(Promise::PromisesKept));
//! expiries.says(head(1, 1), 100);
//! assert_eq!(installed(&expiries), None);
//! ```

use std::collections::BTreeMap;

use super::Broken;
use super::committed::Committed;
use super::fact::{Head, Replica};
use crate::check::Promise;

/// Every entry that any replica ever had which says that something has expired,
/// by index and term; with the log address below which all has.
#[derive(Debug, Clone, Default)]
pub struct Expiries(BTreeMap<(u64, u64), (Head, u64)>);

impl Expiries {
    /// An entry says that what ends at or below that log address has expired.
    pub fn says(&mut self, head: Head, below_address: u64) {
        self.0
            .insert((head.index, head.term), (head, below_address));
    }

    /// The log address below which all has expired, by what is committed.
    pub fn expired_address(&self, committed: &Committed) -> u64 {
        let is_fixed = |head: &Head| {
            let fixed = committed.get(head.index);
            fixed.is_some_and(|fixed| fixed.is(head))
        };
        let said = self.0.values().filter(|(head, _)| is_fixed(head));
        said.map(|(_, address)| *address).max().unwrap_or(0)
    }
}

/// A replica stores a base in place of all up to that entry, of which all below
/// `expired_address` has expired.
pub fn check(
    replica: Replica,
    base: Head,
    expired_address: u64,
    committed: &Committed,
) -> Option<Broken> {
    if base.index == 0 {
        return None;
    }
    let fixed = committed.get(base.index);
    let is_fixed = fixed.is_some_and(|fixed| fixed == base);
    if !is_fixed {
        let upto = match fixed {
            Some(fixed) => format!("committed is {fixed}"),
            None => format!("committed is all up to {}", committed.last().index),
        };
        let line = format!("{replica} has a base in place of all up to {base}; {upto}");
        return Some(Broken::new(Promise::StateMachineSafety, line));
    }
    (base.end_address > expired_address).then(|| {
        let line = format!(
            "{replica} has a base in place of all up to {base}, log address {}; what has expired \
             is all below {expired_address}",
            base.end_address
        );
        Broken::new(Promise::PromisesKept, line)
    })
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::{findings, outstanding};

    /// Entries 1 to 3 are committed by b0 and b1; the last says that what is
    /// below entry 2 has expired.
    const EXPIRED: &str = "hard 0 1; hard 1 1; lead 0 1; write 0 1.1 2.1 3.1!100;
                           write 1 1.1 2.1 3.1!100; sync 0 3; sync 1 3;";

    #[test]
    fn expired_entries_may_be_left_to_a_base() {
        assert!(findings(&format!("{EXPIRED} base 0 1; base 2 1")).is_empty());
    }

    #[test]
    fn entries_that_have_not_expired_may_not_be() {
        insta::assert_snapshot!(
            findings(&format!("{EXPIRED} base 2 2")),
            @"promises-kept: b2 has a base in place of all up to entry 2 of term 1 (00000102), log address 200; what has expired is all below 100"
        );
    }

    #[test]
    fn that_it_has_must_be_committed() {
        let text = "hard 0 1; hard 1 1; lead 0 1; write 0 1.1 2.1!100; write 1 1.1; sync 0 2;
                    sync 1 1; base 0 1";
        assert!(findings(text).contains("what has expired is all below 0"));
        assert!(
            findings(&format!("{text}; write 1 2.1!100; sync 1 2; base 0 1"))
                .matches('\n')
                .count()
                == 0
        );
    }

    #[test]
    fn nothing_stands_for_what_is_not_committed() {
        insta::assert_snapshot!(
            findings(&format!("{EXPIRED} write 0 4.1; base 0 4 own")),
            @"state-machine-safety: b0 has a base in place of all up to entry 4 of term 1 (00000104); committed is all up to 3"
        );
        assert!(
            findings(&format!("{EXPIRED} write 2 1.2; base 2 1 own"))
                .contains("committed is entry 1")
        );
    }

    #[test]
    fn a_replica_with_a_base_holds_all_up_to_it() {
        let installed =
            "hard 2 1; base 2 1; answer 2 1 1; write 2 2.1 3.1!100; sync 2 3; answer 2 1 3";
        assert!(findings(&format!("{EXPIRED} {installed}")).is_empty());
        assert!(
            findings(&format!("{EXPIRED} hard 2 1; base 2 1; answer 2 1 2"))
                .contains("only up to 1")
        );
    }

    #[test]
    fn a_base_takes_nothing_that_is_behind_it() {
        let dropped = "answer 1 1 3; base 1 1 drops";
        assert!(findings(&format!("{EXPIRED} {dropped}")).contains("cut its log from entry 2 on"));
    }

    #[test]
    fn a_base_takes_nothing_else_that_was_answered() {
        let other = "hard 2 2; write 2 1.2; sync 2 1; answer 2 2 1; base 2 1";
        assert!(findings(&format!("{EXPIRED} {other}")).contains("cut its log from entry 1 on"));
    }

    #[test]
    fn a_blank_disk_recovers_with_a_base_that_names_it() {
        let replaced = "destroy 2; disk 2 9; write 0 4.1=0:0,1:0,2:9 5.1!400;
                        write 1 4.1=0:0,1:0,2:9 5.1!400; sync 0 5; sync 1 5; hard 2 1;";
        assert_eq!(outstanding(&format!("{EXPIRED} {replaced} base 2 3")), [2]);
        let text = format!("{EXPIRED} {replaced} base 2 4=0:0,1:0,2:9");
        assert!(findings(&text).is_empty());
        assert!(outstanding(&text).is_empty());
    }
}
