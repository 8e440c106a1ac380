//! The facts about a consumer group on one queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::history::{ClientId, Event, OpId, Queue, Value};

/// One group on one queue.
#[derive(Default)]
pub(super) struct GroupFacts {
    /// The processed messages: each offset and value once, in order once all are there.
    pub(super) processed: Vec<Done>,
    /// The messages that were sent back, with an acknowledgement; in the same order.
    pub(super) sent_back: Vec<Done>,
    /// How often something was processed, repeats included.
    pub(super) processed_events: u64,
    /// The answer to the first consumer that resumed.
    pub(super) first_resumed: Option<Option<u64>>,
    /// Commits and answers about the recorded offset, in the order in which
    /// they ended, or began where they never ended.
    pub(super) steps: Vec<GroupEvent>,
    /// The offset of the first pull that was answered.
    pub(super) began: Option<u64>,
    /// When a consumer was told that nothing is recorded, before any pull was answered:
    /// for the last time, an index.
    told_none: Option<usize>,
    /// The offsets that were asked for, or sent to be committed, since then.
    asked_since: BTreeSet<u64>,
    /// Offsets that were asked for before any pull was answered: the broker may
    /// have recorded any of them as the group's beginning.
    pub(super) pulled: BTreeSet<u64>,
    /// The offset that the broker had recorded after heal.
    pub(super) final_offset: Option<FinalOffset>,
}

/// A message that was processed, or sent back, and when for the first time: an
/// index into the history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Done {
    pub(super) offset: u64,
    pub(super) value: Value,
    pub(super) index: usize,
}

/// In order, each offset and value once, at its first time.
pub(super) fn in_order(all: &mut Vec<Done>) {
    all.sort();
    all.dedup_by_key(|done| (done.offset, done.value));
}

fn find(all: &[Done], offset: u64, value: Value) -> Option<usize> {
    let at = all.binary_search_by_key(&(offset, value), |done| (done.offset, done.value));
    at.ok().map(|at| all[at].index)
}

/// The messages of a topic that a group wants.
#[derive(Clone)]
pub(super) struct Wanted {
    of: u64,
    remainders: Arc<[u64]>,
}

impl Wanted {
    pub(super) fn wants(&self, value: Value) -> bool {
        self.remainders.contains(&(value.sequence % self.of.max(1)))
    }
}

/// Something that concerns a group's recorded offset. Numbers are indices into
/// the history.
#[derive(Clone, Copy)]
pub(super) enum GroupEvent {
    /// A commit was sent.
    CommitBegan { began: usize, offset: u64 },
    /// It was acknowledged.
    CommitEnded {
        began: usize,
        ended: usize,
        offset: u64,
    },
    /// The broker said what it had recorded.
    Recorded {
        began: usize,
        ended: usize,
        offset: Option<u64>,
    },
}

/// The broker's last word on a group's offset.
#[derive(Clone, Copy)]
pub(super) struct FinalOffset {
    pub(super) index: usize,
    pub(super) offset: Option<u64>,
}

