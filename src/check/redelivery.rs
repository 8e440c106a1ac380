//! Messages that were sent back come again, not before their time, and at the limit
//! stand among the dead letters.
//!
//! ```text
//!   sent back after n times, acknowledged ─┬─ n below the limit ─▶ comes again as
//!                                          │    sent back n + 1 times, no earlier
//!                                          │    than its delay after that began
//!                                          └─ at the limit ─▶ a dead letter
//! ```
//!
//! And only so: nothing comes again, or is dead, that nobody sent back that
//! often. So a message is delivered at most 1 + limit times, repeats apart. An
//! attempt that was not acknowledged may have been stored all the same: it may
//! come again, and need not. Tolerance: none, by brokers' own clocks. Times
//! are the run's; a broker that waits from when it stored is never early by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::history::{ClientId, Event, OpId, Value};

use super::clocks::Clocks;
use super::{At, Facts, Finding, Promise};

/// Of a group: a value that was sent back so many times before.
type Key<'a> = (&'a Arc<str>, Value, u32);

/// A sending back.
#[derive(Clone, Copy)]
struct Back<'a> {
    key: Key<'a>,
    index: usize,
    delay_ns: Option<u64>,
}

#[derive(Default)]
struct Backs<'a> {
    open: BTreeMap<(ClientId, OpId), Back<'a>>,
    /// The first sending back of each: when it began, and how long it waits.
    waits: BTreeMap<Key<'a>, (u64, u64)>,
    /// Sent back at the limit, acknowledged or not.
    dying: BTreeSet<(&'a str, Value)>,
    acknowledged: BTreeMap<Key<'a>, Back<'a>>,
    came_again: BTreeSet<Key<'a>>,
    dead: BTreeSet<(&'a str, Value)>,
}

/// Every message that came again wrongly, and, where `is_kept` (an acknowledged
/// sending back is never lost), every one that did not come.
pub(super) fn check(facts: &Facts<'_>, is_kept: bool) -> Vec<Finding> {
    let mut backs = Backs::default();
    let mut findings = Vec::new();
    for (index, entry) in facts.entries() {
        let at_ns = entry.at_ns;
        match &entry.event {
            Event::SendBackBegan {
                op,
                group,
                value,
                times,
                delay_ns,
                ..
            } => {
                let back = Back {
                    key: (group, *value, *times),
                    index,
                    delay_ns: *delay_ns,
                };
                backs.began((entry.client, *op), back, at_ns);
            }
            Event::SendBackEnded { op, acknowledged } => {
                let back = backs.open.remove(&(entry.client, *op));
                if let Some(back) = back.filter(|_| *acknowledged) {
                    backs.acknowledged.entry(back.key).or_insert(back);
                }
            }
            Event::Redelivered {
                group,
                value,
                times,
            } => {
                let line = backs.comes((group, *value, *times), at_ns, &facts.clocks);
                findings.extend(line.map(|line| finding(line, at_ns, index)));
            }
            Event::FinalRead {
                queue, messages, ..
            } => {
                let Some(group) = queue.group_of_dead_letters() else {
                    continue;
                };
                for (_, value) in messages {
                    let Some(value) = value else { continue };
                    backs.dead.insert((group, *value));
                    if !backs.dying.contains(&(group, *value)) {
                        let line = format!(
                            "{value} is a dead letter of group {group}, which never gave it up"
                        );
                        findings.push(finding(line, at_ns, index));
                    }
                }
            }
            _ => {}
        }
    }
    if is_kept {
        findings.extend(backs.missing(facts));
    }
    findings
}

impl<'a> Backs<'a> {
    fn began(&mut self, op: (ClientId, OpId), back: Back<'a>, at_ns: u64) {
        let (group, value, _) = back.key;
        match back.delay_ns {
            Some(delay_ns) => {
                // The first attempt is the earliest.
                self.waits.entry(back.key).or_insert((at_ns, delay_ns));
            }
            None => {
                self.dying.insert((group, value));
            }
        }
        self.open.insert(op, back);
    }

    /// The problem with a message that comes again.
    fn comes(
        &mut self,
        (group, value, times): Key<'a>,
        at_ns: u64,
        clocks: &Clocks,
    ) -> Option<String> {
        let before = times.checked_sub(1).map(|before| (group, value, before));
        let wait = before.and_then(|before| self.waits.get(&before));
        self.came_again.insert((group, value, times));
        match wait {
            Some((from_ns, delay_ns)) if clocks.may_have_passed(*from_ns, at_ns, *delay_ns) => None,
            Some((from_ns, delay_ns)) => Some(format!(
                "{value} came again to group {group} at {}, due no earlier than {}",
                At(at_ns),
                At(from_ns + delay_ns)
            )),
            None => Some(format!(
                "{value} came again to group {group} as sent back {times} times, which it was not"
            )),
        }
    }

    fn missing<'b>(&'b self, facts: &'b Facts<'_>) -> impl Iterator<Item = Finding> + use<'a, 'b> {
        let lost = self.acknowledged.values().filter(|back| {
            let (group, value, times) = back.key;
            let came = match back.delay_ns {
                Some(_) => self.came_again.contains(&(group, value, times + 1)),
                None => self.dead.contains(&(&**group, value)),
            };
            !came
        });
        lost.map(|back| {
            let (group, value, times) = back.key;
            let what = match back.delay_ns {
                Some(_) => "never came again",
                None => "is no dead letter",
            };
            let at_ns = facts.at_ns(back.index);
            let line = format!(
                "{value} was sent back by group {group} after {times} times at {}, \
                 acknowledged, and {what}",
                At(at_ns)
            );
            finding(line, at_ns, back.index)
        })
    }
}

