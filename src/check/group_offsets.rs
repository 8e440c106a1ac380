//! Group offsets: an acknowledged commit is as durable as a message (D22).
//!
//! A group's offset on a queue is a register: the last commit applied wins. So
//! an answer is right if some commit of that offset is not wholly older than
//! another one that was acknowledged before the question was asked. A commit
//! that was never answered may be applied at any later time.

use std::collections::BTreeMap;

use super::groups::{GroupFacts, Key, Step};
use super::{At, Facts, Finding, Lost, LostThing, Missed, Promise};

/// What is wrong with recorded offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// An acknowledged commit is gone.
    Lost(Lost),
    /// An offset is recorded that nobody ever asked for.
    NeverCommitted {
        /// `group on queue`.
        who: String,
        /// What is recorded.
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
/// its first message.
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
            Step::CommitBegan { offset } => commits.began(offset),
            Step::CommitEnded {
                began,
                ended,
                offset,
            } => commits.acknowledged(Commit {
                began,
                ended,
                offset,
            }),
            Step::Recorded {
                began,
                ended,
                offset,
            } => out.extend(check_recorded(facts, key, &commits, (began, ended), offset)),
        }
    }
}

fn check_recorded(
    facts: &Facts<'_>,
    key: Key<'_>,
    commits: &Commits,
    (began, ended): (usize, usize),
    recorded: Option<u64>,
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
        None if end.is_none() && offset > 0 => Some(never_committed(facts, key, offset, ended)),
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