impl GroupFacts {
    /// Where the group begins: at what its first consumer was told; where that
    /// was nothing, at the queue's first message while that may not have expired,
    /// as `expires` says of an index, else where its first answered pull began. Where
    /// no pull was answered, at the lowest offset that one asked for, or that was
    /// committed unpulled: the broker may have recorded any of them. A consumer that is
    /// told 0 may be told later that nothing is recorded: then that 0 was none (D38).
    pub(super) fn start(&self, expires: impl Fn(usize) -> bool) -> u64 {
        let told_none = self.told_none.filter(|at| expires(*at));
        match self.first_resumed {
            Some(Some(recorded)) if recorded > 0 || told_none.is_none() => recorded,
            Some(_) if told_none.is_some() => {
                let asked = || self.asked_since.iter().copied().min();
                self.began.or_else(asked).unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Whether that message was processed.
    pub(super) fn has_processed(&self, offset: u64, value: Value) -> bool {
        find(&self.processed, offset, value).is_some()
    }

    /// Since when nothing more is to be done for that message at that offset: it
    /// was processed, or sent back and that acknowledged.
    pub(super) fn done_since(&self, offset: u64, value: Value) -> Option<usize> {
        let processed = find(&self.processed, offset, value);
        let sent_back = find(&self.sent_back, offset, value);
        processed.into_iter().chain(sent_back).min()
    }

    /// Everything below counts as done: the offset recorded after heal; where
    /// that was not read, the largest acknowledged commit.
    pub(super) fn done_below(&self) -> u64 {
        let committed = self.steps.iter().filter_map(|step| match step {
            GroupEvent::CommitEnded { offset, .. } => Some(*offset),
            _ => None,
        });
        match self.final_offset {
            Some(recorded) => recorded.offset.unwrap_or(0),
            None => committed.max().unwrap_or(0),
        }
    }
}

/// The subscriptions of groups; of a topic that is not there, everything.
pub(super) type Subscriptions<'a> = BTreeMap<(&'a Arc<str>, &'a Arc<str>), Wanted>;

/// Notes what a group wants, where an event says so.
pub(super) fn subscribe<'a>(subscriptions: &mut Subscriptions<'a>, event: &'a Event) {
    if let Event::Subscribed {
        group,
        topic,
        of,
        wanted,
    } = event
    {
        let (of, remainders) = (*of, Arc::clone(wanted));
        subscriptions.insert((group, topic), Wanted { of, remainders });
    }
}

/// Operations that began and have not ended, while indexing.
#[derive(Default)]
pub(super) struct GroupPairs<'a> {
    commits: BTreeMap<(ClientId, OpId), Commit<'a>>,
    resumes: BTreeMap<(ClientId, Key<'a>), usize>,
    send_backs: BTreeMap<(ClientId, OpId), (Key<'a>, u64, Value)>,
    /// A client consumes for one group.
    group_of: BTreeMap<ClientId, &'a Arc<str>>,
}

/// The groups' facts, by group and queue.
type Groups<'a> = BTreeMap<Key<'a>, GroupFacts>;

impl<'a> GroupPairs<'a> {
    fn facts_of<'g>(
        &self,
        groups: &'g mut Groups<'a>,
        client: ClientId,
        queue: &'a Queue,
    ) -> Option<&'g mut GroupFacts> {
        let group = self.group_of.get(&client)?;
        Some(groups.entry((group, queue)).or_default())
    }

    /// A client began to pull from an offset.
    pub(super) fn pulls(
        &self,
        groups: &mut Groups<'a>,
        client: ClientId,
        (queue, offset): (&'a Queue, u64),
    ) {
        let facts = self.facts_of(groups, client, queue);
        if let Some(facts) = facts.filter(|it| it.began.is_none()) {
            facts.pulled.insert(offset);
            facts.asked_since.insert(offset);
        }
    }

    /// It was answered.
    pub(super) fn pulled(
        &self,
        groups: &mut Groups<'a>,
        client: ClientId,
        (queue, offset): (&'a Queue, u64),
    ) {
        if let Some(facts) = self.facts_of(groups, client, queue) {
            facts.began.get_or_insert(offset);
        }
    }
}

/// A group on a queue.
pub(super) type Key<'a> = (&'a Arc<str>, &'a Queue);

#[derive(Clone, Copy)]
struct Commit<'a> {
    key: Key<'a>,
    began: usize,
    offset: u64,
}

/// Adds one event to the groups' facts; others than a group's are ignored.
pub(super) fn add<'a>(
    groups: &mut BTreeMap<Key<'a>, GroupFacts>,
    index: usize,
    client: ClientId,
    event: &'a Event,
    pairs: &mut GroupPairs<'a>,
) {
    match event {
        Event::Processed {
            group,
            queue,
            offset,
            value,
        } => {
            let facts = groups.entry((group, queue)).or_default();
            facts.processed_events += 1;
            facts.processed.push(Done {
                offset: *offset,
                value: *value,
                index,
            });
        }
        Event::SendBackBegan {
            op,
            group,
            queue,
            offset,
            value,
            ..
        } => {
            let back = ((group, queue), *offset, *value);
            pairs.send_backs.insert((client, *op), back);
        }
        Event::SendBackEnded { op, acknowledged } => {
            let began = pairs.send_backs.remove(&(client, *op));
            let (key, offset, value) = began.expect("a sending back ends once, once begun");
            if *acknowledged {
                groups.entry(key).or_default().sent_back.push(Done {
                    offset,
                    value,
                    index,
                });
            }
        }
        Event::CommitBegan {
            op,
            group,
            queue,
            offset,
        } => {
            let (key, began, offset) = ((group, queue), index, *offset);
            let commit = Commit { key, began, offset };
            pairs.commits.insert((client, *op), commit);
            let facts = groups.entry(key).or_default();
            facts.steps.push(GroupEvent::CommitBegan { began, offset });
            facts.asked_since.insert(offset);
        }
        Event::CommitEnded { op, acknowledged } => {
            let commit = pairs.commits.remove(&(client, *op));
            let Commit { key, began, offset } = commit.expect("a commit ends once, once begun");
            if *acknowledged {
                let steps = &mut groups.entry(key).or_default().steps;
                steps.push(GroupEvent::CommitEnded {
                    began,
                    ended: index,
                    offset,
                });
            }
        }
        Event::ResumeBegan { group, queue } => {
            pairs.resumes.insert((client, (group, queue)), index);
        }
        Event::Resumed {
            group,
            queue,
            offset,
        } => {
            let began = pairs.resumes.remove(&(client, (group, queue)));
            pairs.group_of.insert(client, group);
            let facts = groups.entry((group, queue)).or_default();
            facts.first_resumed.get_or_insert(*offset);
            if offset.is_none() && facts.began.is_none() {
                facts.told_none = Some(index);
                facts.asked_since.clear();
            }
            facts.steps.push(GroupEvent::Recorded {
                began: began.unwrap_or(index),
                ended: index,
                offset: *offset,
            });
        }
        Event::FinalGroupOffset {
            group,
            queue,
            offset,
        } => {
            let began = pairs.resumes.remove(&(client, (group, queue)));
            let facts = groups.entry((group, queue)).or_default();
            facts.final_offset = Some(FinalOffset {
                index,
                offset: *offset,
            });
            facts.steps.push(GroupEvent::Recorded {
                began: began.unwrap_or(index),
                ended: index,
                offset: *offset,
            });
        }
        Event::PullBegan { .. }
        | Event::Pulled { .. }
        | Event::SendBegan { .. }
        | Event::SendEnded { .. }
        | Event::FinalRead { .. }
        | Event::HalfBegan { .. }
        | Event::HalfEnded { .. }
        | Event::Settled { .. }
        | Event::EndBegan { .. }
        | Event::EndEnded { .. }
        | Event::CheckAnswered { .. }
        | Event::Issued { .. }
        | Event::FinalDiscards { .. }
        | Event::FinalOrders { .. }
        | Event::FinalPackets { .. }
        | Event::Subscribed { .. }
        | Event::Ranked { .. }
        | Event::Released { .. }
        | Event::Taken { .. }
        | Event::Redelivered { .. }
        | Event::Noticed(_)
        | Event::Delayed { .. }
        | Event::BeyondLimit { .. } => {}
    }
}
