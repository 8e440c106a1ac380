//! Promises kept: "per (node, disk, incarnation): term never falls; one vote in a
//! term; an acknowledged (index, term) disappears only by truncation under a
//! higher term or by a ledgered fault. (The commit index is volatile and may fall
//! on restart)" (guarantee.md, section 2).
//!
//! A replica is bound by its words: its vote, and up to where it has the leader's log:
//!
//! ```
//! use zeroloss::check::replicas::Replica;
//! use zeroloss::check::replicas::promises_kept::Promises;
//!
//! let [b0, b1, b2] = [0, 1, 2].map(|node| Replica { node, disk: 9 });
//! let mut promises = Promises::default();
//! assert_eq!(promises.votes(b0, 1, b1), Ok(()));
//! let twice = promises.votes(b0, 1, b2).unwrap_err();
//! assert_eq!(twice.lines, ["in term 1, b0 votes for b1 and for b2"]);
//!
//! promises.answers(b0, 1, 5);
//! assert!(promises.check_cut(b0, 1, 4).is_some(), "nobody can have told it to");
//! assert!(promises.check_cut(b0, 2, 4).is_none(), "a leader of a higher term may");
//! // A fault took entries 4 and 5: that is no broken promise, and is forgotten.
//! promises.lost(b0, 4);
//! assert!(promises.check_cut(b0, 1, 4).is_none());
//! ```

use std::collections::BTreeMap;

use super::Broken;
use super::fact::{HardState, Replica};
use crate::check::Promise;

/// The promises of every replica to its peers.
#[derive(Debug, Clone, Default)]
pub struct Promises {
    votes: BTreeMap<(Replica, u64), Replica>,
    /// By replica: the highest term in which it promised anything.
    spoke: BTreeMap<Replica, u64>,
    /// By replica and term: the last index that it said it has.
    answered: BTreeMap<Replica, BTreeMap<u64, u64>>,
}

fn broken(line: String) -> Broken {
    Broken::new(Promise::PromisesKept, line)
}

/// A replica spoke in the name of a disk: a peer that counts on that disk must find
/// it again after a power loss (D24).
pub fn check_name(node: u32, stored: u64, named: u64) -> Option<Broken> {
    (stored != named).then(|| {
        broken(format!(
            "b{node} speaks for disk {named:#x}, and that name is not durable on its disk"
        ))
    })
}

/// A replica's hard state changed by its own doing.
pub fn check_change(replica: Replica, was: HardState, is: HardState) -> Option<Broken> {
    let HardState { term, vote } = is;
    if term < was.term {
        let line = format!("the term of {replica} fell from {} to {term}", was.term);
        return Some(broken(line));
    }
    let voted = was.vote.filter(|_| term == was.term)?;
    if vote == Some(voted) {
        return None;
    }
    let now = vote.map_or("nobody".to_owned(), |candidate| candidate.to_string());
    let line = format!("in term {term}, {replica} had voted for {voted}, and now for {now}");
    Some(broken(line))
}

/// A replica has no hard state any more, by its own doing.
pub fn check_gone(replica: Replica, was: HardState) -> Broken {
    let line = format!(
        "{replica} has no hard state any more; its term was {}",
        was.term
    );
    broken(line)
}

impl Promises {
    /// A replica grants its vote.
    ///
    /// # Errors
    /// It gave it to another one in that term.
    pub fn votes(&mut self, replica: Replica, term: u64, candidate: Replica) -> Result<(), Broken> {
        let first = *self.votes.entry((replica, term)).or_insert(candidate);
        if first == candidate {
            return Ok(());
        }
        let line = format!("in term {term}, {replica} votes for {first} and for {candidate}");
        Err(broken(line))
    }

    /// A replica votes, answers or leads in a term.
    ///
    /// # Errors
    /// It did so in a higher one before: what it said then, it has forgotten.
    pub fn speaks(&mut self, replica: Replica, term: u64) -> Result<(), Broken> {
        let highest = self.spoke.entry(replica).or_default();
        if *highest <= term {
            *highest = term;
            return Ok(());
        }
        let line = format!("{replica} spoke in term {highest}, and now in term {term}");
        Err(broken(line))
    }

