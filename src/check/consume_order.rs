//! Ordered consumption: a queue's messages are processed in its order, by one
//! member at a time.
//!
//! Three rules, for queues that are consumed under a lock:
//! 1. No member finishes a message during which another began or finished one
//!    of the same queue. (One that lost its lock gives up what it has begun.)
//! 2. No message is processed for the first time after a later one was.
//! 3. A member goes forward: back only where it resumed anew, from what was
//!    committed. So what is processed behind a later one is a repeat.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{ClientId, Event};

use super::groups::Key;
use super::{At, Facts, Finding, Promise, Waived};

/// One group on one queue, so far.
#[derive(Default)]
struct Course {
    /// The message that is being processed: by whom, offset, since when.
    open: BTreeMap<ClientId, (u64, usize)>,
    /// When each member last began or finished something.
    last_active: BTreeMap<ClientId, usize>,
    /// How far each has come since it resumed.
    reached: BTreeMap<ClientId, u64>,
    finished: BTreeSet<u64>,
}

/// Every violation.
pub(super) fn check(facts: &Facts<'_>, waived: &Waived) -> Vec<Finding> {
    let mut courses: BTreeMap<Key<'_>, Course> = BTreeMap::new();
    let mut findings = Vec::new();
    if !facts.has_members {
        return findings;
    }
    for (index, entry) in facts.entries() {
        let client = entry.client;
        let (key, line) = match &entry.event {
            Event::Taken {
                group,
                queue,
                offset,
            } => {
                let course = courses.entry((group, queue)).or_default();
                ((group, queue), course.taken(client, *offset, index))
            }
            Event::Processed {
                group,
                queue,
                offset,
                ..
            } => {
                // Only what was taken was locked.
                let Some(course) = courses.get_mut(&(group, queue)) else {
                    continue;
                };
                let line = course.processed(client, *offset, index);
                ((group, queue), line.map(|line| (*offset, line)))
            }
            Event::Released { group, queue } | Event::Resumed { group, queue, .. } => {
                if let Some(course) = courses.get_mut(&(group, queue)) {
                    course.open.remove(&client);
                    course.reached.remove(&client);
                }
                continue;
            }
            _ => continue,
        };
        let ((group, queue), Some((offset, line))) = (key, line) else {
            continue;
        };
        if !waived.covers(queue, offset) {
            findings.push(Finding {
                promise: Promise::ConsumeOrder,
                lines: vec![format!(
                    "group {group} on {queue}: offset {offset} at {}, {line}",
                    At(entry.at_ns)
                )],
                at_ns: entry.at_ns,
                event: index as u64,
                moments_ns: Vec::new(),
            });
        }
    }
    findings
}

impl Course {
    fn taken(&mut self, client: ClientId, offset: u64, index: usize) -> Option<(u64, String)> {
        self.open.insert(client, (offset, index));
        self.last_active.insert(client, index);
        let back = self.reached.insert(client, offset);
        let highest = self.finished.last().copied();
        let line = match (back, highest) {
            (Some(before), _) if before >= offset => {
                format!("which client {client} takes behind its offset {before}")
            }
            (_, Some(highest)) if highest > offset && !self.finished.contains(&offset) => {
                format!("which nobody had processed, after offset {highest} was")
            }
            _ => return None,
        };
        Some((offset, line))
    }

    fn processed(&mut self, client: ClientId, offset: u64, index: usize) -> Option<String> {
        self.finished.insert(offset);
        self.last_active.insert(client, index);
        let (taken, since) = self.open.remove(&client)?;
        if taken != offset {
            return Some(format!("while client {client} was at {taken}"));
        }
        let mut others = self.last_active.iter();
        let other = others.find(|(other, active)| **other != client && **active > since);
        other.map(|(other, _)| {
            format!("which client {client} processed while client {other} was at the same queue")
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::check::story::story;
    use crate::check::{Facts, Waived};

    fn disorder(text: &str) -> String {
        let history = story(&format!("ranked 0 of 2; {text}"));
        let found = super::check(&Facts::new(&history), &Waived::none());
        let lines = found.into_iter().flat_map(|found| found.lines);
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn one_after_the_other_and_repeats_from_what_was_committed() {
        let text = "resume none; taken 0; process 1@0; taken 1; process 2@1; taken 2; released;
                    2: resume 1; 2: taken 1; 2: process 2@1; 2: taken 2; 2: process 3@2";
        assert_eq!(disorder(text), "");
        // The first one died at it.
        assert_eq!(
            disorder("taken 0; 2: resume none; 2: taken 0; 2: process 1@0"),
            ""
        );
    }

    #[test]
    fn two_at_once_are_one_too_many() {
        insta::assert_snapshot!(
            disorder("taken 0; 2: taken 0; 2: process 1@0; process 1@0"),
            @"group red-packet on orders/3: offset 0 at 5.000s, which client 1 processed while client 2 was at the same queue"
        );
        // One that gives up what it has begun does not count.
        assert_eq!(
            disorder("taken 0; 2: taken 0; released; 2: process 1@0"),
            ""
        );
    }

    #[test]
    fn nothing_is_left_out_and_processed_later() {
        insta::assert_snapshot!(
            disorder("taken 1; process 2@1; 2: resume none; 2: taken 0; 2: process 1@0"),
            @"group red-packet on orders/3: offset 0 at 5.000s, which nobody had processed, after offset 1 was"
        );
    }

    #[test]
    fn a_member_goes_back_only_where_it_resumes() {
        let text = "taken 0; process 1@0; taken 1; process 2@1; taken 0; process 1@0";
        insta::assert_snapshot!(
            disorder(text),
            @"group red-packet on orders/3: offset 0 at 6.000s, which client 1 takes behind its offset 1"
        );
        let text = "taken 0; process 1@0; taken 1; process 2@1; resume none; taken 0";
        assert_eq!(disorder(text), "");
    }

    #[test]
    fn a_queue_that_is_not_locked_has_no_order() {
        assert_eq!(disorder("process 2@1; process 1@0; 2: process 1@0"), "");
    }
}
