//! Read committed, for replicas: "every entry applied or served equals the
//! checker's own `committed[index]` = (term, hash)" (guarantee.md, section 2).
//!
//! A majority of three holds entry 1 of term 1, and one replica alone entry 2:
//!
//! ```
//! use zeroloss::check::replicas::{Committed, Head, Log, LogEntry, Replica, Seats, served};
//!
//! let [b0, b1, _] = [0, 1, 2].map(|node| Replica { node, disk: 9 });
//! let seats = Seats((0..3).map(|node| (node, Some(9))).collect());
//! let head = |index| Head { index, term: 1, hash: index << 32, end_address: 100 * index };
//! let mut log = Log::default();
//! for index in 1..=2 {
//!     log.push(&LogEntry { head: head(index), seats: None, expired_address: None }, 0);
//! }
//! let mut committed = Committed::default();
//! committed.accept(b0, 1, 2);
//! committed.accept(b1, 1, 1);
//! committed.advance(1, &log, None, &seats).unwrap();
//!
//! let serves = |index, what| served::check(what, b0, log.get(index), &committed);
//! assert_eq!(serves(1, "orders/3 offset 0"), None);
//! let line = "orders/3 offset 1 served by b0 is entry 2 of term 1 (00000002); committed is all \
//!             up to 1";
//! assert_eq!(serves(2, "orders/3 offset 1").unwrap().lines, [line]);
//! ```

use super::Broken;
use super::committed::Committed;
use super::fact::{Head, Replica};
use crate::check::Promise;

/// A replica served a record. Records of a queue come in the order of their
/// addresses, and the last entry speaks for all below it.
pub fn check(
    what: &str,
    replica: Replica,
    head: Option<Head>,
    committed: &Committed,
) -> Option<Broken> {
    let broken = |line: String| Some(Broken::new(Promise::ReadCommitted, line));
    let Some(head) = head else {
        return broken(format!(
            "{what} served by {replica}, which has no such entry"
        ));
    };
    match committed.get(head.index) {
        Some(fixed) if fixed.is(&head) => None,
        Some(fixed) => broken(format!(
            "{what} served by {replica} is {head}; committed is {fixed}"
        )),
        None => broken(format!(
            "{what} served by {replica} is {head}; committed is all up to {}",
            committed.last().index
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::findings;

    const TWO: &str = "hard 0 1; hard 1 1; lead 0 1; write 0 1.1 2.1; write 1 1.1; sync 0 2;
                       sync 1 1;";

    #[test]
    fn an_entry_that_a_majority_holds_may_be_served() {
        assert!(findings(&format!("{TWO} serve 0 1; serve 1 1")).is_empty());
    }

    #[test]
    fn an_uncommitted_entry_may_not_be_served() {
        insta::assert_snapshot!(
            findings(&format!("{TWO} serve 0 2")),
            @"read-committed: orders/3 offset 2 served by b0 is entry 2 of term 1 (00000102); committed is all up to 1"
        );
    }

    #[test]
    fn another_entry_than_the_committed_one_may_not() {
        assert!(
            findings(&format!("{TWO} write 2 1.2; serve 2 1")).contains("committed is entry 1")
        );
        assert!(findings(&format!("{TWO} serve 2 1")).contains("no such entry"));
    }

    /// The new disk of b2 has caught up; b1, the other voter, lags behind.
    const CAUGHT_UP: &str = "hard 0 1; hard 1 1; destroy 2; disk 2 9; hard 2 1;
        write 0 1.1=0:0,1:0,2:-; lead 0 1; write 0 2.1; write 1 1.1=0:0,1:0,2:-; write 2 1.1=0:0,1:0,2:- 2.1;
        sync 0 2; sync 1 1; sync 2 2;";

    #[test]
    fn a_configuration_counts_once_its_leader_has_it_written_or_not() {
        assert!(findings(&format!("{CAUGHT_UP} serve 0 2")).contains("all up to 1"));
        for serves in ["serve 0 2", "ack 0 2"] {
            let promoted = format!("{CAUGHT_UP} seat 0 1 3=0:0,1:0,2:9; {serves}");
            assert_eq!(findings(&promoted), "");
        }
    }

    #[test]
    fn a_configuration_may_be_seen_after_what_rested_on_it() {
        for serves in ["serve 0 2", "ack 0 2"] {
            for seen in ["seat 0 1 3=0:0,1:0,2:9", "write 0 3.1=0:0,1:0,2:9"] {
                assert_eq!(findings(&format!("{CAUGHT_UP} {serves}; {seen}")), "");
            }
            // Held by the new disk's leader alone, at that moment.
            let alone = CAUGHT_UP.replace("sync 2 2", "sync 2 1");
            let later = format!("{alone} {serves}; seat 0 1 3=0:0,1:0,2:9; sync 2 2");
            assert_ne!(findings(&later), "");
        }
    }

    #[test]
    fn copies_on_disks_without_that_seat_do_not_count() {
        for seated in [
            "0 1 3=0:0,1:0,2:8",
            "0 2 3=0:0,1:0,2:9",
            "1 1 3=0:0,1:0,2:9",
        ] {
            let text = format!("{CAUGHT_UP} seat {seated}; serve 0 2; ack 0 2");
            let found = findings(&text);
            assert!(
                found.contains("all up to 1") && found.contains("2 of 3 are needed"),
                "{seated}: {found}"
            );
        }
        // Held by the new disk's leader alone, whatever the votes.
        let alone = CAUGHT_UP.replace("sync 2 2", "sync 2 1");
        assert!(
            findings(&format!("{alone} seat 0 1 3=0:0,1:0,2:9; serve 0 2")).contains("all up to 1")
        );
    }
}
