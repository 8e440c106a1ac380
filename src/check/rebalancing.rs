//! Members of a group keep to the queues that are theirs.
//!
//! A member *holds* a queue from when it resumed it until it gives it up.
//! 1. While it holds a queue it processes each message once, and none below
//!    where it resumed.
//! 2. It pulls nothing of a queue that goes to another by the list of members
//!    that it was told last (`AllocateMessageQueueAveragely`, computed here
//!    anew).
//! 3. It commits for queues that it holds, and once more when it has given one
//!    up.
//!
//! So duplicates are bounded: a queue's repeats are, for each holding after the
//! first, at most what others had processed of it from the offset on at which that
//! holding resumed, and what they processed before they were told. The offset that a
//! holding resumes from is [`group_offsets`](super::group_offsets)'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::history::{ClientId, Event, Queue, Value};

use super::groups::Key;
use super::{At, Facts, Finding, Promise, Waived};

/// The actions of one member with one queue.
#[derive(Default)]
enum Holding {
    /// It never had it.
    #[default]
    None,
    /// Since it resumed from that offset; what it processed since.
    Held {
        start: u64,
        processed: BTreeSet<(u64, Value)>,
    },
    /// It gave it up; how often it committed since.
    Released { commits: u64 },
}

struct Members<'a> {
    /// How many queues each topic has.
    queues: BTreeMap<&'a Arc<str>, u32>,
    /// Each member's place, and how many they are, as it was told last.
    ranks: BTreeMap<ClientId, (Option<u32>, u32)>,
    holdings: BTreeMap<(ClientId, &'a Queue), Holding>,
}

/// Every violation. A client is a member of one group.
pub(super) fn check(facts: &Facts<'_>, waived: &Waived) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !facts.has_members {
        return findings;
    }
    let mut queues = BTreeMap::new();
    for (queue, _) in facts.queues.iter().filter(|it| it.1.final_read.is_some()) {
        *queues.entry(&queue.topic).or_default() += 1;
    }
    let mut members = Members {
        queues,
        ranks: BTreeMap::new(),
        holdings: BTreeMap::new(),
    };
    for (index, entry) in facts.entries() {
        let Some((queue, line)) = members.see(entry.client, &entry.event, waived) else {
            continue;
        };
        findings.push(Finding {
            promise: Promise::Rebalancing,
            lines: vec![format!(
                "client {} on {queue} at {}: {line}",
                entry.client,
                At(entry.at_ns)
            )],
            at_ns: entry.at_ns,
            event: index as u64,
            moments_ns: Vec::new(),
        });
    }
    findings
}

impl<'a> Members<'a> {
    /// The problem, and the queue that has it.
    fn see(
        &mut self,
        client: ClientId,
        event: &'a Event,
        waived: &Waived,
    ) -> Option<(&'a Queue, String)> {
        match event {
            Event::Ranked { place, members, .. } => {
                self.ranks.insert(client, (*place, *members));
                None
            }
            Event::Resumed { queue, offset, .. } => {
                let held = Holding::Held {
                    start: offset.unwrap_or(0),
                    processed: BTreeSet::new(),
                };
                self.holdings.insert((client, queue), held);
                None
            }
            Event::Released { queue, .. } => {
                let released = Holding::Released { commits: 0 };
                self.holdings.insert((client, queue), released);
                None
            }
            Event::PullBegan { queue, .. } => {
                let line = self.pulls(client, queue);
                line.map(|line| (queue, line))
            }
            Event::CommitBegan { queue, offset, .. } => {
                let line = self.commits(client, queue, *offset);
                line.map(|line| (queue, line))
            }
            Event::Processed {
                group,
                queue,
                offset,
                value,
            } => {
                let line = self.processes(client, (group, queue), *offset, *value);
                let line = line.filter(|_| !waived.covers(queue, *offset));
                line.map(|line| (queue, line))
            }
            _ => None,
        }
    }

    fn pulls(&self, client: ClientId, queue: &Queue) -> Option<String> {
        let (place, members) = *self.ranks.get(&client)?;
        // How many queues a retry topic has is not known before it is there.
        let queues = *self.queues.get(&queue.topic)?;
        if queue.is_of_retries() || place.is_some_and(|it| owns(queue, queues, members, it)) {
            return None;
        }
        Some(match place {
            Some(place) => format!("pulled by member {} of {members}, and another's", place + 1),
            None => "pulled by one that is no member".to_owned(),
        })
    }