fn finding(line: String, at_ns: u64, index: usize) -> Finding {
    Finding {
        promise: Promise::Redelivery,
        lines: vec![line],
        at_ns,
        event: index as u64,
        moments_ns: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::check::Facts;
    use crate::check::story::story;

    fn wrong_where(text: &str, is_kept: bool) -> String {
        let history = story(text);
        let found = super::check(&Facts::new(&history), is_kept);
        let lines = found.into_iter().flat_map(|found| found.lines);
        lines.collect::<Vec<_>>().join("\n")
    }

    fn wrong(text: &str) -> String {
        wrong_where(text, true)
    }

    #[test]
    fn sent_back_it_comes_again_until_it_is_dead() {
        let text = "back 1@0 0 +2; backed 1; again 1 1; back 1@0 1 +1; backed 2; again 1 2;
                    back 1@1 2 dead; backed 3; dead-letters 1";
        assert_eq!(wrong(text), "");
    }

    #[test]
    fn it_comes_no_earlier_than_it_is_due() {
        insta::assert_snapshot!(
            wrong("back 1@0 0 +3; backed 1; again 1 1"),
            @"client 1 #1 came again to group red-packet at 3.000s, due no earlier than 4.000s"
        );
        assert_eq!(wrong("back 1@0 0 +2; backed 1; again 1 1"), "");
    }

    #[test]
    fn nothing_comes_that_was_not_sent_back_so_often() {
        insta::assert_snapshot!(
            wrong("back 1@0 0 +1; backed 1; again 1 1; again 1 2; again 2 1; again 1 0"),
            @r"
        client 1 #1 came again to group red-packet as sent back 2 times, which it was not
        client 1 #2 came again to group red-packet as sent back 1 times, which it was not
        client 1 #1 came again to group red-packet as sent back 0 times, which it was not
        "
        );
        // At the limit there is no coming again.
        assert_ne!(
            wrong("back 1@0 2 dead; backed 1; again 1 3; dead-letters 1"),
            ""
        );
    }

    #[test]
    fn a_message_sent_back_and_acknowledged_comes() {
        let text = "back 1@0 0 +1; backed 1; back 2@1 3 dead; backed 2; dead-letters";
        insta::assert_snapshot!(wrong(text), @r"
        client 1 #1 was sent back by group red-packet after 0 times at 1.000s, acknowledged, and never came again
        client 1 #2 was sent back by group red-packet after 3 times at 3.000s, acknowledged, and is no dead letter
        ");
        assert_eq!(wrong_where(text, false), "");
        // A message that was not acknowledged may come, and need not.
        assert_eq!(
            wrong("back 1@0 0 +1; again 1 1; back 2@1 3 dead; dead-letters"),
            ""
        );
    }

    #[test]
    fn only_what_was_given_up_is_dead() {
        insta::assert_snapshot!(
            wrong("back 1@0 0 +1; again 1 1; dead-letters 1"),
            @"client 1 #1 is a dead letter of group red-packet, which never gave it up"
        );
        assert_eq!(wrong("back 1@0 1 dead; dead-letters 1"), "");
    }
}