    /// A replica says that it has the log of a term's leader up to there.
    pub fn answers(&mut self, replica: Replica, term: u64, matched: u64) {
        let upto = self
            .answered
            .entry(replica)
            .or_default()
            .entry(term)
            .or_default();
        *upto = matched.max(*upto);
    }

    /// A replica, now in `term`, cut its log by itself. Nobody can have told it to cut
    /// what it said in that term or a higher one.
    pub fn check_cut(&self, replica: Replica, term: u64, from_index: u64) -> Option<Broken> {
        let said = self.answered.get(&replica)?.range(term..);
        let mut above = said.filter(|(_, upto)| **upto >= from_index);
        let (said_in, upto) = above.next()?;
        Some(broken(format!(
            "{replica} said in term {said_in} that it has all up to entry {upto}, and in term \
             {term} cut its log from entry {from_index} on"
        )))
    }

    /// A fault took a replica's log from there on: what it had said is the
    /// ledger's.
    pub fn lost(&mut self, replica: Replica, from_index: u64) {
        for upto in self.answered.entry(replica).or_default().values_mut() {
            *upto = (*upto).min(from_index.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::findings;

    #[test]
    fn terms_rise_and_votes_stay() {
        assert!(findings("hard 0 1; hard 0 1 1; hard 0 1 1; hard 0 2; hard 0 4 2").is_empty());
        insta::assert_snapshot!(
            findings("hard 0 2; hard 0 1"),
            @"promises-kept: the term of b0 fell from 2 to 1"
        );
        insta::assert_snapshot!(
            findings("hard 0 2 1; hard 0 2 2; hard 0 2"),
            @r"
        promises-kept: in term 2, b0 had voted for b1, and now for b2
        promises-kept: in term 2, b0 had voted for b2, and now for nobody
        "
        );
        insta::assert_snapshot!(
            findings("hard 0 2 1; hard 0 none"),
            @"promises-kept: b0 has no hard state any more; its term was 2"
        );
    }

    /// A term that is in the page cache alone is forgotten with the power, and never
    /// falls on the medium.
    #[test]
    fn a_term_that_was_spoken_in_is_not_forgotten() {
        assert!(findings("hard 0 1 1; vote 0 1 1; hard 0 2 2; vote 0 2 2").is_empty());
        assert!(findings("hard 0 2 2; vote 0 2 2; disk 0 9; hard 0 1 1; vote 0 1 1").is_empty());
        let found = findings("hard 0 1 1; vote 0 2 2; vote 0 1 1");
        assert!(
            found.contains("b0 spoke in term 2, and now in term 1"),
            "{found}"
        );
    }

    #[test]
    fn a_name_is_durable_before_it_is_spoken() {
        assert!(findings("disk 0 9; speak 0 9").is_empty());
        insta::assert_snapshot!(
            findings("disk 0 9; speak 0 10"),
            @"promises-kept: b0 speaks for disk 0xa, and that name is not durable on its disk"
        );
    }

    #[test]
    fn another_disk_has_promised_nothing() {
        assert!(findings("hard 0 2 1; disk 0 9; hard 0 1").is_empty());
    }

    #[test]
    fn one_vote_in_a_term() {
        assert!(findings("hard 0 1 1; vote 0 1 1; vote 0 1 1; hard 0 2 2; vote 0 2 2").is_empty());
        insta::assert_snapshot!(
            findings("hard 0 1 1; vote 0 1 1; disk 0 0; hard 0 1 2; vote 0 1 2"),
            @"promises-kept: in term 1, b0 votes for b1 and for b2"
        );
    }

    const ANSWERED: &str = "hard 0 1; lead 0 1; write 0 1.1 2.1; sync 0 2;
                            hard 1 1; write 1 1.1 2.1; sync 1 2;";

    #[test]
    fn an_answered_entry_goes_only_under_a_higher_term() {
        let higher = "hard 0 1; write 0 1.1; sync 0 1; answer 0 1 1; hard 0 2; cut 0 1";
        assert!(findings(higher).is_empty());
        insta::assert_snapshot!(
            findings("hard 0 1; write 0 1.1; sync 0 1; answer 0 1 1; cut 0 1"),
            @"promises-kept: b0 said in term 1 that it has all up to entry 1, and in term 1 cut its log from entry 1 on"
        );
        assert!(findings(&format!("{ANSWERED} answer 1 1 2; rot 1 1; write 1 2.1")).is_empty());
    }
}
