//! Group offsets: an acknowledged commit is as durable as a message (D22).
//!
//! A group's offset on a queue is a register: the last commit applied wins. So
//! an answer is right if some commit of that offset is not wholly older than
//! another one that was acknowledged before the question was asked. A commit
//! that was never answered may be applied at any later time.
//!
//! A commit of 9 is acknowledged, and the next consumer is told where its group stands:
//!
//! ```
//! use zeroloss::check::group_offsets::{self, Violation};
//! use zeroloss::check::Facts;
//! use zeroloss::history::{Event, Queue, Recorder};
//!
//! const S: u64 = 1_000_000_000;
//! let told = |offset: Option<u64>| {
//!     let queue = || Queue { topic: "orders".into(), queue_id: 3 };
//!     let group = || "red-packet".into();
//!     let seen = Recorder::default();
//!     let commit = Event::CommitBegan { op: 1, group: group(), queue: queue(), offset: 9 };
//!     seen.record(1 * S, 1, commit);
//!     seen.record(2 * S, 1, Event::CommitEnded { op: 1, acknowledged: true });
//!     seen.record(3 * S, 2, Event::Resumed { group: group(), queue: queue(), offset });
//!     let found = group_offsets::check(&Facts::new(&seen.take()));
//!     found.iter().flat_map(|found| found.finding().lines).collect::<Vec<_>>()
//! };
//! assert!(told(Some(9)).is_empty());
//! let lost = "group red-packet on orders/3: commit of 9 acknowledged at 2.000s, recorded as 5 at \
//!             3.000s";
//! assert_eq!(told(Some(5)), [lost]);
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::groups::{GroupEvent, GroupFacts, Key};
use super::{At, Facts, Finding, Lost, LostThing, Missed, Promise};

/// A problem with recorded offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// An acknowledged commit is gone.
    Lost(Lost),
    /// An offset is recorded that nobody ever asked for.
    NeverCommitted {
        /// `group on queue`.
        who: String,
        /// The recorded offset.
        offset: u64,
        /// When the broker said so, nanoseconds.
        at_ns: u64,
        /// The entry of the history that says so.
        event: u64,
    },
}

impl Violation {
    /// As a broken promise.
    pub fn finding(&self) -> Finding {
        match self {
            Self::Lost(lost) => lost.finding(),
            Self::NeverCommitted {
                who,
                offset,
                at_ns,
                event,
            } => Finding {
                promise: Promise::GroupOffsets,
                lines: vec![format!(
                    "group {who}: recorded as {offset} at {}, which no consumer ever committed",
                    At(*at_ns)
                )],
                at_ns: *at_ns,
                event: *event,
                moments_ns: Vec::new(),
            },
        }
    }
}

/// Every answer about a recorded offset that no order of the commits explains.
/// Offset 0 is as good as none: RocketMQ answers it for a queue that still has
/// its first message. An offset that a member asked for before any pull of the
/// group was answered may be recorded, too, as the group's beginning.
pub fn check(facts: &Facts<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (key, group) in &facts.groups {
        check_register(facts, *key, group, &mut violations);
    }
    violations
}

/// A commit that was acknowledged.
#[derive(Clone, Copy)]
struct Commit {
    began: usize,
    ended: usize,
    offset: u64,
}

/// The commits up to some step.
#[derive(Default)]
struct Commits {
    /// How many commits of an offset may still be applied.
    open: BTreeMap<u64, u64>,
    /// When the last commit of an offset ended.
    last_end: BTreeMap<u64, usize>,
    /// For each acknowledgement, its index and, of those up to it, the commit
    /// that began last.
    newest: Vec<(usize, Commit)>,
}

impl Commits {
    fn began(&mut self, offset: u64) {
        *self.open.entry(offset).or_default() += 1;
    }

    fn acknowledged(&mut self, commit: Commit) {
        *self.open.entry(commit.offset).or_default() -= 1;
        self.last_end.insert(commit.offset, commit.ended);
        let newest = match self.newest.last() {
            Some((_, newest)) if newest.began > commit.began => *newest,
            _ => commit,
        };
        self.newest.push((commit.ended, newest));
    }

    /// Of the commits acknowledged before `index`, the one that began last.
    fn newest_before(&self, index: usize) -> Option<Commit> {
        let earlier = self.newest.partition_point(|(ended, _)| *ended < index);
        Some(self.newest[earlier.checked_sub(1)?].1)
    }

    fn is_open(&self, offset: u64) -> bool {
        self.open.get(&offset).is_some_and(|count| *count > 0)
    }
}

fn check_register(facts: &Facts<'_>, key: Key<'_>, group: &GroupFacts, out: &mut Vec<Violation>) {
    let mut commits = Commits::default();
    for step in &group.steps {
        match *step {
            GroupEvent::CommitBegan { offset, .. } => commits.began(offset),
            GroupEvent::CommitEnded {
                began,
                ended,
                offset,
            } => commits.acknowledged(Commit {
                began,
                ended,
                offset,
            }),
            GroupEvent::Recorded {
                began,
                ended,
                offset,
            } => {
                let recorded = (offset, &group.pulled);
                out.extend(check_recorded(
                    facts,
                    key,
                    &commits,
                    (began, ended),
                    recorded,
                ));
            }
        }
    }
}

