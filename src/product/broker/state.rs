//! The applied state: what the log says, folded up to an address.
//!
//! Promise (D9): the address and the state change together; a snapshot holds
//! both, so that replaying the log from the address gives the same state as
//! replaying it from the start.

use std::collections::BTreeMap;

use super::chunked::Chunked;
use super::delays::Delays;
use super::entries::{Expire, OffsetCommit, TopicConfig};
use super::producers::Producers;
use super::transactions::Transactions;
use crate::log::QueueTail;
use crate::raft::Configuration;

/// A group's place on one queue: group, topic, queue number.
pub(super) type Place = (String, String, u32);

/// The state that the entries below `applied_address` lead to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedState {
    /// Every entry below this log address is folded in, none at or above it.
    pub applied_address: u64,
    /// The index of the last entry that is folded in; 0 for none.
    pub applied_index: u64,
    /// Of a replica: who is in the cluster, as of the applied entries.
    pub configuration: Option<Configuration>,
    /// Of a replica: what has expired lies below this address (D30).
    pub expired_address: u64,
    /// The index of the entry there.
    pub expired_index: u64,
    /// Half messages and decisions (D21).
    pub transactions: Transactions,
    /// Messages that wait for their time (D29).
    pub delays: Delays,
    pub(super) topics: Chunked<String, Vec<u64>>,
    pub(super) offsets: Chunked<Place, u64>,
    pub(super) producers: Producers,
}

/// How far each queue of each topic is durable, by queue number.
pub(super) type QueueTails = BTreeMap<String, Vec<QueueTail>>;

impl AppliedState {
    /// A topic's queues, each with its next offset; `None` for an unknown topic.
    pub fn topic(&self, topic: &str) -> Option<&[u64]> {
        self.topics.get(topic).map(Vec::as_slice)
    }

    /// Every topic with the next offset of each of its queues.
    pub fn topics(&self) -> impl Iterator<Item = (&str, &[u64])> {
        self.topics
            .iter()
            .map(|(topic, next)| (topic.as_str(), next.as_slice()))
    }

    /// The next offset that a group is to consume.
    pub fn group_offset(&self, group: &str, topic: &str, queue_id: u32) -> Option<u64> {
        self.offsets
            .get(&(group.to_owned(), topic.to_owned(), queue_id))
            .copied()
    }

    /// Whether a group may record an offset, where so many are kept.
    pub(super) fn has_room_for(&self, commit: &OffsetCommit, offsets_max: usize) -> bool {
        let place = (commit.group.clone(), commit.topic.clone(), commit.queue_id);
        self.offsets.len() < offsets_max || self.offsets.get(&place).is_some()
    }

    /// Applies a message: its queue is one longer. Returns false where the topic,
    /// the queue or the offset is not the one that is due.
    pub fn apply_message(&mut self, topic: &str, queue_id: u32, offset: u64) -> bool {
        let next = self
            .topics
            .get_mut(topic)
            .and_then(|queues| queues.get_mut(queue_id as usize));
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
        self.offsets
            .insert((commit.group, commit.topic, commit.queue_id), commit.offset);
    }

    /// Applies an expiry: what has expired stays so.
    pub fn apply_expire(&mut self, expire: Expire) {
        if expire.address > self.expired_address {
            self.expired_address = expire.address;
            self.expired_index = expire.next_index;
        }
    }

    /// Applies a topic's configuration; queues are only ever added.
    pub fn apply_topic(&mut self, config: TopicConfig) {
        let mut queues = self.topic(&config.topic).unwrap_or_default().to_vec();
        let count = queues.len().max(config.queues as usize);
        queues.resize(count, 0);
        self.topics.insert(config.topic, queues);
    }

    /// For each topic, where each of its queues begins in a log that begins
    /// here.
    pub(super) fn queue_beginnings(&self) -> QueueTails {
        let beginning = |queues: &Vec<u64>| {
            let tails = queues.iter().map(|next| QueueTail::beginning_at(*next));
            tails.collect()
        };
        self.topics
            .iter()
            .map(|(topic, queues)| (topic.clone(), beginning(queues)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::broker::producers::{Origin, Stored};

    use super::{AppliedState, OffsetCommit, QueueTail, QueueTails, TopicConfig};

    fn commit(offset: u64) -> OffsetCommit {
        OffsetCommit {
            group: "g".into(),
            topic: "t".into(),
            queue_id: 1,
            offset,
        }
    }

    #[test]
    fn folds_and_comes_back_from_its_snapshot() {
        let mut state = AppliedState::default();
        assert!(
            !state.apply_message("t", 0, 0),
            "the topic is not known yet"
        );
        state.apply_topic(TopicConfig {
            topic: "t".into(),
            queues: 2,
        });
        assert!(state.apply_message("t", 1, 0));
        assert!(!state.apply_message("t", 1, 0), "offset 0 is taken");
        assert!(!state.apply_message("t", 2, 0), "no such queue");
        state.apply_offset(commit(7));
        state.apply_offset(commit(5));
        state.applied_address = 99;
        let origin = Origin {
            producer: "p".into(),
            sequence: 9,
        };
        let stored = Stored {
            queue_id: 1,
            queue_offset: 0,
            address: 40,
        };
        state.producers.note(origin, stored);
        assert_eq!(state.group_offset("g", "t", 1), Some(5));
        assert_eq!(state.topic("t"), Some(&[0, 1][..]));
        let tail = |entries, byte| QueueTail {
            first_offset: 0,
            entries,
            last_sector: vec![byte; 20].into(),
        };
        let tails: QueueTails = [("t".to_owned(), vec![tail(0, 7), tail(1, 255)])].into();
        let bytes = state.encode(&tails);
        assert_eq!(AppliedState::decode(&bytes), Ok((state, tails)));
        let cut = bytes.len() - 2;
        let cut = cut
            - bytes[..cut]
                .iter()
                .rev()
                .position(|it| *it == b'\n')
                .unwrap_or(0);
        assert!(
            AppliedState::decode(&bytes[..cut]).is_err(),
            "the end is gone"
        );
    }
    /// The form that brokers wrote before.
    #[test]
    fn the_form_of_one_line_is_read() {
        let text = r#"{"applied_address":99,"applied_index":3,"configuration":"",
            "expired_address":4,"expired_index":1,
            "topics":{"t":[{"next_offset":2,"last_sector":"07"}]},
            "offsets":[["g","t",1,5]],
            "producers":{"p":{"sent":{"9":{"queue_id":1,"queue_offset":0,"address":40}},
                "address":40}},
            "transactions":{"pending":{},"decided":{}},
            "delays":{"7":{"queue_id":1,"record_bytes":2,"stored_ms":3}}}"#;
        let single = text.replace('\n', "");
        let (state, tails) = AppliedState::decode(single.as_bytes()).expect("it is read");
        assert_eq!((state.applied_address, state.expired_address), (99, 4));
        assert_eq!(state.topic("t"), Some(&[2][..]));
        assert_eq!(state.group_offset("g", "t", 1), Some(5));
        assert_eq!(state.delays.oldest(), Some(7));
        assert_eq!(tails["t"][0].last_sector.as_ref(), [7]);
        assert_eq!(
            AppliedState::decode(&state.encode(&tails)),
            Ok((state, tails))
        );
    }
}
