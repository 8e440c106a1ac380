//! Log matching: "if two logs contain an entry with the same index and term, then
//! the logs are identical in all entries up through the given index" (Ongaro,
//! figure 3.2).
//!
//! An entry's hash covers that of the entry before, so entries with one index, one
//! term and one hash have the same logs below them. The check that is left is that no
//! two hashes ever share an index and a term: one look for an entry.
//!
//! Two replicas hold an entry of one index and one term, and not the same:
//!
//! ```
//! use zeroloss::check::replicas::log_matching::Matching;
//! use zeroloss::check::replicas::{Head, Replica};
//!
//! let [b0, b1] = [0, 1].map(|node| Replica { node, disk: 9 });
//! let head = |term, hash: u64| Head { index: 2, term, hash: hash << 32, end_address: 200 };
//! let mut matching = Matching::default();
//! assert_eq!(matching.holds(b0, head(1, 7)), Ok(()));
//! assert_eq!(matching.holds(b1, head(2, 8)), Ok(()), "another term, another entry");
//!
//! let broken = matching.holds(b1, head(1, 9)).unwrap_err();
//! let line = "b0 holds entry 2 of term 1 (00000007), and b1 holds entry 2 of term 1 (00000009)";
//! assert_eq!(broken.lines, [line]);
//! ```

use std::collections::BTreeMap;

use super::Broken;
use super::fact::{Head, Replica};
use crate::check::Promise;

/// Every entry that any replica ever held, by index and term.
#[derive(Debug, Clone, Default)]
pub struct Matching(BTreeMap<(u64, u64), (Head, Replica)>);

impl Matching {
    /// A replica holds an entry.
    ///
    /// # Errors
    /// Another replica holds, or held, another one of that index and term.
    pub fn holds(&mut self, replica: Replica, head: Head) -> Result<(), Broken> {
        let place = (head.index, head.term);
        let (known, first) = *self.0.entry(place).or_insert((head, replica));
        if known.is(&head) {
            return Ok(());
        }
        let line = format!("{first} holds {known}, and {replica} holds {head}");
        Err(Broken::new(Promise::LogMatching, line))
    }
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::findings;

    #[test]
    fn logs_may_differ_where_their_terms_do() {
        assert!(findings("write 0 1.1 2.1; sync 0 2; write 1 1.1 2.2; sync 1 2").is_empty());
    }

    #[test]
    fn one_index_one_term_one_entry() {
        insta::assert_snapshot!(
            findings("write 0 1.1 2.1; sync 0 2; write 1 1.1 2.1b; sync 1 2"),
            @"log-matching: b0 holds entry 2 of term 1 (00000102), and b1 holds entry 2 of term 1 (00010102)"
        );
    }

    #[test]
    fn an_index_reused_in_its_term_after_a_failed_write_shows() {
        let text = "write 0 1.1; sync 0 1; power 0 0; write 0 1.1b; sync 0 1";
        assert!(findings(text).contains("log-matching"));
    }
}