fn check_recorded(
    facts: &Facts<'_>,
    key: Key<'_>,
    commits: &Commits,
    (began, ended): (usize, usize),
    (recorded, pulled): (Option<u64>, &BTreeSet<u64>),
) -> Option<Violation> {
    let offset = recorded.unwrap_or(0);
    if commits.is_open(offset) {
        return None;
    }
    let end = commits.last_end.get(&offset).copied();
    match commits.newest_before(began) {
        Some(newest) if end.is_none_or(|end| end < newest.began) => {
            Some(Violation::Lost(lost(facts, key, newest, recorded, ended)))
        }
        None if end.is_none() && offset > 0 && !pulled.contains(&offset) => {
            Some(never_committed(facts, key, offset, ended))
        }
        _ => None,
    }
}

fn lost(
    facts: &Facts<'_>,
    (group, queue): Key<'_>,
    newest: Commit,
    recorded: Option<u64>,
    index: usize,
) -> Lost {
    Lost {
        thing: LostThing::GroupOffset {
            group: group.clone(),
            queue: queue.clone(),
            offset: newest.offset,
        },
        known_ns: facts.at_ns(newest.ended),
        missed_ns: facts.at_ns(index),
        event: index as u64,
        missed: Missed::Recorded { offset: recorded },
    }
}

fn never_committed(facts: &Facts<'_>, key: Key<'_>, offset: u64, index: usize) -> Violation {
    Violation::NeverCommitted {
        who: format!("{} on {}", key.0, key.1),
        offset,
        at_ns: facts.at_ns(index),
        event: index as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::Violation;
    use crate::check::Facts;
    use crate::check::story::story;

    fn wrong(text: &str) -> Vec<String> {
        let history = story(text);
        let violations = super::check(&Facts::new(&history));
        let findings = violations.iter().map(Violation::finding);
        findings.flat_map(|finding| finding.lines).collect()
    }

    #[test]
    fn the_last_acknowledged_commit_is_what_is_recorded() {
        assert!(wrong("resume none; commit 5; commit 9; resume 9; recorded 9").is_empty());
        assert!(wrong("resume none; recorded none").is_empty());
    }

    #[test]
    fn falling_back_is_a_loss() {
        insta::assert_snapshot!(
            wrong("resume none; commit 5; commit 9; resume 5; recorded none").join("\n"),
            @r"
        group red-packet on orders/3: commit of 9 acknowledged at 3.000s, recorded as 5 at 4.000s
        group red-packet on orders/3: commit of 9 acknowledged at 3.000s, no offset recorded at 5.000s
        "
        );
    }

    #[test]
    fn offset_zero_is_as_good_as_none_and_no_better() {
        assert!(wrong("resume 0; recorded 0").is_empty());
        assert_eq!(wrong("commit 5; resume 0").len(), 1);
    }

    #[test]
    fn a_smaller_offset_committed_later_is_no_loss() {
        assert!(wrong("commit 9; commit 5; resume 5").is_empty());
        assert_eq!(wrong("commit 9; commit 5; resume 9").len(), 1);
    }

    #[test]
    fn of_concurrent_commits_either_may_win() {
        assert!(wrong("begin 5; begin 9; end 1; end 2; resume 5").is_empty());
        assert!(wrong("begin 5; begin 9; end 2; end 1; resume 5; resume 9").is_empty());
        assert_eq!(wrong("begin 5; end 1; begin 9; end 2; resume 5").len(), 1);
    }

    #[test]
    fn an_unanswered_commit_may_be_applied_at_any_time() {
        assert!(wrong("begin 5; commit 9; resume 9; resume 5").is_empty());
        assert!(wrong("commit 5; begin 9; resume 5; resume 9").is_empty());
    }

    #[test]
    fn a_commit_acknowledged_while_the_question_was_under_way_binds_nobody() {
        assert!(wrong("commit 5; query; commit 9; resume 5").is_empty());
        assert_eq!(wrong("commit 5; commit 9; query; resume 5").len(), 1);
        assert!(wrong("commit 9; query; commit 5; recorded 9").is_empty());
        assert_eq!(wrong("commit 9; commit 5; query; recorded 9").len(), 1);
    }

    #[test]
    fn where_a_group_began_to_pull_may_be_recorded() {
        assert!(wrong("resume none; ask 7; 2: resume 7; recorded 7").is_empty());
        assert_eq!(wrong("resume none; ask 7; 2: resume 8").len(), 1);
        assert_eq!(
            wrong("resume none; pull 7..8: 1@7; ask 8; 2: resume 8").len(),
            1
        );
        assert_eq!(wrong("resume none; ask 7; commit 9; 2: resume 7").len(), 1);
    }

    #[test]
    fn an_offset_that_nobody_committed_is_not_recorded() {
        insta::assert_snapshot!(
            wrong("resume 7").join("\n"),
            @"group red-packet on orders/3: recorded as 7 at 1.000s, which no consumer ever committed"
        );
        assert_eq!(wrong("commit 5; resume 7").len(), 1);
    }
}