    fn commits(&mut self, client: ClientId, queue: &'a Queue, offset: u64) -> Option<String> {
        self.ranks.get(&client)?;
        match self.holdings.entry((client, queue)).or_default() {
            Holding::Held { .. } => None,
            Holding::Released { commits: 0 } => {
                let once = Holding::Released { commits: 1 };
                self.holdings.insert((client, queue), once);
                None
            }
            Holding::Released { .. } => {
                Some(format!("{offset} committed again after it was given up"))
            }
            Holding::None => Some(format!("{offset} committed, and it was never held")),
        }
    }

    fn processes(
        &mut self,
        client: ClientId,
        (_, queue): Key<'a>,
        offset: u64,
        value: Value,
    ) -> Option<String> {
        self.ranks.get(&client)?;
        match self.holdings.entry((client, queue)).or_default() {
            Holding::Held { start, .. } if offset < *start => Some(format!(
                "offset {offset} processed, and it was resumed at {start}"
            )),
            Holding::Held { processed, .. } => (!processed.insert((offset, value)))
                .then(|| format!("offset {offset} processed twice in one holding")),
            Holding::Released { .. } | Holding::None => {
                Some(format!("offset {offset} processed, and it was not held"))
            }
        }
    }
}

/// Whether a queue goes to the member at that place: consecutive queues to each,
/// as many as can be, and one more to each of the first.
fn owns(queue: &Queue, queues: u32, members: u32, place: u32) -> bool {
    let mut next = 0;
    for member in 0..members {
        let more = u32::from(member < queues % members);
        let end = next + queues / members + more;
        if (next..end).contains(&queue.queue_id) {
            return member == place;
        }
        next = end;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::owns;
    use crate::check::story::{queue, story};
    use crate::check::{Facts, Waived};
    use crate::history::Queue;

    fn wrong(text: &str) -> String {
        let history = story(text);
        let found = super::check(&Facts::new(&history), &Waived::none());
        let lines = found.into_iter().flat_map(|found| found.lines);
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_queue_changes_its_member() {
        let text = "ranked 0 of 1; resume none; ask 0; process 1@0; commit 1; process 2@1;
                    ranked none of 1; released; commit 2;
                    2: ranked 0 of 1; 2: resume 1; 2: ask 1; 2: process 2@1";
        assert_eq!(wrong(text), "");
    }

    #[test]
    fn a_client_that_is_no_member_is_not_held_to_it() {
        let text = "process 1@0; process 1@0; commit 1; ask 0; 2: ranked 0 of 1; final 0..1: 1@0";
        assert_eq!(wrong(text), "");
    }

    #[test]
    fn each_message_once_and_only_what_is_held() {
        let text = "ranked 0 of 1; process 1@0; resume 1; process 1@0; process 2@1; process 2@1;
                    released; process 3@2; resume 1; process 2@1";
        insta::assert_snapshot!(wrong(text), @r"
        client 1 on orders/3 at 2.000s: offset 0 processed, and it was not held
        client 1 on orders/3 at 4.000s: offset 0 processed, and it was resumed at 1
        client 1 on orders/3 at 6.000s: offset 1 processed twice in one holding
        client 1 on orders/3 at 8.000s: offset 2 processed, and it was not held
        ");
    }

    #[test]
    fn given_up_it_is_committed_once_more() {
        let text = "ranked 0 of 1; commit 1; resume 1; commit 2; released; commit 3; commit 4";
        insta::assert_snapshot!(wrong(text), @r"
        client 1 on orders/3 at 2.000s: 1 committed, and it was never held
        client 1 on orders/3 at 7.000s: 4 committed again after it was given up
        ");
    }

    #[test]
    fn a_queue_of_another_is_not_pulled() {
        // The story's topic has one queue that was read, number 3.
        let text = "ranked 0 of 1; ask 0; ranked none of 2; ask 1; final 0..0";
        insta::assert_snapshot!(wrong(text), @r"
        client 1 on orders/3 at 2.000s: pulled by member 1 of 1, and another's
        client 1 on orders/3 at 4.000s: pulled by one that is no member
        ");
    }

    #[test]
    fn queues_go_to_members_in_turn() {
        let owner = |queue_id, queues, members| {
            let queue = Queue {
                queue_id,
                ..queue()
            };
            (0..members).find(|place| owns(&queue, queues, members, *place))
        };
        let owners: Vec<_> = (0..8).map(|queue| owner(queue, 8, 3).unwrap()).collect();
        assert_eq!(owners, [0, 0, 0, 1, 1, 1, 2, 2]);
        assert_eq!((owner(1, 2, 3), owner(2, 2, 3)), (Some(1), None));
    }
}
