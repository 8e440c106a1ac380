//! Leader completeness: "if a log entry is committed in a given term, then that
//! entry will be present in the logs of the leaders for all higher-numbered terms"
//! (Ongaro, figure 3.2).
//!
//! With the entries of the example of [`served`](super::served), of which the first is
//! committed. A replica leads term 2, with that entry and with another in its place:
//!
//! ```
//! use zeroloss::check::replicas::{Head, Replica, leader_completeness};
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
//! assert_eq!(leader_completeness::check(b1, 2, &log, &committed), None);
//!
//! let mut other = Log::default();
//! other.push(&LogEntry { head: head(1, 2), seats: None, expired_address: None }, 0);
//! let broken = leader_completeness::check(b2, 2, &other, &committed).unwrap();
//! assert_eq!(broken.lines, ["b2 leads term 2 without entry 1 of term 1 (00000101), which is \
//!                            committed: it has entry 1 of term 2 (00000201)"]);
//!
//! // Entry 2 is b0's alone, and may go.
//! let cuts = |index| leader_completeness::check_cut(b0, head(index, 1), &committed);
//! assert!(cuts(2).is_none() && cuts(1).is_some());
//! ```

use super::Broken;
use super::committed::Committed;
use super::fact::{Head, Replica};
use super::log::Log;
use crate::check::Promise;

/// A replica leads a term for the first time: whether its log has all that was
/// committed in lower terms. The last of these entries speaks for all below it.
pub fn check(replica: Replica, term: u64, log: &Log, committed: &Committed) -> Option<Broken> {
    let last = committed.upto_before(term)?;
    let other = log.get(last.index).filter(|_| !log.has(&last))?;
    Some(broken(replica, term, last, other))
}

/// A leader's log may be longer than what it has written: entries wait in memory
/// while a segment rolls. So what it writes next tells whether it had what was
/// committed in lower terms, or begins its own term in its place.
pub fn check_written(
    replica: Replica,
    term: u64,
    written: Head,
    committed: &Committed,
) -> Option<Broken> {
    let last = committed.upto_before(term)?;
    let fixed = committed.get(written.index)?;
    let missed = written.term == term && written.index <= last.index && !fixed.is(&written);
    missed.then(|| broken(replica, term, last, written))
}

fn broken(replica: Replica, term: u64, last: Head, other: Head) -> Broken {
    let line =
        format!("{replica} leads term {term} without {last}, which is committed: it has {other}");
    Broken::new(Promise::LeaderCompleteness, line)
}

/// A replica cut its log by itself: what is committed must stay, whatever it
/// knows of that (D6: "never at or below the commit index").
pub fn check_cut(replica: Replica, first: Head, committed: &Committed) -> Option<Broken> {
    let fixed = committed.get(first.index)?;
    fixed.is(&first).then(|| {
        let line = format!("{replica} cut off {first}, which is committed");
        Broken::new(Promise::LeaderCompleteness, line)
    })
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::findings;

    /// Entry 1 is committed in term 1 by b0 and b1.
    const COMMITTED: &str = "hard 0 1; hard 1 1; lead 0 1; write 0 1.1; write 1 1.1;
                             sync 0 1; sync 1 1;";

    #[test]
    fn the_next_leader_has_what_was_committed() {
        assert!(findings(&format!("{COMMITTED} hard 1 2; lead 1 2")).is_empty());
    }

    #[test]
    fn a_leader_without_it_shows_by_what_it_has_or_writes() {
        assert!(
            findings(&format!("{COMMITTED} hard 2 2; lead 2 2; write 2 1.2"))
                .contains("b2 leads term 2 without entry 1 of term 1")
        );
        assert!(
            findings(&format!("{COMMITTED} hard 2 2; write 2 1.2; lead 2 2"))
                .contains("it has entry 1 of term 2")
        );
    }

    #[test]
    fn a_leader_of_a_lower_term_may_lack_it() {
        let late = "hard 0 2; hard 1 2; lead 0 2; write 0 1.2; write 1 1.2;
                    sync 0 1; sync 1 1; lead 2 1";
        assert!(findings(late).is_empty());
    }

    #[test]
    fn a_committed_entry_is_not_cut() {
        insta::assert_snapshot!(
            findings(&format!("{COMMITTED} hard 1 2; cut 1 1")),
            @"leader-completeness: b1 cut off entry 1 of term 1 (00000101), which is committed"
        );
        assert!(findings(&format!("{COMMITTED} write 1 2.1; hard 1 2; cut 1 2")).is_empty());
    }
}
