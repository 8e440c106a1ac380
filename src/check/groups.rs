//! What is known of a consumer group on one queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::history::{ClientId, Event, OpId, Queue, Value};

/// One group on one queue.
#[derive(Default)]
pub(super) struct GroupFacts {
    /// What was processed: offset and value, each once, in order once all are
    /// there.
    pub(super) processed: Vec<(u64, Value)>,
    /// How often something was processed, repeats included.
    pub(super) processed_events: u64,
    /// What the first consumer was told.
    pub(super) first_resumed: Option<Option<u64>>,
    /// Commits and answers about the recorded offset, in the order in which
    /// they ended, or began where they never ended.
    pub(super) steps: Vec<Step>,
    /// What the broker had recorded after heal.
    pub(super) final_offset: Option<FinalOffset>,
}

/// Something that concerns a group's recorded offset. Numbers are indices into
/// the history.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// A commit was sent.
    CommitBegan { offset: u64 },
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
    /// The group's recorded start: what its first consumer was told.
    pub(super) fn start(&self) -> u64 {
        self.first_resumed.flatten().unwrap_or(0)
    }

    /// Whether that message was processed.
    pub(super) fn has_processed(&self, offset: u64, value: Value) -> bool {
        self.processed.binary_search(&(offset, value)).is_ok()
    }

    /// Everything below counts as done: the offset recorded after heal; where
    /// that was not read, the largest acknowledged commit.
    pub(super) fn done_below(&self) -> u64 {
        let committed = self.steps.iter().filter_map(|step| match step {
            Step::CommitEnded { offset, .. } => Some(*offset),
            _ => None,
        });
        match self.final_offset {
            Some(recorded) => recorded.offset.unwrap_or(0),
            None => committed.max().unwrap_or(0),
        }
    }
}

/// What began and has not ended, while indexing.
#[derive(Default)]
pub(super) struct GroupPairs<'a> {
    commits: BTreeMap<(ClientId, OpId), Commit<'a>>,
    resumes: BTreeMap<(ClientId, Key<'a>), usize>,
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
            facts.processed.push((*offset, *value));
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
            let steps = &mut groups.entry(key).or_default().steps;
            steps.push(Step::CommitBegan { offset });
        }
        Event::CommitEnded { op, acknowledged } => {
            let commit = pairs.commits.remove(&(client, *op));
            let Commit { key, began, offset } = commit.expect("a commit ends once, once begun");
            if *acknowledged {
                let steps = &mut groups.entry(key).or_default().steps;
                steps.push(Step::CommitEnded {
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
            let facts = groups.entry((group, queue)).or_default();
            facts.first_resumed.get_or_insert(*offset);
            facts.steps.push(Step::Recorded {
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
            let facts = groups.entry((group, queue)).or_default();
            facts.final_offset = Some(FinalOffset {
                index,
                offset: *offset,
            });
            facts.steps.push(Step::Recorded {
                began: index,
                ended: index,
                offset: *offset,
            });
        }
        Event::SendBegan { .. }
        | Event::SendEnded { .. }
        | Event::PullBegan { .. }
        | Event::Pulled { .. }
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
        | Event::FinalPackets { .. } => {}
    }
}
