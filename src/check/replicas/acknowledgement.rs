//! The acknowledgement oracle for replicas (guarantee.md, section 2): a replica that
//! says that something stays, to a client or to a peer, says it when it is held.
//!
//! With the entries of the example of [`served`](super::served): entry 1 is on two disks of
//! three, entry 2 on the leader's alone:
//!
//! ```
//! use zeroloss::check::replicas::acknowledgement::{Answer, check};
//! use zeroloss::check::replicas::{Head, Medium, Replica};
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
//! let (medium, holders) = (Medium::Durable, &[b0]);
//! let answer = Answer { replica: b0, led: Some(1), seats: &seats, medium, holders };
//! assert_eq!(check("order 1", log.get(1), &answer, &committed), None);
//!
//! let broken = check("order 2", log.get(2), &answer, &committed).unwrap();
//! assert_eq!(broken.lines, [
//!     "order 2 acknowledged by b0, leader of term 1, at entry 2 of term 1 (00000102)",
//!     "synced at b0; an entry of term 1 at or above it synced at b0; 2 of 3 are needed",
//! ]);
//! ```
//!
//! A vote leaves once it is stored:
//!
//! ```
//! use zeroloss::check::replicas::acknowledgement::check_voted;
//! use zeroloss::check::replicas::{HardState, Replica};
//!
//! let [b0, b1] = [0, 1].map(|node| Replica { node, disk: 9 });
//! let stored = |vote| HardState { term: 2, vote };
//! assert!(check_voted(b0, 2, b1, stored(Some(b1))).is_none());
//! assert!(check_voted(b0, 2, b1, stored(None)).is_some());
//! ```

use super::Broken;
use super::committed::Committed;
use super::fact::{HardState, Head, Medium, Replica, Seats};
use crate::check::Promise;

fn broken(lines: Vec<String>) -> Broken {
    Broken {
        promise: Promise::Acknowledgement,
        lines,
    }
}

/// The basis of a replica's answer to a client.
pub struct Answer<'a> {
    /// The replica that answers.
    pub replica: Replica,
    /// The highest term it led; `None`: none ever.
    pub led: Option<u64>,
    /// "The latest configuration in the acknowledging leader's log".
    pub seats: &'a Seats,
    /// The medium on which an entry counts as held.
    pub medium: Medium,
    /// Those that hold the entry now.
    pub holders: &'a [Replica],
}

/// A leader's answer needs "a quorum of the latest configuration in the
/// acknowledging leader's log, for the entry **and** for an entry of that
/// leader's own term at or above it".
pub fn check(
    what: &str,
    head: Option<Head>,
    answer: &Answer<'_>,
    committed: &Committed,
) -> Option<Broken> {
    let replica = answer.replica;
    let Some(head) = head else {
        return Some(broken(vec![format!(
            "{what} acknowledged by {replica}, which has no such entry"
        )]));
    };
    let Some(term) = answer.led else {
        return Some(broken(vec![format!(
            "{what} acknowledged by {replica}, which never led"
        )]));
    };
    let is_held = committed
        .get(head.index)
        .is_some_and(|fixed| fixed.is(&head))
        && committed.upto_in(term) >= head.index;
    if is_held {
        return None;
    }
    let own = committed.accepted_by(term, head.index);
    let own = own
        .into_iter()
        .filter(|replica| answer.seats.has_voter(*replica));
    let own: Vec<Replica> = own.collect();
    let (quorum, seats) = (answer.seats.quorum(), answer.seats.0.len());
    let medium = answer.medium.name();
    Some(broken(vec![
        format!("{what} acknowledged by {replica}, leader of term {term}, at {head}"),
        format!(
            "{medium} at {}; an entry of term {term} at or above it {medium} at {}; {quorum} of \
             {seats} are needed",
            names(answer.holders),
            names(&own)
        ),
    ]))
}

