//! A group's offset passes nothing that is not done (D22): at *every* commit, each
//! message below it was processed, or sent back and that acknowledged, before the
//! commit began. A member that resumes from that commit would skip it.
//!
//! One pass over a queue's messages says, for every offset, when all below it
//! was done; each commit is then one look.

use super::groups::{GroupEvent, GroupFacts, Key};
use super::{At, Facts, Finding, Promise, Waived};

/// The first commit of each group on each queue that passes a message which is
/// not done.
pub(super) fn check(facts: &Facts<'_>, waived: &Waived) -> Vec<Finding> {
    let groups = facts.groups.iter();
    let found = groups.filter_map(|(key, group)| check_queue(facts, *key, group, waived));
    found.collect()
}

/// A message, and since when all up to it is done: an index into the history;
/// `usize::MAX`: never.
struct Behind {
    offset: u64,
    all_done: usize,
    /// The one that was done last.
    last: u64,
}

fn check_queue(
    facts: &Facts<'_>,
    key: Key<'_>,
    group: &GroupFacts,
    waived: &Waived,
) -> Option<Finding> {
    let read = facts.queues.get(key.1)?.final_read?;
    let mut behind: Vec<Behind> = Vec::new();
    let start = group.start(|at| facts.may_expire_by(at));
    for (offset, value) in read.messages {
        let Some(value) = value.filter(|value| facts.wants(key, *value)) else {
            continue;
        };
        if *offset < start || waived.covers(key.1, *offset) {
            continue;
        }
        let done = group.done_since(*offset, value);
        // A message that was never processed and counts as done in the end is skipped:
        // at_least_once says so.
        if done.is_none() && *offset < group.done_below() {
            continue;
        }
        let done = done.unwrap_or(usize::MAX);
        let (all_done, last) = match behind.last() {
            Some(before) if before.all_done >= done => (before.all_done, before.last),
            _ => (done, *offset),
        };
        behind.push(Behind {
            offset: *offset,
            all_done,
            last,
        });
    }
    group.steps.iter().find_map(|step| {
        let GroupEvent::CommitBegan { began, offset } = *step else {
            return None;
        };
        let below = behind.partition_point(|it| it.offset < offset);
        let passed = &behind[below.checked_sub(1)?];
        (passed.all_done > began).then(|| finding(facts, key, (began, offset), passed))
    })
}

fn finding(
    facts: &Facts<'_>,
    (group, queue): Key<'_>,
    (began, committed): (usize, u64),
    passed: &Behind,
) -> Finding {
    let done = match passed.all_done {
        usize::MAX => "never done".to_owned(),
        index => format!("done at {}", At(facts.at_ns(index))),
    };
    let at_ns = facts.at_ns(began);
    Finding {
        promise: Promise::AtLeastOnce,
        lines: vec![format!(
            "group {group} committed {committed} of {queue} at {}, past offset {}, which was {done}",
            At(at_ns),
            passed.last
        )],
        at_ns,
        event: began as u64,
        moments_ns: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::check::story::story;
    use crate::check::{Facts, Waived};

    fn passed(text: &str) -> String {
        let history = story(text);
        let found = super::check(&Facts::new(&history), &Waived::none());
        let lines = found.into_iter().flat_map(|found| found.lines);
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_commit_covers_what_was_done_before_it() {
        let text = "resume none; process 2@1; process 1@0; commit 2; process 3@2; commit 3;
                    final 0..3: 1@0 2@1 3@2";
        assert_eq!(passed(text), "");
    }

    #[test]
    fn done_after_the_commit_is_too_late() {
        insta::assert_snapshot!(
            passed("resume none; process 2@1; commit 2; process 1@0; final 0..2: 1@0 2@1"),
            @"group red-packet committed 2 of orders/3 at 3.000s, past offset 0, which was done at 4.000s"
        );
        insta::assert_snapshot!(
            passed("resume none; process 1@0; begin 2; final 0..2: 1@0 2@1"),
            @"group red-packet committed 2 of orders/3 at 3.000s, past offset 1, which was never done"
        );
    }

    #[test]
    fn sent_back_is_done_when_that_is_acknowledged_and_no_earlier() {
        let text = "resume none; back 1@0 0 +3; backed 1; commit 1; final 0..1: 1@0";
        assert_eq!(passed(text), "");
        let text = "resume none; back 1@0 0 +3; begin 1; backed 1; final 0..1: 1@0";
        assert_ne!(passed(text), "");
    }

    #[test]
    fn another_members_work_counts_and_so_does_what_nobody_wants() {
        let text = "2: process 1@0; commit 1; final 0..1: 1@0";
        assert_eq!(passed(text), "");
        let text = "resume none; process 1@0; begin 2; final 0..2: 1@0 2@1";
        assert_ne!(passed(text), "");
        assert_eq!(passed(&format!("wants 1 of 2; {text}")), "");
    }

    #[test]
    fn a_message_before_the_groups_start_is_not_due() {
        assert_eq!(
            passed("resume 1; process 2@1; commit 2; final 0..2: 1@0 2@1"),
            ""
        );
    }
}
