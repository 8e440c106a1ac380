//! Members change "only after an own-term commit" (guarantee.md, D15): before it, a
//! leader may not know of a change that an earlier one has committed, and the
//! majorities of the two need not meet (Ongaro, raft-dev, 2015).
//!
//! With the entries of the example of [`served`](super::served): entry 1 of term 1 is committed,
//! and nothing of term 2. Each leader writes a change of members:
//!
//! ```
//! use zeroloss::check::replicas::{Head, Replica, membership};
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
//! let change = |index, term| LogEntry {
//!     head: head(index, term),
//!     seats: Some(seats.clone()),
//!     expired_address: None,
//! };
//! assert_eq!(membership::check(b0, Some(1), &change(3, 1), &committed), None);
//! let broken = membership::check(b1, Some(2), &change(2, 2), &committed).unwrap();
//! assert!(broken.lines[0].ends_with("before an entry of that term is committed"));
//! // A follower copies what its leader wrote.
//! assert_eq!(membership::check(b2, None, &change(2, 2), &committed), None);
//! ```

use super::Broken;
use super::committed::Committed;
use super::fact::{LogEntry, Replica};
use crate::check::Promise;

/// A leader of `led` wrote an entry into its own log.
pub fn check(
    replica: Replica,
    led: Option<u64>,
    entry: &LogEntry,
    committed: &Committed,
) -> Option<Broken> {
    let term = led.filter(|term| *term == entry.head.term && entry.seats.is_some())?;
    if committed.upto_in(term) > 0 {
        return None;
    }
    let index = entry.head.index;
    let line = format!(
        "{replica} leads term {term} and changes the members (entry {index}) before an entry of \
         that term is committed"
    );
    Some(Broken::new(Promise::ElectionSafety, line))
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::findings;

    const LED: &str = "hard 0 1; hard 1 1; lead 0 1; write 0 1.1; sync 0 1";

    #[test]
    fn a_change_waits_for_an_entry_of_the_term() {
        insta::assert_snapshot!(
            findings(&format!("{LED}; write 0 2.1=0:0,1:0")),
            @"election-safety: b0 leads term 1 and changes the members (entry 2) before an entry of that term is committed"
        );
        let waited = format!("{LED}; write 1 1.1; sync 1 1; write 0 2.1=0:0,1:0");
        assert_eq!(findings(&waited), "");
    }

    #[test]
    fn a_follower_copies_a_change_at_any_time() {
        assert_eq!(findings(&format!("{LED}; write 1 1.1 2.1=0:0,1:0")), "");
    }
}
