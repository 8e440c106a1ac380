//! The applied state: what the log says, folded up to an address.
//!
//! Promise (D9): the address and the state change together; a snapshot holds
//! both, so that replaying the log from the address gives the same state as
//! replaying it from the start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::entries::{OffsetCommit, TopicConfig};

/// A group's place on one queue: group, topic, queue number.
type Place = (String, String, u32);

/// What the entries below `applied_address` amount to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedState {
    /// Every entry below this log address is folded in, none at or above it.
    pub applied_address: u64,
    topics: BTreeMap<String, Vec<u64>>,
    offsets: BTreeMap<Place, u64>,
}

/// The snapshot's form on disk: JSON, as RocketMQ's `config/*.json`.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    applied_address: u64,
    topics: BTreeMap<String, Vec<u64>>,
    offsets: Vec<(String, String, u32, u64)>,
}

impl AppliedState {
    /// A topic's queues, each with its next offset; `None` for an unknown topic.
    pub fn topic(&self, topic: &str) -> Option<&[u64]> {
        self.topics.get(topic).map(Vec::as_slice)
    }

    /// Every topic with the next offset of each of its queues.
    pub fn topics(&self) -> impl Iterator<Item = (&str, &[u64])> {
        self.topics.iter().map(|(topic, next)| (topic.as_str(), next.as_slice()))
    }

    /// The next offset that a group is to consume.
    pub fn group_offset(&self, group: &str, topic: &str, queue_id: u32) -> Option<u64> {
        self.offsets.get(&(group.to_owned(), topic.to_owned(), queue_id)).copied()
    }

    /// Applies a message: its queue is one longer. Returns false where the topic,
    /// the queue or the offset is not the one that is due.
    pub fn apply_message(&mut self, topic: &str, queue_id: u32, offset: u64) -> bool {
        let next = self.topics.get_mut(topic).and_then(|queues| queues.get_mut(queue_id as usize));
        match next {
            Some(next) if *next == offset => {
                *next += 1;
                true
            }
            _ => false,
        }
    }

    /// Applies an offset commit: a register, the last one wins (D22).
    pub fn apply_offset(&mut self, commit: OffsetCommit) {
        self.offsets.insert((commit.group, commit.topic, commit.queue_id), commit.offset);
    }

    /// Applies a topic's configuration; queues are only ever added.
    pub fn apply_topic(&mut self, config: TopicConfig) {
        let queues = self.topics.entry(config.topic).or_default();
        let count = queues.len().max(config.queues as usize);
        queues.resize(count, 0);
    }

    /// The snapshot's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let snapshot = Snapshot {
            applied_address: self.applied_address,
            topics: self.topics.clone(),
            offsets: self
                .offsets
                .iter()
                .map(|((group, topic, queue_id), offset)| {
                    (group.clone(), topic.clone(), *queue_id, *offset)
                })
                .collect(),
        };
        serde_json::to_vec(&snapshot).expect("a snapshot is plain data")
    }

    /// Reads a snapshot; the error says why it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let snapshot: Snapshot = serde_json::from_slice(bytes).map_err(|why| why.to_string())?;
        Ok(Self {
            applied_address: snapshot.applied_address,
            topics: snapshot.topics,
            offsets: snapshot
                .offsets
                .into_iter()
                .map(|(group, topic, queue_id, offset)| ((group, topic, queue_id), offset))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{AppliedState, OffsetCommit, TopicConfig};

    fn commit(offset: u64) -> OffsetCommit {
        OffsetCommit { group: "g".into(), topic: "t".into(), queue_id: 1, offset }
    }

    #[test]
    fn folds_and_comes_back_from_its_snapshot() {
        let mut state = AppliedState::default();
        assert!(!state.apply_message("t", 0, 0), "the topic is not known yet");
        state.apply_topic(TopicConfig { topic: "t".into(), queues: 2 });
        assert!(state.apply_message("t", 1, 0));
        assert!(!state.apply_message("t", 1, 0), "offset 0 is taken");
        assert!(!state.apply_message("t", 2, 0), "no such queue");
        state.apply_offset(commit(7));
        state.apply_offset(commit(5));
        state.applied_address = 99;
        assert_eq!(state.group_offset("g", "t", 1), Some(5));
        assert_eq!(state.topic("t"), Some(&[0, 1][..]));
        assert_eq!(AppliedState::decode(&state.encode()), Ok(state));
    }
}