fn names(replicas: &[Replica]) -> String {
    match replicas {
        [] => "none".to_owned(),
        some => some
            .iter()
            .map(Replica::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// "Entries durable … before append success is answered" (D2), and the term
/// before any message of it leaves (D1).
pub fn check_answered(
    replica: Replica,
    (term, matched): (u64, u64),
    state: HardState,
    held_upto: u64,
    medium: Medium,
) -> Option<Broken> {
    let medium = medium.name();
    let line = if matched > held_upto {
        format!("{replica} answered all up to entry {matched}, {medium} only up to {held_upto}")
    } else if term > state.term {
        let held = state.term;
        format!("{replica} answered an append of term {term}; the term it has stored is {held}")
    } else {
        return None;
    };
    Some(broken(vec![line]))
}

/// The answer names "the last index matched by this message; the durable index
/// alone counts a divergent suffix as matched" (D2).
pub fn check_matched(
    replica: Replica,
    own: Option<Head>,
    leader: Replica,
    leaders: Option<Head>,
) -> Option<Broken> {
    let (own, leaders) = (own?, leaders?);
    (!own.is(&leaders)).then(|| {
        broken(vec![format!(
            "{replica} answered that it matches {leader}: it has {own}, which has {leaders}"
        )])
    })
}

/// "Term and vote … durable before any message of that term leaves" (D1).
pub fn check_voted(
    replica: Replica,
    term: u64,
    candidate: Replica,
    state: HardState,
) -> Option<Broken> {
    let stored = state.term > term || (state.term, state.vote) == (term, Some(candidate));
    (!stored).then(|| {
        let vote = state
            .vote
            .map_or("nobody".to_owned(), |vote| vote.to_string());
        broken(vec![format!(
            "{replica} granted its vote of term {term} to {candidate}; it has stored a vote of \
             term {} for {vote}",
            state.term
        )])
    })
}

#[cfg(test)]
mod tests {
    use crate::check::replicas::story::{async_findings, findings};

    const LEADER: &str = "hard 0 1; hard 1 1; lead 0 1; write 0 1.1; write 1 1.1;";

    #[test]
    fn a_majority_has_to_hold_it() {
        assert!(findings(&format!("{LEADER} sync 0 1; sync 1 1; ack 0 1")).is_empty());
        insta::assert_snapshot!(
            findings(&format!("{LEADER} sync 0 1; ack 0 1; sync 1 1; ack 0 1")),
            @r"
        acknowledgement: entry 1 acknowledged by b0, leader of term 1, at entry 1 of term 1 (00000101)
          synced at b0; an entry of term 1 at or above it synced at b0; 2 of 3 are needed
        "
        );
    }

    #[test]
    fn with_asynchronous_flush_the_page_cache_counts() {
        assert!(async_findings(&format!("{LEADER} ack 0 1")).is_empty());
        assert!(
            async_findings("hard 0 1; lead 0 1; write 0 1.1; ack 0 1").contains("cached at b0")
        );
    }

    #[test]
    fn an_entry_in_place_of_one_that_rotted_counts() {
        let cut =
            "sync 0 1; sync 1 1; write 0 2.1; sync 0 2; hard 0 2; hard 1 2; lead 1 2; recut 0 2";
        let rotten = format!("{LEADER} {cut}; rot 0 1");
        let again = "write 1 2.2; write 0 2.2; sync 1 2; believe 0 2; ack 1 2";
        assert_eq!(findings(&format!("{rotten}; {again}")), "");
    }

    #[test]
    fn an_entry_that_a_fault_took_since_counts() {
        assert!(findings(&format!("{LEADER} sync 0 1; sync 1 1; rot 1 0; ack 0 1")).is_empty());
    }

    #[test]
    fn an_entry_of_an_old_term_waits_for_one_of_the_leader_s_own() {
        let old = "hard 0 1; lead 0 1; write 0 1.1; sync 0 1; hard 0 3; hard 1 3; lead 0 3;
                   write 1 1.1; sync 1 1;";
        assert!(
            findings(&format!("{old} ack 0 1")).contains("of term 3 at or above it synced at none")
        );
        let own = "write 0 2.3; write 1 2.3; sync 0 2; sync 1 2;";
        assert!(findings(&format!("{old} {own} ack 0 1")).is_empty());
    }

    #[test]
    fn a_replica_with_the_only_vote_leads_what_it_writes_in_its_own_term() {
        let alone = "hard 0 3 0; write 0 1.3=0:0; sync 0 1;";
        assert_eq!(findings(&format!("{alone} ack 0 1")), "");
        let other = "hard 0 3 1; write 0 1.3=0:0; sync 0 1; ack 0 1";
        assert!(findings(other).contains("which never led"));
    }

    #[test]
    fn a_replica_that_never_led_or_lacks_the_entry_acknowledges_nothing() {
        assert!(findings(&format!("{LEADER} ack 1 1")).contains("which never led"));
        assert!(findings(&format!("{LEADER} ack 0 2")).contains("no such entry"));
    }

    /// A message that is sent again is answered with the place it had, which may be below
    /// the base by now.
    #[test]
    fn what_was_committed_below_a_base_may_be_acknowledged_again() {
        let expired = "hard 0 1; hard 1 1; lead 0 1; write 0 1.1 2.1!100; write 1 1.1 2.1!100;
                       sync 0 2; sync 1 2; base 0 1; base 1 1;";
        assert_eq!(findings(&format!("{expired} ack 0 1")), "");
        assert!(findings(&format!("{expired} ack 1 1")).contains("which never led"));
        assert!(findings(&format!("{expired} ack 0 3")).contains("no such entry"));
        let next = "hard 1 2; hard 2 2; lead 1 2; write 1 3.2;";
        assert!(
            findings(&format!("{expired} {next} ack 1 1"))
                .contains("of term 2 at or above it synced at none")
        );
    }

    #[test]
    fn a_follower_answers_for_what_it_holds() {
        let held = "sync 0 1; sync 1 1; answer 1 1 1";
        assert!(findings(&format!("{LEADER} {held}")).is_empty());
        insta::assert_snapshot!(
            findings(&format!("{LEADER} answer 1 1 1")),
            @"acknowledgement: b1 answered all up to entry 1, synced only up to 0"
        );
        assert!(async_findings(&format!("{LEADER} answer 1 1 1")).is_empty());
        insta::assert_snapshot!(
            findings("hard 1 1; answer 1 2 0"),
            @"acknowledgement: b1 answered an append of term 2; the term it has stored is 1"
        );
    }

    /// guarantee.md, section 7, "Durable is not matched".
    #[test]
    fn the_durable_index_is_not_the_matched_one() {
        let text = "write 0 1.1 2.1; sync 0 2; hard 1 2; hard 0 2; lead 1 2; write 1 1.1 2.2;
                    sync 1 2; answer 0 2 2";
        insta::assert_snapshot!(
            findings(text),
            @"acknowledgement: b0 answered that it matches b1: it has entry 2 of term 1 (00000102), which has entry 2 of term 2 (00000202)"
        );
    }

    #[test]
    fn entries_of_a_log_that_was_cut_do_not_count_for_the_new_ones() {
        let recut = "hard 0 1; write 0 1.1 2.1 3.1; sync 0 3; hard 0 2; hard 1 2; lead 1 2;
                     write 1 1.1 2.2; sync 1 2; recut 0 2; write 0 2.2;";
        insta::assert_snapshot!(
            findings(&format!("{recut} answer 0 2 2")),
            @"acknowledgement: b0 answered all up to entry 2, synced only up to 1"
        );
        // The disk said so, of the new ones.
        let told = format!("{recut} believe 0 2; answer 0 2 2; ack 1 2");
        assert_eq!(findings(&told), "");
    }

    #[test]
    fn a_vote_is_stored_before_it_is_given() {
        assert!(findings("hard 0 2 1; vote 0 2 1").is_empty());
        insta::assert_snapshot!(
            findings("hard 0 1; vote 0 2 1"),
            @"acknowledgement: b0 granted its vote of term 2 to b1; it has stored a vote of term 1 for nobody"
        );
    }

    #[test]
    fn an_entry_that_a_disk_lied_about_counts_as_held() {
        assert!(findings(&format!("{LEADER} sync 0 1; believe 1 1; ack 0 1")).is_empty());
    }
}
